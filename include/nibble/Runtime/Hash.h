//===- Hash.h - Checksums of model files ------------------------*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// XXH64 with seed 0, in pieces: the compiler writes these sums, the runtime
// checks them, and the runtime has no LLVM. Not a defence against forgery.
// Source: doc/xxhash_spec.md of the xxHash project.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_HASH_H
#define NIBBLE_RUNTIME_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct NibbleHash {
  uint64_t lanes[4];
  uint64_t bytes; ///< added so far
  unsigned char rest[32];
} NibbleHash;

void nibbleHashBegin(NibbleHash *hash);
void nibbleHashAdd(NibbleHash *hash, const void *data, size_t size);
/// The sum of everything that was added. `hash` is as before.
uint64_t nibbleHashEnd(const NibbleHash *hash);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // NIBBLE_RUNTIME_HASH_H
