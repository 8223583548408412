//===- Suggest.h - The name a user may have meant ---------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_SUGGEST_H
#define NIBBLE_SUPPORT_SUGGEST_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace nibble {

/// `"; did you mean 'x'?"` for the choice that is nearest to `name` (upper and
/// lower case count as equal), or nothing if none is near.
std::string suggestNearest(llvm::StringRef name,
                           llvm::ArrayRef<llvm::StringRef> choices);

} // namespace nibble

#endif // NIBBLE_SUPPORT_SUGGEST_H
