//===- AttentionForm.cpp - Attention from primitive operators -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionForm.h"
#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// From the softmax to the product with the values
//===----------------------------------------------------------------------===//

static bool isZero(Value value) { return getNumber(value) == 0.0; }

/// Where(IsNaN(p), 0, p), which makes zeros of rows that see no key: that is
/// what the operator does.
static Value skipNanGuard(Value p) {
  if (std::distance(p.use_begin(), p.use_end()) != 2)
    return p;
  for (Operation *user : p.getUsers()) {
    auto where = dyn_cast<WhereOp>(user);
    if (!where || where->getOperand(2) != p || !isZero(where->getOperand(1)) ||
        where.getType() != p.getType())
      continue;
    auto isNan = where->getOperand(0).getDefiningOp<IsNaNOp>();
    if (isNan && isNan->getOperand(0) == p && isNan.getResult().hasOneUse())
      return where.getResult();
  }
  return p;
}

/// The product of the weights with the values; null if there is none.
static MatMulOp matchValuesProduct(SoftmaxOp softmax, std::string &reason) {
  Value p = softmax.getResult();
  while (true) {
    Value guarded = skipNanGuard(p);
    if (guarded != p) {
      p = guarded;
      continue;
    }
    auto cast = dyn_cast_or_null<CastOp>(getOnlyUser(p));
    if (!cast || skipFloatCast(cast.getResult()) != p)
      break;
    p = cast.getResult();
  }
  for (Operation *user : p.getUsers())
    if (auto product = dyn_cast<MatMulOp>(user);
        product && product.getA() == p && product.getB() != p) {
      if (!p.hasOneUse())
        reason = "the attention weights have other uses";
      return product;
    }
  return {};
}

//===----------------------------------------------------------------------===//
// From the softmax up to the scores
//===----------------------------------------------------------------------===//

/// c * tanh(x / c).
static std::optional<WithNumber> matchSoftcap(Value value) {
  auto outer = matchScaled(value);
  auto tanh = outer ? outer->value.getDefiningOp<TanhOp>() : TanhOp();
  auto inner = tanh ? matchScaled(tanh->getOperand(0)) : std::nullopt;
  if (!inner || outer->number <= 0 ||
      std::abs(outer->number * inner->number - 1) > 1e-5)
    return std::nullopt;
  return WithNumber{inner->value, outer->number};
}

/// Whether `scores` leads to a product through what the form consists of.
static bool leadsToProduct(Value scores, unsigned depth = 8) {
  for (; depth > 0; --depth) {
    Operation *op = scores.getDefiningOp();
    if (isa_and_nonnull<MatMulOp>(op))
      return true;
    scores = skipFloatCast(scores);
    if (scores.getDefiningOp() != op)
      continue;
    if (auto capped = matchSoftcap(scores))
      scores = capped->value;
    else if (auto scaled = matchScaled(scores))
      scores = scaled->value;
    else if (isa_and_nonnull<AddOp, WhereOp>(op)) {
      for (Value operand : op->getOperands())
        if (operand.getType() == scores.getType() &&
            leadsToProduct(operand, depth - 1))
          return true;
      return false;
    } else {
      return false;
    }
  }
  return false;
}

/// Whether a product of two tensors that are computed is among the operations
/// that `value` comes from, a few steps up.
static bool comesFromProduct(Value value, unsigned depth) {
  Operation *op = value.getDefiningOp();
  if (!op || depth == 0)
    return false;
  if (auto product = dyn_cast<MatMulOp>(op))
    return !product.getB().getDefiningOp<onnx::ConstantOp>();
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    return comesFromProduct(operand, depth - 1);
  });
}

/// The operation in front of a softmax that is no part of the form, if there is
/// a product behind it; null if there is none.
static Operation *findObstacle(Value scores) {
  for (unsigned depth = 0; depth < 8; ++depth) {
    scores = skipFloatCast(scores);
    Operation *op = scores.getDefiningOp();
    Value next;
    if (auto scaled = matchScaled(scores))
      next = scaled->value;
    else if (isa_and_nonnull<AddOp, WhereOp>(op))
      for (Value operand : op->getOperands())
        if (operand.getType() == scores.getType() &&
            comesFromProduct(operand, 4))
          next = operand;
    if (!next)
      return op && comesFromProduct(scores, 4) ? op : nullptr;
    scores = next;
  }
  return nullptr;
}

