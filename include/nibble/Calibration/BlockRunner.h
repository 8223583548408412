//===- BlockRunner.h - Run a model piece by piece -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What methods need that quantize a model in the order in which it computes:
// the activations of a few layers at a time, computed from samples with the
// weights that the layers before have by then.
//
// A *layer* is an operation with a weight that can be quantized and that is
// multiplied with activations. Layers that read the same activations in the
// same way make a *stage*: in a decoder [q, k, v], [o], [gate, up], [down]. A
// *block* is a run of stages between places where only one value goes from the
// operations before to those behind: the residual stream.
//
//   for (const Block &block : runner.getBlocks())
//     for (unsigned stage : block.stages()) {
//       if (llvm::Error error = runner.runStage(stage, accumulate))
//         return error;
//       for (unsigned layer : runner.getStages()[stage].layers)
//         if (llvm::Error error = runner.replaceWeight(layer, quantize(layer)))
//           return error;
//     }
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CALIBRATION_BLOCKRUNNER_H
#define NIBBLE_CALIBRATION_BLOCKRUNNER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nibble::calibration {

/// One layer. Its weight is seen as `rows` output channels of `columns`
/// weights, as QuantizableOpInterface::getWeightView gives it.
struct BlockLayer {
  /// As in reports and in the statistics file.
  std::string name;
  int64_t rows = 0, columns = 0;
  unsigned stage = 0;
  /// Which of the module's operations with a quantizable weight it is, in the
  /// order of a walk, tables of rows counted, at the time when the runner was
  /// made.
  unsigned operation = 0;
};

/// Layers that read the same activations.
struct BlockStage {
  unsigned block = 0;
  std::vector<unsigned> layers;
  /// Elements of a row of activations.
  int64_t columns = 0;
  /// Groups of a convolution; 1 otherwise. Each has activations of its own,
  /// which meet `rows / groups` output channels of each layer.
  int64_t groups = 1;
};

/// Stages between two places where few values are live.
struct Block {
  unsigned firstStage = 0, numStages = 0;

  auto stages() const {
    return llvm::seq<unsigned>(firstStage, firstStage + numStages);
  }
};

/// Rows of activations: what each row of a layer's weight is multiplied with.
struct ActivationRows {
  /// [rows, columns], row-major. For a convolution a row is the window of one
  /// output position, in the order of the weight: channel, then position in the
  /// window; padding is zero.
  llvm::ArrayRef<float> values;
  int64_t rows = 0, columns = 0;
  /// Group of the convolution, from 0 on.
  int64_t group = 0;
};

/// A weight to be used in place of a layer's own: [rows, columns], row-major.
struct WeightReplacement {
  unsigned layer = 0;
  llvm::ArrayRef<float> weight;
};

/// A result of a block: one of the values that the operations behind it read.
struct BlockResult {
  /// Samples that ran together, from 0 on, and which result it is.
  unsigned batch = 0, index = 0;
  llvm::ArrayRef<float> values;
  llvm::ArrayRef<int64_t> dims;
};

struct BlockRunnerOptions {
  /// Bytes of hidden states that may stay in memory; more go to a file without
  /// a name in the folder for temporary files. 0: half of the machine's memory.
  uint64_t memoryLimit = 0;
  /// Keep the states at the begin of a block while it is worked on, for
  /// `rewind` and `runBlock`.
  bool keepBlockInputs = false;
  /// Threads of a run; 0: all.
  unsigned threads = 0;
  /// How products are computed, as in `--compute`: f32 or bf16.
  std::string compute = "f32";
  /// Keep the states of the float model at the begin of a block, too, for
  /// `createLoss`. Implies `keepBlockInputs`.
  bool keepReference = false;
  /// At most so many samples run together; 0: as many as are fast.
  unsigned maxBatch = 0;
  /// Samples that are run at most, and tokens where samples are windows of
  /// text; 0: all that the user gave.
  uint64_t maxSamples = 0, maxTokens = 0;
};

/// How far the results of a block, from inputs that the layers before it gave
/// with their weights of now, are from those of the float model: the sum of
/// squared differences, and its derivatives by the weights of some layers.
class BlockLoss {
public:
  virtual ~BlockLoss();

