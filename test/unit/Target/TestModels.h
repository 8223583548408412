//===- TestModels.h - Small models for tests --------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_UNIT_TARGET_TESTMODELS_H
#define NIBBLE_TEST_UNIT_TARGET_TESTMODELS_H

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "nibble/Execution/CompiledModel.h"
#include "nibble/Pipelines/InitNibble.h"
#include "nibble/Target/Passes.h"
#include "gtest/gtest.h"

namespace nibble::test {

/// y = 2 * x + w, for x of any length; w has 4 elements and is used cyclically.
inline constexpr const char *scaleModel = R"mlir(
func.func @main_graph(%x: memref<?xf32> {onnx.name = "x", onnx.dim_names = ["n"]},
                      %b: memref<?xf32> {onnx.name = "b", onnx.dim_names = ["n"]})
    -> (memref<?xf32> {onnx.name = "y", onnx.dim_names = ["n"]})
    attributes {llvm.emit_c_interface} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %w = nibble.weight dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32> -> memref<4xf32>
  %n = memref.dim %x, %c0 : memref<?xf32>
  %y = memref.alloc(%n) : memref<?xf32>
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %j = arith.remui %i, %c4 : index
    %0 = memref.load %x[%i] : memref<?xf32>
    %1 = memref.load %b[%i] : memref<?xf32>
    %2 = memref.load %w[%j] : memref<4xf32>
    %3 = arith.mulf %0, %1 : f32
    %4 = arith.addf %3, %2 : f32
    memref.store %4, %y[%i] : memref<?xf32>
  }
  return %y : memref<?xf32>
}
)mlir";

/// Parses, lowers and compiles modules.
class ModelBuilder {
public:
  ModelBuilder() {
    mlir::DialectRegistry registry;
    registerAllDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    static const bool registered = [] {
      registerAllPasses();
      return true;
    }();
    (void)registered;
  }

  /// To the llvm dialect, with the weights placed.
  mlir::OwningOpRef<mlir::ModuleOp> lower(llvm::StringRef text) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    mlir::PassManager passes(&context);
    if (!module || failed(mlir::parsePassPipeline(pipeline, passes)) ||
        failed(passes.run(*module)))
      return {};
    return module;
  }

  mlir::LogicalResult emit(llvm::StringRef text,
                           const target::EmitOptions &options,
                           llvm::StringRef march = "native") {
    auto module = lower(text);
    if (!module)
      return mlir::failure();
    auto error = [&] { return module->emitError(); };
    auto info = target::ModelInfo::fromModule(*module);
    auto layout = target::WeightLayout::fromModule(*module);
    auto cpu = target::CpuTarget::get(march, error);
    if (failed(info) || failed(layout) || failed(cpu))
      return mlir::failure();
    return target::emitArtifact(*module, *info, *layout, *cpu, options);
  }

  mlir::FailureOr<std::unique_ptr<CompiledModel>>
  compile(llvm::StringRef text, llvm::StringRef march = "native") {
    auto module = lower(text);
    if (!module)
      return mlir::failure();
    auto info = target::ModelInfo::fromModule(*module);
    auto layout = target::WeightLayout::fromModule(*module);
    auto cpu =
        target::CpuTarget::get(march, [&] { return module->emitError(); });
    if (failed(info) || failed(layout) || failed(cpu))
      return mlir::failure();
    return CompiledModel::compile(*module, *info, *layout, *cpu);
  }

  mlir::MLIRContext context;
  /// From func, memref, scf and arith to the llvm dialect.
  std::string pipeline =
      "nibble-place-weights,convert-scf-to-openmp,convert-scf-to-cf,"
      "expand-strided-metadata,finalize-memref-to-llvm{use-generic-functions},"
      "convert-openmp-to-llvm,convert-cf-to-llvm,convert-func-to-llvm,"
      "convert-arith-to-llvm,convert-index-to-llvm,reconcile-unrealized-casts";
};

} // namespace nibble::test

#endif // NIBBLE_TEST_UNIT_TARGET_TESTMODELS_H
