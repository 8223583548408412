//===- SizeAnalysis.cpp - Sizes as sums of symbols ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SizeAnalysis.h"
#include "Match.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// SizeExpr
//===----------------------------------------------------------------------===//

SizeExpr SizeExpr::unknown(unsigned id) {
  SizeExpr result;
  result.add({id}, 1);
  return result;
}

void SizeExpr::add(const Product &product, int64_t coefficient) {
  int64_t &sum = terms[product];
  // Sizes of real tensors are far from wrapping around.
  sum = static_cast<int64_t>(static_cast<uint64_t>(sum) +
                             static_cast<uint64_t>(coefficient));
  if (sum == 0)
    terms.erase(product);
}

SizeExpr SizeExpr::operator+(const SizeExpr &other) const {
  SizeExpr result = *this;
  for (auto &[product, coefficient] : other.terms)
    result.add(product, coefficient);
  return result;
}

SizeExpr SizeExpr::operator-(const SizeExpr &other) const {
  return *this + other * SizeExpr(-1);
}

SizeExpr SizeExpr::operator*(const SizeExpr &other) const {
  SizeExpr result;
  for (auto &[a, x] : terms)
    for (auto &[b, y] : other.terms) {
      Product product = a;
      product.insert(product.end(), b.begin(), b.end());
      llvm::sort(product);
      result.add(product, static_cast<int64_t>(static_cast<uint64_t>(x) *
                                               static_cast<uint64_t>(y)));
    }
  return result;
}

std::optional<int64_t> SizeExpr::getConstant() const {
  if (terms.empty())
    return 0;
  if (terms.size() == 1 && terms.begin()->first.empty())
    return terms.begin()->second;
  return std::nullopt;
}

int64_t SizeExpr::getCoefficient(unsigned id) const {
  auto it = terms.find({id});
  return it == terms.end() ? 0 : it->second;
}

bool SizeExpr::isNeverNegative() const {
  return llvm::all_of(terms, [](auto &term) { return term.second >= 0; });
}

bool SizeExpr::isNeverPositive() const {
  return llvm::all_of(terms, [](auto &term) { return term.second <= 0; });
}

//===----------------------------------------------------------------------===//
// SizeAnalysis
//===----------------------------------------------------------------------===//

SizeAnalysis::SizeAnalysis(func::FuncOp func) {
  nameArgumentDims(func, state);
  for (BlockArgument argument : func.getArguments())
    if (std::optional<Shape> shape = state.getShape(argument))
      for (const Dim &dim : *shape)
        seen.insert(dim.getSymbols().begin(), dim.getSymbols().end());
  nameSums(func);
  bool changed = false;
  // The types are inferred already: what this adds are the symbols.
  if (failed(inferBlockTypes(func.getBody().front(), state, changed)))
    return;
  func.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (isa<ONNXOpInterface>(op))
      define(op);
  });
}

/// A dimension named `past + new` is the sum of those named `past` and `new`.
void SizeAnalysis::nameSums(func::FuncOp func) {
  for (BlockArgument argument : func.getArguments()) {
    auto names = func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                  ONNXDialect::kDimNamesAttr);
    std::optional<Shape> shape = state.getShape(argument);
    if (!names || !shape || names.size() != shape->size())
      continue;
    for (auto [dim, attr] : llvm::zip_equal(*shape, names)) {
      auto name = dyn_cast<StringAttr>(attr);
      if (!name || !name.getValue().contains('+') || dim.isConstant())
        continue;
      SmallVector<StringRef> parts;
      name.getValue().split(parts, '+');
      SizeExpr sum;
      bool named = true;
      for (StringRef part : parts) {
        int64_t number = 0;
        part = part.trim();
        bool isNumber = !part.getAsInteger(10, number);
        named &= !part.empty() && part.find_first_of("-*/() ") == part.npos;
        sum = sum + (isNumber ? SizeExpr(number)
                              : expand(state.getNamedSymbol(part)));
      }
      if (named)
        definitions.try_emplace(dim.getSymbols().front(), sum);
    }
  }
}

SizeExpr SizeAnalysis::expand(const Dim &dim) {
  SizeExpr result(dim.getFactor());
  for (unsigned symbol : dim.getSymbols()) {
    auto it = definitions.find(symbol);
    result = result *
             (it == definitions.end() ? SizeExpr::unknown(symbol) : it->second);
  }
  return result;
}

