//===- Gradients.cpp - Derivatives of elementwise operators and movement -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Gradients.h"
#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

bool GradientWriter::refuse(const Twine &reason) {
  auto name = op->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr);
  op->emitError() << op->getName().stripDialect()
                  << (name ? " '" + name.getValue().str() + "'" : "")
                  << " has no derivative: " << reason;
  refused = true;
  return true;
}

Value GradientWriter::sumTo(Value x, Value from, Value to) {
  RankedTensorType large = typeOf(from), small = typeOf(to);
  int64_t extra = large.getRank() - small.getRank();
  SmallVector<int64_t> axes;
  for (int64_t i = 0; i < large.getRank(); ++i)
    if (i < extra ||
        (small.getDimSize(i - extra) == 1 && large.getDimSize(i) != 1))
      axes.push_back(i);
  if (axes.empty())
    return x;
  // The Reshape fails at run time if a dimension that is not known was
  // repeated.
  return reshapeLike(sum(x, axes, /*keep=*/true), to);
}

Value GradientWriter::zerosLike(Value x) {
  Type element = typeOf(x).getElementType();
  auto type = RankedTensorType::get({1}, element);
  return emit("ConstantOfShape", shapeOf(x),
              b.getNamedAttr("value", DenseElementsAttr::get(
                                          type, b.getZeroAttr(element))));
}

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

