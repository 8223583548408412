//===- IntegerProducts.cpp - Integer products to linalg -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The meaning of the integer products, written down: a generic operation that
// sums, and one that makes the result of the sum.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/DialectConversion.h"
#include "nibble/Codegen/CPU/KernelBuilder.h"

using namespace mlir;

namespace nibble {
namespace {

constexpr auto parallel = utils::IteratorType::parallel;
constexpr auto reduction = utils::IteratorType::reduction;

bool hasOneElement(Value value) {
  auto type = cast<ShapedType>(value.getType());
  return type.hasStaticShape() && type.getNumElements() == 1;
}

/// Collects the inputs of a generic operation with `rank` loops.
struct Inputs {
  Inputs(MLIRContext *context, int64_t rank) : context(context), rank(rank) {}

  /// `value` read at `dims`, or at its only element.
  int64_t add(Value value, ArrayRef<AffineExpr> dims) {
    if (!value)
      return -1;
    SmallVector<AffineExpr> exprs(dims);
    if (hasOneElement(value))
      exprs.assign(cast<ShapedType>(value.getType()).getRank(),
                   getAffineConstantExpr(0, context));
    values.push_back(value);
    maps.push_back(AffineMap::get(rank, 0, exprs, context));
    return values.size() - 1;
  }

  MLIRContext *context;
  int64_t rank;
  SmallVector<Value> values;
  SmallVector<AffineMap> maps;
};

SmallVector<AffineExpr> getDims(MLIRContext *context, int64_t begin,
                                int64_t end) {
  SmallVector<AffineExpr> dims;
  for (int64_t d = begin; d < end; ++d)
    dims.push_back(getAffineDimExpr(d, context));
  return dims;
}

Value widen(OpBuilder &b, Location loc, Value code, bool isUnsigned) {
  Type i32 = b.getI32Type();
  if (isUnsigned)
    return arith::ExtUIOp::create(b, loc, i32, code);
  return arith::ExtSIOp::create(b, loc, i32, code);
}

/// `sum + (x - input_zero) * (w - weight_zero)` over `inputs` that hold these
/// at the given places.
template <typename OpTy>
Value sumProducts(OpTy op, OpBuilder &b, Inputs &inputs, int64_t inputZero,
                  int64_t weightZero, ArrayRef<OpFoldResult> sizes,
                  ArrayRef<AffineExpr> outDims,
                  ArrayRef<utils::IteratorType> iterators) {
  Location loc = op.getLoc();
  Type i32 = b.getI32Type();
  Value init = tensor::EmptyOp::create(b, loc, sizes, i32);
  Value zero = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
  init = linalg::FillOp::create(b, loc, zero, init).getResult(0);
  SmallVector<AffineMap> maps = inputs.maps;
  maps.push_back(AffineMap::get(inputs.rank, 0, outDims, b.getContext()));
  return linalg::GenericOp::create(
             b, loc, TypeRange(init.getType()), inputs.values, init, maps,
             iterators,
             [&](OpBuilder &b, Location loc, ValueRange args) {
               auto centered = [&](int64_t code, int64_t at, bool isUnsigned) {
                 Value x = widen(b, loc, args[code], isUnsigned);
                 if (at < 0)
                   return x;
                 return arith::SubIOp::create(
                            b, loc, x, widen(b, loc, args[at], isUnsigned))
                     .getResult();
               };
               Value x = centered(0, inputZero, op.getUnsignedInput());
               Value w = centered(1, weightZero, op.getUnsignedWeight());
               Value product = arith::MulIOp::create(b, loc, x, w);
               Value sum = arith::AddIOp::create(b, loc, args.back(), product);
               linalg::YieldOp::create(b, loc, sum);
             })
      .getResult(0);
}

/// What follows the sums `acc`: bias, scales, residual, activation, codes.
/// `rowDims` are the dimensions of the result that index scales of the input,
/// `channel` the one of the output channels.
template <typename OpTy>
Value finish(OpTy op, OpBuilder &b, Value acc, ArrayRef<AffineExpr> rowDims,
             int64_t channel) {
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getResult().getType());
  int64_t rank = type.getRank();
  MLIRContext *context = b.getContext();
  SmallVector<AffineExpr> all = getDims(context, 0, rank), n = {all[channel]};
  Inputs inputs(context, rank);
  inputs.add(acc, all);
  int64_t bias = inputs.add(op.getBias(), n);
  int64_t inputScale = inputs.add(op.getInputScale(), rowDims);
  int64_t weightScale = inputs.add(op.getWeightScales(), n);
  int64_t residual = inputs.add(op.getResidual(), all);
  int64_t outputScale = inputs.add(op.getOutputScale(), {});
  int64_t outputZero = inputs.add(op.getOutputZero(), {});
  SmallVector<AffineMap> maps = inputs.maps;
  maps.push_back(b.getMultiDimIdentityMap(rank));

