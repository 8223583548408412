//===- ONNXToNibble.cpp - ONNX operators with constant weights ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h"

#include "ConstantWeight.h"
#include "Patterns.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/Window.h"

namespace nibble {
#define GEN_PASS_DEF_CONVERTONNXTONIBBLEPASS
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {

ArrayAttr getLayers(Operation *op) {
  Builder b(op->getContext());
  auto name = op->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
  return name ? b.getArrayAttr(name) : b.getArrayAttr({});
}

void copyReport(Operation *op, Operation *product) {
  if (Attribute report = op->getAttr(reportAttrName))
    product->setAttr(reportAttrName, report);
  // Rules name the operator of the model.
  if (isa<onnx::GemmOp>(op))
    product->setAttr(NibbleDialect::getOperatorTypeAttr(),
                     StringAttr::get(op->getContext(), "Gemm"));
}

RankedTensorType getFloatTensor(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getElementType().isF32() ? type : RankedTensorType();
}

FailureOr<onnx::WindowAttrs>
getConvWindow(Operation *op, RankedTensorType input, RankedTensorType weight) {
  int64_t rank = input.getRank();
  if (rank < 3 || rank > 5 || weight.getRank() != rank ||
      !weight.hasStaticShape() || weight.getNumElements() == 0)
    return failure();
  FailureOr<onnx::WindowAttrs> window = onnx::WindowAttrs::get(
      op, weight.getShape().drop_front(2), [&] { return op->emitError(); });
  if (failed(window))
    return failure();
  if (window->isSame()) {
    for (int64_t d = 0; d < rank - 2; ++d) {
      if (input.isDynamicDim(d + 2))
        return failure();
      window->resolveSamePadding(d, input.getDimSize(d + 2));
    }
  }
  if (llvm::any_of(window->pads, [](int64_t pad) { return pad < 0; }))
    return failure();
  return window;
}

namespace {

/// True if `value` is [n], whoever made it.
bool isVector(Value value, int64_t n) {
  RankedTensorType type = getFloatTensor(value);
  return type && type.getShape() == ArrayRef<int64_t>{n};
}

/// The weight of a matrix product if it is a constant matrix of floats.
FailureOr<ConstantWeight> getMatrix(Value value) {
  RankedTensorType type = getFloatTensor(value);
  if (!type || type.getRank() != 2 || type.getNumElements() == 0)
    return failure();
  return getConstantWeight(value);
}

MatMulOp createMatMul(OpBuilder &b, Operation *op, Value input, Value weight,
                      bool transposed, int64_t n, int64_t k, Value bias) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  auto product = MatMulOp::create(
      b, op->getLoc(), type, input, weight, /*scales=*/Value(),
      /*zeros=*/Value(), /*group_index=*/Value(), /*second=*/Value(), bias,
      /*residual=*/Value(),
      /*outs=*/Value(), b.getI64IntegerAttr(n), b.getI64IntegerAttr(k),
      transposed ? b.getUnitAttr() : UnitAttr(), /*packed_float=*/UnitAttr(),
      SchemeAttr(), ActivationAttr(), getLayers(op));
  copyReport(op, product);
  return product;
}

struct ConvertMatMul : OpRewritePattern<onnx::MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::MatMulOp op,
                                PatternRewriter &rewriter) const override {
    RankedTensorType input = getFloatTensor(op.getA());
    if (!input || input.getRank() < 2)
      return rewriter.notifyMatchFailure(op, "no matrix of float32");
    FailureOr<ConstantWeight> weight = getMatrix(op.getB());
    if (failed(weight))
      return rewriter.notifyMatchFailure(op, "no constant weight");
    auto shape = cast<RankedTensorType>(op.getB().getType()).getShape();
    Value constant =
        createConstant(rewriter, op.getLoc(), weight->value, weight->name);
    rewriter.replaceOp(op, createMatMul(rewriter, op, op.getA(), constant,
                                        weight->transposed, shape[1], shape[0],
                                        /*bias=*/Value()));
    return success();
  }
};

