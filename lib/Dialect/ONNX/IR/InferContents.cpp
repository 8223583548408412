//===- InferContents.cpp - Elements of small integer tensors --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Exporters compute shapes with operators: Shape, Gather, Concat, Mul, ... This
// follows the elements of those small tensors, known or symbolic, so that a
// Reshape by them gets as many static sizes as possible.
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

using Contents = std::optional<Shape>;

/// The constant shape of a result, if it is small enough to track.
static std::optional<SmallVector<int64_t>> getResultShape(Operation *op) {
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!type || !type.hasStaticShape() ||
      type.getNumElements() > InferState::kMaxContents)
    return std::nullopt;
  return llvm::to_vector(type.getShape());
}

/// Where element `index` of a result of `shape` comes from in an operand of
/// shape `from` that broadcasts to it.
static int64_t getBroadcastIndex(int64_t index, ArrayRef<int64_t> shape,
                                 ArrayRef<int64_t> from) {
  int64_t result = 0, stride = 1;
  for (int64_t d = shape.size() - 1, s = from.size() - 1; s >= 0; --d, --s) {
    int64_t position = index % shape[d];
    index /= shape[d];
    result += (from[s] == 1 ? 0 : position) * stride;
    stride *= from[s];
  }
  return result;
}

/// Contents of every operand, repeated to the result's shape.
static std::optional<SmallVector<Shape>>
getBroadcastOperands(Operation *op, InferState &state) {
  std::optional<SmallVector<int64_t>> shape = getResultShape(op);
  if (!shape)
    return std::nullopt;
  int64_t count = ShapedType::getNumElements(*shape);
  SmallVector<Shape> result;
  for (Value operand : op->getOperands()) {
    Contents contents = state.getContents(operand);
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!contents || !type || !type.hasStaticShape() ||
        type.getNumElements() != static_cast<int64_t>(contents->size()) ||
        (contents->empty() && count > 0))
      return std::nullopt;
    Shape repeated;
    for (int64_t i = 0; i < count; ++i)
      repeated.push_back(
          (*contents)[getBroadcastIndex(i, *shape, type.getShape())]);
    result.push_back(std::move(repeated));
  }
  return result;
}

/// Applies `function` to the elements of all operands.
static Contents mapElements(Operation *op, InferState &state,
                            function_ref<Dim(ArrayRef<Dim>)> function) {
  auto operands = getBroadcastOperands(op, state);
  if (!operands || operands->empty())
    return std::nullopt;
  Shape result;
  for (size_t i = 0, e = operands->front().size(); i < e; ++i)
    result.push_back(function(llvm::map_to_vector(
        *operands, [&](const Shape &values) { return values[i]; })));
  return result;
}

/// As mapElements for a function of integers; unknown unless all are known.
static Contents mapConstants(Operation *op, InferState &state,
                             function_ref<Dim(ArrayRef<int64_t>)> function) {
  return mapElements(op, state, [&](ArrayRef<Dim> values) {
    SmallVector<int64_t, 3> constants;
    for (const Dim &value : values) {
      if (!value.isConstant())
        return Dim();
      constants.push_back(value.getConstant());
    }
    return function(constants);
  });
}

static Dim divide(const Dim &a, const Dim &b) {
  if (a.isConstant() && b.isConstant() && !b.isConstant(0))
    return a.getConstant() == INT64_MIN
               ? Dim()
               : Dim(a.getConstant() / b.getConstant());
  return a.exactDiv(b);
}

