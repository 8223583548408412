//===- NibbleToLinalg.cpp - nibble to linalg ------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/DialectConversion.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Quantizer/Codebook.h"

namespace nibble {
#define GEN_PASS_DEF_CONVERTNIBBLETOLINALGPASS
#include "nibble/Conversion/NibbleToLinalg/NibbleToLinalg.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// An uninitialised tensor of `type`, with the dynamic sizes of `like`.
Value createEmpty(OpBuilder &b, Location loc, RankedTensorType type,
                  Value like) {
  SmallVector<Value> sizes;
  for (auto [i, size] : llvm::enumerate(type.getShape()))
    if (ShapedType::isDynamic(size))
      sizes.push_back(tensor::DimOp::create(b, loc, like, i));
  return tensor::EmptyOp::create(b, loc, type.getShape(), type.getElementType(),
                                 sizes);
}

Value constantFloat(OpBuilder &b, Location loc, Type type, double value) {
  return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
}

Value constantInt(OpBuilder &b, Location loc, Type type, int64_t value) {
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
}

/// Where an element of a tensor of `rank` finds its scale, by the group rule of
/// plain packing: one, one per index of `axis`, one per run along `axis`.
AffineMap getScaleMap(RankedTensorType scaleType, int64_t rank, int64_t axis,
                      int64_t group, MLIRContext *context) {
  SmallVector<AffineExpr> exprs;
  if (scaleType.getNumElements() == 1) {
    exprs.assign(scaleType.getRank(), getAffineConstantExpr(0, context));
  } else if (group < 0) {
    exprs.push_back(getAffineDimExpr(axis, context));
  } else {
    for (int64_t d = 0; d < rank; ++d)
      exprs.push_back(getAffineDimExpr(d, context));
    exprs[axis] = exprs[axis].floorDiv(group);
  }
  return AffineMap::get(rank, 0, exprs, context);
}

/// `value` as a float of `type`, from any float or from an integer that is
/// unsigned if `isUnsigned`.
Value toFloat(OpBuilder &b, Location loc, Type type, Value value,
              bool isUnsigned = false) {
  Type from = value.getType();
  if (from == type)
    return value;
  if (isa<FloatType>(from)) {
    if (from.getIntOrFloatBitWidth() < type.getIntOrFloatBitWidth())
      return arith::ExtFOp::create(b, loc, type, value);
    return arith::TruncFOp::create(b, loc, type, value);
  }
  if (isUnsigned)
    return arith::UIToFPOp::create(b, loc, type, value);
  return arith::SIToFPOp::create(b, loc, type, value);
}

/// Arithmetic is done in float32, or in float64 if the values are.
Type getComputeType(OpBuilder &b, Type elementType) {
  return elementType.isF64() ? elementType : Type(b.getF32Type());
}

} // namespace

Value quantizeToCode(OpBuilder &b, Location loc, Value x, Value scale,
                     Value zero, unsigned bits, bool isUnsigned) {
  Type type = x.getType();
  double lowest = isUnsigned ? 0 : -std::ldexp(1.0, bits - 1);
  double highest = lowest + std::ldexp(1.0, bits) - 1;
  if (scale)
    x = arith::DivFOp::create(b, loc, x, scale);
  x = math::RoundEvenOp::create(b, loc, x);
  if (zero)
    x = arith::AddFOp::create(b, loc, x, zero);
  // The num variants give a NaN the lowest code instead of keeping it:
  // converting a NaN is undefined.
  x = arith::MaxNumFOp::create(b, loc, x, constantFloat(b, loc, type, lowest));
  x = arith::MinNumFOp::create(b, loc, x, constantFloat(b, loc, type, highest));
  // Through i32: as unsigned, 200 does not fit a signed byte.
  Value code = arith::FPToSIOp::create(b, loc, b.getI32Type(), x);
  return arith::TruncIOp::create(b, loc, b.getI8Type(), code);
}

namespace {

struct LowerQuantize : OpConversionPattern<QuantizeOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(QuantizeOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getOutput().getType());
    int64_t rank = type.getRank();
    int64_t axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
    SchemeAttr scheme = op.getScheme();
    Type compute =
        getComputeType(rewriter, getElementTypeOrSelf(op.getInput().getType()));
    bool isUnsigned = op.getUnsignedCodes();

