//===- BlockPreparation.h - Scales of a block's layers ----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_NIBBLE_TRANSFORMS_BLOCKPREPARATION_H
#define NIBBLE_LIB_DIALECT_NIBBLE_TRANSFORMS_BLOCKPREPARATION_H

#include "nibble/Dialect/Nibble/Transforms/FoldScales.h"
#include "nibble/Dialect/Nibble/Transforms/SequentialQuantization.h"

namespace nibble {

/// Layers of a stage, or others that read the same activations, and what is
/// known of these.
struct PreparedStage {
  llvm::SmallVector<QuantizableOpInterface> layers;
  /// The preparing method that they ask for.
  std::string method;
};

/// Finds scales for layers that ask for them, and folds them in.
class LayerPreparation {
public:
  using Methods = llvm::StringMap<const quantizer::ScaleMethod *>;

  explicit LayerPreparation(const Methods &methods) : methods(methods) {}

  /// What is to be prepared of layers that read the same activations; nothing
  /// if no layer asks for it or none can have scales, which is a remark.
  /// Errors: layers that ask for different methods.
  mlir::FailureOr<std::optional<PreparedStage>>
  plan(llvm::ArrayRef<QuantizableOpInterface> layers) const;
  /// What the stage's method needs to know of activations.
  quantizer::SummaryNeeds getNeeds(const PreparedStage &stage) const {
    return methods.lookup(stage.method)->getNeeds();
  }
  /// Finds scales, folds them, and says so in the requests.
  llvm::LogicalResult apply(const PreparedStage &stage,
                            const quantizer::ActivationSummary &summary);

  /// What the weight of a layer was multiplied with, by column, and divided by,
  /// by row; empty: nothing.
  llvm::ArrayRef<float> getInputScales(mlir::Operation *op) const {
    return getFoldedScales(op);
  }
  llvm::ArrayRef<float> getOutputScales(mlir::Operation *op) const;
  /// Clamps a weight [rows, cols] of a layer where limits were found. False if
  /// there are none.
  bool clamp(mlir::Operation *op, const quantizer::QuantizationScheme &scheme,
             const quantizer::WeightView &weight,
             std::vector<float> &clamped) const;

private:
  llvm::LogicalResult fold(llvm::ArrayRef<QuantizableOpInterface> layers,
                           llvm::ArrayRef<float> scales);

  const Methods &methods;
  OutputScales outputScales;
  llvm::DenseMap<mlir::Operation *, std::vector<float>> limits;
};

} // namespace nibble

#endif // NIBBLE_LIB_DIALECT_NIBBLE_TRANSFORMS_BLOCKPREPARATION_H