SizeExpr SizeAnalysis::getDim(Value value, int64_t dim) {
  std::optional<Shape> shape = state.getShape(value);
  if (shape && dim >= 0 && dim < static_cast<int64_t>(shape->size()))
    return expand((*shape)[dim]);
  // Not known, so different from all others.
  return expand(state.makeSymbol());
}

/// Gives meaning to the symbols that shape inference had to invent for `op`.
void SizeAnalysis::define(Operation *op) {
  for (Value result : op->getResults()) {
    std::optional<Shape> shape = state.getShape(result);
    if (!shape)
      continue;
    for (auto [i, dim] : llvm::enumerate(*shape)) {
      bool invented = dim.getFactor() == 1 && dim.getSymbols().size() == 1 &&
                      !seen.contains(dim.getSymbols().front());
      seen.insert(dim.getSymbols().begin(), dim.getSymbols().end());
      if (!invented || op->getNumResults() != 1)
        continue;
      unsigned symbol = dim.getSymbols().front();
      std::optional<SizeExpr> meaning = computeDim(op, i);
      if (meaning && meaning->getCoefficient(symbol) == 0)
        definitions.try_emplace(symbol, *meaning);
    }
  }
}

/// The size of a dimension of the result of `op` from its operands.
std::optional<SizeExpr> SizeAnalysis::computeDim(Operation *op, int64_t dim) {
  auto type = getRanked(op->getResult(0));
  if (!type)
    return std::nullopt;
  int64_t rank = type.getRank();
  if (auto concat = dyn_cast<ConcatOp>(op)) {
    if (fromFront(concat.getAxis(), rank) != dim)
      return std::nullopt;
    SizeExpr sum;
    for (Value input : concat.getInputs())
      sum = sum + getDim(input, dim);
    return sum;
  }
  if (auto range = dyn_cast<RangeOp>(op)) {
    auto start = getElement(range.getStart(), 0);
    auto limit = getElement(range.getLimit(), 0);
    if (!start || !limit || getNumber(range.getDelta()) != 1.0)
      return std::nullopt;
    SizeExpr count = *limit - *start;
    return count.isNeverNegative() ? std::optional(count) : std::nullopt;
  }
  if (isa<ReshapeOp, ConstantOfShapeOp>(op)) {
    auto size = getElement(op->getOperand(op->getNumOperands() - 1), dim);
    return size && !size->getConstant() ? size : std::nullopt;
  }
  if (auto expand = dyn_cast<ExpandOp>(op)) {
    // A size that is not known to be 1 does not broadcast.
    auto from = getRanked(expand.getInput());
    auto shape = getRanked(expand.getShape());
    int64_t at = from ? dim - (rank - from.getRank()) : -1;
    if (at >= 0 && from.getDimSize(at) != 1)
      return getDim(expand.getInput(), at);
    if (!from || !shape || !shape.hasStaticShape())
      return std::nullopt;
    return getElement(expand.getShape(), dim - (rank - shape.getDimSize(0)));
  }
  bool isProduct = isa<MatMulOp>(op);
  if (!isProduct && !isa<AddOp, SubOp, MulOp, DivOp, PowOp, WhereOp, AndOp,
                         OrOp, XorOp, EqualOp, LessOp, LessOrEqualOp, GreaterOp,
                         GreaterOrEqualOp, MinOp, MaxOp>(op))
    return std::nullopt;
  if (isProduct && dim >= rank - 2)
    return std::nullopt;
  // All that are not 1 have to agree, so the first one tells.
  for (Value operand : op->getOperands()) {
    auto from = getRanked(operand);
    int64_t at = from ? dim - (rank - from.getRank()) : -1;
    if (at >= 0 && from.getDimSize(at) != 1)
      return getDim(operand, at);
  }
  return std::nullopt;
}

std::optional<SizeExpr> SizeAnalysis::getElement(Value value, int64_t index) {
  if (std::optional<Shape> contents = state.getContents(value))
    if (index < static_cast<int64_t>(contents->size()) &&
        (*contents)[index].isKnown())
      return expand((*contents)[index]);
  Operation *op = value.getDefiningOp();
  auto type = getRanked(value);
  if (!op || !type || !type.hasStaticShape() ||
      !type.getElementType().isIntOrIndex() || index < 0 ||
      index >= type.getNumElements())
    return std::nullopt;
  return computeElement(op, index);
}

