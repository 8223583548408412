//===- SchemeChooser.cpp - Choose within a limit ------------------- -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/SchemeChooser.h"

#include "mlir/IR/Matchers.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Support/Size.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir;

namespace nibble {

using quantizer::Allocation;
using quantizer::AllocationItem;
using quantizer::QuantizationScheme;

FailureOr<ChoiceLimit> ChoiceLimit::parse(Location loc, StringRef budget,
                                          StringRef maxError) {
  if (budget.empty() == maxError.empty())
    return emitError(loc)
           << "schemes are to be chosen (auto): give one of --budget, such as "
              "4.25bpw or 60MB, and --max-error";
  ChoiceLimit limit;
  if (budget.empty()) {
    llvm::Expected<double> error = parseMaxError(maxError);
    if (!error)
      return emitError(loc)
             << "--max-error: " << llvm::toString(error.takeError());
    limit.maxError = *error;
    limit.text = maxError.str();
    return limit;
  }
  llvm::Expected<Budget> parsed = Budget::parse(budget);
  if (!parsed)
    return emitError(loc) << "--budget: " << llvm::toString(parsed.takeError());
  limit.budget = *parsed;
  limit.text = budget.str();
  return limit;
}

static bool hasRequest(OpOperand &use) {
  auto op = dyn_cast<QuantizableOpInterface>(use.getOwner());
  return op && op->hasAttr(requestAttrName) && &op.getWeightOperand() == &use;
}

FailureOr<FixedSizes> FixedSizes::compute(ModuleOp module) {
  FixedSizes sizes;
  DenseSet<Attribute> constants;
  DenseSet<std::tuple<void *, Attribute, int64_t>> weights;
  WalkResult result = module.walk([&](Operation *op) {
    ElementsAttr constant;
    if (matchPattern(op, m_Constant(&constant)) &&
        !llvm::all_of(op->getUses(), hasRequest) &&
        constants.insert(constant).second)
      sizes.floatBytes += getStorageBytes(constant.getShapedType());
    auto layer = dyn_cast<QuantizableOpInterface>(op);
    if (!layer)
      return WalkResult::advance();
    FailureOr<std::optional<QuantizationRequest>> request =
        QuantizationRequest::get(op);
    if (failed(request))
      return WalkResult::interrupt();
    WeightView view = layer.getWeightView();
    if (!*request || !(*request)->candidates.empty() ||
        !weights
             .insert({layer.getWeightOperand().get().getAsOpaquePointer(),
                      op->getAttr(requestAttrName), view.rowStride})
             .second)
      return WalkResult::advance();
    int64_t count = view.rows * view.columns;
    sizes.quantizedWeights += count;
    sizes.quantizedBytes += static_cast<int64_t>(std::ceil(
        (*request)->scheme.getBitsPerWeight(view.columns) * count / 8));
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  return sizes;
}

SchemeChooser::SchemeChooser(ModuleOp module, ChoiceLimit limit,
                             FixedSizes fixed,
                             MutableArrayRef<SchemeDecision> decisions)
    : module(module), limit(std::move(limit)), fixed(fixed),
      decisions(decisions) {
  for (const SchemeDecision &decision : decisions)
    numWeights += decision.getNumWeights();
}

std::vector<AllocationItem> SchemeChooser::getItems() const {
  std::vector<AllocationItem> items;
  for (const SchemeDecision &decision : decisions)
    items.push_back(decision.options);
  return items;
}

/// Bytes that the chosen weights may take.
double SchemeChooser::getMaxSize() const {
  if (limit.budget->bytes)
    return static_cast<double>(*limit.budget->bytes) - fixed.getBytes();
  double bits =
      *limit.budget->bitsPerWeight * (numWeights + fixed.quantizedWeights);
  return std::floor(bits / 8) - fixed.quantizedBytes;
}

LogicalResult SchemeChooser::failLimit() {
  std::vector<quantizer::AllocationOption> frontier =
      quantizer::computeFrontier(getItems());
  Location loc = module.getLoc();
  if (frontier.empty())
    return emitError(loc) << "no scheme can be chosen: errors are not finite";
  if (limit.maxError)
    return emitError(loc) << llvm::formatv(
               "an error of at most {0} can't be met: the least that is "
               "expected of these candidates is {1:e2}",
               limit.text, frontier.back().damage);
  double least = frontier.front().size;
  if (limit.budget->bitsPerWeight) {
    double bits = 8 * (least + fixed.quantizedBytes) /
                  (numWeights + fixed.quantizedWeights);
    return emitError(loc) << llvm::formatv(
               "a budget of {0} can't be met: the smallest choice takes "
               "{1:f3}bpw",
               limit.text, std::ceil(bits * 1000) / 1000);
  }
  int64_t bytes = static_cast<int64_t>(least) + fixed.getBytes();
  std::string message = llvm::formatv(
      "a budget of {0} can't be met: the smallest choice takes {1}B ({2})",
      limit.text, bytes, formatBytes(bytes));
  if (fixed.floatBytes)
    message += ", of which " + formatBytes(fixed.floatBytes) +
               " are weights that nothing quantizes";
  return emitError(loc) << message;
}

FailureOr<Allocation> SchemeChooser::choose() {
  std::optional<Allocation> found =
      limit.maxError ? quantizer::minimizeSize(getItems(), *limit.maxError)
                     : quantizer::minimizeDamage(getItems(), getMaxSize());
  if (!found)
    return failLimit();
  return *found;
}

std::vector<unsigned> SchemeChooser::chooseProbes() const {
  double bits = limit.budget ? 8 * getMaxSize() / numWeights : 4.5;
  std::vector<unsigned> probes;
  for (const SchemeDecision &decision : decisions) {
    auto getDistance = [&](const QuantizationScheme &scheme) {
      return std::abs(scheme.getBitsPerWeight(decision.columns) - bits);
    };
    ArrayRef<QuantizationScheme> candidates = decision.request.candidates;
    auto nearest =
        llvm::min_element(candidates, [&](const QuantizationScheme &a,
                                          const QuantizationScheme &b) {
          return getDistance(a) < getDistance(b);
        });
    probes.push_back(nearest - candidates.begin());
  }
  return probes;
}

Allocation SchemeChooser::makeAllocation(std::vector<unsigned> choices) const {
  Allocation result;
  for (auto [decision, choice] : llvm::zip_equal(decisions, choices)) {
    result.size += decision.options[choice].size;
    result.damage += decision.options[choice].damage;
  }
  result.choices = std::move(choices);
  return result;
}

/// What is worth to be measured.
std::vector<Allocation>
SchemeChooser::propose(ArrayRef<unsigned> probes) const {
  std::vector<Allocation> proposals;
  std::vector<AllocationItem> items = getItems();
  if (limit.budget) {
    if (auto best = quantizer::minimizeDamage(items, getMaxSize()))
      proposals.push_back(std::move(*best));
    Allocation alike = makeAllocation(probes.vec());
    if (alike.size <= getMaxSize())
      proposals.push_back(std::move(alike));
    return proposals;
  }
  for (double part : {8.0, 5.6, 4.0, 2.8, 2.0, 1.4, 1.0, 0.7, 0.5, 0.25})
    if (auto found = quantizer::minimizeSize(items, part * *limit.maxError))
      if (proposals.empty() || found->choices != proposals.back().choices)
        proposals.push_back(std::move(*found));
  return proposals;
}

FailureOr<Allocation>
SchemeChooser::chooseMeasured(ArrayRef<unsigned> probes, DamageProbe &probe,
                              std::optional<double> &measured) {
  std::vector<Allocation> proposals = propose(probes);
  if (proposals.empty())
    return failLimit();
  std::vector<std::vector<unsigned>> choices;
  for (const Allocation &proposal : proposals)
    choices.push_back(proposal.choices);
  auto damage = probe.measureChoices(decisions, choices);
  if (failed(damage))
    return failure();
  size_t least = llvm::min_element(*damage) - damage->begin();
  size_t best = least;
  if (limit.maxError && (*damage)[least] > *limit.maxError)
    return emitError(module.getLoc())
           << llvm::formatv("an error of at most {0} can't be met: the least "
                            "that was measured is {1:e2}",
                            limit.text, (*damage)[least]);
  for (size_t i = 0; limit.maxError && i != proposals.size(); ++i)
    if ((*damage)[i] <= *limit.maxError &&
        proposals[i].size < proposals[best].size)
      best = i;
  measured = (*damage)[best];
  return proposals[best];
}

ChoiceReport SchemeChooser::makeReport(const Allocation &allocation) const {
  ChoiceReport report;
  report.limit = (limit.budget ? "budget " : "error at most ") + limit.text;
  report.chosen = makePoint(allocation.size, allocation.damage);
  for (const quantizer::AllocationOption &point :
       quantizer::computeFrontier(getItems()))
    report.frontier.push_back(makePoint(point.size, point.damage));
  // A candidate for all layers has the name that it has for the largest: groups
  // of small ones are their rows.
  const SchemeDecision *largest = &decisions.front();
  bool isSameList = true;
  for (const SchemeDecision &decision : decisions) {
    if (decision.getNumWeights() > largest->getNumWeights())
      largest = &decision;
    isSameList &= decision.options.size() == decisions.front().options.size();
  }
  std::vector<quantizer::AllocationOption> sums(
      isSameList ? largest->options.size() : 0);
  for (auto [decision, choice] :
       llvm::zip_equal(decisions, allocation.choices)) {
    QuantizableOpInterface op = decision.layers.front();
    ChoiceLayer &layer = report.layers.emplace_back();
    layer.name = op.getLayerName().str();
    layer.chosen = choice;
    for (auto [i, option] : llvm::enumerate(decision.options)) {
      ChoicePoint point = makePoint(option.size, option.damage);
      point.bitsPerWeight = 8 * option.size / decision.getNumWeights();
      layer.candidates.push_back(
          {getCandidateName(op.getContext(), decision.request.candidates[i]),
           point});
      if (!isSameList)
        continue;
      sums[i].size += option.size;
      sums[i].damage += option.damage;
    }
  }
  for (auto [i, sum] : llvm::enumerate(sums))
    report.uniform.push_back(
        {getCandidateName(module->getContext(), largest->request.candidates[i]),
         makePoint(sum.size, sum.damage)});
  return report;
}

} // namespace nibble
