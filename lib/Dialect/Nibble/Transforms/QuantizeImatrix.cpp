//===- QuantizeImatrix.cpp - GGUF types by importance ---------------------
//===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "nibble/Dialect/Nibble/Transforms/Observation.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
#include "llvm/Support/FormatVariadic.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEQUANTIZEIMATRIXPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// The mean squares of the columns of a weight. Those of a convolution are
/// known per channel, each of which has a window of columns.
llvm::Expected<std::vector<float>>
getImportance(const calibration::Statistics &statistics,
              QuantizableOpInterface op, int64_t columns) {
  const calibration::LayerStatistics *layer =
      findLayer(statistics, op.getLayers());
  if (!layer)
    return llvm::createStringError(llvm::formatv(
        "'{0}' knows nothing of its activations: calibrate the model as it is "
        "compiled, or use method rtn",
        statistics.getFileName()));
  int64_t channels = layer->getChannels();
  int64_t groups = 1;
  if (auto conv = dyn_cast<ConvOp>(op.getOperation()))
    groups = conv.getGroup();
  int64_t perGroup = channels / std::max<int64_t>(groups, 1);
  if (perGroup == 0 || columns % perGroup != 0 ||
      (groups == 1 && isa<MatMulOp>(op.getOperation()) && channels != columns))
    return llvm::createStringError(llvm::formatv(
        "'{0}' has {1} channels of its activations, and its weight has rows of "
        "{2}: calibrate this model",
        statistics.getFileName(), channels, columns));
  // Each output channel of a grouped convolution sees the channels of its own
  // group; a row of importance is for all, so that it is their mean.
  std::vector<float> importance(columns);
  int64_t window = columns / perGroup;
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t group = 0; group < groups; ++group)
      importance[i] +=
          layer->meanSquare[group * perGroup + i / window] / groups;
  return importance;
}

struct NibbleQuantizeImatrixPass
    : public impl::NibbleQuantizeImatrixPassBase<NibbleQuantizeImatrixPass> {
  using Base::Base;

  void runOnOperation() override {
    const quantizer::Method &method = *quantizer::lookupMethod("imatrix");
    // Read when the first layer asks for it: without any, no file is needed.
    std::shared_ptr<const nibble::calibration::Statistics> known;
    auto quantize = [&](QuantizableOpInterface op,
                        const quantizer::WeightView &weight,
                        quantizer::QuantizedWeight &result) -> llvm::Error {
      quantizer::MethodInput input = {weight, result.scheme};
      std::vector<float> importance;
      // A table of rows is not multiplied with activations: all its columns
      // count the same.
      if (!op.getActivationInput()) {
        importance.assign(weight.cols, 1);
      } else if (!calibration.empty()) {
        if (!known) {
          auto read = nibble::calibration::Statistics::readShared(calibration);
          if (!read)
            return read.takeError();
          known = std::move(*read);
        }
        auto found = getImportance(*known, op, weight.cols);
        if (!found)
          return found.takeError();
        importance = std::move(*found);
        // The file knows the activations as they were before.
        for (auto [value, scale] : llvm::zip(importance, getFoldedScales(op)))
          value /= scale * scale;
      }
      input.importance = importance;
      auto quantized = quantizer::quantize(method, input);
      if (!quantized)
        return quantized.takeError();
      result = std::move(*quantized);
      return llvm::Error::success();
    };
    FailureOr<QuantizationCounts> counts =
        quantizeWeights(getOperation(), method.name, quantize);
    if (failed(counts))
      return signalPassFailure();
    numWeightsQuantized += counts->quantized;
    numSkipped += counts->otherMethods;
    bytesSaved += counts->bytesSaved;
  }
};

} // namespace
} // namespace nibble
