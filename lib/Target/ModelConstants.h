//===- ModelConstants.h - Descriptor and entry of a binary ------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_TARGET_MODELCONSTANTS_H
#define NIBBLE_LIB_TARGET_MODELCONSTANTS_H

#include "nibble/Target/CpuTarget.h"
#include "nibble/Target/CudaTarget.h"
#include "nibble/Target/ModelInfo.h"
#include "llvm/IR/Module.h"

namespace nibble::target {

/// What the descriptor holds besides the ModelInfo.
struct DescriptorText {
  std::string name, producer, options;
  /// File name of the sidecar; empty if there is none.
  std::string sidecar;
  uint64_t sidecarHash = 0;
  uint64_t weightBytes = 0;
  unsigned defaultThreads = 0;
  /// Symbol of embedded weights; empty if there are none.
  std::string weightsSymbol;
  /// Kernels; empty for a model that runs on the CPU.
  DeviceCode device;
};

/// Define the constant `symbol` (nibble_model_descriptor) and the function it
/// enters the model through, which calls `_mlir_ciface_<entry>`.
llvm::GlobalVariable *addDescriptor(llvm::Module &module,
                                    llvm::StringRef symbol,
                                    const ModelInfo &info,
                                    const CpuTarget &target,
                                    const DescriptorText &text);

/// Define NIBBLE_SHARED_MODEL_SYMBOL, through which a binary that carries the
/// runtime is opened.
void addSharedModelEntry(llvm::Module &module,
                         llvm::GlobalVariable *descriptor);

} // namespace nibble::target

#endif // NIBBLE_LIB_TARGET_MODELCONSTANTS_H
