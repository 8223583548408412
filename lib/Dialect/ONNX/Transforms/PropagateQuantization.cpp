//===- PropagateQuantization.cpp - Keep movement of data in bytes ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Match.h"
#include "QuantizationForms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include <cmath>

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXPROPAGATEQUANTIZATIONPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

std::optional<double> getZero(Value zero) {
  return isPresent(zero) ? getElement(zero) : 0.0;
}

/// True if both have the same scale, zero point and type of codes.
bool haveSameScale(Operation *a, Value codesA, Operation *b, Value codesB) {
  if (getElementTypeOrSelf(codesA) != getElementTypeOrSelf(codesB))
    return false;
  auto equal = [](Value x, Value y, auto get) {
    if (x == y)
      return true;
    std::optional<double> p = get(x), q = get(y);
    return p && q && *p == *q;
  };
  return equal(a->getOperand(1), b->getOperand(1), getElement) &&
         equal(a->getOperand(2), b->getOperand(2), getZero);
}

Type withElement(Type type, Value like) {
  return cast<TensorType>(type).clone(getElementTypeOrSelf(like));
}

/// `op` on other operands with results of another element type.
Operation *cloneOn(PatternRewriter &b, Operation *op, Value data,
                   Value elementLike) {
  Operation *clone = b.clone(*op);
  clone->setOperand(0, data);
  for (OpResult result : clone->getResults())
    if (isa<TensorType>(result.getType()))
      result.setType(withElement(result.getType(), elementLike));
  return clone;
}

Value createDequantize(PatternRewriter &b, DequantizeLinearOp like, Value codes,
                       Type type) {
  return DequantizeLinearOp::create(b, like.getLoc(), type, codes,
                                    like.getXScale(), like.getXZeroPoint());
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

/// move(dequantize(x)) -> dequantize(move(x))
struct SinkDequantize : RewritePattern {
  SinkDequantize(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    auto pad = dyn_cast<PadOp>(op);
    if (!isMovement(op) && !isMovablePad(op))
      return failure();
    DequantizeLinearOp dequantize = getDequantize(op->getOperand(0));
    std::optional<double> scale =
        dequantize ? getElement(dequantize.getXScale()) : std::nullopt;
    // Only a positive scale keeps the order of a MaxPool.
    if (!dequantize || (isa<MaxPoolOp>(op) && !(scale && *scale > 0)))
      return failure();
    Value codes = dequantize.getX();
    Operation *moved = cloneOn(rewriter, op, codes, codes);
    if (pad && pad.getMode() == "constant") {
      Value zero = dequantize.getXZeroPoint();
      if (isPresent(zero) && cast<RankedTensorType>(zero.getType()).getRank())
        zero = getScalar(rewriter, zero);
      moved->setOperand(2, zero);
    }
    SmallVector<Value> results;
    for (auto [from, to] :
         llvm::zip_equal(op->getResults(), moved->getResults()))
      results.push_back(
          isa<NoneType>(from.getType())
              ? Value(to)
              : createDequantize(rewriter, dequantize, to, from.getType()));
    rewriter.replaceOp(op, results);
    return success();
  }

private:
  static Value getScalar(PatternRewriter &b, Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    auto shape = onnx::ConstantOp::create(
        b, value.getLoc(),
        DenseElementsAttr::get(RankedTensorType::get({0}, b.getI64Type()),
                               ArrayRef<int64_t>()));
    return ReshapeOp::create(b, value.getLoc(), type.clone(ArrayRef<int64_t>()),
                             value, shape);
  }
};

/// concat(dequantize(x), dequantize(y)) of one scale -> dequantize(concat(x,
/// y))
struct SinkThroughConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ConcatOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<Value> codes;
    DequantizeLinearOp first;
    for (Value operand : op->getOperands()) {
      DequantizeLinearOp dequantize = getDequantize(operand);
      if (!dequantize ||
          (first &&
           !haveSameScale(first, first.getX(), dequantize, dequantize.getX())))
        return rewriter.notifyMatchFailure(op, "parts of different scales");
      if (!first)
        first = dequantize;
      codes.push_back(dequantize.getX());
    }
    if (!first)
      return failure();
    Operation *joined = rewriter.clone(*op);
    joined->setOperands(codes);
    joined->getResult(0).setType(withElement(op.getType(), codes[0]));
    rewriter.replaceOp(
        op,
        createDequantize(rewriter, first, joined->getResult(0), op.getType()));
    return success();
  }
};