bool GradientWriter::writeUnary(StringRef name) {
  Value x = in(0), y = out();
  auto set = [&](Value value) {
    result[0] = value;
    return true;
  };
  if (name == "Identity" || name == "Dropout")
    return set(g());
  if (name == "Cast") {
    Type from = typeOf(x).getElementType();
    return isa<FloatType>(from)
               ? set(emit("Cast", g(), attr("to", getONNXType(from))))
               : refuse("its operand has no real numbers");
  }
  if (name == "Neg")
    return set(emit("Neg", g()));
  if (name == "Exp")
    return set(mul(g(), y));
  if (name == "Log")
    return set(div(g(), x));
  if (name == "Sqrt")
    return set(div(g(), mul(y, 2.0)));
  if (name == "Reciprocal")
    return set(emit("Neg", mul(g(), mul(y, y))));
  if (name == "Abs")
    return set(mul(g(), emit("Sign", x)));
  if (name == "Sin")
    return set(mul(g(), emit("Cos", x)));
  if (name == "Cos")
    return set(emit("Neg", mul(g(), emit("Sin", x))));
  if (name == "Erf")
    return set(mul(
        g(), mul(emit("Exp", emit("Neg", mul(x, x))), 2.0 / std::sqrt(M_PI))));
  if (name == "Sigmoid")
    return set(mul(g(), sub(y, mul(y, y))));
  if (name == "Tanh")
    return set(sub(g(), mul(g(), mul(y, y))));
  if (name == "Softplus")
    return set(mul(g(), emit("Sigmoid", x)));
  if (name == "Relu")
    return set(keepWhere(emit("Greater", {x, zero()})));
  if (name == "LeakyRelu")
    return set(emit("Where", {emit("Greater", {x, zero()}), g(),
                              mul(g(), getReal("alpha", 0.01f))}));
  if (name == "Elu")
    return set(emit("Where", {emit("Greater", {x, zero()}), g(),
                              mul(g(), add(y, getReal("alpha", 1.0f)))}));
  if (name == "HardSigmoid") {
    Value inside = emit("And", {emit("Greater", {y, zero()}),
                                emit("Less", {y, scalar(1.0, x)})});
    return set(mul(keepWhere(inside), getReal("alpha", 0.2f)));
  }
  if (name == "HardSwish") {
    // x / 3 + 1/2 in (-3, 3), 1 above, 0 below.
    Value slope = add(mul(x, 1.0 / 3.0), 0.5);
    Value above = emit(
        "Where", {emit("Less", {x, scalar(3.0, x)}), slope, scalar(1.0, x)});
    return set(mul(g(), emit("Where", {emit("Greater", {x, scalar(-3.0, x)}),
                                       above, zero()})));
  }
  if (name == "Swish") {
    float alpha = getReal("alpha", 1.0f);
    Value s = emit("Sigmoid", alpha == 1.0f ? x : mul(x, alpha));
    // d(x s) = s + alpha x s (1 - s)
    Value slope = add(s, mul(mul(y, alpha), sub(scalar(1.0, x), s)));
    return set(mul(g(), slope));
  }
  if (name == "Gelu") {
    auto approximate = op->getAttrOfType<StringAttr>("approximate");
    if (approximate && approximate.getValue() == "tanh") {
      double c = std::sqrt(2.0 / M_PI);
      Value square = mul(x, x);
      Value t = emit("Tanh", mul(mul(x, add(mul(square, 0.044715), 1.0)), c));
      Value inner = mul(add(mul(square, 3 * 0.044715), 1.0), c);
      Value slope = mul(mul(x, sub(scalar(1.0, x), mul(t, t))), inner);
      return set(mul(g(), mul(add(add(t, 1.0), slope), 0.5)));
    }
    Value phi = mul(add(emit("Erf", mul(x, std::sqrt(0.5))), 1.0), 0.5);
    Value density =
        mul(emit("Exp", mul(mul(x, x), -0.5)), 1.0 / std::sqrt(2.0 * M_PI));
    return set(mul(g(), add(phi, mul(x, density))));
  }
  if (name == "Clip") {
    Value kept = g();
    for (unsigned i : {1u, 2u})
      if (i < op->getNumOperands() && has(in(i))) {
        if (isActive(i))
          return refuse("a bound of it depends on a variable");
        kept = emit("Where", {emit(i == 1 ? "Less" : "Greater", {x, in(i)}),
                              zero(), kept});
      }
    return set(kept);
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Operands that are broadcast
//===----------------------------------------------------------------------===//

bool GradientWriter::writeBinary(StringRef name) {
  auto set = [&](unsigned i, llvm::function_ref<Value()> value) {
    if (isActive(i))
      result[i] = sumTo(value(), out(), in(i));
  };
  unsigned n = op->getNumOperands();
  if (name == "Add" || name == "Sum") {
    for (unsigned i = 0; i < n; ++i)
      set(i, [&] { return g(); });
    return true;
  }
  if (name == "Mean") {
    for (unsigned i = 0; i < n; ++i)
      set(i, [&] { return mul(g(), 1.0 / n); });
    return true;
  }
  if (name == "Sub") {
    set(0, [&] { return g(); });
    set(1, [&] { return emit("Neg", g()); });
    return true;
  }
  if (name == "Mul") {
    set(0, [&] { return mul(g(), in(1)); });
    set(1, [&] { return mul(g(), in(0)); });
    return true;
  }
  if (name == "Div") {
    set(0, [&] { return div(g(), in(1)); });
    set(1, [&] { return emit("Neg", div(mul(g(), out()), in(1))); });
    return true;
  }
  if (name == "Pow") {
    if (isActive(1))
      return refuse("its exponent depends on a variable");
    Type element = typeOf(in(0)).getElementType();
    Value y = typeOf(in(1)).getElementType() == element
                  ? in(1)
                  : emit("Cast", in(1), attr("to", getONNXType(element)));
    set(0, [&] {
      Value below = emit("Pow", {in(0), sub(y, scalar(1.0, in(0)))});
      return mul(g(), mul(y, below));
    });
    return true;
  }
  if ((name == "Max" || name == "Min") && n == 2) {
    // Of equal operands the first has it all.
    Value first =
        emit(name == "Max" ? "GreaterOrEqual" : "LessOrEqual", {in(0), in(1)});
    set(0, [&] { return keepWhere(first); });
    set(1, [&] { return emit("Where", {first, zero(), g()}); });
    return true;
  }
  if (name == "Where") {
    auto none = [&] { return scalar(0.0, in(1)); };
    set(1, [&] { return emit("Where", {in(0), g(), none()}); });
    set(2, [&] { return emit("Where", {in(0), none(), g()}); });
    return true;
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Movement
//===----------------------------------------------------------------------===//

bool GradientWriter::writeSlice() {
  RankedTensorType from = typeOf(in(0)), to = typeOf(out());
  auto list = [&](unsigned i) -> std::optional<SmallVector<int64_t>> {
    if (i >= op->getNumOperands() || !has(in(i)))
      return SmallVector<int64_t>();
    return getIntegers(in(i));
  };
  auto starts = list(1), axes = list(3), steps = list(4);
  if (!starts || !axes || !steps || !from.hasStaticShape() ||
      !to.hasStaticShape())
    return refuse("where it begins, its steps and its shapes are not known");
  int64_t rank = from.getRank();
  SmallVector<int64_t> pads(2 * rank, 0);
  for (auto [i, start] : llvm::enumerate(*starts)) {
    int64_t axis = fromFront(axes->empty() ? i : (*axes)[i], rank);
    int64_t size = from.getDimSize(axis);
    if (!steps->empty() && (*steps)[i] != 1)
      return refuse("it takes steps other than 1");
    int64_t begin = std::clamp(fromFront(start, size), int64_t(0), size);
    pads[axis] = begin;
    pads[rank + axis] = size - begin - to.getDimSize(axis);
  }
  result[0] = emit("Pad", {g(), integers(pads), none(), none()});
  return true;
}

bool GradientWriter::writeConcat() {
  int64_t axis = fromFront(getInt("axis", 0), rankOf(out()));
  SmallVector<int64_t> sizes;
  for (Value part : op->getOperands()) {
    sizes.push_back(typeOf(part).getDimSize(axis));
    if (ShapedType::isDynamic(sizes.back()))
      return refuse("the sizes of its operands are not known");
  }
  SmallVector<Value> parts = split(g(), sizes, axis);
  for (auto [i, part] : llvm::enumerate(parts))
    if (isActive(i))
      result[i] = part;
  return true;
}

bool GradientWriter::writeSplit() {
  SmallVector<Value> parts;
  for (auto [value, cotangent] : llvm::zip_equal(op->getResults(), cotangents))
    parts.push_back(cotangent ? cotangent : zerosLike(value));
  result[0] = concat(parts, getInt("axis", 0));
  return true;
}

bool GradientWriter::writeGather() {
  if (fromFront(getInt("axis", 0), rankOf(in(0))) != 0)
    return refuse("it gathers along another axis than the first");
  Value indices = emit("Unsqueeze", {toI64(in(1)), integers({rankOf(in(1))})});
  result[0] = emit("ScatterND", {zerosLike(in(0)), indices, g()},
                   attr("reduction", "add"));
  return true;
}

bool GradientWriter::writeMovement(StringRef name) {
  if (name == "Reshape" || name == "Flatten" || name == "Squeeze" ||
      name == "Unsqueeze") {
    result[0] = reshapeLike(g(), in(0));
    return true;
  }
  if (name == "Expand") {
    result[0] = sumTo(g(), out(), in(0));
    return true;
  }
  if (name == "Transpose") {
    int64_t rank = rankOf(in(0));
    SmallVector<int64_t> inverse(rank);
    auto perm = op->getAttrOfType<DenseI64ArrayAttr>("perm");
    for (int64_t i = 0; i < rank; ++i)
      inverse[perm ? perm[i] : rank - 1 - i] = i;
    result[0] = transpose(g(), inverse);
    return true;
  }
  if (name == "Slice")
    return writeSlice();
  if (name == "Concat")
    return writeConcat();
  if (name == "Split")
    return writeSplit();
  if (name == "Gather")
    return writeGather();
  return false;
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

bool GradientWriter::writeReduction(StringRef name) {
  if (name == "Softmax" || name == "LogSoftmax") {
    int64_t axis = getInt("axis", -1);
    Value y = out();
    if (name == "LogSoftmax")
      result[0] = sub(g(), mul(emit("Exp", y), sum(g(), axis, true)));
    else
      result[0] = mul(y, sub(g(), sum(mul(g(), y), axis, true)));
    return true;
  }
  if (name != "ReduceSum" && name != "ReduceMean" && name != "ReduceSumSquare")
    return false;
  Value axes = op->getNumOperands() > 1 ? in(1) : Value();
  bool all = !axes || !has(axes);
  if (all && getInt("noop_with_empty_axes", 0)) {
    result[0] = name == "ReduceSumSquare" ? mul(mul(g(), in(0)), 2.0) : g();
    return true;
  }
  Value wide = g();
  if (all) {
    wide = reshape(wide, SmallVector<int64_t>(rankOf(in(0)), 1));
  } else if (!getInt("keepdims", 1)) {
    wide = emit("Unsqueeze", {wide, axes});
  }
  wide = expandLike(wide, in(0));
  if (name == "ReduceSumSquare") {
    wide = mul(mul(wide, in(0)), 2.0);
  } else if (name == "ReduceMean") {
    Type element = typeOf(in(0)).getElementType();
    Value count = emit("Div", {emit("Size", in(0)), emit("Size", out())});
    wide = div(wide, emit("Cast", count, attr("to", getONNXType(element))));
  }
  result[0] = wide;
  return true;
}

//===----------------------------------------------------------------------===//
// All
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> GradientWriter::write() {
  StringRef name = op->getName().stripDialect();
  // Only a Split has several results that may have a cotangent each.
  for (auto [i, cotangent] : llvm::enumerate(cotangents))
    if (i > 0 && cotangent && name != "Split") {
      refuse("result #" + Twine(i) + " of it is used");
      return failure();
    }
  bool known = writeUnary(name) || writeBinary(name) || writeMovement(name) ||
               writeReduction(name) || writeProduct(name) ||
               writeNormalization(name);
  if (!known)
    refuse("no rule is known for this operator");
  if (refused)
    return failure();
  for (unsigned i = 0; i < result.size(); ++i)
    if (!isActive(i))
      result[i] = Value();
  return result;
}
