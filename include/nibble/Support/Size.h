//===- Size.h - Numbers of bytes as people write them -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_SIZE_H
#define NIBBLE_SUPPORT_SIZE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>

namespace nibble {

/// "60MB", "1.5 GiB", "4096": kB, MB, GB, TB (or k, M, G, T) are powers of 1000
/// and KiB, MiB, GiB, TiB powers of 1024, in upper or lower case; fractions of
/// a byte are dropped.
llvm::Expected<uint64_t> parseSize(llvm::StringRef text);

/// "1.50 MB", with powers of 1000.
std::string formatBytes(uint64_t bytes);

} // namespace nibble

#endif // NIBBLE_SUPPORT_SIZE_H
