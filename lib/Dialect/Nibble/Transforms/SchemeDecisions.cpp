//===- SchemeDecisions.cpp - What each scheme would mean ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/SchemeDecisions.h"

#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Quantizer/GGUF.h"
#include "nibble/Support/Progress.h"
#include "llvm/ADT/MapVector.h"
#include <cmath>

using namespace mlir;

namespace nibble {

int64_t SchemeDecision::getGroups() const {
  QuantizableOpInterface first = layers.front();
  auto conv = dyn_cast<ConvOp>(*first);
  return conv ? conv.getGroup() : 1;
}

FailureOr<std::vector<SchemeDecision>> findDecisions(ModuleOp module) {
  llvm::MapVector<std::tuple<void *, Attribute, int64_t>, SchemeDecision> known;
  WalkResult result = module.walk([&](QuantizableOpInterface op) {
    FailureOr<std::optional<QuantizationRequest>> request =
        QuantizationRequest::get(op);
    if (failed(request))
      return WalkResult::interrupt();
    if (!*request || (*request)->candidates.empty())
      return WalkResult::advance();
    WeightView view = op.getWeightView();
    SchemeDecision &decision =
        known[{op.getWeightOperand().get().getAsOpaquePointer(),
               op->getAttr(requestAttrName), view.rowStride}];
    decision.layers.push_back(op);
    decision.request = **request;
    decision.rows = view.rows;
    decision.columns = view.columns;
    decision.options.resize(decision.request.candidates.size());
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  std::vector<SchemeDecision> decisions;
  for (auto &entry : known)
    decisions.push_back(std::move(entry.second));
  return decisions;
}

std::string getCandidateName(MLIRContext *context,
                             const quantizer::QuantizationScheme &scheme) {
  std::string name = getUserName(scheme, getSchemeAttr(context, scheme));
  if (quantizer::findGGUFType(scheme))
    return name;
  return name + ":" + std::to_string(scheme.group);
}

int64_t getStoredBytes(const quantizer::QuantizedWeight &weight) {
  const quantizer::QuantizationScheme &scheme = weight.scheme;
  int64_t bytes = weight.rows * llvm::divideCeil(weight.cols * scheme.bits, 8) +
                  weight.zeros.size() +
                  weight.groupIndex.size() * sizeof(int32_t);
  int64_t levels = weight.scales.size() + weight.floatZeros.size();
  if (!scheme.second)
    return bytes + levels * quantizer::getScaleBits(scheme.scaleType) / 8;
  return bytes + levels +
         weight.second.size() * quantizer::getScaleBits(scheme.second->type) /
             8;
}

/// The codes nearest to a weight.
static FailureOr<quantizer::QuantizedWeight>
round(const SchemeDecision &decision, const LayerWeight &weight,
      unsigned candidate) {
  quantizer::QuantizationScheme scheme = decision.request.candidates[candidate];
  // Zeros of HQQ are floats; those nearest to them do as well here.
  if (scheme.hasFloatZeros() && scheme.zero == quantizer::ZeroKind::Float)
    scheme.zero = quantizer::ZeroKind::Integer;
  llvm::Expected<quantizer::QuantizedWeight> quantized = quantizer::quantize(
      *quantizer::lookupMethod("rtn"), {weight.view, scheme});
  if (quantized)
    return std::move(*quantized);
  QuantizableOpInterface op = decision.layers.front();
  return emitError(op.getLoc(), "layer \"")
         << op.getLayerName()
         << "\": " << llvm::toString(quantized.takeError());
}

LogicalResult forEachCandidate(
    SchemeDecision &decision,
    llvm::function_ref<LogicalResult(unsigned, const quantizer::WeightView &,
                                     ArrayRef<float>)>
        consume) {
  FailureOr<LayerWeight> weight = readWeight(decision.layers.front());
  if (failed(weight))
    return failure();
  std::vector<float> values(decision.getNumWeights());
  for (auto [i, candidate] : llvm::enumerate(decision.request.candidates)) {
    FailureOr<quantizer::QuantizedWeight> quantized =
        round(decision, *weight, i);
    if (failed(quantized))
      return failure();
    quantizer::dequantize(*quantized, values);
    bool isStored = quantized->scheme.zero == candidate.zero;
    decision.options[i].size = getStoredBytes(
        isStored ? *quantized
                 : quantizer::QuantizedWeight(candidate, decision.rows,
                                              decision.columns));
    if (failed(consume(i, weight->view, values)))
      return failure();
  }
  return success();
}

FailureOr<std::vector<float>> roundToCandidate(const SchemeDecision &decision,
                                               unsigned candidate) {
  FailureOr<LayerWeight> weight = readWeight(decision.layers.front());
  if (failed(weight))
    return failure();
  FailureOr<quantizer::QuantizedWeight> quantized =
      round(decision, *weight, candidate);
  if (failed(quantized))
    return failure();
  std::vector<float> values(decision.getNumWeights());
  quantizer::dequantize(*quantized, values);
  return values;
}

double getDamage(const quantizer::OutputError &error) {
  double relative = error.getRelative();
  return std::isfinite(relative) ? relative : 1;
}

LogicalResult estimateDamage(ModuleOp module,
                             MutableArrayRef<SchemeDecision> all,
                             StringRef calibration) {
  CalibratedInputs inputs(module, calibration.str());
  for (auto [done, decision] : llvm::enumerate(all)) {
    reportProgress(done, all.size(), decision.layers.front().getLayerName());
    SmallVector<InputSums> sums;
    for (QuantizableOpInterface op : decision.layers) {
      InputSums &known = sums.emplace_back();
      // A table of rows is not multiplied with inputs.
      if (calibration.empty() || !op.getActivationInput())
        continue;
      auto found = inputs.get(op.getLayers(), decision.getGroups(),
                              decision.rows, decision.columns);
      if (failed(found))
        return failure();
      if (*found)
        known = std::move(**found);
    }
    if (failed(
            forEachCandidate(decision, [&](unsigned candidate,
                                           const quantizer::WeightView &weight,
                                           ArrayRef<float> values) {
              for (const InputSums &known : sums)
                decision.options[candidate].damage +=
                    getDamage(computeLayerError(weight, values, known));
              return success();
            })))
      return failure();
  }
  return success();
}

} // namespace nibble
