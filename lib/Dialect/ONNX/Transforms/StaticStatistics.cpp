//===- StaticStatistics.cpp - Ranges and means of a model's values --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StaticStatistics.h"
#include "QuantizationPlan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <cmath>

using namespace mlir;

namespace nibble::onnx {
namespace {

/// The factors by which the channels of `value` were divided.
ArrayRef<float> getFactors(Value value) {
  Operation *op = value.getDefiningOp();
  auto attr =
      op ? op->getAttrOfType<DenseF32ArrayAttr>(equalizedAttrName) : nullptr;
  return attr ? attr.asArrayRef() : ArrayRef<float>();
}

} // namespace

StringRef getLayerName(Operation *op) {
  auto name = op->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr);
  return name ? name.getValue() : StringRef();
}

LogicalResult StaticStatistics::read(ModuleOp module, StringRef path) {
  statistics.reset();
  names.emplace(module);
  if (path.empty())
    return success();
  FailureOr<std::shared_ptr<const calibration::Statistics>> file =
      loadStatistics(module, path, "W8A8");
  if (failed(file))
    return failure();
  statistics = *file;
  return success();
}

std::string StaticStatistics::getName(Value value) const {
  return names->get(value).str();
}

std::optional<quantizer::ValueRange>
StaticStatistics::getRange(Value value) const {
  const calibration::TensorStatistics *tensor =
      statistics ? statistics->findTensor(getName(value)) : nullptr;
  if (!tensor || tensor->count == 0 || !std::isfinite(tensor->range.low) ||
      !std::isfinite(tensor->range.high))
    return std::nullopt;
  quantizer::ValueRange range{tensor->range.low, tensor->range.high};
  ArrayRef<float> factors = getFactors(value);
  if (factors.empty())
    return range;
  // Channels that were divided have other ranges, which the layer that reads
  // them knows; what the method leaves out of the whole it leaves out of each.
  auto shrink = [](double chosen, double seen) {
    return seen != 0 ? std::clamp(chosen / seen, 0.0, 1.0) : 1.0;
  };
  double low = shrink(range.low, tensor->min),
         high = shrink(range.high, tensor->max);
  for (Operation *user : value.getUsers()) {
    const calibration::LayerStatistics *layer =
        isProduct(user) ? statistics->findLayer(getLayerName(user)) : nullptr;
    if (!layer || layer->min.size() != factors.size() ||
        layer->max.size() != factors.size())
      continue;
    range = {};
    for (auto [least, greatest, factor] :
         llvm::zip_equal(layer->min, layer->max, factors))
      range = range.join({low * least / factor, high * greatest / factor});
    return range;
  }
  return std::nullopt;
}

SmallVector<float> StaticStatistics::getInputVector(
    Operation *op, std::vector<float> calibration::LayerStatistics::*field,
    int power) const {
  const calibration::LayerStatistics *layer =
      statistics ? statistics->findLayer(getLayerName(op)) : nullptr;
  if (!layer || layer->rows == 0)
    return {};
  const std::vector<float> &given = layer->*field;
  SmallVector<float> values(given.begin(), given.end());
  Value input = op->getOperand(0);
  if (auto dequantize = input.getDefiningOp<DequantizeLinearOp>())
    if (auto quantize = dequantize.getX().getDefiningOp<QuantizeLinearOp>())
      input = quantize.getX();
  ArrayRef<float> factors = getFactors(input);
  if (factors.size() == values.size())
    for (auto [value, factor] : llvm::zip_equal(values, factors))
      value /= std::pow(factor, static_cast<float>(power));
  return values;
}

SmallVector<float> StaticStatistics::getInputMean(Operation *op) const {
  return getInputVector(op, &calibration::LayerStatistics::mean, 1);
}

SmallVector<float> StaticStatistics::getInputMeanSquare(Operation *op) const {
  return getInputVector(op, &calibration::LayerStatistics::meanSquare, 2);
}

} // namespace nibble::onnx
