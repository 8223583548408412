//===- ONNXQuantOps.cpp - Quantized operators -----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyUtils.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXQuantOps.cpp.inc"

void ONNXDialect::registerQuantOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXQuantOps.cpp.inc"
      >();
}

/// Scales and zero points: shape and attributes that select their layout.
static LogicalResult verifyQuantization(Operation *op, Value input, Value scale,
                                        Value zeroPoint, int64_t axis,
                                        int64_t blockSize, int64_t dtype) {
  if (failed(verifyAtLeast(op, "block_size", blockSize, 0)))
    return failure();
  if (dtype != 0 && !getElementType(op->getContext(), dtype))
    return op->emitOpError()
           << "output_dtype is " << dtype << ", which is not an ONNX type";
  auto inputType = dyn_cast<RankedTensorType>(input.getType());
  auto scaleType = dyn_cast<RankedTensorType>(scale.getType());
  auto zeroType = dyn_cast<RankedTensorType>(zeroPoint.getType());
  // One element is a scalar, whatever its rank.
  auto isScalar = [](RankedTensorType type) {
    return type.hasStaticShape() && type.getNumElements() == 1;
  };
  if (scaleType && zeroType && !(isScalar(scaleType) && isScalar(zeroType)) &&
      failed(verifyCompatibleShape(scaleType, zeroType)))
    return op->emitOpError() << "zero point has type " << zeroType
                             << ", but the scale has " << scaleType;
  if (!inputType || !scaleType)
    return success();
  if (blockSize > 0) {
    if (scaleType.getRank() != inputType.getRank())
      return op->emitOpError()
             << "block_size is " << blockSize << " and the scale has type "
             << scaleType << ", expected rank " << inputType.getRank();
    return verifyAxis(op, axis, inputType.getRank());
  }
  if (scaleType.getRank() > 1)
    return op->emitOpError() << "scale has type " << scaleType
                             << ", expected rank 0 or 1 without block_size";
  // One element is a scale of the whole tensor; the axis does not matter.
  if (scaleType.getRank() == 0 || scaleType.getDimSize(0) == 1)
    return success();
  if (failed(verifyAxis(op, axis, inputType.getRank())))
    return failure();
  int64_t size =
      inputType.getDimSize(axis < 0 ? axis + inputType.getRank() : axis);
  if (!ShapedType::isDynamic(size) && !scaleType.isDynamicDim(0) &&
      scaleType.getDimSize(0) != size)
    return op->emitOpError()
           << "scale has type " << scaleType << ", but axis " << axis << " of "
           << inputType << " has size " << size;
  return success();
}

LogicalResult QuantizeLinearOp::verify() {
  return verifyQuantization(*this, getX(), getYScale(), getYZeroPoint(),
                            getAxis(), getBlockSize(), getOutputDtype());
}

LogicalResult DequantizeLinearOp::verify() {
  return verifyQuantization(*this, getX(), getXScale(), getXZeroPoint(),
                            getAxis(), getBlockSize(), getOutputDtype());
}

static LogicalResult verifyIntegerConv(Operation *op, int64_t group,
                                       StringRef autoPad) {
  if (failed(verifyAtLeast(op, "group", group, 1)))
    return failure();
  return verifyChoice(op, "auto_pad", autoPad,
                      {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"});
}

LogicalResult ConvIntegerOp::verify() {
  return verifyIntegerConv(*this, getGroup(), getAutoPad());
}

LogicalResult QLinearConvOp::verify() {
  return verifyIntegerConv(*this, getGroup(), getAutoPad());
}
