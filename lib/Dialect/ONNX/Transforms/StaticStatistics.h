//===- StaticStatistics.h - Ranges and means of a model's values *- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_STATICSTATISTICS_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_STATICSTATISTICS_H

#include "mlir/IR/BuiltinOps.h"
#include "nibble/Dialect/Nibble/Transforms/Observation.h"
#include "nibble/Quantizer/StaticActivations.h"

namespace nibble::onnx {

/// Name of the layer that `op` is; empty if it has none.
llvm::StringRef getLayerName(mlir::Operation *op);

/// Discardable attribute of an operation whose result was divided by a factor
/// for each channel: `array<f32>`, by onnx-equalize-layers.
constexpr llvm::StringLiteral equalizedAttrName = "nibble.equalized";

/// A statistics file, seen from the values of a module.
class StaticStatistics {
public:
  /// Reads `path`; an empty path is a model about which nothing is known. For a
  /// module as it is at the end of phase onnx. Errors are those of
  /// `loadStatistics`.
  mlir::LogicalResult read(mlir::ModuleOp module, llvm::StringRef path);

  /// The range of `value`, after equalization of its channels if there was one;
  /// nothing if it was not seen.
  std::optional<quantizer::ValueRange> getRange(mlir::Value value) const;

  /// The mean of each channel, or column, of the activations that the product
  /// `op` reads; empty if it is not known.
  llvm::SmallVector<float> getInputMean(mlir::Operation *op) const;

  /// The mean square, likewise.
  llvm::SmallVector<float> getInputMeanSquare(mlir::Operation *op) const;

  /// The name under which `value` is in the file, also if it is not there.
  std::string getName(mlir::Value value) const;

private:
  llvm::SmallVector<float>
  getInputVector(mlir::Operation *op,
                 std::vector<float> calibration::LayerStatistics::*field,
                 int power) const;

  std::shared_ptr<const calibration::Statistics> statistics;
  std::optional<TensorNames> names;
};

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_STATICSTATISTICS_H
