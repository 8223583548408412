//===- FuseRotary.cpp - Rotary embedding from primitive operators ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two ways to rotate pairs (a, b) of elements are recognised. The first works
// on whole tensors: x * cos + rotate(x) * sin, where rotate puts -b in the
// place of a, and a in the place of b. The second works on the parts and joins
// them: [a * cos - b * sin, b * cos + a * sin]. Pairs are the two halves of the
// last dimension, or neighbours.
//
//===----------------------------------------------------------------------===//

#include "Match.h"
#include "RotaryTables.h"
#include "SizeAnalysis.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXFUSEROTARYPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// Parts of the last dimension
//===----------------------------------------------------------------------===//

namespace {
/// Elements begin, begin + step, ... before end, along the last dimension.
struct Part {
  Value whole;
  int64_t begin = 0, end = 0, step = 1;
};

/// A rotation of `x`.
struct Rotation {
  Value x, cosines, sines;
  bool interleaved = false;
  /// Whether cosines and sines have an element for each of `x`.
  bool repeated = false;
};
} // namespace

static int64_t getLastSize(Value value) {
  auto type = getRanked(value);
  return type && type.getRank() > 0 ? type.getDimSize(type.getRank() - 1)
                                    : ShapedType::kDynamic;
}

static std::optional<Part> getPart(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto split = dyn_cast_or_null<SplitOp>(op)) {
    int64_t size = getLastSize(split.getInput());
    auto rank = getRanked(value) ? getRanked(value).getRank() : 0;
    if (ShapedType::isDynamic(size) || rank == 0 ||
        fromFront(split.getAxis(), rank) != rank - 1)
      return std::nullopt;
    Part part{split.getInput(), 0, 0, 1};
    for (Value output : split.getOutputs()) {
      int64_t count = getLastSize(output);
      if (ShapedType::isDynamic(count))
        return std::nullopt;
      part.begin = part.end;
      part.end += count;
      if (output == value)
        return part;
    }
    return std::nullopt;
  }
  auto slice = dyn_cast_or_null<SliceOp>(op);
  int64_t size = slice ? getLastSize(slice.getData()) : ShapedType::kDynamic;
  if (!slice || ShapedType::isDynamic(size) || !isPresent(slice.getAxes()))
    return std::nullopt;
  auto axes = getIntegers(slice.getAxes()),
       starts = getIntegers(slice.getStarts()),
       ends = getIntegers(slice.getEnds());
  std::optional<double> step = 1;
  if (isPresent(slice.getSteps()))
    step = getNumber(slice.getSteps());
  int64_t rank = getRanked(value).getRank();
  if (!axes || !starts || !ends || axes->size() != 1 || starts->size() != 1 ||
      ends->size() != 1 || fromFront(axes->front(), rank) != rank - 1 ||
      !step || *step < 1)
    return std::nullopt;
  auto bound = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
  };
  return Part{slice.getData(), bound(starts->front()), bound(ends->front()),
              static_cast<int64_t>(*step)};
}

/// Whether `a` and `b` are the first and second elements of the pairs of the
/// same tensor.
static std::optional<Part> matchPairs(Value a, Value b, bool &interleaved) {
  auto first = getPart(a), second = getPart(b);
  if (!first || !second || first->whole != second->whole || first->begin != 0 ||
      first->step != second->step)
    return std::nullopt;
  int64_t size = getLastSize(first->whole);
  interleaved = first->step == 2;
  bool fits = interleaved ? second->begin == 1 && first->end >= size - 1 &&
                                second->end == size && size % 2 == 0
                          : first->step == 1 && first->end == second->begin &&
                                second->end == size && 2 * first->end == size;
  return fits ? first : std::nullopt;
}

/// The operands of a Concat of two along the last dimension or, interleaved, of
/// two that were given a last dimension of 1 and are joined to one afterwards.
static bool matchJoin(Value value, Value &a, Value &b, bool &interleaved) {
  auto reshape = value.getDefiningOp<ReshapeOp>();
  Value joined = reshape ? reshape.getData() : value;
  auto concat = joined.getDefiningOp<ConcatOp>();
  auto type = concat ? getRanked(joined) : RankedTensorType();
  if (!type || concat.getInputs().size() != 2 ||
      fromFront(concat.getAxis(), type.getRank()) != type.getRank() - 1)
    return false;
  a = concat.getInputs()[0];
  b = concat.getInputs()[1];
  interleaved = reshape != nullptr;
  if (!interleaved)
    return true;
  auto out = getRanked(value);
  auto single = [](Value &part) {
    auto wide = getRanked(part);
    Value inner = skipReshape(part);
    auto narrow = getRanked(inner);
    if (inner == part || !wide || !narrow || wide.getRank() == 0 ||
        wide.getShape().back() != 1 ||
        wide.getShape().drop_back() != narrow.getShape())
      return false;
    part = inner;
    return true;
  };
  return out && type.getShape().back() == 2 &&
         out.getRank() == type.getRank() - 1 &&
         out.getShape().drop_back() == type.getShape().drop_back(2) &&
         single(a) && single(b);
}

