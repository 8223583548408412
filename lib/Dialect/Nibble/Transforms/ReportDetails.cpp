//===- ReportDetails.cpp - What only a report wants to know ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/ReportDetails.h"

#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Quantizer/Histogram.h"
#include "nibble/Quantizer/ScaleSearch.h"
#include <cmath>

using namespace mlir;

namespace nibble {

ReportDetails::ReportDetails(ModuleOp module) {
  Attribute asked = module->getAttr(reportDetailsAttrName);
  wanted = static_cast<bool>(asked);
  if (auto dictionary = dyn_cast_or_null<DictionaryAttr>(asked))
    if (auto attr = dictionary.getAs<StringAttr>("calibration"))
      inputs.emplace(module, attr.str());
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
  if (!inputs)
    return success();
  FailureOr<std::optional<InputSums>> sums =
      inputs->get(names, groups, before.rows, before.cols);
  if (failed(sums))
    return failure();
  if (!*sums)
    return success();
  // What is known are the activations as they were before they were divided.
  std::vector<float> original;
  quantizer::WeightView weight = before;
  if (!scales.empty()) {
    std::vector<float> inverse;
    for (float scale : scales)
      inverse.push_back(1 / scale);
    original = quantizer::scaleColumns(before, inverse);
    for (auto [i, value] : llvm::enumerate(after))
      value *= inverse[i % inverse.size()];
    weight = quantizer::WeightView::rowMajor(
        reinterpret_cast<const char *>(original.data()), before.rows,
        before.cols);
  }
  double relative = computeLayerError(weight, after, **sums).getRelative();
  if (!std::isfinite(relative))
    return success();
  report.outputError = relative;
  report.outputErrorBasis = (*sums)->isExact() ? OutputErrorBasis::Hessian
                                               : OutputErrorBasis::MeanSquares;
  return success();
}

} // namespace nibble
