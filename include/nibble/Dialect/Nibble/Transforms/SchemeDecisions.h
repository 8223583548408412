//===- SchemeDecisions.h - What each scheme would mean ----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Requests with several candidates, and what each of them would mean: bytes,
// and damage, which adds up over layers (the "linearity theorem" of Malinovskii
// et al., "Pushing the Limits of Large Language Model Quantization via the
// Linearity Theorem", 2024: to second order, the loss of a model is the sum
// over layers of a factor times the squared relative error of the layer).
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SCHEMEDECISIONS_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SCHEMEDECISIONS_H

#include "nibble/Dialect/Nibble/Transforms/LayerErrors.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
#include "nibble/Quantizer/BitAllocation.h"

namespace nibble {

/// Layers that read one weight in the same way and ask for the same: a table
/// and the head that is tied to it, say.
struct SchemeDecision {
  llvm::SmallVector<QuantizableOpInterface, 1> layers;
  /// With at least one candidate.
  QuantizationRequest request;
  int64_t rows = 0, columns = 0;
  /// By candidate: bytes of codes, scales and zeros, and damage.
  quantizer::AllocationItem options;

  int64_t getNumWeights() const { return rows * columns; }
  /// Groups of a convolution; 1 otherwise.
  int64_t getGroups() const;
};

/// All open requests of `module`, in order of the IR. Malformed requests are
/// errors.
mlir::FailureOr<std::vector<SchemeDecision>>
findDecisions(mlir::ModuleOp module);

/// A scheme as users name it in `--candidates`.
std::string getCandidateName(mlir::MLIRContext *context,
                             const quantizer::QuantizationScheme &scheme);

/// Bytes of codes, scales, zeros and tables as they are stored.
int64_t getStoredBytes(const quantizer::QuantizedWeight &weight);

/// Rounds the weight of a decision to nearest with each of its candidates, sets
/// their sizes, and shows the values to `consume`, which is called with the
/// candidate's number and [rows, columns] values. The errors of other methods
/// are smaller by a factor that is much the same for all layers.
mlir::LogicalResult forEachCandidate(
    SchemeDecision &decision,
    llvm::function_ref<mlir::LogicalResult(unsigned candidate,
                                           const quantizer::WeightView &weight,
                                           llvm::ArrayRef<float> values)>
        consume);

/// The relative error of a layer as damage: finite, and 1 for an output that was
/// zero and is not.
double getDamage(const quantizer::OutputError &error);

/// The values that the weight has then, for one candidate.
mlir::FailureOr<std::vector<float>>
roundToCandidate(const SchemeDecision &decision, unsigned candidate);

/// Sets sizes, and as damage the relative error of the output of each layer:
/// from the statistics file `calibration`, or, without one and for what it does
/// not have, that of the weight.
mlir::LogicalResult estimateDamage(mlir::ModuleOp module,
                                   llvm::MutableArrayRef<SchemeDecision> all,
                                   llvm::StringRef calibration);

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SCHEMEDECISIONS_H
