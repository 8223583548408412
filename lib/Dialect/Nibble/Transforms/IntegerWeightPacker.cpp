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

template <typename OpTy>
FailureOr<bool> IntegerWeightPacker::packAs(OpTy op,
                                            quantizer::IntegerWeightView view,
                                            ArrayRef<int64_t> shape) {
  Value weight = skipReshapes(op.getWeight()), zeros = op.getWeightZeros();
  Attribute attr, zeroAttr;
  if (op.getPacked() || !matchPattern(weight, m_Constant(&attr)) ||
      (zeros && !matchPattern(zeros, m_Constant(&zeroAttr))))
    return false;
  view.isUnsigned = op.getUnsignedWeight();

  auto key = std::make_tuple(
      weight, zeros, 4 * view.rowStride + 2 * view.isUnsigned + (shape[0] > 1));
  auto [it, isNew] = packed.try_emplace(key);
  if (isNew) {
    auto emitError = [&] { return op.emitError(); };
    FailureOr<ConstantData> data = ConstantData::get(attr, emitError);
    if (failed(data))
      return failure();
    ConstantData codes = data->expanded();
    view.data = codes.getBytes().data();
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
    auto source = weight.getDefiningOp<ConstantOp>();
    StringRef name = source ? source.getName() : "";
    FailureOr<Value> panels = createConstant(
        b, loc, shape, b.getI8Type(), name, [&](MutableArrayRef<char> out) {
          quantizer::packIntegerPanels(
              view, shape[1],
              {reinterpret_cast<uint8_t *>(out.data()), out.size()});
        });
    FailureOr<Value> sums = createConstant(
        b, loc, {view.groups * view.rows}, b.getI32Type(), "",
        [&](MutableArrayRef<char> out) {
          quantizer::sumIntegerRows(
              view, zeroCodes,
              {reinterpret_cast<int32_t *>(out.data()), out.size() / 4});
        });
    if (failed(panels) || failed(sums))
      return failure();
    it->second = {*panels, *sums};
  }
  op.getWeightMutable().assign(it->second.first);
  op.getWeightSumsMutable().assign(it->second.second);
  op.setPacked(true);
  return true;
}

FailureOr<bool> IntegerWeightPacker::pack(MatMulIntegerOp op) {
  // A matrix for each matrix of the input is packed where it is used.
  if (cast<ShapedType>(op.getWeight().getType()).getRank() != 2)
    return false;
  quantizer::IntegerWeightView view;
  view.rows = op.getN();
  view.channels = op.getK();
  view.rowStride = op.getTransposeWeight() ? op.getK() : 1;
  view.channelStride = op.getTransposeWeight() ? 1 : op.getN();
  return packAs(op, view, getPackedIntegerShape(op.getN(), op.getK()));
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
