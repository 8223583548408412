//===- BlockPreparation.cpp - Scales of a block's layers ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockPreparation.h"

#include "mlir/IR/Remarks.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace nibble;

/// The request of a layer, which is known to be well-formed.
static QuantizationRequest getRequest(QuantizableOpInterface op) {
  return **QuantizationRequest::get(op);
}

/// True if the output of `layer` decides where attention looks, as that of q
/// and k does: limits that are good for the output itself are not for them.
static bool feedsScores(Operation *layer) {
  llvm::SetVector<Operation *> seen;
  seen.insert(layer);
  for (size_t i = 0; i != seen.size(); ++i)
    for (OpOperand &use : seen[i]->getUses()) {
      Operation *user = use.getOwner();
      if (auto attention = dyn_cast<AttentionOp>(user)) {
        if (use.get() == attention.getQuery() ||
            use.get() == attention.getKey())
          return true;
      } else if (!isa<QuantizableOpInterface>(user)) {
        seen.insert(user);
      }
    }
  return false;
}

static quantizer::ScaledLayer describe(QuantizableOpInterface op,
                                       const quantizer::WeightView &weight) {
  QuantizationRequest request = getRequest(op);
  quantizer::ScaledLayer layer{weight, request.scheme};
  const quantizer::Method *method = quantizer::lookupMethod(request.method);
  // Methods that run the model themselves are too slow for a search, or see
  // more than a weight; errors of rounding to nearest go before theirs.
  bool isFast = method && !method->needsHessian;
  layer.method = isFast ? method : quantizer::lookupMethod("rtn");
  // Others choose ranges themselves.
  layer.mayClip = request.method == "rtn" && !feedsScores(op) &&
                  request.scheme.scaleRule == quantizer::ScaleRule::AbsMax;
  return layer;
}

FailureOr<std::optional<PreparedStage>>
LayerPreparation::plan(ArrayRef<QuantizableOpInterface> layers) const {
  PreparedStage stage;
  QuantizableOpInterface first;
  for (QuantizableOpInterface op : layers) {
    QuantizationRequest request = getRequest(op);
    if (request.prepare.empty())
      continue;
    const std::string &name = request.prepare.front();
    if (first && name != stage.method)
      return emitError(op.getLoc(), "layer \"")
             << op.getLayerName() << "\": method " << name
             << " can't prepare it, since layer \"" << first.getLayerName()
             << "\" reads the same values and asks for " << stage.method
             << ": give both the same";
    first = op;
    stage.method = name;
  }
  if (!first)
    return std::optional<PreparedStage>();
  if (!methods.contains(stage.method))
    return emitError(first.getLoc(), "layer \"")
           << first.getLayerName() << "\": unknown preparing method '"
           << stage.method << "'";
  for (QuantizableOpInterface op : layers) {
    std::string objection = getObjectionToScales(op);
    for (OpOperand &use : op.getWeightOperand().get().getUses())
      if (objection.empty() && use.getOwner() != op &&
          !llvm::is_contained(layers, use.getOwner()) &&
          use.getOwner()->hasAttr(requestAttrName))
        objection = "another layer has the same weight";
    if (objection.empty()) {
      stage.layers.push_back(op);
      continue;
    }
    QuantizationRequest request = getRequest(op);
    if (request.prepare.empty())
      continue;
    emitRemark(op.getLoc(), "layer \"")
        << op.getLayerName() << "\" is quantized without " << stage.method
        << ": " << objection;
    request.prepare.clear();
    op->setAttr(requestAttrName, request.toAttr(op.getContext()));
  }
  if (stage.layers.empty())
    return std::optional<PreparedStage>();
  return std::optional<PreparedStage>(std::move(stage));
}

/// Layers of a stage may read the same value under several names.
LogicalResult LayerPreparation::fold(ArrayRef<QuantizableOpInterface> layers,
                                     ArrayRef<float> scales) {
  llvm::MapVector<Value, SmallVector<QuantizableOpInterface>> byInput;
  for (QuantizableOpInterface op : layers)
    byInput[op.getActivationInput()].push_back(op);
  for (auto &[input, readers] : byInput)
    if (failed(foldInputScales(readers, scales, &outputScales)))
      return failure();
  return success();
}

LogicalResult
LayerPreparation::apply(const PreparedStage &stage,
                        const quantizer::ActivationSummary &summary) {
  std::vector<LayerWeight> weights;
  std::vector<quantizer::ScaledLayer> described;
  for (QuantizableOpInterface op : stage.layers) {
    FailureOr<LayerWeight> weight = readWeight(op);
    if (failed(weight))
      return failure();
    weights.push_back(std::move(*weight));
    described.push_back(describe(op, weights.back().view));
  }
  auto found = methods.lookup(stage.method)->find(described, summary);
  QuantizableOpInterface first = stage.layers.front();
  if (!found)
    return emitError(first.getLoc(), "layer \"")
           << first.getLayerName()
           << "\": " << llvm::toString(found.takeError());
  if (summary.rows == 0)
    emitWarning(first.getLoc(), "layer \"")
        << first.getLayerName() << "\" has no scales by " << stage.method
        << ": no input of the data reached it";
  if (!found->scales.empty() && failed(fold(stage.layers, found->scales)))
    return failure();
  remark::passed(first.getLoc(),
                 remark::RemarkOpts::name("Scaled").category("nibble"))
      << remark::add("input of layer {0}: scales by {1}", first.getLayerName(),
                     stage.method)
      << remark::metric("alpha", found->alpha)
      << remark::metric("error", found->loss)
      << remark::metric("unscaled_error", found->unscaledLoss);
  Builder b(first.getContext());
  std::vector<float> columns;
  for (float scale : found->scales)
    columns.insert(columns.end(), summary.window, scale);
  for (size_t i = 0; i != stage.layers.size(); ++i) {
    QuantizableOpInterface op = stage.layers[i];
    if (!columns.empty())
      op->setAttr(foldedScalesAttrName, b.getDenseF32ArrayAttr(columns));
    if (i < found->limits.size() && !found->limits[i].empty())
      limits[op] = std::move(found->limits[i]);
    QuantizationRequest request = getRequest(op);
    request.prepared = std::move(request.prepare);
    request.prepare.clear();
    if (request.prepared.empty())
      request.prepared = {stage.method};
    op->setAttr(requestAttrName, request.toAttr(op.getContext()));
  }
  return success();
}

ArrayRef<float> LayerPreparation::getOutputScales(Operation *op) const {
  auto found = outputScales.find(op);
  return found == outputScales.end() ? ArrayRef<float>()
                                     : ArrayRef<float>(found->second);
}

bool LayerPreparation::clamp(Operation *op,
                             const quantizer::QuantizationScheme &scheme,
                             const quantizer::WeightView &weight,
                             std::vector<float> &clamped) const {
  auto found = limits.find(op);
  if (found == limits.end())
    return false;
  // Rows were divided after the limits were found.
  std::vector<float> now = found->second;
  ArrayRef<float> divisors = getOutputScales(op);
  int64_t groups = now.size() / weight.rows;
  for (auto [i, limit] : llvm::enumerate(now))
    if (!divisors.empty())
      limit /= divisors[i / groups];
  clamped.resize(weight.rows * weight.cols);
  quantizer::copyTile(weight, 0, weight.rows, 0, weight.cols, clamped.data());
  quantizer::clampGroups(clamped, weight.cols, scheme, now);
  return true;
}