  Type f32 = b.getF32Type(), element = type.getElementType();
  Value init = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, acc), element);
  auto body = [&](OpBuilder &b, Location loc, ValueRange args) {
    Value sum = args[0];
    bool integerBias = bias >= 0 && args[bias].getType().isInteger(32);
    if (integerBias)
      sum = arith::AddIOp::create(b, loc, sum, args[bias]);
    if (element.isInteger(32)) {
      linalg::YieldOp::create(b, loc, sum);
      return;
    }
    Value y = arith::SIToFPOp::create(b, loc, f32, sum);
    Value scale = inputScale >= 0 ? args[inputScale] : Value();
    if (weightScale >= 0)
      scale = scale ? arith::MulFOp::create(b, loc, scale, args[weightScale])
                          .getResult()
                    : args[weightScale];
    if (scale)
      y = arith::MulFOp::create(b, loc, y, scale);
    if (bias >= 0 && !integerBias)
      y = arith::AddFOp::create(b, loc, y, args[bias]);
    if (residual >= 0)
      y = arith::AddFOp::create(b, loc, y, args[residual]);
    codegen::KernelBuilder kernel(b, loc, codegen::CpuTarget{false, false});
    y = kernel.emitActivation(op.getActivation().value_or(Activation::None), y);
    if (element.isF32()) {
      linalg::YieldOp::create(b, loc, y);
      return;
    }
    Value step = outputScale >= 0 ? args[outputScale] : Value();
    Value zero;
    if (outputZero >= 0)
      zero = arith::SIToFPOp::create(
          b, loc, f32, widen(b, loc, args[outputZero], op.getUnsignedOutput()));
    Value code =
        quantizeToCode(b, loc, y, step, zero, 8, op.getUnsignedOutput());
    linalg::YieldOp::create(b, loc, code);
  };
  SmallVector<utils::IteratorType> iterators(rank, parallel);
  Value result =
      linalg::GenericOp::create(b, loc, TypeRange(init.getType()),
                                inputs.values, init, maps, iterators, body)
          .getResult(0);
  if (result.getType() != type)
    result = tensor::CastOp::create(b, loc, type, result);
  return result;
}

