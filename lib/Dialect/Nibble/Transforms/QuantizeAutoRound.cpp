//===- QuantizeAutoRound.cpp - The pass nibble-quantize-autoround ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "SequentialMethods.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Dialect/Nibble/Transforms/RoundingTraining.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEQUANTIZEAUTOROUNDPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

struct NibbleQuantizeAutoRoundPass
    : public impl::NibbleQuantizeAutoRoundPassBase<
          NibbleQuantizeAutoRoundPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

private:
  LogicalResult run();
  FailureOr<RoundingTrainingOptions> getOptions();
  void count(const QuantizationCounts &counts) {
    numWeightsQuantized += counts.quantized;
    bytesSaved += counts.bytesSaved;
  }
};

FailureOr<RoundingTrainingOptions> NibbleQuantizeAutoRoundPass::getOptions() {
  RoundingTrainingOptions options;
  options.rounding.iterations = iterations;
  options.rounding.rate = learningRate;
  options.rounding.rangeRate = rangeLearningRate;
  options.rounding.learnRange = learnRange;
  options.batchSize = batchSize;
  options.seed = seed;
  llvm::Error error = options.verify();
  if (!error && start != "gptq" && start != "rtn")
    error = llvm::createStringError("unknown start \"" + start.getValue() +
                                    "\": expected gptq or rtn");
  if (error) {
    emitError(getOperation().getLoc()) << llvm::toString(std::move(error));
    return failure();
  }
  return options;
}

LogicalResult NibbleQuantizeAutoRoundPass::run() {
  ModuleOp module = getOperation();
  FailureOr<RoundingTrainingOptions> options = getOptions();
  if (failed(options))
    return failure();
  SmallVector<QuantizableOpInterface> layers =
      findRequests(module, {"autoround"});
  if (layers.empty())
    return success();
  for (QuantizableOpInterface op : layers) {
    auto request = QuantizationRequest::get(op);
    if (failed(request))
      return failure();
    if (!(*request)->prepare.empty())
      return emitError(op.getLoc(), "layer \"")
             << op.getLayerName() << "\": autoround does not go with "
             << (*request)->prepare.front()
             << " before it: give one of them alone";
  }
  FailureOr<QuantizationCounts> tables = roundTables(module, {"autoround"});
  if (failed(tables))
    return failure();
  count(*tables);
  const BlockRunnerFactory *factory = BlockRunnerScope::getCurrent();
  if (!factory)
    return emitError(module.getLoc())
           << "method autoround runs the model on samples: give them with "
              "--data";
  calibration::BlockRunnerOptions runnerOptions;
  runnerOptions.keepReference = true;
  runnerOptions.maxBatch = options->batchSize;
  auto runner = (*factory)(module, runnerOptions);
  if (failed(runner))
    return failure();
  std::unique_ptr<SequentialMethod> method;
  if (start == "gptq")
    method = createGPTQMethod(quantizer::GPTQOptions());
  RoundingTraining training(module, **runner, method.get(), *options);
  FailureOr<QuantizationCounts> counts = training.run();
  if (failed(counts))
    return failure();
  count(*counts);
  numBlocksLearned += training.numLearned;
  numFallbacks += training.numFallbacks;
  for (QuantizableOpInterface op : findRequests(module, {"autoround"}))
    return emitError(op.getLoc(), "layer \"")
           << op.getLayerName()
           << "\": its inputs can't be computed apart from the rest of the "
              "model; give this layer another method by a rule";
  return success();
}

} // namespace
} // namespace nibble
