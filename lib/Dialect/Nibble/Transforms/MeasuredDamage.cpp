//===- MeasuredDamage.cpp - What schemes do to a model's outputs ----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/MeasuredDamage.h"

#include "nibble/Quantizer/DenseMath.h"
#include "nibble/Quantizer/OutputDistance.h"
#include "nibble/Support/Progress.h"
#include "llvm/ADT/MapVector.h"
#include <cmath>

using namespace mlir;
using nibble::calibration::BlockLayer;
using nibble::calibration::BlockResult;
using nibble::calibration::BlockRunner;
using nibble::calibration::BlockStage;

namespace nibble {

DamageMeasure findMeasure(ModuleOp module) {
  bool isDistribution = false;
  module.walk([&](func::FuncOp function) {
    llvm::SmallDenseSet<int64_t> tables;
    function.walk([&](GatherOp op) { tables.insert(op.getWeightView().rows); });
    function.walk([&](func::ReturnOp op) {
      for (Type type : op.getOperandTypes())
        if (auto tensor = dyn_cast<RankedTensorType>(type))
          isDistribution |= tensor.getRank() > 1 &&
                            isa<FloatType>(tensor.getElementType()) &&
                            tables.contains(tensor.getShape().back());
    });
  });
  return isDistribution ? DamageMeasure::Divergence
                        : DamageMeasure::RelativeError;
}

namespace {
/// Collects the outputs of the float model and compares those of variants.
class OutputJudge {
public:
  OutputJudge(DamageMeasure measure, size_t numVariants, unsigned threads)
      : measure(measure), threads(threads), sums(numVariants) {}

  llvm::Error add(int64_t variant, const BlockResult &result);
  /// By variant.
  std::vector<double> getDamage() const;

private:
  /// Of one output: noise over signal, or divergence over rows.
  using Sums = llvm::SmallDenseMap<unsigned, quantizer::OutputError, 1>;

