//===- ShapeInference.cpp - Symbolic dimensions and inference state -------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// Dim
//===----------------------------------------------------------------------===//

Dim Dim::symbol(unsigned id) {
  Dim result(1);
  result.symbols.push_back(id);
  return result;
}

int64_t Dim::toStatic() const {
  return isConstant() ? factor : ShapedType::kDynamic;
}

bool Dim::operator==(const Dim &other) const {
  return known && other.known && factor == other.factor &&
         symbols == other.symbols;
}

Dim Dim::operator*(const Dim &other) const {
  if (isConstant(0) || other.isConstant(0))
    return Dim(0);
  if (!known || !other.known)
    return Dim();
  Dim result = *this;
  if (llvm::MulOverflow(factor, other.factor, result.factor))
    return Dim();
  result.symbols.append(other.symbols.begin(), other.symbols.end());
  llvm::sort(result.symbols);
  return result;
}

Dim Dim::operator+(const Dim &other) const {
  if (isConstant(0))
    return other;
  if (other.isConstant(0))
    return *this;
  if (!known || !other.known || symbols != other.symbols)
    return Dim();
  Dim result = *this;
  if (llvm::AddOverflow(factor, other.factor, result.factor))
    return Dim();
  return result.factor == 0 ? Dim(0) : result;
}

Dim Dim::operator-(const Dim &other) const { return *this + other * Dim(-1); }

Dim Dim::exactDiv(const Dim &other) const {
  if (!known || !other.known || other.factor == 0 || factor % other.factor != 0)
    return Dim();
  Dim result(factor / other.factor);
  // Both lists are sorted: what remains of the first is the quotient.
  auto next = other.symbols.begin();
  for (unsigned symbol : symbols) {
    if (next != other.symbols.end() && *next == symbol)
      ++next;
    else
      result.symbols.push_back(symbol);
  }
  return next == other.symbols.end() ? result : Dim();
}

SmallVector<int64_t> onnx::toStaticShape(ArrayRef<Dim> shape) {
  return llvm::map_to_vector(shape, [](const Dim &d) { return d.toStatic(); });
}

std::string onnx::toString(ArrayRef<Dim> shape) {
  std::string text = "[";
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(shape, os, [&](const Dim &dim) {
    if (dim.isConstant())
      os << dim.getConstant();
    else
      os << '?';
  });
  return text + "]";
}

Dim onnx::getNumElements(ArrayRef<Dim> shape) {
  Dim count(1);
  for (const Dim &dim : shape)
    count = count * dim;
  return count;
}

bool onnx::broadcastShapes(ArrayRef<Dim> a, ArrayRef<Dim> b, Shape &result) {
  if (a.size() < b.size())
    std::swap(a, b);
  result.assign(a.begin(), a.end());
  size_t offset = a.size() - b.size();
  for (auto [i, y] : llvm::enumerate(b)) {
    Dim &x = result[offset + i];
    if (y.isConstant(1) || x == y)
      continue;
    if (x.isConstant(1)) {
      x = y;
    } else if (x.isConstant() && y.isConstant()) {
      return false;
    } else if (y.isConstant()) {
      x = y;
    } else if (!x.isConstant()) {
      x = Dim();
    }
  }
  return true;
}

//===----------------------------------------------------------------------===//
// InferState
//===----------------------------------------------------------------------===//

std::optional<Shape> InferState::getShape(Value value) {
  auto type =
      dyn_cast_if_present<RankedTensorType>(getTensorPart(value.getType()));
  if (!type)
    return std::nullopt;
  // A size that is not known may differ from tensor to tensor.
  if (type != value.getType())
    return llvm::map_to_vector<4>(type.getShape(), [](int64_t size) {
      return ShapedType::isDynamic(size) ? Dim() : Dim(size);
    });
  Shape &shape = shapes[value];
  if (shape.size() != static_cast<size_t>(type.getRank()))
    shape.assign(type.getRank(), Dim());
  // The type may have become more precise since the shape was stored.
  for (auto [dim, size] : llvm::zip_equal(shape, type.getShape())) {
    if (!ShapedType::isDynamic(size))
      dim = Dim(size);
    else if (!dim.isKnown())
      dim = makeSymbol();
  }
  return shape;
}

void InferState::setShape(Value value, Shape shape) {
  shapes[value] = std::move(shape);
}

void InferState::setContents(Value value, Shape elements) {
  contents[value] = std::move(elements);
}

void InferState::forget(Operation *op) {
  for (Value result : op->getResults()) {
    shapes.erase(result);
    contents.erase(result);
  }
}

