//===- RoundingTraining.h - Learn the roundings of blocks -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_ROUNDINGTRAINING_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_ROUNDINGTRAINING_H

#include "nibble/Dialect/Nibble/Transforms/SequentialQuantization.h"
#include "nibble/Quantizer/AutoRound.h"
#include "llvm/ADT/MapVector.h"
#include <random>

namespace nibble {

struct RoundingTrainingOptions {
  quantizer::AutoRoundOptions rounding;
  /// Samples of a step.
  unsigned batchSize = 8;
  /// Of the order of the samples.
  uint64_t seed = 42;

  /// Says which option is out of range.
  llvm::Error verify() const;
};

/// Serves the requests for `autoround` of a module block by block: the codes of
/// a start, then sign gradient descent on what the block computes, from inputs
/// of the quantized blocks before it, against what the float model computes
/// there. A block whose loss can't be derived keeps the codes of the start,
/// with a warning that says why. Layers of methods that need no data of their
/// own are served on the way.
class RoundingTraining {
public:
  /// `start` chooses the codes to begin with; null: rounding to nearest. The
  /// runner keeps the float model (`keepReference`).
  RoundingTraining(mlir::ModuleOp module, calibration::BlockRunner &runner,
                   SequentialMethod *start,
                   const RoundingTrainingOptions &options)
      : module(module), runner(runner), start(start), options(options) {}

  /// Errors name the layer.
  mlir::FailureOr<QuantizationCounts> run();

  int64_t numLearned = 0, numFallbacks = 0;
  /// Of the blocks that were learned: the loss of the start and of the end, on
  /// the same samples.
  std::vector<std::pair<double, double>> losses;

private:
  struct Layer {
    QuantizableOpInterface op;
    /// Absent if codes are not chosen here: the layer computes with floats.
    std::optional<QuantizationRequest> request;
    /// The first layer with this weight and request.
    unsigned first = 0;
    bool learns = false;
    /// A later layer has its weight and request.
    bool isShared = false;
    quantizer::QuantizedWeight codes;
    /// What the model computes with, [rows, columns].
    std::vector<float> values, gradient;
    std::optional<quantizer::RoundingLearner> learner;
  };

  llvm::Error quantizeBlock(unsigned block);
  llvm::Error startStage(unsigned stage);
  llvm::Error setCodes(unsigned layer);
  llvm::Error learn(unsigned block, llvm::ArrayRef<unsigned> layers);
  llvm::Error descend(unsigned block, llvm::ArrayRef<unsigned> layers,
                      calibration::BlockLoss &loss);
  llvm::Expected<double> compute(calibration::BlockLoss &loss,
                                 llvm::ArrayRef<unsigned> layers,
                                 llvm::ArrayRef<unsigned> batches);
  void warn(llvm::ArrayRef<unsigned> layers, llvm::StringRef reason);

  mlir::ModuleOp module;
  calibration::BlockRunner &runner;
  SequentialMethod *start;
  RoundingTrainingOptions options;
  /// By number of the runner.
  std::vector<Layer> layers;
  unsigned blocksDone = 0;
};

/// The order in which batches are looked at: all of them once, in an order of
/// chance, before one is seen again. The same for the same seed everywhere.
class BatchOrder {
public:
  BatchOrder(unsigned count, uint64_t seed) : random(seed) {
    order.resize(count);
    for (unsigned i = 0; i != count; ++i)
      order[i] = i;
    next = count;
  }
  /// The next `count` batches, at most all.
  std::vector<unsigned> take(unsigned count);

private:
  std::mt19937_64 random;
  std::vector<unsigned> order;
  size_t next;
};

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_ROUNDINGTRAINING_H