/// y = alpha * A' * B' + beta * C
struct ConvertGemm : OpRewritePattern<onnx::GemmOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::GemmOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    RankedTensorType input = getFloatTensor(op.getA());
    auto result = getFloatTensor(op.getY());
    if (!input || input.getRank() != 2 || !result)
      return rewriter.notifyMatchFailure(op, "no matrix of float32");
    FailureOr<ConstantWeight> weight = getMatrix(op.getB());
    if (failed(weight))
      return rewriter.notifyMatchFailure(op, "no constant weight");
    auto shape = cast<RankedTensorType>(op.getB().getType()).getShape();
    int64_t n = op.getTransB() ? shape[0] : shape[1];
    int64_t k = op.getTransB() ? shape[1] : shape[0];

    float alpha = op.getAlpha(), beta = op.getBeta();
    if (alpha != 1.0f) {
      FailureOr<ElementsAttr> scaled = scaleElements(loc, weight->value, alpha);
      if (failed(scaled))
        return failure();
      weight->value = *scaled;
    }
    Value a = op.getA();
    if (op.getTransA()) {
      auto type = RankedTensorType::get(
          {input.getDimSize(1), input.getDimSize(0)}, input.getElementType());
      a = onnx::TransposeOp::create(rewriter, loc, type, a,
                                    rewriter.getDenseI64ArrayAttr({1, 0}));
    }

    Value c = isa<NoneType>(op.getC().getType()) ? Value() : op.getC();
    FailureOr<Value> bias = failure();
    if (!c || beta == 0.0f) {
      bias = Value();
      c = Value();
    } else {
      bias = getBias(rewriter, op, c, n, beta);
    }
    Value constant = createConstant(rewriter, loc, weight->value, weight->name);
    bool transposed = weight->transposed != static_cast<bool>(op.getTransB());
    auto product = createMatMul(rewriter, op, a, constant, transposed, n, k,
                                succeeded(bias) ? *bias : Value());
    if (succeeded(bias)) {
      rewriter.replaceOp(op, product);
      return success();
    }
    // C is a full matrix or computed: an addition of its own, which is fused
    // again if it has the shape of the result.
    if (beta != 1.0f) {
      auto scalar = RankedTensorType::get({}, rewriter.getF32Type());
      Value factor = createConstant(
          rewriter, loc, DenseElementsAttr::get(scalar, beta), StringAttr());
      c = onnx::MulOp::create(rewriter, loc, c.getType(), c, factor);
    }
    rewriter.replaceOpWithNewOp<onnx::AddOp>(op, op.getType(),
                                             product.getResult(), c);
    return success();
  }

private:
  /// beta * C as [n], if C is one such row or one value; failure if not.
  static FailureOr<Value> getBias(PatternRewriter &rewriter, onnx::GemmOp op,
                                  Value c, int64_t n, float beta) {
    RankedTensorType type = getFloatTensor(c);
    if (!type || !type.hasStaticShape())
      return failure();
    FailureOr<ConstantWeight> constant = getConstantWeight(c);
    bool isRow = type.getNumElements() == n && type.getRank() > 0 &&
                 type.getShape().back() == n;
    if (failed(constant)) {
      if (beta == 1.0f && isVector(c, n))
        return c;
      return failure();
    }
    if (!isRow && type.getNumElements() != 1)
      return failure();
    Location loc = op.getLoc();
    auto vector = RankedTensorType::get({n}, type.getElementType());
    ElementsAttr value = constant->value;
    if (!isRow) {
      FailureOr<ConstantData> data =
          ConstantData::get(value, [&] { return emitError(loc); });
      float element = 0;
      if (failed(data) || failed(data->readFloats(0, element)))
        return failure();
      value = DenseElementsAttr::get(vector, element);
    }
    value = reshapeElements(value, vector);
    if (beta != 1.0f) {
      FailureOr<ElementsAttr> scaled = scaleElements(loc, value, beta);
      if (failed(scaled))
        return failure();
      value = *scaled;
    }
    return createConstant(rewriter, loc, value, constant->name);
  }
};

