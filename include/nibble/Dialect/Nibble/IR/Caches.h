//===- Caches.h - Pairs of a past and a present -----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How a function says which of its arguments and results share a buffer that
// the context of a run keeps.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_CACHES_H
#define NIBBLE_DIALECT_NIBBLE_IR_CACHES_H

#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/ADT/StringRef.h"

namespace nibble {

/// What writes into the present of `append` before anything reads it, so that
/// its result is the present: of a cache that grows only if it has no room.
/// Null if there is no such operation.
UpdateCacheOp getUpdateOf(AppendCacheOp append);

/// On tensors: of an argument (past) and of a result (present), the number of
/// the cache that both are, an i64 that counts from 0.
inline constexpr llvm::StringLiteral cacheAttrName = "nibble.cache";

/// On memrefs, of a past whose present is no result any more: a dictionary of
/// `cache`; `axis`, the dimension of the positions; `grows`, true if the
/// present has more positions than the past; `output`, the place of the present
/// among the outputs of the model; its `type`, a tensor; and `attrs`, the
/// attributes that the result had.
inline constexpr llvm::StringLiteral keptCacheAttrName = "nibble.kept_cache";

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_IR_CACHES_H
