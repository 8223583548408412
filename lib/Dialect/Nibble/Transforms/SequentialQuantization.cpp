//===- SequentialQuantization.cpp - Methods that go block by block --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockPreparation.h"

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
BlockMethod::~BlockMethod() = default;

/// Multiplies element [r, c] with `columns[c] ^ sign / rows[r] ^ sign`.
static void rescale(MutableArrayRef<float> values, ArrayRef<float> columns,
                    ArrayRef<float> rows, int64_t cols, bool inverse) {
  for (auto [i, value] : llvm::enumerate(values)) {
    float up = columns.empty() ? 1 : columns[i % cols];
    float down = rows.empty() ? 1 : rows[i / cols];
    value = inverse ? value / up * down : value * up / down;
  }
}

void SequentialLayer::toModelWeight(MutableArrayRef<float> values) const {
  rescale(values, inputScales, outputScales, weight.cols, /*inverse=*/true);
}

void SequentialLayer::toOwnGradient(MutableArrayRef<float> gradient) const {
  // A step of `weight` is one of the model's weight by the inverse factor.
  rescale(gradient, inputScales, outputScales, weight.cols, /*inverse=*/true);
}

namespace {
class SequentialQuantizer {
public:
  SequentialQuantizer(BlockRunner &runner, const SequentialMethods &methods)
      : runner(runner), methods(methods), preparation(methods.scales) {}

  FailureOr<QuantizationCounts> run(ModuleOp module);

private:
  /// How the codes of a layer are found: by one of these.
  struct Choice {
    unsigned layer = 0;
    SequentialMethod *sequential = nullptr;
    BlockMethod *block = nullptr;
    const quantizer::Method *table = nullptr;
  };
  /// Layers of a block for a method that quantizes them at once.
  struct BlockWork {
    BlockMethod *method = nullptr;
    std::vector<LayerWeight> weights;
    std::vector<SequentialLayer> layers;
    std::vector<quantizer::QuantizedWeight> results;
    bool isDone = false;
  };

  LogicalResult collect(ModuleOp module);
  LogicalResult beginLayer(QuantizableOpInterface op);
  LogicalResult prepare(unsigned block);
  LogicalResult beginWork(unsigned block);
  llvm::Error quantize(QuantizableOpInterface op,
                       const quantizer::WeightView &weight,
                       quantizer::QuantizedWeight &result);
  llvm::Error quantizeByTable(QuantizableOpInterface op,
                              const quantizer::Method &method,
                              const quantizer::WeightView &weight,
                              quantizer::QuantizedWeight &result);
  llvm::Error quantizeByBlock(QuantizableOpInterface op, BlockMethod *method,
                              quantizer::QuantizedWeight &result);
  llvm::Error replaceWeights(QuantizableOpInterface op,
                             const quantizer::QuantizedWeight &result);
  llvm::Error runStage(QuantizableOpInterface op);
  llvm::Error goBack(unsigned block);
  unsigned getStage(Operation *op) const {
    return runner.getLayers()[choices.lookup(op).layer].stage;
  }
  unsigned getBlock(Operation *op) const {
    return runner.getStages()[getStage(op)].block;
  }
  SmallVector<QuantizableOpInterface> getLayersOf(unsigned stage) const;
  void addSquares(const ActivationRows &rows);
  std::vector<float> getImportance(QuantizableOpInterface op) const;

  BlockRunner &runner;
  const SequentialMethods &methods;
  LayerPreparation preparation;
  llvm::MapVector<Operation *, Choice> choices;
  /// The weights as they were: several layers may have the same.
  DenseMap<Operation *, Value> weights;
  std::optional<unsigned> block, stage;
  std::vector<BlockWork> work;
  /// Of the columns of the stage, over `numRows` rows of all groups.
  std::vector<double> squares;
  int64_t numRows = 0;
};
} // namespace

