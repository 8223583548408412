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
  bool hasLayer(unsigned stage,
                llvm::function_ref<bool(Operation *op)> predicate) const;
  void addSquares(const ActivationRows &rows);
  std::vector<float> getImportance(QuantizableOpInterface op) const;

  StringRef method;
  BlockRunner &runner;
  SequentialMethod &sequential;
  llvm::MapVector<Operation *, unsigned> layers;
  /// Methods of the table that are served on the way, by their layer.
  DenseMap<Operation *, const quantizer::Method *> others;
  /// The weights as they were: several layers may have the same.
  DenseMap<Operation *, Value> weights;
  std::optional<unsigned> stage;
  /// Of the columns of the stage, over `numRows` rows of all groups.
  std::vector<double> squares;
  int64_t numRows = 0;
};
} // namespace

bool SequentialQuantizer::hasLayer(
    unsigned stage, llvm::function_ref<bool(Operation *op)> predicate) const {
  return llvm::any_of(layers, [&](const auto &layer) {
    return runner.getLayers()[layer.second].stage == stage &&
           predicate(layer.first);
  });
}

void SequentialQuantizer::addSquares(const ActivationRows &rows) {
  for (int64_t row = 0; row < rows.rows; ++row)
    for (auto [sum, value] : llvm::zip_equal(
             squares, rows.values.slice(row * rows.columns, rows.columns)))
      sum += static_cast<double>(value) * value;
  numRows += rows.rows;
}

/// The mean square of each column. Groups of a convolution share a row of
/// importance, which is the mean over them.
std::vector<float>
SequentialQuantizer::getImportance(QuantizableOpInterface op) const {
  if (numRows == 0) {
    emitWarning(op.getLoc(), "layer \"")
        << op.getLayerName()
        << "\" has columns of equal importance: no input of the data reached "
           "it";
    return std::vector<float>(squares.size(), 1);
  }
  std::vector<float> importance;
  for (double sum : squares)
    importance.push_back(static_cast<float>(sum / numRows));
  return importance;
}

llvm::Error SequentialQuantizer::runStage(unsigned next) {
  if (stage == next)
    return llvm::Error::success();
  stage = next;
  const calibration::BlockStage &begun = runner.getStages()[next];
  bool isOwn =
      hasLayer(next, [&](Operation *op) { return !others.contains(op); });
  bool hasImportance = hasLayer(next, [&](Operation *op) {
    const quantizer::Method *other = others.lookup(op);
    return other && other->needsImportance;
  });
  squares.assign(begun.columns, 0);
  numRows = 0;
  if (isOwn)
    if (llvm::Error error = sequential.beginStage(begun))
      return error;
  return runner.runStage(next, [&](const ActivationRows &rows) -> llvm::Error {
    if (hasImportance)
      addSquares(rows);
    return isOwn ? sequential.observe(rows) : llvm::Error::success();
  });
}

llvm::Error SequentialQuantizer::quantize(QuantizableOpInterface op,
                                          const quantizer::WeightView &weight,
                                          quantizer::QuantizedWeight &result) {
  if (const quantizer::Method *other = others.lookup(op)) {
    quantizer::MethodInput input = {weight, result.scheme};
    std::vector<float> importance;
    if (other->needsImportance) {
      if (llvm::Error error = runStage(runner.getLayers()[layers[op]].stage))
        return error;
      importance = getImportance(op);
      input.importance = importance;
    }
    llvm::Expected<quantizer::QuantizedWeight> quantized =
        quantizer::quantize(*other, input);
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
      if (!other || other->needsHessian)
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
