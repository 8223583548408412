//===- Link.h - Linking with lld --------------------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_TARGET_LINK_H
#define NIBBLE_LIB_TARGET_LINK_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace nibble::target {

using EmitErrorFn = llvm::function_ref<mlir::InFlightDiagnostic()>;

/// Link objects and the runtime to a shared object whose exports are the public
/// functions of nibble.h, `descriptor` and NIBBLE_SHARED_MODEL_SYMBOL.
/// `script` is the name of a helper file; `shown` stands for `output`, which is
/// a temporary name, in messages.
mlir::LogicalResult
linkSharedObject(llvm::ArrayRef<std::string> objects,
                 llvm::StringRef descriptor, llvm::StringRef soname,
                 llvm::StringRef script, llvm::StringRef output,
                 llvm::StringRef shown, EmitErrorFn emitError);

/// Link objects and the runtime to a program that behaves as nibble-run.
mlir::LogicalResult linkExecutable(llvm::ArrayRef<std::string> objects,
                                   llvm::StringRef output,
                                   llvm::StringRef shown,
                                   EmitErrorFn emitError);

/// Join objects to one that a linker takes.
mlir::LogicalResult linkRelocatable(llvm::ArrayRef<std::string> objects,
                                    llvm::StringRef output,
                                    llvm::StringRef shown,
                                    EmitErrorFn emitError);

} // namespace nibble::target

#endif // NIBBLE_LIB_TARGET_LINK_H
