//===- ModelHeader.h - The header of an object file -------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_TARGET_MODELHEADER_H
#define NIBBLE_LIB_TARGET_MODELHEADER_H

#include "ModelConstants.h"
#include "llvm/Support/raw_ostream.h"

namespace nibble::target {

/// Write X.h for X.o: the declaration of its descriptor, with inputs, outputs
/// and the way to link it in comments.
void writeModelHeader(llvm::raw_ostream &os, const ModelInfo &info,
                      const DescriptorText &text, llvm::StringRef identifier,
                      llvm::StringRef objectName);

} // namespace nibble::target

#endif // NIBBLE_LIB_TARGET_MODELHEADER_H
