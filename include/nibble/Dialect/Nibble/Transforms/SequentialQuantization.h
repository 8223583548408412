//===- SequentialQuantization.h - Quantize block by block -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One driver runs the model on samples, block by block, for all methods that
// look at activations. A layer's request names a chain: methods that prepare
// its weight, then one that chooses codes.
//
//   for each block
//     find and fold scales of the layers that ask for it, stage by stage, with
//       float weights in this block; go back to the begin of the block
//     let methods that quantize whole blocks look at the float block
//     quantize the layers of other methods, stage by stage; what follows
//       computes with their codes
//     let methods that quantize whole blocks choose codes for their layers
//
// Folding scales changes the module, but not what it computes in floats: the
// runner, which has a copy from before, keeps the activations and weights of
// the model as it was. `toModelWeight` says what codes are for it.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SEQUENTIALQUANTIZATION_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SEQUENTIALQUANTIZATION_H

#include "nibble/Calibration/BlockRunner.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
#include "nibble/Quantizer/ScaleMethods.h"
#include "llvm/ADT/StringMap.h"
#include <functional>
#include <memory>

namespace nibble {

/// Makes a runner of the samples that the user gave (`--data`) for a module in
/// phase `nibble`. The pipelines provide it: passes can't compile or run.
using BlockRunnerFactory =
    std::function<mlir::FailureOr<std::unique_ptr<calibration::BlockRunner>>(
        mlir::ModuleOp module, const calibration::BlockRunnerOptions &options)>;

/// Makes a factory the one of the calling thread, as long as the scope lives.
class BlockRunnerScope {
public:
  explicit BlockRunnerScope(BlockRunnerFactory factory);
  ~BlockRunnerScope();
  BlockRunnerScope(const BlockRunnerScope &) = delete;

  /// The factory of the calling thread, or null: the user gave no samples.
  static const BlockRunnerFactory *getCurrent();

private:
  BlockRunnerFactory factory;
  const BlockRunnerFactory *previous;
};

/// A method that sees the activations of a stage before it quantizes the layers
/// of it.
class SequentialMethod {
public:
  virtual ~SequentialMethod();

  /// A stage begins: rows of its activations follow, divided by the scales that
  /// were folded into the weights of the stage.
  virtual llvm::Error beginStage(const calibration::BlockStage &stage) = 0;
  virtual llvm::Error observe(const calibration::ActivationRows &rows) = 0;
  /// All rows were seen: chooses codes for the weight of one layer of the
  /// stage, as `QuantizeFn` does.
  virtual llvm::Error quantize(QuantizableOpInterface op,
                               const quantizer::WeightView &weight,
                               quantizer::QuantizedWeight &result) = 0;
  /// All layers have their codes and their reports, to which a method may add.
  virtual void report() {}
};

/// A layer of a block, for methods that quantize whole blocks.
struct SequentialLayer {
  QuantizableOpInterface op;
  /// Its number in the runner.
  unsigned index = 0;
  /// To be quantized: [rows, cols], as it is now.
  quantizer::WeightView weight;
  quantizer::QuantizationScheme scheme;
  /// What the weight was multiplied with, by column, and divided by, by row,
  /// when scales were folded; empty: nothing.
  llvm::ArrayRef<float> inputScales, outputScales;

  /// Changes a weight [rows, cols], `weight` or its codes' values, to that of
  /// the model as it was, which the runner computes with.
  void toModelWeight(llvm::MutableArrayRef<float> values) const;
  /// The same for the derivative of a loss: from that by the model's weight to
  /// that by `weight`.
  void toOwnGradient(llvm::MutableArrayRef<float> gradient) const;
};

/// A method that quantizes all layers of a block that ask for it at once.
class BlockMethod {
public:
  virtual ~BlockMethod();

  /// A block begins, at which `runner` stands. None of its layers is quantized:
  /// `runner.runBlock` gives the results of the float block.
  virtual llvm::Error beginBlock(calibration::BlockRunner &runner,
                                 unsigned block,
                                 llvm::ArrayRef<SequentialLayer> layers) = 0;
  /// All other layers of the block have their codes, and `runner` stands at its
  /// begin: chooses codes for `layers`, those of `beginBlock`. Results have
  /// schemes and sizes. The caller gives `runner` the new weights.
  virtual llvm::Error
  quantizeBlock(calibration::BlockRunner &runner, unsigned block,
                llvm::ArrayRef<SequentialLayer> layers,
                llvm::MutableArrayRef<quantizer::QuantizedWeight> results) = 0;
  /// All layers have their codes and their reports, to which a method may add.
  virtual void report() {}
};

/// By name, what the driver serves. Methods outlive the call.
struct SequentialMethods {
  llvm::StringMap<SequentialMethod *> layers;
  llvm::StringMap<BlockMethod *> blocks;
  llvm::StringMap<const quantizer::ScaleMethod *> scales;
};

/// Serves all requests in `module` whose methods are among `methods`; `runner`
/// was made of the module as it is, and keeps block inputs if a method of
/// `blocks` or `scales` is asked for. Activations of a stage are computed with
/// the codes of the layers before it. Requests that name a method of the
/// quantizer's table are served in the same order, so that what follows sees
/// them too; those that need importance get the mean squares of the activations
/// of their stage. Layers that no stage holds (in the body of a loop, say) keep
/// their requests. Errors name the layer.
mlir::FailureOr<QuantizationCounts>
quantizeSequentially(mlir::ModuleOp module, calibration::BlockRunner &runner,
                     const SequentialMethods &methods);

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SEQUENTIALQUANTIZATION_H
