//===- QuantizeBlocks.cpp - The pass nibble-quantize-blocks ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "SequentialMethods.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Quantizer/RTN.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEQUANTIZEBLOCKSPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {

FailureOr<QuantizationCounts> roundTables(ModuleOp module,
                                          ArrayRef<StringRef> methods) {
  SmallVector<QuantizableOpInterface> tables;
  for (QuantizableOpInterface op : findRequests(module, methods)) {
    if (op.getActivationInput())
      continue;
    tables.push_back(op);
    emitRemark(op.getLoc(), "layer \"")
        << op.getLayerName() << "\" is rounded to nearest: a table of rows is "
        << "not multiplied with inputs";
  }
  return quantizeWeights(
      module, tables,
      [](QuantizableOpInterface, const quantizer::WeightView &weight,
         quantizer::QuantizedWeight &result) {
        return quantizer::quantizeRTN(weight, result.scheme, result.codes,
                                      result.scales, result.zeros);
      });
}

namespace {

struct NibbleQuantizeBlocksPass
    : public impl::NibbleQuantizeBlocksPassBase<NibbleQuantizeBlocksPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

private:
  LogicalResult run();
  LogicalResult readOptions();

  quantizer::GPTQOptions gptq;
  quantizer::AWQOptions awq;
  quantizer::SmoothQuantOptions smoothQuant;
};

LogicalResult NibbleQuantizeBlocksPass::readOptions() {
  gptq.dampPercent = dampPercent;
  gptq.dampIncrement = dampAutoIncrement;
  gptq.blockSize = blockSize;
  gptq.activationOrder = activationOrder;
  gptq.staticGroups = staticGroups;
  gptq.groupAware = actGroupAware;
  awq.points = awqPoints;
  awq.clip = awqClip;
  auto parsed = quantizer::SmoothQuantOptions::parse(smoothQuantAlpha);
  llvm::Error error = parsed ? llvm::Error::success() : parsed.takeError();
  if (parsed)
    smoothQuant = *parsed;
  if (!error)
    error = gptq.verify();
  if (!error)
    error = awq.verify();
  if (error)
    return emitError(getOperation().getLoc())
           << llvm::toString(std::move(error));
  return success();
}

LogicalResult NibbleQuantizeBlocksPass::run() {
  ModuleOp module = getOperation();
  if (failed(readOptions()))
    return failure();
  const BlockRunnerFactory *factory = BlockRunnerScope::getCurrent();
  if (!factory)
    return success();

  auto gptqMethod = createGPTQMethod(gptq);
  auto awqMethod = quantizer::createAWQ(awq);
  auto smoothQuantMethod = quantizer::createSmoothQuant(smoothQuant);
  SequentialMethods methods;
  methods.layers["gptq"] = gptqMethod.get();
  methods.scales["awq"] = awqMethod.get();
  methods.scales["smoothquant"] = smoothQuantMethod.get();

  SmallVector<StringRef> names(methods.layers.keys());
  llvm::append_range(names, methods.blocks.keys());
  FailureOr<QuantizationCounts> tables = roundTables(module, names);
  if (failed(tables))
    return failure();
  bool isAsked = false;
  calibration::BlockRunnerOptions runnerOptions;
  module.walk([&](QuantizableOpInterface op) {
    auto request = QuantizationRequest::get(op);
    if (failed(request) || !*request)
      return;
    bool returns = !(*request)->prepare.empty() ||
                   methods.blocks.contains((*request)->method);
    runnerOptions.keepBlockInputs |= returns;
    isAsked |= returns || methods.layers.contains((*request)->method);
  });
  numWeightsQuantized += tables->quantized;
  bytesSaved += tables->bytesSaved;
  if (!isAsked)
    return success();
  auto runner = (*factory)(module, runnerOptions);
  if (failed(runner))
    return failure();
  FailureOr<QuantizationCounts> counts =
      quantizeSequentially(module, **runner, methods);
  if (failed(counts))
    return failure();
  numWeightsQuantized += counts->quantized;
  bytesSaved += counts->bytesSaved;
  return success();
}

} // namespace
} // namespace nibble
