//===- PackedProducts.cpp - Floats times weights of few bits --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "QuantizedWeight.h"
#include "mlir/IR/PatternMatch.h"
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/Window.h"
#include "nibble/Quantizer/FourBit.h"

using namespace mlir;

namespace nibble {
namespace {

/// A product with a packed weight in the place of `op`.
MatMulOp createMatMul(OpBuilder &b, Operation *op, Type type, Value input,
                      const QuantizedWeight &weight, int64_t n, int64_t k,
                      Value bias) {
  return MatMulOp::create(
      b, op->getLoc(), type, input, weight.codes, weight.scales, weight.zeros,
      weight.groupIndex, /*second=*/Value(), bias, /*residual=*/Value(),
      /*outs=*/Value(), b.getI64IntegerAttr(n), b.getI64IntegerAttr(k),
      /*transpose_weight=*/UnitAttr(), /*packed_float=*/UnitAttr(),
      weight.scheme, ActivationAttr(), getLayers(op));
}

/// `value` in float32, which the kernels compute in; null if it is absent.
Value widen(OpBuilder &b, Location loc, Value value) {
  if (isa<NoneType>(value.getType()))
    return Value();
  auto from = cast<RankedTensorType>(value.getType());
  if (from.getElementType().isF32())
    return value;
  return onnx::CastOp::create(b, loc, from.clone(b.getF32Type()), value,
                              b.getI64IntegerAttr(1));
}

/// A product in float32, and its result in the type of `op`.
Value createNarrowedMatMul(OpBuilder &b, Operation *op, RankedTensorType type,
                           Value input, const QuantizedWeight &weight,
                           int64_t n, int64_t k, Value bias) {
  auto product = createMatMul(b, op, type.clone(b.getF32Type()), input, weight,
                              n, k, bias);
  if (type.getElementType().isF32())
    return product.getResult();
  return onnx::CastOp::create(
      b, op->getLoc(), type, product.getResult(),
      b.getI64IntegerAttr(onnx::getONNXType(type.getElementType())));
}

//===----------------------------------------------------------------------===//
// Operators of com.microsoft
//===----------------------------------------------------------------------===//

struct ConvertMatMulNBits : OpRewritePattern<onnx::MicrosoftMatMulNBitsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::MicrosoftMatMulNBitsOp op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getY().getType());
    if (!type)
      return rewriter.notifyMatchFailure(op, "unknown rank");
    QuantizedRows weight;
    if (failed(readWeight(op, weight)))
      return rewriter.notifyMatchFailure(op, "the weight is not constant");
    Location loc = op.getLoc();
    FailureOr<QuantizedWeight> packed =
        createQuantizedWeight(rewriter, loc, weight);
    if (failed(packed))
      return failure();

    Value input = widen(rewriter, loc, op.getA());
    Value bias = widen(rewriter, loc, op.getBias());
    if (bias && cast<RankedTensorType>(bias.getType()).getRank() != 1)
      return rewriter.notifyMatchFailure(op, "bias is not a vector");
    rewriter.replaceOp(op,
                       createNarrowedMatMul(rewriter, op, type, input, *packed,
                                            op.getN(), op.getK(), bias));
    return success();
  }

private:
  static LogicalResult readWeight(onnx::MicrosoftMatMulNBitsOp op,
                                  QuantizedRows &weight) {
    auto given = [](Value value) { return !isa<NoneType>(value.getType()); };
    FailureOr<ConstantData> codes = ConstantData::get(op.getB());
    FailureOr<ConstantData> scales = ConstantData::get(op.getScales());
    if (failed(codes) || failed(scales))
      return failure();
    weight.rows = op.getN();
    weight.columns = op.getK();
    weight.bits = op.getBits();
    weight.group = op.getBlockSize();
    weight.codes =
        unpackCodes(*codes, weight.rows, weight.columns, weight.bits);
    weight.scaleType = scales->getType().getElementType();
    ConstantData all = scales->expanded();
    weight.scales.assign(all.getBytes().begin(), all.getBytes().end());
    if (Operation *constant = op.getB().getDefiningOp())
      weight.name = constant->getAttrOfType<StringAttr>(
          NibbleDialect::getLayerNameAttr());

    int64_t groups = weight.getNumGroups();
    if (!given(op.getZeroPoints())) {
      weight.zeros.assign(weight.rows * groups, 1u << (weight.bits - 1));
    } else {
      FailureOr<ConstantData> zeros = ConstantData::get(op.getZeroPoints());
      if (failed(zeros))
        return failure();
      Type element = zeros->getType().getElementType();
      ConstantData expanded = zeros->expanded();
      if (!isa<FloatType>(element))
        weight.zeros = unpackCodes(*zeros, weight.rows, groups, weight.bits);
      else if (element == weight.scaleType)
        weight.floatZeros.assign(expanded.getBytes().begin(),
                                 expanded.getBytes().end());
      else
        return failure();
    }
    if (!given(op.getGIdx()))
      return success();
    FailureOr<ConstantData> index = ConstantData::get(op.getGIdx());
    if (failed(index))
      return failure();
    std::vector<int64_t> groupOf(weight.columns);
    if (failed(index->expanded().readIntegers(0, groupOf)))
      return failure();
    bool inOrder = true;
    for (auto [column, group] : llvm::enumerate(groupOf)) {
      if (group < 0 || group >= groups)
        return op.emitOpError()
               << "g_idx has the element " << group << " for input " << column
               << ", expected 0 to " << groups - 1;
      inOrder &= group == int64_t(column) / weight.group;
      weight.groupIndex.push_back(group);
    }
    if (inOrder)
      weight.groupIndex.clear();
    return success();
  }
};

