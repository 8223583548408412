//===- NibbleIntegerOps.cpp - Products of 8-bit codes ---------------------===//
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

SmallVector<int64_t> nibble::getPackedIntegerShape(int64_t rows,
                                                   int64_t channels,
                                                   int64_t taps,
                                                   int64_t groups) {
  int64_t panels = groups * llvm::divideCeil(rows / groups, panelRows);
  int64_t quads = llvm::divideCeil(channels, 4) * taps;
  // Matrix units take 64 steps at a time.
  if (quads > 16)
    quads = llvm::alignTo(quads, 16);
  return {panels, quads, panelRows, 4};
}

namespace {

/// One element, or as many as `shape` says.
LogicalResult verifyOneOr(Operation *op, StringRef what, Value value,
                          Type element, ArrayRef<int64_t> shape) {
  if (!value)
    return success();
  if (failed(verifyElement(op, what, value, element)))
    return failure();
  ShapedType type = getShaped(value);
  if (type.hasStaticShape() && type.getNumElements() == 1)
    return success();
  if (areCompatible(type.getShape(), shape))
    return success();
  return op->emitOpError("expected ")
         << what << " of one element or of shape " << toString(shape)
         << ", got " << toString(type.getShape());
}

/// What the result stage of a product with `n` output channels and a result of
/// shape `output` reads. `rows` are the sizes that index its zero points and
/// scales of the input.
template <typename OpTy>
LogicalResult verifyStages(OpTy op, ArrayRef<int64_t> output, int64_t n,
                           ArrayRef<int64_t> packed, ArrayRef<int64_t> rows) {
  MLIRContext *context = op.getContext();
  Type i8 = IntegerType::get(context, 8), i32 = IntegerType::get(context, 32);
  Type f32 = Float32Type::get(context);
  Value result = getOutput(op);
  if (failed(verifyElement(op, "an input", op.getInput(), i8)) ||
      failed(verifyElement(op, "a weight", op.getWeight(), i8)) ||
      failed(verifyShape(op, "a result", result, output)))
    return failure();
  Type element = getShaped(result).getElementType();
  if (element != i8 && element != i32 && element != f32)
    return op.emitOpError("expected a result of element type i8, i32 or f32, "
                          "got ")
           << element;

  if (failed(verifyOneOr(op, "input_zero", op.getInputZero(), i8, rows)) ||
      failed(verifyOneOr(op, "weight zeros", op.getWeightZeros(), i8, {n})) ||
      failed(verifyOneOr(op, "input_scale", op.getInputScale(), f32, rows)) ||
      failed(
          verifyOneOr(op, "weight scales", op.getWeightScales(), f32, {n})) ||
      failed(verifyOneOr(op, "output_scale", op.getOutputScale(), f32, {})) ||
      failed(verifyOneOr(op, "output_zero", op.getOutputZero(), i8, {})))
    return failure();
  if (Value bias = op.getBias()) {
    Type type = getShaped(bias).getElementType();
    if (type != i32 && type != f32)
      return op.emitOpError("expected bias of element type i32 or f32, got ")
             << type;
    if (failed(verifyShape(op, "bias", bias, {n})))
      return failure();
  }
  if (Value residual = op.getResidual())
    if (failed(verifyElement(op, "residual", residual, f32)) ||
        failed(verifyShape(op, "residual", residual,
                           getShaped(result).getShape())))
      return failure();

  bool hasFloats =
      op.getInputScale() || op.getWeightScales() || op.getResidual() ||
      (op.getBias() && isFloat(op.getBias())) ||
      op.getActivation().value_or(Activation::None) != Activation::None;
  if (element == i32 && hasFloats)
    return op.emitOpError("expected no scales, activation, residual or bias of "
                          "floats with a result of i32, got some");
  if (element != i8 &&
      (op.getOutputScale() || op.getOutputZero() || op.getUnsignedOutput()))
    return op.emitOpError("expected output_scale, output_zero or "
                          "unsigned_output with a result of i8, got ")
           << element;

  if (op.getPacked() != static_cast<bool>(op.getWeightSums()))
    return op.emitOpError("expected weight sums if and only if the weight is "
                          "packed");
  if (!op.getPacked())
    return success();
  if (failed(verifyElement(op, "weight sums", op.getWeightSums(), i32)) ||
      failed(verifyShape(op, "weight sums", op.getWeightSums(), {n})))
    return failure();
  return verifyShape(op, "a packed weight", op.getWeight(), packed);
}

} // namespace

