//===- Pool.h - Memory of a context ---------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_POOL_H
#define NIBBLE_LIB_RUNTIME_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Header of a block of the pool; the memory follows, 64-byte aligned.
typedef struct PoolBlock {
  struct PoolBlock *next;
  struct PoolBlock *previous; ///< only of blocks in use
  struct Pool *owner;         ///< NULL: taken outside of a run
  void *allocation;           ///< what free() takes
  uint64_t bytes;             ///< usable size
  uint64_t usedInRun;         ///< number of the last run that used it
  uint64_t sizeClass;
  uint64_t reserved;
} PoolBlock;

enum { PoolClasses = 8 * 56 };

/// Who keeps something beside the memory of a pool. `use` is told that a block
/// of `size` is handed out for `bytes`, `release` that it came back, `end` that
/// it is freed.
typedef struct PoolWatcher {
  void *user;
  /// False if there is no memory for it.
  bool (*use)(void *user, void *memory, uint64_t bytes, uint64_t size);
  void (*release)(void *user, void *memory);
  void (*end)(void *user, void *memory);
} PoolWatcher;

/// Memory of one context. Not locked: a context runs on one thread.
typedef struct Pool {
  PoolBlock *free[PoolClasses];
  PoolBlock *used;
  uint64_t run;               ///< counts runs
  uint64_t bytes;             ///< held, in use or not
  const PoolWatcher *watcher; ///< or NULL
} Pool;

/// At least `bytes` with this alignment (a power of two), or NULL.
void *nibblePoolAllocate(Pool *pool, uint64_t alignment, uint64_t bytes);
void nibblePoolRelease(void *pointer);
/// True if `pointer` is memory in use of this pool.
bool nibblePoolOwns(const Pool *pool, const void *pointer);
/// All memory in use becomes reusable, but for blocks that one of `kept` points
/// into, and what no recent run used is freed.
void nibblePoolNextRun(Pool *pool, const void *const *kept, size_t keptCount);
void nibblePoolDestroy(Pool *pool);

#endif // NIBBLE_LIB_RUNTIME_POOL_H
