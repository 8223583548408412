//===- ReportDetails.cpp - What only a report wants to know ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/ReportDetails.h"

#include "nibble/Dialect/Nibble/Transforms/Observation.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Quantizer/Histogram.h"
#include "nibble/Quantizer/OutputError.h"
#include "nibble/Quantizer/ScaleSearch.h"

using namespace mlir;

namespace nibble {

ReportDetails::ReportDetails(ModuleOp module) : module(module) {
  Attribute asked = module->getAttr(reportDetailsAttrName);
  wanted = static_cast<bool>(asked);
  if (auto dictionary = dyn_cast_or_null<DictionaryAttr>(asked))
    if (auto attr = dictionary.getAs<StringAttr>("calibration"))
      path = attr.str();
}

LogicalResult ReportDetails::readStatistics() {
  auto loaded = loadStatistics(module, path, "a report");
  if (failed(loaded))
    return failure();
  statistics = std::move(*loaded);
  if (!statistics->hessians)
    return success();
  auto opened = statistics->openHessians();
  if (!opened)
    return module.emitError() << llvm::toString(opened.takeError());
  hessians = std::move(*opened);
  return success();
}

/// The rows of the weight that one group of a convolution has.
static quantizer::WeightView getGroup(const quantizer::WeightView &weight,
                                      int64_t group, int64_t rows) {
  quantizer::WeightView part = weight;
  part.data += group * rows * weight.rowStride * sizeof(float);
  part.rows = rows;
  return part;
}

LogicalResult
ReportDetails::addOutputError(const calibration::LayerStatistics &layer,
                              int64_t groups,
                              const quantizer::WeightView &before,
                              ArrayRef<float> after, LayerReport &report) {
  int64_t rows = before.rows / groups, cols = before.cols;
  int64_t channels = layer.getChannels() / groups;
  bool isExact =
      hessians && layer.hessianSize == cols && layer.hessianCount == groups;
  if (!layer.rows || before.rows % groups ||
      (!isExact && (channels == 0 || cols % channels)))
    return success();
  quantizer::OutputError error;
  for (int64_t group = 0; group < groups; ++group) {
    quantizer::WeightView part = getGroup(before, group, rows);
    ArrayRef<float> quantized = after.slice(group * rows * cols, rows * cols);
    if (isExact) {
      llvm::Expected<ArrayRef<float>> hessian = hessians->get(layer, group);
      if (!hessian)
        return module.emitError() << llvm::toString(hessian.takeError());
      error += quantizer::computeOutputError(part, quantized, *hessian);
      continue;
    }
    // All columns of a window have the mean square of their channel.
    std::vector<float> meanSquares(cols);
    for (int64_t i = 0; i < cols; ++i)
      meanSquares[i] =
          layer.meanSquare[group * channels + i / (cols / channels)];
    error += quantizer::estimateOutputError(part, quantized, meanSquares);
  }
  double relative = error.getRelative();
  if (!std::isfinite(relative))
    return success();
  report.outputError = relative;
  report.outputErrorBasis =
      isExact ? OutputErrorBasis::Hessian : OutputErrorBasis::MeanSquares;
  return success();
}

LogicalResult ReportDetails::add(ArrayAttr names, int64_t groups,
                                 const quantizer::WeightView &before,
                                 const quantizer::QuantizedWeight &quantized,
                                 LayerReport &report, ArrayRef<float> scales) {
  if (!wanted)
    return success();
  std::vector<float> after(before.rows * before.cols);
  quantizer::dequantize(quantized, after);
  report.histograms = quantizer::computeHistograms(before, after);
  if (path.empty())
    return success();
  if (!statistics && failed(readStatistics()))
    return failure();
  const calibration::LayerStatistics *layer = findLayer(*statistics, names);
  if (!layer)
    return success();
  if (scales.empty())
    return addOutputError(*layer, groups, before, after, report);
  // The file knows the activations as they were before they were divided.
  std::vector<float> inverse, original;
  for (float scale : scales)
    inverse.push_back(1 / scale);
  original = quantizer::scaleColumns(before, inverse);
  for (auto [i, value] : llvm::enumerate(after))
    value *= inverse[i % inverse.size()];
  auto view = quantizer::WeightView::rowMajor(
      reinterpret_cast<const char *>(original.data()), before.rows,
      before.cols);
  return addOutputError(*layer, groups, view, after, report);
}

} // namespace nibble
