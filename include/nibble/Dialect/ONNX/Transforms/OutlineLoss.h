//===- OutlineLoss.h - The error of a part of a model -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_TRANSFORMS_OUTLINELOSS_H
#define NIBBLE_DIALECT_ONNX_TRANSFORMS_OUTLINELOSS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <optional>
#include <string>

namespace nibble::onnx {

/// How far a value of a model is from what it should be, and the derivatives of
/// that by the weights of some layers, as a module of one function
/// `main_graph`. Its results are the sums of the squared differences over the
/// last dimension of the value, then the derivatives of the sum of all, each in
/// the shape of its weight. Constants of many floats are arguments, so that
/// parts of a model that differ in weights only are the same code.
struct LossFunction {
  /// Where an argument comes from: exactly one of these.
  struct Argument {
    /// One of the values that the part begins with.
    mlir::Value input;
    mlir::ElementsAttr constant;
    /// Number of a layer. Its weight is [rows, columns] for MatMul and Gemm,
    /// whatever the operator wants, and as it is for Conv.
    std::optional<unsigned> layer;
    /// What the value should be.
    bool isTarget = false;
  };

  mlir::OwningOpRef<mlir::ModuleOp> module;
  llvm::SmallVector<Argument> arguments;
  /// The same for functions that are the same code.
  std::string text;
};

/// A value, with all of its sizes.
struct SizedValue {
  mlir::Value value;
  mlir::RankedTensorType type;
};

/// Outlines what computes `result` from `inputs` in the onnx dialect, with the
/// weights (the second operands) of `layers` as arguments. Failure after a
/// message at the operator if a derivative is not known, if something else than
/// `inputs` would be needed, or if one of `others`, the layers in other parts
/// of the model, is on the way.
mlir::FailureOr<LossFunction>
outlineLoss(llvm::ArrayRef<SizedValue> inputs, SizedValue result,
            llvm::ArrayRef<mlir::Operation *> layers,
            llvm::ArrayRef<mlir::Operation *> others);

} // namespace nibble::onnx

#endif // NIBBLE_DIALECT_ONNX_TRANSFORMS_OUTLINELOSS_H
