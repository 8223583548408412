//===- Scheme.h - What a quantized weight is made of ------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_SCHEME_H
#define NIBBLE_QUANTIZER_SCHEME_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace nibble::quantizer {

/// Type in which scales are stored.
enum class ScaleType : uint8_t { F16, BF16, F32 };

/// How the scale of a group is chosen.
enum class ScaleRule : uint8_t {
  /// Symmetric: absmax / (2^(b-1) - 1), so that code -2^(b-1) stays unused by
  /// the weights that set the scale. Asymmetric: (max - min) / (2^b - 1), zero
  /// inside the range.
  AbsMax,
  /// The range of `AbsMax` shrunk by 0 to 79 %, whichever gives the least sum
  /// of
  /// squared errors; the widest of equals. The search is that of GPTQ's
  /// reference code (grid of 100, maxshrink 0.8) with the exponent 2.
  MSE,
  /// Symmetric only: (weight of largest magnitude) / -2^(b-1), as in GGUF's
  /// Q4_0. That weight becomes exact; scales may be negative.
  SignedMax
};

llvm::StringRef stringifyScaleType(ScaleType type);
std::optional<ScaleType> symbolizeScaleType(llvm::StringRef name);
llvm::StringRef stringifyScaleRule(ScaleRule rule);
std::optional<ScaleRule> symbolizeScaleRule(llvm::StringRef name);

/// Bits that one scale takes.
unsigned getScaleBits(ScaleType type);
/// `value` as the nearest value of `type`, ties to even; infinite if it is
/// beyond the largest one.
float roundToScaleType(float value, ScaleType type);

/// Bit patterns of half-precision and bfloat16 numbers, rounded half to even.
uint16_t floatToHalf(float value);
float halfToFloat(uint16_t bits);
uint16_t floatToBFloat16(float value);
float bfloat16ToFloat(uint16_t bits);

/// Integer codes with a scale, and for asymmetric schemes a zero point, for
/// each group of a row: w = scale * (code - zero). The same as the dialect's
/// `#nibble.scheme`, without IR.
struct QuantizationScheme {
  /// Bits of a code, 2 to 8.
  unsigned bits = 4;
  /// Weights along a row that share a scale; -1: the row. A group longer than
  /// the row is the row; the last group of a row may be shorter.
  int64_t group = 128;
  /// Symmetric codes stand for code - 2^(b-1); asymmetric schemes have an
  /// integer zero point in [0, 2^b - 1] per group.
  bool symmetric = true;
  ScaleType scaleType = ScaleType::F16;
  ScaleRule scaleRule = ScaleRule::AbsMax;
  /// The activations that the weight is multiplied with are quantized to 8 bits
  /// at run time: see Activations.h.
  bool dynamicActivations = false;

  /// Length of a group, and number of groups, in a row of `cols` weights.
  int64_t getGroupLength(int64_t cols) const;
  int64_t getNumGroups(int64_t cols) const;
  /// Largest unsigned code.
  int getMaxCode() const { return (1 << bits) - 1; }
  /// The zero of a symmetric scheme's unsigned codes.
  int getSymmetricZero() const { return 1 << (bits - 1); }
  /// Bits that one weight of a row of `cols` takes, scales and zeros (one byte
  /// each) counted.
  double getBitsPerWeight(int64_t cols) const;
  /// Says which part is out of range and what the range is.
  llvm::Error verify() const;
};

/// A float32 weight seen as `rows` output channels of `cols` weights that are
/// multiplied with the inputs. Nothing is copied and no alignment is asked
/// for: the data may lie anywhere in a mapped file.
struct WeightView {
  const char *data = nullptr;
  int64_t rows = 0, cols = 0;
  /// Distance between rows and between columns, in elements.
  int64_t rowStride = 0, colStride = 1;

  /// [rows, cols], as a convolution's or `transB` weight.
  static WeightView rowMajor(const char *data, int64_t rows, int64_t cols) {
    return {data, rows, cols, cols, 1};
  }
  /// [cols, rows], as the weight of ONNX's MatMul.
  static WeightView transposed(const char *data, int64_t rows, int64_t cols) {
    return {data, rows, cols, 1, rows};
  }
  float at(int64_t row, int64_t col) const {
    float value;
    std::memcpy(&value,
                data + (row * rowStride + col * colStride) * sizeof(float),
                sizeof(float));
    return value;
  }
};

/// Copies `numRows` x `numCols` weights from (row, col) on to `tile`, row by
/// row. Reads along whichever axis is contiguous.
void copyTile(const WeightView &weight, int64_t row, int64_t numRows,
              int64_t col, int64_t numCols, float *tile);

/// Codes, scales and zero points of a weight of `rows` x `cols`, G groups a
/// row. Codes are unsigned, one per byte, for symmetric schemes too.
struct QuantizedWeight {
  QuantizationScheme scheme;
  int64_t rows = 0, cols = 0;
  std::vector<uint8_t> codes; ///< [rows, cols]
  std::vector<float> scales;  ///< [rows, G], values of the scale type.
  std::vector<uint8_t> zeros; ///< [rows, G]; empty for symmetric schemes.

  QuantizedWeight() = default;
  QuantizedWeight(const QuantizationScheme &scheme, int64_t rows, int64_t cols);
};

/// Writes scale * (code - zero) of all weights to `out` [rows, cols].
void dequantize(const QuantizedWeight &weight, llvm::MutableArrayRef<float> out,
                unsigned threads = 0);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_SCHEME_H
