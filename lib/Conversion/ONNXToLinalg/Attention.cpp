//===- Attention.cpp - Attention and rotary embedding
//-------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

namespace {
/// Sizes of one attention: B batches, H key-value heads with G queries each,
/// S query and T key positions.
struct AttentionSizes {
  OpFoldResult batch, kvHeads, group, queries, keys;

  SmallVector<OpFoldResult> scores() const {
    return {batch, kvHeads, group, queries, keys};
  }
};
} // namespace

static RankedTensorType typeOf(Value v) {
  return cast<RankedTensorType>(v.getType());
}

/// [B, S, H * D] as [B, H, S, D]; a tensor of rank 4 is that already.
static Value splitHeads(OpLowering &l, Value x, OpFoldResult heads) {
  if (typeOf(x).getRank() == 4)
    return x;
  auto s = l.sizes(x);
  OpFoldResult width = l.floorDiv(s[2], heads);
  Value split = l.reshape(x, {s[0], s[1], heads, width});
  return l.transpose(split, {0, 2, 1, 3});
}

/// The mask as [B, Hq, S, M], where each of the first three may also be 1. Of
/// truth values or floats; other numbers are added as floats are.
static Value getMask(OpLowering &l, const AttentionSizes &n, Type acc) {
  Value mask = l.in(3);
  int64_t rank = typeOf(mask).getRank();
  if (rank > 4) {
    (void)l.fail("the mask must have at most 4 dimensions");
    return mask;
  }
  Type elem = typeOf(mask).getElementType();
  if (!isa<FloatType>(elem) && !elem.isInteger(1))
    mask = l.castElements(mask, acc, l.inUnsigned(3));
  if (rank < 4) {
    SmallVector<OpFoldResult> sizes(4 - rank, l.index(1));
    llvm::append_range(sizes, l.sizes(mask));
    mask = l.reshape(mask, sizes);
  }
  OpFoldResult covered = l.size(mask, 3);
  if (getConstantIntValue(covered) != 1 && !l.knownEqual(covered, n.keys)) {
    Scalars s = l.scalars();
    Value size = l.value(covered), keys = l.value(n.keys);
    l.require(s.le(size, keys), "the mask is longer than the keys");
    // Is it for all keys, or are all but the first hidden?
    if (!getConstantIntValue(covered)) {
      Value one = l.value(l.index(1));
      l.require(
          arith::OrIOp::create(l.b, l.loc, s.lt(one, size), s.le(keys, size)),
          "the mask covers one key, which its type does not say: it "
          "cannot be broadcast");
    }
  }
  OpFoldResult sizes[] = {n.batch, l.mul(n.kvHeads, n.group), n.queries};
  for (auto [d, expected] : llvm::enumerate(sizes)) {
    OpFoldResult size = l.size(mask, d);
    if (l.isOne(mask, d) || l.knownEqual(size, expected))
      continue;
    Scalars s = l.scalars();
    Value one = s.eq(l.value(size), l.value(l.index(1)));
    Value same = s.eq(l.value(size), l.value(expected));
    l.require(arith::OrIOp::create(l.b, l.loc, one, same),
              "the mask does not fit the attention scores");
  }
  return mask;
}

/// The mask as [B, H, G, S, T], where each size may also be 1. A mask that is
/// shorter than the keys excludes what it does not cover.
static Value expandMask(OpLowering &l, Value mask, const AttentionSizes &n) {
  auto sizes = l.sizes(mask);
  if (getConstantIntValue(sizes[3]) != 1 && !l.knownEqual(sizes[3], n.keys)) {
    Type elem = typeOf(mask).getElementType();
    SmallVector<OpFoldResult> low(4, l.index(0)), high(4, l.index(0));
    high.back() = l.sub(n.keys, sizes[3]);
    Scalars s = l.scalars();
    mask = l.pad(mask, low, high,
                 isa<FloatType>(elem) ? s.lowest(elem) : s.integer(elem, 0));
    sizes[3] = n.keys;
  }
  bool oneHead = getConstantIntValue(sizes[1]) == 1;
  return l.reshape(mask, {sizes[0], oneHead ? l.index(1) : n.kvHeads,
                          oneHead ? l.index(1) : n.group, sizes[2], sizes[3]});
}

