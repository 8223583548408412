//===- FoldIntoConv.cpp - Normalization and bias into convolutions --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/PatternMatch.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

/// Elements of weights that are converted at once.
static constexpr int64_t kChunk = 1 << 14;

/// A convolution of which nothing but the operation that asks sees the result.
static ConvOp getOnlyUsedConv(Value value) {
  auto conv = value.getDefiningOp<ConvOp>();
  return conv && value.hasOneUse() ? conv : ConvOp();
}

/// A float32 constant of static shape.
static FailureOr<ConstantData> getFloats(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape() || !type.getElementType().isF32())
    return failure();
  return ConstantData::get(value);
}

/// All elements of a vector of `count` floats.
static FailureOr<SmallVector<float>> getVector(Value value, int64_t count) {
  FailureOr<ConstantData> data = getFloats(value);
  if (failed(data) || data->getNumElements() != count)
    return failure();
  SmallVector<float> result(count);
  if (failed(data->readFloats(0, result)))
    return failure();
  return result;
}

/// A constant made by `fill`, with the name of the constant it replaces.
static FailureOr<Value>
makeConstant(PatternRewriter &rewriter, Location loc, RankedTensorType type,
             Value replaced, function_ref<void(MutableArrayRef<char>)> fill) {
  auto source = replaced.getDefiningOp<ConstantOp>();
  auto name = source ? source->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr)
                     : StringAttr();
  FailureOr<ElementsAttr> value =
      createBlobAttr(loc, type, name ? name.getValue() : "", fill);
  if (failed(value))
    return failure();
  auto constant = ConstantOp::create(rewriter, loc, *value);
  if (name)
    constant->setAttr(ONNXDialect::kNameAttr, name);
  return constant.getResult();
}

static void storeFloats(MutableArrayRef<char> bytes, int64_t at,
                        ArrayRef<float> values) {
  std::memcpy(bytes.data() + at * sizeof(float), values.data(),
              values.size() * sizeof(float));
}

//===----------------------------------------------------------------------===//
// BatchNormalization
//===----------------------------------------------------------------------===//

/// bn(conv(x, W) + b) = conv(x, s W) + s (b - mean) + B with
/// s = scale / sqrt(var + epsilon), per output channel.
static LogicalResult foldBatchNorm(BatchNormalizationOp op,
                                   PatternRewriter &rewriter) {
  ConvOp conv = getOnlyUsedConv(op.getX());
  if (!conv || op.getTrainingMode() != 0 || !op.getRunningMean().use_empty() ||
      !op.getRunningVar().use_empty() ||
      op.getX().getType() != op.getY().getType())
    return failure();
  FailureOr<ConstantData> weight = getFloats(conv.getW());
  if (failed(weight))
    return failure();
  auto type = cast<RankedTensorType>(conv.getW().getType());
  int64_t channels = type.getDimSize(0);
  auto scale = getVector(op.getScale(), channels);
  auto shift = getVector(op.getB(), channels);
  auto mean = getVector(op.getInputMean(), channels);
  auto variance = getVector(op.getInputVar(), channels);
  if (channels == 0 || failed(scale) || failed(shift) || failed(mean) ||
      failed(variance))
    return failure();
  SmallVector<float> bias(channels, 0.0f);
  bool hasBias = !isa<NoneType>(conv.getB().getType());
  if (hasBias) {
    auto given = getVector(conv.getB(), channels);
    if (failed(given))
      return failure();
    bias = *given;
  }
  SmallVector<float> factor(channels);
  for (int64_t c = 0; c < channels; ++c) {
    double s =
        (*scale)[c] / std::sqrt(double((*variance)[c]) + op.getEpsilon());
    factor[c] = static_cast<float>(s);
    bias[c] =
        static_cast<float>(s * (double(bias[c]) - (*mean)[c]) + (*shift)[c]);
  }

  Location loc = conv.getLoc();
  rewriter.setInsertionPoint(conv);
  int64_t row = type.getNumElements() / channels;
  LogicalResult read = success();
  auto newWeight = makeConstant(
      rewriter, loc, type, conv.getW(), [&](MutableArrayRef<char> bytes) {
        SmallVector<float> values;
        for (int64_t at = 0, e = type.getNumElements(); at < e; at += kChunk) {
          values.resize(std::min(kChunk, e - at));
          if (failed(weight->readFloats(at, values)))
            read = failure();
          for (auto [i, value] : llvm::enumerate(values))
            value *= factor[(at + i) / row];
          storeFloats(bytes, at, values);
        }
      });
  auto newBias = makeConstant(
      rewriter, loc, RankedTensorType::get({channels}, type.getElementType()),
      hasBias ? conv.getB() : op.getB(),
      [&](MutableArrayRef<char> bytes) { storeFloats(bytes, 0, bias); });
  if (failed(newWeight) || failed(newBias) || failed(read))
    return failure();
  rewriter.modifyOpInPlace(conv, [&] {
    conv.getWMutable().assign(*newWeight);
    conv.getBMutable().assign(*newBias);
  });
  rewriter.replaceAllUsesWith(op.getY(), conv.getY());
  rewriter.eraseOp(op);
  return success();
}

void BatchNormalizationOp::getCanonicalizationPatterns(
    RewritePatternSet &patterns, MLIRContext *) {
  patterns.add(foldBatchNorm);
}

//===----------------------------------------------------------------------===//
// Bias
//===----------------------------------------------------------------------===//

/// conv(x, W) + constant per channel = conv(x, W, constant).
static LogicalResult foldBias(AddOp op, PatternRewriter &rewriter) {
  for (auto [product, constant] :
       {std::pair(op.getA(), op.getB()), std::pair(op.getB(), op.getA())}) {
    ConvOp conv = getOnlyUsedConv(product);
    auto type = dyn_cast<RankedTensorType>(product.getType());
    auto biasType = dyn_cast<RankedTensorType>(constant.getType());
    if (!conv || !type || type != op.getType() || !biasType ||
        !biasType.hasStaticShape() || !constant.getDefiningOp<ConstantOp>() ||
        !isa<NoneType>(conv.getB().getType()) || type.isDynamicDim(1))
      continue;
    // The one dimension that is not 1 must be the channels.
    int64_t channels = type.getDimSize(1);
    int64_t position = biasType.getRank() - (type.getRank() - 1);
    if (biasType.getNumElements() != channels || position < 0 ||
        biasType.getDimSize(position) != channels)
      continue;
    Location loc = op.getLoc();
    rewriter.setInsertionPoint(conv);
    auto shapeType = RankedTensorType::get({1}, rewriter.getI64Type());
    Value shape = ConstantOp::create(
        rewriter, loc, DenseElementsAttr::get(shapeType, channels));
    // Folds to the constant in another shape; it may come after conv.
    auto source = constant.getDefiningOp<ConstantOp>();
    Value bias = ConstantOp::create(rewriter, loc, source.getElements());
    bias.getDefiningOp()->setDiscardableAttrs(
        source->getDiscardableAttrDictionary());
    bias = ReshapeOp::create(
        rewriter, loc,
        RankedTensorType::get({channels}, biasType.getElementType()), bias,
        shape);
    rewriter.modifyOpInPlace(conv, [&] { conv.getBMutable().assign(bias); });
    rewriter.replaceOp(op, conv.getY());
    return success();
  }
  return failure();
}

void AddOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                        MLIRContext *) {
  patterns.add(foldBias);
}
