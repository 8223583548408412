//===- Inflate.c - Decompression ------------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorFile.h"

#include <string.h>

enum { MaxBits = 15, MaxLengthCodes = 288, MaxDistanceCodes = 32 };

typedef struct BitReader {
  const unsigned char *next, *end;
  uint64_t bits;
  unsigned count;
} BitReader;

/// `n` bits, the lowest first, into `*value`; n is at most 16.
static bool readBits(BitReader *in, unsigned n, unsigned *value) {
  while (in->count < n) {
    if (in->next == in->end)
      return false;
    in->bits |= (uint64_t)*in->next++ << in->count;
    in->count += 8;
  }
  *value = (unsigned)(in->bits & ((1u << n) - 1));
  in->bits >>= n;
  in->count -= n;
  return true;
}

/// A canonical Huffman code: how many codes have each length, and the symbols
/// in the order of their codes.
typedef struct Huffman {
  uint16_t count[MaxBits + 1];
  uint16_t symbol[MaxLengthCodes];
} Huffman;

static bool buildHuffman(Huffman *code, const uint8_t *lengths, unsigned n) {
  memset(code->count, 0, sizeof(code->count));
  for (unsigned i = 0; i != n; ++i)
    ++code->count[lengths[i]];
  code->count[0] = 0;
  uint16_t offset[MaxBits + 2] = {0};
  int free = 1; // Codes that are left at this length.
  for (unsigned length = 1; length <= MaxBits; ++length) {
    free = 2 * free - code->count[length];
    if (free < 0)
      return false;
    offset[length + 1] = (uint16_t)(offset[length] + code->count[length]);
  }
  for (unsigned i = 0; i != n; ++i)
    if (lengths[i])
      code->symbol[offset[lengths[i]]++] = (uint16_t)i;
  return true;
}

static bool readSymbol(BitReader *in, const Huffman *code, unsigned *symbol) {
  unsigned value = 0, first = 0, index = 0;
  for (unsigned length = 1; length <= MaxBits; ++length) {
    unsigned bit;
    if (!readBits(in, 1, &bit))
      return false;
    value |= bit;
    unsigned count = code->count[length];
    if (value < first + count) {
      *symbol = code->symbol[index + (value - first)];
      return true;
    }
    index += count;
    first = (first + count) << 1;
    value <<= 1;
  }
  return false;
}

typedef struct Output {
  unsigned char *begin;
  size_t size, position;
} Output;

static bool copyStored(BitReader *in, Output *out) {
  // The rest of the byte is padding; whole bytes may wait in the reader.
  unsigned drop = in->count % 8, length, complement;
  in->bits >>= drop;
  in->count -= drop;
  if (!readBits(in, 16, &length) || !readBits(in, 16, &complement) ||
      length != (~complement & 0xffff) || length > out->size - out->position)
    return false;
  for (unsigned i = 0; i != length; ++i) {
    unsigned byte;
    if (!readBits(in, 8, &byte))
      return false;
    out->begin[out->position++] = (unsigned char)byte;
  }
  return true;
}

static bool copyCompressed(BitReader *in, Output *out, const Huffman *lengths,
                           const Huffman *distances) {
  static const uint16_t lengthBase[] = {
      3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
      31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
  static const uint8_t lengthExtra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
                                        1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
                                        4, 4, 4, 4, 5, 5, 5, 5, 0};
  for (;;) {
    unsigned symbol, extra;
    if (!readSymbol(in, lengths, &symbol))
      return false;
    if (symbol == 256)
      return true;
    if (symbol < 256) {
      if (out->position == out->size)
        return false;
      out->begin[out->position++] = (unsigned char)symbol;
      continue;
    }
    symbol -= 257;
    if (symbol >= sizeof(lengthExtra) ||
        !readBits(in, lengthExtra[symbol], &extra))
      return false;
    size_t length = lengthBase[symbol] + extra;
    unsigned code;
    if (!readSymbol(in, distances, &code) || code >= 30)
      return false;
    // Two codes for every number of extra bits: 1, 2, 3, 4, 5, 7, 9, 13, ...
    unsigned extraBits = code < 4 ? 0 : code / 2 - 1;
    if (!readBits(in, extraBits, &extra))
      return false;
    size_t distance =
        code < 4 ? code + 1 : ((size_t)(2 + code % 2) << extraBits) + 1 + extra;
    if (distance > out->position || length > out->size - out->position)
      return false;
    // Byte by byte: the source may overlap what is being written.
    for (; length; --length, ++out->position)
      out->begin[out->position] = out->begin[out->position - distance];
  }
}

