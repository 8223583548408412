//===- RotaryTables.cpp - Cosines that are there twice --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RotaryTables.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include <cstring>

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

/// The size of the last dimension, if it is known.
static int64_t getLastSize(Value value) {
  auto type = getRanked(value);
  return type && type.getRank() > 0 ? type.getDimSize(type.getRank() - 1)
                                    : ShapedType::kDynamic;
}

/// A tensor that is the same along the last dimension of what it is combined
/// with.
static bool isConstantAlong(Value value) {
  auto type = getRanked(value);
  return type && (type.getRank() == 0 || getLastSize(value) == 1);
}

/// Operators that compute each element from those at the same position.
static bool isElementwise(Operation *op) {
  return isa<CosOp, SinOp, CastOp, NegOp, IdentityOp, MulOp, DivOp, AddOp,
             SubOp>(op);
}

/// f of [f, f]; interleaved, f with a last dimension of 1 that is widened to 2
/// and joined to the one before.
static Value getOnceOf(Operation *op, bool interleaved) {
  if (!interleaved) {
    auto concat = dyn_cast<ConcatOp>(op);
    if (!concat || concat.getInputs().size() != 2 ||
        concat.getInputs()[0] != concat.getInputs()[1])
      return {};
    int64_t rank = getRanked(concat.getResult()).getRank();
    return fromFront(concat.getAxis(), rank) == rank - 1
               ? concat.getInputs().front()
               : Value();
  }
  auto reshape = dyn_cast<ReshapeOp>(op);
  auto pairs = reshape ? getRanked(reshape.getData()) : RankedTensorType();
  auto type = reshape ? getRanked(reshape.getReshaped()) : RankedTensorType();
  if (!pairs || !type || pairs.getRank() != type.getRank() + 1 ||
      getLastSize(reshape.getData()) != 2)
    return {};
  Operation *doubled = reshape.getData().getDefiningOp();
  Value single;
  if (auto expand = dyn_cast_or_null<ExpandOp>(doubled))
    single = expand.getInput();
  else if (auto concat = dyn_cast_or_null<ConcatOp>(doubled);
           concat && concat.getInputs().size() == 2 &&
           concat.getInputs()[0] == concat.getInputs()[1] &&
           fromFront(concat.getAxis(), pairs.getRank()) == pairs.getRank() - 1)
    single = concat.getInputs().front();
  auto singleType = single ? getRanked(single) : RankedTensorType();
  // Nothing but the dimension of 1 was widened, and joined to the one before.
  if (!singleType || singleType.getRank() != pairs.getRank() ||
      singleType.getShape().back() != 1 ||
      singleType.getShape().drop_back() != pairs.getShape().drop_back() ||
      pairs.getShape().drop_back(2) != type.getShape().drop_back())
    return {};
  return single;
}

/// Whether an operator that moves elements leaves the last dimension alone.
static bool keepsLast(Operation *op) {
  Value from = op->getOperand(0), to = op->getResult(0);
  auto fromType = getRanked(from), type = getRanked(to);
  if (!fromType || fromType.getRank() == 0 ||
      getLastSize(from) != getLastSize(to))
    return false;
  if (isa<UnsqueezeOp, SqueezeOp>(op)) {
    auto axes = isPresent(op->getOperand(1)) ? getIntegers(op->getOperand(1))
                                             : std::nullopt;
    int64_t rank = isa<UnsqueezeOp>(op) ? type.getRank() : fromType.getRank();
    return axes && llvm::none_of(*axes, [&](int64_t axis) {
             return fromFront(axis, rank) == rank - 1;
           });
  }
  if (auto slice = dyn_cast<SliceOp>(op)) {
    auto axes = isPresent(slice.getAxes()) ? getIntegers(slice.getAxes())
                                           : std::nullopt;
    return axes && llvm::none_of(*axes, [&](int64_t axis) {
             return fromFront(axis, type.getRank()) == type.getRank() - 1;
           });
  }
  if (auto gather = dyn_cast<GatherOp>(op))
    return fromFront(gather.getAxis(), fromType.getRank()) <
           fromType.getRank() - 1;
  if (auto transpose = dyn_cast<TransposeOp>(op))
    return transpose.getPerm() && (*transpose.getPerm()).back() ==
                                      static_cast<int64_t>(type.getRank()) - 1;
  return false;
}

//===----------------------------------------------------------------------===//
// Proof
//===----------------------------------------------------------------------===//

bool RotaryTables::isRepeatedConstant(ConstantOp constant, bool interleaved) {
  FailureOr<ConstantData> data = ConstantData::get(constant.getResult());
  int64_t size = getLastSize(constant.getResult());
  if (failed(data) || size <= 0 || size % 2 != 0)
    return false;
  if (data->isSplat())
    return true;
  SmallVector<float> row(size);
  for (int64_t at = 0, e = data->getNumElements(); at < e; at += size) {
    if (failed(data->readFloats(at, row)))
      return false;
    for (int64_t i = 0; i < size / 2; ++i)
      if (interleaved ? row[2 * i] != row[2 * i + 1]
                      : row[i] != row[i + size / 2])
        return false;
  }
  return true;
}

