//===- OutputMeasurement.h - Outputs of layers beside float -----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_PIPELINES_OUTPUTMEASUREMENT_H
#define NIBBLE_PIPELINES_OUTPUTMEASUREMENT_H

#include "mlir/IR/BuiltinOps.h"
#include "nibble/Pipelines/CompileOptions.h"

namespace nibble {
struct Report;

/// Runs the model of `options.inputFile` in float, and `quantized`, which is
/// the same model in phase `quantized`, over the first `options.reportSamples`
/// samples of `options.data`, and puts figures of each layer's output, and of
/// the model's, into `report`. One sample is in memory at a time, with the
/// float model's outputs of all layers. Layers whose operation computes more,
/// or less, than in float have no figures: a fused activation is not there in
/// both, say.
///
/// Problems are reported at the module: data that does not fit, a file that is
/// no float model, a run that fails.
llvm::LogicalResult measureOutputs(mlir::ModuleOp quantized,
                                   const CompileOptions &options,
                                   Report &report);

} // namespace nibble

#endif // NIBBLE_PIPELINES_OUTPUTMEASUREMENT_H
