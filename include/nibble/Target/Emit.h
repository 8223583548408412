//===- Emit.h - From the llvm dialect to a binary ---------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TARGET_EMIT_H
#define NIBBLE_TARGET_EMIT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/Timing.h"
#include "nibble/Target/CpuTarget.h"
#include "nibble/Target/ModelInfo.h"
#include "nibble/Target/WeightLayout.h"
#include <memory>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace nibble::target {

/// What to write.
enum class ArtifactKind {
  SharedObject, ///< X.so, loaded by nibble_model_load
  Object,       ///< X.o for a linker, and the header X.h
  Executable,   ///< X, which takes the options of nibble-run
  LLVMIR,       ///< optimized LLVM IR, as text
  Assembly
};

/// Where weights go. Auto: into the binary up to 1.5 GB, else beside it.
enum class WeightPlacement { Auto, Embedded, Sidecar };

/// Weights above this lie in a sidecar unless asked otherwise, and in a section
/// for large data when embedded.
inline constexpr uint64_t embeddedWeightLimit = 1536ull << 20;

struct EmitOptions {
  ArtifactKind kind = ArtifactKind::SharedObject;
  std::string output;
  /// The model's name; empty: the stem of `output`.
  std::string modelName;
  /// What the binary says about its making, for nibble-run --info.
  std::string producer, options;
  WeightPlacement weights = WeightPlacement::Auto;
  /// Threads of a run that does not say; 0: all.
  unsigned threads = 0;
  unsigned optLevel = 3;
  /// Where the time of the steps is noted; may be null.
  mlir::TimingScope *timing = nullptr;
};

/// Make a binary of a module in the llvm dialect (with omp, if it is to be
/// parallel). The entry `info.entry` has `llvm.emit_c_interface` and takes the
/// weights, memref<?xi8>, as its first argument. The file appears at
/// `options.output` when it is complete; on an error, which is reported at the
/// module, nothing is left behind.
mlir::LogicalResult emitArtifact(mlir::ModuleOp module, const ModelInfo &info,
                                 const WeightLayout &layout,
                                 const CpuTarget &target,
                                 const EmitOptions &options);

/// "resnet-20" as a C identifier: "resnet_20".
std::string toIdentifier(llvm::StringRef name);

/// Add what translateModuleToLLVMIR needs for our modules to the registry.
void registerLLVMTranslations(mlir::DialectRegistry &registry);

} // namespace nibble::target

#endif // NIBBLE_TARGET_EMIT_H