//===----------------------------------------------------------------------===//
// Rotations
//===----------------------------------------------------------------------===//

/// x of the value that has -b in the place of a, and a in the place of b.
static Value matchQuarterTurn(Value value, bool &interleaved,
                              std::string &reason) {
  Value first, second;
  bool joined, pairs;
  if (!matchJoin(value, first, second, joined))
    return {};
  auto negated = first.getDefiningOp<NegOp>();
  if (!negated) {
    if (auto other = second.getDefiningOp<NegOp>();
        other && matchPairs(other->getOperand(0), first, pairs))
      reason = "the first elements of the pairs are negated, not the second";
    return {};
  }
  auto part = matchPairs(second, negated->getOperand(0), pairs);
  if (!part) {
    auto a = getPart(second), b = getPart(negated->getOperand(0));
    if (a && b && a->whole == b->whole)
      reason = "the parts that change places are not the halves";
    return {};
  }
  if (joined != pairs) {
    reason = "pairs are taken and joined in different orders";
    return {};
  }
  interleaved = pairs;
  return part->whole;
}

/// x * cos + rotate(x) * sin.
static std::optional<Rotation> matchWhole(AddOp add, std::string &reason) {
  for (unsigned i : {0u, 1u}) {
    Operation *plain = add->getOperand(i).getDefiningOp<MulOp>();
    Operation *turned = add->getOperand(1 - i).getDefiningOp<MulOp>();
    for (unsigned j = 0; plain && turned && j < 2; ++j) {
      Rotation rotation;
      rotation.x =
          matchQuarterTurn(turned->getOperand(j), rotation.interleaved, reason);
      if (!rotation.x)
        continue;
      rotation.sines = turned->getOperand(1 - j);
      rotation.cosines = getOther(plain, rotation.x);
      rotation.repeated = true;
      if (rotation.cosines)
        return rotation;
      reason = "what is rotated is not what is multiplied by the cosines";
    }
  }
  return std::nullopt;
}

/// The factors of a product of `a` with something, in this order.
static Value getFactor(Value product, Value a) {
  Operation *op = product.getDefiningOp<MulOp>();
  return op ? getOther(op, a) : Value();
}

