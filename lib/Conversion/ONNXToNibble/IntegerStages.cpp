//===- IntegerStages.cpp - What follows a product of bytes ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConstantWeight.h"
#include "Fusion.h"
#include "IntegerValues.h"
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;

namespace nibble {
namespace {

/// A product with a result of `element` that only `user` reads and after which
/// nothing has been fused.
template <typename OpTy>
OpTy getPlain(Value value, Operation *user, Type element) {
  auto op = value.getDefiningOp<OpTy>();
  if (!op || !value.hasOneUse() || *value.user_begin() != user ||
      op.getActivation().value_or(Activation::None) != Activation::None ||
      op.getResidual() ||
      cast<RankedTensorType>(value.getType()).getElementType() != element)
    return OpTy();
  return op;
}

template <typename OpTy>
int64_t getChannels(OpTy op) {
  if constexpr (std::is_same_v<OpTy, ConvIntegerOp>)
    return op.getWeightShape()[0];
  else
    return op.getN();
}

/// `op` in the place of `user`, with another type of result.
template <typename OpTy>
OpTy extend(PatternRewriter &b, OpTy op, Operation *user, Type element) {
  OpTy extended = moveTo(b, op, user);
  auto type = cast<RankedTensorType>(user->getResult(0).getType());
  extended->getResult(0).setType(type.clone(element));
  return extended;
}

/// `value` as [n] if it is one value for each channel of a result of `rank`,
/// which is dimension `channel`; as it is if it has one element.
Value getPerChannel(PatternRewriter &b, Value value, int64_t rank,
                    int64_t channel, int64_t n) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.getElementType().isF32() || !type.hasStaticShape())
    return Value();
  int64_t offset = rank - type.getRank();
  if (offset < 0 || (type.getNumElements() != 1 && type.getNumElements() != n))
    return Value();
  if (type.getNumElements() == 1)
    return value;
  if (offset > channel || type.getDimSize(channel - offset) != n)
    return Value();
  if (type.getRank() == 1)
    return value;
  auto vector = RankedTensorType::get({n}, type.getElementType());
  FailureOr<ConstantWeight> constant = getConstantWeight(value);
  if (succeeded(constant) && !constant->transposed)
    return createConstant(b, value.getLoc(),
                          reshapeElements(constant->value, vector),
                          constant->name);
  auto shape = onnx::ConstantOp::create(
      b, value.getLoc(),
      DenseElementsAttr::get(RankedTensorType::get({1}, b.getI64Type()), n));
  return onnx::ReshapeOp::create(b, value.getLoc(), vector, value, shape);
}

template <typename OpTy>
int64_t getChannelDim(OpTy, RankedTensorType type) {
  return std::is_same_v<OpTy, ConvIntegerOp> ? 1 : type.getRank() - 1;
}

/// The sum as a float.
template <typename OpTy>
struct FuseCast : OpRewritePattern<onnx::CastOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::CastOp cast,
                                PatternRewriter &rewriter) const override {
    auto op = getPlain<OpTy>(cast.getInput(), cast, rewriter.getI32Type());
    auto type = dyn_cast<RankedTensorType>(cast.getType());
    if (!op || !type || !type.getElementType().isF32())
      return rewriter.notifyMatchFailure(cast, "no sum to a float");
    OpTy fused = extend(rewriter, op, cast, type.getElementType());
    rewriter.replaceOp(cast, fused.getResult());
    rewriter.eraseOp(op);
    return success();
  }
};

