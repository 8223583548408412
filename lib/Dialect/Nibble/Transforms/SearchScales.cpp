//===- SearchScales.cpp - The pass nibble-search-scales -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "BlockPreparation.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "nibble/Calibration/Statistics.h"
#include "nibble/Dialect/Nibble/Transforms/Observation.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "llvm/ADT/MapVector.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLESEARCHSCALESPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

struct NibbleSearchScalesPass
    : public impl::NibbleSearchScalesPassBase<NibbleSearchScalesPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

private:
  using Layers = SmallVector<QuantizableOpInterface>;

  LogicalResult run();
  LogicalResult complain(QuantizableOpInterface op);
  LogicalResult prepare(LayerPreparation &preparation, const Layers &layers);
  FailureOr<quantizer::ActivationSummary>
  summarize(QuantizableOpInterface op, const quantizer::SummaryNeeds &needs);

  std::shared_ptr<const calibration::Statistics> statistics;
  /// Shared, because passes are copied.
  std::shared_ptr<calibration::HessianFile> hessians;
};

/// Why there is nothing to find scales with.
LogicalResult NibbleSearchScalesPass::complain(QuantizableOpInterface op) {
  InFlightDiagnostic error = emitError(op.getLoc(), "layer \"");
  error << op.getLayerName() << "\": ";
  if (BlockRunnerScope::getCurrent())
    return error << "its inputs can't be computed apart from the rest of the "
                    "model; give this layer another method by a rule, or use "
                    "--calibration";
  auto request = QuantizationRequest::get(op);
  return error << "method " << (*request)->prepare.front()
               << " needs calibration data: give samples with --data, or run "
                  "nibble-calibrate and give its result with --calibration";
}

/// What the file knows of the activations of a layer.
FailureOr<quantizer::ActivationSummary>
NibbleSearchScalesPass::summarize(QuantizableOpInterface op,
                                  const quantizer::SummaryNeeds &needs) {
  auto fail = [&]() {
    return emitError(op.getLoc(), "layer \"") << op.getLayerName() << "\": ";
  };
  quantizer::ActivationSummary summary;
  summary.columns = op.getWeightView().columns;
  int64_t channels = getNumInputChannels(op);
  summary.window = summary.columns / channels;
  const calibration::LayerStatistics *known =
      findLayer(*statistics, op.getLayers());
  if (!known)
    return fail() << "the statistics in '" << calibration
                  << "' do not have this layer; calibrate this model again";
  if (known->rows && known->getChannels() != channels)
    return fail() << "the statistics in '" << calibration << "' have "
                  << known->getChannels()
                  << " channels for this layer: expected " << channels
                  << "; calibrate this model again";
  summary.rows = known->rows;
  if (!known->rows)
    return summary;
  summary.meanAbsolute = known->meanAbsolute;
  summary.maxima = known->absMax;
  for (float square : known->meanSquare)
    summary.meanSquares.insert(summary.meanSquares.end(), summary.window,
                               square);
  if (!needs.hessian || !statistics->hessians ||
      known->hessianSize != summary.columns)
    return summary;
  if (!hessians) {
    auto opened = statistics->openHessians();
    if (!opened)
      return fail() << llvm::toString(opened.takeError());
    hessians = std::move(*opened);
  }
  llvm::Expected<ArrayRef<float>> hessian = hessians->get(*known);
  if (!hessian)
    return fail() << llvm::toString(hessian.takeError());
  summary.hessian.assign(hessian->begin(), hessian->end());
  return summary;
}

LogicalResult NibbleSearchScalesPass::prepare(LayerPreparation &preparation,
                                              const Layers &layers) {
  auto plan = preparation.plan(layers);
  if (failed(plan))
    return failure();
  if (!*plan)
    return success();
  QuantizableOpInterface first = (*plan)->layers.front();
  if (calibration.empty())
    return complain(first);
  if (!statistics) {
    auto read = calibration::Statistics::readShared(calibration);
    if (!read)
      return emitError(first.getLoc()) << llvm::toString(read.takeError());
    statistics = std::move(*read);
  }
  auto summary = summarize(first, preparation.getNeeds(**plan));
  if (failed(summary) || failed(preparation.apply(**plan, *summary)))
    return failure();
  ++numStages;
  return success();
}

LogicalResult NibbleSearchScalesPass::run() {
  statistics.reset();
  hessians.reset();
  quantizer::AWQOptions awq;
  awq.points = awqPoints;
  auto smoothQuant = quantizer::SmoothQuantOptions::parse(smoothQuantAlpha);
  llvm::Error error = smoothQuant ? awq.verify() : smoothQuant.takeError();
  if (error)
    return emitError(getOperation().getLoc())
           << llvm::toString(std::move(error));
  auto awqMethod = quantizer::createAWQ(awq);
  auto smoothQuantMethod = quantizer::createSmoothQuant(*smoothQuant);
  LayerPreparation::Methods methods;
  methods["awq"] = awqMethod.get();
  methods["smoothquant"] = smoothQuantMethod.get();
  LayerPreparation preparation(methods);

  // Layers that read the same value, and convolutions with equal windows.
  llvm::MapVector<std::pair<Value, int64_t>, Layers> stages;
  WalkResult result = getOperation().walk([&](QuantizableOpInterface op) {
    auto request = QuantizationRequest::get(op);
    if (failed(request))
      return WalkResult::interrupt();
    if (*request && op.getActivationInput())
      stages[{op.getActivationInput(), op.getWeightView().columns}].push_back(
          op);
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  for (auto &[key, layers] : stages)
    if (failed(prepare(preparation, layers)))
      return failure();
  return success();
}

} // namespace
} // namespace nibble