Dim InferState::getNamedSymbol(StringRef name) {
  for (auto &[known, dim] : named)
    if (known == name)
      return dim;
  named.emplace_back(name.str(), makeSymbol());
  return named.back().second;
}

std::optional<Shape> InferState::getContents(Value value) {
  auto it = contents.find(value);
  if (it != contents.end())
    return it->second;
  auto constant = value.getDefiningOp<ConstantOp>();
  if (!constant)
    return std::nullopt;
  ElementsAttr elements = constant.getElements();
  if (!elements || !elements.getElementType().isIntOrIndex() ||
      elements.getNumElements() > kMaxContents)
    return std::nullopt;
  FailureOr<ConstantData> data = ConstantData::get(
      elements, [&] { return mlir::emitError(constant.getLoc()); });
  if (failed(data))
    return std::nullopt;
  FailureOr<SmallVector<int64_t>> integers = data->getIntegers();
  if (failed(integers))
    return std::nullopt;
  Shape result(integers->begin(), integers->end());
  contents[value] = result;
  return result;
}

//===----------------------------------------------------------------------===//
// InferContext
//===----------------------------------------------------------------------===//

InferContext::InferContext(Operation *op, InferState &state)
    : op(op), state(state), shapes(op->getNumResults()),
      elementTypes(op->getNumResults()), containers(op->getNumResults()) {}

bool InferContext::hasOperand(unsigned index) const {
  return index < op->getNumOperands() &&
         !isa<NoneType>(op->getOperand(index).getType());
}

bool InferContext::hasResult(unsigned index) const {
  return index < op->getNumResults() &&
         !isa<NoneType>(op->getResult(index).getType());
}

std::optional<Shape> InferContext::getShape(unsigned operand) const {
  if (!hasOperand(operand))
    return std::nullopt;
  return state.getShape(op->getOperand(operand));
}

Type InferContext::getElementType(unsigned operand) const {
  if (!hasOperand(operand))
    return {};
  TensorType type = getTensorPart(op->getOperand(operand).getType());
  if (!type || isa<UnknownType>(type.getElementType()))
    return {};
  return type.getElementType();
}

std::optional<Shape> InferContext::getContents(unsigned operand) const {
  if (!hasOperand(operand))
    return std::nullopt;
  return state.getContents(op->getOperand(operand));
}

std::optional<SmallVector<int64_t>>
InferContext::getConstants(unsigned operand) const {
  std::optional<Shape> contents = getContents(operand);
  if (!contents ||
      !llvm::all_of(*contents, [](const Dim &dim) { return dim.isConstant(); }))
    return std::nullopt;
  return toStaticShape(*contents);
}

std::optional<int64_t> InferContext::normalizeAxis(int64_t axis,
                                                   int64_t rank) const {
  if (axis >= -rank && axis < rank)
    return axis < 0 ? axis + rank : axis;
  emitError() << "axis " << axis << " is out of range for rank " << rank
              << ": expected " << -rank << " to " << rank - 1;
  return std::nullopt;
}

LogicalResult InferContext::checkRank(StringRef what, ArrayRef<Dim> shape,
                                      int64_t minimum, int64_t maximum) const {
  int64_t rank = shape.size();
  if (rank >= minimum && rank <= maximum)
    return success();
  InFlightDiagnostic diagnostic = emitError();
  diagnostic << what << " has shape " << toString(shape) << ", expected rank "
             << minimum;
  if (maximum > minimum && maximum < INT_MAX)
    diagnostic << " to " << maximum;
  else if (maximum > minimum)
    diagnostic << " or more";
  return diagnostic;
}

void InferContext::setShape(unsigned result, Shape shape) {
  if (hasResult(result))
    shapes[result] = std::move(shape);
}

void InferContext::setRank(unsigned result, int64_t rank) {
  // More or fewer axes than a tensor can have: the rank stays unknown, which is
  // an error in the end.
  if (rank < 0 || rank > InferState::kMaxContents)
    return;
  setShape(result, Shape(rank, Dim()));
}

void InferContext::setElementType(unsigned result, Type type) {
  if (hasResult(result))
    elementTypes[result] = type;
}

void InferContext::setContainer(unsigned result, Type like) {
  if (hasResult(result) && !isa<TensorType>(like))
    containers[result] = like;
}

void InferContext::setContents(unsigned result, Shape contents) {
  if (hasResult(result) && contents.size() <= InferState::kMaxContents)
    state.setContents(op->getResult(result), std::move(contents));
}

