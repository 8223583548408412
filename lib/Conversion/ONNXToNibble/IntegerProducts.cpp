//===- IntegerProducts.cpp - Bytes times bytes ----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConstantWeight.h"
#include "IntegerValues.h"
#include "Patterns.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;

namespace nibble {
namespace {

/// What follows the sum of a product, as far as the operator itself says.
struct Stage {
  Value bias, outputScale, outputZero;
  bool unsignedOutput = false;
};

Value optional(Value value) {
  return value && isa<NoneType>(value.getType()) ? Value() : value;
}

UnitAttr unitIf(OpBuilder &b, bool condition) {
  return condition ? b.getUnitAttr() : UnitAttr();
}

/// The type of the sum, or of what is made of it, on signless bytes.
RankedTensorType getSignlessType(Value result) {
  auto type = cast<RankedTensorType>(result.getType());
  if (type.getElementType().isInteger(8))
    return type.clone(IntegerType::get(type.getContext(), 8));
  return type;
}

/// `y_scale` and `y_zero_point`; failure if there is more than one of them.
LogicalResult setOutput(OpBuilder &b, Stage &stage, Value scale, Value zero,
                        Value result) {
  if (!hasOneElement(scale) || (optional(zero) && !hasOneElement(zero)) ||
      !isByteTensor(result.getType()))
    return failure();
  stage.outputScale = scale;
  stage.outputZero = toZeroPoint(b, zero);
  stage.unsignedOutput = cast<RankedTensorType>(result.getType())
                             .getElementType()
                             .isUnsignedInteger();
  return success();
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

/// A factor that may be read with its last two dimensions swapped.
struct Factor : QuantizedValue {
  Factor(QuantizedValue value) : QuantizedValue(value) {}
  bool transposed = false;
};

/// The bytes behind a float factor, through a Transpose of the last two
/// dimensions on either side of the DequantizeLinear.
std::optional<Factor> getFactor(OpBuilder &b, Value value) {
  auto look = [](Value value) -> Value {
    auto transpose = value.getDefiningOp<onnx::TransposeOp>();
    if (!transpose || !transpose.getPerm())
      return Value();
    SmallVector<int64_t> perm(*transpose.getPerm());
    if (perm.size() < 2)
      return Value();
    std::swap(perm[perm.size() - 2], perm.back());
    return llvm::is_sorted(perm) ? transpose.getData() : Value();
  };
  bool transposed = false;
  if (Value inner = look(value)) {
    value = inner;
    transposed = true;
  }
  std::optional<QuantizedValue> quantized = getQuantized(b, value);
  if (!quantized)
    return std::nullopt;
  Factor factor(*quantized);
  int64_t rank = factor.getType().getRank();
  if (factor.axis >= 0 && transposed && factor.axis >= rank - 2)
    factor.axis = 2 * rank - 3 - factor.axis;
  if (Value inner = look(factor.codes)) {
    factor.codes = inner;
    transposed = !transposed;
  }
  factor.transposed = transposed;
  return factor;
}

/// Whether a product of these can be one operation: a matrix on the right, or
/// one for each of the left side.
bool haveFittingShapes(RankedTensorType left, RankedTensorType right) {
  int64_t rank = left.getRank();
  if (rank < 2 || right.getRank() < 2)
    return false;
  if (right.getRank() == 2)
    return true;
  if (right.getRank() != rank)
    return false;
  for (int64_t d = 0; d < rank - 2; ++d)
    if (!left.isDynamicDim(d) && !right.isDynamicDim(d) &&
        left.getDimSize(d) != right.getDimSize(d))
      return false;
  return true;
}

/// Checks at run time that the leading dimensions, which say how many matrices
/// there are, agree where that is not known now.
void checkLeadingDims(OpBuilder &b, Operation *op, Value left, Value right) {
  auto leftType = cast<RankedTensorType>(left.getType());
  auto rightType = cast<RankedTensorType>(right.getType());
  Location loc = op->getLoc();
  for (int64_t d = 0; rightType.getRank() > 2 && d < leftType.getRank() - 2;
       ++d) {
    if (!leftType.isDynamicDim(d) && !rightType.isDynamicDim(d))
      continue;
    Value same = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                       tensor::DimOp::create(b, loc, left, d),
                                       tensor::DimOp::create(b, loc, right, d));
    auto name =
        op->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
    cf::AssertOp::create(
        b, loc, same,
        llvm::formatv("MatMul '{0}': dimension {1} of the operands differs",
                      name ? name.getValue() : "", d)
            .str());
  }
}

/// The product of `x` and `w` in the place of `op`; null if it is none that the
/// operation can express.
Value createMatMul(PatternRewriter &b, Operation *op, const QuantizedValue &x,
                   const Factor &w, const Stage &stage, bool hasScales) {
  RankedTensorType left = x.getType(), right = w.getType();
  if (!haveFittingShapes(left, right))
    return Value();
  int64_t rank = right.getRank();
  int64_t k = right.getDimSize(rank - (w.transposed ? 1 : 2));
  int64_t n = right.getDimSize(rank - (w.transposed ? 2 : 1));
  if (ShapedType::isDynamic(k) || ShapedType::isDynamic(n) || k < 1 || n < 1)
    return Value();
  auto isPerColumn = [&](Value value) {
    return !value || hasOneElement(value) ||
           cast<RankedTensorType>(value.getType()).getShape() ==
               ArrayRef<int64_t>{n};
  };
  auto isPerRow = [&](Value value) {
    return !value || hasOneElement(value) ||
           succeeded(verifyCompatibleShape(
               cast<RankedTensorType>(value.getType()).getShape(),
               left.getShape().drop_back()));
  };
  if (!isPerColumn(w.scale) || !isPerColumn(w.zero) || !isPerRow(x.scale) ||
      !isPerRow(x.zero))
    return Value();
  checkLeadingDims(b, op, x.codes, w.codes);
  auto product = MatMulIntegerOp::create(
      b, op->getLoc(), getSignlessType(op->getResult(0)),
      toSignless(b, x.codes), toSignless(b, w.codes), toZeroPoint(b, w.zero),
      /*weight_sums=*/Value(), hasScales ? w.scale : Value(),
      toZeroPoint(b, x.zero), hasScales ? x.scale : Value(), stage.bias,
      /*residual=*/Value(), stage.outputScale, stage.outputZero,
      /*outs=*/Value(), b.getI64IntegerAttr(n), b.getI64IntegerAttr(k),
      unitIf(b, w.transposed), unitIf(b, x.isUnsigned()),
      unitIf(b, w.isUnsigned()), unitIf(b, stage.unsignedOutput),
      /*packed=*/UnitAttr(), ActivationAttr(), getLayers(op));
  copyReport(op, product);
  return fromSignless(b, product.getResult(), op->getResult(0).getType());
}

struct ConvertMatMul : OpRewritePattern<onnx::MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::MatMulOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<QuantizedValue> x = getQuantized(rewriter, op.getA());
    std::optional<Factor> w = getFactor(rewriter, op.getB());
    if (!x || x->axis >= 0 || !w)
      return rewriter.notifyMatchFailure(op, "factors are not bytes");
    if (w->axis >= 0 && w->axis != w->getType().getRank() - 1)
      return rewriter.notifyMatchFailure(op, "scales along the contraction");
    Value product = createMatMul(rewriter, op, *x, *w, Stage(), true);
    if (!product)
      return rewriter.notifyMatchFailure(op, "shapes or scales");
    rewriter.replaceOp(op, product);
    return success();
  }
};

