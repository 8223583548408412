//===- Hash.c - Checksums of model files ----------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Runtime/Hash.h"

#include <string.h>

// The primes of the specification.
static const uint64_t P1 = 0x9e3779b185ebca87u, P2 = 0xc2b2ae3d27d4eb4fu,
                      P3 = 0x165667b19e3779f9u, P4 = 0x85ebca77c2b2ae63u,
                      P5 = 0x27d4eb2f165667c5u;

static uint64_t rotate(uint64_t value, unsigned bits) {
  return value << bits | value >> (64 - bits);
}

static uint64_t read64(const unsigned char *p) {
  uint64_t value;
  memcpy(&value, p, sizeof(value));
  return value;
}

static uint64_t mix(uint64_t lane, uint64_t word) {
  return rotate(lane + word * P2, 31) * P1;
}

static void addStripe(uint64_t lanes[4], const unsigned char *p) {
  for (int i = 0; i != 4; ++i)
    lanes[i] = mix(lanes[i], read64(p + 8 * i));
}

void nibbleHashBegin(NibbleHash *hash) {
  *hash = (NibbleHash){.lanes = {P1 + P2, P2, 0, 0 - P1}};
}

void nibbleHashAdd(NibbleHash *hash, const void *data, size_t size) {
  const unsigned char *p = data;
  size_t held = hash->bytes % 32;
  hash->bytes += size;
  if (held) {
    size_t count = size < 32 - held ? size : 32 - held;
    memcpy(hash->rest + held, p, count);
    if (held + count < 32)
      return;
    addStripe(hash->lanes, hash->rest);
    p += count;
    size -= count;
  }
  uint64_t lanes[4];
  memcpy(lanes, hash->lanes, sizeof(lanes));
  for (; size >= 32; p += 32, size -= 32)
    addStripe(lanes, p);
  memcpy(hash->lanes, lanes, sizeof(lanes));
  if (size)
    memcpy(hash->rest, p, size);
}

uint64_t nibbleHashEnd(const NibbleHash *hash) {
  const uint64_t *lanes = hash->lanes;
  uint64_t sum = P5;
  if (hash->bytes >= 32) {
    sum = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) +
          rotate(lanes[3], 18);
    for (int i = 0; i != 4; ++i)
      sum = (sum ^ mix(0, lanes[i])) * P1 + P4;
  }
  sum += hash->bytes;
  const unsigned char *p = hash->rest;
  const unsigned char *end = p + hash->bytes % 32;
  for (; end - p >= 8; p += 8)
    sum = rotate(sum ^ mix(0, read64(p)), 27) * P1 + P4;
  if (end - p >= 4) {
    uint32_t word;
    memcpy(&word, p, sizeof(word));
    sum = rotate(sum ^ word * P1, 23) * P2 + P3;
    p += 4;
  }
  for (; p != end; ++p)
    sum = rotate(sum ^ *p * P5, 11) * P1;
  sum = (sum ^ sum >> 33) * P2;
  sum = (sum ^ sum >> 29) * P3;
  return sum ^ sum >> 32;
}