/// The mask that an operation puts on scores; the scores are left in `scores`.
static std::optional<MaskPart> takeMask(Value &scores) {
  Operation *op = scores.getDefiningOp();
  if (auto add = dyn_cast_or_null<AddOp>(op)) {
    for (unsigned i : {0u, 1u}) {
      Value x = add->getOperand(i), mask = add->getOperand(1 - i);
      if (x.getType() != scores.getType() || !leadsToProduct(x))
        continue;
      scores = x;
      return MaskPart{mask, /*isCondition=*/false, 0};
    }
    return std::nullopt;
  }
  auto where = dyn_cast_or_null<WhereOp>(op);
  if (!where)
    return std::nullopt;
  for (unsigned i : {1u, 2u}) {
    Value x = where->getOperand(i);
    std::optional<double> hidden = getNumber(where->getOperand(3 - i));
    if (!hidden || x.getType() != scores.getType() || !leadsToProduct(x))
      continue;
    Value seen = where->getOperand(0);
    if (i == 2) {
      // Truth means hidden.
      auto negated = seen.getDefiningOp<NotOp>();
      if (negated) {
        seen = negated->getOperand(0);
      } else {
        OpBuilder b(where);
        seen = NotOp::create(b, where.getLoc(), seen.getType(), seen);
      }
    }
    scores = x;
    return MaskPart{seen, /*isCondition=*/true, *hidden};
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Keys and values
//===----------------------------------------------------------------------===//

/// The two last of `rank` dimensions exchanged.
static SmallVector<int64_t> swapLast(int64_t rank) {
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(perm[rank - 2], perm[rank - 1]);
  return perm;
}

/// x of a Reshape to rank 3, Transpose and Reshape back which together exchange
/// the two last dimensions of x.
static Value matchFlatTranspose(Value value, SizeAnalysis &sizes) {
  auto last = value.getDefiningOp<ReshapeOp>();
  auto transpose =
      last ? last.getData().getDefiningOp<TransposeOp>() : TransposeOp();
  auto first =
      transpose ? transpose.getData().getDefiningOp<ReshapeOp>() : ReshapeOp();
  if (!first || !transpose.getPerm() ||
      ArrayRef<int64_t>(*transpose.getPerm()) != ArrayRef<int64_t>{0, 2, 1})
    return {};
  Value x = first.getData();
  auto from = getRanked(x), flat = getRanked(first.getReshaped()),
       to = getRanked(value);
  if (!from || !flat || !to || from.getRank() != 4 || to.getRank() != 4 ||
      !sizes.isSameDim(x, 2, first.getReshaped(), 1) ||
      !sizes.isSameDim(x, 3, first.getReshaped(), 2))
    return {};
  int64_t perm[] = {0, 1, 3, 2};
  for (int64_t i = 0; i < 4; ++i)
    if (!sizes.isSameDim(value, i, x, perm[i]))
      return {};
  return x;
}

/// Removes the repetition of heads: [b, h, t, d] unsqueezed, expanded to
/// [b, h, g, t, d] and reshaped to [b, h g, t, d].
static bool takeRepetition(KeyOrValue &kv, SizeAnalysis &sizes) {
  auto reshape = kv.value.getDefiningOp<ReshapeOp>();
  auto expand =
      reshape ? reshape.getData().getDefiningOp<ExpandOp>() : ExpandOp();
  Operation *added = expand ? expand.getInput().getDefiningOp() : nullptr;
  if (!isa_and_nonnull<UnsqueezeOp, ReshapeOp>(added))
    return false;
  Value x = added->getOperand(0), wide = expand.getOutput();
  auto from = getRanked(x), middle = getRanked(wide), to = getRanked(kv.value),
       one = getRanked(expand.getInput());
  if (!from || !middle || !to || !one || from.getRank() != 4 ||
      one.getRank() != 5 || middle.getRank() != 5 || to.getRank() != 4 ||
      one.getDimSize(2) != 1)
    return false;
  int64_t group = middle.getDimSize(2), heads = from.getDimSize(1);
  if (ShapedType::isDynamic(group) || ShapedType::isDynamic(heads) ||
      to.getDimSize(1) != group * heads)
    return false;
  for (int64_t i = 0; i < 4; ++i) {
    int64_t at = i < 2 ? i : i + 1;
    if (!sizes.isSameDim(x, i, expand.getInput(), at) ||
        !sizes.isSameDim(x, i, wide, at) ||
        (i != 1 && !sizes.isSameDim(x, i, kv.value, i)))
      return false;
  }
  kv.value = x;
  kv.group = group;
  kv.reader = added;
  return true;
}

/// The keys of which `transposed` is k^T; a factor goes into `scale`.
static KeyOrValue getKeys(Value transposed, double &scale,
                          SizeAnalysis &sizes) {
  KeyOrValue k;
  Value value = transposed;
  auto takeScale = [&] {
    while (auto scaled = matchScaled(value)) {
      k.reader = value.getDefiningOp();
      scale *= scaled->number;
      value = scaled->value;
    }
  };
  takeScale();
  int64_t rank = getRanked(value).getRank();
  SmallVector<int64_t> perm = swapLast(rank);
  if (auto transpose = value.getDefiningOp<TransposeOp>()) {
    auto own =
        transpose.getPerm()
            ? llvm::to_vector(ArrayRef<int64_t>(*transpose.getPerm()))
            : llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank)));
    std::swap(own[rank - 2], own[rank - 1]);
    perm = own;
    k.reader = transpose;
    value = transpose.getData();
  } else if (Value x = matchFlatTranspose(value, sizes)) {
    perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    k.reader = value.getDefiningOp<ReshapeOp>()
                   .getData()
                   .getDefiningOp<TransposeOp>()
                   .getData()
                   .getDefiningOp();
    value = x;
  }
  k.value = value;
  if (!llvm::is_sorted(perm)) {
    k.perm = perm;
    return k;
  }
  takeScale();
  k.value = value;
  return k;
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

