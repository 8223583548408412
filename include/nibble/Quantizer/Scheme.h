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
  /// The scale of the default rule (see `getDefaultScaleRule`) made smaller by
  /// 0 to 79 %, whichever gives the least sum of squared errors; the largest of
  /// equals. The search is that of GPTQ's reference code (grid of 100,
  /// maxshrink 0.8) with the exponent 2; that code begins at
  /// absmax / (2^(b-1) - 1/2).
  MSE,
  /// Symmetric only: (weight of largest magnitude) / -2^(b-1), as in GGUF's
  /// Q4_0. That weight becomes exact; scales may be negative.
  SignedMax,
  /// What ggml's quantizers do for the type of a GGUF file that the scheme is:
  /// see GGUF.h.
  GGML,
  /// Symmetric: absmax / (2^(b-1) - 1/2), as GPTQ's libraries and
  /// compressed-tensors choose it: the codes span the range evenly, and the
  /// weight that sets the scale is half a step off. Asymmetric: as `AbsMax`.
  FullRange
};

/// What a code stands for. Of the codebooks but `Int`, codes are numbers of the
/// values in Codebook.h.
enum class Codebook : uint8_t { Int, NF4, FP4 };

/// The zero points of an asymmetric scheme: codes, floats in units of the scale
/// as in HQQ, or what is added to the product as in GGUF's k-quants.
enum class ZeroKind : uint8_t { Integer, Float, Minimum };

/// Scales that are 8-bit codes themselves, and with them zeros that are floats.
/// Groups of them, counted row by row, share a scale and an offset:
///
///     scale = second[0] * value(code) + second[1]
///
/// The value of a code is the integer or, if `dynamic`, that of bitsandbytes'
/// dynamic map (see Codebook.h).
struct SecondLevel {
  ScaleType type = ScaleType::F32;
  int64_t group = 256;
  bool dynamic = true;
  bool hasOffset = true;
};

struct QuantizationScheme;

/// The rule for those who name none: `SignedMax` where symmetric codes of at
/// most 4 bits are rounded to scales of one level, `AbsMax` elsewhere. With few
/// codes the one that `AbsMax` leaves unused is missed, with 8 bits it is not;
/// a second level wants scales of one sign.
ScaleRule getDefaultScaleRule(const QuantizationScheme &scheme);

llvm::StringRef stringifyCodebook(Codebook codebook);
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

/// Codes with a scale, and for asymmetric schemes a zero point, for each group
/// of a row: w = scale * (value(code) - zero), or scale * value(code) + zero
/// for zeros that are minimums. The same as the dialect's `#nibble.scheme`,
/// without IR.
struct QuantizationScheme {
  Codebook codebook = Codebook::Int;
  /// Bits of a code, 2 to 8.
  unsigned bits = 4;
  /// Weights along a row that share a scale; -1: the row. A group longer than
  /// the row is the row; the last group of a row may be shorter.
  int64_t group = 128;
  /// Symmetric codes stand for code - 2^(b-1); asymmetric schemes have an
  /// integer zero point in [0, 2^b - 1] per group.
  bool symmetric = true;
  /// Of asymmetric schemes.
  ZeroKind zero = ZeroKind::Integer;
  ScaleType scaleType = ScaleType::F16;
  ScaleRule scaleRule = ScaleRule::AbsMax;
  /// Double quantization.
  std::optional<SecondLevel> second;
  /// The activations that the weight is multiplied with are quantized to 8 bits
  /// at run time: see Activations.h.
  bool dynamicActivations = false;
  /// LLM.int8: `dynamicActivations` without a zero point and without the
  /// columns that hold magnitudes of at least this; 0: with all columns. See
  /// Outliers.h.
  std::optional<float> outlierThreshold;

  /// Length of a group, and number of groups, in a row of `cols` weights.
  int64_t getGroupLength(int64_t cols) const;
  int64_t getNumGroups(int64_t cols) const;
  bool hasIntegerZeros() const {
    return !symmetric && zero == ZeroKind::Integer;
  }
  bool hasFloatZeros() const { return !symmetric && zero != ZeroKind::Integer; }
  /// Rows and length of the second level of a weight of `rows` x `cols`: scale
  /// and offset of the scales, then those of float zeros.
  int64_t getSecondRows() const;
  int64_t getSecondLength(int64_t rows, int64_t cols) const;
  /// Largest unsigned code.
  int getMaxCode() const { return (1 << bits) - 1; }
  /// The zero of a symmetric scheme's unsigned codes.
  int getSymmetricZero() const { return 1 << (bits - 1); }
  /// Bits that one weight of a row of `cols` takes, scales, zeros (one byte
  /// each if they are integers) and the second level counted.
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
///
/// With a second level, `scales` and `floatZeros` are what the codes of them
/// stand for: whoever sets the codes calls `decodeSecondLevel`.
struct QuantizedWeight {
  QuantizationScheme scheme;
  int64_t rows = 0, cols = 0;
  std::vector<uint8_t> codes; ///< [rows, cols]
  std::vector<float> scales;  ///< [rows, G], values of the scale type.
  std::vector<uint8_t> zeros; ///< [rows, G]; empty without integer zeros.
  /// [rows, G], values of the scale type; empty without float zeros.
  std::vector<float> floatZeros;
  /// [rows, G], two's complement or numbers of the dynamic map; empty without a
  /// second level. `zeroCodes` are those of float zeros.
  std::vector<uint8_t> scaleCodes, zeroCodes;
  /// [getSecondRows(), getSecondLength(rows, cols)]
  std::vector<float> second;
  /// [cols], the group of each column; empty if groups are runs of columns.
  /// Only with integer codes and zeros.
  std::vector<int32_t> groupIndex;

  QuantizedWeight() = default;
  QuantizedWeight(const QuantizationScheme &scheme, int64_t rows, int64_t cols);
};

/// Writes what the weights of a group stand for to `out`, in the order of
/// columns, and returns how many there are. Not for weights with a group index.
int64_t dequantizeGroup(const QuantizedWeight &weight, int64_t row,
                        int64_t group, float *out);

/// Writes what the weights of a row stand for to `out`.
void dequantizeRow(const QuantizedWeight &weight, int64_t row, float *out);

/// Sets the scales and float zeros that the codes of the second level stand
/// for, which there must be.
void decodeSecondLevel(QuantizedWeight &weight);

/// Writes what all weights stand for to `out` [rows, cols].
void dequantize(const QuantizedWeight &weight, llvm::MutableArrayRef<float> out,
                unsigned threads = 0);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_SCHEME_H
