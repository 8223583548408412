//===- LayerErrors.cpp - What a quantized weight does to outputs ----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/LayerErrors.h"

#include "nibble/Dialect/Nibble/Transforms/Observation.h"

using namespace mlir;

namespace nibble {

quantizer::OutputError computeLayerError(const quantizer::WeightView &before,
                                         ArrayRef<float> after,
                                         const InputSums &inputs) {
  int64_t groups =
      std::max<int64_t>({1, static_cast<int64_t>(inputs.hessians.size()),
                         static_cast<int64_t>(inputs.meanSquares.size())});
  int64_t rows = before.rows / groups, cols = before.cols;
  quantizer::OutputError error;
  for (int64_t group = 0; group < groups; ++group) {
    quantizer::WeightView part = before;
    part.data += group * rows * before.rowStride * sizeof(float);
    part.rows = rows;
    ArrayRef<float> quantized = after.slice(group * rows * cols, rows * cols);
    if (inputs.isExact())
      error += quantizer::computeOutputError(part, quantized,
                                             inputs.hessians[group]);
    else
      error += quantizer::estimateOutputError(part, quantized,
                                              inputs.meanSquares.empty()
                                                  ? std::vector<float>(cols, 1)
                                                  : inputs.meanSquares[group]);
  }
  return error;
}

LogicalResult CalibratedInputs::open() {
  auto loaded = loadStatistics(module, path, "the errors of outputs");
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

FailureOr<std::optional<InputSums>> CalibratedInputs::get(ArrayAttr names,
                                                          int64_t groups,
                                                          int64_t rows,
                                                          int64_t cols) {
  if (!statistics && failed(open()))
    return failure();
  const calibration::LayerStatistics *layer = findLayer(*statistics, names);
  if (!layer || !layer->rows || rows % groups)
    return std::optional<InputSums>();
  InputSums sums;
  if (hessians && layer->hessianSize == cols && layer->hessianCount == groups) {
    for (int64_t group = 0; group < groups; ++group) {
      llvm::Expected<ArrayRef<float>> hessian = hessians->get(*layer, group);
      if (!hessian)
        return module.emitError() << llvm::toString(hessian.takeError());
      sums.hessians.push_back(*hessian);
    }
    return std::optional(std::move(sums));
  }
  int64_t channels = layer->getChannels() / groups;
  if (channels == 0 || cols % channels)
    return std::optional<InputSums>();
  // All columns of a window have the mean square of their channel.
  for (int64_t group = 0; group < groups; ++group) {
    std::vector<float> &squares = sums.meanSquares.emplace_back(cols);
    for (int64_t i = 0; i < cols; ++i)
      squares[i] = layer->meanSquare[group * channels + i / (cols / channels)];
  }
  return std::optional(std::move(sums));
}

} // namespace nibble
