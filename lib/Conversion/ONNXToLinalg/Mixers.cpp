//===- Mixers.cpp - Linear attention and causal convolution ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

static RankedTensorType typeOf(Value v) {
  return cast<RankedTensorType>(v.getType());
}

static Value sumOfProducts(Scalars &s, ValueRange v) {
  return s.add(v[2], s.mul(v[0], v[1]));
}

/// Sums the products of elements of `a` and `b` over the loops that `out` does
/// not use; the maps say which loops index each of them. Sums start at `init`.
static Value contract(OpLowering &l, Value a, ArrayRef<int64_t> aLoops, Value b,
                      ArrayRef<int64_t> bLoops, Value init,
                      ArrayRef<int64_t> outLoops, int64_t numLoops) {
  MLIRContext *ctx = l.b.getContext();
  auto mapOf = [&](ArrayRef<int64_t> loops) {
    SmallVector<AffineExpr> exprs;
    for (int64_t loop : loops)
      exprs.push_back(getAffineDimExpr(loop, ctx));
    return AffineMap::get(numLoops, 0, exprs, ctx);
  };
  SmallVector<utils::IteratorType> iterators(numLoops,
                                             utils::IteratorType::reduction);
  for (int64_t loop : outLoops)
    iterators[loop] = utils::IteratorType::parallel;
  auto generic = linalg::GenericOp::create(
      l.b, l.loc, init.getType(), ValueRange{a, b}, init,
      ArrayRef<AffineMap>{mapOf(aLoops), mapOf(bLoops), mapOf(outLoops)},
      iterators, [&](OpBuilder &nested, Location loc, ValueRange args) {
        Scalars s{nested, loc};
        linalg::YieldOp::create(nested, loc, sumOfProducts(s, args));
      });
  return generic.getResult(0);
}

//===----------------------------------------------------------------------===//
// Causal convolution
//===----------------------------------------------------------------------===//

