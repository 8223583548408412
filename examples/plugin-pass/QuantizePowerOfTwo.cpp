//===- QuantizePowerOfTwo.cpp - A quantization method as a plugin ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A method is a function from the floats of one weight to codes and scales.
// Finding the weights, reading them through the mapping of the model file,
// replacing them and reporting the error is `nibble::quantizeWeights`, the same
// for all methods.
//
//===----------------------------------------------------------------------===//

#include "mlir/Tools/Plugins/PassPlugin.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
#include "llvm/Config/llvm-config.h"
#include <algorithm>
#include <cmath>

using namespace mlir;

#define GEN_PASS_DECL
#define GEN_PASS_DEF_QUANTIZEPOWEROFTWOPASS
#define GEN_PASS_REGISTRATION
#include "Passes.h.inc"

namespace {

/// The smallest power of two s with absmax <= largest * s.
float getScale(float absmax, int largest) {
  if (absmax == 0.0f)
    return 1.0f;
  return std::exp2(std::ceil(std::log2(absmax / largest)));
}

struct QuantizePowerOfTwoPass
    : public ::impl::QuantizePowerOfTwoPassBase<QuantizePowerOfTwoPass> {
  using Base::Base;

  void runOnOperation() override {
    auto quantize = [this](nibble::QuantizableOpInterface,
                           const nibble::quantizer::WeightView &weight,
                           nibble::quantizer::QuantizedWeight &result) {
      return quantizeWeight(weight, result);
    };
    FailureOr<nibble::QuantizationCounts> counts =
        nibble::quantizeWeights(getOperation(), "power-of-two", quantize);
    if (failed(counts))
      return signalPassFailure();
    numQuantized += counts->quantized;
  }

private:
  llvm::Error quantizeWeight(const nibble::quantizer::WeightView &weight,
                             nibble::quantizer::QuantizedWeight &result) {
    const nibble::quantizer::QuantizationScheme &scheme = result.scheme;
    if (!scheme.symmetric)
      return llvm::createStringError(
          "scales that are powers of two have no zero points; ask for a "
          "symmetric scheme");
    int64_t length = scheme.getGroupLength(weight.cols);
    int64_t groups = scheme.getNumGroups(weight.cols);
    int zero = scheme.getSymmetricZero(), largest = zero - 1;
    for (int64_t row = 0; row < weight.rows; ++row) {
      for (int64_t group = 0; group < groups; ++group) {
        int64_t begin = group * length;
        int64_t end = std::min(begin + length, weight.cols);
        float absmax = 0;
        for (int64_t col = begin; col < end; ++col) {
          float value = weight.at(row, col);
          if (!std::isfinite(value))
            return llvm::createStringError(
                "the weight at row %lld, column %lld is not finite",
                static_cast<long long>(row), static_cast<long long>(col));
          absmax = std::max(absmax, std::fabs(value));
        }
        float scale = getScale(absmax, largest);
        // The bound also keeps scales inside of float16.
        if (scale > std::exp2(static_cast<float>(maxExponent)) ||
            scale < std::exp2(-24.0f))
          return llvm::createStringError(
              "row %lld needs the scale %g, which is not between 2^-24 and "
              "2^%d",
              static_cast<long long>(row), scale,
              static_cast<int>(maxExponent));
        result.scales[row * groups + group] = scale;
        for (int64_t col = begin; col < end; ++col) {
          float code = std::nearbyint(weight.at(row, col) / scale);
          result.codes[row * weight.cols + col] =
              static_cast<uint8_t>(static_cast<int>(code) + zero);
        }
      }
    }
    return llvm::Error::success();
  }
};

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "QuantizePowerOfTwo", LLVM_VERSION_STRING,
          [] { registerPowerOfTwoPasses(); }};
}