InFlightDiagnostic InferContext::emitError() const {
  InFlightDiagnostic diagnostic = op->emitOpError();
  if (auto name = op->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr))
    diagnostic << "(layer '" << name.getValue() << "') ";
  return diagnostic;
}

//===----------------------------------------------------------------------===//
// Types of the results
//===----------------------------------------------------------------------===//

/// The element type that the signature gives result `index`; null if none.
static Type getSignatureType(InferContext &context, OpSignature signature,
                             unsigned index) {
  MLIRContext *ctx = context.getOperation()->getContext();
  char letter = signature.resultLetter(index);
  switch (letter) {
  case 'b':
    return IntegerType::get(ctx, 1);
  case 'i':
    return IntegerType::get(ctx, 32);
  case 'l':
    return IntegerType::get(ctx, 64);
  case 'f':
    return Float32Type::get(ctx);
  case 'u':
    return IntegerType::get(ctx, 8, IntegerType::Unsigned);
  case '.':
    return {};
  }
  for (unsigned i = 0, e = context.getOperation()->getNumOperands(); i < e; ++i)
    if (signature.operandLetter(i) == letter)
      if (Type type = context.getElementType(i))
        return type;
  return {};
}

void onnx::nameArgumentDims(FunctionOpInterface func, InferState &state) {
  for (BlockArgument argument : func.getArguments()) {
    auto names = func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                  ONNXDialect::kDimNamesAttr);
    std::optional<Shape> shape = state.getShape(argument);
    if (!names || !shape || names.size() != shape->size())
      continue;
    for (auto [dim, attr] : llvm::zip_equal(*shape, names))
      if (auto name = dyn_cast<StringAttr>(attr);
          name && !name.empty() && !dim.isConstant())
        dim = state.getNamedSymbol(name.getValue());
    state.setShape(argument, *shape);
  }
}

LogicalResult onnx::inferResultTypes(Operation *op, InferState &state,
                                     bool &changed) {
  auto iface = dyn_cast<ONNXOpInterface>(op);
  if (!iface)
    return success();
  InferContext context(op, state);
  if (failed(iface.inferShapes(context)))
    return failure();

  OpSignature signature = iface.getSignature();
  for (OpResult result : op->getResults()) {
    unsigned index = result.getResultNumber();
    Type current = result.getType();
    TensorType unknown = getUnknownTensorType(op->getContext());
    if (Type container = context.getResultContainer(index)) {
      if (current == unknown)
        current = container;
      else if (replaceTensorPart(current, unknown) !=
               replaceTensorPart(container, unknown))
        return context.emitError() << "result #" << index << " is " << container
                                   << ", but the model declares " << current;
    }
    TensorType oldType = getTensorPart(current);
    if (!oldType)
      continue;
    Type element = context.getResultElementType(index);
    if (!element)
      element = getSignatureType(context, signature, index);
    if (!element) {
      element = oldType.getElementType();
    } else if (!isa<UnknownType>(oldType.getElementType()) &&
               element != oldType.getElementType()) {
      return context.emitError()
             << "result #" << index << " has element type " << element
             << ", but the model declares " << oldType.getElementType();
    }

    std::optional<Shape> shape = context.getResultShape(index);
    std::optional<Shape> declared = state.getShape(result);
    if (shape && llvm::any_of(*shape, [](const Dim &dim) {
          return dim.isConstant() && dim.getConstant() < 0;
        }))
      return context.emitError()
             << "result #" << index << " has shape " << toString(*shape)
             << ", expected no negative size";
    if (shape && declared) {
      if (shape->size() != declared->size())
        return context.emitError()
               << "result #" << index << " has shape " << toString(*shape)
               << ", but the model declares " << toString(*declared);
      for (auto [dim, old] : llvm::zip_equal(*shape, *declared)) {
        if (dim.isConstant() && old.isConstant() && dim != old)
          return context.emitError()
                 << "result #" << index << " has shape " << toString(*shape)
                 << ", but the model declares " << toString(*declared);
        if (!dim.isKnown() || old.isConstant())
          dim = old;
      }
    } else if (!shape) {
      shape = declared;
    }

    TensorType type = UnrankedTensorType::get(element);
    if (shape && !isAddressable(toStaticShape(*shape)))
      return context.emitError()
             << "result #" << index << " has shape " << toString(*shape)
             << ", which is too large for 64 bits";
    if (shape)
      type = RankedTensorType::get(toStaticShape(*shape), element);
    current = replaceTensorPart(current, type);
    if (current != result.getType()) {
      result.setType(current);
      changed = true;
    }
    if (shape && current == type)
      state.setShape(result, std::move(*shape));
  }
  inferContents(op, state);
  return success();
}
