//===- MaskAnalysis.cpp - What a mask is, element by element --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskAnalysis.h"
#include "Match.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

/// `bound` <= 0, as little as has to be said of it.
Condition MaskAnalysis::atMost(SizeExpr bound) {
  Condition result;
  if (bound.isNeverPositive())
    return result;
  if ((bound - SizeExpr(1)).isNeverNegative()) {
    result.never = true;
    return result;
  }
  // The largest that it can be: all keys are before the number of keys.
  SizeExpr largest = bound;
  for (auto [position, last] :
       {std::pair(query(), lastQuery), std::pair(key(), lastKey)}) {
    unsigned id = position == key() ? SizeExpr::kFirstPosition + 3
                                    : SizeExpr::kFirstPosition + 2;
    if (int64_t factor = largest.getCoefficient(id); factor > 0)
      largest = largest + (last - position) * SizeExpr(factor);
  }
  if (!largest.isNeverPositive())
    result.atMostZero.push_back(bound);
  return result;
}

Condition MaskAnalysis::both(Condition a, const Condition &b) {
  a.never |= b.never;
  for (const SizeExpr &bound : b.atMostZero)
    if (!llvm::is_contained(a.atMostZero, bound))
      a.atMostZero.push_back(bound);
  return a;
}

/// The weaker one of two single inequalities of which one implies the other.
std::optional<Condition> MaskAnalysis::either(const Condition &a,
                                              const Condition &b) {
  if (a.never || b.isAlways())
    return b;
  if (b.never || a.isAlways())
    return a;
  if (a.atMostZero.size() != 1 || b.atMostZero.size() != 1)
    return std::nullopt;
  SizeExpr difference = a.atMostZero.front() - b.atMostZero.front();
  if (difference.isNeverPositive())
    return a;
  return difference.isNeverNegative() ? std::optional(b) : std::nullopt;
}