static LogicalResult lowerCausalConv(OpLowering &l) {
  Value x = l.in(0), weight = l.in(1);
  Type elem = l.outElem(), acc = computeType(elem);
  OpFoldResult batch = l.size(x, 0), channels = l.size(x, 1);
  OpFoldResult length = l.size(x, 2), taps = l.size(weight, 2);
  OpFoldResult before = l.sub(taps, l.index(1));
  l.requireEqual(l.size(weight, 0), channels,
                 "the weight does not fit the channels");
  l.requireEqual(l.size(weight, 1), l.index(1),
                 "the weight is not that of a depthwise convolution");
  Value past;
  if (l.has(3)) {
    past = l.in(3);
    SmallVector<OpFoldResult> wanted{batch, channels, before};
    for (int64_t d = 0; d < 3; ++d)
      l.requireEqual(l.size(past, d), wanted[d],
                     "dimension " + Twine(d) + " of past_state does not fit");
  } else {
    past = l.filled({batch, channels, before}, l.scalars().constant(elem, 0));
  }
  Value all = l.concat({past, x}, 2);
  Value kernel = l.castElements(l.reshape(weight, {channels, taps}), acc);
  Value init;
  SmallVector<OpFoldResult> sizes{batch, channels, length};
  if (l.has(2)) {
    l.requireEqual(l.size(l.in(2), 0), channels,
                   "the bias does not fit the channels");
    Value bias = l.castElements(l.in(2), acc);
    init = l.broadcastTo(l.unsqueeze(bias, 1), sizes);
  } else {
    init = l.filled(sizes, l.scalars().constant(acc, 0));
  }
  AffineExpr b, c, t, k;
  MLIRContext *ctx = l.b.getContext();
  bindDims(ctx, b, c, t, k);
  SmallVector<utils::IteratorType> iterators(3, utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  auto product = linalg::GenericOp::create(
      l.b, l.loc, init.getType(), ValueRange{l.castElements(all, acc), kernel},
      init,
      ArrayRef<AffineMap>{AffineMap::get(4, 0, {b, c, t + k}, ctx),
                          AffineMap::get(4, 0, {c, k}, ctx),
                          AffineMap::get(4, 0, {b, c, t}, ctx)},
      iterators, [&](OpBuilder &nested, Location loc, ValueRange args) {
        Scalars s{nested, loc};
        linalg::YieldOp::create(nested, loc, sumOfProducts(s, args));
      });
  bool activate = l.getString("activation", "none") != "none";
  Value y = l.map(product.getResult(0), elem, [&](Scalars &s, ValueRange v) {
    return activate ? s.mul(v[0], s.sigmoid(v[0])) : v[0];
  });
  SmallVector<Value> results{y};
  if (l.hasResult(1))
    results.push_back(l.slice(all, 2, length, before));
  return l.done(results);
}

//===----------------------------------------------------------------------===//
// Linear attention
//===----------------------------------------------------------------------===//

static LogicalResult lowerLinearAttention(OpLowering &l) {
  StringRef rule = l.getString("update_rule", "gated_delta");
  bool gated = rule.starts_with("gated"), delta = rule.ends_with("delta");
  int64_t heads = l.getInt("kv_num_heads", 1);
  int64_t group = l.getInt("q_num_heads", 1) / heads;
  Type elem = l.outElem(), acc = computeType(elem);
  OpFoldResult batch = l.size(l.in(0), 0), length = l.size(l.in(0), 1);
  OpFoldResult H = l.index(heads), G = l.index(group), one = l.index(1);
  OpFoldResult dk = l.floorDiv(l.size(l.in(1), 2), H);
  OpFoldResult dv = l.floorDiv(l.size(l.in(2), 2), H);
  l.requireEqual(l.size(l.in(0), 2), l.mul(l.mul(H, G), dk),
                 "query and key have different head sizes");
  for (unsigned i : {1, 2})
    l.requireEqual(l.size(l.in(i), 1), length,
                   "key or value is not as long as the query");
  // [batch, length, heads * size] as [batch, length, heads..., size].
  auto split = [&](unsigned i, ArrayRef<OpFoldResult> tail) {
    SmallVector<OpFoldResult> sizes{batch, length};
    llvm::append_range(sizes, tail);
    return l.reshape(l.castElements(l.in(i), acc), sizes);
  };
  Value q = split(0, {H, G, dk}), k = split(1, {H, dk}), v = split(2, {H, dv});
  Value decay, beta;
  if (gated) {
    OpFoldResult width = l.size(l.in(4), 2);
    OpFoldResult full = l.mul(H, dk);
    if (l.knownEqual(width, H) || l.knownEqual(width, full)) {
      decay = split(4, {H, l.knownEqual(width, full) ? dk : one});
    } else {
      // Known at run time only: written out per element of the key.
      Scalars s = l.scalars();
      Value perHead = s.eq(l.value(width), l.value(H));
      l.require(arith::OrIOp::create(l.b, l.loc, perHead,
                                     s.eq(l.value(width), l.value(full))),
                "decay is neither per head nor per element of the key");
      Value size = l.value(dk);
      decay = l.generate(
          {batch, length, H, dk}, acc, [&](Scalars &t, ValueRange at) {
            Value element = t.add(t.mul(at[2], size), at[3]);
            Value from = t.select(perHead, at[2], element);
            Value x = OpLowering::at(t, l.in(4), {at[0], at[1], from});
            return t.cast(x, acc, false, false);
          });
    }
  }
  if (delta) {
    OpFoldResult width = l.size(l.in(5), 2);
    bool shared = getConstantIntValue(width) == 1;
    if (!shared)
      l.requireEqual(width, H, "beta is neither one number nor per head");
    beta = split(5, {shared ? one : H});
  }
  Scalars outer = l.scalars();
  double given = l.getFloat("scale", 0);
  Value scale = outer.constant(acc, given);
  if (given == 0)
    scale = outer.div(outer.constant(acc, 1),
                      outer.sqrt(outer.fromIndex(l.value(dk), acc)));
  Value zero = outer.constant(acc, 0);
  SmallVector<OpFoldResult> stateSizes{batch, H, dk, dv};
  Value state;
  if (l.has(3)) {
    for (int64_t d = 0; d < 4; ++d)
      l.requireEqual(l.size(l.in(3), d), stateSizes[d],
                     "dimension " + Twine(d) + " of past_state does not fit");
    state = l.castElements(l.in(3), acc);
  } else {
    state = l.filled(stateSizes, zero);
  }
  Value output = l.empty({batch, length, H, G, dv}, acc);

  auto loop =
      scf::ForOp::create(l.b, l.loc, l.value(l.index(0)), l.value(length),
                         l.value(one), ValueRange{state, output});
  {
    OpBuilder::InsertionGuard guard(l.b);
    l.b.setInsertionPointToStart(loop.getBody());
    OpFoldResult at = loop.getInductionVar();
    Value S = loop.getRegionIterArgs()[0], all = loop.getRegionIterArgs()[1];
    // What belongs to this position, without the dimension of the length.
    auto now = [&](Value x) {
      Value part = l.slice(x, 1, at, one);
      SmallVector<OpFoldResult> sizes = l.sizes(part);
      sizes.erase(sizes.begin() + 1);
      return l.reshape(part, sizes);
    };
    auto mul = [](Scalars &s, ValueRange x) { return s.mul(x[0], x[1]); };
    if (gated)
      S = l.map(
          {S, l.unsqueeze(now(decay), 3)}, acc,
          [](Scalars &s, ValueRange x) { return s.mul(x[0], s.exp(x[1])); });
    Value key = now(k), value = now(v);
    if (delta) {
      // Loops: batch, head, key, value.
      Value read = contract(l, S, {0, 1, 2, 3}, key, {0, 1, 2},
                            l.filled({batch, H, dv}, zero), {0, 1, 3}, 4);
      Value rate = l.unsqueeze(now(beta), 2);
      value = l.map({value, read, rate}, acc, [](Scalars &s, ValueRange x) {
        return s.mul(x[2], s.sub(x[0], x[1]));
      });
    }
    Value added = l.map({l.unsqueeze(key, 3), l.unsqueeze(value, 2)}, acc, mul);
    S = l.map({S, added}, acc,
              [](Scalars &s, ValueRange x) { return s.add(x[0], x[1]); });
    // Loops: batch, head, group, key, value.
    Value y = contract(l, now(q), {0, 1, 2, 3}, S, {0, 1, 3, 4},
                       l.filled({batch, H, G, dv}, zero), {0, 1, 2, 4}, 5);
    y = l.map(y, acc,
              [&](Scalars &s, ValueRange x) { return s.mul(x[0], scale); });
    SmallVector<OpFoldResult> offsets(5, l.index(0));
    offsets[1] = at;
    Value next = l.insert(l.unsqueeze(y, 1), all, offsets);
    scf::YieldOp::create(
        l.b, l.loc,
        ValueRange{l.castTo(S, typeOf(loop.getRegionIterArgs()[0])), next});
  }
  Value result =
      l.reshape(loop.getResult(1), {batch, length, l.mul(l.mul(H, G), dv)});
  SmallVector<Value> results{l.castElements(result, elem)};
  if (l.hasResult(1))
    results.push_back(l.castElements(loop.getResult(0), l.outElem(1)));
  return l.done(results);
}

static LogicalResult lowerSwiGLU(OpLowering &l) {
  double alpha = l.getFloat("alpha", 1);
  return l.done(
      l.map({l.in(0), l.in(1)}, l.outElem(), [&](Scalars &s, ValueRange v) {
        Value a = s.constant(v[0].getType(), alpha);
        Value gate = s.sigmoid(s.mul(a, v[0]));
        return s.mul(s.mul(v[0], gate), v[1]);
      }));
}

void addMixers(LowerTable &table) {
  table["onnx.CausalConvWithState"] = lowerCausalConv;
  table["onnx.LinearAttention"] = lowerLinearAttention;
  table["onnx.SwiGLU"] = lowerSwiGLU;
}

} // namespace nibble::onnx_to_linalg