SmallVector<QuantizableOpInterface>
SequentialQuantizer::getLayersOf(unsigned stage) const {
  SmallVector<QuantizableOpInterface> layers;
  for (auto &[op, choice] : choices)
    if (runner.getLayers()[choice.layer].stage == stage)
      layers.push_back(cast<QuantizableOpInterface>(op));
  return layers;
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

/// Shows the activations of a layer's stage to those who need them.
llvm::Error SequentialQuantizer::runStage(QuantizableOpInterface op) {
  unsigned next = getStage(op);
  if (stage == next)
    return llvm::Error::success();
  stage = next;
  const calibration::BlockStage &begun = runner.getStages()[next];
  SmallVector<SequentialMethod *> observers;
  ArrayRef<float> scales;
  bool hasImportance = false;
  for (QuantizableOpInterface layer : getLayersOf(next)) {
    Choice choice = choices.lookup(layer);
    if (choice.sequential && !llvm::is_contained(observers, choice.sequential))
      observers.push_back(choice.sequential);
    hasImportance |= choice.table && choice.table->needsImportance;
    if (scales.empty())
      scales = preparation.getInputScales(layer);
  }
  squares.assign(begun.columns, 0);
  numRows = 0;
  for (SequentialMethod *observer : observers)
    if (llvm::Error error = observer->beginStage(begun))
      return error;
  std::vector<float> divided;
  return runner.runStage(next, [&](const ActivationRows &piece) -> llvm::Error {
    ActivationRows rows = piece;
    if (!scales.empty()) {
      divided.assign(piece.values.begin(), piece.values.end());
      for (auto [i, value] : llvm::enumerate(divided))
        value /= scales[i % scales.size()];
      rows.values = divided;
    }
    if (hasImportance)
      addSquares(rows);
    for (SequentialMethod *observer : observers)
      if (llvm::Error error = observer->observe(rows))
        return error;
    return llvm::Error::success();
  });
}

llvm::Error SequentialQuantizer::goBack(unsigned block) {
  stage.reset();
  return runner.rewind(block);
}

//===----------------------------------------------------------------------===//
// The begin of a block
//===----------------------------------------------------------------------===//

/// Finds scales for the layers of a block that ask for them.
LogicalResult SequentialQuantizer::prepare(unsigned block) {
  bool hasRun = false;
  for (unsigned next : runner.getBlocks()[block].stages()) {
    SmallVector<QuantizableOpInterface> layers = getLayersOf(next);
    auto plan = preparation.plan(layers);
    if (failed(plan))
      return failure();
    if (!*plan)
      continue;
    const PreparedStage &prepared = **plan;
    const calibration::BlockStage &begun = runner.getStages()[next];
    QuantizableOpInterface first = prepared.layers.front();
    quantizer::ActivationCollector collector(
        begun.columns, begun.columns / getNumInputChannels(first),
        preparation.getNeeds(prepared));
    hasRun = true;
    llvm::Error error =
        runner.runStage(next, [&](const ActivationRows &rows) -> llvm::Error {
          collector.observe(rows.values);
          return llvm::Error::success();
        });
    if (error)
      return emitError(first.getLoc()) << llvm::toString(std::move(error));
    if (failed(preparation.apply(prepared, collector.finish())))
      return failure();
    for (QuantizableOpInterface op : prepared.layers)
      weights[op] = op.getWeightOperand().get();
  }
  // The weights of producers have changed, too.
  for (auto &[op, choice] : choices)
    if (hasRun && getBlock(op) == block)
      weights[op] = cast<QuantizableOpInterface>(op).getWeightOperand().get();
  if (!hasRun)
    return success();
  if (llvm::Error error = goBack(block))
    return emitError(choices.front().first->getLoc())
           << llvm::toString(std::move(error));
  return success();
}

/// Shows the float block to methods that quantize it as a whole.
LogicalResult SequentialQuantizer::beginWork(unsigned block) {
  work.clear();
  for (auto &[operation, choice] : choices) {
    if (!choice.block || getBlock(operation) != block)
      continue;
    BlockMethod *method = choice.block;
    auto found = llvm::find_if(
        work, [&](const BlockWork &known) { return known.method == method; });
    if (found == work.end()) {
      work.emplace_back();
      found = std::prev(work.end());
      found->method = method;
    }
    auto op = cast<QuantizableOpInterface>(operation);
    FailureOr<LayerWeight> weight = readWeight(op);
    if (failed(weight))
      return failure();
    QuantizationRequest request = **QuantizationRequest::get(op);
    found->layers.push_back({op, choice.layer, weight->view, request.scheme,
                             preparation.getInputScales(op),
                             preparation.getOutputScales(op)});
    found->results.emplace_back(request.scheme, weight->view.rows,
                                weight->view.cols);
    found->weights.push_back(std::move(*weight));
  }
  if (work.empty())
    return success();
  auto begin = [&]() -> llvm::Error {
    // What is at the begin of the block is kept when one of its stages runs.
    auto ignore = [](const ActivationRows &) { return llvm::Error::success(); };
    if (llvm::Error error =
            runner.runStage(runner.getBlocks()[block].firstStage, ignore))
      return error;
    if (llvm::Error error = goBack(block))
      return error;
    for (BlockWork &begun : work)
      if (llvm::Error error =
              begun.method->beginBlock(runner, block, begun.layers))
        return error;
    return llvm::Error::success();
  };
  if (llvm::Error error = begin())
    return emitError(work.front().layers.front().op.getLoc())
           << llvm::toString(std::move(error));
  return success();
}

LogicalResult SequentialQuantizer::beginLayer(QuantizableOpInterface op) {
  unsigned next = getBlock(op);
  if (block == next)
    return success();
  block = next;
  return success(succeeded(prepare(next)) && succeeded(beginWork(next)));
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

llvm::Error SequentialQuantizer::quantizeByTable(
    QuantizableOpInterface op, const quantizer::Method &method,
    const quantizer::WeightView &weight, quantizer::QuantizedWeight &result) {
  quantizer::MethodInput input = {weight, result.scheme};
  std::vector<float> importance;
  if (method.needsImportance) {
    if (llvm::Error error = runStage(op))
      return error;
    importance = getImportance(op);
    input.importance = importance;
  }
  llvm::Expected<quantizer::QuantizedWeight> quantized =
      quantizer::quantize(method, input);
  if (!quantized)
    return quantized.takeError();
  result = std::move(*quantized);
  return llvm::Error::success();
}

llvm::Error
SequentialQuantizer::quantizeByBlock(QuantizableOpInterface op,
                                     BlockMethod *method,
                                     quantizer::QuantizedWeight &result) {
  auto found = llvm::find_if(
      work, [&](const BlockWork &known) { return known.method == method; });
  if (!found->isDone) {
    found->isDone = true;
    if (llvm::Error error = goBack(*block))
      return error;
    if (llvm::Error error = method->quantizeBlock(runner, *block, found->layers,
                                                  found->results))
      return error;
  }
  for (auto [layer, quantized] : llvm::zip_equal(found->layers, found->results))
    if (layer.op == op)
      result = std::move(quantized);
  return llvm::Error::success();
}

/// From here on the model computes with the codes.
llvm::Error
SequentialQuantizer::replaceWeights(QuantizableOpInterface op,
                                    const quantizer::QuantizedWeight &result) {
  std::vector<float> values(result.rows * result.cols);
  quantizer::dequantize(result, values);
  rescale(values, preparation.getInputScales(op),
          preparation.getOutputScales(op), result.cols, /*inverse=*/true);
  for (auto &[user, choice] : choices)
    if (weights[user] == weights[op] &&
        user->getAttr(requestAttrName) == op->getAttr(requestAttrName))
      if (llvm::Error error = runner.replaceWeight(choice.layer, values))
        return error;
  return llvm::Error::success();
}

llvm::Error SequentialQuantizer::quantize(QuantizableOpInterface op,
                                          const quantizer::WeightView &weight,
                                          quantizer::QuantizedWeight &result) {
  Choice choice = choices.lookup(op);
  quantizer::WeightView view = weight;
  std::vector<float> clamped;
  if (preparation.clamp(op, result.scheme, weight, clamped))
    view = quantizer::WeightView::rowMajor(
        reinterpret_cast<const char *>(clamped.data()), weight.rows,
        weight.cols);
  llvm::Error error = llvm::Error::success();
  if (choice.block) {
    error = quantizeByBlock(op, choice.block, result);
  } else if (choice.table) {
    error = quantizeByTable(op, *choice.table, view, result);
  } else if (!(error = runStage(op))) {
    error = choice.sequential->quantize(op, view, result);
  }
  return error ? std::move(error) : replaceWeights(op, result);
}

/// Layers that are served here, and by whom.
LogicalResult SequentialQuantizer::collect(ModuleOp module) {
  SmallVector<QuantizableOpInterface> all;
  module.walk([&](QuantizableOpInterface op) { all.push_back(op); });
  for (auto [i, layer] : llvm::enumerate(runner.getLayers())) {
    QuantizableOpInterface op = all[layer.operation];
    FailureOr<std::optional<QuantizationRequest>> request =
        QuantizationRequest::get(op);
    if (failed(request))
      return failure();
    if (!*request)
      continue;
    StringRef method = (*request)->method;
    Choice choice{static_cast<unsigned>(i), methods.layers.lookup(method),
                  methods.blocks.lookup(method), nullptr};
    if (!choice.sequential && !choice.block) {
      choice.table = quantizer::lookupMethod(method);
      if (!choice.table || choice.table->needsHessian)
        continue;
    }
    choices[op] = choice;
    weights[op] = op.getWeightOperand().get();
  }
  return success();
}

FailureOr<QuantizationCounts> SequentialQuantizer::run(ModuleOp module) {
  int64_t left = 0;
  module.walk(
      [&](QuantizableOpInterface op) { left += op->hasAttr(requestAttrName); });
  if (failed(collect(module)))
    return failure();
  // Methods that quantize a block at once are the last ones in it.
  SmallVector<QuantizableOpInterface> operations;
  for (size_t i = 0; i != runner.getBlocks().size(); ++i)
    for (bool isLast : {false, true})
      for (auto &[op, choice] : choices)
        if (getBlock(op) == i && (choice.block != nullptr) == isLast)
          operations.push_back(cast<QuantizableOpInterface>(op));
  FailureOr<QuantizationCounts> counts = quantizeWeights(
      module, operations,
      [&](QuantizableOpInterface op, const quantizer::WeightView &weight,
          quantizer::QuantizedWeight &result) {
        return quantize(op, weight, result);
      },
      [&](QuantizableOpInterface op) { return beginLayer(op); });
  for (const auto &method : methods.layers)
    method.second->report();
  for (const auto &method : methods.blocks)
    method.second->report();
  if (succeeded(counts))
    counts->otherMethods = left - counts->quantized;
  return counts;
}

FailureOr<QuantizationCounts>
nibble::quantizeSequentially(ModuleOp module, BlockRunner &runner,
                             const SequentialMethods &methods) {
  return SequentialQuantizer(runner, methods).run(module);
}