struct ConvertConv : OpRewritePattern<onnx::ConvOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::ConvOp op,
                                PatternRewriter &rewriter) const override {
    RankedTensorType input = getFloatTensor(op.getX());
    RankedTensorType weightType = getFloatTensor(op.getW());
    if (!input || !weightType || !weightType.hasStaticShape() ||
        input.getRank() < 3 || input.getRank() > 5 ||
        weightType.getNumElements() == 0)
      return rewriter.notifyMatchFailure(op, "no 1-D to 3-D float32 images");
    FailureOr<ConstantWeight> weight = getConstantWeight(op.getW());
    if (failed(weight) || weight->transposed)
      return rewriter.notifyMatchFailure(op, "no constant weight");
    ArrayRef<int64_t> shape = weightType.getShape();
    Value bias = isa<NoneType>(op.getB().getType()) ? Value() : op.getB();
    if (bias && !isVector(bias, shape[0]))
      return rewriter.notifyMatchFailure(op, "bias of another shape");

    FailureOr<onnx::WindowAttrs> window = getConvWindow(op, input, weightType);
    if (failed(window))
      return rewriter.notifyMatchFailure(op, "window of an unknown size");

    Location loc = op.getLoc();
    Value constant = createConstant(rewriter, loc, weight->value, weight->name);
    if (bias)
      if (FailureOr<ConstantWeight> value = getConstantWeight(bias);
          succeeded(value))
        bias = createConstant(rewriter, loc, value->value, value->name);
    auto conv = ConvOp::create(
        rewriter, loc, op.getType(), op.getX(), constant, /*scales=*/Value(),
        /*zeros=*/Value(), /*group_index=*/Value(), /*second=*/Value(), bias,
        /*residual=*/Value(),
        /*outs=*/Value(), rewriter.getDenseI64ArrayAttr(shape),
        rewriter.getDenseI64ArrayAttr(window->strides),
        rewriter.getDenseI64ArrayAttr(window->dilations),
        rewriter.getDenseI64ArrayAttr(window->pads),
        rewriter.getI64IntegerAttr(op.getGroup()), /*packed_float=*/UnitAttr(),
        SchemeAttr(), ActivationAttr(), getLayers(op));
    copyReport(op, conv);
    rewriter.replaceOp(op, conv.getResult());
    return success();
  }
};

struct ConvertGather : OpRewritePattern<onnx::GatherOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::GatherOp op,
                                PatternRewriter &rewriter) const override {
    auto table = dyn_cast<RankedTensorType>(op.getData().getType());
    int64_t axis = op.getAxis();
    if (!table || table.getRank() != 2 || table.getNumElements() == 0 ||
        (axis != 0 && axis != -2))
      return rewriter.notifyMatchFailure(op, "no rows of a table");
    Type element = table.getElementType();
    if (!element.isF32() && !element.isF16() && !element.isBF16())
      return rewriter.notifyMatchFailure(op, "no table of floats");
    if (!isa<RankedTensorType>(op.getIndices().getType()))
      return rewriter.notifyMatchFailure(op, "indices of unknown rank");
    FailureOr<ConstantWeight> weight = getConstantWeight(op.getData());
    if (failed(weight))
      return rewriter.notifyMatchFailure(op, "no constant table");
    Location loc = op.getLoc();
    if (weight->transposed) {
      FailureOr<ElementsAttr> value =
          transposeElements(loc, weight->value, {1, 0});
      if (failed(value))
        return failure();
      weight->value = *value;
    }
    // Floats of 16 bits are widened, and the rows narrowed again: exact.
    auto type = cast<RankedTensorType>(op.getType());
    RankedTensorType wide = type.clone(rewriter.getF32Type());
    if (!element.isF32()) {
      FailureOr<ElementsAttr> value =
          widenElements(loc, weight->value, weight->name);
      if (failed(value))
        return failure();
      weight->value = *value;
    }
    Value constant = createConstant(rewriter, loc, weight->value, weight->name);
    auto gather = GatherOp::create(
        rewriter, loc, wide, op.getIndices(), constant, /*scales=*/Value(),
        /*zeros=*/Value(), /*group_index=*/Value(), /*second=*/Value(),
        /*outs=*/Value(), rewriter.getI64IntegerAttr(table.getDimSize(0)),
        rewriter.getI64IntegerAttr(table.getDimSize(1)), SchemeAttr(),
        getLayers(op));
    Value rows = gather->getResult(0);
    if (!element.isF32())
      rows = onnx::CastOp::create(rewriter, loc, type, rows,
                                  onnx::getONNXType(element));
    rewriter.replaceOp(op, rows);
    return success();
  }
};