/// Whether the batch and head dimensions are as the operator wants them.
static std::string checkShapes(const AttentionForm &form, SizeAnalysis &sizes) {
  auto q = getRanked(form.q);
  int64_t rank = q.getRank();
  for (const KeyOrValue *kv : {&form.k, &form.v}) {
    auto type = getRanked(kv->value);
    StringRef name = kv == &form.k ? "keys" : "values";
    if (type.getRank() != rank)
      return ("queries have rank " + Twine(rank) + ", " + name + " rank " +
              Twine(type.getRank()))
          .str();
    auto at = [&](int64_t i) { return kv->perm.empty() ? i : kv->perm[i]; };
    if ((type.getDimSize(at(0)) == 1) != (q.getDimSize(0) == 1))
      return ("queries and " + name + " differ in batch").str();
    if (rank == 3)
      continue;
    int64_t heads = type.getDimSize(at(1)), queryHeads = q.getDimSize(1);
    bool fits =
        ShapedType::isDynamic(heads) || ShapedType::isDynamic(queryHeads)
            ? sizes.isSameDim(form.q, 1, kv->value, at(1))
            : heads > 0 && (heads * kv->group == queryHeads ||
                            (heads == 1 && kv->group == 1));
    if (!fits)
      return ("the number of heads of queries and " + name + " do not fit")
          .str();
  }
  if (getRanked(form.v.value).getElementType() != q.getElementType())
    return "queries and values have different types";
  auto headsOf = [&](const KeyOrValue &kv) {
    return getRanked(kv.value).getDimSize(kv.perm.empty() ? 1 : kv.perm[1]);
  };
  if (rank == 4 && headsOf(form.k) != headsOf(form.v))
    return "keys and values have different numbers of heads";
  return "";
}

