//===- IntegerValues.cpp - Quantized values in an ONNX graph --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IntegerValues.h"
#include "ConstantWeight.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include <cmath>

using namespace mlir;

namespace nibble {

bool isByteTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getElementType().isInteger(8);
}

bool hasOneElement(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() && type.getNumElements() == 1;
}

static bool isAbsent(Value value) { return isa<NoneType>(value.getType()); }

/// The same bytes as `value` with another element type of 8 bits.
static ElementsAttr retype(ElementsAttr value, RankedTensorType type) {
  auto dense = dyn_cast<DenseElementsAttr>(value);
  if (!dense)
    return reshapeElements(value, type);
  return DenseElementsAttr::getFromRawBuffer(type, dense.getRawData());
}

/// Codes of 2 to 4 bits as bytes of the same signedness.
static Value widen(OpBuilder &builder, Value value) {
  FailureOr<ConstantWeight> constant =
      getConstantWeight(value, /*materialize=*/false);
  if (failed(constant) || constant->transposed)
    return Value();
  Location loc = value.getLoc();
  FailureOr<ConstantData> data =
      ConstantData::get(constant->value, [&] { return emitError(loc); });
  if (failed(data))
    return Value();
  RankedTensorType type = constant->getType();
  auto element = cast<IntegerType>(type.getElementType());
  type = type.clone(
      IntegerType::get(builder.getContext(), 8, element.getSignedness()));
  bool readable = true;
  FailureOr<ElementsAttr> bytes =
      createBlobAttr(loc, type, "widened", [&](MutableArrayRef<char> out) {
        std::vector<int64_t> values(out.size());
        readable = succeeded(data->expanded().readIntegers(0, values));
        llvm::copy(values, out.begin());
      });
  if (failed(bytes) || !readable)
    return Value();
  auto wide = onnx::ConstantOp::create(builder, loc, *bytes);
  if (constant->name)
    wide->setAttr(NibbleDialect::getLayerNameAttr(), constant->name);
  return wide;
}

std::optional<QuantizedValue> getQuantized(OpBuilder &builder, Value value) {
  auto op = value.getDefiningOp<onnx::DequantizeLinearOp>();
  if (!op || op.getBlockSize() != 0)
    return std::nullopt;
  auto type = dyn_cast<RankedTensorType>(op.getX().getType());
  auto scale = dyn_cast<RankedTensorType>(op.getXScale().getType());
  auto result = dyn_cast<RankedTensorType>(op.getY().getType());
  if (!type || !scale || !scale.getElementType().isF32() || !result ||
      !result.getElementType().isF32())
    return std::nullopt;
  auto element = dyn_cast<IntegerType>(type.getElementType());
  if (!element || element.getWidth() < 2 || element.getWidth() > 8)
    return std::nullopt;
  QuantizedValue quantized{op.getX(), op.getXScale(), op.getXZeroPoint()};
  if (isAbsent(quantized.zero))
    quantized.zero = Value();
  if (element.getWidth() < 8) {
    quantized.codes = widen(builder, op.getX());
    if (quantized.codes && quantized.zero)
      quantized.zero = widen(builder, quantized.zero);
    if (!quantized.codes || (op.getXZeroPoint() &&
                             !isAbsent(op.getXZeroPoint()) && !quantized.zero))
      return std::nullopt;
  }
  if (!hasOneElement(quantized.scale)) {
    if (scale.getRank() != 1)
      return std::nullopt;
    int64_t axis = op.getAxis();
    quantized.axis = axis < 0 ? axis + type.getRank() : axis;
  }
  return quantized;
}

Value toSignless(OpBuilder &builder, Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  auto signless = type.clone(builder.getI8Type());
  FailureOr<ConstantWeight> constant =
      getConstantWeight(value, /*materialize=*/false);
  if (succeeded(constant) && !constant->transposed)
    return createConstant(builder, value.getLoc(),
                          retype(constant->value, signless), constant->name);
  if (type == signless)
    return value;
  return UnrealizedConversionCastOp::create(builder, value.getLoc(), signless,
                                            value)
      .getResult(0);
}

Value fromSignless(OpBuilder &builder, Value value, Type type) {
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(builder, value.getLoc(), type,
                                            value)
      .getResult(0);
}

Value toZeroPoint(OpBuilder &builder, Value zero) {
  if (!zero || isAbsent(zero))
    return Value();
  FailureOr<ConstantData> data = ConstantData::get(zero);
  if (succeeded(data)) {
    FailureOr<SmallVector<int64_t>> values = data->getIntegers();
    if (succeeded(values) &&
        llvm::all_of(*values, [](int64_t value) { return value == 0; }))
      return Value();
  }
  return toSignless(builder, zero);
}

std::optional<SmallVector<float>> getFloats(Value value) {
  FailureOr<ConstantData> data = ConstantData::get(value);
  if (failed(data) || data->getNumElements() > (1 << 20))
    return std::nullopt;
  SmallVector<float> values(data->getNumElements());
  if (failed(data->expanded().readFloats(0, values)))
    return std::nullopt;
  return values;
}

std::optional<float> getScalar(Value value) {
  FailureOr<ConstantData> data = ConstantData::get(value);
  float element = 0;
  if (failed(data) || data->getNumElements() != 1 ||
      failed(data->readFloats(0, element)))
    return std::nullopt;
  return element;
}

bool isProductOfScales(Value scale, Value input, Value weight) {
  std::optional<SmallVector<float>> s = getFloats(scale), x = getFloats(input),
                                    w = getFloats(weight);
  if (!s || !x || !w || x->size() != 1 ||
      (s->size() != 1 && w->size() != 1 && s->size() != w->size()))
    return false;
  for (size_t i = 0, e = std::max(s->size(), w->size()); i < e; ++i) {
    float product = (*x)[0] * (*w)[w->size() == 1 ? 0 : i];
    float given = (*s)[s->size() == 1 ? 0 : i];
    if (!(std::fabs(given - product) <= 1e-5f * std::fabs(product)))
      return false;
  }
  return true;
}

} // namespace nibble
