//===- NibbleVerifiers.cpp - What valid operations look like --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verification.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::verification;

namespace {

LogicalResult verifyPresence(Operation *op, StringRef what, Value value,
                             bool expected, SchemeAttr scheme) {
  if (static_cast<bool>(value) == expected)
    return success();
  return op->emitOpError("expected ")
         << (expected ? "" : "no ") << what << " with " << scheme << ", got "
         << (value ? "them" : "none");
}

/// Parts of a scheme that have no operand to hold them yet.
LogicalResult verifySupported(Operation *op, SchemeAttr scheme) {
  if (scheme.getOutliers())
    return op->emitOpError("expected a scheme without outlier columns, got ")
           << scheme;
  return success();
}

/// Codes of `n` packed rows of `k`, and what belongs to them.
LogicalResult verifyPacked(Operation *op, SchemeAttr scheme, int64_t n,
                           int64_t k, const QuantizedWeightValues &values) {
  if (scheme.getPacking() == Packing::Plain)
    return op->emitOpError("expected packing rows or panel, got plain");
  if (failed(verifySupported(op, scheme)))
    return failure();
  struct Part {
    StringRef name;
    Value value;
    bool expected;
    Type element;
    SmallVector<int64_t> shape;
  };
  MLIRContext *context = op->getContext();
  SmallVector<int64_t> scalesShape = scheme.getScalesShape(n, k);
  bool hasSecond = static_cast<bool>(scheme.getSecondType());
  Part parts[] = {
      {"codes", values.codes, true, IntegerType::get(context, 8),
       scheme.getCodesShape(n, k)},
      {"scales", values.scales, true, scheme.getScaleElementType(),
       scalesShape},
      {"zeros", values.zeros, scheme.hasZeros(), scheme.getZeroElementType(),
       scalesShape},
      {"group_index",
       values.groupIndex,
       scheme.getGroupIndex(),
       IntegerType::get(context, 32),
       {k}},
      {"second", values.second, hasSecond, scheme.getSecondType(),
       hasSecond ? scheme.getSecondShape(n, k) : SmallVector<int64_t>()}};
  for (const Part &part : parts)
    if (failed(
            verifyPresence(op, part.name, part.value, part.expected, scheme)) ||
        (part.value &&
         (failed(verifyElement(op, part.name, part.value, part.element)) ||
          failed(verifyShape(op, part.name, part.value, part.shape)))))
      return failure();
  return success();
}

/// The weight of a fused operation: floats in `shape`, floats in panels, or
/// what the scheme says.
template <typename OpTy>
LogicalResult verifyWeight(OpTy op, ArrayRef<int64_t> shape, bool packedFloat) {
  WeightView view = op.getWeightView();
  if (SchemeAttr scheme = op.getSchemeAttr()) {
    if (packedFloat)
      return op.emitOpError("expected packed_float without a scheme, got ")
             << scheme;
    return verifyPacked(op, scheme, view.rows, view.columns,
                        op.getQuantizedWeight());
  }
  if (op.getScales() || op.getZeros() || op.getGroupIndex() || op.getSecond())
    return op.emitOpError("expected a scheme with scales, zeros, group_index "
                          "or second, got none");
  if (!isFloat(op.getWeight()))
    return op.emitOpError("expected a weight of floats without a scheme, got ")
           << op.getWeight().getType();
  if (!packedFloat)
    return verifyShape(op, "a weight", op.getWeight(), shape);
  int64_t panels = llvm::divideCeil(view.rows, panelRows);
  return verifyShape(op, "a packed weight", op.getWeight(),
                     {panels, view.columns, panelRows});
}

/// Output, bias and residual of an operation whose result has `shape` and whose
/// output channels are `n`.
template <typename OpTy>
LogicalResult verifyOutput(OpTy op, ArrayRef<int64_t> shape, int64_t n) {
  Value output = getOutput(op);
  Type element = getShaped(op.getInput()).getElementType();
  if (!isFloat(op.getInput()))
    return op.emitOpError("expected an input of floats, got ")
           << op.getInput().getType();
  if (failed(verifyElement(op, "a result", output, element)) ||
      failed(verifyShape(op, "a result", output, shape)))
    return failure();
  if (Value bias = op.getBias())
    if (failed(verifyElement(op, "bias", bias, element)) ||
        failed(verifyShape(op, "bias", bias, {n})))
      return failure();
  if (Value residual = op.getResidual())
    if (failed(verifyElement(op, "residual", residual, element)) ||
        failed(verifyShape(op, "residual", residual,
                           getShaped(output).getShape())))
      return failure();
  return success();
}

/// Scale and zero of plain packing: one, one per index of `axis`, or one per
/// run of `group` along it.
LogicalResult verifyPlain(Operation *op, SchemeAttr scheme, int64_t axis,
                          Value codes, Value values, Value scale, Value zero) {
  if (scheme.getCodebook() != CodebookKind::Int)
    return op->emitOpError("expected an integer codebook with packing plain, "
                           "got ")
           << scheme;
  if (scheme.getSecondType())
    return op->emitOpError("expected one level of scales with packing plain, "
                           "got ")
           << scheme;
  if (failed(verifySupported(op, scheme)))
    return failure();
  Type i8 = IntegerType::get(op->getContext(), 8);
  if (!isFloat(values))
    return op->emitOpError("expected values of floats, got ")
           << values.getType();
  ArrayRef<int64_t> shape = getShaped(values).getShape();
  int64_t rank = shape.size();
  if (failed(verifyElement(op, "codes", codes, i8)) ||
      failed(verifyShape(op, "codes", codes, shape)))
    return failure();
  int64_t group = scheme.getGroup();
  if (group != 0 && (axis < -rank || axis >= rank))
    return op->emitOpError("expected axis in [")
           << -rank << ", " << rank - 1 << "], got " << axis;
  if (failed(verifyElement(op, "scales", scale, scheme.getScaleType())))
    return failure();
  if (group == 0) {
    ShapedType type = getShaped(scale);
    if (!type.hasStaticShape() || type.getNumElements() != 1)
      return op->emitOpError("expected one scale with group = 0, got ") << type;
  } else {
    axis = axis < 0 ? axis + rank : axis;
    SmallVector<int64_t> expected(shape);
    if (group < 0)
      expected = {shape[axis]};
    else if (!ShapedType::isDynamic(shape[axis]))
      expected[axis] = llvm::divideCeil(shape[axis], group);
    if (failed(verifyShape(op, "scales", scale, expected)))
      return failure();
  }
  if (failed(verifyPresence(op, "zeros", zero, scheme.hasZeros(), scheme)))
    return failure();
  if (!zero)
    return success();
  if (failed(verifyElement(op, "zeros", zero, scheme.getZeroElementType())))
    return failure();
  return verifyShape(op, "zeros", zero, getShaped(scale).getShape());
}

} // namespace