static void fixedCodes(Huffman *lengths, Huffman *distances) {
  uint8_t bits[MaxLengthCodes];
  for (unsigned i = 0; i != MaxLengthCodes; ++i)
    bits[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  buildHuffman(lengths, bits, MaxLengthCodes);
  memset(bits, 5, 30);
  buildHuffman(distances, bits, 30);
}

static bool readCodes(BitReader *in, Huffman *lengths, Huffman *distances) {
  static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                    11, 4,  12, 3, 13, 2, 14, 1, 15};
  unsigned lengthCount, distanceCount, codeCount;
  if (!readBits(in, 5, &lengthCount) || !readBits(in, 5, &distanceCount) ||
      !readBits(in, 4, &codeCount))
    return false;
  lengthCount += 257;
  distanceCount += 1;
  codeCount += 4;
  if (lengthCount > 286 || distanceCount > 30)
    return false;
  uint8_t bits[MaxLengthCodes + MaxDistanceCodes] = {0};
  for (unsigned i = 0; i != codeCount; ++i) {
    unsigned value;
    if (!readBits(in, 3, &value))
      return false;
    bits[order[i]] = (uint8_t)value;
  }
  Huffman codes;
  if (!buildHuffman(&codes, bits, 19))
    return false;
  memset(bits, 0, sizeof(bits));
  for (unsigned i = 0; i < lengthCount + distanceCount;) {
    unsigned symbol, repeat = 1, value = 0;
    if (!readSymbol(in, &codes, &symbol))
      return false;
    if (symbol < 16) {
      value = symbol;
    } else if (symbol == 16) { // The length before, 3 to 6 times.
      if (i == 0 || !readBits(in, 2, &repeat))
        return false;
      repeat += 3;
      value = bits[i - 1];
    } else { // Zeros, 3 to 10 or 11 to 138 times.
      if (!readBits(in, symbol == 17 ? 3 : 7, &repeat))
        return false;
      repeat += symbol == 17 ? 3 : 11;
    }
    if (repeat > lengthCount + distanceCount - i)
      return false;
    for (; repeat; --repeat)
      bits[i++] = (uint8_t)value;
  }
  return bits[256] != 0 && buildHuffman(lengths, bits, lengthCount) &&
         buildHuffman(distances, bits + lengthCount, distanceCount);
}

static bool copyBlock(BitReader *in, Output *out, unsigned *last) {
  unsigned type;
  Huffman lengths, distances;
  if (!readBits(in, 1, last) || !readBits(in, 2, &type) || type == 3)
    return false;
  if (type == 0)
    return copyStored(in, out);
  if (type == 1)
    fixedCodes(&lengths, &distances);
  else if (!readCodes(in, &lengths, &distances))
    return false;
  return copyCompressed(in, out, &lengths, &distances);
}

bool nibbleInflate(const unsigned char *from, size_t fromSize,
                   unsigned char *to, size_t size,
                   void (*done)(void *user, size_t read, size_t written),
                   void *user) {
  BitReader in = {.next = from, .end = from + fromSize};
  Output out = {.begin = to, .size = size};
  for (unsigned last = 0; !last;) {
    if (!copyBlock(&in, &out, &last))
      return false;
    if (done)
      done(user, (size_t)(in.next - from), out.position);
  }
  return out.position == size;
}

uint32_t nibbleCrc32(const unsigned char *data, size_t size) {
  uint32_t table[256];
  for (uint32_t i = 0; i != 256; ++i) {
    table[i] = i;
    for (int bit = 0; bit != 8; ++bit)
      table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
  }
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i != size; ++i)
    crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xff];
  return ~crc;
}
