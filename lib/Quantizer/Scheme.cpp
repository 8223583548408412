//===- Scheme.cpp - What a quantized weight is made of --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Scheme.h"
#include "nibble/Quantizer/Codebook.h"
#include "nibble/Quantizer/GGUF.h"
#include "nibble/Support/Parallel.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace nibble;
using namespace nibble::quantizer;
using llvm::StringRef;

static constexpr std::pair<Codebook, const char *> codebookNames[] = {
    {Codebook::Int, "int"}, {Codebook::NF4, "nf4"}, {Codebook::FP4, "fp4"}};
static constexpr std::pair<ScaleType, const char *> scaleTypeNames[] = {
    {ScaleType::F16, "f16"},
    {ScaleType::BF16, "bf16"},
    {ScaleType::F32, "f32"}};
static constexpr std::pair<ScaleRule, const char *> scaleRuleNames[] = {
    {ScaleRule::AbsMax, "absmax"},
    {ScaleRule::MSE, "mse"},
    {ScaleRule::SignedMax, "signed-max"},
    {ScaleRule::GGML, "ggml"},
    {ScaleRule::FullRange, "full-range"}};

template <typename E, size_t N>
static StringRef getName(const std::pair<E, const char *> (&names)[N],
                         E value) {
  for (auto [known, name] : names)
    if (known == value)
      return name;
  llvm_unreachable("value without a name");
}

template <typename E, size_t N>
static std::optional<E> getValue(const std::pair<E, const char *> (&names)[N],
                                 StringRef name) {
  for (auto [value, known] : names)
    if (name == known)
      return value;
  return std::nullopt;
}

StringRef quantizer::stringifyCodebook(Codebook codebook) {
  return getName(codebookNames, codebook);
}

StringRef quantizer::stringifyScaleType(ScaleType type) {
  return getName(scaleTypeNames, type);
}

std::optional<ScaleType> quantizer::symbolizeScaleType(StringRef name) {
  return getValue(scaleTypeNames, name);
}

ScaleRule quantizer::getDefaultScaleRule(const QuantizationScheme &scheme) {
  bool isSigned = scheme.codebook == Codebook::Int && scheme.symmetric &&
                  scheme.bits <= 4 && !scheme.second &&
                  !scheme.dynamicActivations;
  return isSigned ? ScaleRule::SignedMax : ScaleRule::AbsMax;
}

StringRef quantizer::stringifyScaleRule(ScaleRule rule) {
  return getName(scaleRuleNames, rule);
}

std::optional<ScaleRule> quantizer::symbolizeScaleRule(StringRef name) {
  return getValue(scaleRuleNames, name);
}

unsigned quantizer::getScaleBits(ScaleType type) {
  return type == ScaleType::F32 ? 32 : 16;
}

//===----------------------------------------------------------------------===//
// Narrow floats
//===----------------------------------------------------------------------===//

uint16_t quantizer::floatToHalf(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  uint32_t sign = (bits >> 16) & 0x8000;
  bits &= 0x7fffffff;
  if (bits > 0x7f800000)
    return sign | 0x7e00; // NaN, quiet.
  if (bits >= 0x47800000)
    return sign | 0x7c00; // 65536 and more.
  if (bits < 0x38800000) {
    // Subnormal: 0.5 puts the unit in the last place at 2^-24, the addition
    // rounds.
    float shifted = llvm::bit_cast<float>(bits) + 0.5f;
    return sign | (llvm::bit_cast<uint32_t>(shifted) - 0x3f000000);
  }
  // Re-bias the exponent and round half to even; a carry into the exponent is
  // the right result, up to infinity.
  bits += 0xc8000fff + ((bits >> 13) & 1);
  return sign | (bits >> 13);
}

float quantizer::halfToFloat(uint16_t half) {
  uint32_t sign = uint32_t(half & 0x8000) << 16;
  uint32_t magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00)
    return llvm::bit_cast<float>(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
  // A product with 2^112 re-biases the exponent, subnormal numbers included.
  float value = llvm::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return llvm::bit_cast<float>(sign | llvm::bit_cast<uint32_t>(value));
}

