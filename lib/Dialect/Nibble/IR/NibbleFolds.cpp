//===- NibbleFolds.cpp - Folders and canonicalizations --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

using namespace mlir;
using namespace nibble;

Operation *NibbleDialect::materializeConstant(OpBuilder &builder,
                                              Attribute value, Type type,
                                              Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!elements || !tensor || elements.getShapedType() != tensor)
    return nullptr;
  return ConstantOp::create(builder, loc, elements);
}

namespace {

/// True for constants with equal elements and for one and the same value.
bool isSameValue(Value a, Value b) {
  if (a == b)
    return true;
  Attribute first, second;
  return a && b && matchPattern(a, m_Constant(&first)) &&
         matchPattern(b, m_Constant(&second)) && first == second;
}

/// True if `value` is a constant whose elements are all zero. Reads the data of
/// small constants only: a large bias of zeros is not worth the time.
bool isZeroConstant(Value value) {
  constexpr int64_t maxElements = 1 << 16;
  Attribute attr;
  if (!matchPattern(value, m_Constant(&attr)))
    return false;
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  if (dense && dense.isSplat())
    return isa<FloatType>(dense.getElementType())
               ? dense.getSplatValue<APFloat>().isZero()
               : dense.getSplatValue<APInt>().isZero();
  auto type = cast<ShapedType>(value.getType());
  if (!type.hasStaticShape() || type.getNumElements() > maxElements)
    return false;
  // Problems with the data are reported by the pass that needs it.
  FailureOr<ConstantData> data = ConstantData::get(value);
  std::vector<float> elements(type.getNumElements());
  return succeeded(data) && succeeded(data->readFloats(0, elements)) &&
         llvm::all_of(elements, [](float x) { return x == 0.0f; });
}

template <typename OpTy>
struct DropZeroBias : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    if (!op.getBias() || !isZeroConstant(op.getBias()))
      return rewriter.notifyMatchFailure(op, "no bias of zeros");
    rewriter.modifyOpInPlace(op, [&] { op.getBiasMutable().clear(); });
    return success();
  }
};

/// Zero points that are zero.
template <typename OpTy>
struct DropZeroPoints : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    MutableOperandRange ranges[] = {op.getInputZeroMutable(),
                                    op.getWeightZerosMutable(),
                                    op.getOutputZeroMutable()};
    bool dropped = false;
    for (MutableOperandRange &range : ranges) {
      if (range.empty() || !isZeroConstant(range[0].get()))
        continue;
      rewriter.modifyOpInPlace(op, [&] { range.clear(); });
      dropped = true;
      break;
    }
    return success(dropped);
  }
};

template <typename OpTy>
struct DropNoActivation : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    if (op.getActivation() != Activation::None)
      return rewriter.notifyMatchFailure(op, "no activation to drop");
    rewriter.modifyOpInPlace(op, [&] { op.removeActivationAttr(); });
    return success();
  }
};

/// Dequantized constants of at most this many elements are computed.
constexpr int64_t maxFoldedElements = 64;

/// Which scale element `index` of a tensor of `shape` uses, by the rule of
/// plain packing.
int64_t getScaleIndex(int64_t index, ArrayRef<int64_t> shape, int64_t axis,
                      int64_t group) {
  if (group == 0)
    return 0;
  int64_t inner = 1;
  for (int64_t size : shape.drop_front(axis + 1))
    inner *= size;
  int64_t position = index / inner % shape[axis];
  if (group < 0)
    return position;
  int64_t outer = index / inner / shape[axis];
  int64_t groups = llvm::divideCeil(shape[axis], group);
  return (outer * groups + position / group) * inner + index % inner;
}

} // namespace

void MatMulOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  patterns.add<DropZeroBias<MatMulOp>, DropNoActivation<MatMulOp>>(context);
}

void ConvOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *context) {
  patterns.add<DropZeroBias<ConvOp>, DropNoActivation<ConvOp>>(context);
}

void MatMulIntegerOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                                  MLIRContext *context) {
  patterns.add<DropZeroBias<MatMulIntegerOp>, DropZeroPoints<MatMulIntegerOp>,
               DropNoActivation<MatMulIntegerOp>>(context);
}

void ConvIntegerOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                                MLIRContext *context) {
  patterns.add<DropZeroBias<ConvIntegerOp>, DropZeroPoints<ConvIntegerOp>,
               DropNoActivation<ConvIntegerOp>>(context);
}

/// Codes that were only dequantized come back as they were: half a step of
/// rounding absorbs the error of scale * (code - zero) / scale.
OpFoldResult QuantizeOp::fold(FoldAdaptor) {
  auto source = getInput().getDefiningOp<DequantizeOp>();
  if (!source || source.getScheme() != getScheme() ||
      source.getUnsignedCodes() != getUnsignedCodes() ||
      source.getCodes().getType() != getType() ||
      !isSameValue(source.getScales(), getScale()))
    return {};
  if (getScheme().getGroup() != 0 && source.getAxis() != getAxis())
    return {};
  if (static_cast<bool>(getZero()) != static_cast<bool>(source.getZeros()) ||
      (getZero() && !isSameValue(source.getZeros(), getZero())))
    return {};
  return source.getCodes();
}

/// Only plain packing: a packed weight is dequantized by its user.
OpFoldResult DequantizeOp::fold(FoldAdaptor adaptor) {
  auto type = cast<RankedTensorType>(getType());
  SchemeAttr scheme = getScheme();
  if (scheme.getPacking() != Packing::Plain || !type.hasStaticShape() ||
      type.getNumElements() == 0 || type.getNumElements() > maxFoldedElements ||
      !type.getElementType().isF32())
    return {};
  auto read = [&](Attribute attr, Value value, std::vector<float> &out) {
    if (!attr)
      return failure();
    auto data = ConstantData::get(attr, [&] { return emitError(); });
    if (failed(data))
      return failure();
    out.resize(cast<ShapedType>(value.getType()).getNumElements());
    return data->readFloats(0, out);
  };
  std::vector<float> codes, scales, zeros;
  if (failed(read(adaptor.getCodes(), getCodes(), codes)) ||
      failed(read(adaptor.getScales(), getScales(), scales)) ||
      (getZeros() && failed(read(adaptor.getZeros(), getZeros(), zeros))))
    return {};
  // Codes are read as signed bytes.
  if (getUnsignedCodes())
    for (std::vector<float> *values : {&codes, &zeros})
      for (float &value : *values)
        value = value < 0 ? value + 256.0f : value;
  int64_t axis = getAxis() < 0 ? getAxis() + type.getRank() : getAxis();
  std::vector<float> result(type.getNumElements());
  for (int64_t i = 0, e = result.size(); i < e; ++i) {
    int64_t s = getScaleIndex(i, type.getShape(), axis, scheme.getGroup());
    float zero = zeros.empty() ? 0.0f : zeros[s];
    bool isMinimum = scheme.getZero() == ZeroKind::Minimum;
    result[i] =
        isMinimum ? codes[i] * scales[s] + zero : (codes[i] - zero) * scales[s];
  }
  return DenseElementsAttr::get(type, ArrayRef<float>(result));
}
