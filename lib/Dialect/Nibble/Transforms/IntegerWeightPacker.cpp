//===- IntegerWeightPacker.cpp - 8-bit weights for kernels ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IntegerWeightPacker.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Quantizer/Packing.h"

using namespace mlir;

namespace nibble {

/// A new constant `shape` of `element` that `fill` writes.
static FailureOr<Value>
createConstant(OpBuilder &b, Location loc, ArrayRef<int64_t> shape,
               Type element, StringRef name,
               function_ref<void(MutableArrayRef<char>)> fill) {
  FailureOr<ElementsAttr> attr =
      createBlobAttr(loc, RankedTensorType::get(shape, element), name, fill);
  if (failed(attr))
    return failure();
  auto op = ConstantOp::create(b, loc, *attr);
  if (!name.empty())
    op->setAttr(NibbleDialect::getLayerNameAttr(), b.getStringAttr(name));
  return op.getResult();
}

/// What `value` holds if only its shape was changed.
static Value skipReshapes(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

FailureOr<IntegerWeightPacker::Packed>
IntegerWeightPacker::getPacked(Operation *op, Value weight, Value zeros,
                               const quantizer::IntegerWeightView &view,
                               ArrayRef<int64_t> shape) {
  weight = skipReshapes(weight);
  Attribute attr, zeroAttr;
  if (!matchPattern(weight, m_Constant(&attr)) ||
      (zeros && !matchPattern(zeros, m_Constant(&zeroAttr))))
    return Packed();

  auto key = std::make_tuple(
      weight, zeros, 4 * view.rowStride + 2 * view.isUnsigned + (shape[0] > 1));
  auto [it, isNew] = packed.try_emplace(key);
  if (!isNew)
    return Packed(it->second);
  auto emitError = [&] { return op->emitError(); };
  FailureOr<ConstantData> data = ConstantData::get(attr, emitError);
  if (failed(data))
    return failure();
  ConstantData codes = data->expanded();
  quantizer::IntegerWeightView source = view;
  source.data = codes.getBytes().data();
  SmallVector<uint8_t> zeroCodes;
  if (zeros) {
    FailureOr<ConstantData> zeroData = ConstantData::get(zeroAttr, emitError);
    if (failed(zeroData))
      return failure();
    ConstantData expanded = zeroData->expanded();
    zeroCodes.assign(expanded.getBytes().begin(), expanded.getBytes().end());
  }
  OpBuilder b(weight.getContext());
  b.setInsertionPointAfterValue(weight);
  Location loc = weight.getLoc();
  auto constant = weight.getDefiningOp<ConstantOp>();
  StringRef name = constant ? constant.getName() : "";
  FailureOr<Value> panels = createConstant(
      b, loc, shape, b.getI8Type(), name, [&](MutableArrayRef<char> out) {
        quantizer::packIntegerPanels(
            source, shape[1],
            {reinterpret_cast<uint8_t *>(out.data()), out.size()});
      });
  FailureOr<Value> sums = createConstant(
      b, loc, {view.groups * view.rows}, b.getI32Type(), "",
      [&](MutableArrayRef<char> out) {
        quantizer::sumIntegerRows(
            source, zeroCodes,
            {reinterpret_cast<int32_t *>(out.data()), out.size() / 4});
      });
  if (failed(panels) || failed(sums))
    return failure();
  it->second = {*panels, *sums};
  return Packed(it->second);
}

template <typename OpTy>
FailureOr<bool> IntegerWeightPacker::packAs(OpTy op,
                                            quantizer::IntegerWeightView view,
                                            ArrayRef<int64_t> shape) {
  if (op.getPacked())
    return false;
  view.isUnsigned = op.getUnsignedWeight();
  FailureOr<Packed> weight =
      getPacked(op, op.getWeight(), op.getWeightZeros(), view, shape);
  if (failed(weight))
    return failure();
  if (!*weight)
    return false;
  op.getWeightMutable().assign((*weight)->first);
  op.getWeightSumsMutable().assign((*weight)->second);
  op.setPacked(true);
  return true;
}

/// [N, K], or [K, N] if not transposed.
template <typename OpTy>
static quantizer::IntegerWeightView getMatrixView(OpTy op) {
  quantizer::IntegerWeightView view;
  view.rows = op.getN();
  view.channels = op.getK();
  view.rowStride = op.getTransposeWeight() ? op.getK() : 1;
  view.channelStride = op.getTransposeWeight() ? 1 : op.getN();
  return view;
}

FailureOr<bool> IntegerWeightPacker::pack(MatMulIntegerOp op) {
  // A matrix for each matrix of the input is packed where it is used.
  if (cast<ShapedType>(op.getWeight().getType()).getRank() != 2)
    return false;
  return packAs(op, getMatrixView(op),
                getPackedIntegerShape(op.getN(), op.getK()));
}

/// The same constant as that of the integer product beside it.
FailureOr<bool> IntegerWeightPacker::pack(MatMulOutliersOp op) {
  if (op.getPacked())
    return false;
  FailureOr<Packed> weight =
      getPacked(op, op.getWeight(), /*zeros=*/Value(), getMatrixView(op),
                getPackedIntegerShape(op.getN(), op.getK()));
  if (failed(weight))
    return failure();
  if (!*weight)
    return false;
  op.getWeightMutable().assign((*weight)->first);
  op.setPacked(true);
  return true;
}

FailureOr<bool> IntegerWeightPacker::pack(ConvIntegerOp op) {
  ArrayRef<int64_t> shape = op.getWeightShape();
  // Small groups have a kernel of their own, which reads the weight as it is;
  // more than three spatial dimensions have none.
  bool smallGroups =
      op.getGroup() > 1 && (shape[1] < 4 || shape[0] / op.getGroup() < 8);
  if (smallGroups || shape.size() > 5)
    return false;
  quantizer::IntegerWeightView view;
  view.groups = op.getGroup();
  view.rows = shape[0] / view.groups;
  view.channels = shape[1];
  view.taps = llvm::product_of(shape.drop_front(2));
  view.rowStride = view.channels * view.taps;
  view.channelStride = view.taps;
  return packAs(
      op, view,
      getPackedIntegerShape(shape[0], view.channels, view.taps, view.groups));
}

} // namespace nibble
