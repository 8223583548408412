//===- FuseAttention.cpp - Attention from primitive operators -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionForm.h"
#include "FoldHeads.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/bit.h"
#include <cmath>

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXFUSEATTENTIONPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// Keys and values of the past
//===----------------------------------------------------------------------===//

/// The Concat of past and new keys (values) that `kv` is, if it can become
/// operands and a result of the attention that replaces `root`; else `reason`
/// tells why a Concat can't.
static ConcatOp getCacheConcat(const KeyOrValue &kv, Operation *root,
                               std::string &reason) {
  auto concat = kv.value.getDefiningOp<ConcatOp>();
  auto type = getRanked(kv.value);
  if (!concat || type.getRank() != 4)
    return {};
  if (!kv.perm.empty()) {
    reason = "the past is joined before a transposition";
  } else if (concat.getInputs().size() != 2 ||
             fromFront(concat.getAxis(), 4) != 2) {
    reason = "the Concat is not one of two along the length";
  } else {
    for (Operation *user : concat.getResult().getUsers()) {
      // Sizes that are asked for before the attention come from the parts.
      if (user == kv.reader || isa<ShapeOp>(user))
        continue;
      if (user->getBlock() != root->getBlock() || user->isBeforeInBlock(root))
        reason = "the joined keys or values are used before the attention";
    }
  }
  return reason.empty() ? concat : ConcatOp();
}

/// Writes Shape of a Concat of two as a computation on the Shapes of these.
static void replaceShapes(ConcatOp concat) {
  int64_t rank = getRanked(concat.getResult()).getRank();
  int64_t axis = fromFront(concat.getAxis(), rank);
  for (Operation *user :
       llvm::make_early_inc_range(concat.getResult().getUsers())) {
    auto shape = dyn_cast<ShapeOp>(user);
    if (!shape)
      continue;
    OpBuilder b(shape);
    Location loc = shape.getLoc();
    auto one = RankedTensorType::get({1}, b.getI64Type());
    auto size = [&](Value input, int64_t dim) -> Value {
      return ShapeOp::create(b, loc, one, input, dim,
                             b.getI64IntegerAttr(dim + 1));
    };
    auto bound = [&](int64_t dim) {
      return std::clamp<int64_t>(fromFront(dim, rank), 0, rank);
    };
    SmallVector<Value> sizes;
    for (int64_t dim = bound(shape.getStart()),
                 end = bound(shape.getEnd().value_or(rank));
         dim < end; ++dim) {
      Value first = size(concat.getInputs()[0], dim);
      if (dim == axis)
        first =
            AddOp::create(b, loc, one, first, size(concat.getInputs()[1], dim));
      sizes.push_back(first);
    }
    if (sizes.empty())
      continue;
    Value all = ConcatOp::create(b, loc, shape.getType(), sizes, /*axis=*/0);
    // Erased at the end: what is known is kept by value, and an operation that
    // is made meanwhile could have the address of this one.
    shape.replaceAllUsesWith(all);
  }
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

namespace {
/// Writes the operator in the place of one form.
class Fusion {
public:
  Fusion(const AttentionForm &matched, SizeAnalysis &sizes)
      : form(matched), sizes(sizes), b(form.root), loc(form.root.getLoc()),
        none(NoValueOp::create(b, loc, b.getNoneType())),
        isFlat(getRanked(form.q).getRank() == 3) {}

  bool run(std::string &reason);

private:
  Value withHeads(Value x);
  Value prepare(const KeyOrValue &kv);
  Value joinMasks(ArrayRef<MaskPart> parts);
  static void takeCache(ConcatOp concat, Value present, Operation *attention);
  IntegerAttr integer(int64_t value) { return b.getI64IntegerAttr(value); }

  AttentionForm form;
  SizeAnalysis &sizes;
  OpBuilder b;
  Location loc;
  Value none;
  /// Scores of rank 3: heads are part of the batch.
  bool isFlat;
};
} // namespace

/// [batch, length, size] as one head.
Value Fusion::withHeads(Value x) {
  if (!isFlat)
    return x;
  auto type = getRanked(x);
  SmallVector<int64_t> shape(type.getShape());
  shape.insert(shape.begin() + 1, 1);
  return UnsqueezeOp::create(b, loc, type.clone(shape), x,
                             makeIntegers(b, loc, {1}));
}

Value Fusion::prepare(const KeyOrValue &kv) {
  Value x = kv.value;
  if (!kv.perm.empty()) {
    auto type = getRanked(x);
    SmallVector<int64_t> shape;
    for (int64_t dim : kv.perm)
      shape.push_back(type.getDimSize(dim));
    x = TransposeOp::create(b, loc, type.clone(shape), x,
                            b.getDenseI64ArrayAttr(kv.perm));
  }
  return withHeads(x);
}

/// One mask that has the effect of all. Types of what is new are left to shape
/// inference.
Value Fusion::joinMasks(ArrayRef<MaskPart> parts) {
  if (parts.empty())
    return none;
  Type open = getUnknownTensorType(b.getContext());
  Type element = getRanked(form.q).getElementType();
  bool allHide = llvm::all_of(parts, [](const MaskPart &part) {
    return part.isCondition && part.hidden == -INFINITY;
  });
  auto number = [&](double value) -> Value {
    auto type = RankedTensorType::get({}, element);
    return onnx::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(type,
                               Attribute(b.getFloatAttr(element, value))));
  };
  // Conditions with one number, then their sum: two of a large finite number
  // would make an infinite one.
  llvm::MapVector<uint64_t, std::pair<Value, double>> conditions;
  Value joined;
  auto add = [&](Value mask) {
    joined = joined ? AddOp::create(b, loc, open, joined, mask) : mask;
  };
  for (const MaskPart &part : parts) {
    Value mask = part.value;
    if (getRanked(mask).getRank() == 3)
      mask = withHeads(mask);
    if (!part.isCondition) {
      add(mask);
      continue;
    }
    auto &[both, hidden] = conditions[llvm::bit_cast<uint64_t>(part.hidden)];
    both = both ? AndOp::create(b, loc, open, both, mask) : mask;
    hidden = part.hidden;
  }
  if (allHide)
    return conditions.front().second.first;
  for (auto &[key, condition] : conditions)
    add(WhereOp::create(b, loc, open, condition.first, number(0),
                        number(condition.second)));
  return joined;
}