bool RotaryTables::isRepeated(Value value, bool interleaved) {
  auto known = repeated.find({value, interleaved});
  if (known != repeated.end())
    return known->second;
  bool result = computeRepeated(value, interleaved);
  repeated[{value, interleaved}] = result;
  return result;
}

bool RotaryTables::computeRepeated(Value value, bool interleaved) {
  Operation *op = value.getDefiningOp();
  int64_t size = getLastSize(value);
  if (!op || ShapedType::isDynamic(size) || size % 2 != 0)
    return false;
  if (auto constant = dyn_cast<onnx::ConstantOp>(op))
    return isa<FloatType>(getRanked(value).getElementType()) &&
           isRepeatedConstant(constant, interleaved);
  if (getOnceOf(op, interleaved))
    return true;
  if (isElementwise(op)) {
    bool any = false;
    for (Value operand : op->getOperands()) {
      if (isConstantAlong(operand))
        continue;
      if (getLastSize(operand) != size || !isRepeated(operand, interleaved))
        return false;
      any = true;
    }
    return any;
  }
  return keepsLast(op) && isRepeated(op->getOperand(0), interleaved);
}

//===----------------------------------------------------------------------===//
// Half of it
//===----------------------------------------------------------------------===//

Value RotaryTables::takeConstant(ConstantOp constant, bool interleaved) {
  auto type = getRanked(constant.getResult());
  int64_t size = getLastSize(constant.getResult());
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = size / 2;
  FailureOr<ConstantData> data = ConstantData::get(constant.getResult());
  if (failed(data))
    return {};
  ConstantData all = data->expanded();
  size_t bytes = all.getStorageBits() / 8, step = interleaved ? 2 : 1;
  auto fill = [&](MutableArrayRef<char> out) {
    ArrayRef<char> in = all.getBytes();
    size_t half = size / 2, rows = in.size() / (size * bytes);
    for (size_t row = 0; row < rows; ++row)
      for (size_t i = 0; i < half; ++i)
        std::memcpy(out.data() + (row * half + i) * bytes,
                    in.data() + (row * size + i * step) * bytes, bytes);
  };
  FailureOr<ElementsAttr> value =
      createBlobAttr(constant.getLoc(), type.clone(shape), "rotary", fill);
  if (failed(value))
    return {};
  OpBuilder b(constant);
  return onnx::ConstantOp::create(b, constant.getLoc(), *value);
}

/// Without the last dimension, which is 1.
static Value dropLast(Value value) {
  auto type = getRanked(value);
  Value inner = skipReshape(value);
  if (auto narrow = getRanked(inner);
      narrow && narrow.getShape() == type.getShape().drop_back())
    return inner;
  OpBuilder b(value.getContext());
  b.setInsertionPointAfterValue(value);
  Location loc = value.getLoc();
  return SqueezeOp::create(b, loc, type.clone(type.getShape().drop_back()),
                           value, makeIntegers(b, loc, {type.getRank() - 1}));
}

/// The operation again, on halves.
Value RotaryTables::computeHalf(Operation *op, bool interleaved) {
  auto type = getRanked(op->getResult(0));
  SmallVector<int64_t> shape(type.getShape());
  shape.back() /= 2;
  SmallVector<Value> operands(op->getOperands());
  for (auto [i, operand] : llvm::enumerate(operands)) {
    bool isData = isElementwise(op) ? !isConstantAlong(operand) : i == 0;
    if (isData)
      operand = getHalf(operand, interleaved);
    if (!operand)
      return {};
  }
  OpBuilder b(op->getContext());
  b.setInsertionPointAfter(op);
  Operation *half = b.clone(*op);
  half->setOperands(operands);
  half->removeAttr(ONNXDialect::kNameAttr);
  half->getResult(0).setType(type.clone(shape));
  return half->getResult(0);
}

Value RotaryTables::getHalf(Value value, bool interleaved) {
  auto [it, inserted] =
      halves.try_emplace({value, interleaved ? 1u : 0u}, Value());
  if (!inserted)
    return it->second;
  Operation *op = value.getDefiningOp();
  Value half;
  if (auto constant = dyn_cast<onnx::ConstantOp>(op))
    half = takeConstant(constant, interleaved);
  else if (Value once = getOnceOf(op, interleaved))
    half = interleaved ? dropLast(once) : once;
  else
    half = computeHalf(op, interleaved);
  return halves[{value, interleaved ? 1u : 0u}] = half;
}
