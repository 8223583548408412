//===- SequentialQuantization.h - Methods that go block by block -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SEQUENTIALQUANTIZATION_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SEQUENTIALQUANTIZATION_H

#include "nibble/Calibration/BlockRunner.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
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

  /// A stage begins: rows of its activations follow.
  virtual llvm::Error beginStage(const calibration::BlockStage &stage) = 0;
  virtual llvm::Error observe(const calibration::ActivationRows &rows) = 0;
  /// All rows were seen: chooses codes for the weight of one layer of the
  /// stage, as `QuantizeFn` does.
  virtual llvm::Error quantize(QuantizableOpInterface op,
                               const quantizer::WeightView &weight,
                               quantizer::QuantizedWeight &result) = 0;
};

/// Serves all requests in `module` that name `method`, stage by stage: the
/// activations of a stage are computed with the codes of the layers before it.
/// Requests that name a method of the quantizer's table are served in the same
/// order, so that what follows sees them too; those that need importance get
/// the mean squares of the activations of their stage. Layers that no stage
/// holds (in the body of a loop, say) keep their requests. Errors name the
/// layer.
mlir::FailureOr<QuantizationCounts>
quantizeSequentially(mlir::ModuleOp module, llvm::StringRef method,
                     calibration::BlockRunner &runner,
                     SequentialMethod &sequential);

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SEQUENTIALQUANTIZATION_H