/// quantize(move(x)) -> move(quantize(x)), so that x is quantized where it is
/// made.
struct HoistQuantize : OpRewritePattern<QuantizeLinearOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeLinearOp op,
                                PatternRewriter &rewriter) const override {
    Operation *moved = op.getX().getDefiningOp();
    if (!moved || !isPerTensor(op) || !op.getX().hasOneUse())
      return rewriter.notifyMatchFailure(op, "nothing to move");
    bool isConcat = isa<ConcatOp>(moved);
    // What makes more of the data is cheaper on bytes, but so is quantizing
    // less of it: only what keeps the number of elements, or more.
    if (!isConcat && (!isMovement(moved) || isa<SplitOp>(moved)))
      return rewriter.notifyMatchFailure(op, "not a movement");
    if (isa<MaxPoolOp>(moved)) {
      std::optional<double> scale = getElement(op.getYScale());
      if (!scale || !(*scale > 0))
        return rewriter.notifyMatchFailure(op, "scale of a MaxPool");
    }
    unsigned count = isConcat ? moved->getNumOperands() : 1;
    for (Value operand : moved->getOperands().take_front(count)) {
      auto type = dyn_cast<RankedTensorType>(operand.getType());
      if (!type || !type.getElementType().isF32() ||
          (!operand.hasOneUse() && !getDequantize(operand)))
        return rewriter.notifyMatchFailure(op, "others read the floats");
    }
    rewriter.setInsertionPoint(moved);
    SmallVector<Value> operands(moved->getOperands());
    for (Value &operand : MutableArrayRef<Value>(operands).take_front(count)) {
      Operation *quantize = rewriter.clone(*op);
      quantize->setOperand(0, operand);
      quantize->getResult(0).setType(withElement(operand.getType(), op.getY()));
      operand = quantize->getResult(0);
    }
    Operation *clone = rewriter.clone(*moved);
    clone->setOperands(operands);
    for (OpResult result : clone->getResults())
      if (isa<TensorType>(result.getType()))
        result.setType(withElement(result.getType(), op.getY()));
    // The scale may be defined after what moves.
    for (Value value : {Value(op.getYScale()), Value(op.getYZeroPoint())})
      if (Operation *definition = value.getDefiningOp();
          definition && definition->getBlock() == moved->getBlock() &&
          moved->isBeforeInBlock(definition))
        rewriter.moveOpBefore(definition, operands[0].getDefiningOp());
    rewriter.replaceOp(op, clone->getResult(0));
    rewriter.eraseOp(moved);
    return success();
  }
};

/// argmax(dequantize(x)) -> argmax(x)
struct SkipDequantize : RewritePattern {
  SkipDequantize(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<ArgMaxOp, ArgMinOp>(op))
      return failure();
    DequantizeLinearOp dequantize = getDequantize(op->getOperand(0));
    std::optional<double> scale =
        dequantize ? getElement(dequantize.getXScale()) : std::nullopt;
    if (!scale || !(*scale > 0))
      return failure();
    rewriter.modifyOpInPlace(op, [&] { op->setOperand(0, dequantize.getX()); });
    return success();
  }
};

