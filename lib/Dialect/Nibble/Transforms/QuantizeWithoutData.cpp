//===- QuantizeWithoutData.cpp - Passes of methods that need no data ------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// nibble-quantize-rtn and nibble-quantize-hqq: each serves the layers that ask
// for its method, from their weights alone.
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
#include "nibble/Quantizer/Method.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEQUANTIZERTNPASS
#define GEN_PASS_DEF_NIBBLEQUANTIZEHQQPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// What the passes do; `Pass::method` names the method.
template <template <typename> class PassBase, typename Pass>
struct MethodPass : public PassBase<Pass> {
  using Base = PassBase<Pass>;
  using Base::Base;

  void runOnOperation() override {
    FailureOr<QuantizationCounts> counts = quantizeWeights(
        this->getOperation(), *quantizer::lookupMethod(Pass::method));
    if (failed(counts))
      return this->signalPassFailure();
    this->numWeightsQuantized += counts->quantized;
    this->numSkipped += counts->otherMethods;
    this->bytesSaved += counts->bytesSaved;
  }
};

struct NibbleQuantizeRTNPass
    : public MethodPass<impl::NibbleQuantizeRTNPassBase,
                        NibbleQuantizeRTNPass> {
  static constexpr StringLiteral method = "rtn";
  using MethodPass::MethodPass;
};

struct NibbleQuantizeHQQPass
    : public MethodPass<impl::NibbleQuantizeHQQPassBase,
                        NibbleQuantizeHQQPass> {
  static constexpr StringLiteral method = "hqq";
  using MethodPass::MethodPass;
};

} // namespace
} // namespace nibble
