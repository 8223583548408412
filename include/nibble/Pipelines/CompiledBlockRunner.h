//===- CompiledBlockRunner.h - Pieces of a model, compiled -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_PIPELINES_COMPILEDBLOCKRUNNER_H
#define NIBBLE_PIPELINES_COMPILEDBLOCKRUNNER_H

#include "mlir/IR/BuiltinOps.h"
#include "nibble/Calibration/BlockRunner.h"
#include "llvm/ADT/SmallVector.h"
#include <functional>
#include <memory>
#include <optional>

namespace nibble {

/// One input of a sample.
struct SampleTensor {
  std::string name;  ///< Of the model's input; empty: the input at this place.
  int32_t dtype = 0; ///< nibble_dtype
  llvm::SmallVector<int64_t, 4> dims;
  std::vector<char> data;
};
/// Gives the next sample, or nothing after the last one.
using SampleSource =
    std::function<llvm::Expected<std::optional<std::vector<SampleTensor>>>()>;

/// A runner for a module in phase `nibble`, whose layers may have requests. It
/// outlines what lies between two stages, compiles it by the ordinary pipeline
/// for this machine, and runs it on the samples, of which several run together
/// where the model leaves the first dimension of its inputs open. Pieces that
/// differ in weights only are compiled once.
///
/// Past keys and values that a sample does not give are empty. Errors, reported
/// at the module: no layer that could be quantized; no sample; a sample that
/// lacks an input of the model, or one of another type or shape.
mlir::FailureOr<std::unique_ptr<calibration::BlockRunner>>
createCompiledBlockRunner(mlir::ModuleOp module, const SampleSource &samples,
                          const calibration::BlockRunnerOptions &options);

} // namespace nibble

#endif // NIBBLE_PIPELINES_COMPILEDBLOCKRUNNER_H
