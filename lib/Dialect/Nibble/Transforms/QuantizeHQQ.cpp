//===- QuantizeHQQ.cpp - Half-quadratic quantization ----------------------
//===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEQUANTIZEHQQPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

struct NibbleQuantizeHQQPass
    : public impl::NibbleQuantizeHQQPassBase<NibbleQuantizeHQQPass> {
  using Base::Base;

  void runOnOperation() override {
    FailureOr<QuantizationCounts> counts =
        quantizeWeights(getOperation(), *quantizer::lookupMethod("hqq"));
    if (failed(counts))
      return signalPassFailure();
    numWeightsQuantized += counts->quantized;
    numSkipped += counts->otherMethods;
    bytesSaved += counts->bytesSaved;
  }
};

} // namespace
} // namespace nibble
