//===- EqualizeLayers.cpp - Channels of equal range between layers --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Match.h"
#include "QuantizationPlan.h"
#include "StaticStatistics.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include "nibble/Quantizer/Equalization.h"
#include <cmath>
#include <cstring>

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXEQUALIZELAYERSPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {

/// A convolution with a weight, and a bias if any, that are constants of floats
/// and its own.
bool isCandidate(onnx::ConvOp conv) {
  auto isOwn = [](Value value) {
    RankedTensorType type = getRanked(value);
    return value.getDefiningOp<onnx::ConstantOp>() && type &&
           type.hasStaticShape() && type.getElementType().isF32() &&
           type.getNumElements() > 0;
  };
  return isOwn(conv.getW()) && (!isPresent(conv.getB()) || isOwn(conv.getB()));
}

/// The convolution that alone reads what `conv` makes, through nothing or Relu,
/// a function f with f(s x) = s f(x) for s > 0. Others, as LeakyRelu, are not
/// of the convolution's stage: what is before them is quantized, too, and its
/// range after equalization is not known.
onnx::ConvOp getNext(onnx::ConvOp conv) {
  Operation *user = getOnlyUser(conv.getY());
  if (isa_and_present<ReluOp>(user))
    user = getOnlyUser(user->getResult(0));
  auto next = dyn_cast_or_null<onnx::ConvOp>(user);
  return next && next.getX() == getStageResult(conv) ? next : onnx::ConvOp();
}

/// Elements of a constant that can be read; weights come from a checked file.
std::vector<float> readFloats(Value value) {
  std::vector<float> elements;
  FailureOr<ConstantData> data = ConstantData::get(value);
  if (failed(data))
    return elements;
  elements.resize(data->getNumElements());
  if (failed(data->expanded().readFloats(0, elements)))
    elements.clear();
  return elements;
}

/// Elements of the window.
int64_t getWindow(onnx::ConvOp conv) {
  int64_t count = 1;
  for (int64_t size : getRanked(conv.getW()).getShape().drop_front(2))
    count *= size;
  return count;
}

struct ONNXEqualizeLayersPass
    : public nibble::onnx::impl::ONNXEqualizeLayersPassBase<
          ONNXEqualizeLayersPass> {
  using Base::Base;

  void runOnOperation() override {
    if (calibration.empty())
      return;
    QuantizationConfig rules;
    if (!config.empty()) {
      auto loaded = QuantizationConfig::load(config);
      if (!loaded) {
        emitError(getOperation().getLoc())
            << llvm::toString(loaded.takeError());
        return signalPassFailure();
      }
      rules = std::move(*loaded);
    }
    LayerChoice commandLine;
    commandLine.scheme = scheme;
    auto isWanted = [&](onnx::ConvOp conv) {
      return isCandidate(conv) &&
             resolveChoice(rules, commandLine, conv).scheme == "W8A8";
    };
    DenseSet<Operation *> seen;
    SmallVector<SmallVector<onnx::ConvOp>> chains;
    getOperation()->walk([&](onnx::ConvOp conv) {
      if (seen.contains(conv) || !isWanted(conv))
        return;
      SmallVector<onnx::ConvOp> chain = {conv};
      for (onnx::ConvOp next = getNext(conv); next && isWanted(next);
           next = getNext(next)) {
        seen.insert(next);
        chain.push_back(next);
      }
      if (chain.size() > 1)
        chains.push_back(chain);
    });
    for (ArrayRef<onnx::ConvOp> chain : chains)
      if (failed(equalize(chain)))
        return signalPassFailure();
  }

private:
  LogicalResult equalize(ArrayRef<onnx::ConvOp> chain) {
    std::vector<std::vector<float>> weights;
    std::vector<quantizer::ChainWeight> magnitudes;
    for (onnx::ConvOp conv : chain) {
      std::vector<float> weight = readFloats(conv.getW());
      ArrayRef<int64_t> shape = getRanked(conv.getW()).getShape();
      // What is not finite is an error of the quantizer, with its place.
      if (weight.empty() || !llvm::all_of(weight, [](float value) {
            return std::isfinite(value);
          }))
        return success();
      quantizer::ChainWeight entry{
          shape[0], shape[1] * conv.getGroup(), conv.getGroup(), {}};
      int64_t window = getWindow(conv);
      for (size_t i = 0; i < weight.size(); i += window) {
        float largest = 0;
        for (float value : ArrayRef<float>(weight).slice(i, window))
          largest = std::max(largest, std::fabs(value));
        entry.magnitudes.push_back(largest);
      }
      if (!magnitudes.empty() && magnitudes.back().outputs != entry.inputs)
        return success();
      weights.push_back(std::move(weight));
      magnitudes.push_back(std::move(entry));
    }
    std::vector<std::vector<float>> factors =
        quantizer::equalizeChain(magnitudes);
    for (size_t i = 0; i < chain.size(); ++i) {
      onnx::ConvOp conv = chain[i];
      ArrayRef<float> before =
          i > 0 ? ArrayRef<float>(factors[i - 1]) : ArrayRef<float>();
      ArrayRef<float> after =
          i < factors.size() ? ArrayRef<float>(factors[i]) : ArrayRef<float>();
      scale(conv, weights[i], before, after);
      if (failed(replace(conv, 1, weights[i])))
        return failure();
      if (!after.empty() && isPresent(conv.getB())) {
        std::vector<float> bias = readFloats(conv.getB());
        for (auto [value, factor] : llvm::zip_equal(bias, after))
          value /= factor;
        if (failed(replace(conv, 2, bias)))
          return failure();
      }
      if (before.empty())
        continue;
      conv.getX().getDefiningOp()->setAttr(
          equalizedAttrName, DenseF32ArrayAttr::get(&getContext(), before));
      ++numEqualized;
    }
    return success();
  }

  /// Rows of `weight` by 1 / `after`, columns by `before`; empty: by 1.
  static void scale(onnx::ConvOp conv, std::vector<float> &weight,
                    ArrayRef<float> before, ArrayRef<float> after) {
    ArrayRef<int64_t> shape = getRanked(conv.getW()).getShape();
    int64_t window = getWindow(conv), perGroup = shape[1];
    int64_t rowsPerGroup = shape[0] / conv.getGroup();
    for (int64_t row = 0; row < shape[0]; ++row)
      for (int64_t col = 0; col < perGroup; ++col)
        for (int64_t k = 0; k < window; ++k) {
          float &value = weight[(row * perGroup + col) * window + k];
          if (!before.empty())
            value *= before[row / rowsPerGroup * perGroup + col];
          if (!after.empty())
            value /= after[row];
        }
  }

  LogicalResult replace(onnx::ConvOp conv, unsigned operand,
                        ArrayRef<float> elements) {
    Operation *old = conv->getOperand(operand).getDefiningOp();
    auto type = cast<RankedTensorType>(conv->getOperand(operand).getType());
    auto name = old->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr);
    FailureOr<ElementsAttr> value = createBlobAttr(
        conv.getLoc(), type, name ? name.getValue() : StringRef("equalized"),
        [&](MutableArrayRef<char> out) {
          std::memcpy(out.data(), elements.data(), out.size());
        });
    if (failed(value))
      return failure();
    OpBuilder b(conv);
    auto constant = onnx::ConstantOp::create(b, conv.getLoc(), *value);
    if (name)
      constant->setAttr(ONNXDialect::kNameAttr, name);
    conv->setOperand(operand, constant.getResult());
    if (old->use_empty())
      old->erase();
    return success();
  }
};

} // namespace