    AffineMap identity = rewriter.getMultiDimIdentityMap(rank);
    AffineMap scaleMap =
        getScaleMap(cast<RankedTensorType>(op.getScale().getType()), rank, axis,
                    scheme.getGroup(), getContext());
    SmallVector<Value> inputs = {adaptor.getInput(), adaptor.getScale()};
    SmallVector<AffineMap> maps = {identity, scaleMap};
    if (Value zero = adaptor.getZero()) {
      inputs.push_back(zero);
      maps.push_back(scaleMap);
    }
    maps.push_back(identity);

    auto body = [&](OpBuilder &b, Location loc, ValueRange args) {
      Value x = toFloat(b, loc, compute, args[0]);
      Value scale = toFloat(b, loc, compute, args[1]);
      Value zero = op.getZero() ? toFloat(b, loc, compute, args[2], isUnsigned)
                                : Value();
      Value code =
          quantizeToCode(b, loc, x, scale, zero, scheme.getBits(), isUnsigned);
      linalg::YieldOp::create(b, loc, code);
    };
    Value init = createEmpty(rewriter, loc, type, adaptor.getInput());
    SmallVector<utils::IteratorType> iterators(rank,
                                               utils::IteratorType::parallel);
    rewriter.replaceOpWithNewOp<linalg::GenericOp>(op, TypeRange(type), inputs,
                                                   init, maps, iterators, body);
    return success();
  }
};

/// Dequantization of codes that have the shape of the result.
struct LowerDequantizePlain : OpConversionPattern<DequantizeOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(DequantizeOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    SchemeAttr scheme = op.getScheme();
    if (scheme.getPacking() != Packing::Plain)
      return rewriter.notifyMatchFailure(op, "not in plain packing");
    if (scheme.getCodebook() != CodebookKind::Int || op.getGroupIndex())
      return rewriter.notifyMatchFailure(op, "codebook or group index");

    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getOutput().getType());
    int64_t rank = type.getRank();
    int64_t axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
    Type compute = getComputeType(rewriter, type.getElementType());
    bool isUnsigned = op.getUnsignedCodes();

    AffineMap identity = rewriter.getMultiDimIdentityMap(rank);
    AffineMap scaleMap =
        getScaleMap(cast<RankedTensorType>(op.getScales().getType()), rank,
                    axis, scheme.getGroup(), getContext());
    SmallVector<Value> inputs = {adaptor.getCodes(), adaptor.getScales()};
    SmallVector<AffineMap> maps = {identity, scaleMap};
    if (Value zeros = adaptor.getZeros()) {
      inputs.push_back(zeros);
      maps.push_back(scaleMap);
    }
    maps.push_back(identity);

    auto body = [&](OpBuilder &b, Location loc, ValueRange args) {
      Value w = toFloat(b, loc, compute, args[0], isUnsigned);
      Value zero = op.getZeros() ? toFloat(b, loc, compute, args[2], isUnsigned)
                                 : Value();
      bool isMinimum = scheme.getZero() == ZeroKind::Minimum;
      if (zero && !isMinimum)
        w = arith::SubFOp::create(b, loc, w, zero);
      w = arith::MulFOp::create(b, loc, w, toFloat(b, loc, compute, args[1]));
      if (zero && isMinimum)
        w = arith::AddFOp::create(b, loc, w, zero);
      linalg::YieldOp::create(b, loc,
                              toFloat(b, loc, type.getElementType(), w));
    };
    Value init = createEmpty(rewriter, loc, type, adaptor.getCodes());
    SmallVector<utils::IteratorType> iterators(rank,
                                               utils::IteratorType::parallel);
    rewriter.replaceOpWithNewOp<linalg::GenericOp>(op, TypeRange(type), inputs,
                                                   init, maps, iterators, body);
    return success();
  }
};

