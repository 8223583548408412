//===- NibbleVerifiers.cpp - What valid operations look like --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nibble;

namespace {

/// Prints a shape as types do: 4x?x8.
std::string toString(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << '[';
  llvm::interleaveComma(shape, os, [&](int64_t size) {
    if (ShapedType::isDynamic(size))
      os << '?';
    else
      os << size;
  });
  os << ']';
  return text;
}

bool areCompatible(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  return a.size() == b.size() &&
         llvm::all_of_zip(a, b, [](int64_t x, int64_t y) {
           return x == y || ShapedType::isDynamic(x) ||
                  ShapedType::isDynamic(y);
         });
}

ShapedType getShaped(Value value) { return cast<ShapedType>(value.getType()); }

bool isFloat(Value value) {
  return isa<FloatType>(getShaped(value).getElementType());
}

LogicalResult verifyShape(Operation *op, StringRef what, Value value,
                          ArrayRef<int64_t> expected) {
  ArrayRef<int64_t> shape = getShaped(value).getShape();
  if (areCompatible(shape, expected))
    return success();
  return op->emitOpError("expected ")
         << what << " of shape " << toString(expected) << ", got "
         << toString(shape);
}

LogicalResult verifyElement(Operation *op, StringRef what, Value value,
                            Type expected) {
  Type element = getShaped(value).getElementType();
  if (element == expected)
    return success();
  return op->emitOpError("expected ")
         << what << " of element type " << expected << ", got " << element;
}

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
  if (scheme.getSecondType())
    return op->emitOpError("expected a scheme of one level of scales, got ")
           << scheme;
  if (scheme.getOutliers())
    return op->emitOpError("expected a scheme without outlier columns, got ")
           << scheme;
  return success();
}

Type getZeroElementType(SchemeAttr scheme) {
  if (scheme.getZero() == ZeroKind::Integer)
    return IntegerType::get(scheme.getContext(), 8);
  return scheme.getScaleType();
}

/// Codes, scales, zeros and group index of `n` packed rows of `k`.
LogicalResult verifyPacked(Operation *op, SchemeAttr scheme, int64_t n,
                           int64_t k, Value codes, Value scales, Value zeros,
                           Value groupIndex) {
  if (scheme.getPacking() == Packing::Plain)
    return op->emitOpError("expected packing rows or panel, got plain");
  if (failed(verifySupported(op, scheme)))
    return failure();
  Type i8 = IntegerType::get(op->getContext(), 8);
  SmallVector<int64_t> scalesShape = scheme.getScalesShape(n, k);
  if (failed(verifyElement(op, "codes", codes, i8)) ||
      failed(verifyShape(op, "codes", codes, scheme.getCodesShape(n, k))) ||
      failed(verifyPresence(op, "scales", scales, true, scheme)) ||
      failed(verifyElement(op, "scales", scales, scheme.getScaleType())) ||
      failed(verifyShape(op, "scales", scales, scalesShape)) ||
      failed(verifyPresence(op, "zeros", zeros, scheme.hasZeros(), scheme)) ||
      failed(verifyPresence(op, "group_index", groupIndex,
                            scheme.getGroupIndex(), scheme)))
    return failure();
  if (zeros &&
      (failed(verifyElement(op, "zeros", zeros, getZeroElementType(scheme))) ||
       failed(verifyShape(op, "zeros", zeros, scalesShape))))
    return failure();
  if (groupIndex) {
    if (!getShaped(groupIndex).getElementType().isInteger(32))
      return op->emitOpError("expected group_index of element type i32, got ")
             << getShaped(groupIndex).getElementType();
    return verifyShape(op, "group_index", groupIndex, {k});
  }
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
    return verifyPacked(op, scheme, view.rows, view.columns, op.getWeight(),
                        op.getScales(), op.getZeros(), op.getGroupIndex());
  }
  if (op.getScales() || op.getZeros() || op.getGroupIndex())
    return op.emitOpError("expected a scheme with scales, zeros or "
                          "group_index, got none");
  if (!isFloat(op.getWeight()))
    return op.emitOpError("expected a weight of floats without a scheme, got ")
           << op.getWeight().getType();
  if (!packedFloat)
    return verifyShape(op, "a weight", op.getWeight(), shape);
  int64_t panels = llvm::divideCeil(view.rows, panelRows);
  return verifyShape(op, "a packed weight", op.getWeight(),
                     {panels, view.columns, panelRows});
}

/// Tensors have a result and no `outs`; memrefs the other way round.
template <typename OpTy>
LogicalResult verifyForm(OpTy op) {
  bool onMemRefs = isa<MemRefType>(op->getOperand(0).getType());
  for (Value operand : op->getOperands())
    if (isa<MemRefType>(operand.getType()) != onMemRefs)
      return op.emitOpError("expected operands that are all tensors or all "
                            "memrefs, got ")
             << op->getOperand(0).getType() << " and " << operand.getType();
  if (onMemRefs != static_cast<bool>(op.getOuts()))
    return op.emitOpError(onMemRefs ? "expected outs with memref operands, got "
                                      "none"
                                    : "expected no outs with tensor operands");
  if (onMemRefs == static_cast<bool>(op.getResult()))
    return op.emitOpError(onMemRefs ? "expected no result with memref operands"
                                    : "expected a result with tensor operands, "
                                      "got none");
  return success();
}