/// The bias of a product whose sums are in units of input times weight scale:
/// integers in these units stay integers. Failure if it is no vector [n].
FailureOr<Value> getBias(OpBuilder &b, Value bias, int64_t n,
                         const QuantizedValue &x, const QuantizedValue &w) {
  if (!optional(bias))
    return Value();
  auto type = getFloatTensor(bias);
  if (!type || !type.hasStaticShape() || type.getNumElements() != n ||
      type.getShape().back() != n)
    return failure();
  auto vector = RankedTensorType::get({n}, type.getElementType());
  auto reshape = [&](Value value, Type element) -> Value {
    auto from = cast<RankedTensorType>(value.getType());
    if (from.getRank() == 1)
      return value;
    auto shape = onnx::ConstantOp::create(
        b, value.getLoc(),
        DenseElementsAttr::get(RankedTensorType::get({1}, b.getI64Type()), n));
    return onnx::ReshapeOp::create(b, value.getLoc(), vector.clone(element),
                                   value, shape);
  };
  auto op = bias.getDefiningOp<onnx::DequantizeLinearOp>();
  if (op && op.getBlockSize() == 0 &&
      cast<RankedTensorType>(op.getX().getType())
          .getElementType()
          .isInteger(32) &&
      (!optional(op.getXZeroPoint()) || !toZeroPoint(b, op.getXZeroPoint())) &&
      isProductOfScales(op.getXScale(), x.scale, w.scale))
    return reshape(op.getX(), b.getI32Type());
  return reshape(bias, type.getElementType());
}

