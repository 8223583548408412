//===- RoundingTraining.cpp - Learn the roundings of blocks ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/RoundingTraining.h"

#include "mlir/IR/Remarks.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Quantizer/RTN.h"
#include "nibble/Support/Progress.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::calibration;

/// Batches on which the begin and the end of a descent are compared.
static constexpr unsigned numCompared = 4;

llvm::Error RoundingTrainingOptions::verify() const {
  if (batchSize == 0)
    return llvm::createStringError("expected a batch size of at least 1");
  return rounding.verify();
}

std::vector<unsigned> BatchOrder::take(unsigned count) {
  count = std::min<size_t>(count, order.size());
  if (next + count > order.size()) {
    // Not std::shuffle: libraries differ in what they make of the numbers.
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[random() % i]);
    next = 0;
  }
  std::vector<unsigned> taken(order.begin() + next,
                              order.begin() + next + count);
  next += count;
  return taken;
}

FailureOr<QuantizationCounts> RoundingTraining::run() {
  SmallVector<QuantizableOpInterface> all, served;
  module.walk([&](QuantizableOpInterface op) { all.push_back(op); });
  DenseMap<std::pair<Value, Attribute>, unsigned> known;
  DenseMap<Operation *, unsigned> numbers;
  for (auto [i, described] : llvm::enumerate(runner.getLayers())) {
    Layer &layer = layers.emplace_back();
    layer.op = all[described.operation];
    layer.first = i;
    FailureOr<std::optional<QuantizationRequest>> request =
        QuantizationRequest::get(layer.op);
    if (failed(request))
      return failure();
    if (!*request)
      continue;
    layer.learns = (*request)->method == "autoround";
    const quantizer::Method *method =
        quantizer::lookupMethod((*request)->method);
    if (!layer.learns &&
        (!method || method->needsHessian || method->needsImportance))
      continue;
    layer.request = **request;
    layer.first = known
                      .try_emplace({layer.op.getWeightOperand().get(),
                                    layer.op->getAttr(requestAttrName)},
                                   i)
                      .first->second;
    layers[layer.first].isShared |= layer.first != i;
    numbers[layer.op] = i;
    served.push_back(layer.op);
    if (!layer.learns)
      continue;
    if (llvm::Error error =
            quantizer::RoundingLearner::supports(layer.request->scheme))
      return emitError(layer.op.getLoc(), "layer \"")
             << described.name << "\": " << llvm::toString(std::move(error));
  }
  return quantizeWeights(
      module, served,
      [&](QuantizableOpInterface op, const quantizer::WeightView &,
          quantizer::QuantizedWeight &result) -> llvm::Error {
        unsigned number = numbers.lookup(op);
        unsigned stage = runner.getLayers()[number].stage;
        while (blocksDone <= runner.getStages()[stage].block)
          if (llvm::Error error = quantizeBlock(blocksDone++))
            return error;
        Layer &first = layers[layers[number].first];
        result = first.isShared ? first.codes : std::move(first.codes);
        return llvm::Error::success();
      });
}

/// Layers that share a weight compute with the codes of the first of them.
llvm::Error RoundingTraining::setCodes(unsigned number) {
  Layer &layer = layers[number];
  layer.values.resize(layer.codes.rows * layer.codes.cols);
  quantizer::dequantize(layer.codes, layer.values);
  for (auto [i, other] : llvm::enumerate(layers))
    if (other.request && other.first == number)
      if (llvm::Error error = runner.replaceWeight(i, layer.values))
        return error;
  return llvm::Error::success();
}

/// Runs a stage and gives its layers the codes to begin with.
llvm::Error RoundingTraining::startStage(unsigned stage) {
  bool observes = start && llvm::any_of(runner.getStages()[stage].layers,
                                        [&](unsigned number) {
                                          return layers[number].learns;
                                        });
  if (observes)
    if (llvm::Error error = start->beginStage(runner.getStages()[stage]))
      return error;
  if (llvm::Error error = runner.runStage(
          stage, [&](const ActivationRows &rows) -> llvm::Error {
            return observes ? start->observe(rows) : llvm::Error::success();
          }))
    return error;
  for (unsigned number : runner.getStages()[stage].layers) {
    Layer &layer = layers[number];
    if (!layer.request || layer.first != number)
      continue;
    FailureOr<LayerWeight> weight = readWeight(layer.op);
    if (failed(weight))
      return llvm::createStringError("its weight can't be read");
    const quantizer::WeightView &view = weight->view;
    const quantizer::QuantizationScheme &scheme = layer.request->scheme;
    layer.codes = quantizer::QuantizedWeight(scheme, view.rows, view.cols);
    if (!layer.learns) {
      auto codes = quantizer::quantize(
          *quantizer::lookupMethod(layer.request->method), {view, scheme});
      if (!codes)
        return codes.takeError();
      layer.codes = std::move(*codes);
    } else {
      if (llvm::Error error =
              start ? start->quantize(layer.op, view, layer.codes)
                    : quantizer::quantizeRTN(view, scheme, layer.codes.codes,
                                             layer.codes.scales,
                                             layer.codes.zeros))
        return error;
      auto learner = quantizer::RoundingLearner::createFrom(view, layer.codes,
                                                            options.rounding);
      if (!learner)
        return learner.takeError();
      layer.learner = std::move(*learner);
    }
    if (llvm::Error error = setCodes(number))
      return error;
  }
  return llvm::Error::success();
}