uint16_t quantizer::floatToBFloat16(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return (bits >> 16) | 0x40; // NaN, quiet.
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

float quantizer::bfloat16ToFloat(uint16_t bits) {
  return llvm::bit_cast<float>(uint32_t(bits) << 16);
}

float quantizer::roundToScaleType(float value, ScaleType type) {
  switch (type) {
  case ScaleType::F16:
    return halfToFloat(floatToHalf(value));
  case ScaleType::BF16:
    return bfloat16ToFloat(floatToBFloat16(value));
  case ScaleType::F32:
    return value;
  }
  llvm_unreachable("unknown scale type");
}

//===----------------------------------------------------------------------===//
// Schemes and weights
//===----------------------------------------------------------------------===//

int64_t QuantizationScheme::getGroupLength(int64_t cols) const {
  cols = std::max<int64_t>(cols, 1);
  return group < 1 ? cols : std::min(group, cols);
}

int64_t QuantizationScheme::getNumGroups(int64_t cols) const {
  int64_t length = getGroupLength(cols);
  return std::max<int64_t>(1, (cols + length - 1) / length);
}

int64_t QuantizationScheme::getSecondRows() const {
  return (second->hasOffset ? 2 : 1) * (hasFloatZeros() ? 2 : 1);
}

int64_t QuantizationScheme::getSecondLength(int64_t rows, int64_t cols) const {
  return (rows * getNumGroups(cols) + second->group - 1) / second->group;
}

double QuantizationScheme::getBitsPerWeight(int64_t cols) const {
  double scaleBits = getScaleBits(scaleType);
  if (second)
    scaleBits = 8 + (second->hasOffset ? 2 : 1) * getScaleBits(second->type) /
                        double(second->group);
  double perGroup = scaleBits;
  if (!symmetric)
    perGroup += zero == ZeroKind::Integer ? 8 : scaleBits;
  return bits + getNumGroups(cols) * perGroup / std::max<int64_t>(cols, 1);
}

llvm::Error QuantizationScheme::verify() const {
  if (bits < 2 || bits > 8)
    return llvm::createStringError("codes of " + llvm::Twine(bits) +
                                   " bits: expected 2 to 8");
  if (group < 1 && group != -1)
    return llvm::createStringError(
        "group of " + llvm::Twine(group) +
        " weights: expected 1 or more, or -1 for one group per row");
  if (codebook != Codebook::Int) {
    if (bits != 4 || !symmetric)
      return llvm::createStringError(stringifyCodebook(codebook) +
                                     " has codes of 4 bits and no zero points");
    if (group < 32 || group > 4096 || (group & (group - 1)))
      return llvm::createStringError("blocks of " + llvm::Twine(group) +
                                     " weights: expected 32, 64, 128, "
                                     "256, 512, 1024, 2048 or 4096 with " +
                                     stringifyCodebook(codebook));
    if (scaleRule != ScaleRule::AbsMax)
      return llvm::createStringError(
          "scale rule " + stringifyScaleRule(scaleRule) +
          " is for integers: use absmax with " + stringifyCodebook(codebook));
  }
  if (second && second->group < 1)
    return llvm::createStringError("second level of " +
                                   llvm::Twine(second->group) +
                                   " scales: expected 1 or more");
  if (scaleRule == ScaleRule::GGML && !findGGUFType(*this))
    return llvm::createStringError(
        "scale rule ggml is for the types of GGUF files: quantize to Q4_0, "
        "Q4_K or another of them");
  if (scaleRule == ScaleRule::SignedMax && !symmetric)
    return llvm::createStringError("scale rule signed-max is for symmetric "
                                   "schemes: use absmax or mse");
  return llvm::Error::success();
}

void quantizer::copyTile(const WeightView &weight, int64_t row, int64_t numRows,
                         int64_t col, int64_t numCols, float *tile) {
  constexpr int64_t size = sizeof(float);
  const char *origin =
      weight.data + (row * weight.rowStride + col * weight.colStride) * size;
  if (weight.colStride == 1) {
    for (int64_t r = 0; r < numRows; ++r)
      std::memcpy(tile + r * numCols, origin + r * weight.rowStride * size,
                  numCols * size);
    return;
  }
  for (int64_t c = 0; c < numCols; ++c) {
    const char *column = origin + c * weight.colStride * size;
    for (int64_t r = 0; r < numRows; ++r)
      std::memcpy(tile + r * numCols + c, column + r * weight.rowStride * size,
                  size);
  }
}

QuantizedWeight::QuantizedWeight(const QuantizationScheme &scheme, int64_t rows,
                                 int64_t cols)
    : scheme(scheme), rows(rows), cols(cols), codes(rows * cols),
      scales(rows * scheme.getNumGroups(cols)),
      zeros(scheme.hasIntegerZeros() ? scales.size() : 0),
      floatZeros(scheme.hasFloatZeros() ? scales.size() : 0) {}

int64_t quantizer::dequantizeGroup(const QuantizedWeight &weight, int64_t row,
                                   int64_t group, float *out) {
  const QuantizationScheme &scheme = weight.scheme;
  int64_t length = scheme.getGroupLength(weight.cols);
  int64_t first = group * length;
  int64_t count = std::min(length, weight.cols - first);
  int64_t index = row * scheme.getNumGroups(weight.cols) + group;
  const uint8_t *codes = weight.codes.data() + row * weight.cols + first;
  float scale = weight.scales[index];
  // Every value is the float that the kernels compute with.
  if (scheme.codebook != Codebook::Int) {
    const float *values = getCodebookValues(scheme.codebook).data();
    for (int64_t i = 0; i < count; ++i)
      out[i] = scale * values[codes[i]];
  } else if (!scheme.hasFloatZeros()) {
    int zero =
        scheme.symmetric ? scheme.getSymmetricZero() : weight.zeros[index];
    for (int64_t i = 0; i < count; ++i)
      out[i] = scale * static_cast<float>(codes[i] - zero);
  } else if (scheme.zero == ZeroKind::Float) {
    float zero = weight.floatZeros[index];
    for (int64_t i = 0; i < count; ++i)
      out[i] = scale * (static_cast<float>(codes[i]) - zero);
  } else {
    float minimum = weight.floatZeros[index];
    for (int64_t i = 0; i < count; ++i) {
      float product = scale * static_cast<float>(codes[i]);
      out[i] = product + minimum;
    }
  }
  return count;
}

void quantizer::decodeSecondLevel(QuantizedWeight &weight) {
  const SecondLevel &level = *weight.scheme.second;
  int64_t length = weight.scheme.getSecondLength(weight.rows, weight.cols);
  assert(weight.second.size() ==
             size_t(weight.scheme.getSecondRows() * length) &&
         "a scale, and an offset, for each group of scales");
  const float *map = getDynamicMap().data();
  const float *part = weight.second.data();
  auto decode = [&](llvm::ArrayRef<uint8_t> codes, std::vector<float> &out) {
    const float *scales = part, *offsets = part + length;
    part += (level.hasOffset ? 2 : 1) * length;
    out.resize(codes.size());
    for (size_t i = 0; i < codes.size(); ++i) {
      float value = level.dynamic
                        ? map[codes[i]]
                        : static_cast<float>(static_cast<int8_t>(codes[i]));
      float product = scales[i / level.group] * value;
      out[i] = level.hasOffset ? product + offsets[i / level.group] : product;
    }
  };
  decode(weight.scaleCodes, weight.scales);
  if (weight.scheme.hasFloatZeros())
    decode(weight.zeroCodes, weight.floatZeros);
}

void quantizer::dequantizeRow(const QuantizedWeight &weight, int64_t row,
                              float *out) {
  const QuantizationScheme &scheme = weight.scheme;
  int64_t numGroups = scheme.getNumGroups(weight.cols);
  if (weight.groupIndex.empty()) {
    for (int64_t group = 0; group < numGroups; ++group)
      out += dequantizeGroup(weight, row, group, out);
    return;
  }
  const uint8_t *codes = weight.codes.data() + row * weight.cols;
  for (int64_t col = 0; col < weight.cols; ++col) {
    int64_t index = row * numGroups + weight.groupIndex[col];
    int zero =
        scheme.symmetric ? scheme.getSymmetricZero() : weight.zeros[index];
    out[col] = weight.scales[index] * static_cast<float>(codes[col] - zero);
  }
}

void quantizer::dequantize(const QuantizedWeight &weight,
                           llvm::MutableArrayRef<float> out, unsigned threads) {
  assert(out.size() == weight.codes.size() && "one float per code");
  parallelFor(weight.rows, 16, threads, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row)
      dequantizeRow(weight, row, out.data() + row * weight.cols);
  });
}
