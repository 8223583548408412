//===- Pool.c - Memory of a context ---------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A model allocates and frees the same sizes in every run. Freed blocks go to a
// list of their size class (eight classes per power of two, so at most an
// eighth is wasted), and the next run takes them from there without a call to
// the system.
//
//===----------------------------------------------------------------------===//

#include "Pool.h"

#include <stdlib.h>

enum {
  BlockAlignment = 64,
  StepsPerPower = 8,
  MinimumShift = 9, // The smallest class is 512 bytes.
  /// Runs after which memory that none of them used goes back to the system.
  RunsToKeep = 8
};

/// The class of blocks of at least `bytes`; their size in `*size`.
static unsigned sizeClassOf(uint64_t bytes, uint64_t *size) {
  const uint64_t minimum = UINT64_C(1) << MinimumShift;
  if (bytes <= minimum) {
    *size = minimum;
    return 0;
  }
  // bytes - 1 lies in [2^shift, 2^(shift+1)), which has eight steps.
  unsigned shift = 63 - (unsigned)__builtin_clzll(bytes - 1);
  uint64_t step = (UINT64_C(1) << shift) / StepsPerPower;
  uint64_t index = ((bytes - 1) >> (shift - 3)) - StepsPerPower;
  *size = (UINT64_C(1) << shift) + (index + 1) * step;
  return (unsigned)((shift - MinimumShift) * StepsPerPower + index + 1);
}

static PoolBlock *headerOf(void *pointer) { return (PoolBlock *)pointer - 1; }

static PoolBlock *newBlock(uint64_t alignment, uint64_t bytes) {
  if (alignment < BlockAlignment)
    alignment = BlockAlignment;
  // The header lies before the memory, so that one alignment holds for it.
  uint64_t total = bytes + alignment;
  void *allocation;
  if (posix_memalign(&allocation, alignment, total) != 0)
    return NULL;
  PoolBlock *block =
      (PoolBlock *)((char *)allocation + alignment - sizeof(PoolBlock));
  *block = (PoolBlock){.allocation = allocation, .bytes = bytes};
  return block;
}

static PoolBlock *takeFree(Pool *pool, unsigned sizeClass, uint64_t alignment) {
  // A block of up to twice the size will do too.
  unsigned end = sizeClass + StepsPerPower;
  for (unsigned c = sizeClass; c <= end && c < PoolClasses; ++c)
    for (PoolBlock **link = &pool->free[c]; *link; link = &(*link)->next) {
      PoolBlock *block = *link;
      if (((uintptr_t)(block + 1) & (alignment - 1)) != 0)
        continue;
      *link = block->next;
      return block;
    }
  return NULL;
}

void *nibblePoolAllocate(Pool *pool, uint64_t alignment, uint64_t bytes) {
  if (alignment < BlockAlignment)
    alignment = BlockAlignment;
  // More than a process of x86-64 can address.
  if (bytes >= UINT64_C(1) << 47)
    return NULL;
  PoolBlock *block;
  if (!pool) {
    block = newBlock(alignment, bytes ? bytes : 1);
    return block ? block + 1 : NULL;
  }
  uint64_t size;
  unsigned sizeClass = sizeClassOf(bytes, &size);
  block = takeFree(pool, sizeClass, alignment);
  if (!block) {
    block = newBlock(alignment, size);
    if (!block)
      return NULL;
    block->sizeClass = sizeClass;
    block->owner = pool;
    pool->bytes += size;
  }
  block->usedInRun = pool->run;
  block->previous = NULL;
  block->next = pool->used;
  if (pool->used)
    pool->used->previous = block;
  pool->used = block;
  const PoolWatcher *watcher = pool->watcher;
  if (watcher && !watcher->use(watcher->user, block + 1, bytes, block->bytes)) {
    nibblePoolRelease(block + 1);
    return NULL;
  }
  return block + 1;
}

static void freeBlock(Pool *pool, PoolBlock *block) {
  if (pool->watcher)
    pool->watcher->end(pool->watcher->user, block + 1);
  pool->bytes -= block->bytes;
  free(block->allocation);
}

static void makeFree(Pool *pool, PoolBlock *block) {
  if (pool->watcher)
    pool->watcher->release(pool->watcher->user, block + 1);
  block->next = pool->free[block->sizeClass];
  pool->free[block->sizeClass] = block;
}

void nibblePoolRelease(void *pointer) {
  if (!pointer)
    return;
  PoolBlock *block = headerOf(pointer);
  Pool *pool = block->owner;
  if (!pool) {
    free(block->allocation);
    return;
  }
  if (block->previous)
    block->previous->next = block->next;
  else
    pool->used = block->next;
  if (block->next)
    block->next->previous = block->previous;
  makeFree(pool, block);
}

bool nibblePoolOwns(const Pool *pool, const void *pointer) {
  for (const PoolBlock *block = pool->used; block; block = block->next)
    if ((const void *)(block + 1) == pointer)
      return true;
  return false;
}

static bool holdsAny(const PoolBlock *block, const void *const *pointers,
                     size_t count) {
  const char *begin = (const char *)(block + 1);
  for (size_t i = 0; i != count; ++i)
    if ((const char *)pointers[i] >= begin &&
        (const char *)pointers[i] < begin + block->bytes)
      return true;
  return false;
}

void nibblePoolNextRun(Pool *pool, const void *const *kept, size_t keptCount) {
  for (PoolBlock *block = pool->used; block;) {
    PoolBlock *next = block->next;
    if (!holdsAny(block, kept, keptCount))
      nibblePoolRelease(block + 1);
    block = next;
  }
  ++pool->run;
  for (unsigned c = 0; c != PoolClasses; ++c)
    for (PoolBlock **link = &pool->free[c]; *link;) {
      PoolBlock *block = *link;
      if (block->usedInRun + RunsToKeep >= pool->run) {
        link = &block->next;
        continue;
      }
      *link = block->next;
      freeBlock(pool, block);
    }
}

void nibblePoolDestroy(Pool *pool) {
  nibblePoolNextRun(pool, NULL, 0);
  for (unsigned c = 0; c != PoolClasses; ++c)
    while (pool->free[c]) {
      PoolBlock *block = pool->free[c];
      pool->free[c] = block->next;
      freeBlock(pool, block);
    }
}