  /// The loss over some batches with weights [rows, columns] for the layers,
  /// divided by the number of elements of the results. `gradients`, one for
  /// each layer, are overwritten with derivatives up to a positive factor.
  virtual llvm::Expected<double>
  compute(llvm::ArrayRef<unsigned> batches,
          llvm::ArrayRef<llvm::ArrayRef<float>> weights,
          llvm::ArrayRef<llvm::MutableArrayRef<float>> gradients) = 0;
};

/// Runs a model stage by stage over all samples. States are kept for one place
/// of the model only: memory is that of one block, its weights as floats, and
/// the values that are live there, for all samples. Results do not depend on
/// the number of threads. Errors name the layer, sample or file; after one the
/// runner can't be used.
class BlockRunner {
public:
  using RowsFn = llvm::function_ref<llvm::Error(const ActivationRows &)>;
  using ResultFn = llvm::function_ref<llvm::Error(const BlockResult &)>;
  /// Makes the weight of a layer, [rows, columns] row-major, for a variant.
  using WeightFn = llvm::function_ref<llvm::Expected<std::vector<float>>(
      unsigned variant, unsigned layer)>;
  /// Takes an output of the whole model; variant -1 is the model as it is.
  using OutputFn =
      llvm::function_ref<llvm::Error(int64_t variant, const BlockResult &)>;

  virtual ~BlockRunner();

  /// In the order in which the model computes them.
  virtual llvm::ArrayRef<BlockLayer> getLayers() const = 0;
  virtual llvm::ArrayRef<BlockStage> getStages() const = 0;
  virtual llvm::ArrayRef<Block> getBlocks() const = 0;
  /// Samples, and groups of them that run together.
  virtual unsigned getNumSamples() const = 0;
  virtual unsigned getNumBatches() const = 0;

  /// Computes the activations of a stage with the weights that the layers
  /// before it have now, and hands all rows to `consume`, in the order of the
  /// samples, in pieces of at most some megabytes that are valid during the
  /// call. Stages are run in order; each once, unless `rewind` went back.
  virtual llvm::Error runStage(unsigned stage, RowsFn consume) = 0;

  /// Gives a layer another weight, [rows, columns] row-major: the values of its
  /// codes. What is computed from now on uses it. The values are copied, and
  /// freed when no stage to come reads them.
  virtual llvm::Error replaceWeight(unsigned layer,
                                    llvm::ArrayRef<float> weight) = 0;

  /// With `keepBlockInputs`: goes back to the begin of a block, which is the
  /// one of the stage that was run last. Weights that were replaced stay
  /// replaced.
  virtual llvm::Error rewind(unsigned block) = 0;

  /// With `keepBlockInputs`: computes the results of the block of the stage
  /// that was run last, from the same inputs, with `replacements` in place of
  /// the weights that layers have now. Batches in order. Nothing changes.
  virtual llvm::Error runBlock(unsigned block,
                               llvm::ArrayRef<WeightReplacement> replacements,
                               ResultFn consume) = 0;

  /// With `keepReference`: the loss of the block of the stage that was run
  /// last, by the weights of `layers` of it, in this order. Runs the float
  /// model to the end of the block. Valid until the next block is reached.
  ///
  /// Error: a derivative is not known, or the float model is not there in a
  /// form that has derivatives; the text says which operator or why. The runner
  /// can be used after it.
  virtual llvm::Expected<std::unique_ptr<BlockLoss>>
  createLoss(unsigned block, llvm::ArrayRef<unsigned> layers);

  /// Before any stage is run: computes the outputs of the model as it is, then
  /// those of each variant, in which the layers listed have weights of their
  /// own. What variants have in common is computed once; weights are asked for
  /// when their block is reached. `consume` gets the float outputs of the model
  /// that its last layers lead to, keys and values not among them; their index
  /// counts these. Error, among others: there are none.
  virtual llvm::Error
  runVariants(llvm::ArrayRef<std::vector<unsigned>> variants,
              WeightFn makeWeight, OutputFn consume) = 0;
};

} // namespace nibble::calibration

#endif // NIBBLE_CALIBRATION_BLOCKRUNNER_H
