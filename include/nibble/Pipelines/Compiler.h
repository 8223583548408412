//===- Compiler.h - One compilation, from a file to a file -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_PIPELINES_COMPILER_H
#define NIBBLE_PIPELINES_COMPILER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "nibble/Calibration/BlockRunner.h"
#include "nibble/Pipelines/CompileOptions.h"
#include "nibble/Target/CpuTarget.h"
#include <functional>
#include <memory>

namespace nibble {
class CompiledModel;
struct QuantizePipelineOptions;
struct StaticPipelineOptions;

/// Compiles one model as `options` say. Problems are reported as diagnostics of
/// the context; after a failure no output file exists or has changed.
class Compiler {
public:
  /// Prepares a pass manager: debugging options, plugins' instrumentation. The
  /// time of phases and steps is noted in `timing`, if it is given.
  using PassManagerSetup =
      std::function<llvm::LogicalResult(mlir::PassManager &)>;

  Compiler(mlir::MLIRContext *context, CompileOptions options,
           PassManagerSetup setup = nullptr,
           mlir::TimingScope *timing = nullptr);

  /// Reads, compiles, writes.
  llvm::LogicalResult run();

  /// Reads `options.inputFile`: ONNX, or MLIR as any phase writes it.
  mlir::OwningOpRef<mlir::ModuleOp> readInput();
  /// Brings a module from its phase to `options.getLastPhase()`, at most to
  /// the LLVM dialect.
  llvm::LogicalResult lower(mlir::ModuleOp module);
  /// Compiles a module in phase `llvm` for this process, to run it now.
  mlir::FailureOr<std::unique_ptr<CompiledModel>>
  makeExecutable(mlir::ModuleOp module);
  /// Writes the module, or the binary made from it.
  llvm::LogicalResult writeOutput(mlir::ModuleOp module);

private:
  mlir::OwningOpRef<mlir::ModuleOp> readModule();
  llvm::LogicalResult compile();
  void requestReport(mlir::ModuleOp module);
  llvm::LogicalResult writeReports(mlir::ModuleOp module);
  llvm::LogicalResult runPhase(mlir::ModuleOp module, Phase phase);
  double getPhaseWeight(Phase phase) const;
  llvm::LogicalResult checkTarget(mlir::ModuleOp module,
                                  std::optional<Phase> done, Phase last) const;
  mlir::FailureOr<std::unique_ptr<calibration::BlockRunner>>
  makeBlockRunner(mlir::ModuleOp module,
                  calibration::BlockRunnerOptions runnerOptions) const;
  llvm::LogicalResult printEstimate(mlir::ModuleOp module);
  mlir::FailureOr<target::CpuTarget> getCpu();
  void setQuantizeOptions(QuantizePipelineOptions &quantize) const;
  void setStaticOptions(StaticPipelineOptions &quantize) const;

  mlir::MLIRContext *context;
  /// With samples: the module at the end of phase `onnx`.
  mlir::OwningOpRef<mlir::ModuleOp> floatModel;
  CompileOptions options;
  PassManagerSetup setup;
  mlir::TimingScope noTiming;
  mlir::TimingScope &timing;
};

/// Name of the module attribute that says which phase a module has reached.
constexpr llvm::StringLiteral phaseAttrName = "nibble.phase";
/// Name of the one with the --target of a module from phase `vector` on, unless
/// it is the CPU.
constexpr llvm::StringLiteral targetAttrName = "nibble.target";

/// Writes `module` as text, or as bytecode if the name ends in `.mlirbc`.
/// Constants that passes made and that are larger than `maxDenseBytes` go to
/// `<path without extension>.weights` beside it and are printed as references.
llvm::LogicalResult writeModule(mlir::ModuleOp module, llvm::StringRef path);

} // namespace nibble

#endif // NIBBLE_PIPELINES_COMPILER_H
