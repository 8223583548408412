//===- FuseElementwise.cpp - Bias, residual and activation ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConstantWeight.h"
#include "Fusion.h"
#include "IntegerValues.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include <cmath>

using namespace mlir;

namespace nibble {
namespace {

/// An operation that a pattern may extend: on tensors, its result used only by
/// `user`, and no activation after which nothing can be added.
template <typename OpTy>
OpTy getExtensible(Value value, Operation *user) {
  auto op = value.getDefiningOp<OpTy>();
  // An integer product may have another type of result.
  if (!op || !getElementTypeOrSelf(value.getType()).isF32() ||
      op.getActivation().value_or(Activation::None) != Activation::None)
    return OpTy();
  // All uses by the one user: x + x reads x twice.
  if (!value.hasOneUse() || *value.user_begin() != user)
    return OpTy();
  return op;
}

template <typename OpTy>
void replaceByFused(PatternRewriter &rewriter, OpTy op, OpTy fused,
                    Operation *user) {
  rewriter.replaceOp(user, fused.getResult());
  rewriter.eraseOp(op);
}

/// Dimension `dim` of `value` as a dimension of a value further up that has the
/// same size, as far as that can be told.
std::pair<Value, int64_t> traceDim(Value value, int64_t dim) {
  while (Operation *op = value.getDefiningOp()) {
    auto rank = [](Value v) { return cast<ShapedType>(v.getType()).getRank(); };
    if (isa<MatMulOp, MatMulIntegerOp>(op) && dim < rank(value) - 1)
      value = op->getOperand(0);
    else if (isa<ConvOp, ConvIntegerOp, onnx::MaxPoolOp, onnx::AveragePoolOp,
                 onnx::GlobalAveragePoolOp, onnx::BatchNormalizationOp>(op) &&
             dim == 0)
      value = op->getOperand(0);
    else if (isa<GatherOp>(op) && dim < rank(value) - 1)
      value = op->getOperand(0);
    else if (isa<onnx::ReluOp, onnx::SigmoidOp, onnx::TanhOp, onnx::ClipOp,
                 onnx::GeluOp, onnx::IdentityOp, onnx::SwishOp,
                 onnx::LayerNormalizationOp, onnx::RMSNormalizationOp,
                 onnx::SoftmaxOp>(op))
      value = op->getOperand(0);
    else
      break;
  }
  return {value, dim};
}

/// Checks at run time that the sizes of `residual` which are not known now are
/// those of the result of `op`.
template <typename OpTy>
void checkSizes(PatternRewriter &rewriter, OpTy op, Value residual,
                Operation *user) {
  auto type = cast<RankedTensorType>(op.getResult().getType());
  Location loc = user->getLoc();
  ReifiedRankedShapedTypeDims shapes;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    if (!type.isDynamicDim(d) ||
        traceDim(op.getResult(), d) == traceDim(residual, d))
      continue;
    if (shapes.empty() && failed(op.reifyResultShapes(rewriter, shapes)))
      return;
    Value expected =
        getValueOrCreateConstantIndexOp(rewriter, loc, shapes[0][d]);
    Value actual = tensor::DimOp::create(rewriter, loc, residual, d);
    Value same = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::eq,
                                       expected, actual);
    auto name =
        user->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
    cf::AssertOp::create(
        rewriter, loc, same,
        llvm::formatv("Add '{0}': dimension {1} of the operands differs",
                      name ? name.getValue() : "", d)
            .str());
  }
}

/// x * w + (something of the same shape)
template <typename OpTy>
struct FuseResidual : OpRewritePattern<onnx::AddOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::AddOp add,
                                PatternRewriter &rewriter) const override {
    for (unsigned side : {0, 1}) {
      Value result = add->getOperand(side),
            residual = add->getOperand(1 - side);
      OpTy op = getExtensible<OpTy>(result, add);
      if (!op || op.getResidual() || result.getType() != residual.getType() ||
          result.getType() != add.getType() ||
          succeeded(getConstantWeight(residual, /*materialize=*/false)))
        continue;
      OpTy fused = moveTo(rewriter, op, add);
      rewriter.setInsertionPoint(fused);
      checkSizes(rewriter, op, residual, add);
      fused.getResidualMutable().assign(residual);
      replaceByFused(rewriter, op, fused, add);
      return success();
    }
    return rewriter.notifyMatchFailure(add, "no residual");
  }
};

/// True if a constant of `shape` holds one value per output channel, which is
/// dimension `channel` of a result of `rank`.
bool isPerChannel(ArrayRef<int64_t> shape, int64_t rank, int64_t channel,
                  int64_t n) {
  int64_t offset = rank - static_cast<int64_t>(shape.size());
  if (offset < 0 || offset > channel)
    return false;
  for (auto [i, size] : llvm::enumerate(shape))
    if (size != (static_cast<int64_t>(i) + offset == channel ? n : 1))
      return false;
  return true;
}

