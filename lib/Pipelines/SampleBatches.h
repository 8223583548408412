//===- SampleBatches.h - Samples that run together -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_PIPELINES_SAMPLEBATCHES_H
#define NIBBLE_LIB_PIPELINES_SAMPLEBATCHES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "nibble/Pipelines/CompiledBlockRunner.h"
#include "nibble/Target/ModelInfo.h"

namespace nibble {

/// Checks samples against the inputs of a model and joins as many as run well
/// together.
class SampleBatches {
public:
  /// Inputs in the order of the arguments.
  using Batch = std::vector<SampleTensor>;
  using BatchFn = llvm::function_ref<llvm::Error(Batch)>;

  static mlir::FailureOr<SampleBatches> get(mlir::func::FuncOp function);

  /// Reads all samples and hands the batches to `consume`. Errors name the
  /// sample, counted from 1, and the input.
  llvm::Error read(const SampleSource &samples, BatchFn consume);
  unsigned getNumSamples() const { return numSamples; }

private:
  llvm::Expected<Batch> arrange(std::vector<SampleTensor> sample) const;
  llvm::Error check(const SampleTensor &tensor, size_t input) const;
  llvm::Error addMissing(Batch &batch) const;
  bool join(Batch &batch, Batch &more) const;

  target::ModelInfo info;
  /// Of an input that is a past: its dimension of positions, else -1.
  std::vector<int64_t> cacheAxes;
  unsigned numSamples = 0;
};

} // namespace nibble

#endif // NIBBLE_LIB_PIPELINES_SAMPLEBATCHES_H