/// The scales of a sum: one value, one per channel, or the product of both.
template <typename OpTy>
struct FuseScale : OpRewritePattern<onnx::MulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::MulOp mul,
                                PatternRewriter &rewriter) const override {
    for (unsigned side : {0, 1}) {
      auto op =
          getPlain<OpTy>(mul->getOperand(side), mul, rewriter.getF32Type());
      // A bias of integers is added before the scales anyway.
      if (!op || op.getInputScale() || op.getWeightScales() ||
          (op.getBias() && getElementTypeOrSelf(op.getBias()).isF32()) ||
          op.getResult().getType() != mul.getType())
        continue;
      SmallVector<Value> factors = {mul->getOperand(1 - side)};
      if (auto product = factors[0].getDefiningOp<onnx::MulOp>())
        factors = {product.getA(), product.getB()};
      auto type = cast<RankedTensorType>(mul.getType());
      rewriter.setInsertionPoint(mul);
      Value input, weight;
      for (Value factor : factors) {
        Value scale = getPerChannel(rewriter, factor, type.getRank(),
                                    getChannelDim(op, type), getChannels(op));
        if (!scale)
          return rewriter.notifyMatchFailure(mul, "no scales");
        // The input has one scale; a second value belongs to the weight.
        if (hasOneElement(scale) && !input)
          input = scale;
        else if (!weight)
          weight = scale;
        else
          return rewriter.notifyMatchFailure(mul, "two scales per channel");
      }
      OpTy fused = extend(rewriter, op, mul, type.getElementType());
      if (input)
        fused.getInputScaleMutable().assign(input);
      if (weight)
        fused.getWeightScalesMutable().assign(weight);
      rewriter.replaceOp(mul, fused.getResult());
      rewriter.eraseOp(op);
      return success();
    }
    return rewriter.notifyMatchFailure(mul, "no sum");
  }
};

/// One value for each channel added to the scaled sum.
template <typename OpTy>
struct FuseBias : OpRewritePattern<onnx::AddOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::AddOp add,
                                PatternRewriter &rewriter) const override {
    for (unsigned side : {0, 1}) {
      auto op =
          getPlain<OpTy>(add->getOperand(side), add, rewriter.getF32Type());
      if (!op || op.getBias() || op.getResult().getType() != add.getType())
        continue;
      auto type = cast<RankedTensorType>(add.getType());
      rewriter.setInsertionPoint(add);
      int64_t n = getChannels(op);
      Value bias = getPerChannel(rewriter, add->getOperand(1 - side),
                                 type.getRank(), getChannelDim(op, type), n);
      if (!bias || cast<RankedTensorType>(bias.getType()).getShape() !=
                       ArrayRef<int64_t>{n})
        continue;
      OpTy fused = extend(rewriter, op, add, type.getElementType());
      fused.getBiasMutable().assign(bias);
      rewriter.replaceOp(add, fused.getResult());
      rewriter.eraseOp(op);
      return success();
    }
    return rewriter.notifyMatchFailure(add, "no bias");
  }
};

/// Bytes out.
template <typename OpTy>
struct FuseQuantize : OpRewritePattern<onnx::QuantizeLinearOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::QuantizeLinearOp quantize,
                                PatternRewriter &rewriter) const override {
    Value x = quantize.getX(), zero = quantize.getYZeroPoint();
    auto op = x.getDefiningOp<OpTy>();
    if (!op || !x.hasOneUse() || !getElementTypeOrSelf(x.getType()).isF32())
      return rewriter.notifyMatchFailure(quantize, "no product of its own");
    bool hasZero = !isa<NoneType>(zero.getType());
    if (!isByteTensor(quantize.getType()) ||
        !hasOneElement(quantize.getYScale()) ||
        !getElementTypeOrSelf(quantize.getYScale()).isF32() ||
        (hasZero && !hasOneElement(zero)))
      return rewriter.notifyMatchFailure(quantize, "not to bytes of one scale");
    OpTy fused = extend(rewriter, op, quantize, rewriter.getI8Type());
    rewriter.setInsertionPoint(fused);
    fused.getOutputScaleMutable().assign(quantize.getYScale());
    if (Value code = toZeroPoint(rewriter, zero))
      fused.getOutputZeroMutable().assign(code);
    auto type = cast<RankedTensorType>(quantize.getType());
    fused.setUnsignedOutput(type.getElementType().isUnsignedInteger());
    rewriter.setInsertionPointAfter(fused);
    rewriter.replaceOp(quantize,
                       fromSignless(rewriter, fused.getResult(), type));
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void populateIntegerStagePatterns(RewritePatternSet &patterns) {
  patterns.add<FuseCast<MatMulIntegerOp>, FuseCast<ConvIntegerOp>,
               FuseScale<MatMulIntegerOp>, FuseScale<ConvIntegerOp>,
               FuseBias<MatMulIntegerOp>, FuseBias<ConvIntegerOp>,
               FuseQuantize<MatMulIntegerOp>, FuseQuantize<ConvIntegerOp>>(
      patterns.getContext());
}

} // namespace nibble