struct ConvertMatMulBnb4 : OpRewritePattern<onnx::MicrosoftMatMulBnb4Op> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::MicrosoftMatMulBnb4Op op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getY().getType());
    FailureOr<ConstantData> codes = ConstantData::get(op.getB());
    FailureOr<ConstantData> scales = ConstantData::get(op.getAbsmax());
    if (!type || failed(codes) || failed(scales))
      return rewriter.notifyMatchFailure(op, "no constant weight");
    if (op.getTransB() == 0)
      return op.emitOpError("transB is 0, expected 1: the product with the "
                            "transposed weight is for training");
    QuantizedRows weight;
    weight.rows = op.getN();
    weight.columns = op.getK();
    weight.bits = 4;
    weight.codebook =
        op.getQuantType() == 1 ? CodebookKind::NF4 : CodebookKind::FP4;
    int64_t block = op.getBlockSize(), count = weight.rows * weight.columns;
    weight.group =
        quantizer::getGroupInBlocks(block, weight.rows, weight.columns);
    if (Operation *constant = op.getB().getDefiningOp())
      weight.name = constant->getAttrOfType<StringAttr>(
          NibbleDialect::getLayerNameAttr());
    ConstantData packed = codes->expanded();
    for (int64_t i = 0; i < count; ++i) {
      uint8_t byte = packed.getBytes()[i / 2];
      weight.codes.push_back(i % 2 ? byte & 15 : byte >> 4);
    }
    // Groups repeat the scales of blocks that cross rows.
    weight.scaleType = scales->getType().getElementType();
    ConstantData all = scales->expanded();
    size_t size = all.getStorageBits() / 8;
    int64_t groups = weight.rows * weight.getNumGroups();
    for (int64_t i = 0; i < groups; ++i) {
      ArrayRef<char> scale =
          all.getBytes().slice(i * weight.group / block * size, size);
      weight.scales.insert(weight.scales.end(), scale.begin(), scale.end());
    }
    Location loc = op.getLoc();
    FailureOr<QuantizedWeight> result =
        createQuantizedWeight(rewriter, loc, weight);
    if (failed(result))
      return failure();
    rewriter.replaceOp(op, createNarrowedMatMul(rewriter, op, type,
                                                widen(rewriter, loc, op.getA()),
                                                *result, weight.rows,
                                                weight.columns, Value()));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Dequantized weights
//===----------------------------------------------------------------------===//

struct ConvertDequantizedMatMul : OpRewritePattern<onnx::MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::MatMulOp op,
                                PatternRewriter &rewriter) const override {
    auto input = getFloatTensor(op.getA());
    auto factor = dyn_cast<RankedTensorType>(op.getB().getType());
    if (!input || input.getRank() < 2 || !factor || factor.getRank() != 2)
      return rewriter.notifyMatchFailure(op, "no matrix of float32");
    FailureOr<QuantizedRows> weight =
        getQuantizedRows(op.getB(), /*rowsLast=*/true);
    if (failed(weight))
      return rewriter.notifyMatchFailure(op, "no quantized weight");
    FailureOr<QuantizedWeight> packed =
        createQuantizedWeight(rewriter, op.getLoc(), *weight);
    if (failed(packed))
      return failure();
    rewriter.replaceOp(op, createMatMul(rewriter, op, op.getType(), op.getA(),
                                        *packed, weight->rows, weight->columns,
                                        /*bias=*/Value()));
    return success();
  }
};