bool Fusion::run(std::string &reason) {
  MatMulOp root = form.root;
  // The past is taken up only by both.
  std::string noCache;
  ConcatOp keys = getCacheConcat(form.k, root, noCache);
  ConcatOp values = getCacheConcat(form.v, root, noCache);
  if (!noCache.empty())
    remarkMissed(root, "key-value cache", noCache);
  if (keys == values || !keys || !values)
    keys = values = ConcatOp();
  SizeExpr offset(0);
  if (keys)
    offset = sizes.getDim(keys.getInputs()[0], 2);
  int64_t lengthDim = getRanked(form.q).getRank() - 2;
  bool isQueryForEachKey =
      keys && sizes.isSameDim(form.q, lengthDim, keys.getInputs()[1], 2);
  Visibility visibility = splitMasks(form, sizes, offset, isQueryForEachKey);
  auto type = getRanked(form.q);
  // A finite number that is put in the place of hidden scores: in a row without
  // others the weights are equal, which the sum of two masks would not give.
  for (auto [i, part] : llvm::enumerate(form.masks)) {
    auto changes = [&](const MaskPart &inner) {
      return !inner.isCondition || inner.hidden != part.hidden;
    };
    if (part.isCondition && part.hidden != -INFINITY &&
        llvm::any_of(ArrayRef(form.masks).drop_front(i + 1), changes)) {
      reason = "scores that a mask changed are replaced by " +
               std::to_string(part.hidden);
      return false;
    }
  }
  for (const MaskPart &part : visibility.rest)
    if (part.isCondition && part.hidden != -INFINITY &&
        (part.hidden > -1e30 || type.getElementType().isF16())) {
      reason = "scores are replaced by " + std::to_string(part.hidden) +
               ", which no mask can do";
      return false;
    }

  Value q = withHeads(form.q), k, v, pastKey = none, pastValue = none;
  Type noType = b.getNoneType();
  Type keyType = noType, valueType = noType;
  if (keys) {
    pastKey = keys.getInputs()[0];
    pastValue = values.getInputs()[0];
    k = keys.getInputs()[1];
    v = values.getInputs()[1];
    keyType = keys.getResult().getType();
    valueType = values.getResult().getType();
  } else {
    k = prepare(form.k);
    v = prepare(form.v);
  }
  Value mask = joinMasks(visibility.rest);
  auto yType = getRanked(root.getResult());
  Type resultType = yType;
  if (isFlat) {
    SmallVector<int64_t> shape(yType.getShape());
    shape.insert(shape.begin() + 1, 1);
    resultType = yType.clone(shape);
  }
  // Narrow floats whose weights are computed in another type.
  Type weights = getRanked(form.softmax.getResult()).getElementType();
  IntegerAttr precision;
  if (weights != yType.getElementType())
    precision = integer(getONNXType(weights));
  auto attention = AttentionOp::create(
      b, loc, resultType, keyType, valueType, noType, q, k, v, mask, pastKey,
      pastValue, none, integer(visibility.causal ? 1 : 0),
      /*kv_num_heads=*/IntegerAttr(), integer(visibility.left),
      /*q_num_heads=*/IntegerAttr(), integer(0), integer(visibility.right),
      b.getF32FloatAttr(static_cast<float>(form.scale)),
      b.getF32FloatAttr(static_cast<float>(form.softcap)), precision);
  Value y = attention.getY();
  if (isFlat)
    y = SqueezeOp::create(b, loc, yType, y, makeIntegers(b, loc, {1}));
  replaceForm(root, y);
  if (keys) {
    takeCache(keys, attention.getPresentKey(), attention);
    takeCache(values, attention.getPresentValue(), attention);
  }
  return true;
}

/// Lets those who come after the attention use its result; what is left are
/// sizes and the form itself.
void Fusion::takeCache(ConcatOp concat, Value present, Operation *attention) {
  replaceShapes(concat);
  concat.getResult().replaceUsesWithIf(present, [&](OpOperand &use) {
    Operation *user = use.getOwner();
    return user->getBlock() == attention->getBlock() &&
           attention->isBeforeInBlock(user);
  });
}

namespace {
struct FuseAttentionPass
    : public onnx::impl::ONNXFuseAttentionPassBase<FuseAttentionPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<SoftmaxOp> candidates;
    getOperation().walk([&](SoftmaxOp op) { candidates.push_back(op); });
    if (candidates.empty() || !areRanksKnown(getOperation()))
      return;
    SizeAnalysis sizes(getOperation());
    for (SoftmaxOp softmax : candidates) {
      std::string reason;
      auto form = matchAttention(softmax, sizes, reason);
      if (form && Fusion(*form, sizes).run(reason))
        ++numFused;
      else if (!reason.empty())
        remarkMissed(softmax, "attention", reason);
    }
    eraseDead(getOperation());
    numFolded += foldHeads(getOperation());
    eraseDead(getOperation());
  }
};
} // namespace
