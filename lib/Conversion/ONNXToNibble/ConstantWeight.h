//===- ConstantWeight.h - Weights behind reshapes and transposes -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_CONSTANTWEIGHT_H
#define NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_CONSTANTWEIGHT_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Value.h"

namespace nibble {

/// A constant that a value is, possibly read with its two dimensions swapped.
struct ConstantWeight {
  mlir::ElementsAttr value;
  bool transposed = false;
  /// Name of the initializer, may be null.
  mlir::StringAttr name;

  mlir::RankedTensorType getType() const {
    return mlir::cast<mlir::RankedTensorType>(value.getShapedType());
  }
};

/// The constant behind `value`, through Identity, Reshape, Squeeze, Unsqueeze
/// and Transpose. A transpose of two dimensions is only noted; with
/// `materialize` any other one, Slice and Concat are carried out, which makes a
/// new constant, otherwise they are a failure.
mlir::FailureOr<ConstantWeight> getConstantWeight(mlir::Value value,
                                                  bool materialize = true);

/// The same elements in another shape.
mlir::ElementsAttr reshapeElements(mlir::ElementsAttr value,
                                   mlir::RankedTensorType type);

/// A new constant with the dimensions of `value` permuted: dimension i is
/// dimension `permutation[i]` of `value`.
mlir::FailureOr<mlir::ElementsAttr>
transposeElements(mlir::Location loc, mlir::ElementsAttr value,
                  llvm::ArrayRef<int64_t> permutation);

/// A new constant of float32 elements, each multiplied by `factor`.
mlir::FailureOr<mlir::ElementsAttr>
scaleElements(mlir::Location loc, mlir::ElementsAttr value, float factor);

/// A constant with the elements of 16 bits as float32; the same one for all
/// users of the weight `name`.
mlir::FailureOr<mlir::ElementsAttr> widenElements(mlir::Location loc,
                                                  mlir::ElementsAttr value,
                                                  mlir::StringAttr name);

/// A constant operation for a weight.
mlir::Value createConstant(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::ElementsAttr value, mlir::StringAttr name);

} // namespace nibble

#endif // NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_CONSTANTWEIGHT_H
