//===- QuantizeRTN.cpp - Round weights to nearest -------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
#include "nibble/Quantizer/RTN.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEQUANTIZERTNPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

struct NibbleQuantizeRTNPass
    : public impl::NibbleQuantizeRTNPassBase<NibbleQuantizeRTNPass> {
  using Base::Base;

  void runOnOperation() override {
    auto quantize = [](QuantizableOpInterface,
                       const quantizer::WeightView &weight,
                       quantizer::QuantizedWeight &result) {
      return quantizer::quantizeRTN(weight, result.scheme, result.codes,
                                    result.scales, result.zeros);
    };
    FailureOr<QuantizationCounts> counts =
        quantizeWeights(getOperation(), "rtn", quantize);
    if (failed(counts))
      return signalPassFailure();
    numWeightsQuantized += counts->quantized;
    numSkipped += counts->otherMethods;
    bytesSaved += counts->bytesSaved;
  }
};

} // namespace
} // namespace nibble
