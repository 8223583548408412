//===- EqualFunctions.h -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The layers of a model repeat each other, and so does the code made for them.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_EQUALFUNCTIONS_H
#define NIBBLE_CODEGEN_EQUALFUNCTIONS_H

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/DenseMap.h"

namespace nibble::codegen {

/// Functions by their code. What they are called and where they come from does
/// not matter.
class EqualFunctions {
public:
  /// The function known with the type and code of `function`, which is known
  /// from now on if there was none.
  mlir::FunctionOpInterface insert(mlir::FunctionOpInterface function);

private:
  llvm::DenseMap<size_t, llvm::SmallVector<mlir::FunctionOpInterface>> known;
};

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_EQUALFUNCTIONS_H
