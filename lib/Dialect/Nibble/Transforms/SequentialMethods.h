//===- SequentialMethods.h - Methods that look at samples -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_NIBBLE_TRANSFORMS_SEQUENTIALMETHODS_H
#define NIBBLE_LIB_DIALECT_NIBBLE_TRANSFORMS_SEQUENTIALMETHODS_H

#include "nibble/Dialect/Nibble/Transforms/SequentialQuantization.h"
#include "nibble/Quantizer/GPTQ.h"

namespace nibble {

/// GPTQ on the activations of a stage.
std::unique_ptr<SequentialMethod>
createGPTQMethod(const quantizer::GPTQOptions &options);

/// Rounds the tables of rows to nearest that ask for one of `methods`, with a
/// remark: these methods look at inputs that weights are multiplied with, which
/// tables are not.
mlir::FailureOr<QuantizationCounts>
roundTables(mlir::ModuleOp module, llvm::ArrayRef<llvm::StringRef> methods);

} // namespace nibble

#endif // NIBBLE_LIB_DIALECT_NIBBLE_TRANSFORMS_SEQUENTIALMETHODS_H