/// Python's remainder: the sign is the divisor's.
static Dim remainder(int64_t a, int64_t b) {
  if (b == 0 || b == -1)
    return b == 0 ? Dim() : Dim(0);
  int64_t rest = a % b;
  return Dim(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

static Contents getShapeContents(ShapeOp op, InferState &state) {
  std::optional<Shape> shape = state.getShape(op.getData());
  if (!shape)
    return std::nullopt;
  int64_t rank = shape->size();
  auto clamp = [&](int64_t position) {
    return std::clamp<int64_t>(position < 0 ? position + rank : position, 0,
                               rank);
  };
  int64_t start = clamp(op.getStart()), end = clamp(op.getEnd().value_or(rank));
  if (start >= end)
    return Shape();
  return Shape(shape->begin() + start, shape->begin() + end);
}

static Contents getGatherContents(GatherOp op, InferState &state) {
  Contents data = state.getContents(op.getData()),
           indices = state.getContents(op.getIndices());
  auto type = dyn_cast<RankedTensorType>(op.getData().getType());
  if (!data || !indices || !type || type.getRank() != 1)
    return std::nullopt;
  Shape result;
  int64_t size = data->size();
  for (const Dim &index : *indices) {
    if (!index.isConstant() || index.getConstant() < -size ||
        index.getConstant() >= size)
      return std::nullopt;
    int64_t i = index.getConstant();
    result.push_back((*data)[i < 0 ? i + size : i]);
  }
  return result;
}

static Contents getSliceContents(SliceOp op, InferState &state) {
  Contents data = state.getContents(op.getData());
  auto type = dyn_cast<RankedTensorType>(op.getData().getType());
  auto result = getResultShape(op);
  if (!data || !type || type.getRank() != 1 || !result)
    return std::nullopt;
  Contents start = state.getContents(op.getStarts());
  Contents step = isa<NoneType>(op.getSteps().getType())
                      ? Shape{Dim(1)}
                      : state.getContents(op.getSteps());
  if (!start || !step || start->size() != 1 || step->size() != 1 ||
      !(*start)[0].isConstant() || !(*step)[0].isConstant())
    return std::nullopt;
  int64_t size = data->size(), stride = (*step)[0].getConstant();
  int64_t position = (*start)[0].getConstant();
  position = position < 0 ? position + size : position;
  position = std::clamp<int64_t>(position, 0, stride < 0 ? size - 1 : size);
  Shape elements;
  for (int64_t i = 0; i < (*result)[0]; ++i, position += stride) {
    if (position < 0 || position >= size)
      return std::nullopt;
    elements.push_back((*data)[position]);
  }
  return elements;
}

static Contents getConcatContents(ConcatOp op, InferState &state) {
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!type || type.getRank() != 1)
    return std::nullopt;
  Shape result;
  for (Value input : op.getInputs()) {
    Contents contents = state.getContents(input);
    if (!contents) {
      // The elements beside it may still be known.
      auto inputType = dyn_cast<RankedTensorType>(input.getType());
      if (!inputType || !inputType.hasStaticShape() ||
          inputType.getNumElements() > InferState::kMaxContents)
        return std::nullopt;
      contents = Shape(inputType.getNumElements(), Dim());
    }
    result.append(*contents);
  }
  return result;
}

static Contents getFilledContents(ConstantOfShapeOp op, InferState &state) {
  auto shape = getResultShape(op);
  auto value = dyn_cast_if_present<DenseIntElementsAttr>(op.getValueAttr());
  if (!shape || !value || value.getNumElements() != 1)
    return std::nullopt;
  bool isUnsigned = value.getElementType().isUnsignedInteger();
  APInt element = *value.value_begin<APInt>();
  return Shape(ShapedType::getNumElements(*shape),
               isUnsigned ? Dim(element.getLimitedValue(INT64_MAX))
                          : Dim(element.getSExtValue()));
}

static Contents getTransposeContents(TransposeOp op, InferState &state) {
  Contents data = state.getContents(op.getData());
  auto type = dyn_cast<RankedTensorType>(op.getData().getType());
  auto shape = getResultShape(op);
  if (!data || !type || !shape || !type.hasStaticShape())
    return std::nullopt;
  int64_t rank = type.getRank();
  SmallVector<int64_t> perm;
  for (int64_t i = 0; i < rank; ++i)
    perm.push_back(op.getPerm() ? (*op.getPerm())[i] : rank - 1 - i);
  SmallVector<int64_t> strides(rank, 1);
  for (int64_t i = rank - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * type.getDimSize(i + 1);
  Shape result;
  for (int64_t i = 0, e = data->size(); i < e; ++i) {
    int64_t rest = i, from = 0;
    for (int64_t d = rank - 1; d >= 0; --d) {
      from += rest % (*shape)[d] * strides[perm[d]];
      rest /= (*shape)[d];
    }
    result.push_back((*data)[from]);
  }
  return result;
}

static Contents getRangeContents(RangeOp op, InferState &state) {
  Contents start = state.getContents(op.getStart()),
           delta = state.getContents(op.getDelta());
  auto shape = getResultShape(op);
  if (!start || !delta || !shape || start->size() != 1 || delta->size() != 1)
    return std::nullopt;
  Shape result;
  Dim value = (*start)[0];
  for (int64_t i = 0; i < (*shape)[0]; ++i, value = value + (*delta)[0])
    result.push_back(value);
  return result;
}

/// Product over all elements: sizes are often computed so.
static Contents getProductContents(ReduceProdOp op, InferState &state) {
  Contents data = state.getContents(op.getData());
  auto shape = getResultShape(op);
  if (!data || !shape || ShapedType::getNumElements(*shape) != 1)
    return std::nullopt;
  return Shape{getNumElements(*data)};
}

static Contents getCastContents(CastOp op, InferState &state) {
  Contents data = state.getContents(op.getInput());
  auto type = dyn_cast<TensorType>(op.getType());
  auto from = dyn_cast<TensorType>(op.getInput().getType());
  if (!data || !type || !from || !type.getElementType().isIntOrIndex())
    return std::nullopt;
  unsigned width = type.getElementTypeBitWidth();
  bool isUnsigned = type.getElementType().isUnsignedInteger();
  for (Dim &dim : *data) {
    if (!dim.isConstant())
      continue;
    int64_t value = dim.getConstant();
    if (width == 1)
      dim = Dim(value != 0);
    else if (isUnsigned ? width < 64 && !llvm::isUIntN(width, value)
                        : !llvm::isIntN(width, value))
      dim = Dim(); // wraps around: leave it to run time
  }
  return data;
}

static void setSplitContents(SplitOp op, InferState &state) {
  Contents data = state.getContents(op.getInput());
  auto type = dyn_cast<RankedTensorType>(op.getInput().getType());
  if (!data || !type || type.getRank() != 1)
    return;
  size_t position = 0;
  for (Value output : op.getOutputs()) {
    auto part = dyn_cast<RankedTensorType>(output.getType());
    if (!part || !part.hasStaticShape() ||
        position + part.getNumElements() > data->size())
      return;
    state.setContents(output,
                      Shape(data->begin() + position,
                            data->begin() + position + part.getNumElements()));
    position += part.getNumElements();
  }
}

void onnx::inferContents(Operation *op, InferState &state) {
  if (op->getNumResults() == 0)
    return;
  if (auto split = dyn_cast<SplitOp>(op))
    return setSplitContents(split, state);
  auto type = dyn_cast<TensorType>(op->getResult(0).getType());
  if (!type || !type.getElementType().isIntOrIndex())
    return;

  auto same = [&]() { return state.getContents(op->getOperand(0)); };
  auto compare = [&](auto predicate) {
    return mapConstants(op, state, [&](ArrayRef<int64_t> v) {
      return Dim(predicate(v[0], v[1]));
    });
  };
  Contents contents =
      TypeSwitch<Operation *, Contents>(op)
          .Case([&](ShapeOp shape) { return getShapeContents(shape, state); })
          .Case([&](SizeOp size) -> Contents {
            std::optional<Shape> shape = state.getShape(size.getData());
            return shape ? Contents(Shape{getNumElements(*shape)})
                         : std::nullopt;
          })
          .Case<IdentityOp, ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp>(
              [&](auto) { return same(); })
          .Case([&](CastOp cast) { return getCastContents(cast, state); })
          .Case(
              [&](GatherOp gather) { return getGatherContents(gather, state); })
          .Case([&](SliceOp slice) { return getSliceContents(slice, state); })
          .Case(
              [&](ConcatOp concat) { return getConcatContents(concat, state); })
          .Case([&](TransposeOp op) { return getTransposeContents(op, state); })
          .Case([&](RangeOp range) { return getRangeContents(range, state); })
          .Case([&](ConstantOfShapeOp fill) {
            return getFilledContents(fill, state);
          })
          .Case([&](ReduceProdOp prod) {
            return getProductContents(prod, state);
          })
          .Case([&](ExpandOp) -> Contents {
            auto shape = getResultShape(op);
            auto data = state.getContents(op->getOperand(0));
            auto from = dyn_cast<RankedTensorType>(op->getOperand(0).getType());
            if (!shape || !data || !from || !from.hasStaticShape())
              return std::nullopt;
            Shape result;
            for (int64_t i = 0, e = ShapedType::getNumElements(*shape); i < e;
                 ++i)
              result.push_back(
                  (*data)[getBroadcastIndex(i, *shape, from.getShape())]);
            return result;
          })
          .Case([&](AddOp) {
            return mapElements(op, state,
                               [](ArrayRef<Dim> v) { return v[0] + v[1]; });
          })
          .Case([&](SubOp) {
            return mapElements(op, state,
                               [](ArrayRef<Dim> v) { return v[0] - v[1]; });
          })
          .Case([&](MulOp) {
            return mapElements(op, state,
                               [](ArrayRef<Dim> v) { return v[0] * v[1]; });
          })
          .Case([&](DivOp) {
            return mapElements(
                op, state, [](ArrayRef<Dim> v) { return divide(v[0], v[1]); });
          })
          .Case([&](ModOp mod) {
            return mapConstants(op, state, [&](ArrayRef<int64_t> v) {
              return mod.getFmod() ? Dim() : remainder(v[0], v[1]);
            });
          })
          .Case([&](NegOp) {
            return mapElements(op, state,
                               [](ArrayRef<Dim> v) { return v[0] * Dim(-1); });
          })
          .Case([&](AbsOp) {
            return mapConstants(op, state, [](ArrayRef<int64_t> v) {
              return v[0] == INT64_MIN ? Dim() : Dim(std::abs(v[0]));
            });
          })
          .Case([&](MaxOp) {
            return mapConstants(op, state, [](ArrayRef<int64_t> v) {
              return Dim(*llvm::max_element(v));
            });
          })
          .Case([&](MinOp) {
            return mapConstants(op, state, [](ArrayRef<int64_t> v) {
              return Dim(*llvm::min_element(v));
            });
          })
          .Case([&](WhereOp) {
            return mapElements(op, state, [](ArrayRef<Dim> v) {
              if (v[0].isConstant())
                return v[0].getConstant() ? v[1] : v[2];
              return v[1] == v[2] ? v[1] : Dim();
            });
          })
          .Case([&](EqualOp) {
            return mapElements(op, state, [](ArrayRef<Dim> v) {
              if (v[0] == v[1])
                return Dim(1);
              return v[0].isConstant() && v[1].isConstant() ? Dim(0) : Dim();
            });
          })
          .Case([&](LessOp) { return compare(std::less<int64_t>()); })
          .Case([&](GreaterOp) { return compare(std::greater<int64_t>()); })
          .Case([&](LessOrEqualOp) {
            return compare(std::less_equal<int64_t>());
          })
          .Case([&](GreaterOrEqualOp) {
            return compare(std::greater_equal<int64_t>());
          })
          .Case([&](AndOp) {
            return compare([](int64_t a, int64_t b) { return a && b; });
          })
          .Case([&](OrOp) {
            return compare([](int64_t a, int64_t b) { return a || b; });
          })
          .Case([&](NotOp) {
            return mapConstants(
                op, state, [](ArrayRef<int64_t> v) { return Dim(v[0] == 0); });
          })
          .Default([](Operation *) { return std::nullopt; });
  if (!contents ||
      contents->size() > static_cast<size_t>(InferState::kMaxContents))
    return;
  // The number of elements must be the type's: what did not match before is a
  // contradiction that the shapes report.
  auto ranked = dyn_cast<RankedTensorType>(type);
  if (ranked && ranked.hasStaticShape() &&
      ranked.getNumElements() != static_cast<int64_t>(contents->size()))
    return;
  state.setContents(op->getResult(0), std::move(*contents));
}