/// [a * cos - b * sin, b * cos + a * sin].
static std::optional<Rotation> matchParts(Value value, std::string &reason) {
  Value first, second;
  bool joined, pairs;
  if (!matchJoin(value, first, second, joined))
    return std::nullopt;
  auto difference = first.getDefiningOp<SubOp>();
  auto sum = second.getDefiningOp<AddOp>();
  if (!difference || !sum)
    return std::nullopt;
  Operation *cosA = difference->getOperand(0).getDefiningOp<MulOp>();
  Operation *sinB = difference->getOperand(1).getDefiningOp<MulOp>();
  for (unsigned i = 0; cosA && sinB && i < 4; ++i) {
    Value a = cosA->getOperand(i % 2), b = sinB->getOperand(i / 2);
    auto part = matchPairs(a, b, pairs);
    if (!part)
      continue;
    Rotation rotation{part->whole, getOther(cosA, a), getOther(sinB, b), pairs,
                      false};
    for (unsigned j : {0u, 1u})
      if (getFactor(sum->getOperand(j), b) == rotation.cosines &&
          getFactor(sum->getOperand(1 - j), a) == rotation.sines) {
        if (joined == pairs)
          return rotation;
        reason = "pairs are taken and joined in different orders";
        return std::nullopt;
      }
    reason = "the second sum is not b * cos + a * sin of the first";
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

namespace {
class Fuser {
public:
  explicit Fuser(func::FuncOp func) : func(func), sizes(func) {}

  /// Replaces `root` by the rotation; false with a reason if that can't be.
  bool run(Operation *root, const Rotation &rotation, std::string &reason);

private:
  /// Which dimension of x, of rank 4, the heads are.
  std::optional<int64_t> getHeadDim(const Rotation &rotation);
  Value getAngles(OpBuilder &b, Value table, const Rotation &rotation,
                  int64_t headDim);
  Value getSize(OpBuilder &b, Location loc, Value x, int64_t dim);
  Operation *takeRest(Operation *root, Value &x, int64_t &size);

  func::FuncOp func;
  SizeAnalysis sizes;
  RotaryTables tables;
};
} // namespace

/// The dimension that cosines and sines do not depend on.
std::optional<int64_t> Fuser::getHeadDim(const Rotation &rotation) {
  for (int64_t dim : {1, 2}) {
    bool fits = true;
    for (Value table : {rotation.cosines, rotation.sines}) {
      auto type = getRanked(table);
      int64_t at = dim - (4 - type.getRank());
      fits &= at < 0 || type.getDimSize(at) == 1;
    }
    if (fits)
      return dim;
  }
  return std::nullopt;
}

/// The size of a dimension as a tensor of one element, taken from an argument
/// of the function if that has it, so that all layers share it.
Value Fuser::getSize(OpBuilder &b, Location loc, Value x, int64_t dim) {
  auto one = RankedTensorType::get({1}, b.getI64Type());
  SizeExpr size = sizes.getDim(x, dim);
  if (std::optional<int64_t> constant = size.getConstant())
    return makeIntegers(b, loc, *constant);
  for (BlockArgument argument : func.getArguments()) {
    auto type = getRanked(argument);
    for (int64_t i = 0; type && i < type.getRank(); ++i)
      if (sizes.getDim(argument, i) == size)
        return ShapeOp::create(b, loc, one, argument, i,
                               b.getI64IntegerAttr(i + 1));
  }
  return ShapeOp::create(b, loc, one, x, dim, b.getI64IntegerAttr(dim + 1));
}

/// Cosines or sines as [batch, length, half].
Value Fuser::getAngles(OpBuilder &b, Value table, const Rotation &rotation,
                       int64_t headDim) {
  Location loc = table.getLoc();
  int64_t at = headDim - (4 - getRanked(table).getRank());
  // The dimension of the heads was only just added.
  if (auto unsqueeze = table.getDefiningOp<UnsqueezeOp>()) {
    auto axes = getIntegers(unsqueeze.getAxes());
    if (axes && axes->size() == 1 && at >= 0 &&
        fromFront(axes->front(), getRanked(table).getRank()) == at) {
      table = unsqueeze.getData();
      at = -1;
    }
  }
  if (rotation.repeated)
    table = tables.getHalf(table, rotation.interleaved);
  if (!table)
    return {};
  auto type = getRanked(table);
  Value angles = table;
  if (at >= 0) {
    SmallVector<int64_t> shape(type.getShape());
    shape.erase(shape.begin() + at);
    angles = SqueezeOp::create(b, loc, type.clone(shape), angles,
                               makeIntegers(b, loc, {at}));
    type = getRanked(angles);
  }
  // What is 1 in the table and not in x is written out.
  int64_t lengthDim = 3 - headDim;
  auto x = getRanked(rotation.x);
  int64_t wanted[] = {x.getDimSize(0), x.getDimSize(lengthDim)};
  bool fits = type.getRank() == 3;
  for (int64_t i = 0; fits && i < 2; ++i)
    fits = type.getDimSize(i) != 1 || wanted[i] == 1;
  if (fits)
    return angles;
  int64_t half = getLastSize(angles);
  auto sizesType = RankedTensorType::get({3}, b.getI64Type());
  Value shape =
      ConcatOp::create(b, loc, sizesType,
                       ValueRange{getSize(b, loc, rotation.x, 0),
                                  getSize(b, loc, rotation.x, lengthDim),
                                  makeIntegers(b, loc, half)},
                       /*axis=*/0);
  return ExpandOp::create(b, loc, type.clone({wanted[0], wanted[1], half}),
                          angles, shape);
}

/// [rotated part of x, rest of x]: the Concat that joins them, and x.
Operation *Fuser::takeRest(Operation *root, Value &x, int64_t &size) {
  auto part = getPart(x);
  auto concat = dyn_cast_or_null<ConcatOp>(getOnlyUser(root->getResult(0)));
  if (!part || part->begin != 0 || part->step != 1 || !concat ||
      concat.getInputs().size() != 2 ||
      concat.getInputs()[0] != root->getResult(0))
    return root;
  auto type = getRanked(concat.getResult());
  auto rest = getPart(concat.getInputs()[1]);
  if (!rest || rest->whole != part->whole || rest->begin != part->end ||
      rest->step != 1 || rest->end != getLastSize(part->whole) ||
      fromFront(concat.getAxis(), type.getRank()) != type.getRank() - 1)
    return root;
  size = part->end;
  x = part->whole;
  return concat;
}

bool Fuser::run(Operation *root, const Rotation &rotation,
                std::string &reason) {
  auto type = getRanked(rotation.x);
  int64_t size = getLastSize(rotation.x);
  if (!type || type.getRank() != 4) {
    reason = "the rotated tensor is not of rank 4";
    return false;
  }
  for (auto [table, name] : {std::pair(rotation.cosines, "cosines"),
                             std::pair(rotation.sines, "sines")}) {
    auto tableType = getRanked(table);
    if (!tableType || tableType.getRank() > 4 || tableType.getRank() < 2 ||
        tableType.getElementType() != type.getElementType() ||
        getLastSize(table) != (rotation.repeated ? size : size / 2)) {
      reason = std::string("the shape or type of the ") + name +
               " does not fit the rotated tensor";
      return false;
    }
    if (rotation.repeated && !tables.isRepeated(table, rotation.interleaved)) {
      reason = std::string(rotation.interleaved ? "neighbours" : "the halves") +
               " of the " + name + " are not known to be equal";
      return false;
    }
  }
  if (root->getResult(0).getType() != type) {
    reason = "the result is larger than what is rotated";
    return false;
  }
  std::optional<int64_t> headDim = getHeadDim(rotation);
  if (!headDim) {
    reason = "cosines and sines depend on the head";
    return false;
  }
  if (*headDim == 2 && ShapedType::isDynamic(type.getDimSize(2))) {
    reason = "the number of heads is not known";
    return false;
  }
  Value x = rotation.x;
  int64_t rotated = 0;
  root = takeRest(root, x, rotated);
  type = getRanked(x);
  OpBuilder b(root);
  Location loc = root->getLoc();
  Value cosines = getAngles(b, rotation.cosines, rotation, *headDim);
  Value sines = getAngles(b, rotation.sines, rotation, *headDim);
  if (!cosines || !sines) {
    reason = "the constant angles cannot be read";
    return false;
  }
  Value none = NoValueOp::create(b, loc, b.getNoneType());
  IntegerAttr heads;
  auto xType = type;
  if (*headDim == 2) {
    // [batch, length, heads, size] is what the operator has as rank 3.
    heads = b.getI64IntegerAttr(type.getDimSize(2));
    int64_t width = type.getDimSize(2) * type.getDimSize(3);
    xType = type.clone({type.getDimSize(0), type.getDimSize(1), width});
    x = ReshapeOp::create(b, loc, xType, x, makeIntegers(b, loc, {0, 0, width}))
            .getResult();
  }
  Value y =
      RotaryEmbeddingOp::create(b, loc, xType, x, cosines, sines, none,
                                rotation.interleaved ? 1 : 0, heads, rotated);
  replaceForm(root, y);
  if (heads) {
    auto back = ReshapeOp::create(
        b, loc, type, y,
        makeIntegers(b, loc, {0, 0, type.getDimSize(2), type.getDimSize(3)}));
    y.replaceAllUsesExcept(back.getResult(), back);
  }
  return true;
}

namespace {
struct FuseRotaryPass
    : public onnx::impl::ONNXFuseRotaryPassBase<FuseRotaryPass> {
  using Base::Base;

  void runOnOperation() override {
    if (!areRanksKnown(getOperation()))
      return;
    SmallVector<Operation *> candidates;
    getOperation().walk([&](Operation *op) {
      if (isa<AddOp, ConcatOp, ReshapeOp>(op))
        candidates.push_back(op);
    });
    std::optional<Fuser> fuser;
    for (Operation *op : candidates) {
      std::string reason;
      auto add = dyn_cast<AddOp>(op);
      auto rotation =
          add ? matchWhole(add, reason) : matchParts(op->getResult(0), reason);
      if (rotation && !fuser)
        fuser.emplace(getOperation());
      if (rotation && fuser->run(op, *rotation, reason))
        ++numFused;
      else if (!reason.empty())
        remarkMissed(op, "rotary embedding", reason);
    }
    eraseDead(getOperation());
  }
};
} // namespace