/// Dequantization of the bit streams of `rows` packing. Only reached with
/// --allow-unfused: the codes of a weight are otherwise read by its user.
struct LowerDequantizeRows : OpConversionPattern<DequantizeOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(DequantizeOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    SchemeAttr scheme = op.getScheme();
    if (scheme.getPacking() != Packing::Rows)
      return rewriter.notifyMatchFailure(op, "not in rows packing");
    bool isTable = scheme.getCodebook() != CodebookKind::Int;
    ArrayRef<float> values = getTable(scheme);
    if (isTable && values.empty())
      return rewriter.notifyMatchFailure(op, "codebook");

    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getOutput().getType());
    int64_t rank = type.getRank();
    auto createTable = [&](ArrayRef<float> values) -> Value {
      auto tableType =
          RankedTensorType::get(values.size(), rewriter.getF32Type());
      return arith::ConstantOp::create(
          rewriter, loc, DenseElementsAttr::get(tableType, values));
    };
    Value table = isTable ? createTable(values) : Value();
    Value map = scheme.getSecondDynamic()
                    ? createTable(quantizer::getDynamicMap())
                    : Value();

    auto body = [&](OpBuilder &b, Location loc, ValueRange) {
      auto [row, column] = getRowAndColumn(b, loc, op, type);
      Value code = extractCode(b, loc, adaptor.getCodes(), row, column, scheme);
      Value group = getGroup(b, loc, adaptor, column, scheme, type, op);
      Value w;
      if (isTable)
        w = tensor::ExtractOp::create(b, loc, table, toIndex(b, loc, code));
      else
        w = toFloat(b, loc, b.getF32Type(), code);
      SmallVector<Value> at = {row, group};
      auto load = [&](Value values, int64_t part) {
        Value value = tensor::ExtractOp::create(b, loc, values, at);
        if (scheme.getSecondType())
          return decode(b, loc, value, map, adaptor, part, at, scheme);
        return toFloat(b, loc, b.getF32Type(), value, /*isUnsigned=*/true);
      };
      Value scale = load(adaptor.getScales(), 0);
      bool isMinimum = scheme.getZero() == ZeroKind::Minimum;
      Value zero;
      if (scheme.hasFloatZeros())
        zero = load(adaptor.getZeros(), scheme.getSecondOffset() ? 2 : 1);
      else if (adaptor.getZeros())
        zero =
            toFloat(b, loc, b.getF32Type(),
                    tensor::ExtractOp::create(b, loc, adaptor.getZeros(), at),
                    /*isUnsigned=*/true);
      if (zero && !isMinimum)
        w = arith::SubFOp::create(b, loc, w, zero);
      w = arith::MulFOp::create(b, loc, w, scale);
      if (zero && isMinimum)
        w = arith::AddFOp::create(b, loc, w, zero);
      linalg::YieldOp::create(b, loc,
                              toFloat(b, loc, type.getElementType(), w));
    };
    Value init = tensor::EmptyOp::create(rewriter, loc, type.getShape(),
                                         type.getElementType());
    SmallVector<utils::IteratorType> iterators(rank,
                                               utils::IteratorType::parallel);
    rewriter.replaceOpWithNewOp<linalg::GenericOp>(
        op, TypeRange(type), ValueRange(), init,
        rewriter.getMultiDimIdentityMap(rank), iterators, body);
    return success();
  }