  DamageMeasure measure;
  unsigned threads;
  /// Of the float model, by batch and output.
  DenseMap<std::pair<unsigned, unsigned>, std::vector<float>> reference;
  std::vector<Sums> sums;
};
} // namespace

llvm::Error OutputJudge::add(int64_t variant, const BlockResult &result) {
  std::vector<float> &known = reference[{result.batch, result.index}];
  if (variant < 0) {
    known = result.values.vec();
    for (float value : known)
      if (!std::isfinite(value))
        return llvm::createStringError(
            "an output of the model is not finite on the samples");
    return llvm::Error::success();
  }
  quantizer::OutputError &sum = sums[variant][result.index];
  if (measure == DamageMeasure::RelativeError) {
    sum += quantizer::computeDifference(known, result.values, threads);
    return llvm::Error::success();
  }
  int64_t columns =
      std::max<int64_t>(1, result.dims.empty() ? 1 : result.dims.back());
  sum.noise +=
      quantizer::computeDivergence(known, result.values, columns, threads);
  sum.signal += static_cast<double>(known.size()) / columns;
  return llvm::Error::success();
}

std::vector<double> OutputJudge::getDamage() const {
  std::vector<double> damage;
  for (const Sums &outputs : sums) {
    double sum = 0;
    for (const auto &entry : outputs)
      sum += entry.second.getRelative();
    damage.push_back(outputs.empty() ? 0 : sum / outputs.size());
  }
  return damage;
}

FailureOr<std::unique_ptr<BlockRunner>> DamageProbe::makeRunner() {
  return factory(module, options);
}

/// The runner's layers by their operations.
DenseMap<Operation *, unsigned>
DamageProbe::mapLayers(const BlockRunner &runner) {
  SmallVector<Operation *> all;
  module.walk([&](QuantizableOpInterface op) { all.push_back(op); });
  DenseMap<Operation *, unsigned> layers;
  for (auto [i, layer] : llvm::enumerate(runner.getLayers()))
    layers[all[layer.operation]] = i;
  return layers;
}

/// Output errors of all candidates over the activations that the samples give.
LogicalResult DamageProbe::computeErrors(BlockRunner &runner,
                                         MutableArrayRef<Probed *> layers) {
  for (auto [number, stage] : llvm::enumerate(runner.getStages())) {
    reportProgress(number, runner.getStages().size(), "errors of layers");
    if (llvm::none_of(stage.layers,
                      [&](unsigned layer) { return layers[layer]; }))
      continue;
    std::vector<std::vector<float>> hessians(
        stage.groups, std::vector<float>(stage.columns * stage.columns));
    if (llvm::Error error = runner.runStage(
            number,
            [&](const calibration::ActivationRows &rows) -> llvm::Error {
              quantizer::addOuterProducts(
                  {rows.values.data(), rows.rows, rows.columns, rows.columns},
                  hessians[rows.group]);
              return llvm::Error::success();
            }))
      return module.emitError() << llvm::toString(std::move(error));
    InputSums sums;
    for (std::vector<float> &hessian : hessians) {
      quantizer::mirrorUpper(hessian, stage.columns);
      sums.hessians.push_back(hessian);
    }
    for (unsigned layer : stage.layers) {
      Probed *probed = layers[layer];
      if (probed && failed(forEachCandidate(
                        *probed->decision,
                        [&](unsigned, const quantizer::WeightView &weight,
                            ArrayRef<float> values) {
                          probed->errors.push_back(getDamage(
                              computeLayerError(weight, values, sums)));
                          return success();
                        })))
        return failure();
    }
  }
  return success();
}

FailureOr<std::vector<double>> DamageProbe::measureVariants(
    const Variants &variants,
    llvm::function_ref<FailureOr<std::vector<float>>(unsigned, unsigned)>
        makeWeight) {
  auto runner = makeRunner();
  if (failed(runner))
    return failure();
  OutputJudge judge(measure, variants.size(), options.threads);
  bool reported = false;
  llvm::Error error = (*runner)->runVariants(
      variants,
      [&](unsigned variant,
          unsigned layer) -> llvm::Expected<std::vector<float>> {
        FailureOr<std::vector<float>> weight = makeWeight(variant, layer);
        if (succeeded(weight))
          return std::move(*weight);
        reported = true;
        return llvm::createStringError("a weight can't be rounded");
      },
      [&](int64_t variant, const BlockResult &result) {
        return judge.add(variant, result);
      });
  if (!error)
    return judge.getDamage();
  std::string message = llvm::toString(std::move(error));
  if (!reported)
    module.emitError("can't measure what schemes do to the outputs: ")
        << message;
  return failure();
}

LogicalResult DamageProbe::run(MutableArrayRef<SchemeDecision> all,
                               ArrayRef<unsigned> probes) {
  auto runner = makeRunner();
  if (failed(runner))
    return failure();
  DenseMap<Operation *, unsigned> known = mapLayers(**runner);
  std::vector<Probed> probed;
  probed.reserve(known.size());
  std::vector<Probed *> layers((*runner)->getLayers().size());
  Variants variants;
  for (auto [decision, probe] : llvm::zip_equal(all, probes))
    for (QuantizableOpInterface op : decision.layers)
      if (auto found = known.find(op); found != known.end()) {
        probed.push_back({&decision, probe, {}});
        layers[found->second] = &probed.back();
        variants.push_back({found->second});
      }
  if (failed(computeErrors(**runner, layers)))
    return failure();
  runner->reset();
  auto measured = measureVariants(variants, [&](unsigned variant, unsigned) {
    return roundToCandidate(*probed[variant].decision, probed[variant].probe);
  });
  if (failed(measured))
    return failure();

  // What a unit of relative error costs at each layer. Of layers that cost
  // next to nothing the figure is noise: none is free.
  std::vector<double> costs, finite;
  for (auto [layer, damage] : llvm::zip_equal(probed, *measured)) {
    double cost = damage / layer.errors[layer.probe];
    costs.push_back(cost);
    if (std::isfinite(cost) && cost > 0)
      finite.push_back(cost);
  }
  llvm::sort(finite);
  double middle = finite.empty() ? 1 : finite[finite.size() / 2];
  double largest = finite.empty() ? 1 : finite.back();
  for (auto [layer, cost] : llvm::zip_equal(probed, costs)) {
    double used = std::isnan(cost)   ? middle
                  : std::isinf(cost) ? largest
                                     : std::max(cost, middle / 100);
    for (auto [option, error] :
         llvm::zip_equal(layer.decision->options, layer.errors))
      option.damage += used * error;
  }
  for (SchemeDecision &decision : all) {
    int64_t others = llvm::count_if(
        decision.layers, [&](Operation *op) { return !known.contains(op); });
    if (others && failed(forEachCandidate(
                      decision, [&](unsigned candidate,
                                    const quantizer::WeightView &weight,
                                    ArrayRef<float> values) {
                        decision.options[candidate].damage +=
                            others * middle *
                            getDamage(computeLayerError(weight, values, {}));
                        return success();
                      })))
      return failure();
  }
  return success();
}

FailureOr<std::vector<double>>
DamageProbe::measureChoices(MutableArrayRef<SchemeDecision> all,
                            ArrayRef<std::vector<unsigned>> choices) {
  auto runner = makeRunner();
  if (failed(runner))
    return failure();
  DenseMap<Operation *, unsigned> known = mapLayers(**runner);
  runner->reset();
  std::vector<unsigned> everything;
  DenseMap<unsigned, unsigned> decisions;
  for (auto [number, decision] : llvm::enumerate(all))
    for (QuantizableOpInterface op : decision.layers)
      if (auto found = known.find(op); found != known.end()) {
        everything.push_back(found->second);
        decisions[found->second] = number;
      }
  return measureVariants(Variants(choices.size(), everything),
                         [&](unsigned variant, unsigned layer) {
                           unsigned number = decisions[layer];
                           return roundToCandidate(all[number],
                                                   choices[variant][number]);
                         });
}

} // namespace nibble