/// The result, or the buffer that takes its place.
template <typename OpTy>
Value getOutput(OpTy op) {
  return op.getOuts() ? Value(op.getOuts()) : Value(op.getResult());
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

/// Each value of `values` at least `minimum`, and as many as `count`.
LogicalResult verifyList(Operation *op, StringRef what,
                         ArrayRef<int64_t> values, size_t count,
                         int64_t minimum) {
  if (values.size() != count)
    return op->emitOpError("expected ")
           << count << ' ' << what << ", got " << values.size();
  for (int64_t value : values)
    if (value < minimum)
      return op->emitOpError("expected ")
             << what << " of at least " << minimum << ", got " << value;
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
  if (failed(verifyElement(op, "zeros", zero, getZeroElementType(scheme))))
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
    if (getTranspose() || getGroupIndex())
      return emitOpError("expected packing rows with transpose or group_index, "
                         "got plain");
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
  return verifyPacked(*this, scheme, n, k, getCodes(), getScales(), getZeros(),
                      getGroupIndex());
}

LogicalResult MatMulOp::verify() {
  int64_t n = getN(), k = getK();
  if (n < 1 || k < 1)
    return emitOpError("expected n and k of at least 1, got ")
           << n << " and " << k;
  if (failed(verifyForm(*this)))
    return failure();
  ArrayRef<int64_t> input = getShaped(getInput()).getShape();
  if (input.empty() || !areCompatible(input.take_back(), {k}))
    return emitOpError("expected an input whose last dimension is k = ")
           << k << ", got shape " << toString(input);
  SmallVector<int64_t> shape = getTransposeWeight()
                                   ? SmallVector<int64_t>{n, k}
                                   : SmallVector<int64_t>{k, n};
  if (failed(verifyWeight(*this, shape, getPackedFloat())))
    return failure();
  SmallVector<int64_t> output(input);
  output.back() = n;
  return verifyOutput(*this, output, n);
}

LogicalResult ConvOp::verify() {
  if (failed(verifyForm(*this)))
    return failure();
  ArrayRef<int64_t> input = getShaped(getInput()).getShape();
  ArrayRef<int64_t> weight = getWeightShape();
  if (input.size() < 3 || weight.size() != input.size())
    return emitOpError("expected weight_shape of the input's rank, at least 3, "
                       "got ")
           << toString(weight) << " for an input of shape " << toString(input);
  size_t spatial = input.size() - 2;
  if (failed(
          verifyList(*this, "sizes in weight_shape", weight, spatial + 2, 1)) ||
      failed(verifyList(*this, "strides", getStrides(), spatial, 1)) ||
      failed(verifyList(*this, "dilations", getDilations(), spatial, 1)) ||
      failed(verifyList(*this, "pads", getPads(), 2 * spatial, 0)))
    return failure();
  int64_t group = getGroup();
  if (group < 1 || weight[0] % group != 0)
    return emitOpError("expected a group that divides the ")
           << weight[0] << " output channels, got " << group;
  if (!areCompatible(input.slice(1, 1), {weight[1] * group}))
    return emitOpError("expected ")
           << weight[1] * group << " input channels for weight_shape "
           << toString(weight) << " and group " << group << ", got "
           << toString(input.slice(1, 1));
  if (failed(verifyWeight(*this, weight, getPackedFloat())))
    return failure();
  SmallVector<int64_t> output = {input[0], weight[0]};
  for (size_t i = 0; i < spatial; ++i) {
    int64_t size = input[i + 2];
    if (!ShapedType::isDynamic(size)) {
      int64_t padded = size + getPads()[i] + getPads()[i + spatial];
      int64_t kernel = getDilations()[i] * (weight[i + 2] - 1) + 1;
      if (padded < kernel)
        return emitOpError("expected a padded input of at least ")
               << kernel << " in spatial dimension " << i << ", got " << padded;
      size = (padded - kernel) / getStrides()[i] + 1;
    }
    output.push_back(size);
  }
  return verifyOutput(*this, output, weight[0]);
}

LogicalResult GatherOp::verify() {
  int64_t rows = getRows(), width = getWidth();
  if (rows < 1 || width < 1)
    return emitOpError("expected rows and width of at least 1, got ")
           << rows << " and " << width;
  if (failed(verifyForm(*this)) ||
      failed(verifyWeight(*this, {rows, width}, /*packedFloat=*/false)))
    return failure();
  ShapedType indices = getShaped(getIndices());
  if (!indices.getElementType().isSignlessInteger(32) &&
      !indices.getElementType().isSignlessInteger(64))
    return emitOpError("expected indices of element type i32 or i64, got ")
           << indices.getElementType();
  if (getScheme() && getScheme()->getPacking() != Packing::Rows)
    return emitOpError("expected packing rows, got ")
           << stringifyPacking(getScheme()->getPacking());
  SmallVector<int64_t> output(indices.getShape());
  output.push_back(width);
  Value result = ::getOutput(*this);
  if (!isFloat(result))
    return emitOpError("expected a result of floats, got ") << result.getType();
  if (!getScheme() &&
      failed(verifyElement(*this, "a result", result,
                           getShaped(getWeight()).getElementType())))
    return failure();
  return verifyShape(*this, "a result", result, output);
}