std::optional<AttentionForm> onnx::matchAttention(SoftmaxOp softmax,
                                                  SizeAnalysis &sizes,
                                                  std::string &reason) {
  AttentionForm form;
  form.softmax = softmax;
  Value scores = softmax->getOperand(0);
  auto type = getRanked(scores);
  std::string lateReason;
  form.root = matchValuesProduct(softmax, lateReason);
  if (!type)
    return std::nullopt;
  if (!form.root) {
    // Heads that become part of the batch between the two products.
    auto reshape =
        dyn_cast_or_null<ReshapeOp>(getOnlyUser(softmax.getResult()));
    auto product = dyn_cast_or_null<MatMulOp>(
        reshape ? getOnlyUser(reshape.getReshaped()) : nullptr);
    if (product && product.getA() == reshape.getReshaped() &&
        comesFromProduct(scores, 6))
      reason = "the weights are reshaped before the product with the values";
    return std::nullopt;
  }
  if (!leadsToProduct(scores)) {
    if (Operation *op = findObstacle(scores))
      reason = (op->getName().getStringRef() +
                " between the product and the softmax is not part of it")
                   .str();
    return std::nullopt;
  }
  reason = lateReason;
  if (!reason.empty())
    return std::nullopt;
  if (fromFront(softmax.getAxis(), type.getRank()) != type.getRank() - 1) {
    reason = "the softmax is over axis " + std::to_string(softmax.getAxis()) +
             ", not the last";
    return std::nullopt;
  }

  // Masks, then the softcap, then factors: the order in which they apply.
  while (true) {
    scores = skipFloatCast(scores);
    if (auto capped = matchSoftcap(scores)) {
      if (form.softcap != 0) {
        reason = "the scores are capped twice";
        return std::nullopt;
      }
      form.softcap = capped->number;
      scores = capped->value;
    } else if (auto scaled = matchScaled(scores)) {
      form.scale *= scaled->number;
      scores = scaled->value;
    } else if (auto product = scores.getDefiningOp<MatMulOp>()) {
      form.scoresOp = product;
      break;
    } else if (auto mask = takeMask(scores)) {
      if (form.scale != 1 || form.softcap != 0) {
        reason = "the scores are scaled or capped after they are masked";
        return std::nullopt;
      }
      form.masks.push_back(*mask);
    } else {
      reason = "an operand of the scores is larger than they are";
      return std::nullopt;
    }
  }
  auto scoresType = getRanked(form.scoresOp.getResult());
  auto valuesType = getRanked(form.root.getB());
  form.q = form.scoresOp.getA();
  if (!scoresType || !valuesType || !getRanked(form.q) ||
      !getRanked(form.scoresOp.getB()) ||
      (getRanked(form.q).getRank() != 3 && getRanked(form.q).getRank() != 4) ||
      getRanked(form.scoresOp.getB()).getRank() !=
          getRanked(form.q).getRank() ||
      valuesType.getRank() != getRanked(form.q).getRank()) {
    reason = "queries, keys and values do not all have rank 4, nor rank 3";
    return std::nullopt;
  }
  while (auto scaled = matchScaled(form.q)) {
    form.scale *= scaled->number;
    form.q = scaled->value;
  }
  form.k = getKeys(form.scoresOp.getB(), form.scale, sizes);
  form.v.value = form.root.getB();
  form.v.reader = form.root;
  KeyOrValue k = form.k, v = form.v;
  if (k.perm.empty() && takeRepetition(k, sizes) && takeRepetition(v, sizes) &&
      k.group == v.group) {
    form.k = k;
    form.v = v;
  }
  reason = checkShapes(form, sizes);
  return reason.empty() ? std::optional(form) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// Whether a score that this number is added to, or that it replaces, gets no
/// weight beside any score that a model computes.
static bool hides(double number, Type element) {
  if (element.isF16())
    return number <= -6e4;
  return number <= -1e9;
}

/// Truth values that are true where all of the result are.
static SmallVector<Value> getConjuncts(Value condition) {
  SmallVector<Value> work{condition}, result;
  while (!work.empty()) {
    Value value = work.pop_back_val();
    Operation *op = value.getDefiningOp();
    auto type = getRanked(value);
    if (isa_and_nonnull<AndOp>(op)) {
      llvm::append_range(work, llvm::reverse(op->getOperands()));
    } else if (isa_and_nonnull<ExpandOp>(op) && type &&
               getRanked(op->getOperand(0))) {
      work.push_back(op->getOperand(0));
    } else {
      result.push_back(value);
    }
  }
  return result;
}

namespace {
/// Sorts inequalities into what the operator has attributes for.
class Positions {
public:
  Positions(AttentionForm form, SizeAnalysis &sizes, const SizeExpr &offset,
            bool isQueryForEachKey)
      : element(getRanked(form.q).getElementType()),
        queries(sizes.getDim(form.scoresOp.getResult(), rank(form) - 2)),
        keys(sizes.getDim(form.scoresOp.getResult(), rank(form) - 1)),
        sizes(sizes), analysis(sizes, queries, keys),
        isOneQuery(queries == SizeExpr(1)) {
    offsets.push_back(offset);
    // With a query for each new key, that many keys are in the past.
    hasOtherOffsets = offset != SizeExpr(0) && isQueryForEachKey;
    if (hasOtherOffsets)
      offsets.push_back(keys - queries);
  }

  /// Adds to `visibility` what a condition says; false if it can't be said.
  bool add(const Condition &condition, Value mask, Visibility &visibility);

  Type element;
  SizeExpr queries, keys;

private:
  static int64_t rank(AttentionForm form) {
    return getRanked(form.scoresOp.getResult()).getRank();
  }

  SizeAnalysis &sizes;

public:
  MaskAnalysis analysis;

private:
  bool isOneQuery, hasOtherOffsets;
  SmallVector<SizeExpr, 3> offsets;
};
} // namespace

bool Positions::add(const Condition &condition, Value mask,
                    Visibility &visibility) {
  Visibility found = visibility;
  if (condition.never)
    return false;
  SmallVector<SizeExpr, 3> candidates = offsets;
  // The mask and the scores have as many queries and keys, or nothing runs.
  auto type = getRanked(mask);
  if (hasOtherOffsets && type.getRank() >= 2 &&
      type.getDimSize(type.getRank() - 1) != 1 &&
      type.getDimSize(type.getRank() - 2) != 1)
    candidates.push_back(sizes.getDim(mask, type.getRank() - 1) -
                         sizes.getDim(mask, type.getRank() - 2));
  SizeExpr query = isOneQuery ? SizeExpr(0) : MaskAnalysis::query();
  for (const SizeExpr &bound : condition.atMostZero) {
    bool understood = false;
    for (const SizeExpr &offset : candidates) {
      SizeExpr position = query + offset;
      // key - position <= number, or position - key <= number.
      auto after = (MaskAnalysis::key() - position - bound).getConstant();
      auto before = (position - MaskAnalysis::key() - bound).getConstant();
      if (after && *after >= 0) {
        found.causal |= *after == 0;
        found.right = *after == 0       ? found.right
                      : found.right < 0 ? *after
                                        : std::min(found.right, *after);
      } else if (before && *before >= 0 &&
                 (keys - queries == offset || candidates.size() > 1)) {
        found.left = found.left < 0 ? *before : std::min(found.left, *before);
      } else {
        continue;
      }
      understood = true;
      break;
    }
    if (!understood)
      return false;
  }
  visibility = found;
  return true;
}

Visibility onnx::splitMasks(const AttentionForm &form, SizeAnalysis &sizes,
                            const SizeExpr &offset, bool isQueryForEachKey) {
  Positions positions(form, sizes, offset, isQueryForEachKey);
  Visibility result;
  // Finite numbers in masks that are matters of positions, and what is left if
  // these are not taken out.
  SmallVector<std::pair<MaskPart, Condition>, 2> finite;
  for (const MaskPart &part : form.masks) {
    // Split Where(condition, 0, -inf) like a condition.
    MaskPart mask = part;
    if (auto where = mask.value.getDefiningOp<WhereOp>();
        where && !mask.isCondition && isZero(where->getOperand(1)) &&
        getNumber(where->getOperand(2)) == -INFINITY &&
        getRanked(where->getOperand(0)) ==
            getRanked(where.getResult())
                .clone(IntegerType::get(where.getContext(), 1)))
      mask = {where->getOperand(0), /*isCondition=*/true, -INFINITY};
    if (mask.isCondition && mask.hidden == -INFINITY) {
      for (Value conjunct : getConjuncts(mask.value)) {
        auto condition = positions.analysis.getCondition(conjunct);
        if (!condition || !positions.add(*condition, conjunct, result))
          result.rest.push_back({conjunct, true, -INFINITY});
      }
      continue;
    }
    double hidden = mask.hidden;
    std::optional<Condition> condition;
    if (mask.isCondition) {
      condition = positions.analysis.getCondition(mask.value);
    } else if (auto values = positions.analysis.getTwoValued(mask.value)) {
      condition = values->visible;
      hidden = values->hidden;
    }
    if (condition && condition->isAlways())
      continue;
    if (condition && hides(hidden, positions.element)) {
      if (hidden == -INFINITY) {
        if (positions.add(*condition, mask.value, result))
          continue;
      } else {
        finite.emplace_back(mask, *condition);
        continue;
      }
    }
    result.rest.push_back(mask);
  }
  // A row that sees no key gets equal weights from a finite mask, but none from
  // the attributes. Causal masks alone leave no such row; others may.
  bool alone = result.rest.empty() && finite.size() == 1;
  for (auto &[mask, condition] : finite)
    if (!alone || !positions.add(condition, mask.value, result))
      result.rest.push_back(mask);
  return result;
}