/// quantize(constant) -> constant: weights that a tool for training left in
/// floats.
struct QuantizeConstant : OpRewritePattern<QuantizeLinearOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeLinearOp op,
                                PatternRewriter &rewriter) const override {
    FailureOr<ConstantData> x = ConstantData::get(op.getX());
    FailureOr<ConstantData> scale = ConstantData::get(op.getYScale());
    auto type = dyn_cast<RankedTensorType>(op.getType());
    if (failed(x) || failed(scale) || !type || !type.hasStaticShape() ||
        !type.getElementType().isInteger(8) || op.getBlockSize() != 0 ||
        !x->getType().getElementType().isF32())
      return rewriter.notifyMatchFailure(op, "no constant to bytes");
    int64_t count = scale->getNumElements(), rank = type.getRank();
    int64_t axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
    if (count != 1 && (axis >= rank || type.getDimSize(axis) != count))
      return rewriter.notifyMatchFailure(op, "scales do not fit");
    std::vector<float> scales(count), zeros(count, 0.0f);
    if (failed(scale->expanded().readFloats(0, scales)))
      return failure();
    if (isPresent(op.getYZeroPoint())) {
      FailureOr<ConstantData> zero = ConstantData::get(op.getYZeroPoint());
      if (failed(zero) || zero->getNumElements() != count ||
          failed(zero->expanded().readFloats(0, zeros)))
        return rewriter.notifyMatchFailure(op, "zero points are not constant");
    }
    // Elements between two of the axis.
    int64_t stride = 1;
    for (int64_t d = axis + 1; count != 1 && d < rank; ++d)
      stride *= type.getDimSize(d);
    bool isUnsigned = type.getElementType().isUnsignedInteger();
    float low = isUnsigned ? 0 : -128, high = isUnsigned ? 255 : 127;
    bool readable = true;
    FailureOr<ElementsAttr> codes = createBlobAttr(
        op.getLoc(), type, "quantized", [&](MutableArrayRef<char> out) {
          constexpr int64_t chunk = 4096;
          std::vector<float> buffer(chunk);
          ConstantData elements = x->expanded();
          for (int64_t i = 0, e = type.getNumElements(); i < e; i += chunk) {
            MutableArrayRef<float> part(buffer.data(), std::min(chunk, e - i));
            readable &= succeeded(elements.readFloats(i, part));
            for (auto [offset, value] : llvm::enumerate(part)) {
              int64_t k = (i + offset) / stride % count;
              float code = std::nearbyint(value / scales[k]) + zeros[k];
              code = std::isnan(code) ? low : std::clamp(code, low, high);
              out[i + offset] = static_cast<char>(static_cast<int>(code));
            }
          }
        });
    if (failed(codes) || !readable)
      return failure();
    auto constant = onnx::ConstantOp::create(rewriter, op.getLoc(), *codes);
    // The name of a weight stays its own.
    if (Operation *source = op.getX().getDefiningOp())
      if (Attribute name = source->getAttr(ONNXDialect::kNameAttr))
        constant->setAttr(ONNXDialect::kNameAttr, name);
    rewriter.replaceOp(op, constant);
    return success();
  }
};

/// quantize(dequantize(x)) of the same scale -> x
struct CancelRoundTrip : OpRewritePattern<QuantizeLinearOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeLinearOp op,
                                PatternRewriter &rewriter) const override {
    DequantizeLinearOp dequantize = getDequantize(op.getX());
    if (!dequantize || !isPerTensor(op) ||
        !haveSameScale(dequantize, dequantize.getX(), op, op.getY()))
      return rewriter.notifyMatchFailure(op, "another scale");
    rewriter.replaceOp(op, dequantize.getX());
    return success();
  }
};

/// quantize(clip(x)) -> quantize(x) where all codes are within the bounds
struct DropClip : OpRewritePattern<QuantizeLinearOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeLinearOp op,
                                PatternRewriter &rewriter) const override {
    Operation *clip = op.getX().getDefiningOp();
    if (!clip || !isa<ReluOp, ClipOp>(clip) || !isPerTensor(op))
      return rewriter.notifyMatchFailure(op, "no bounds");
    std::optional<Bounds> bounds = getBounds(clip);
    if (!bounds)
      return rewriter.notifyMatchFailure(op, "unknown bounds");
    std::optional<double> scale = getElement(op.getYScale()),
                          zero = getZero(op.getYZeroPoint());
    if (!scale || !zero || !(*scale > 0))
      return rewriter.notifyMatchFailure(op, "unknown scale");
    bool isUnsigned = getElementTypeOrSelf(op.getY()).isUnsignedInteger();
    double first = isUnsigned ? 0 : -128, last = isUnsigned ? 255 : 127;
    auto quantize = [&](double x) {
      return std::nearbyint(float(x) / float(*scale)) + *zero;
    };
    if (!(quantize(bounds->low) <= first) || !(quantize(bounds->high) >= last))
      return rewriter.notifyMatchFailure(op, "the bounds matter");
    rewriter.modifyOpInPlace(op,
                             [&] { op->setOperand(0, clip->getOperand(0)); });
    return success();
  }
};

struct ONNXPropagateQuantizationPass
    : public nibble::onnx::impl::ONNXPropagateQuantizationPassBase<
          ONNXPropagateQuantizationPass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    set.add<SinkDequantize, SinkThroughConcat, SkipDequantize, HoistQuantize,
            QuantizeConstant, CancelRoundTrip, DropClip>(context);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    bool isQuantized = false;
    getOperation()->walk([&](Operation *op) {
      isQuantized |= isa<DequantizeLinearOp, QuantizeLinearOp>(op);
    });
    if (isQuantized && failed(applyPatternsGreedily(getOperation(), patterns)))
      signalPassFailure();
  }

private:
  FrozenRewritePatternSet patterns;
};

} // namespace