std::optional<Condition> MaskAnalysis::negated(const Condition &a) {
  Condition result;
  if (a.never)
    return result;
  if (a.atMostZero.size() > 1)
    return std::nullopt;
  if (!a.atMostZero.empty())
    return atMost(SizeExpr(1) - a.atMostZero.front());
  result.never = true;
  return result;
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

/// The part of `position` that selects an element of `operand`.
MaskAnalysis::Position
MaskAnalysis::broadcastFrom(Value operand, ArrayRef<SizeExpr> position) {
  ArrayRef<int64_t> shape = getRanked(operand).getShape();
  Position result(position.take_back(shape.size()));
  for (auto [at, size] : llvm::zip(result, shape))
    if (size == 1)
      at = SizeExpr(0);
  return result;
}

MaskAnalysis::Position MaskAnalysis::positionsIn(Value mask) {
  auto type = getRanked(mask);
  Position scores;
  for (unsigned i = 0; i < 4; ++i)
    scores.push_back(SizeExpr::unknown(SizeExpr::kFirstPosition + i));
  if (!type || type.getRank() > 4)
    return {};
  return broadcastFrom(mask, scores);
}

/// Reshapes that add and remove dimensions of 1.
std::optional<MaskAnalysis::Element>
MaskAnalysis::reshaped(Operation *op, const Position &at) {
  Value from = op->getOperand(0), to = op->getResult(0);
  auto kept = [](Value value) {
    SmallVector<int64_t> dims;
    for (auto [i, size] : llvm::enumerate(getRanked(value).getShape()))
      if (size != 1)
        dims.push_back(i);
    return dims;
  };
  SmallVector<int64_t> before = kept(from), after = kept(to);
  if (before.size() != after.size())
    return std::nullopt;
  Position position(getRanked(from).getRank(), SizeExpr(0));
  for (auto [a, b] : llvm::zip_equal(before, after)) {
    if (!sizes.isSameDim(from, a, to, b))
      return std::nullopt;
    position[a] = at[b];
  }
  return Element{from, position};
}

std::optional<MaskAnalysis::Element> MaskAnalysis::sliced(Operation *op,
                                                          const Position &at) {
  auto slice = cast<SliceOp>(op);
  Value from = slice.getData();
  auto starts = getRanked(slice.getStarts());
  if (!starts || !starts.hasStaticShape() ||
      (isPresent(slice.getSteps()) && getNumber(slice.getSteps()) != 1.0))
    return std::nullopt;
  auto axes =
      isPresent(slice.getAxes()) ? getIntegers(slice.getAxes()) : std::nullopt;
  if (isPresent(slice.getAxes()) && !axes)
    return std::nullopt;
  Position position = at;
  for (int64_t i = 0; i < starts.getNumElements(); ++i) {
    int64_t axis = axes ? fromFront((*axes)[i], position.size()) : i;
    auto start = sizes.getElement(slice.getStarts(), i);
    if (!start || axis < 0 || axis >= static_cast<int64_t>(position.size()))
      return std::nullopt;
    if (auto constant = start->getConstant(); constant && *constant < 0)
      start = *start + sizes.getDim(from, axis);
    // A start that may be negative counts from the end then.
    if (!start->isNeverNegative())
      return std::nullopt;
    position[axis] = position[axis] + *start;
  }
  return Element{from, position};
}

std::optional<MaskAnalysis::Element>
MaskAnalysis::gathered(Operation *op, const Position &at) {
  Value data = op->getOperand(0), indices = op->getOperand(1);
  int64_t indexRank = getRanked(indices).getRank();
  ArrayRef<SizeExpr> all(at);
  Position position;
  if (auto gather = dyn_cast<GatherOp>(op)) {
    int64_t axis = fromFront(gather.getAxis(), getRanked(data).getRank());
    auto index = integer(indices, Position(all.slice(axis, indexRank)));
    if (!index || !index->isNeverNegative())
      return std::nullopt;
    llvm::append_range(position, all.take_front(axis));
    position.push_back(*index);
    llvm::append_range(position, all.drop_front(axis + indexRank));
    return Element{data, position};
  }
  if (cast<GatherNDOp>(op).getBatchDims() != 0 || indexRank < 1)
    return std::nullopt;
  int64_t count = getRanked(indices).getDimSize(indexRank - 1);
  for (int64_t i = 0; i < count; ++i) {
    Position one(all.take_front(indexRank - 1));
    one.push_back(SizeExpr(i));
    auto index = integer(indices, one);
    if (!index || !index->isNeverNegative())
      return std::nullopt;
    position.push_back(*index);
  }
  llvm::append_range(position, all.drop_front(indexRank - 1));
  if (count < 0 || position.size() != size_t(getRanked(data).getRank()))
    return std::nullopt;
  return Element{data, position};
}

/// A Concat at a position that is a known number.
std::optional<MaskAnalysis::Element> MaskAnalysis::joined(Operation *op,
                                                          const Position &at) {
  int64_t axis = fromFront(cast<ConcatOp>(op).getAxis(), at.size());
  std::optional<int64_t> rest = at[axis].getConstant();
  if (!rest)
    return std::nullopt;
  for (Value input : op->getOperands()) {
    int64_t size = getRanked(input).getDimSize(axis);
    if (ShapedType::isDynamic(size))
      return std::nullopt;
    if (*rest < size) {
      Position position = at;
      position[axis] = SizeExpr(*rest);
      return Element{input, broadcastFrom(input, position)};
    }
    *rest -= size;
  }
  return std::nullopt;
}

std::optional<MaskAnalysis::Element> MaskAnalysis::moved(Operation *op,
                                                         const Position &at) {
  using Result = std::optional<Element>;
  if (!llvm::all_of(op->getOperandTypes(), [](Type type) {
        return isa<RankedTensorType, NoneType>(type);
      }))
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<SqueezeOp, UnsqueezeOp, ReshapeOp>(
          [&](auto) { return reshaped(op, at); })
      .Case<ExpandOp, IdentityOp>([&](auto) -> Result {
        Value from = op->getOperand(0);
        if (getRanked(from).getRank() > static_cast<int64_t>(at.size()))
          return std::nullopt;
        return Element{from, broadcastFrom(from, at)};
      })
      .Case<TransposeOp>([&](TransposeOp transpose) -> Result {
        Position position(at);
        for (size_t i = 0; i < at.size(); ++i)
          position[transpose.getPerm() ? (*transpose.getPerm())[i]
                                       : at.size() - 1 - i] = at[i];
        return Element{transpose.getData(), position};
      })
      .Case<SliceOp>([&](auto) { return sliced(op, at); })
      .Case<GatherOp, GatherNDOp>([&](auto) { return gathered(op, at); })
      .Case<ConcatOp>([&](auto) { return joined(op, at); })
      .Default([](Operation *) -> Result { return std::nullopt; });
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

/// Integers in front of which one more was put: [x(0) - 1, x(0), x(1), ...] is
/// x one position before, if x is a ramp.
std::optional<SizeExpr> MaskAnalysis::joinedRamp(Operation *op,
                                                 const Position &at) {
  if (auto element = joined(op, at))
    return integer(element->tensor, element->position);
  int64_t axis = fromFront(cast<ConcatOp>(op).getAxis(), at.size());
  if (op->getNumOperands() != 2 ||
      getRanked(op->getOperand(0)).getDimSize(axis) != 1)
    return std::nullopt;
  Value rest = op->getOperand(1);
  Position first = at, before = at;
  first[axis] = SizeExpr(0);
  before[axis] = SizeExpr(-1);
  auto put =
      integer(op->getOperand(0), broadcastFrom(op->getOperand(0), first));
  auto continued = integer(rest, before);
  if (!put || !continued || *put != *continued)
    return std::nullopt;
  before[axis] = at[axis] - SizeExpr(1);
  return integer(rest, before);
}

/// Reads a constant of which only one dimension is not 1 and whose elements
/// grow by one.
static std::optional<SizeExpr> readRamp(Value v, ArrayRef<SizeExpr> at) {
  auto values = getIntegers(v);
  ArrayRef<int64_t> shape = getRanked(v).getShape();
  if (!values || values->empty() ||
      llvm::count_if(shape, [](int64_t size) { return size != 1; }) != 1)
    return std::nullopt;
  for (auto [i, value] : llvm::enumerate(*values))
    if (value != values->front() + static_cast<int64_t>(i))
      return std::nullopt;
  int64_t dim = llvm::find_if(shape, [](int64_t size) { return size != 1; }) -
                shape.begin();
  return at[dim] + SizeExpr(values->front());
}

std::optional<SizeExpr> MaskAnalysis::integer(Value v, const Position &at) {
  Operation *op = v.getDefiningOp();
  auto type = getRanked(v);
  if (!op || !type || type.getRank() != static_cast<int64_t>(at.size()) ||
      !type.getElementType().isSignlessInteger())
    return std::nullopt;
  if (type.hasStaticShape() && type.getNumElements() == 1)
    if (auto size = sizes.getElement(v, 0))
      return size;
  auto operand = [&](unsigned i) {
    Value from = op->getOperand(i);
    auto ranked = getRanked(from);
    return ranked && ranked.getRank() <= type.getRank()
               ? integer(from, broadcastFrom(from, at))
               : std::nullopt;
  };
  using Result = std::optional<SizeExpr>;
  auto combine = [&](auto fn) -> Result {
    Result a = operand(0), b = operand(1);
    return a && b ? Result(fn(*a, *b)) : std::nullopt;
  };
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<ConstantOp>([&](auto) -> Result {
        if (std::optional<double> number = getNumber(v))
          return SizeExpr(static_cast<int64_t>(*number));
        return readRamp(v, at);
      })
      .Case<RangeOp>([&](RangeOp range) -> Result {
        Result start = sizes.getElement(range.getStart(), 0);
        if (!start || getNumber(range.getDelta()) != 1.0)
          return std::nullopt;
        return *start + at[0];
      })
      .Case<AddOp>([&](auto) { return combine(std::plus<>()); })
      .Case<SubOp>([&](auto) { return combine(std::minus<>()); })
      .Case<MulOp>([&](auto) { return combine(std::multiplies<>()); })
      .Case<CastOp>([&](CastOp cast) -> Result {
        if (!getRanked(cast.getInput()).getElementType().isInteger(1))
          return operand(0);
        auto truth = condition(cast.getInput(), at);
        if (!truth || (!truth->never && !truth->isAlways()))
          return std::nullopt;
        return SizeExpr(truth->never ? 0 : 1);
      })
      .Case<CumSumOp>([&](auto) -> Result {
        // A sum of zeros.
        Result x = operand(0);
        return x == SizeExpr(0) ? x : std::nullopt;
      })
      .Case<ConcatOp>([&](ConcatOp concat) { return joinedRamp(concat, at); })
      .Default([&](Operation *) -> Result {
        if (auto element = moved(op, at))
          return integer(element->tensor, element->position);
        return std::nullopt;
      });
}

/// A constant matrix (with dimensions of 1 before) that is `seen` on and below
/// a diagonal and `unseen` above.
std::optional<Condition> MaskAnalysis::table(Value v, const Position &at,
                                             double seen, double unseen) {
  auto type = getRanked(v);
  int64_t rank = type.getRank();
  if (rank < 2 || !type.hasStaticShape() || type.getNumElements() == 0)
    return std::nullopt;
  int64_t columns = type.getDimSize(rank - 1), rows = type.getDimSize(rank - 2);
  FailureOr<ConstantData> data = ConstantData::get(v);
  if (rows * columns != type.getNumElements() || failed(data) ||
      data->isSplat())
    return std::nullopt;
  bool isFloat = isa<FloatType>(type.getElementType());
  SmallVector<float> row(columns);
  SmallVector<int64_t> integers(columns);
  int64_t diagonal = 0;
  for (int64_t i = 0; i < rows; ++i) {
    if (isFloat ? failed(data->readFloats(i * columns, row))
                : failed(data->readIntegers(i * columns, integers)))
      return std::nullopt;
    if (!isFloat)
      llvm::copy(integers, row.begin());
    if (i == 0)
      diagonal = llvm::find_if(row, [&](float x) { return x != seen; }) -
                 row.begin() - 1;
    for (int64_t j = 0; j < columns; ++j)
      if (row[j] != (j <= i + diagonal ? seen : unseen))
        return std::nullopt;
  }
  return atMost(at[rank - 1] - at[rank - 2] - SizeExpr(diagonal));
}

std::optional<Condition> MaskAnalysis::kept(Operation *op, const Position &at) {
  auto trilu = cast<TriluOp>(op);
  std::optional<SizeExpr> k = SizeExpr(0);
  if (isPresent(trilu.getK()))
    k = sizes.getElement(trilu.getK(), 0);
  if (!k || at.size() < 2)
    return std::nullopt;
  SizeExpr above = at[at.size() - 1] - at[at.size() - 2] - *k;
  return atMost(trilu.getUpper() != 0 ? SizeExpr(0) - above : above);
}

std::optional<Condition> MaskAnalysis::compared(Operation *op,
                                                const Position &at) {
  auto a = integer(op->getOperand(0), broadcastFrom(op->getOperand(0), at));
  auto b = integer(op->getOperand(1), broadcastFrom(op->getOperand(1), at));
  if (!a || !b)
    return std::nullopt;
  SizeExpr difference = *a - *b, one(1);
  if (isa<LessOrEqualOp>(op))
    return atMost(difference);
  if (isa<LessOp>(op))
    return atMost(difference + one);
  if (isa<GreaterOrEqualOp>(op))
    return atMost(SizeExpr(0) - difference);
  return atMost(one - difference);
}

/// Whether `v` is computed and has this rank, and those of operands are known.
static bool isKnownAt(Value v, size_t rank) {
  Operation *op = v.getDefiningOp();
  auto type = getRanked(v);
  return op && type && type.getRank() == static_cast<int64_t>(rank) &&
         llvm::all_of(op->getOperandTypes(), [](Type type) {
           return isa<RankedTensorType, NoneType>(type);
         });
}

std::optional<Condition> MaskAnalysis::condition(Value v, const Position &at) {
  Operation *op = v.getDefiningOp();
  using Result = std::optional<Condition>;
  if (!isKnownAt(v, at.size()))
    return std::nullopt;
  auto operand = [&](unsigned i) {
    Value from = op->getOperand(i);
    return condition(from, broadcastFrom(from, at));
  };
  auto fromNumber = [&](double number) {
    Condition result;
    result.never = number == 0;
    return result;
  };
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<ConstantOp>([&](auto) -> Result {
        if (std::optional<double> number = getNumber(v))
          return fromNumber(*number);
        return table(v, at, /*seen=*/1, /*unseen=*/0);
      })
      .Case<LessOp, LessOrEqualOp, GreaterOp, GreaterOrEqualOp>(
          [&](auto) { return compared(op, at); })
      .Case<EqualOp>([&](auto) -> Result {
        auto element = getRanked(op->getOperand(0)).getElementType();
        auto a = element.isSignlessInteger()
                     ? integer(op->getOperand(0),
                               broadcastFrom(op->getOperand(0), at))
                     : std::nullopt;
        auto b =
            integer(op->getOperand(1), broadcastFrom(op->getOperand(1), at));
        auto difference = a && b ? (*a - *b).getConstant() : std::nullopt;
        if (!difference)
          return std::nullopt;
        return fromNumber(*difference == 0);
      })
      .Case<AndOp>([&](auto) -> Result {
        Result a = operand(0), b = operand(1);
        return a && b ? Result(both(*a, *b)) : std::nullopt;
      })
      .Case<OrOp>([&](auto) -> Result {
        Result a = operand(0), b = operand(1);
        return a && b ? either(*a, *b) : std::nullopt;
      })
      .Case<NotOp>([&](auto) -> Result {
        Result a = operand(0);
        return a ? negated(*a) : std::nullopt;
      })
      .Case<TriluOp>([&](auto) -> Result {
        Result a = operand(0), where = kept(op, at);
        return a && where ? Result(both(*a, *where)) : std::nullopt;
      })
      .Case<CastOp>([&](CastOp cast) -> Result {
        if (getRanked(cast.getInput()).getElementType().isInteger(1))
          return operand(0);
        auto numbers = twoValued(cast.getInput(), at);
        return numbers && numbers->hidden != 0 ? negated(numbers->visible)
                                               : std::nullopt;
      })
      .Case<ConstantOfShapeOp>([&](ConstantOfShapeOp fill) -> Result {
        auto numbers = twoValued(v, at);
        return numbers ? negated(numbers->visible) : std::nullopt;
      })
      .Default([&](Operation *) -> Result {
        if (auto element = moved(op, at))
          return condition(element->tensor, element->position);
        return std::nullopt;
      });
}

/// A tensor that is one number everywhere.
static TwoValued everywhere(double number) {
  TwoValued result;
  result.visible.never = number != 0;
  result.hidden = number;
  return result;
}

/// Where(c, x, y) in which one of x and y is a number that hides.
std::optional<TwoValued> MaskAnalysis::chosen(Operation *where,
                                              const Position &at) {
  auto operand = [&](unsigned i) {
    return broadcastFrom(where->getOperand(i), at);
  };
  auto truth = condition(where->getOperand(0), operand(0));
  auto x = twoValued(where->getOperand(1), operand(1));
  auto y = twoValued(where->getOperand(2), operand(2));
  if (!truth || !x || !y)
    return std::nullopt;
  if (x->visible.never) {
    truth = negated(*truth);
    std::swap(x, y);
  }
  if (!truth || !y->visible.never ||
      (!x->visible.isAlways() && x->hidden != y->hidden))
    return std::nullopt;
  return TwoValued{both(*truth, x->visible), y->hidden};
}

std::optional<TwoValued> MaskAnalysis::product(Operation *mul,
                                               const Position &at) {
  auto a = twoValued(mul->getOperand(0), broadcastFrom(mul->getOperand(0), at));
  auto b = twoValued(mul->getOperand(1), broadcastFrom(mul->getOperand(1), at));
  auto zero = a && b ? either(a->visible, b->visible) : std::nullopt;
  if (!zero)
    return std::nullopt;
  return TwoValued{*zero, a->hidden * b->hidden};
}

std::optional<TwoValued> MaskAnalysis::twoValued(Value v, const Position &at) {
  Operation *op = v.getDefiningOp();
  using Result = std::optional<TwoValued>;
  if (!isKnownAt(v, at.size()))
    return std::nullopt;
  auto type = getRanked(v);
  auto operand = [&](unsigned i) {
    Value from = op->getOperand(i);
    return twoValued(from, broadcastFrom(from, at));
  };
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<ConstantOp>([&](auto) -> Result {
        if (std::optional<double> number = getNumber(v))
          return everywhere(*number);
        // The last element of the first row tells what is hidden.
        FailureOr<ConstantData> data = ConstantData::get(v);
        float corner = 0;
        if (failed(data) || data->getNumElements() == 0 || at.empty() ||
            failed(data->readFloats(type.getDimSize(type.getRank() - 1) - 1,
                                    corner)))
          return std::nullopt;
        auto visible = table(v, at, /*seen=*/0, corner);
        return visible ? Result(TwoValued{*visible, corner}) : std::nullopt;
      })
      .Case<ConstantOfShapeOp>([&](ConstantOfShapeOp fill) -> Result {
        if (!fill.getValue())
          return everywhere(0);
        float number = 0;
        auto data = ConstantData::get(
            *fill.getValue(), [&] { return mlir::emitError(fill.getLoc()); });
        if (failed(data) || failed(data->readFloats(0, number)))
          return std::nullopt;
        return everywhere(number);
      })
      .Case<WhereOp>([&](auto) { return chosen(op, at); })
      .Case<MulOp>([&](auto) { return product(op, at); })
      .Case<SubOp>([&](auto) -> Result {
        // 1 - x of an x that is 0 or 1.
        Result x = operand(1);
        if (getNumber(op->getOperand(0)) != 1.0 || !x || x->hidden != 1)
          return std::nullopt;
        auto visible = negated(x->visible);
        return visible ? Result(TwoValued{*visible, 1}) : std::nullopt;
      })
      .Case<AddOp>([&](auto) -> Result {
        Result a = operand(0), b = operand(1);
        if (a && b && a->visible.isAlways())
          return b;
        return a && b && b->visible.isAlways() ? a : std::nullopt;
      })
      .Case<TriluOp>([&](auto) -> Result {
        Result a = operand(0);
        auto where = kept(op, at);
        if (!a || !where)
          return std::nullopt;
        auto dropped = negated(*where);
        auto visible = dropped ? either(a->visible, *dropped) : std::nullopt;
        return visible ? Result(TwoValued{*visible, a->hidden}) : std::nullopt;
      })
      .Case<CastOp>([&](CastOp cast) -> Result {
        if (!getRanked(cast.getInput()).getElementType().isInteger(1))
          return operand(0);
        auto truth = condition(cast.getInput(), at);
        auto visible = truth ? negated(*truth) : std::nullopt;
        return visible ? Result(TwoValued{*visible, 1}) : std::nullopt;
      })
      .Default([&](Operation *) -> Result {
        if (auto element = moved(op, at))
          return twoValued(element->tensor, element->position);
        return std::nullopt;
      });
}