/// x * w + b with a constant b for each output channel
template <typename OpTy>
struct FuseBias : OpRewritePattern<onnx::AddOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::AddOp add,
                                PatternRewriter &rewriter) const override {
    for (unsigned side : {0, 1}) {
      Value result = add->getOperand(side), other = add->getOperand(1 - side);
      OpTy op = getExtensible<OpTy>(result, add);
      if (!op || op.getBias() || result.getType() != add.getType())
        continue;
      FailureOr<ConstantWeight> bias =
          getConstantWeight(other, /*materialize=*/false);
      if (failed(bias) || bias->transposed ||
          !bias->getType().getElementType().isF32())
        continue;
      int64_t rank = cast<RankedTensorType>(result.getType()).getRank();
      int64_t channel = std::is_same_v<OpTy, ConvOp> ? 1 : rank - 1;
      int64_t n = op.getWeightView().rows;
      if (!isPerChannel(bias->getType().getShape(), rank, channel, n))
        continue;
      OpTy fused = moveTo(rewriter, op, add);
      rewriter.setInsertionPoint(fused);
      auto type = RankedTensorType::get({n}, rewriter.getF32Type());
      fused.getBiasMutable().assign(
          createConstant(rewriter, add.getLoc(),
                         reshapeElements(bias->value, type), bias->name));
      replaceByFused(rewriter, op, fused, add);
      return success();
    }
    return rewriter.notifyMatchFailure(add, "no constant bias");
  }
};

/// The activation that an operator of one operand computes.
std::optional<Activation> getActivation(Operation *op) {
  if (isa<onnx::ReluOp>(op))
    return Activation::Relu;
  if (isa<onnx::SigmoidOp>(op))
    return Activation::Sigmoid;
  if (isa<onnx::TanhOp>(op))
    return Activation::Tanh;
  if (isa<onnx::HardSwishOp>(op))
    return Activation::HardSwish;
  if (auto gelu = dyn_cast<onnx::GeluOp>(op))
    return gelu.getApproximate() == "tanh" ? Activation::GeluTanh
                                           : Activation::Gelu;
  if (auto swish = dyn_cast<onnx::SwishOp>(op))
    if (swish.getAlpha() == 1.0f)
      return Activation::Silu;
  if (auto clip = dyn_cast<onnx::ClipOp>(op))
    if (getScalar(clip.getMin()) == 0.0f && getScalar(clip.getMax()) == 6.0f)
      return Activation::Clip6;
  return std::nullopt;
}

template <typename OpTy>
struct FuseActivation : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    if (!op.getResult().hasOneUse())
      return rewriter.notifyMatchFailure(op, "more than one use");
    Operation *user = *op->user_begin();
    if (user->getNumResults() != 1 || user->getOperand(0) != op.getResult() ||
        user->getResult(0).getType() != op.getResult().getType() ||
        !getExtensible<OpTy>(op.getResult(), user))
      return rewriter.notifyMatchFailure(op, "no unary user");
    std::optional<Activation> activation = getActivation(user);
    if (!activation)
      return rewriter.notifyMatchFailure(op, "no activation");
    OpTy fused = moveTo(rewriter, op, user);
    fused.setActivation(*activation);
    replaceByFused(rewriter, op, fused, user);
    return success();
  }
};

/// y * sigmoid(y) and y * hard_sigmoid(y), in the operators of older exporters.
template <typename OpTy>
struct FuseGate : OpRewritePattern<onnx::MulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::MulOp mul,
                                PatternRewriter &rewriter) const override {
    for (unsigned side : {0, 1}) {
      Value result = mul->getOperand(side);
      Operation *gate = mul->getOperand(1 - side).getDefiningOp();
      auto op = result.getDefiningOp<OpTy>();
      if (!op || !getElementTypeOrSelf(result.getType()).isF32() || !gate ||
          !gate->hasOneUse() || gate->getNumOperands() == 0 ||
          gate->getOperand(0) != result || result.getType() != mul.getType())
        continue;
      if (op.getActivation().value_or(Activation::None) != Activation::None ||
          !llvm::hasNItems(result.getUses(), 2))
        continue;
      std::optional<Activation> activation;
      if (isa<onnx::SigmoidOp>(gate))
        activation = Activation::Silu;
      else if (auto hard = dyn_cast<onnx::HardSigmoidOp>(gate))
        if (std::fabs(hard.getAlpha() - 1.0f / 6.0f) < 1e-6f &&
            hard.getBeta() == 0.5f)
          activation = Activation::HardSwish;
      if (!activation)
        continue;
      OpTy withGate = moveTo(rewriter, op, gate);
      rewriter.moveOpBefore(withGate, mul);
      OpTy fused = moveTo(rewriter, withGate, mul);
      fused.setActivation(*activation);
      rewriter.replaceOp(mul, fused.getResult());
      rewriter.eraseOp(withGate);
      rewriter.eraseOp(gate);
      rewriter.eraseOp(op);
      return success();
    }
    return rewriter.notifyMatchFailure(mul, "no gate");
  }
};

} // namespace

void populateFuseElementwisePatterns(RewritePatternSet &patterns) {
  patterns.add<FuseBias<MatMulOp>, FuseBias<ConvOp>, FuseResidual<MatMulOp>,
               FuseResidual<ConvOp>, FuseActivation<MatMulOp>,
               FuseActivation<ConvOp>, FuseGate<MatMulOp>, FuseGate<ConvOp>>(
      patterns.getContext());
}

void populateIntegerEpiloguePatterns(RewritePatternSet &patterns) {
  patterns.add<FuseResidual<MatMulIntegerOp>, FuseResidual<ConvIntegerOp>,
               FuseActivation<MatMulIntegerOp>, FuseActivation<ConvIntegerOp>,
               FuseGate<MatMulIntegerOp>, FuseGate<ConvIntegerOp>>(
      patterns.getContext());
}

} // namespace nibble
