//===- SequentialQuantization.cpp - Methods that go block by block --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/SequentialQuantization.h"

#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace nibble;
using calibration::ActivationRows;
using calibration::BlockLayer;
using calibration::BlockRunner;

static thread_local const BlockRunnerFactory *currentFactory = nullptr;

BlockRunnerScope::BlockRunnerScope(BlockRunnerFactory factory)
    : factory(std::move(factory)), previous(currentFactory) {
  currentFactory = &this->factory;
}
BlockRunnerScope::~BlockRunnerScope() { currentFactory = previous; }
const BlockRunnerFactory *BlockRunnerScope::getCurrent() {
  return currentFactory;
}

SequentialMethod::~SequentialMethod() = default;

namespace {
class SequentialQuantizer {
public:
  SequentialQuantizer(StringRef method, BlockRunner &runner,
                      SequentialMethod &sequential)
      : method(method), runner(runner), sequential(sequential) {}

  FailureOr<QuantizationCounts> run(ModuleOp module);

private:
  llvm::Error quantize(QuantizableOpInterface op,
                       const quantizer::WeightView &weight,
                       quantizer::QuantizedWeight &result);
  llvm::Error runStage(unsigned stage);

  StringRef method;
  BlockRunner &runner;
  SequentialMethod &sequential;
  llvm::MapVector<Operation *, unsigned> layers;
  /// Methods of the table that are served on the way, by their layer.
  DenseMap<Operation *, const quantizer::Method *> others;
  /// The weights as they were: several layers may have the same.
  DenseMap<Operation *, Value> weights;
  std::optional<unsigned> stage;
};
} // namespace

llvm::Error SequentialQuantizer::runStage(unsigned next) {
  if (stage == next)
    return llvm::Error::success();
  stage = next;
  if (llvm::Error error = sequential.beginStage(runner.getStages()[next]))
    return error;
  return runner.runStage(next, [&](const ActivationRows &rows) {
    return sequential.observe(rows);
  });
}

llvm::Error SequentialQuantizer::quantize(QuantizableOpInterface op,
                                          const quantizer::WeightView &weight,
                                          quantizer::QuantizedWeight &result) {
  if (const quantizer::Method *other = others.lookup(op)) {
    llvm::Expected<quantizer::QuantizedWeight> quantized =
        quantizer::quantize(*other, {weight, result.scheme});
    if (!quantized)
      return quantized.takeError();
    result = std::move(*quantized);
  } else {
    if (llvm::Error error = runStage(runner.getLayers()[layers[op]].stage))
      return error;
    if (llvm::Error error = sequential.quantize(op, weight, result))
      return error;
  }
  // From here on the model computes with the codes.
  std::vector<float> values(result.rows * result.cols);
  quantizer::dequantize(result, values);
  for (auto [user, layer] : layers)
    if (weights[user] == weights[op] &&
        user->getAttr(requestAttrName) == op->getAttr(requestAttrName))
      if (llvm::Error error = runner.replaceWeight(layer, values))
        return error;
  return llvm::Error::success();
}

FailureOr<QuantizationCounts> SequentialQuantizer::run(ModuleOp module) {
  SmallVector<QuantizableOpInterface> all, operations;
  module.walk([&](QuantizableOpInterface op) { all.push_back(op); });
  int64_t left = llvm::count_if(
      all, [](Operation *op) { return op->hasAttr(requestAttrName); });
  for (auto [i, layer] : llvm::enumerate(runner.getLayers())) {
    QuantizableOpInterface op = all[layer.operation];
    FailureOr<std::optional<QuantizationRequest>> request =
        QuantizationRequest::get(op);
    if (failed(request))
      return failure();
    if (!*request)
      continue;
    if ((*request)->method != method) {
      const quantizer::Method *other =
          quantizer::lookupMethod((*request)->method);
      if (!other || other->needsHessian || other->needsImportance)
        continue;
      others[op] = other;
    }
    layers[op] = i;
    weights[op] = op.getWeightOperand().get();
    operations.push_back(op);
  }
  FailureOr<QuantizationCounts> counts = quantizeWeights(
      module, operations,
      [&](QuantizableOpInterface op, const quantizer::WeightView &weight,
          quantizer::QuantizedWeight &result) {
        return quantize(op, weight, result);
      });
  if (succeeded(counts))
    counts->otherMethods = left - counts->quantized;
  return counts;
}

FailureOr<QuantizationCounts>
nibble::quantizeSequentially(ModuleOp module, StringRef method,
                             BlockRunner &runner,
                             SequentialMethod &sequential) {
  return SequentialQuantizer(method, runner, sequential).run(module);
}
