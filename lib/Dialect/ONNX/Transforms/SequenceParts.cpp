//===- SequenceParts.cpp - Sequences as tensors ---------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SequenceParts.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

SmallVector<Value> Parts::getValues() const {
  SmallVector<Value> values = {data, shapes};
  if (present)
    values.push_back(present);
  return values;
}

SmallVector<Type> Parts::getTypes(Type type) {
  MLIRContext *context = type.getContext();
  TensorType tensor = getTensorPart(type);
  int64_t rank = tensor.hasRank() ? tensor.getRank() : 0;
  SmallVector<Type> types = {
      RankedTensorType::get({ShapedType::kDynamic}, tensor.getElementType()),
      RankedTensorType::get({ShapedType::kDynamic, rank},
                            IntegerType::get(context, 64))};
  if (auto optional = dyn_cast<OptionalType>(type);
      optional && isa<SeqType>(optional.getElementType()))
    types.push_back(RankedTensorType::get({}, IntegerType::get(context, 1)));
  return types;
}

//===----------------------------------------------------------------------===//
// Operations on tensors
//===----------------------------------------------------------------------===//

template <typename OpTy, typename... Args>
Value SequenceBuilder::make(Args &&...args) {
  return OpTy::create(b, loc, getUnknownTensorType(b.getContext()),
                      std::forward<Args>(args)...);
}

Value SequenceBuilder::makeBool(bool value) {
  auto type = RankedTensorType::get({}, b.getI1Type());
  return ConstantOp::create(b, loc, DenseElementsAttr::get(type, value));
}

Value SequenceBuilder::makeInteger(int64_t value) {
  auto type = RankedTensorType::get({}, b.getI64Type());
  return ConstantOp::create(b, loc, DenseElementsAttr::get(type, value));
}

Value SequenceBuilder::makeIntegers(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    b.getI64Type());
  return ConstantOp::create(b, loc, DenseElementsAttr::get(type, values));
}

Value SequenceBuilder::makeNone() {
  return NoValueOp::create(b, loc, b.getNoneType());
}

Value SequenceBuilder::asVector(Value scalar) {
  return make<ReshapeOp>(scalar, makeIntegers({1}));
}

Value SequenceBuilder::gather(Value data, Value index) {
  return make<onnx::GatherOp>(data, index);
}

Value SequenceBuilder::slice(Value data, Value begin, Value end, int64_t axis) {
  return make<SliceOp>(data, asVector(begin), asVector(end),
                       makeIntegers({axis}), makeNone());
}

Value SequenceBuilder::joined(ArrayRef<Value> values, int64_t axis) {
  return make<ConcatOp>(ValueRange(values), axis);
}

Value SequenceBuilder::flat(Value tensor) {
  return make<ReshapeOp>(tensor, asVector(make<SizeOp>(tensor)));
}

Value SequenceBuilder::row(Value tensor) {
  Value shape = make<ShapeOp>(tensor, /*start=*/0, /*end=*/IntegerAttr());
  return make<UnsqueezeOp>(shape, makeIntegers({0}));
}

/// Where each tensor ends in the data.
Value SequenceBuilder::ends(Parts &parts) {
  Value sizes = make<ReduceProdOp>(parts.shapes, makeIntegers({1}),
                                   /*keepdims=*/0,
                                   /*noop_with_empty_axes=*/0);
  return make<CumSumOp>(sizes, makeInteger(0));
}

ValueRange SequenceBuilder::loop(Value count, ValueRange carried, Body body) {
  OperationState state(loc, LoopOp::getOperationName());
  state.addOperands({count, makeNone()});
  state.addOperands(carried);
  state.addTypes(
      SmallVector<Type>(carried.size(), getUnknownTensorType(b.getContext())));
  Region *region = state.addRegion();
  OpBuilder::InsertionGuard guard(b);
  OpBuilder::InsertPoint outside = b.saveInsertionPoint();
  Block *block = b.createBlock(region);
  auto scalar = [&](Type type) {
    return block->addArgument(RankedTensorType::get({}, type), loc);
  };
  Value index = scalar(b.getI64Type()), go = scalar(b.getI1Type());
  SmallVector<Value> arguments;
  for (Value value : carried)
    arguments.push_back(block->addArgument(value.getType(), loc));
  SmallVector<Value> yielded = {go};
  yielded.append(body(index, arguments));
  YieldOp::create(b, loc, yielded);
  b.restoreInsertionPoint(outside);
  return b.create(state)->getResults();
}

