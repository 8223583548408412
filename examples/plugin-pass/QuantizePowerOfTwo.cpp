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

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
#include "nibble/Quantizer/Method.h"
#include "llvm/Config/llvm-config.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace nibble::quantizer;

namespace poweroftwo {
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

llvm::Error supports(const QuantizationScheme &scheme) {
  if (scheme.symmetric)
    return llvm::Error::success();
  return llvm::createStringError(
      "scales that are powers of two have no zero points; ask for a symmetric "
      "scheme");
}

/// Quantizes the weights [begin, end) of a row, which share a scale.
llvm::Error quantizeGroup(const WeightView &weight, int64_t row, int64_t begin,
                          int64_t end, float &scale, QuantizedWeight &result) {
  int zero = result.scheme.getSymmetricZero();
  float absmax = 0;
  for (int64_t col = begin; col < end; ++col) {
    float value = weight.at(row, col);
    if (!std::isfinite(value))
      return llvm::createStringError(
          "the weight at row %lld, column %lld is not finite",
          static_cast<long long>(row), static_cast<long long>(col));
    absmax = std::max(absmax, std::fabs(value));
  }
  scale = getScale(absmax, zero - 1);
  // What float16 holds, the smallest of the types of scales.
  if (scale > std::exp2(15.0f) || scale < std::exp2(-24.0f))
    return llvm::createStringError(
        "row %lld needs the scale %g, which is not between 2^-24 and 2^15",
        static_cast<long long>(row), scale);
  for (int64_t col = begin; col < end; ++col) {
    float code = std::nearbyint(weight.at(row, col) / scale);
    // Codes are kept unsigned: code + zero.
    result.codes[row * weight.cols + col] =
        static_cast<uint8_t>(static_cast<int>(code) + zero);
  }
  return llvm::Error::success();
}

llvm::Error quantizeWeight(const MethodInput &input, QuantizedWeight &result) {
  const WeightView &weight = input.weight;
  int64_t length = input.scheme.getGroupLength(weight.cols);
  int64_t groups = input.scheme.getNumGroups(weight.cols);
  for (int64_t row = 0; row < weight.rows; ++row)
    for (int64_t group = 0; group < groups; ++group) {
      int64_t begin = group * length;
      int64_t end = std::min(begin + length, weight.cols);
      if (llvm::Error error =
              quantizeGroup(weight, row, begin, end,
                            result.scales[row * groups + group], result))
        return error;
    }
  return llvm::Error::success();
}

const Method powerOfTwo = {"power-of-two", "scales are powers of two", supports,
                           quantizeWeight};
/// Makes the name known to `--method` and to configuration files.
const RegisterMethod registerPowerOfTwo(powerOfTwo);

struct QuantizePowerOfTwoPass
    : public impl::QuantizePowerOfTwoPassBase<QuantizePowerOfTwoPass> {
  using Base::Base;

  void runOnOperation() override {
    FailureOr<nibble::QuantizationCounts> counts =
        nibble::quantizeWeights(getOperation(), powerOfTwo);
    if (failed(counts))
      return signalPassFailure();
    numQuantized += counts->quantized;
  }
};

} // namespace
} // namespace poweroftwo

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "QuantizePowerOfTwo", LLVM_VERSION_STRING,
          [] { poweroftwo::registerPowerOfTwoPasses(); }};
}
