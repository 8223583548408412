//===- ToolMain.h - What tools have in common -------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_PIPELINES_TOOLMAIN_H
#define NIBBLE_LIB_PIPELINES_TOOLMAIN_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace nibble {

/// Prints a diagnostic in one line, its notes in lines of their own. Quoting
/// source lines, as the handler of IR tools does, says nothing about a model.
void printDiagnostic(mlir::Diagnostic &diagnostic);

/// Libraries of LLVM register options for tools of their own. `names`, which
/// the command line of this tool needs, are taken from them; the others are
/// left to
/// --help-hidden.
void freeOptionNames(llvm::ArrayRef<llvm::StringRef> names);

} // namespace nibble

#endif // NIBBLE_LIB_PIPELINES_TOOLMAIN_H
