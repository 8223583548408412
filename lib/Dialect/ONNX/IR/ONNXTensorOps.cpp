//===- ONNXTensorOps.cpp - Constants and data movement --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyUtils.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXTensorOps.cpp.inc"

void ONNXDialect::registerTensorOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXTensorOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

void ConstantOp::build(OpBuilder &, OperationState &state, ElementsAttr value) {
  state.addTypes(value.getShapedType());
  state.getOrAddProperties<Properties>().value = value;
}

ElementsAttr ConstantOp::getElements() {
  if (getValueAttr())
    return getValueAttr();
  Builder b(getContext());
  if (getValueFloat())
    return DenseElementsAttr::get(RankedTensorType::get({}, b.getF32Type()),
                                  *getValueFloat());
  if (getValueInt())
    return DenseElementsAttr::get(RankedTensorType::get({}, b.getI64Type()),
                                  *getValueInt());
  auto vector = [](size_t size, Type element) {
    return RankedTensorType::get({static_cast<int64_t>(size)}, element);
  };
  if (getValueFloats())
    return DenseElementsAttr::get(
        vector(getValueFloats()->size(), b.getF32Type()), *getValueFloats());
  if (getValueInts())
    return DenseElementsAttr::get(
        vector(getValueInts()->size(), b.getI64Type()), *getValueInts());
  Type string = StringType::get(getContext());
  if (getValueString())
    return DenseStringElementsAttr::get(RankedTensorType::get({}, string),
                                        *getValueString());
  if (getValueStrings()) {
    SmallVector<StringRef> strings;
    for (Attribute attr : getValueStringsAttr())
      strings.push_back(cast<StringAttr>(attr).getValue());
    return DenseStringElementsAttr::get(vector(strings.size(), string),
                                        strings);
  }
  return {};
}

LogicalResult ConstantOp::verify() {
  int given = 0;
  for (Attribute attr :
       {Attribute(getValueAttr()), Attribute(getValueFloatAttr()),
        Attribute(getValueFloatsAttr()), Attribute(getValueIntAttr()),
        Attribute(getValueIntsAttr()), Attribute(getValueStringAttr()),
        Attribute(getValueStringsAttr())})
    given += attr != nullptr;
  if (given != 1)
    return emitOpError() << "has " << given
                         << " value attributes, expected exactly one";
  ShapedType type = getElements().getShapedType();
  auto declared = cast<TensorType>(getType());
  if ((!isa<UnknownType>(declared.getElementType()) &&
       declared.getElementType() != type.getElementType()) ||
      failed(verifyCompatibleShape(declared, type)))
    return emitOpError() << "value has type " << type << ", but the result has "
                         << declared;
  return success();
}

LogicalResult ConstantOfShapeOp::verify() {
  if (getValueAttr() && getValueAttr().getNumElements() != 1)
    return emitOpError() << "value has " << getValueAttr().getNumElements()
                         << " elements, expected 1";
  return success();
}

LogicalResult EyeLikeOp::verify() {
  if (getDtype() && !getElementType(getContext(), *getDtype()))
    return emitOpError() << "dtype is " << *getDtype()
                         << ", which is not an ONNX type";
  return success();
}

//===----------------------------------------------------------------------===//
// Types and shapes
//===----------------------------------------------------------------------===//

/// Checks the attribute `to` against the type of the result.
static LogicalResult verifyTarget(Operation *op, int64_t to, Type result) {
  Type target = getElementType(op->getContext(), to);
  if (!target)
    return op->emitOpError() << "to is " << to << ", which is not an ONNX type";
  Type element = cast<TensorType>(result).getElementType();
  if (!isa<UnknownType>(element) && element != target)
    return op->emitOpError()
           << "to is " << to << " (" << target
           << "), but the result has element type " << element;
  return success();
}

LogicalResult CastOp::verify() {
  return verifyTarget(*this, getTo(), getType());
}

LogicalResult BitCastOp::verify() {
  if (failed(verifyTarget(*this, getTo(), getType())))
    return failure();
  Type from = cast<TensorType>(getInput().getType()).getElementType();
  Type to = getElementType(getContext(), getTo());
  if (isa<UnknownType>(from))
    return success();
  // A bool is a byte; strings have no width.
  auto width = [](Type type) {
    return type.isInteger(1) ? 8 : getStorageBits(type);
  };
  if (width(from) == 0 || width(from) != width(to))
    return emitOpError() << "to is " << getTo() << " (" << to
                         << "), which has not the width of " << from;
  return success();
}

LogicalResult ReshapeOp::verify() {
  auto from = dyn_cast<RankedTensorType>(getData().getType());
  auto to = dyn_cast<RankedTensorType>(getType());
  if (from && to && from.hasStaticShape() && to.hasStaticShape() &&
      from.getNumElements() != to.getNumElements())
    return emitOpError() << "data has type " << from << " and the result " << to
                         << ": " << from.getNumElements()
                         << " elements against " << to.getNumElements();
  if (std::optional<int64_t> rank = getRank(getShape()); rank && *rank != 1)
    return emitOpError() << "shape has type " << getShape().getType()
                         << ", expected rank 1";
  return success();
}