namespace {
/// Where a query may look, beside the mask: query i stands at the absolute
/// position i + offset.
struct Visibility {
  bool causal = false;
  int64_t left = -1, right = -1;
  /// Keys before the first query: one number, or per batch from `lengths`.
  Value offset;
  /// The number of valid keys in each batch, or null.
  Value lengths;
  Value queries;

  bool restricts() const {
    return causal || left >= 0 || right >= 0 || lengths;
  }

  /// Whether query i of batch n sees key j (index values).
  Value sees(Scalars &s, Value n, Value i, Value j) const {
    Value all = s.integer(s.b.getI1Type(), 1);
    auto both = [&](Value x) {
      all = arith::AndIOp::create(s.b, s.loc, all, x);
    };
    auto constant = [&](int64_t c) { return s.integer(j.getType(), c); };
    Value before = offset;
    if (lengths) {
      Value valid = s.toIndex(OpLowering::at(s, lengths, n));
      both(s.lt(j, valid));
      before = s.sub(valid, queries);
    }
    Value position = s.add(i, before);
    if (causal)
      both(s.le(j, position));
    if (left >= 0)
      both(s.le(s.sub(position, constant(left)), j));
    if (right >= 0)
      both(s.le(j, s.add(position, constant(right))));
    return all;
  }
};
} // namespace

/// Scaled scores with softcap, mask and visibility applied.
static Value biasScores(OpLowering &l, Value scores, Value mask,
                        const Visibility &visibility, const AttentionSizes &n,
                        Type acc) {
  SmallVector<Value> ins{scores};
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(5)};
  if (mask) {
    SmallVector<AffineExpr> exprs;
    SmallVector<OpFoldResult> sizes = n.scores();
    for (int64_t d = 0; d < 5; ++d) {
      bool one = l.isOne(mask, d);
      if (!one)
        l.requireEqual(l.size(mask, d), sizes[d],
                       "the mask does not fit the attention scores");
      exprs.push_back(one ? l.b.getAffineConstantExpr(0)
                          : l.b.getAffineDimExpr(d));
    }
    ins.push_back(mask);
    maps.push_back(AffineMap::get(5, 0, exprs, l.b.getContext()));
  }
  return l.pointwise(ins, maps, n.scores(), acc, [&](Scalars &s, ValueRange v) {
    Value score = v[0];
    Value hidden = s.lowest(acc);
    if (mask)
      score = isa<FloatType>(v[1].getType())
                  ? s.add(score, s.cast(v[1], acc, false, false))
                  : s.select(v[1], score, hidden);
    if (!visibility.restricts())
      return score;
    auto index = [&](int64_t d) -> Value {
      return linalg::IndexOp::create(s.b, s.loc, d);
    };
    Value sees = visibility.sees(s, index(0), index(3), index(4));
    return s.select(sees, score, hidden);
  });
}

/// Softmax along the keys; a row that sees no key gives zeros, not NaN.
static Value maskedSoftmax(OpLowering &l, Value scores, Type acc, Type elem) {
  Scalars s = l.scalars();
  int64_t axis = typeOf(scores).getRank() - 1;
  Value max =
      l.reduce(scores, axis, s.lowest(acc),
               [](Scalars &s, ValueRange v) { return s.max(v[1], v[0]); });
  Value exps =
      l.mapReduced(scores, max, axis, acc, [&](Scalars &s, ValueRange v) {
        Value nothing = s.eq(v[1], s.lowest(acc));
        return s.exp(s.sub(v[0], s.select(nothing, s.constant(acc, 0), v[1])));
      });
  Value sum =
      l.reduce(exps, axis, s.constant(acc, 0),
               [](Scalars &s, ValueRange v) { return s.add(v[1], v[0]); });
  return l.mapReduced(exps, sum, axis, elem, [&](Scalars &s, ValueRange v) {
    Value nothing = s.eq(v[1], s.constant(acc, 0));
    return s.div(v[0], s.select(nothing, s.constant(acc, 1), v[1]));
  });
}

