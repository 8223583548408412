//===- Suggest.cpp - The name a user may have meant -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/Suggest.h"
#include "llvm/ADT/Twine.h"
#include <algorithm>

using llvm::StringRef;

std::string nibble::suggestNearest(StringRef name,
                                   llvm::ArrayRef<StringRef> choices) {
  StringRef nearest;
  // A third of the letters may differ; more is a different word.
  unsigned least = std::max<size_t>(name.size() / 3, 1) + 1;
  for (StringRef choice : choices) {
    unsigned distance = name.edit_distance_insensitive(
        choice, /*AllowReplacements=*/true, least);
    if (distance < least) {
      least = distance;
      nearest = choice;
    }
  }
  return nearest.empty() ? "" : ("; did you mean '" + nearest + "'?").str();
}