void RoundingTraining::warn(ArrayRef<unsigned> numbers, StringRef reason) {
  ++numFallbacks;
  Operation *first = nullptr;
  std::string names;
  for (unsigned number : numbers)
    if (layers[number].learns) {
      first = first ? first : layers[number].op.getOperation();
      names += (names.empty() ? "\"" : ", \"") +
               runner.getLayers()[number].name + "\"";
    }
  emitWarning(first->getLoc(), "layers ")
      << names << " keep the codes of "
      << (start ? "gptq" : "rounding to nearest")
      << ", the start of autoround: " << reason;
}

llvm::Expected<double> RoundingTraining::compute(BlockLoss &loss,
                                                 ArrayRef<unsigned> numbers,
                                                 ArrayRef<unsigned> batches) {
  SmallVector<ArrayRef<float>> weights;
  SmallVector<MutableArrayRef<float>> gradients;
  for (unsigned number : numbers) {
    Layer &layer = layers[number];
    if (layer.learner)
      layer.learner->dequantize(layer.values);
    weights.push_back(layer.values);
    gradients.push_back(layer.gradient);
  }
  return loss.compute(batches, weights, gradients);
}

/// The iterate with the last step is kept, if it is better than the start.
llvm::Error RoundingTraining::descend(unsigned block,
                                      ArrayRef<unsigned> numbers,
                                      BlockLoss &loss) {
  unsigned count = runner.getNumBatches();
  unsigned perBatch = llvm::divideCeil(runner.getNumSamples(), count);
  unsigned perStep = std::max(1u, options.batchSize / perBatch);
  BatchOrder order(count, options.seed + block);
  std::vector<unsigned> compared =
      BatchOrder(count, options.seed).take(std::max(numCompared, perStep));
  llvm::Expected<double> first = compute(loss, numbers, compared);
  if (!first)
    return first.takeError();
  auto forLearners = [&](auto action) {
    for (unsigned number : numbers)
      if (layers[number].learner)
        action(*layers[number].learner, layers[number].gradient);
  };
  forLearners([](auto &learner, auto &) { learner.keep(); });
  unsigned total = options.rounding.iterations;
  for (unsigned i = 0; i != total; ++i) {
    reportProgress(uint64_t(block) * total + i,
                   uint64_t(runner.getBlocks().size()) * total,
                   "autoround, block " + std::to_string(block + 1) + " of " +
                       std::to_string(runner.getBlocks().size()));
    if (i != 0)
      if (auto now = compute(loss, numbers, order.take(perStep)); !now)
        return now.takeError();
    forLearners([](auto &learner, auto &gradient) { learner.step(gradient); });
  }
  llvm::Expected<double> last = compute(loss, numbers, compared);
  if (!last)
    return last.takeError();
  losses.push_back({*first, std::min(*first, *last)});
  remark::passed(layers[numbers.front()].op.getLoc(),
                 remark::RemarkOpts::name("Learned").category("nibble"))
      << remark::add("block {0} of {1}, with layer {2}", block + 1,
                     runner.getBlocks().size(),
                     runner.getLayers()[numbers.front()].name)
      << remark::metric("start_loss", *first) << remark::metric("loss", *last);
  if (!(*last < *first))
    forLearners([](auto &learner, auto &) { learner.restore(); });
  return llvm::Error::success();
}

llvm::Error RoundingTraining::learn(unsigned block,
                                    ArrayRef<unsigned> numbers) {
  auto loss = runner.createLoss(block, numbers);
  if (!loss) {
    warn(numbers, llvm::toString(loss.takeError()));
    return llvm::Error::success();
  }
  for (unsigned number : numbers) {
    Layer &layer = layers[number];
    if (layer.request && layer.first != number) {
      layer.values.resize(layers[layer.first].codes.codes.size());
      quantizer::dequantize(layers[layer.first].codes, layer.values);
    } else if (layer.values.empty()) {
      FailureOr<LayerWeight> weight = readWeight(layer.op);
      if (failed(weight))
        return llvm::createStringError("its weight can't be read");
      layer.values.resize(weight->view.rows * weight->view.cols);
      quantizer::copyTile(weight->view, 0, weight->view.rows, 0,
                          weight->view.cols, layer.values.data());
    }
    layer.gradient.resize(layer.values.size());
  }
  if (llvm::Error error = descend(block, numbers, **loss))
    return error;
  ++numLearned;
  for (unsigned number : numbers) {
    Layer &layer = layers[number];
    if (!layer.learner)
      continue;
    if (llvm::Error error = layer.learner->quantize(layer.codes))
      return error;
    if (llvm::Error error = setCodes(number))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error RoundingTraining::quantizeBlock(unsigned block) {
  SmallVector<unsigned> numbers;
  for (unsigned stage : runner.getBlocks()[block].stages()) {
    if (llvm::Error error = startStage(stage))
      return error;
    llvm::append_range(numbers, runner.getStages()[stage].layers);
  }
  bool learns = llvm::any_of(
      numbers, [&](unsigned number) { return bool(layers[number].learner); });
  if (learns && options.rounding.iterations != 0) {
    if (llvm::Error error = learn(block, numbers))
      return error;
    if (block + 1 != runner.getBlocks().size())
      if (llvm::Error error = runner.rewind(block))
        return error;
  }
  for (unsigned number : numbers) {
    Layer &layer = layers[number];
    layer.learner.reset();
    layer.values = {};
    layer.gradient = {};
  }
  return llvm::Error::success();
}
