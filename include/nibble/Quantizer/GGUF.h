//===- GGUF.h - The block types of GGUF files -------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What llama.cpp stores weights in, and how it chooses codes and scales. Codes
// and scales are equal, bit for bit, to those of ggml's reference quantizers
// (the functions quantize_row_*_ref, and quantize_* with an importance matrix)
// built without fused multiply-add.
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_GGUF_H
#define NIBBLE_QUANTIZER_GGUF_H

#include "nibble/Quantizer/Method.h"

namespace nibble::quantizer {

enum class GGUFType : uint8_t {
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q8_0,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K
};

/// The facts of a type. The types in blocks of 32 store a half-precision scale,
/// and where `hasMinimum` a minimum, for each block:
///
///     w = scale * (code - zero)          or    w = scale * code + minimum
///
/// The `K` types have super-blocks of 256 in groups of 16 or 32; the scale and
/// minimum of a group are integers times those of the super-block.
struct GGUFTypeInfo {
  GGUFType type;
  llvm::StringLiteral name;
  /// Number of the type in GGUF files.
  unsigned number;
  unsigned bits;
  /// Weights of a block, and weights that share a scale.
  unsigned block, group;
  /// Bytes of a block in a file.
  unsigned bytes;
  bool hasMinimum;
  /// The code of weight 0 in types without a minimum.
  int zero;

  bool hasSuperBlocks() const { return block != group; }
  /// Bits of one weight in a file.
  double getBitsPerWeight() const { return 8.0 * bytes / block; }
};

/// All types, in the order of the enumeration.
llvm::ArrayRef<GGUFTypeInfo> getGGUFTypes();
const GGUFTypeInfo &getInfo(GGUFType type);
/// The type of that name ("Q4_K"), without regard to case.
std::optional<GGUFType> symbolizeGGUFType(llvm::StringRef name);

/// `type`, or the one to use instead for rows that are not whole super-blocks,
/// as llama.cpp chooses it: Q4_K becomes Q5_0, Q5_K becomes Q5_1, Q6_K becomes
/// Q8_0; Q2_K and Q3_K, for which it has IQ4_NL, become Q4_0 here.
GGUFType getTypeForRowsOf(GGUFType type, int64_t cols);

/// A weight of `rows` x `cols` in a type; B blocks and G groups a row.
struct GGUFWeight {
  GGUFType type = GGUFType::Q4_0;
  int64_t rows = 0, cols = 0;
  std::vector<uint8_t> codes; ///< [rows, cols], unsigned.
  /// [rows, B]: values of half-precision numbers.
  std::vector<float> scales;
  /// [rows, B], or empty without minimums. They are added: those of super-
  /// blocks, which files store as what is subtracted, have the sign changed.
  std::vector<float> minimums;
  /// [rows, G]; empty for types without super-blocks.
  std::vector<int8_t> subScales;
  /// [rows, G]; empty for types without super-blocks or minimums.
  std::vector<int8_t> subMinimums;

  GGUFWeight() = default;
  GGUFWeight(GGUFType type, int64_t rows, int64_t cols);
  int64_t getNumBlocks() const;
  int64_t getNumGroups() const;
};

/// Quantizes `weight`. With `importance` [cols], the mean of the squares of
/// each column's input, errors of columns count by it (llama.cpp's importance
/// matrix; Q8_0 takes no notice of it). The last block of a row may be short in
/// types of blocks of 32. The same for any number of `threads` (0: one per
/// core).
///
/// Errors: columns that are not whole super-blocks; importance of a wrong size,
/// negative or not finite; the first weight (in row order) that is not finite;
/// a scale beyond the largest half-precision number.
llvm::Expected<GGUFWeight> quantizeGGUF(const WeightView &weight, GGUFType type,
                                        llvm::ArrayRef<float> importance = {},
                                        unsigned threads = 0);

/// Writes the weights to `out` [rows, cols], rounded as ggml rounds them.
void dequantize(const GGUFWeight &weight, llvm::MutableArrayRef<float> out,
                unsigned threads = 0);

/// Bytes of a row of `cols` weights, a multiple of the block, in a file.
int64_t getGGUFRowBytes(GGUFType type, int64_t cols);
/// Writes the blocks as they lie in GGUF files. `out` has rows *
/// getGGUFRowBytes; `cols` is a multiple of the block.
void packGGUF(const GGUFWeight &weight, llvm::MutableArrayRef<uint8_t> out);
/// The inverse of `packGGUF`.
GGUFWeight unpackGGUF(GGUFType type, int64_t rows, int64_t cols,
                      llvm::ArrayRef<uint8_t> bytes);

//===----------------------------------------------------------------------===//
// As schemes
//===----------------------------------------------------------------------===//

/// The scheme with the values of a type: `K` types have scales of two levels.
/// Its scale rule is `GGML`.
QuantizationScheme getGGUFScheme(GGUFType type);
/// The type of a scheme whose scale rule is `GGML`, or nothing.
std::optional<GGUFType> findGGUFType(const QuantizationScheme &scheme);

/// The same codes, scales and minimums in a scheme of ours: `dequantize` gives
/// the same floats.
QuantizedWeight toQuantizedWeight(GGUFWeight weight);

/// Quantizes to the type of `input.scheme`, with `input.importance` if it is
/// given.
llvm::Error quantizeGGUF(const MethodInput &input, QuantizedWeight &result);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_GGUF_H