/// Whether `value`, a comparison with a constant, is true.
std::optional<bool> SizeAnalysis::computeTruth(Value value, int64_t index) {
  auto equal = value.getDefiningOp<EqualOp>();
  if (!equal)
    return std::nullopt;
  auto at = [&](Value operand) {
    auto type = getRanked(operand);
    bool one = type && type.hasStaticShape() && type.getNumElements() == 1;
    return getElement(operand, one ? 0 : index);
  };
  auto a = at(equal->getOperand(0)), b = at(equal->getOperand(1));
  if (!a || !b)
    return std::nullopt;
  SizeExpr difference = *a - *b;
  if (std::optional<int64_t> constant = difference.getConstant())
    return *constant == 0;
  // A size is never -1.
  for (const SizeExpr &sign : {difference, SizeExpr(0) - difference})
    if ((sign - SizeExpr(1)).isNeverNegative())
      return false;
  return std::nullopt;
}

/// Element `index` of the result of `op` from those of its operands.
std::optional<SizeExpr> SizeAnalysis::computeElement(Operation *op,
                                                     int64_t index) {
  auto at = [&](unsigned i) {
    auto type = getRanked(op->getOperand(i));
    bool one = type && type.hasStaticShape() && type.getNumElements() == 1;
    return getElement(op->getOperand(i), one ? 0 : index);
  };
  using Result = std::optional<SizeExpr>;
  auto combine = [&](auto fn) -> Result {
    Result a = at(0), b = at(1);
    return a && b ? Result(fn(*a, *b)) : std::nullopt;
  };
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<AddOp>([&](auto) { return combine(std::plus<>()); })
      .Case<SubOp>([&](auto) { return combine(std::minus<>()); })
      .Case<MulOp>([&](auto) { return combine(std::multiplies<>()); })
      .Case<SqueezeOp, UnsqueezeOp, ReshapeOp, IdentityOp>(
          [&](auto) { return getElement(op->getOperand(0), index); })
      .Case<CastOp>([&](CastOp cast) -> Result {
        auto from = getRanked(cast.getInput());
        if (!from || !from.getElementType().isSignlessInteger())
          return std::nullopt;
        return getElement(cast.getInput(), index);
      })
      .Case<GatherOp>([&](GatherOp gather) -> Result {
        auto indices = getIntegers(gather.getIndices());
        auto data = getRanked(gather.getData());
        if (!indices || !data || data.getRank() != 1 ||
            !data.hasStaticShape() ||
            index >= static_cast<int64_t>(indices->size()))
          return std::nullopt;
        return getElement(gather.getData(),
                          fromFront((*indices)[index], data.getDimSize(0)));
      })
      .Case<ConcatOp>([&](ConcatOp concat) -> Result {
        if (getRanked(concat.getResult()).getRank() != 1)
          return std::nullopt;
        int64_t rest = index;
        for (Value input : concat.getInputs()) {
          int64_t size = getRanked(input).getDimSize(0);
          if (ShapedType::isDynamic(size))
            return std::nullopt;
          if (rest < size)
            return getElement(input, rest);
          rest -= size;
        }
        return std::nullopt;
      })
      .Case<SliceOp>([&](SliceOp slice) -> Result {
        auto data = getRanked(slice.getData());
        auto starts = getIntegers(slice.getStarts());
        bool unit =
            !isPresent(slice.getSteps()) || getNumber(slice.getSteps()) == 1.0;
        if (!data || data.getRank() != 1 || !data.hasStaticShape() || !unit ||
            !starts || starts->size() != 1)
          return std::nullopt;
        int64_t size = data.getDimSize(0);
        int64_t start = std::clamp<int64_t>(
            starts->front() < 0 ? starts->front() + size : starts->front(), 0,
            size);
        return getElement(slice.getData(), start + index);
      })
      .Case<WhereOp>([&](WhereOp where) -> Result {
        std::optional<bool> truth = computeTruth(where.getCondition(), index);
        if (!truth)
          return std::nullopt;
        return at(*truth ? 1 : 2);
      })
      .Default([](Operation *) -> Result { return std::nullopt; });
}
