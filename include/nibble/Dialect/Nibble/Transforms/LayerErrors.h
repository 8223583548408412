//===- LayerErrors.h - What a quantized weight does to outputs --*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_LAYERERRORS_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_LAYERERRORS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "nibble/Calibration/Statistics.h"
#include "nibble/Quantizer/OutputError.h"
#include <memory>

namespace nibble {

/// What is known of the inputs x of a layer, by group of a convolution: sums of
/// x x', or mean squares of the columns of its weight. Nothing of both: all
/// inputs count the same.
struct InputSums {
  llvm::SmallVector<llvm::ArrayRef<float>, 1> hessians;
  llvm::SmallVector<std::vector<float>, 1> meanSquares;

  bool isExact() const { return !hessians.empty(); }
};

/// The error of a layer's output when `before` is replaced by `after`
/// [rows, cols]; that of the weight if nothing is known of the inputs.
quantizer::OutputError computeLayerError(const quantizer::WeightView &before,
                                         llvm::ArrayRef<float> after,
                                         const InputSums &inputs);

/// The inputs of layers as a statistics file has them, which is read when the
/// first layer asks.
class CalibratedInputs {
public:
  CalibratedInputs(mlir::ModuleOp module, std::string path)
      : module(module), path(std::move(path)) {}

  /// Sums for the layer with one of these names, whose weight has `rows` of
  /// `cols`; `groups` are those of a convolution. Nothing if the statistics do
  /// not have it, or have it in another shape, or no input reached it. Hessians
  /// are valid as long as this object lives. Errors are reported at the module:
  /// statistics that can't be read, or of another model.
  mlir::FailureOr<std::optional<InputSums>>
  get(mlir::ArrayAttr names, int64_t groups, int64_t rows, int64_t cols);

private:
  mlir::LogicalResult open();

  mlir::ModuleOp module;
  std::string path;
  std::shared_ptr<const calibration::Statistics> statistics;
  std::unique_ptr<calibration::HessianFile> hessians;
};

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_LAYERERRORS_H