/// A layer of 16-bit floats with a constant weight computes in float32; its
/// result is rounded, as ONNX Runtime does it.
template <typename OpTy>
struct WidenLayer : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!type ||
        !(type.getElementType().isF16() || type.getElementType().isBF16()))
      return rewriter.notifyMatchFailure(op, "no result of 16-bit floats");
    FailureOr<ConstantWeight> weight = getConstantWeight(op->getOperand(1));
    if (failed(weight))
      return rewriter.notifyMatchFailure(op, "no constant weight");
    Location loc = op.getLoc();
    FailureOr<ElementsAttr> widened =
        widenElements(loc, weight->value, weight->name);
    if (failed(widened))
      return failure();
    Type f32 = rewriter.getF32Type();
    auto cast = [&](Value value, Type element) -> Value {
      auto from = mlir::cast<RankedTensorType>(value.getType());
      return onnx::CastOp::create(rewriter, loc, from.clone(element), value,
                                  onnx::getONNXType(element));
    };
    Value constant = createConstant(rewriter, loc, *widened, weight->name);
    if (weight->transposed) {
      auto shape = mlir::cast<RankedTensorType>(op->getOperand(1).getType());
      constant =
          onnx::TransposeOp::create(rewriter, loc, shape.clone(f32), constant,
                                    rewriter.getDenseI64ArrayAttr({1, 0}));
    }
    SmallVector<Value> operands;
    for (auto [i, operand] : llvm::enumerate(op->getOperands()))
      operands.push_back(i == 1 ? constant
                         : isa<NoneType>(operand.getType())
                             ? operand
                             : cast(operand, f32));
    auto wide = OpTy::create(rewriter, loc, TypeRange{type.clone(f32)},
                             operands, op->getAttrs());
    rewriter.replaceOp(op, cast(wide->getResult(0), type.getElementType()));
    return success();
  }
};

/// Weights of a recurrent layer, which exporters slice and join. What they
/// become is decided when the layer is lowered.
struct FoldRecurrentWeights : RewritePattern {
  explicit FoldRecurrentWeights(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<onnx::RNNOp, onnx::GRUOp, onnx::LSTMOp>(op))
      return failure();
    bool changed = false;
    for (OpOperand &operand : op->getOpOperands().slice(1, 3)) {
      if (matchPattern(operand.get(), m_Constant()))
        continue;
      FailureOr<ConstantWeight> weight = getConstantWeight(operand.get());
      if (failed(weight) || weight->transposed)
        continue;
      Value constant =
          createConstant(rewriter, op->getLoc(), weight->value, weight->name);
      rewriter.modifyOpInPlace(op, [&] { operand.set(constant); });
      changed = true;
    }
    return success(changed);
  }
};

struct ConvertONNXToNibblePass
    : public impl::ConvertONNXToNibblePassBase<ConvertONNXToNibblePass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateONNXToNibblePatterns(set);
    populatePackedProductPatterns(set);
    populateBlockTablePatterns(set);
    populateFuseElementwisePatterns(set);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    if (failed(applyPatternsGreedily(getOperation(), patterns)) ||
        failed(refuseBlockTables(getOperation())))
      return signalPassFailure();
    getOperation()->walk([&](QuantizableOpInterface) { ++numConverted; });
    getOperation()->walk([](onnx::ConstantOp op) { convertConstant(op); });
  }

private:
  /// Large constants, and those that operations of our own use, leave the onnx
  /// dialect here; the others are for the conversion of their users.
  static void convertConstant(onnx::ConstantOp op) {
    ElementsAttr value = op.getValueAttr();
    auto type = value ? dyn_cast<RankedTensorType>(value.getShapedType())
                      : RankedTensorType();
    // Unsigned and narrow elements need a conversion of types, strings have no
    // bytes.
    if (!type || !(isa<FloatType>(type.getElementType()) ||
                   type.getElementType().isSignlessInteger()))
      return;
    unsigned narrowest = isa<FloatType>(type.getElementType()) ? 16 : 8;
    if (type.getElementTypeBitWidth() < narrowest &&
        !type.getElementType().isInteger(1))
      return;
    bool used = llvm::any_of(op->getUsers(), [](Operation *user) {
      return isa<QuantizableOpInterface>(user);
    });
    bool large = !isa<DenseElementsAttr>(value) ||
                 (!value.isSplat() && getStorageBytes(type) > maxDenseBytes);
    if (!used && !large)
      return;
    OpBuilder b(op);
    auto name =
        op->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
    op.replaceAllUsesWith(createConstant(b, op.getLoc(), value, name));
    op.erase();
  }

  FrozenRewritePatternSet patterns;
};

} // namespace

void populateONNXToNibblePatterns(RewritePatternSet &patterns) {
  patterns.add<ConvertMatMul, ConvertGemm, ConvertConv, ConvertGather,
               WidenLayer<onnx::MatMulOp>, WidenLayer<onnx::GemmOp>,
               WidenLayer<onnx::ConvOp>, FoldRecurrentWeights>(
      patterns.getContext());
}

} // namespace nibble