/// y = alpha * A' * B' + C with a vector C, or none
struct ConvertGemm : OpRewritePattern<onnx::GemmOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::GemmOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<QuantizedValue> x = getQuantized(rewriter, op.getA());
    std::optional<Factor> w = getFactor(rewriter, op.getB());
    if (!x || x->axis >= 0 || !w || w->getType().getRank() != 2)
      return rewriter.notifyMatchFailure(op, "factors are not bytes");
    int64_t axis = op.getTransB() ? 0 : 1;
    if (w->axis >= 0 && w->axis != axis)
      return rewriter.notifyMatchFailure(op, "scales along the contraction");
    w->transposed ^= op.getTransB() != 0;
    int64_t n = cast<RankedTensorType>(op.getY().getType()).getDimSize(1);
    if (op.getAlpha() != 1.0f) {
      FailureOr<ConstantWeight> scale = getConstantWeight(w->scale);
      if (failed(scale))
        return rewriter.notifyMatchFailure(op, "alpha of unknown scales");
      FailureOr<ElementsAttr> scaled =
          scaleElements(op.getLoc(), scale->value, op.getAlpha());
      if (failed(scaled))
        return failure();
      w->scale = onnx::ConstantOp::create(rewriter, op.getLoc(), *scaled);
    }
    Stage stage;
    if (optional(op.getC())) {
      FailureOr<Value> bias = getBias(rewriter, op.getC(), n, *x, *w);
      if (failed(bias) || op.getBeta() != 1.0f)
        return rewriter.notifyMatchFailure(op, "C is no bias");
      stage.bias = *bias;
    }
    if (op.getTransA()) {
      RankedTensorType type = x->getType();
      x->codes = onnx::TransposeOp::create(
          rewriter, op.getLoc(),
          type.clone({type.getDimSize(1), type.getDimSize(0)}), x->codes,
          rewriter.getDenseI64ArrayAttr({1, 0}));
    }
    Value product = createMatMul(rewriter, op, *x, *w, stage, true);
    if (!product)
      return rewriter.notifyMatchFailure(op, "shapes or scales");
    rewriter.replaceOp(op, product);
    return success();
  }
};

struct ConvertMatMulInteger : OpRewritePattern<onnx::MatMulIntegerOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::MatMulIntegerOp op,
                                PatternRewriter &rewriter) const override {
    if (!isByteTensor(op.getA().getType()) ||
        !isByteTensor(op.getB().getType()))
      return rewriter.notifyMatchFailure(op, "factors are not bytes");
    QuantizedValue x{op.getA(), Value(), optional(op.getAZeroPoint())};
    Factor w(QuantizedValue{op.getB(), Value(), optional(op.getBZeroPoint())});
    Value product = createMatMul(rewriter, op, x, w, Stage(), false);
    if (!product)
      return rewriter.notifyMatchFailure(op, "shapes or zero points");
    rewriter.replaceOp(op, product);
    return success();
  }
};