//===----------------------------------------------------------------------===//
// Operations on sequences
//===----------------------------------------------------------------------===//

Parts SequenceBuilder::makeEmpty(Type type) {
  Parts parts;
  parts.list.emplace();
  parts.type = getTensorPart(type);
  return parts;
}

void SequenceBuilder::materialize(Parts &parts) {
  if (parts.data)
    return;
  auto makeNothing = [&](ArrayRef<int64_t> shape, Type element) -> Value {
    return ConstantOp::create(
        b, loc,
        cast<ElementsAttr>(Attribute(DenseElementsAttr::get(
            RankedTensorType::get(shape, element), ArrayRef<Attribute>()))));
  };
  SmallVector<Value> data, shapes;
  for (Value tensor : *parts.list) {
    data.push_back(flat(tensor));
    shapes.push_back(row(tensor));
  }
  if (data.empty()) {
    data.push_back(makeNothing({0}, parts.type.getElementType()));
    shapes.push_back(makeNothing({0, parts.getRank()}, b.getI64Type()));
  }
  parts.data = joined(data);
  parts.shapes = joined(shapes);
}

Value SequenceBuilder::getLength(Parts &parts) {
  if (parts.list)
    return makeInteger(parts.list->size());
  Value shape = make<ShapeOp>(parts.shapes, /*start=*/0, /*end=*/IntegerAttr());
  return gather(shape, makeInteger(0));
}

/// A constant position in a list of `count` places, if it is in range.
std::optional<int64_t> SequenceBuilder::getPosition(const Parts &parts,
                                                    Value position,
                                                    int64_t count) {
  DenseIntElementsAttr attr;
  if (!parts.list || !matchPattern(position, m_Constant(&attr)) ||
      attr.getNumElements() != 1)
    return std::nullopt;
  int64_t index = (*attr.value_begin<APInt>()).getSExtValue();
  index = index < 0 ? index + static_cast<int64_t>(parts.list->size()) : index;
  if (index < 0 || index >= count)
    return std::nullopt;
  return index;
}

/// Positions are scalars of i32 or i64, or tensors of one element.
Value SequenceBuilder::toScalar(Value position) {
  return make<ReshapeOp>(make<CastOp>(position, /*to=*/7), makeIntegers({}));
}

Value SequenceBuilder::getAt(Parts &parts, Value position) {
  if (parts.list)
    if (auto index = getPosition(parts, position, parts.list->size()))
      return (*parts.list)[*index];
  materialize(parts);
  Value at = toScalar(position);
  Value shape = gather(parts.shapes, at);
  Value end = gather(ends(parts), at);
  Value size = make<ReduceProdOp>(shape, makeIntegers({0}), /*keepdims=*/0,
                                  /*noop_with_empty_axes=*/0);
  Value elements = slice(parts.data, make<SubOp>(end, size), end);
  return ReshapeOp::create(b, loc, parts.type, elements, shape,
                           /*allowzero=*/1);
}

Parts SequenceBuilder::insert(Parts parts, Value tensor, Value position) {
  if (parts.list) {
    int64_t count = parts.list->size();
    std::optional<int64_t> index = count;
    if (position)
      index = getPosition(parts, position, count + 1);
    if (index) {
      parts.list->insert(parts.list->begin() + *index, tensor);
      parts.data = parts.shapes = Value();
      return parts;
    }
  }
  materialize(parts);
  Value data = flat(tensor), shapes = row(tensor);
  if (!position) {
    data = joined({parts.data, data});
    shapes = joined({parts.shapes, shapes});
  } else {
    Value at = toScalar(position), zero = makeInteger(0);
    Value length = getLength(parts), most = makeInteger(INT64_MAX);
    at = make<WhereOp>(make<LessOp>(at, zero), make<AddOp>(at, length), at);
    // Where each place begins; one after the last tensor is a place, too.
    Value begins = joined({makeIntegers({0}), ends(parts)});
    Value begin = gather(begins, at);
    data = joined(
        {slice(parts.data, zero, begin), data, slice(parts.data, begin, most)});
    shapes = joined(
        {slice(parts.shapes, zero, at), shapes, slice(parts.shapes, at, most)});
  }
  parts.list.reset();
  parts.data = data;
  parts.shapes = shapes;
  return parts;
}

