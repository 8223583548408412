//===- ONNXDialect.cpp - Registration, types, verification of signatures --===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

#include "nibble/Dialect/ONNX/IR/ONNXDialect.cpp.inc"
#include "nibble/Dialect/ONNX/IR/ONNXInterfaces.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXTypes.cpp.inc"

void ONNXDialect::initialize() {
  registerTypes();
  registerControlFlowOps();
  registerMLOps();
  registerMathOps();
  registerMicrosoftOps();
  registerMixerOps();
  registerNNOps();
  registerQuantOps();
  registerReductionOps();
  registerSequenceOps();
  registerSignalOps();
  registerTensorOps();
  registerTrainingOps();
  registerTransformerOps();
  registerVisionOps();
  registerFolding();
}

void ONNXDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "nibble/Dialect/ONNX/IR/ONNXTypes.cpp.inc"
      >();
}

Operation *ONNXDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  if (isa<NoneType>(type))
    return NoValueOp::create(builder, loc, type);
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || !isa<TensorType>(type))
    return nullptr;
  return ConstantOp::create(builder, loc, elements);
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

TensorType onnx::getUnknownTensorType(MLIRContext *context) {
  return UnrankedTensorType::get(UnknownType::get(context));
}

TensorType onnx::getTensorPart(Type type) {
  if (auto sequence = dyn_cast<SeqType>(type))
    return getTensorPart(sequence.getElementType());
  if (auto optional = dyn_cast<OptionalType>(type))
    return getTensorPart(optional.getElementType());
  return dyn_cast<TensorType>(type);
}

Type onnx::replaceTensorPart(Type type, TensorType tensor) {
  if (auto sequence = dyn_cast<SeqType>(type))
    return SeqType::get(type.getContext(),
                        replaceTensorPart(sequence.getElementType(), tensor));
  if (auto optional = dyn_cast<OptionalType>(type))
    return OptionalType::get(
        type.getContext(),
        replaceTensorPart(optional.getElementType(), tensor));
  return tensor;
}

Type onnx::getElementType(MLIRContext *context, int64_t onnxType) {
  Builder b(context);
  auto unsignedType = [&](unsigned width) {
    return IntegerType::get(context, width, IntegerType::Unsigned);
  };
  switch (onnxType) {
  case 1:
    return b.getF32Type();
  case 2:
    return unsignedType(8);
  case 3:
    return b.getIntegerType(8);
  case 4:
    return unsignedType(16);
  case 5:
    return b.getIntegerType(16);
  case 6:
    return b.getIntegerType(32);
  case 7:
    return b.getIntegerType(64);
  case 8:
    return StringType::get(context);
  case 9:
    return b.getIntegerType(1);
  case 10:
    return b.getF16Type();
  case 11:
    return b.getF64Type();
  case 12:
    return unsignedType(32);
  case 13:
    return unsignedType(64);
  case 14:
    return ComplexType::get(b.getF32Type());
  case 15:
    return ComplexType::get(b.getF64Type());
  case 16:
    return b.getBF16Type();
  case 17:
    return Float8E4M3FNType::get(context);
  case 18:
    return Float8E4M3FNUZType::get(context);
  case 19:
    return Float8E5M2Type::get(context);
  case 20:
    return Float8E5M2FNUZType::get(context);
  case 21:
    return unsignedType(4);
  case 22:
    return b.getIntegerType(4);
  case 23:
    return Float4E2M1FNType::get(context);
  case 24:
    return Float8E8M0FNUType::get(context);
  case 25:
    return unsignedType(2);
  case 26:
    return b.getIntegerType(2);
  case 27:
    return Float6E2M3FNType::get(context);
  case 28:
    return Float6E3M2FNType::get(context);
  default:
    return {};
  }
}

int64_t onnx::getONNXType(Type type) {
  for (int64_t number = 1; number <= 28; ++number)
    if (getElementType(type.getContext(), number) == type)
      return number;
  return 0;
}

bool onnx::isAddressable(ArrayRef<int64_t> shape) {
  // 16 bytes are the largest element.
  uint64_t bytes = 16;
  for (int64_t size : shape) {
    if (ShapedType::isDynamic(size) || size == 0)
      continue;
    bytes = llvm::SaturatingMultiply<uint64_t>(bytes, size);
  }
  return bytes <= static_cast<uint64_t>(INT64_MAX);
}

//===----------------------------------------------------------------------===//
// Signatures
//===----------------------------------------------------------------------===//

/// Letter `index` of `letters`; a variadic value repeats the last one.
static char getLetter(StringRef letters, unsigned index, bool variadic) {
  if (index < letters.size())
    return letters[index];
  return variadic && !letters.empty() ? letters.back() : '.';
}

char OpSignature::operandLetter(unsigned index) const {
  return getLetter(types.split(':').first, index, operands.variadic);
}

char OpSignature::resultLetter(unsigned index) const {
  return getLetter(types.split(':').second, index, results.variadic);
}

static Type getKnownElementType(Value value) {
  auto type = dyn_cast<TensorType>(value.getType());
  if (!type || isa<UnknownType>(type.getElementType()))
    return {};
  return type.getElementType();
}

LogicalResult onnx::detail::verifyONNXOp(Operation *op) {
  OpSignature signature = cast<ONNXOpInterface>(op).getSignature();
  // The first value with each capital letter decides for the others.
  std::array<std::pair<Type, std::string>, 26> decided;
  auto check = [&](Value value, char letter,
                   const Twine &what) -> LogicalResult {
    auto ranked = dyn_cast<RankedTensorType>(value.getType());
    if (ranked && !isAddressable(ranked.getShape()))
      return op->emitOpError() << what << " has type " << ranked
                               << ", which is too large for 64 bits";
    Type type = getKnownElementType(value);
    if (!type || letter < 'A' || letter > 'Z')
      return success();
    auto &[expected, where] = decided[letter - 'A'];
    if (!expected) {
      expected = type;
      where = what.str();
    } else if (expected != type) {
      return op->emitOpError() << what << " has element type " << type
                               << ", but " << where << " has " << expected;
    }
    return success();
  };
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (failed(
            check(operand, signature.operandLetter(i), "operand #" + Twine(i))))
      return failure();
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    if (failed(check(result, signature.resultLetter(i), "result #" + Twine(i))))
      return failure();
  return success();
}