LogicalResult QuantizeOp::verify() {
  SchemeAttr scheme = getScheme();
  if (scheme.getPacking() != Packing::Plain)
    return emitOpError("expected packing plain, got ")
           << stringifyPacking(scheme.getPacking());
  if (scheme.hasZeros() && scheme.getZero() != ZeroKind::Integer)
    return emitOpError("expected zero none or integer, got ")
           << stringifyZeroKind(scheme.getZero());
  return verifyPlain(*this, scheme, getAxis(), getOutput(), getInput(),
                     getScale(), getZero());
}

LogicalResult DequantizeOp::verify() {
  SchemeAttr scheme = getScheme();
  if (scheme.getPacking() == Packing::Panel)
    return emitOpError("expected packing plain or rows, got panel");
  if (scheme.getPacking() == Packing::Plain) {
    if (getTranspose() || getGroupIndex() || getSecond())
      return emitOpError("expected packing rows with transpose, group_index or "
                         "second, got plain");
    return verifyPlain(*this, scheme, getAxis(), getCodes(), getOutput(),
                       getScales(), getZeros());
  }
  auto type = cast<RankedTensorType>(getOutput().getType());
  if (!type.hasStaticShape() || type.getRank() < 1 ||
      !isa<FloatType>(type.getElementType()))
    return emitOpError("expected a result of floats with a static shape of "
                       "rank 1 or more, got ")
           << type;
  int64_t n = getTranspose() ? type.getShape().back() : type.getShape()[0];
  int64_t k = n == 0 ? 0 : type.getNumElements() / n;
  return verifyPacked(
      *this, scheme, n, k,
      {getCodes(), getScales(), getZeros(), getGroupIndex(), getSecond()});
}

LogicalResult MatMulOp::verify() {
  int64_t n = getN(), k = getK();
  SmallVector<int64_t> output;
  if (failed(verifyProduct(*this, output)))
    return failure();
  SmallVector<int64_t> shape = getTransposeWeight()
                                   ? SmallVector<int64_t>{n, k}
                                   : SmallVector<int64_t>{k, n};
  if (failed(verifyWeight(*this, shape, getPackedFloat())))
    return failure();
  return verifyOutput(*this, output, n);
}

LogicalResult ConvOp::verify() {
  SmallVector<int64_t> output;
  if (failed(verifyForm(*this)) || failed(verifyWindow(*this, output)) ||
      failed(verifyWeight(*this, getWeightShape(), getPackedFloat())))
    return failure();
  return verifyOutput(*this, output, output[1]);
}

LogicalResult GatherOp::verify() {
  int64_t rows = getRows(), width = getWidth();
  if (rows < 1 || width < 1)
    return emitOpError("expected rows and width of at least 1, got ")
           << rows << " and " << width;
  bool packedFloat = !getScheme() && getShaped(getWeight()).getRank() == 3;
  if (failed(verifyForm(*this)) ||
      failed(verifyWeight(*this, {rows, width}, packedFloat)))
    return failure();
  ShapedType indices = getShaped(getIndices());
  if (!indices.getElementType().isSignlessInteger(32) &&
      !indices.getElementType().isSignlessInteger(64))
    return emitOpError("expected indices of element type i32 or i64, got ")
           << indices.getElementType();
  SmallVector<int64_t> output(indices.getShape());
  output.push_back(width);
  Value result = verification::getOutput(*this);
  if (!isFloat(result))
    return emitOpError("expected a result of floats, got ") << result.getType();
  if (!getScheme() &&
      failed(verifyElement(*this, "a result", result,
                           getShaped(getWeight()).getElementType())))
    return failure();
  return verifyShape(*this, "a result", result, output);
}
