//===- GGUFSchemes.cpp - The types of GGUF files as schemes ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/GGUF.h"

using namespace nibble::quantizer;

QuantizationScheme nibble::quantizer::getGGUFScheme(GGUFType type) {
  const GGUFTypeInfo &info = getInfo(type);
  QuantizationScheme scheme;
  scheme.bits = info.bits;
  scheme.group = info.group;
  scheme.symmetric = !info.hasMinimum;
  if (info.hasMinimum)
    scheme.zero = ZeroKind::Minimum;
  scheme.scaleRule = ScaleRule::GGML;
  if (info.hasSuperBlocks()) {
    SecondLevel level;
    level.type = ScaleType::F16;
    level.group = info.block / info.group;
    level.dynamic = level.hasOffset = false;
    scheme.second = level;
  }
  return scheme;
}

std::optional<GGUFType>
nibble::quantizer::findGGUFType(const QuantizationScheme &scheme) {
  if (scheme.scaleRule != ScaleRule::GGML || scheme.codebook != Codebook::Int ||
      (!scheme.second && scheme.scaleType != ScaleType::F16))
    return std::nullopt;
  auto isSame = [](const std::optional<SecondLevel> &a,
                   const std::optional<SecondLevel> &b) {
    if (!a || !b)
      return !a && !b;
    return a->type == b->type && a->group == b->group &&
           a->dynamic == b->dynamic && a->hasOffset == b->hasOffset;
  };
  for (const GGUFTypeInfo &info : getGGUFTypes()) {
    QuantizationScheme known = getGGUFScheme(info.type);
    if (scheme.bits == known.bits && scheme.group == known.group &&
        scheme.symmetric == known.symmetric &&
        (scheme.symmetric || scheme.zero == known.zero) &&
        isSame(scheme.second, known.second))
      return info.type;
  }
  return std::nullopt;
}

QuantizedWeight nibble::quantizer::toQuantizedWeight(GGUFWeight weight) {
  QuantizedWeight result;
  result.scheme = getGGUFScheme(weight.type);
  result.rows = weight.rows;
  result.cols = weight.cols;
  result.codes = std::move(weight.codes);
  if (!result.scheme.second) {
    result.scales = std::move(weight.scales);
    result.floatZeros = std::move(weight.minimums);
    return result;
  }
  // Rows are whole super-blocks, so that each has a second level of its own.
  result.scaleCodes.assign(weight.subScales.begin(), weight.subScales.end());
  result.zeroCodes.assign(weight.subMinimums.begin(), weight.subMinimums.end());
  result.second = std::move(weight.scales);
  result.second.insert(result.second.end(), weight.minimums.begin(),
                       weight.minimums.end());
  decodeSecondLevel(result);
  return result;
}

llvm::Error nibble::quantizer::quantizeGGUF(const MethodInput &input,
                                            QuantizedWeight &result) {
  std::optional<GGUFType> type = findGGUFType(input.scheme);
  assert(type && "a scheme that verifies");
  llvm::Expected<GGUFWeight> weight =
      quantizeGGUF(input.weight, *type, input.importance, input.threads);
  if (!weight)
    return weight.takeError();
  result = toQuantizedWeight(std::move(*weight));
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

/// Without importance these schemes are what `rtn` makes of them.
static const Method imatrixMethod = {
    "imatrix",
    "types of GGUF files, by the mean square of each input; needs calibration",
    [](const QuantizationScheme &scheme) -> llvm::Error {
      if (scheme.scaleRule == ScaleRule::GGML)
        return llvm::Error::success();
      return llvm::createStringError(
          "method imatrix is for the types of GGUF files: quantize to Q4_0, "
          "Q4_K or another of them, or use another method");
    },
    [](const MethodInput &input, QuantizedWeight &result) {
      return quantizeGGUF(input, result);
    },
    /*needsHessian=*/false,
    /*needsImportance=*/true};
static RegisterMethod registerImatrix(imatrixMethod);
