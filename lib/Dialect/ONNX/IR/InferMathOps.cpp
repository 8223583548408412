//===- InferMathOps.cpp - Shapes of elementwise operators and reductions --===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include <map>

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

LogicalResult onnx::detail::inferSameShape(InferContext &context) {
  if (auto identity = dyn_cast<IdentityOp>(context.getOperation()))
    context.setContainer(0, identity.getInput().getType());
  // All results that are tensors: the mask of a Dropout too.
  if (std::optional<Shape> shape = context.getShape(0))
    for (unsigned i = 0, e = context.getOperation()->getNumResults(); i < e;
         ++i)
      context.setShape(i, *shape);
  return success();
}

LogicalResult onnx::detail::inferSameRank(InferContext &context) {
  if (std::optional<Shape> shape = context.getShape(0))
    context.setRank(0, shape->size());
  return success();
}

LogicalResult onnx::detail::inferBroadcast(InferContext &context) {
  unsigned count = context.getOperation()->getNumOperands();
  return inferBroadcastOf(context, llvm::to_vector(llvm::seq(0u, count)));
}

LogicalResult
onnx::detail::inferBroadcastOf(InferContext &context,
                               llvm::ArrayRef<unsigned> operands) {
  Shape result;
  for (unsigned i : operands) {
    std::optional<Shape> shape = context.getShape(i);
    if (!shape)
      return success();
    Shape joined;
    if (!broadcastShapes(result, *shape, joined))
      return context.emitError() << "shapes " << toString(result) << " and "
                                 << toString(*shape) << " do not broadcast";
    result = std::move(joined);
  }
  context.setShape(0, result);
  return success();
}

LogicalResult onnx::detail::inferPRelu(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0), slope = context.getShape(1);
  Shape joined;
  if (shape && slope &&
      (!broadcastShapes(*shape, *slope, joined) ||
       slope->size() > shape->size()))
    return context.emitError()
           << "slope of shape " << toString(*slope)
           << " does not broadcast to X of shape " << toString(*shape);
  return inferSameShape(context);
}

LogicalResult onnx::detail::inferReduce(InferContext &context) {
  Operation *op = context.getOperation();
  std::optional<Shape> shape = context.getShape(0);
  auto keep = op->getAttrOfType<IntegerAttr>("keepdims");
  bool keepDims = !keep || keep.getInt() != 0;
  auto noop = op->getAttrOfType<IntegerAttr>("noop_with_empty_axes");

  std::optional<SmallVector<int64_t>> axes = context.getConstants(1);
  // A reduction from an older opset has its axes in an attribute.
  if (auto old = op->getAttrOfType<DenseI64ArrayAttr>("axes"))
    axes = llvm::to_vector(old.asArrayRef());
  bool isKnown = axes || !context.hasOperand(1);
  if (!shape) {
    if (isKnown && !keepDims && (!axes || axes->empty()) &&
        !(noop && noop.getInt()))
      context.setShape(0, {});
    return success();
  }
  if (!isKnown) {
    std::optional<Shape> count = context.getShape(1);
    if (keepDims)
      context.setRank(0, shape->size());
    else if (count && count->size() == 1 && (*count)[0].isConstant() &&
             (*count)[0].getConstant() > 0 &&
             (*count)[0].getConstant() <= static_cast<int64_t>(shape->size()))
      context.setRank(0, shape->size() - (*count)[0].getConstant());
    return success();
  }

  llvm::SmallBitVector reduced(shape->size());
  if (!axes || axes->empty()) {
    if (!noop || noop.getInt() == 0)
      reduced.set();
  } else {
    for (int64_t axis : *axes) {
      std::optional<int64_t> position =
          context.normalizeAxis(axis, shape->size());
      if (!position)
        return failure();
      reduced.set(*position);
    }
  }
  Shape result;
  for (auto [i, dim] : llvm::enumerate(*shape)) {
    if (!reduced[i])
      result.push_back(dim);
    else if (keepDims)
      result.push_back(Dim(1));
  }
  context.setShape(0, result);
  return success();
}

LogicalResult onnx::detail::inferArg(InferContext &context) {
  Operation *op = context.getOperation();
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  std::optional<int64_t> axis = context.normalizeAxis(
      op->getAttrOfType<IntegerAttr>("axis").getInt(), shape->size());
  if (!axis)
    return failure();
  if (op->getAttrOfType<IntegerAttr>("keepdims").getInt())
    (*shape)[*axis] = Dim(1);
  else
    shape->erase(shape->begin() + *axis);
  context.setShape(0, *shape);
  return success();
}

LogicalResult TopKOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  std::optional<int64_t> axis = context.normalizeAxis(getAxis(), shape->size());
  if (!axis)
    return failure();
  std::optional<Shape> k = context.getContents(1);
  Dim &dim = (*shape)[*axis];
  Dim count = k && k->size() == 1 ? (*k)[0] : Dim();
  if (count.isConstant() && dim.isConstant() &&
      count.getConstant() > dim.getConstant())
    return context.emitError()
           << "asks for " << count.getConstant() << " elements of dimension "
           << *axis << " of " << toString(*shape);
  dim = count;
  context.setShape(0, *shape);
  context.setShape(1, *shape);
  return success();
}

/// The indices of a term of an Einstein sum as far as `rank` is known: letters,
/// with the dimensions under an ellipsis as the characters 1, 2, ... counted
/// from the right.
static std::string expandTerm(StringRef term, int64_t ellipsis) {
  std::string result;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term.substr(i).starts_with("...")) {
      for (int64_t k = ellipsis; k > 0; --k)
        result.push_back(static_cast<char>(k));
      i += 2;
    } else {
      result.push_back(term[i]);
    }
  }
  return result;
}