LogicalResult FlattenOp::verify() {
  std::optional<int64_t> rank = getRank(getInput());
  if (!rank || (getAxis() >= -*rank && getAxis() <= *rank))
    return success();
  return emitOpError() << "axis is " << getAxis() << ", expected " << -*rank
                       << " to " << *rank << " for rank " << *rank;
}

//===----------------------------------------------------------------------===//
// Data movement
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::verify() {
  if (!getPerm())
    return success();
  ArrayRef<int64_t> perm = *getPerm();
  if (std::optional<int64_t> rank = getRank(getData());
      rank && *rank != static_cast<int64_t>(perm.size()))
    return emitOpError() << "perm has " << perm.size()
                         << " elements, but data has type "
                         << getData().getType();
  if (!isPermutationVector(perm))
    return emitOpError() << "perm is [" << perm << "], expected each of 0 to "
                         << static_cast<int64_t>(perm.size()) - 1 << " once";
  return success();
}

LogicalResult ConcatOp::verify() {
  if (getInputs().empty())
    return emitOpError("has no operands, expected one or more");
  for (Value input : getInputs())
    if (failed(verifyAxis(*this, getAxis(), getRank(input))))
      return failure();
  return success();
}

LogicalResult SplitOp::verify() {
  if (failed(verifyAxis(*this, getAxis(), getRank(getInput()))))
    return failure();
  if (getNumOutputs() &&
      *getNumOutputs() != static_cast<int64_t>(getOutputs().size()))
    return emitOpError() << "num_outputs is " << *getNumOutputs()
                         << ", but there are " << getOutputs().size()
                         << " results";
  return success();
}

LogicalResult PadOp::verify() {
  return verifyChoice(*this, "mode", getMode(),
                      {"constant", "reflect", "edge", "wrap"});
}

template <typename OpTy>
static LogicalResult verifyBlocks(OpTy op) {
  if (failed(verifyAtLeast(op, "blocksize", op.getBlocksize(), 1)) ||
      failed(verifyChoice(op, "mode", op.getMode(), {"DCR", "CRD"})))
    return failure();
  if (std::optional<int64_t> rank = getRank(op.getInput()); rank && *rank != 4)
    return op.emitOpError() << "input has type " << op.getInput().getType()
                            << ", expected rank 4";
  return success();
}

LogicalResult DepthToSpaceOp::verify() { return verifyBlocks(*this); }
LogicalResult SpaceToDepthOp::verify() { return verifyBlocks(*this); }

//===----------------------------------------------------------------------===//
// Indexing
//===----------------------------------------------------------------------===//

LogicalResult GatherOp::verify() {
  return verifyAxis(*this, getAxis(), getRank(getData()));
}

LogicalResult GatherElementsOp::verify() {
  return verifyAxis(*this, getAxis(), getRank(getData()));
}

LogicalResult GatherNDOp::verify() {
  if (failed(verifyAtLeast(*this, "batch_dims", getBatchDims(), 0)))
    return failure();
  std::optional<int64_t> rank = getRank(getData());
  if (rank && getBatchDims() >= *rank)
    return emitOpError() << "batch_dims is " << getBatchDims()
                         << ", but data has type " << getData().getType();
  return success();
}

static constexpr StringLiteral kReductions[] = {"none", "add", "mul", "max",
                                                "min"};

LogicalResult ScatterElementsOp::verify() {
  SmallVector<StringRef> choices(std::begin(kReductions),
                                 std::end(kReductions));
  if (failed(verifyChoice(*this, "reduction", getReduction(), choices)))
    return failure();
  return verifyAxis(*this, getAxis(), getRank(getData()));
}

LogicalResult ScatterNDOp::verify() {
  SmallVector<StringRef> choices(std::begin(kReductions),
                                 std::end(kReductions));
  return verifyChoice(*this, "reduction", getReduction(), choices);
}

LogicalResult TensorScatterOp::verify() {
  if (failed(verifyChoice(*this, "mode", getMode(), {"linear", "circular"})))
    return failure();
  return verifyAxis(*this, getAxis(), getRank(getPastCache()));
}

//===----------------------------------------------------------------------===//
// Resampling
//===----------------------------------------------------------------------===//

LogicalResult ResizeOp::verify() {
  if (failed(verifyChoice(*this, "mode", getMode(),
                          {"nearest", "linear", "cubic"})) ||
      failed(verifyChoice(*this, "coordinate_transformation_mode",
                          getCoordinateTransformationMode(),
                          {"half_pixel", "half_pixel_symmetric",
                           "pytorch_half_pixel", "align_corners", "asymmetric",
                           "tf_half_pixel_for_nn", "tf_crop_and_resize"})) ||
      failed(verifyChoice(
          *this, "nearest_mode", getNearestMode(),
          {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})) ||
      failed(verifyChoice(*this, "keep_aspect_ratio_policy",
                          getKeepAspectRatioPolicy(),
                          {"stretch", "not_larger", "not_smaller"})))
    return failure();
  return success();
}
