//===- QuantizationPlan.h - Which values become bytes -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decides for a graph of floats which of its values are quantized, and with
// which scales, before anything is rewritten:
//
// - Products (Conv, MatMul, Gemm) are computed in integers if a rule asks for
//   it and all their operands can be bytes. What the product computes along
//   with its sum, a bias and an activation, is its stage: only the result of
//   the stage is a value.
// - Operators between products read and write bytes if a product needs their
//   result. What only feeds outputs of the model, or operators that compute in
//   floats, stays float: there is nothing to gain and accuracy to lose.
// - Movement of data, pooling by maximum and concatenation keep the codes: the
//   values on both sides have one range, which holds all of theirs.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_QUANTIZATIONPLAN_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_QUANTIZATIONPLAN_H

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Quantizer/StaticActivations.h"
#include "nibble/Support/QuantizationConfig.h"
#include "llvm/ADT/MapVector.h"
#include <optional>
#include <string>

namespace nibble::onnx {

/// Scale and zero point of a value, and the sign of its codes.
struct ValueGrid : quantizer::ActivationGrid {
  bool isUnsigned = true;
};

/// What the caller knows.
struct PlanInputs {
  quantizer::ActivationFormat format;
  /// Why an operator is to stay float: a rule, or the command line. Empty if it
  /// may be quantized.
  std::function<std::string(mlir::Operation *)> getObjection;
  /// The range of a value that is no constant; nothing if it is not known.
  std::function<std::optional<quantizer::ValueRange>(mlir::Value)> getRange;
  /// Why a product should not read its input with the grid that it gets; empty
  /// if it may.
  std::function<std::string(mlir::Operation *, const ValueGrid &)> getDoubt;
  /// A name for messages.
  std::function<std::string(mlir::Value)> getName;
};

struct QuantizationPlan {
  /// Values to quantize, in order of definition, and their grids.
  llvm::MapVector<mlir::Value, ValueGrid> values;
  /// Values of the model that are quantized as they are.
  llvm::DenseMap<mlir::Value, ValueGrid> quantized;
  /// Conv, MatMul and Gemm in integers whose weight is a constant of floats.
  llvm::SmallVector<mlir::Operation *> products;
  /// Those, and the operators between that read and write bytes.
  llvm::DenseSet<mlir::Operation *> integers;
  /// Operators that could read bytes and compute in floats, with the reason.
  llvm::SmallVector<std::pair<mlir::Operation *, std::string>> floats;

  /// Whether `value` comes from an operator that computes in integers.
  bool isMadeInIntegers(mlir::Value value) const {
    return made.contains(value);
  }

  llvm::DenseSet<mlir::Value> made;
};

/// Whether `op` is Conv, ConvTranspose, MatMul or Gemm.
bool isProduct(mlir::Operation *op);

/// What `rules` make of `commandLine` for the ONNX operator `op`. Rules name
/// it, or the constant that is the weight of a product.
LayerChoice resolveChoice(QuantizationConfig &rules,
                          const LayerChoice &commandLine, mlir::Operation *op);

/// The value that the product `op` makes together with the bias and the
/// activation that follow it.
mlir::Value getStageResult(mlir::Operation *op);

/// Looks at the operators of `block`, which is the body of the model.
QuantizationPlan planQuantization(mlir::Block &block, const PlanInputs &inputs);

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_QUANTIZATIONPLAN_H
