//===- Parallel.h - Loops over all cores ------------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_PARALLEL_H
#define NIBBLE_SUPPORT_PARALLEL_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include <cstdint>

namespace nibble {

/// Number of threads that `threads` asks for: itself, or all cores if it is 0.
unsigned getThreadCount(unsigned threads);

/// Calls `body(first, last)` for pieces of [0, size) of at most `chunk`
/// iterations, on `threads` threads (0: one per core). Which thread runs which
/// piece is not fixed, but the pieces are: a body that writes only to what its
/// own piece owns gives the same result for any number of threads.
void parallelFor(int64_t size, int64_t chunk, unsigned threads,
                 llvm::function_ref<void(int64_t, int64_t)> body);

} // namespace nibble

#endif // NIBBLE_SUPPORT_PARALLEL_H