/// The scores are an output too: they are a tensor of their own. Queries that
/// share a key-value head are rows of one product, so that no head is repeated
/// in memory.
static LogicalResult lowerWithScores(OpLowering &l, Value q, Value k, Value v,
                                     OpFoldResult past, Value mask,
                                     const AttentionSizes &n) {
  Type elem = l.outElem(), acc = computeType(l.inElem(0));
  OpFoldResult width = l.size(q, 3), valueWidth = l.size(v, 3);
  OpFoldResult qHeads = l.mul(n.kvHeads, n.group);
  OpFoldResult pairs = l.mul(n.batch, n.kvHeads);
  OpFoldResult rows = l.mul(n.group, n.queries);
  q = l.reshape(q, {n.batch, n.kvHeads, n.group, n.queries, width});
  Value scores = l.matmul(l.reshape(q, {pairs, rows, width}),
                          l.reshape(k, {pairs, n.keys, width}),
                          /*transposeB=*/true, acc);
  scores = l.reshape(scores, n.scores());

  Value scale;
  if (l.hasAttr("scale")) {
    scale = l.scalars().constant(acc, l.getFloat("scale", 1));
  } else {
    Scalars s = l.scalars();
    auto c = getConstantIntValue(width);
    scale =
        c ? s.constant(acc, 1 / std::sqrt(static_cast<double>(*c)))
          : s.div(s.constant(acc, 1), s.sqrt(s.fromIndex(l.value(width), acc)));
  }
  double softcap = l.getFloat("softcap", 0);
  Value raw = l.map(scores, acc, [&](Scalars &s, ValueRange x) {
    return s.mul(x[0], scale);
  });
  Value capped = raw;
  if (softcap > 0)
    capped = l.map(raw, acc, [&](Scalars &s, ValueRange x) {
      Value cap = s.constant(acc, softcap);
      return s.mul(cap, s.tanh(s.div(x[0], cap)));
    });

  Visibility visibility;
  visibility.causal = l.getInt("is_causal", 0) != 0;
  visibility.left = l.getInt("left_window_size", -1);
  visibility.right = l.getInt("right_window_size", -1);
  visibility.offset = l.value(past);
  visibility.queries = l.value(n.queries);
  if (l.has(6))
    visibility.lengths = l.in(6);
  Value biased = capped;
  if (mask || visibility.restricts())
    biased = biasScores(l, capped, mask ? expandMask(l, mask, n) : mask,
                        visibility, n, acc);
  Value weights = maskedSoftmax(l, biased, acc, acc);

  SmallVector<OpFoldResult> perHead{n.batch, qHeads, n.queries};
  Value stages[] = {raw, capped, biased, weights};
  int64_t mode = l.getInt("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3)
    return l.fail("qk_matmul_output_mode must be 0, 1, 2 or 3");
  SmallVector<OpFoldResult> sizes(perHead);
  sizes.push_back(n.keys);
  l.results[3] = l.castElements(l.reshape(stages[mode], sizes), l.outElem(3));
  Value y =
      l.matmul(l.reshape(weights, {pairs, rows, n.keys}),
               l.castElements(l.reshape(v, {pairs, n.keys, valueWidth}), acc),
               /*transposeB=*/false, acc);
  y = l.reshape(y, {n.batch, n.kvHeads, n.group, n.queries, valueWidth});
  perHead.push_back(valueWidth);
  y = l.castElements(l.reshape(y, perHead), elem);
  if (l.inRank(0) == 3) {
    y = l.transpose(y, {0, 2, 1, 3});
    y = l.reshape(y, {n.batch, n.queries, l.mul(qHeads, valueWidth)});
  }
  l.results[0] = y;
  return success();
}

/// One operation that keeps no scores. Canonicalization makes it read heads
/// where the projections have them.
static LogicalResult lowerAttention(OpLowering &l) {
  OpFoldResult qHeads = l.index(l.getInt("q_num_heads", 0));
  OpFoldResult kvHeads = l.index(l.getInt("kv_num_heads", 0));
  bool byToken = l.inRank(0) == 3;
  if (!byToken) {
    qHeads = l.size(l.in(0), 1);
    kvHeads = l.size(l.in(1), 1);
  }
  OpFoldResult group = l.floorDiv(qHeads, l.max(kvHeads, l.index(1)));
  l.requireEqual(l.mul(kvHeads, group), qHeads,
                 "the number of query heads must be a multiple of the number "
                 "of key-value heads");
  if (l.failed())
    return failure();
  Value q = splitHeads(l, l.in(0), qHeads);
  Value k = splitHeads(l, l.in(1), kvHeads);
  Value v = splitHeads(l, l.in(2), kvHeads);
  Type acc = computeType(l.inElem(0));

  OpFoldResult past = l.index(0);
  if (l.has(4) != l.has(5))
    return l.fail("past_key and past_value go together");
  if (l.has(4)) {
    past = l.size(l.in(4), 2);
    k = l.appendCache(l.in(4), k, 2);
    v = l.appendCache(l.in(5), v, 2);
  }
  l.results.assign(l.op->getNumResults(), Value());
  if (l.hasResult(1))
    l.results[1] = k;
  if (l.hasResult(2))
    l.results[2] = v;

  AttentionSizes n{l.size(q, 0), kvHeads, group, l.size(q, 2), l.size(k, 2)};
  l.requireEqual(l.size(v, 2), n.keys, "keys and values differ in length");
  l.requireEqual(l.size(k, 0), n.batch, "queries and keys differ in batch");
  l.requireEqual(l.size(v, 0), n.batch, "queries and values differ in batch");
  l.requireEqual(l.size(v, 1), kvHeads, "keys and values differ in heads");
  l.requireEqual(l.size(q, 3), l.size(k, 3),
                 "queries and keys differ in head size");
  if (l.has(6))
    l.requireEqual(l.size(l.in(6), 0), n.batch,
                   "queries and nonpad_kv_seqlen differ in batch");
  Value mask = l.has(3) ? getMask(l, n, acc) : Value();
  if (l.failed())
    return failure();
  if (l.hasResult(3))
    return lowerWithScores(l, q, k, v, past, mask, n);

  OpFoldResult valueWidth = l.size(v, 3);
  SmallVector<int64_t> shape;
  for (OpFoldResult size : {n.batch, n.queries, qHeads, valueWidth})
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  if (!byToken)
    std::swap(shape[1], shape[2]);
  bool shifted = !l.has(6) && getConstantIntValue(past) != 0;
  FloatAttr scale;
  if (l.hasAttr("scale"))
    scale = l.b.getF64FloatAttr(l.getFloat("scale", 1));
  auto y = AttentionOp::create(
      l.b, l.loc, RankedTensorType::get(shape, l.outElem()), q, k, v, mask,
      l.has(6) ? l.in(6) : Value(), shifted ? l.value(past) : Value(),
      /*outs=*/Value(), scale, APFloat(std::max(l.getFloat("softcap", 0), 0.0)),
      /*causal=*/l.getInt("is_causal", 0) != 0,
      std::max<int64_t>(l.getInt("left_window_size", -1), -1),
      std::max<int64_t>(l.getInt("right_window_size", -1), -1),
      /*query_by_token=*/false, /*key_by_token=*/false,
      /*value_by_token=*/false, /*result_by_token=*/byToken,
      l.b.getStrArrayAttr({l.layerName()}));
  l.results[0] = y.getResult();
  if (byToken)
    l.results[0] = l.reshape(y.getResult(),
                             {n.batch, n.queries, l.mul(qHeads, valueWidth)});
  return success();
}

//===----------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------===//

/// Each pair (x1, x2) of a head turns by the angle of its position; pairs are
/// the two halves of the rotated part, or neighbours. One loop over the
/// output, which reads both partners.
static LogicalResult lowerRotaryEmbedding(OpLowering &l) {
  Value x = l.in(0), cosines = l.in(1), sines = l.in(2);
  bool byPosition = l.has(3), heads3D = l.inRank(0) == 3;
  bool interleaved = l.getInt("interleaved", 0) != 0;
  int64_t heads = l.getInt("num_heads", 0);
  auto sizes = l.sizes(x);
  SmallVector<OpFoldResult> originalSizes(sizes);
  if (heads3D) {
    if (heads <= 0)
      return l.fail("an input of rank 3 needs num_heads");
    OpFoldResult width = l.floorDiv(sizes[2], l.index(heads));
    sizes = {sizes[0], sizes[1], l.index(heads), width};
    x = l.reshape(x, sizes);
  }
  int64_t sequenceDim = heads3D ? 1 : 2;
  OpFoldResult rotated = sizes[3];
  if (int64_t partial = l.getInt("rotary_embedding_dim", 0))
    rotated = l.index(partial);
  auto rotatedSize = getConstantIntValue(rotated);
  auto width = getConstantIntValue(sizes[3]);
  if (!rotatedSize || !width || *rotatedSize % 2 != 0 || *rotatedSize > *width)
    return l.fail("the rotated size must be known, even and at most the head "
                  "size");
  int64_t half = *rotatedSize / 2;
  bool partial = *rotatedSize != *width;
  l.requireEqual(l.size(cosines, l.inRank(1) - 1), l.index(half),
                 "cos_cache must have half the rotated size");

  Value positions;
  if (byPosition) {
    positions = l.in(3);
    // A position beyond the caches would read other memory.
    auto rows = getConstantIntValue(l.size(cosines, 0));
    std::string bound = rows ? std::to_string(*rows) + " rows" : "rows";
    l.requireIndices(positions, l.size(cosines, 0), /*allowNegative=*/false,
                     "context overflow: a position is beyond the " + bound +
                         " of cos_cache");
    l.requireEqual(l.size(positions, 0), sizes[0],
                   "position_ids and the input differ in batch");
    l.requireEqual(l.size(positions, 1), sizes[sequenceDim],
                   "position_ids and the input differ in length");
  } else {
    l.requireEqual(l.size(cosines, 0), sizes[0],
                   "cos_cache and the input differ in batch");
    l.requireEqual(l.size(cosines, 1), sizes[sequenceDim],
                   "cos_cache and the input differ in length");
  }
  Type elem = l.outElem(), acc = computeType(elem);
  Value y = l.generate(sizes, elem, [&](Scalars &s, ValueRange at) {
    auto constant = [&](int64_t c) { return s.integer(at[3].getType(), c); };
    Value j = at[3], second, pair, partner;
    if (interleaved) {
      Value odd = arith::AndIOp::create(s.b, s.loc, j, constant(1));
      second = s.eq(odd, constant(1));
      pair = arith::ShRUIOp::create(s.b, s.loc, j, constant(1));
      partner = arith::XOrIOp::create(s.b, s.loc, j, constant(1));
    } else {
      second = s.le(constant(half), j);
      pair = s.select(second, s.sub(j, constant(half)), j);
      partner = s.select(second, pair, s.add(j, constant(half)));
    }
    Value inside = s.lt(j, constant(*rotatedSize));
    if (partial) {
      // What is not rotated still needs addresses that exist.
      pair = s.select(inside, pair, constant(0));
      partner = s.select(inside, partner, constant(0));
    }
    SmallVector<Value> angle;
    if (byPosition)
      angle = {
          s.toIndex(OpLowering::at(s, positions, {at[0], at[sequenceDim]})),
          pair};
    else
      angle = {at[0], at[sequenceDim], pair};
    SmallVector<Value> partnerAt(at);
    partnerAt[3] = partner;
    auto read = [&](Value tensor, ValueRange position) {
      return s.cast(OpLowering::at(s, tensor, position), acc, false, false);
    };
    Value own = read(x, at), other = read(x, partnerAt);
    Value cosine = read(cosines, angle), sine = read(sines, angle);
    // First: cos x1 - sin x2; second: sin x1 + cos x2.
    Value turned = s.mul(sine, other);
    turned = s.select(second, turned, s.neg(turned));
    Value result = s.add(s.mul(cosine, own), turned);
    if (partial)
      result = s.select(inside, result, own);
    return s.cast(result, elem, false, false);
  });
  return l.done(heads3D ? l.reshape(y, originalSizes) : y);
}

void addAttention(LowerTable &table) {
  table["onnx.Attention"] = lowerAttention;
  table["onnx.RotaryEmbedding"] = lowerRotaryEmbedding;
}

} // namespace nibble::onnx_to_linalg
