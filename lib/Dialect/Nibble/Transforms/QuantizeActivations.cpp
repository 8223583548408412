//===- QuantizeActivations.cpp - Activations in 8 bits at run time --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEQUANTIZEACTIVATIONSPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

struct NibbleQuantizeActivationsPass
    : public impl::NibbleQuantizeActivationsPassBase<
          NibbleQuantizeActivationsPass> {
  using Base::Base;

  void runOnOperation() override {
    quantized.clear();
    withoutOutliers.clear();
    SmallVector<Operation *> products;
    getOperation()->walk([&](QuantizableOpInterface op) {
      if (op->hasAttr(NibbleDialect::getDynamicActivationsAttr()) ||
          op->hasAttr(outlierThresholdAttrName))
        products.push_back(op);
    });
    for (Operation *op : products) {
      if (auto threshold =
              op->getAttrOfType<FloatAttr>(outlierThresholdAttrName)) {
        if (auto matmul = dyn_cast<MatMulOp>(op); matmul && isReady(matmul))
          convert(matmul, threshold);
      } else if (auto matmul = dyn_cast<MatMulOp>(op);
                 matmul && isReady(matmul))
        convert(matmul);
      else if (auto conv = dyn_cast<ConvOp>(op); conv && isReady(conv))
        convert(conv);
    }
  }

private:
  /// An int8 weight in rows with one scale each. Otherwise the product goes on
  /// with float activations.
  template <typename OpTy>
  bool isReady(OpTy op) {
    SchemeAttr scheme = op.getSchemeAttr();
    return scheme && scheme.getCodebook() == CodebookKind::Int &&
           scheme.getBits() == 8 && !scheme.hasZeros() &&
           scheme.getPacking() == Packing::Rows && !op.getGroupIndex() &&
           scheme.getScaleType().isF32() &&
           scheme.getNumGroups(op.getWeightView().columns) == 1 &&
           isa<RankedTensorType>(op.getInput().getType()) &&
           cast<ShapedType>(op.getInput().getType()).getElementType().isF32();
  }

  struct Codes {
    Value codes, scales, zeros;
  };

  /// The codes of `input`, whose first `rowRank` dimensions have a range each.
  Codes quantize(Value input, int64_t rowRank) {
    Codes &result = quantized[{input, rowRank}];
    if (result.codes)
      return result;
    OpBuilder b(input.getContext());
    b.setInsertionPointAfterValue(input);
    Location loc = input.getLoc();
    auto type = cast<RankedTensorType>(input.getType());
    ArrayRef<int64_t> rows = type.getShape().take_front(rowRank);
    Type types[] = {RankedTensorType::get(type.getShape(), b.getI8Type()),
                    RankedTensorType::get(rows, b.getF32Type()),
                    RankedTensorType::get(rows, b.getI8Type())};
    auto op = QuantizeDynamicOp::create(
        b, loc, types, input, /*codes_out=*/Value(), /*scales_out=*/Value(),
        /*zeros_out=*/Value(), rowRank);
    result = {op.getResult(0), op.getResult(1), op.getResult(2)};
    return result;
  }

  struct OutlierCodes {
    Value codes, scales, columns, count;
  };

  /// The codes of `input` without its outlier columns.
  OutlierCodes quantize(Value input, FloatAttr threshold) {
    OutlierCodes &result = withoutOutliers[{input, threshold}];
    if (result.codes)
      return result;
    OpBuilder b(input.getContext());
    b.setInsertionPointAfterValue(input);
    auto type = cast<RankedTensorType>(input.getType());
    ArrayRef<int64_t> shape = type.getShape();
    Type types[] = {RankedTensorType::get(shape, b.getI8Type()),
                    RankedTensorType::get(shape.drop_back(), b.getF32Type()),
                    RankedTensorType::get(shape.take_back(), b.getI32Type()),
                    RankedTensorType::get({1}, b.getI32Type())};
    auto op = QuantizeOutliersOp::create(
        b, input.getLoc(), types, input, /*codes_out=*/Value(),
        /*scales_out=*/Value(), /*columns_out=*/Value(), /*count_out=*/Value(),
        threshold);
    result = {op.getResult(0), op.getResult(1), op.getResult(2),
              op.getResult(3)};
    return result;
  }

  /// Scales [N, 1] as [N].
  static Value flatten(OpBuilder &b, Location loc, Value scales) {
    return tensor::CollapseShapeOp::create(b, loc, scales,
                                           {ReassociationIndices{0, 1}});
  }

  void convert(MatMulOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    int64_t rank = cast<ShapedType>(op.getInput().getType()).getRank();
    Codes x = quantize(op.getInput(), rank - 1);
    replace(op, MatMulIntegerOp::create(
                    b, loc, op.getResult().getType(), x.codes, op.getWeight(),
                    /*weight_zeros=*/Value(), /*weight_sums=*/Value(),
                    flatten(b, loc, op.getScales()), x.zeros, x.scales,
                    op.getBias(), op.getResidual(), /*output_scale=*/Value(),
                    /*output_zero=*/Value(), /*outs=*/Value(), op.getN(),
                    op.getK(), /*transpose_weight=*/true,
                    /*unsigned_input=*/true, /*unsigned_weight=*/false,
                    /*unsigned_output=*/false, /*packed=*/false,
                    op.getActivationAttr(), op.getLayersAttr()));
  }

  void convert(MatMulOp op, FloatAttr threshold) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    Type type = op.getResult().getType();
    OutlierCodes x = quantize(op.getInput(), threshold);
    Value scales = flatten(b, loc, op.getScales());
    Value residual = op.getResidual();
    if (threshold.getValueAsDouble() > 0)
      residual = MatMulOutliersOp::create(
                     b, loc, type, op.getInput(), x.columns, x.count,
                     op.getWeight(), scales, residual, /*outs=*/Value(),
                     op.getN(), op.getK(), /*transpose_weight=*/true,
                     /*packed=*/false, op.getLayersAttr())
                     .getResult();
    Value zero = arith::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(RankedTensorType::get({}, b.getI8Type()),
                               int8_t(-128)));
    replace(op,
            MatMulIntegerOp::create(
                b, loc, type, x.codes, op.getWeight(),
                /*weight_zeros=*/Value(), /*weight_sums=*/Value(), scales, zero,
                x.scales, op.getBias(), residual,
                /*output_scale=*/Value(), /*output_zero=*/Value(),
                /*outs=*/Value(), op.getN(), op.getK(),
                /*transpose_weight=*/true, /*unsigned_input=*/true,
                /*unsigned_weight=*/false, /*unsigned_output=*/false,
                /*packed=*/false, op.getActivationAttr(), op.getLayersAttr()));
  }

  void convert(ConvOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    Codes x = quantize(op.getInput(), 1);
    // Rows of codes in the shape of the weight.
    ArrayRef<int64_t> shape = op.getWeightShape();
    ReassociationIndices rest;
    for (int64_t d = 1, rank = shape.size(); d < rank; ++d)
      rest.push_back(d);
    Value weight = tensor::ExpandShapeOp::create(
        b, loc, RankedTensorType::get(shape, b.getI8Type()), op.getWeight(),
        ArrayRef<ReassociationIndices>{{0}, rest});
    replace(op,
            ConvIntegerOp::create(
                b, loc, op.getResult().getType(), x.codes, weight,
                /*weight_zeros=*/Value(), /*weight_sums=*/Value(),
                flatten(b, loc, op.getScales()), x.zeros, x.scales,
                op.getBias(), op.getResidual(), /*output_scale=*/Value(),
                /*output_zero=*/Value(), /*outs=*/Value(), shape,
                op.getStrides(), op.getDilations(), op.getPads(), op.getGroup(),
                /*unsigned_input=*/true,
                /*unsigned_weight=*/false, /*unsigned_output=*/false,
                /*packed=*/false, op.getActivationAttr(), op.getLayersAttr()));
  }

  template <typename OpTy, typename NewTy>
  void replace(OpTy op, NewTy product) {
    for (NamedAttribute attr : op->getDiscardableAttrs())
      if (attr.getName() != NibbleDialect::getDynamicActivationsAttr() &&
          attr.getName() != outlierThresholdAttrName)
        product->setAttr(attr.getName(), attr.getValue());
    op.getResult().replaceAllUsesWith(product.getResult());
    op.erase();
    ++numProducts;
  }

  DenseMap<std::pair<Value, int64_t>, Codes> quantized;
  DenseMap<std::pair<Value, Attribute>, OutlierCodes> withoutOutliers;
};

} // namespace
} // namespace nibble