LogicalResult EinsumOp::inferShapes(InferContext &context) {
  std::string equation;
  for (char c : getEquation())
    if (c != ' ')
      equation.push_back(c);
  auto [left, right] = StringRef(equation).split("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != getInputs().size())
    return context.emitError()
           << "equation '" << getEquation() << "' has " << terms.size()
           << " terms for " << getInputs().size() << " operands";

  llvm::DenseMap<char, Dim> sizes;
  std::map<char, int> uses;
  int64_t widest = 0;
  for (auto [i, term] : llvm::enumerate(terms)) {
    std::optional<Shape> shape = context.getShape(i);
    if (!shape)
      return success();
    bool hasEllipsis = term.contains("...");
    int64_t letters = term.size() - (hasEllipsis ? 3 : 0);
    int64_t rest = shape->size() - letters;
    if (rest < 0 || (rest > 0 && !hasEllipsis) || rest > 15)
      return context.emitError() << "term '" << term << "' has " << letters
                                 << " indices for operand #" << i
                                 << " of shape " << toString(*shape);
    widest = std::max(widest, rest);
    for (auto [index, dim] : llvm::zip_equal(expandTerm(term, rest), *shape)) {
      ++uses[index];
      auto [it, isNew] = sizes.try_emplace(index, dim);
      Shape joined;
      if (isNew)
        continue;
      if (!broadcastShapes({it->second}, {dim}, joined))
        return context.emitError()
               << "index '" << std::string(1, index) << "' of '"
               << getEquation() << "' has the sizes "
               << it->second.getConstant() << " and " << dim.getConstant();
      it->second = joined[0];
    }
  }

  std::string output;
  if (StringRef(equation).contains("->")) {
    output = expandTerm(right, widest);
  } else {
    for (int64_t k = widest; k > 0; --k)
      output.push_back(static_cast<char>(k));
    for (auto [index, count] : uses)
      if (count == 1 && index > 15)
        output.push_back(index);
  }
  Shape result;
  for (char index : output) {
    auto it = sizes.find(index);
    if (it == sizes.end())
      return context.emitError()
             << "index '" << std::string(1, index) << "' of the result in '"
             << getEquation() << "' is in no operand";
    result.push_back(it->second);
  }
  context.setShape(0, result);
  return success();
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

LogicalResult onnx::detail::inferMatMulOf(InferContext &context, unsigned left,
                                          unsigned right) {
  std::optional<Shape> a = context.getShape(left), b = context.getShape(right);
  if (!a || !b)
    return success();
  if (failed(context.checkRank("the left operand", *a, 1, INT_MAX)) ||
      failed(context.checkRank("the right operand", *b, 1, INT_MAX)))
    return failure();
  bool isRow = a->size() == 1, isColumn = b->size() == 1;
  const Dim inner = a->back();
  const Dim other = isColumn ? b->back() : (*b)[b->size() - 2];
  if (inner.isConstant() && other.isConstant() && inner != other)
    return context.emitError()
           << "cannot multiply shapes " << toString(*a) << " and "
           << toString(*b) << ": " << inner.getConstant() << " against "
           << other.getConstant();
  ArrayRef<Dim> batchA = *a, batchB = *b;
  batchA = batchA.drop_back(isRow ? 1 : 2);
  batchB = batchB.drop_back(isColumn ? 1 : 2);
  Shape result;
  if (!broadcastShapes(batchA, batchB, result))
    return context.emitError()
           << "the leading dimensions of shapes " << toString(*a) << " and "
           << toString(*b) << " do not broadcast";
  if (!isRow)
    result.push_back((*a)[a->size() - 2]);
  if (!isColumn)
    result.push_back(b->back());
  context.setShape(0, result);
  return success();
}

LogicalResult MatMulOp::inferShapes(InferContext &context) {
  return detail::inferMatMulOf(context, 0, 1);
}

LogicalResult MatMulIntegerOp::inferShapes(InferContext &context) {
  return detail::inferMatMulOf(context, 0, 1);
}

LogicalResult QLinearMatMulOp::inferShapes(InferContext &context) {
  return detail::inferMatMulOf(context, 0, 3);
}

LogicalResult GemmOp::inferShapes(InferContext &context) {
  std::optional<Shape> a = context.getShape(0), b = context.getShape(1);
  if (!a || !b) {
    context.setRank(0, 2);
    return success();
  }
  if (failed(context.checkRank("A", *a, 2, 2)) ||
      failed(context.checkRank("B", *b, 2, 2)))
    return failure();
  if (getTransA())
    std::swap((*a)[0], (*a)[1]);
  if (getTransB())
    std::swap((*b)[0], (*b)[1]);
  if ((*a)[1].isConstant() && (*b)[0].isConstant() && (*a)[1] != (*b)[0])
    return context.emitError() << "cannot multiply A of shape " << toString(*a)
                               << " and B of shape " << toString(*b)
                               << " (after transA and transB)";
  Shape result = {(*a)[0], (*b)[1]};
  if (std::optional<Shape> c = context.getShape(2)) {
    Shape joined;
    if (!broadcastShapes(result, *c, joined) || c->size() > 2)
      return context.emitError()
             << "C of shape " << toString(*c)
             << " does not broadcast to the product " << toString(result);
  }
  context.setShape(0, result);
  return success();
}

LogicalResult DetOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (!x)
    return success();
  if (failed(context.checkRank("X", *x, 2, INT_MAX)))
    return failure();
  const Dim &rows = (*x)[x->size() - 2], &columns = x->back();
  if (rows.isConstant() && columns.isConstant() && rows != columns)
    return context.emitError()
           << "X has shape " << toString(*x) << ", expected square matrices";
  x->truncate(x->size() - 2);
  context.setShape(0, *x);
  return success();
}