struct ConvertQLinearMatMul : OpRewritePattern<onnx::QLinearMatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::QLinearMatMulOp op,
                                PatternRewriter &rewriter) const override {
    if (!isByteTensor(op.getA().getType()) ||
        !isByteTensor(op.getB().getType()) || !getFloatTensor(op.getAScale()) ||
        !getFloatTensor(op.getBScale()) || !getFloatTensor(op.getYScale()))
      return rewriter.notifyMatchFailure(op, "no bytes with float32 scales");
    QuantizedValue x{op.getA(), op.getAScale(), op.getAZeroPoint()};
    Factor w(QuantizedValue{op.getB(), op.getBScale(), op.getBZeroPoint()});
    Stage stage;
    if (failed(setOutput(rewriter, stage, op.getYScale(), op.getYZeroPoint(),
                         op.getY())))
      return rewriter.notifyMatchFailure(op, "scales of y");
    Value product = createMatMul(rewriter, op, x, w, stage, true);
    if (!product)
      return rewriter.notifyMatchFailure(op, "shapes or scales");
    rewriter.replaceOp(op, product);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

/// The convolution of `x` with `w` in the place of `op`; null if it is none
/// that the operation can express.
Value createConv(PatternRewriter &b, Operation *op, const QuantizedValue &x,
                 const QuantizedValue &w, int64_t group, const Stage &stage,
                 bool hasScales) {
  RankedTensorType type = w.getType();
  if (!type.hasStaticShape() || type.getRank() != x.getType().getRank())
    return Value();
  int64_t n = type.getDimSize(0);
  auto isPerChannel = [&](Value value) {
    return !value || hasOneElement(value) ||
           cast<RankedTensorType>(value.getType()).getShape() ==
               ArrayRef<int64_t>{n};
  };
  if (!isPerChannel(w.scale) || !isPerChannel(w.zero) ||
      (x.scale && !hasOneElement(x.scale)) ||
      (x.zero && !hasOneElement(x.zero)))
    return Value();
  FailureOr<onnx::WindowAttrs> window = getConvWindow(op, x.getType(), type);
  if (failed(window))
    return Value();
  auto product = ConvIntegerOp::create(
      b, op->getLoc(), getSignlessType(op->getResult(0)),
      toSignless(b, x.codes), toSignless(b, w.codes), toZeroPoint(b, w.zero),
      /*weight_sums=*/Value(), hasScales ? w.scale : Value(),
      toZeroPoint(b, x.zero), hasScales ? x.scale : Value(), stage.bias,
      /*residual=*/Value(), stage.outputScale, stage.outputZero,
      /*outs=*/Value(), b.getDenseI64ArrayAttr(type.getShape()),
      b.getDenseI64ArrayAttr(window->strides),
      b.getDenseI64ArrayAttr(window->dilations),
      b.getDenseI64ArrayAttr(window->pads), b.getI64IntegerAttr(group),
      unitIf(b, x.isUnsigned()), unitIf(b, w.isUnsigned()),
      unitIf(b, stage.unsignedOutput), /*packed=*/UnitAttr(), ActivationAttr(),
      getLayers(op));
  copyReport(op, product);
  return fromSignless(b, product.getResult(), op->getResult(0).getType());
}

struct ConvertConv : OpRewritePattern<onnx::ConvOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::ConvOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<QuantizedValue> x = getQuantized(rewriter, op.getX());
    std::optional<QuantizedValue> w = getQuantized(rewriter, op.getW());
    if (!x || x->axis >= 0 || !w || w->axis > 0)
      return rewriter.notifyMatchFailure(op, "operands are not bytes");
    Stage stage;
    FailureOr<Value> bias =
        getBias(rewriter, op.getB(), w->getType().getDimSize(0), *x, *w);
    if (failed(bias))
      return rewriter.notifyMatchFailure(op, "bias of another shape");
    stage.bias = *bias;
    Value product =
        createConv(rewriter, op, *x, *w, op.getGroup(), stage, true);
    if (!product)
      return rewriter.notifyMatchFailure(op, "window, shapes or scales");
    rewriter.replaceOp(op, product);
    return success();
  }
};

struct ConvertConvInteger : OpRewritePattern<onnx::ConvIntegerOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::ConvIntegerOp op,
                                PatternRewriter &rewriter) const override {
    if (!isByteTensor(op.getX().getType()) ||
        !isByteTensor(op.getW().getType()))
      return rewriter.notifyMatchFailure(op, "operands are not bytes");
    QuantizedValue x{op.getX(), Value(), optional(op.getXZeroPoint())};
    QuantizedValue w{op.getW(), Value(), optional(op.getWZeroPoint())};
    Value product =
        createConv(rewriter, op, x, w, op.getGroup(), Stage(), false);
    if (!product)
      return rewriter.notifyMatchFailure(op, "window, shapes or zero points");
    rewriter.replaceOp(op, product);
    return success();
  }
};

struct ConvertQLinearConv : OpRewritePattern<onnx::QLinearConvOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::QLinearConvOp op,
                                PatternRewriter &rewriter) const override {
    if (!isByteTensor(op.getX().getType()) ||
        !isByteTensor(op.getW().getType()))
      return rewriter.notifyMatchFailure(op, "operands are not bytes");
    QuantizedValue x{op.getX(), op.getXScale(), op.getXZeroPoint()};
    QuantizedValue w{op.getW(), op.getWScale(), op.getWZeroPoint()};
    Stage stage;
    stage.bias = optional(op.getB());
    if (failed(setOutput(rewriter, stage, op.getYScale(), op.getYZeroPoint(),
                         op.getY())))
      return rewriter.notifyMatchFailure(op, "scales of y");
    Value product = createConv(rewriter, op, x, w, op.getGroup(), stage, true);
    if (!product)
      return rewriter.notifyMatchFailure(op, "window, shapes or scales");
    rewriter.replaceOp(op, product);
    return success();
  }
};

} // namespace

void populateQuantizedProductPatterns(RewritePatternSet &patterns) {
  patterns.add<ConvertMatMul, ConvertGemm, ConvertMatMulInteger,
               ConvertQLinearMatMul, ConvertConv, ConvertConvInteger,
               ConvertQLinearConv>(patterns.getContext());
}

} // namespace nibble