Parts SequenceBuilder::erase(Parts parts, Value position) {
  if (parts.list && !parts.list->empty()) {
    int64_t count = parts.list->size();
    std::optional<int64_t> index = count - 1;
    if (position)
      index = getPosition(parts, position, count);
    if (index) {
      parts.list->erase(parts.list->begin() + *index);
      parts.data = parts.shapes = Value();
      return parts;
    }
  }
  materialize(parts);
  parts.list.reset();
  Value zero = makeInteger(0), one = makeInteger(1);
  Value most = makeInteger(INT64_MAX), length = getLength(parts);
  Value at = position ? toScalar(position) : makeInteger(-1);
  Value end = gather(ends(parts), at);
  at = make<WhereOp>(make<LessOp>(at, zero), make<AddOp>(at, length), at);
  Value begin = gather(joined({makeIntegers({0}), ends(parts)}), at);
  Value data =
      joined({slice(parts.data, zero, begin), slice(parts.data, end, most)});
  parts.shapes = joined({slice(parts.shapes, zero, at),
                         slice(parts.shapes, make<AddOp>(at, one), most)});
  parts.data = data;
  return parts;
}

Parts SequenceBuilder::split(SplitToSequenceOp op) {
  Parts parts = makeEmpty(op.getOutputSequence().getType());
  Value input = op.getInput();
  auto type = cast<RankedTensorType>(input.getType());
  int64_t axis = op.getAxis() + (op.getAxis() < 0 ? type.getRank() : 0);
  bool hasSizes = !isa<NoneType>(op.getSplit().getType());
  bool drops = !hasSizes && !op.getKeepdims();
  int64_t size = type.getDimSize(axis);
  SmallVector<int64_t> sizes;
  DenseIntElementsAttr given;
  if (!hasSizes && !ShapedType::isDynamic(size)) {
    sizes.assign(size, 1);
  } else if (hasSizes && matchPattern(op.getSplit(), m_Constant(&given))) {
    for (APInt value : given.getValues<APInt>())
      sizes.push_back(value.getSExtValue());
    if (given.getType().getRank() == 0 && sizes[0] > 0 &&
        !ShapedType::isDynamic(size)) {
      int64_t part = sizes[0];
      sizes.clear();
      for (int64_t begin = 0; begin < size; begin += part)
        sizes.push_back(std::min(part, size - begin));
    } else if (given.getType().getRank() == 0) {
      sizes.clear();
    }
  }
  if (!sizes.empty()) {
    OperationState state(loc, SplitOp::getOperationName());
    state.addOperands({input, makeIntegers(sizes)});
    state.addAttribute("axis", b.getI64IntegerAttr(axis));
    state.addTypes(
        SmallVector<Type>(sizes.size(), getUnknownTensorType(b.getContext())));
    for (Value part : b.create(state)->getResults())
      parts.list->push_back(drops ? make<SqueezeOp>(part, makeIntegers({axis}))
                                  : part);
    return parts;
  }
  // The number of parts is known at run time only.
  Value whole = gather(make<ShapeOp>(input, /*start=*/0, /*end=*/IntegerAttr()),
                       makeInteger(axis));
  Value one = makeInteger(1), part = one, count = whole;
  bool isList = hasSizes &&
                cast<RankedTensorType>(op.getSplit().getType()).getRank() == 1;
  if (hasSizes)
    part = make<CastOp>(op.getSplit(), /*to=*/7);
  if (isList)
    count = make<SizeOp>(part);
  else if (hasSizes)
    count = make<DivOp>(make<SubOp>(make<AddOp>(whole, part), one), part);
  materialize(parts);
  ValueRange results =
      loop(count, {parts.data, parts.shapes, makeInteger(0)},
           [&](Value index, ValueRange carried) -> SmallVector<Value> {
             Value begin = carried[2];
             Value width = isList ? gather(part, index) : part;
             Value end = make<AddOp>(begin, width);
             Value tensor = drops ? make<onnx::GatherOp>(input, index, axis)
                                  : slice(input, begin, end, axis);
             return {joined({carried[0], flat(tensor)}),
                     joined({carried[1], row(tensor)}), end};
           });
  parts.list.reset();
  parts.data = results[0];
  parts.shapes = results[1];
  return parts;
}

