//===- QuantizationForms.cpp - What bytes may pass through ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "QuantizationForms.h"
#include "Match.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace nibble::onnx {

std::optional<double> getElement(Value value) {
  FailureOr<ConstantData> data = ConstantData::get(value);
  float number = 0;
  if (failed(data) || data->getNumElements() != 1 ||
      failed(data->readFloats(0, number)))
    return std::nullopt;
  return number;
}

bool hasOneElement(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() && type.getNumElements() == 1;
}

bool isPerTensor(Operation *op) {
  bool isQuantize = isa<QuantizeLinearOp>(op);
  auto codes = dyn_cast<RankedTensorType>(
      isQuantize ? op->getResult(0).getType() : op->getOperand(0).getType());
  auto floats = dyn_cast<RankedTensorType>(
      isQuantize ? op->getOperand(0).getType() : op->getResult(0).getType());
  auto block = op->getAttrOfType<IntegerAttr>("block_size");
  return codes && floats && codes.getElementType().isInteger(8) &&
         floats.getElementType().isF32() && hasOneElement(op->getOperand(1)) &&
         (!isPresent(op->getOperand(2)) || hasOneElement(op->getOperand(2))) &&
         (!block || block.getInt() == 0);
}

DequantizeLinearOp getDequantize(Value value) {
  auto op = value.getDefiningOp<DequantizeLinearOp>();
  return op && isPerTensor(op) ? op : DequantizeLinearOp();
}

bool isMovement(Operation *op) {
  if (isa<ReshapeOp, TransposeOp, SliceOp, SqueezeOp, UnsqueezeOp, FlattenOp,
          IdentityOp, ExpandOp, TileOp, DepthToSpaceOp, SpaceToDepthOp,
          onnx::GatherOp, SplitOp>(op))
    return true;
  if (auto pool = dyn_cast<MaxPoolOp>(op))
    return !isPresent(pool.getIndices());
  if (auto resize = dyn_cast<ResizeOp>(op))
    return resize.getMode() == "nearest" &&
           resize.getCoordinateTransformationMode() != "tf_crop_and_resize";
  return false;
}

bool isMovablePad(Operation *op) {
  auto pad = dyn_cast<PadOp>(op);
  if (!pad)
    return false;
  return pad.getMode() != "constant" || !isPresent(pad.getConstantValue()) ||
         getElement(pad.getConstantValue()) == 0.0;
}

std::optional<Bounds> getBounds(Operation *activation) {
  return llvm::TypeSwitch<Operation *, std::optional<Bounds>>(activation)
      .Case<ReluOp>([](auto) { return Bounds{0, INFINITY}; })
      .Case<SigmoidOp, HardSigmoidOp, SoftmaxOp>(
          [](auto) { return Bounds{0, 1}; })
      .Case<TanhOp>([](auto) { return Bounds{-1, 1}; })
      .Case<ClipOp>([](ClipOp clip) -> std::optional<Bounds> {
        auto get = [](Value value, double absent) -> std::optional<double> {
          return isPresent(value) ? getElement(value) : absent;
        };
        std::optional<double> low = get(clip.getMin(), -INFINITY),
                              high = get(clip.getMax(), INFINITY);
        if (!low || !high)
          return std::nullopt;
        return Bounds{*low, *high};
      })
      .Default([](auto) { return Bounds{-INFINITY, INFINITY}; });
}

} // namespace nibble::onnx