struct LowerConvInteger : OpConversionPattern<ConvIntegerOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ConvIntegerOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    MLIRContext *context = getContext();
    ArrayRef<int64_t> shape = op.getWeightShape();
    int64_t spatial = shape.size() - 2, groups = op.getGroup();
    // Loops: sample, group, channel of the group, position, then the input's
    // channel and the taps.
    int64_t rank = 3 + spatial + 1 + spatial;
    auto dim = [&](int64_t d) { return getAffineDimExpr(d, context); };
    SmallVector<AffineExpr> in = {dim(0), dim(1) * shape[1] + dim(3 + spatial)};
    SmallVector<AffineExpr> weight = {dim(1), dim(2), dim(3 + spatial)};
    for (int64_t i = 0; i < spatial; ++i) {
      AffineExpr tap = dim(4 + spatial + i);
      in.push_back(dim(3 + i) * op.getStrides()[i] +
                   tap * op.getDilations()[i]);
      weight.push_back(tap);
    }

    SmallVector<int64_t> grouped = {groups, shape[0] / groups};
    llvm::append_range(grouped, shape.drop_front());
    SmallVector<ReassociationIndices> split = {{0, 1}};
    for (int64_t i = 2; i < spatial + 3; ++i)
      split.push_back({i});
    Value filters = tensor::ExpandShapeOp::create(
        rewriter, loc, RankedTensorType::get(grouped, rewriter.getI8Type()),
        adaptor.getWeight(), split);
    Value zeros = adaptor.getWeightZeros();
    if (zeros && !hasOneElement(zeros))
      zeros = tensor::ExpandShapeOp::create(
          rewriter, loc,
          RankedTensorType::get(ArrayRef(grouped).take_front(2),
                                rewriter.getI8Type()),
          zeros, ArrayRef(split).take_front());

    Inputs inputs(context, rank);
    inputs.add(pad(op, adaptor, rewriter), in);
    inputs.add(filters, weight);
    inputs.maps[0] = AffineMap::get(rank, 0, in, context);
    inputs.maps[1] = AffineMap::get(rank, 0, weight, context);
    int64_t inputZero = inputs.add(adaptor.getInputZero(), {dim(0)});
    int64_t weightZero = inputs.add(zeros, {dim(1), dim(2)});

    ReifiedRankedShapedTypeDims reified;
    if (failed(op.reifyResultShapes(rewriter, reified)))
      return failure();
    SmallVector<OpFoldResult> sizes = {reified[0][0],
                                       rewriter.getIndexAttr(grouped[0]),
                                       rewriter.getIndexAttr(grouped[1])};
    llvm::append_range(sizes, ArrayRef(reified[0]).drop_front(2));
    SmallVector<utils::IteratorType> iterators(3 + spatial, parallel);
    iterators.append(1 + spatial, reduction);
    Value acc = sumProducts(op, rewriter, inputs, inputZero, weightZero, sizes,
                            getDims(context, 0, 3 + spatial), iterators);
    SmallVector<ReassociationIndices> merge = {{0}, {1, 2}};
    for (int64_t i = 3; i < spatial + 3; ++i)
      merge.push_back({i});
    acc = tensor::CollapseShapeOp::create(rewriter, loc, acc, merge);
    rewriter.replaceOp(op, finish(op, rewriter, acc, {dim(0)}, 1));
    return success();
  }

private:
  /// The input with its padding, which has the codes of zero.
  static Value pad(ConvIntegerOp op, OpAdaptor adaptor, OpBuilder &b) {
    Location loc = op.getLoc();
    Value input = adaptor.getInput(), zero = adaptor.getInputZero();
    ArrayRef<int64_t> pads = op.getPads();
    if (llvm::all_of(pads, [](int64_t size) { return size == 0; }))
      return input;
    int64_t spatial = pads.size() / 2;
    SmallVector<OpFoldResult> low(2, b.getIndexAttr(0)), high(low);
    auto type = cast<RankedTensorType>(input.getType());
    SmallVector<int64_t> shape(type.getShape());
    for (int64_t i = 0; i < spatial; ++i) {
      low.push_back(b.getIndexAttr(pads[i]));
      high.push_back(b.getIndexAttr(pads[spatial + i]));
      if (!type.isDynamicDim(i + 2))
        shape[i + 2] += pads[i] + pads[spatial + i];
    }
    auto padded = tensor::PadOp::create(
        b, loc, RankedTensorType::get(shape, type.getElementType()), input, low,
        high);
    OpBuilder::InsertionGuard guard(b);
    Region &region = padded.getRegion();
    Block *block =
        b.createBlock(&region, region.end(),
                      SmallVector<Type>(shape.size(), b.getIndexType()),
                      SmallVector<Location>(shape.size(), loc));
    Value code;
    if (!zero) {
      code = arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(0));
    } else {
      SmallVector<Value> at(cast<ShapedType>(zero.getType()).getRank());
      for (Value &index : at)
        index = hasOneElement(zero)
                    ? arith::ConstantIndexOp::create(b, loc, 0).getResult()
                    : Value(block->getArgument(0));
      code = tensor::ExtractOp::create(b, loc, zero, at);
    }
    tensor::YieldOp::create(b, loc, code);
    return padded;
  }
};

} // namespace

void populateIntegerProductPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerConvInteger>(patterns.getContext());
}

} // namespace nibble