Value SequenceBuilder::concat(Parts &parts, int64_t axis, bool newAxis) {
  int64_t rank = parts.getRank() + (newAxis ? 1 : 0);
  axis = axis < 0 ? axis + rank : axis;
  if (parts.list && !parts.list->empty()) {
    SmallVector<Value> tensors = *parts.list;
    if (newAxis)
      for (Value &tensor : tensors)
        tensor = make<UnsqueezeOp>(tensor, makeIntegers({axis}));
    return joined(tensors, axis);
  }
  materialize(parts);
  auto tensorAt = [&](Value index) {
    Value tensor = getAt(parts, index);
    return newAxis ? make<UnsqueezeOp>(tensor, makeIntegers({axis})) : tensor;
  };
  parts.list.reset();
  Value one = makeInteger(1);
  Value count = make<SubOp>(getLength(parts), one);
  return loop(count, tensorAt(makeInteger(0)),
              [&](Value index, ValueRange carried) -> SmallVector<Value> {
                Value next = tensorAt(make<AddOp>(index, one));
                return {joined({carried[0], next}, axis)};
              })[0];
}

SmallVector<Parts>
SequenceBuilder::map(SequenceMapOp op,
                     ArrayRef<std::optional<Parts>> operands) {
  Block &body = op.getBody().front();
  SmallVector<std::optional<Parts>> inputs(operands);
  SmallVector<Parts> outputs;
  for (Type type : op.getResultTypes())
    outputs.push_back(makeEmpty(type));
  // Copies the body for one place of the sequences; returns its outputs.
  auto copyBody = [&](Value position) {
    IRMapping mapping;
    for (auto [i, argument] : llvm::enumerate(body.getArguments())) {
      std::optional<Parts> parts = inputs[i];
      mapping.map(argument,
                  parts ? getAt(*parts, position) : op.getInputs()[i]);
    }
    for (Operation &inner : body.without_terminator())
      b.clone(inner, mapping);
    return llvm::map_to_vector(
        body.getTerminator()->getOperands(),
        [&](Value value) { return mapping.lookupOrDefault(value); });
  };
  bool known = llvm::all_of(
      inputs, [](const auto &parts) { return !parts || parts->list; });
  if (known) {
    Parts &first = *inputs[0];
    for (size_t i = 0; i < first.list->size(); ++i)
      for (auto [parts, value] :
           llvm::zip(outputs, copyBody(makeInteger(static_cast<int64_t>(i)))))
        parts.list->push_back(value);
    return outputs;
  }
  for (std::optional<Parts> &parts : inputs)
    if (parts)
      materialize(*parts);
  SmallVector<Value> carried;
  for (Parts &parts : outputs) {
    materialize(parts);
    carried.append({parts.data, parts.shapes});
  }
  ValueRange results =
      loop(getLength(*inputs[0]), carried,
           [&](Value index, ValueRange values) -> SmallVector<Value> {
             SmallVector<Value> next;
             for (auto [i, tensor] : llvm::enumerate(copyBody(index)))
               next.append({joined({values[2 * i], flat(tensor)}),
                            joined({values[2 * i + 1], row(tensor)})});
             return next;
           });
  for (auto [i, parts] : llvm::enumerate(outputs)) {
    parts.list.reset();
    parts.data = results[2 * i];
    parts.shapes = results[2 * i + 1];
  }
  return outputs;
}