/// y = A * B' + C with a vector C, or none
struct ConvertDequantizedGemm : OpRewritePattern<onnx::GemmOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::GemmOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getTransA() || op.getAlpha() != 1.0f || !getFloatTensor(op.getA()))
      return rewriter.notifyMatchFailure(op, "scaled or transposed");
    FailureOr<QuantizedRows> weight =
        getQuantizedRows(op.getB(), /*rowsLast=*/!op.getTransB());
    if (failed(weight))
      return rewriter.notifyMatchFailure(op, "no quantized weight");
    Value bias = isa<NoneType>(op.getC().getType()) ? Value() : op.getC();
    if (bias) {
      auto type = getFloatTensor(bias);
      if (!type || type.getShape() != ArrayRef<int64_t>{weight->rows} ||
          op.getBeta() != 1.0f)
        return rewriter.notifyMatchFailure(op, "C is not a bias");
    }
    FailureOr<QuantizedWeight> packed =
        createQuantizedWeight(rewriter, op.getLoc(), *weight);
    if (failed(packed))
      return failure();
    auto product = createMatMul(rewriter, op, op.getType(), op.getA(), *packed,
                                weight->rows, weight->columns, bias);
    product->setAttr(NibbleDialect::getOperatorTypeAttr(),
                     rewriter.getStringAttr("Gemm"));
    rewriter.replaceOp(op, product);
    return success();
  }
};

struct ConvertDequantizedConv : OpRewritePattern<onnx::ConvOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::ConvOp op,
                                PatternRewriter &rewriter) const override {
    RankedTensorType input = getFloatTensor(op.getX());
    auto type = dyn_cast<RankedTensorType>(op.getW().getType());
    if (!input || !type || !type.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "no float32 images");
    FailureOr<onnx::WindowAttrs> window = getConvWindow(op, input, type);
    if (failed(window))
      return rewriter.notifyMatchFailure(op, "window of an unknown size");
    FailureOr<QuantizedRows> weight =
        getQuantizedRows(op.getW(), /*rowsLast=*/false);
    if (failed(weight))
      return rewriter.notifyMatchFailure(op, "no quantized weight");
    Value bias = isa<NoneType>(op.getB().getType()) ? Value() : op.getB();
    FailureOr<QuantizedWeight> packed =
        createQuantizedWeight(rewriter, op.getLoc(), *weight);
    if (failed(packed))
      return failure();
    rewriter.replaceOpWithNewOp<ConvOp>(
        op, op.getType(), op.getX(), packed->codes, packed->scales,
        packed->zeros, packed->groupIndex, /*second=*/Value(), bias,
        /*residual=*/Value(),
        /*outs=*/Value(), rewriter.getDenseI64ArrayAttr(type.getShape()),
        rewriter.getDenseI64ArrayAttr(window->strides),
        rewriter.getDenseI64ArrayAttr(window->dilations),
        rewriter.getDenseI64ArrayAttr(window->pads),
        rewriter.getI64IntegerAttr(op.getGroup()), /*packed_float=*/UnitAttr(),
        packed->scheme, ActivationAttr(), getLayers(op));
    return success();
  }
};

/// An embedding: rows of a dequantized table.
struct ConvertDequantizedGather : OpRewritePattern<onnx::GatherOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::GatherOp op,
                                PatternRewriter &rewriter) const override {
    RankedTensorType table = getFloatTensor(op.getData());
    int64_t axis = op.getAxis();
    if (!table || table.getRank() != 2 || (axis != 0 && axis != -2) ||
        !isa<RankedTensorType>(op.getIndices().getType()))
      return rewriter.notifyMatchFailure(op, "no rows of a float32 table");
    FailureOr<QuantizedRows> weight =
        getQuantizedRows(op.getData(), /*rowsLast=*/false);
    if (failed(weight))
      return rewriter.notifyMatchFailure(op, "no quantized table");
    FailureOr<QuantizedWeight> packed =
        createQuantizedWeight(rewriter, op.getLoc(), *weight);
    if (failed(packed))
      return failure();
    rewriter.replaceOpWithNewOp<GatherOp>(
        op, op.getType(), op.getIndices(), packed->codes, packed->scales,
        packed->zeros, packed->groupIndex, /*second=*/Value(), /*outs=*/Value(),
        rewriter.getI64IntegerAttr(weight->rows),
        rewriter.getI64IntegerAttr(weight->columns), packed->scheme,
        getLayers(op));
    return success();
  }
};

} // namespace

void populatePackedProductPatterns(RewritePatternSet &patterns) {
  patterns.add<ConvertMatMulNBits, ConvertMatMulBnb4, ConvertDequantizedMatMul,
               ConvertDequantizedGemm, ConvertDequantizedConv,
               ConvertDequantizedGather>(patterns.getContext());
}

} // namespace nibble
