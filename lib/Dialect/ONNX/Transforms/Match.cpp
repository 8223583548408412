//===- Match.cpp - Small matchers over onnx operators ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Match.h"
#include "mlir/IR/Iterators.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

/// Constants with more elements are not compared element by element.
static constexpr int64_t kMaxElements = 4096;

std::optional<double> onnx::getNumber(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  auto type = getRanked(value);
  if (!constant || !type || !type.hasStaticShape() ||
      type.getNumElements() == 0 || !type.getElementType().isIntOrFloat())
    return std::nullopt;
  // Weights are not even looked at.
  auto dense = dyn_cast_or_null<DenseElementsAttr>(constant.getElements());
  bool splat = dense && dense.isSplat();
  if (!splat && type.getNumElements() > kMaxElements)
    return std::nullopt;
  FailureOr<ConstantData> data = ConstantData::get(value);
  if (failed(data))
    return std::nullopt;
  SmallVector<float> numbers(data->isSplat() ? 1 : data->getNumElements());
  if (failed(data->readFloats(0, numbers)))
    return std::nullopt;
  if (!llvm::all_equal(numbers))
    return std::nullopt;
  return numbers.front();
}

std::optional<SmallVector<int64_t>> onnx::getIntegers(Value value) {
  auto type = getRanked(value);
  if (!value.getDefiningOp<ConstantOp>() || !type || !type.hasStaticShape() ||
      type.getNumElements() > kMaxElements ||
      !type.getElementType().isIntOrIndex())
    return std::nullopt;
  FailureOr<ConstantData> data = ConstantData::get(value);
  if (failed(data))
    return std::nullopt;
  FailureOr<SmallVector<int64_t>> integers = data->getIntegers();
  if (failed(integers))
    return std::nullopt;
  return std::move(*integers);
}

bool onnx::isClose(double a, double b, Type element) {
  double tolerance = 1e-6;
  if (element.isF16())
    tolerance = 1e-3;
  else if (element.isBF16())
    tolerance = 8e-3;
  return std::abs(a - b) <= tolerance * std::abs(b);
}

std::optional<WithNumber> onnx::matchScaled(Value value) {
  if (std::optional<WithNumber> product = matchNumber<MulOp>(value))
    return product;
  std::optional<WithNumber> quotient = matchRightNumber<DivOp>(value);
  auto type = dyn_cast<TensorType>(value.getType());
  // Integers lose what a division leaves.
  if (!quotient || quotient->number == 0 || !type ||
      !isa<FloatType>(type.getElementType()))
    return std::nullopt;
  return WithNumber{quotient->value, 1 / quotient->number};
}

std::optional<Value> onnx::matchPower(Value value, int exponent) {
  if (std::optional<WithNumber> pow = matchRightNumber<PowOp>(value))
    return pow->number == exponent ? std::optional(pow->value) : std::nullopt;
  auto product = value.getDefiningOp<MulOp>();
  if (!product || exponent < 2)
    return std::nullopt;
  Value a = product->getOperand(0), b = product->getOperand(1);
  if (exponent == 2)
    return a == b ? std::optional(a) : std::nullopt;
  for (auto [x, power] : {std::pair(a, b), std::pair(b, a)})
    if (matchPower(power, exponent - 1) == std::optional(x))
      return x;
  return std::nullopt;
}

Value onnx::getOther(Operation *op, Value operand) {
  if (op->getOperand(0) == operand)
    return op->getOperand(1);
  return op->getOperand(1) == operand ? op->getOperand(0) : Value();
}

Operation *onnx::getOnlyUser(Value value) {
  return value.hasOneUse() ? *value.getUsers().begin() : nullptr;
}

bool onnx::areRanksKnown(Operation *root) {
  auto isKnown = [](Type type) { return !isa<UnrankedTensorType>(type); };
  return !root->walk([&](Operation *op) {
                return llvm::all_of(op->getOperandTypes(), isKnown) &&
                               llvm::all_of(op->getResultTypes(), isKnown)
                           ? WalkResult::advance()
                           : WalkResult::interrupt();
              })
              .wasInterrupted();
}

Value onnx::skipFloatCast(Value value) {
  auto cast = value.getDefiningOp<CastOp>();
  if (!cast)
    return value;
  auto from = getRanked(cast.getInput()), to = getRanked(value);
  bool isFloat = from && to && isa<FloatType>(from.getElementType()) &&
                 isa<FloatType>(to.getElementType());
  return isFloat ? cast.getInput() : value;
}

Value onnx::skipReshape(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<ReshapeOp, SqueezeOp, UnsqueezeOp, FlattenOp>(op))
    return op->getOperand(0);
  return value;
}

Value onnx::makeIntegers(OpBuilder &builder, Location loc,
                         ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder.getI64Type());
  return onnx::ConstantOp::create(builder, loc,
                                  DenseElementsAttr::get(type, values));
}

void onnx::replaceForm(Operation *root, Value value) {
  Operation *op = value.getDefiningOp();
  if (Attribute name = root->getAttr(ONNXDialect::kNameAttr);
      name && op && !op->hasAttr(ONNXDialect::kNameAttr))
    op->setAttr(ONNXDialect::kNameAttr, name);
  root->getResult(0).replaceAllUsesWith(value);
}

void onnx::eraseDead(Operation *root) {
  root->walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
    if (isa<ONNXOpInterface>(op) && isOpTriviallyDead(op))
      op->erase();
  });
}

void onnx::remarkMissed(Operation *op, StringRef what, const Twine &reason) {
  std::string layer;
  if (auto name = op->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr))
    layer = (" in layer \"" + name.getValue() + "\"").str();
  remark::missed(op->getLoc(),
                 remark::RemarkOpts::name("NotFused").category("fusion"))
      << remark::add("{0} not fused{1}: {2}", what, layer, reason.str());
}
