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
#include "nibble/Calibration/Samples.h"
#include <memory>

namespace nibble {

/// Opens the samples for a model with these inputs.
using OpenSamplesFn = llvm::function_ref<
    llvm::Expected<std::unique_ptr<calibration::SampleReader>>(
        std::vector<calibration::ModelInput> inputs)>;

/// A runner for a module in phase `nibble`, whose layers may have requests. It
/// outlines what lies between two stages, compiles it by the ordinary pipeline
/// for this machine, and runs it on the samples, which are read once. Pieces
/// that differ in weights only are compiled once.
///
/// `floatModel` is the same model in phase `onnx`, if it is there: losses are
/// derived from it, and it is not changed.
///
/// Errors, reported at the module: no layer that could be quantized; samples
/// that can't be read.
mlir::FailureOr<std::unique_ptr<calibration::BlockRunner>>
createCompiledBlockRunner(mlir::ModuleOp module, OpenSamplesFn openSamples,
                          const calibration::BlockRunnerOptions &options,
                          mlir::ModuleOp floatModel = {});

/// True if the samples of a model with these inputs are tokens.
bool readsTokens(llvm::ArrayRef<calibration::ModelInput> inputs);

/// How many samples of a model with these inputs are run together, if its first
/// dimension is open: so many that products have many rows, but values between
/// them are still small. `window` is the number of tokens of a sample.
int64_t chooseBatch(llvm::ArrayRef<calibration::ModelInput> inputs,
                    int64_t window);

} // namespace nibble

#endif // NIBBLE_PIPELINES_COMPILEDBLOCKRUNNER_H
