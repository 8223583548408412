//===- Seal.h - Checksums at the end of a binary ----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_TARGET_SEAL_H
#define NIBBLE_LIB_TARGET_SEAL_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <optional>

namespace nibble::target {

/// Names of the section that holds embedded weights, in the small and in the
/// large code model.
inline constexpr llvm::StringLiteral weightsSection = ".nibble_weights";
inline constexpr llvm::StringLiteral largeWeightsSection = ".lrodata.nibble";

/// Appends a `nibble_file_seal` to the linked file `path`. `weightsHash` is the
/// hash of the embedded weights, if there are any.
llvm::Error sealBinary(llvm::StringRef path,
                       std::optional<uint64_t> weightsHash);

} // namespace nibble::target

#endif // NIBBLE_LIB_TARGET_SEAL_H