private:
  static Value toIndex(OpBuilder &b, Location loc, Value value) {
    return arith::IndexCastUIOp::create(b, loc, b.getIndexType(), value);
  }

  /// What codes are numbers of; empty for integers and what is not lowered.
  static ArrayRef<float> getTable(SchemeAttr scheme) {
    switch (scheme.getCodebook()) {
    case CodebookKind::Table:
      return scheme.getTable().asArrayRef();
    case CodebookKind::NF4:
      return quantizer::getCodebookValues(quantizer::Codebook::NF4);
    case CodebookKind::FP4:
      return quantizer::getCodebookValues(quantizer::Codebook::FP4);
    default:
      return {};
    }
  }

  /// The scale or float zero of the group `at` from its code; `part` is the
  /// first row of `second` for it.
  static Value decode(OpBuilder &b, Location loc, Value code, Value map,
                      OpAdaptor adaptor, int64_t part, ArrayRef<Value> at,
                      SchemeAttr scheme) {
    Value value =
        map ? tensor::ExtractOp::create(b, loc, map, toIndex(b, loc, code))
            : toFloat(b, loc, b.getF32Type(), code);
    auto index = [&](int64_t i) -> Value {
      return arith::ConstantIndexOp::create(b, loc, i);
    };
    auto scales = cast<RankedTensorType>(adaptor.getScales().getType());
    Value number =
        arith::MulIOp::create(b, loc, at[0], index(scales.getDimSize(1)));
    number = arith::AddIOp::create(b, loc, number, at[1]);
    number =
        arith::DivUIOp::create(b, loc, number, index(scheme.getSecondGroup()));
    auto load = [&](int64_t row) {
      return toFloat(b, loc, b.getF32Type(),
                     tensor::ExtractOp::create(b, loc, adaptor.getSecond(),
                                               ValueRange{index(row), number}));
    };
    value = arith::MulFOp::create(b, loc, value, load(part));
    if (scheme.getSecondOffset())
      value = arith::AddFOp::create(b, loc, value, load(part + 1));
    return value;
  }

  /// The output element at hand, in the view of N rows of K columns.
  static std::pair<Value, Value> getRowAndColumn(OpBuilder &b, Location loc,
                                                 DequantizeOp op,
                                                 RankedTensorType type) {
    int64_t rank = type.getRank();
    int64_t rowDim = op.getTranspose() ? rank - 1 : 0;
    Value row = linalg::IndexOp::create(b, loc, rowDim);
    Value column = arith::ConstantIndexOp::create(b, loc, 0);
    for (int64_t d = 0; d < rank; ++d) {
      if (d == rowDim)
        continue;
      Value size = arith::ConstantIndexOp::create(b, loc, type.getDimSize(d));
      column = b.createOrFold<arith::MulIOp>(loc, column, size);
      Value index = linalg::IndexOp::create(b, loc, d);
      column = b.createOrFold<arith::AddIOp>(loc, column, index);
    }
    return {row, column};
  }

  /// The group of a column: by position, or as the group index says.
  static Value getGroup(OpBuilder &b, Location loc, OpAdaptor adaptor,
                        Value column, SchemeAttr scheme, RankedTensorType type,
                        DequantizeOp op) {
    if (Value index = adaptor.getGroupIndex())
      return toIndex(b, loc, tensor::ExtractOp::create(b, loc, index, column));
    int64_t rows =
        op.getTranspose() ? type.getShape().back() : type.getShape().front();
    int64_t length = scheme.getGroupLength(type.getNumElements() / rows);
    Value divisor = arith::ConstantIndexOp::create(b, loc, length);
    return arith::DivUIOp::create(b, loc, column, divisor);
  }

  /// Code `column` of a row's bit stream, sign-extended to i32 if the scheme's
  /// codes are signed.
  static Value extractCode(OpBuilder &b, Location loc, Value codes, Value row,
                           Value column, SchemeAttr scheme) {
    Type i32 = b.getI32Type();
    unsigned bits = scheme.getBits();
    Value bit = arith::MulIOp::create(
        b, loc, column, arith::ConstantIndexOp::create(b, loc, bits));
    Value eight = arith::ConstantIndexOp::create(b, loc, 8);
    Value byte = arith::DivUIOp::create(b, loc, bit, eight);
    Value shift = arith::RemUIOp::create(b, loc, bit, eight);
    shift = arith::IndexCastUIOp::create(b, loc, i32, shift);

    auto load = [&](Value at) -> Value {
      Value value =
          tensor::ExtractOp::create(b, loc, codes, ValueRange{row, at});
      return arith::ExtUIOp::create(b, loc, i32, value);
    };
    Value word = load(byte);
    if (8 % bits != 0) {
      // The code may reach into the next byte; the last byte has none.
      int64_t rowBytes = cast<RankedTensorType>(codes.getType()).getDimSize(1);
      Value next = arith::AddIOp::create(
          b, loc, byte, arith::ConstantIndexOp::create(b, loc, 1));
      next = arith::MinUIOp::create(
          b, loc, next, arith::ConstantIndexOp::create(b, loc, rowBytes - 1));
      Value high = arith::ShLIOp::create(b, loc, load(next),
                                         constantInt(b, loc, i32, 8));
      word = arith::OrIOp::create(b, loc, word, high);
    }
    Value code = arith::ShRUIOp::create(b, loc, word, shift);
    if (!scheme.isSignedCodes())
      return arith::AndIOp::create(b, loc, code,
                                   constantInt(b, loc, i32, (1 << bits) - 1));
    Value unused = constantInt(b, loc, i32, 32 - bits);
    code = arith::ShLIOp::create(b, loc, code, unused);
    return arith::ShRSIOp::create(b, loc, code, unused);
  }
};

struct ConvertNibbleToLinalgPass
    : public impl::ConvertNibbleToLinalgPassBase<ConvertNibbleToLinalgPass> {
  using Base::Base;

  void runOnOperation() override {
    ConversionTarget target(getContext());
    target.addIllegalOp<QuantizeOp, DequantizeOp>();
    // There are kernels for up to three spatial dimensions.
    target.addDynamicallyLegalOp<ConvIntegerOp>(
        [](ConvIntegerOp op) { return op.getWeightShape().size() <= 5; });
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    RewritePatternSet patterns(&getContext());
    populateNibbleToLinalgPatterns(patterns);
    populateIntegerProductPatterns(patterns);
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

void populateNibbleToLinalgPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerQuantize, LowerDequantizePlain, LowerDequantizeRows>(
      patterns.getContext());
}

} // namespace nibble