LogicalResult MatMulIntegerOp::verify() {
  int64_t n = getN(), k = getK();
  SmallVector<int64_t> output;
  if (failed(verifyProduct(*this, output)))
    return failure();
  ArrayRef<int64_t> input = getShaped(getInput()).getShape();
  if (failed(verifyStages(*this, output, n, getPackedIntegerShape(n, k),
                          input.drop_back())))
    return failure();
  if (getPacked())
    return success();

  ArrayRef<int64_t> weight = getShaped(getWeight()).getShape();
  SmallVector<int64_t> expected;
  if (weight.size() > 2) {
    if (input.size() != weight.size())
      return emitOpError("expected an input of the weight's rank ")
             << weight.size() << ", got " << input.size();
    expected.assign(input.begin(), input.end() - 2);
  }
  llvm::append_values(expected, getTransposeWeight() ? n : k,
                      getTransposeWeight() ? k : n);
  return verifyShape(*this, "a weight", getWeight(), expected);
}

LogicalResult QuantizeDynamicOp::verify() {
  bool onMemRefs = isa<MemRefType>(getInput().getType());
  if (onMemRefs != static_cast<bool>(getCodesOut()) ||
      onMemRefs != static_cast<bool>(getScalesOut()) ||
      onMemRefs != static_cast<bool>(getZerosOut()) ||
      getNumResults() != (onMemRefs ? 0u : 3u))
    return emitOpError("expected codes, scales and zeros as ")
           << (onMemRefs ? "outs and no results with a memref"
                         : "results and no outs with a tensor");
  Value codes = onMemRefs ? getCodesOut() : getResult(0);
  Value scales = onMemRefs ? getScalesOut() : getResult(1);
  Value zeros = onMemRefs ? getZerosOut() : getResult(2);
  Type f32 = Float32Type::get(getContext());
  Type i8 = IntegerType::get(getContext(), 8);
  ArrayRef<int64_t> input = getShaped(getInput()).getShape();
  int64_t rank = input.size(), rowRank = getRowRank();
  if (rowRank < 0 || rowRank > rank)
    return emitOpError("expected a row_rank in [0, ")
           << rank << "], got " << rowRank;
  if (failed(verifyElement(*this, "an input", getInput(), f32)) ||
      failed(verifyElement(*this, "codes", codes, i8)) ||
      failed(verifyShape(*this, "codes", codes, input)) ||
      failed(verifyElement(*this, "scales", scales, f32)) ||
      failed(verifyElement(*this, "zeros", zeros, i8)) ||
      failed(verifyShape(*this, "scales", scales, input.take_front(rowRank))))
    return failure();
  return verifyShape(*this, "zeros", zeros, input.take_front(rowRank));
}

LogicalResult ConvIntegerOp::verify() {
  SmallVector<int64_t> output;
  if (failed(verifyForm(*this)) || failed(verifyWindow(*this, output)))
    return failure();
  ArrayRef<int64_t> shape = getWeightShape();
  if (failed(verifyStages(
          *this, output, shape[0],
          getPackedIntegerShape(shape[0], shape[1],
                                llvm::product_of(shape.drop_front(2)),
                                getGroup()),
          ArrayRef(output).take_front())))
    return failure();
  if (getPacked())
    return success();
  return verifyShape(*this, "a weight", getWeight(), shape);
}
