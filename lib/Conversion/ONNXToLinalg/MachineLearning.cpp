//===- MachineLearning.cpp - Classical machine learning -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

static LogicalResult lowerArrayFeatureExtractor(OpLowering &l) {
  Value x = l.in(0), picks = l.in(1);
  if (l.inRank(0) == 1)
    x = l.unsqueeze(x, 0);
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  picks = l.reshape(picks, l.product(l.sizes(picks)));
  l.requireIndices(picks, l.size(x, rank - 1), /*allowNegative=*/false,
                   "an index is out of bounds");
  SmallVector<OpFoldResult> sizes = l.sizes(x);
  sizes.back() = l.size(picks, 0);
  return l.done(l.generate(sizes, l.outElem(), [&](Scalars &s, ValueRange at) {
    SmallVector<Value> from(at);
    from.back() = s.toIndex(OpLowering::at(s, picks, at.back()));
    return OpLowering::at(s, x, from);
  }));
}

static LogicalResult lowerBinarizer(OpLowering &l) {
  double threshold = l.getFloat("threshold", 0);
  Type elem = l.outElem();
  return l.done(l.map(l.in(0), elem, [&](Scalars &s, ValueRange v) {
    Type type = v[0].getType();
    Value x = v[0], limit = s.constant(type, threshold);
    if (!isa<FloatType>(type)) {
      // A threshold may have a fraction.
      x = s.cast(x, s.b.getF64Type(), false, false);
      limit = s.constant(s.b.getF64Type(), threshold);
    }
    return s.select(s.lt(limit, x), s.constant(type, 1), s.constant(type, 0));
  }));
}

/// The floats of an attribute as a tensor that is one long or as long as the
/// rows; null if there are none.
static FailureOr<Value> perFeature(OpLowering &l, StringRef name) {
  auto attr = l.op->getAttrOfType<DenseF32ArrayAttr>(name);
  if (!attr || attr.empty())
    return Value();
  OpFoldResult features = l.size(l.in(0), l.inRank(0) - 1);
  if (attr.size() != 1)
    l.requireEqual(l.index(attr.size()), features,
                   name + " has not one element for each feature");
  auto type = RankedTensorType::get(attr.size(), l.b.getF32Type());
  return arith::ConstantOp::create(
             l.b, l.loc, DenseElementsAttr::get(type, attr.asArrayRef()))
      .getResult();
}

static LogicalResult lowerScaler(OpLowering &l) {
  auto offset = perFeature(l, "offset"), scale = perFeature(l, "scale");
  Value x = l.castElements(l.in(0), l.b.getF32Type(), l.inUnsigned(0));
  if (*offset)
    x = l.map({x, *offset}, l.outElem(),
              [](Scalars &s, ValueRange v) { return s.sub(v[0], v[1]); });
  if (*scale)
    x = l.map({x, *scale}, l.outElem(),
              [](Scalars &s, ValueRange v) { return s.mul(v[0], v[1]); });
  return l.done(x);
}

static LogicalResult lowerNormalizer(OpLowering &l) {
  StringRef norm = l.getString("norm", "MAX");
  Type f32 = l.b.getF32Type();
  Value x = l.castElements(l.in(0), f32, l.inUnsigned(0));
  int64_t axis = l.inRank(0) - 1;
  Value zero = l.scalars().constant(f32, 0);
  Value size = l.reduce(x, axis, zero, [&](Scalars &s, ValueRange v) {
    if (norm == "MAX")
      return s.max(v[1], s.abs(v[0]));
    return s.add(v[1], norm == "L1" ? s.abs(v[0]) : s.mul(v[0], v[0]));
  });
  return l.done(l.mapReduced(x, size, axis, f32, [&](Scalars &s, ValueRange v) {
    Value divisor = norm == "L2" ? s.sqrt(v[1]) : v[1];
    Value none = s.eq(divisor, s.constant(f32, 0));
    return s.select(none, v[0], s.div(v[0], divisor));
  }));
}

static LogicalResult lowerImputer(OpLowering &l) {
  Type elem = l.outElem();
  bool isFloat = isa<FloatType>(elem);
  FailureOr<Value> values = perFeature(l, "imputed_value_floats");
  double replaced = l.getFloat("replaced_value_float", 0);
  if (!isFloat) {
    SmallVector<int64_t> given = l.getInts("imputed_value_int64s");
    if (given.size() != 1)
      l.requireEqual(l.index(given.size()), l.size(l.in(0), l.inRank(0) - 1),
                     "imputed_value_int64s has not one element for each "
                     "feature");
    replaced = l.getInt("replaced_value_int64", 0);
    SmallVector<Value> elements;
    for (int64_t value : given)
      elements.push_back(l.scalars().integer(elem, value));
    values =
        l.fromElements(elements, RankedTensorType::get(given.size(), elem));
  }
  if (!*values)
    return l.fail("has no imputed values for this element type");
  return l.done(l.map({l.in(0), *values}, elem, [&](Scalars &s, ValueRange v) {
    Value missing = isFloat && std::isnan(replaced)
                        ? s.isNaN(v[0])
                        : s.eq(v[0], s.constant(v[0].getType(), replaced));
    return s.select(missing, s.cast(v[1], v[0].getType(), false, false), v[0]);
  }));
}

static LogicalResult lowerLinearRegressor(OpLowering &l) {
  if (l.getString("post_transform", "NONE") != "NONE")
    return l.fail("post_transform '" + l.getString("post_transform", "") +
                  "' is not supported");
  Type f32 = l.b.getF32Type();
  Value x = l.castElements(l.in(0), f32, l.inUnsigned(0));
  if (l.inRank(0) == 1)
    x = l.unsqueeze(x, 0);
  int64_t targets = l.getInt("targets", 1);
  auto coefficients = l.op->getAttrOfType<DenseF32ArrayAttr>("coefficients");
  if (!coefficients || targets < 1 || coefficients.size() % targets != 0)
    return l.fail("coefficients must have a multiple of targets elements");
  auto type =
      RankedTensorType::get({targets, coefficients.size() / targets}, f32);
  Value weight = arith::ConstantOp::create(
      l.b, l.loc, DenseElementsAttr::get(type, coefficients.asArrayRef()));
  Value y = l.matmul(x, weight, /*transposeB=*/true, f32);
  auto intercepts = l.op->getAttrOfType<DenseF32ArrayAttr>("intercepts");
  if (!intercepts || intercepts.empty())
    return l.done(y);
  if (intercepts.size() != targets)
    return l.fail("intercepts must have one element for each target");
  Value bias = arith::ConstantOp::create(
      l.b, l.loc,
      DenseElementsAttr::get(RankedTensorType::get(targets, f32),
                             intercepts.asArrayRef()));
  return l.done(l.map({y, bias}, f32, [](Scalars &s, ValueRange v) {
    return s.add(v[0], v[1]);
  }));
}

//===----------------------------------------------------------------------===//
// N-grams
//===----------------------------------------------------------------------===//

/// How often each n-gram of one length occurs in each row [rows, grams].
static Value countGrams(OpLowering &l, Value rows, ArrayRef<int64_t> pool,
                        int64_t length) {
  Type f32 = l.b.getF32Type(), i64 = l.b.getI64Type();
  int64_t grams = pool.size() / length;
  auto type = RankedTensorType::get({grams, length}, i64);
  Value table =
      arith::ConstantOp::create(l.b, l.loc, DenseElementsAttr::get(type, pool));
  // A gram of one element has no gaps to widen.
  int64_t skips = length == 1 ? 0 : l.getInt("max_skip_count", 0);
  Value width = l.value(l.size(rows, 1));
  return l.generate(
      {l.size(rows, 0), l.index(grams)}, f32, [&](Scalars &s, ValueRange at) {
        Type index = s.b.getIndexType();
        Value zero = s.integer(index, 0), one = s.integer(index, 1);
        Value total = s.constant(f32, 0);
        for (int64_t skip = 0; skip <= skips; ++skip) {
          int64_t reach = (length - 1) * (skip + 1);
          Value starts = s.max(s.sub(width, s.integer(index, reach)), zero);
          auto loop = scf::ForOp::create(
              s.b, s.loc, zero, starts, one, total,
              [&](OpBuilder &nested, Location loc, Value start,
                  ValueRange sum) {
                Scalars t{nested, loc};
                Value all = t.integer(nested.getI1Type(), 1);
                for (int64_t k = 0; k < length; ++k) {
                  Value from = t.add(start, t.integer(index, k * (skip + 1)));
                  Value same = t.eq(
                      OpLowering::at(t, rows, {at[0], from}),
                      OpLowering::at(t, table, {at[1], t.integer(index, k)}));
                  all = arith::AndIOp::create(nested, loc, all, same);
                }
                Value hit = t.cast(all, f32, true, false);
                scf::YieldOp::create(nested, loc, t.add(sum[0], hit));
              });
          total = loop.getResult(0);
        }
        return total;
      });
}

static LogicalResult lowerTfIdfVectorizer(OpLowering &l) {
  SmallVector<int64_t> pool = l.getInts("pool_int64s");
  SmallVector<int64_t> starts = l.getInts("ngram_counts");
  SmallVector<int64_t> indices = l.getInts("ngram_indexes");
  if (!isa<IntegerType>(l.inElem(0)) || pool.empty())
    return l.fail("only pools and inputs of integers are supported");
  Type f32 = l.b.getF32Type();
  Value rows = l.castElements(l.in(0), l.b.getI64Type());
  bool isVector = l.inRank(0) == 1;
  if (isVector)
    rows = l.unsqueeze(rows, 0);
  int64_t width = l.outType().getDimSize(l.outRank() - 1);
  StringRef mode = l.getString("mode", "TF");
  auto weights = l.op->getAttrOfType<DenseF32ArrayAttr>("weights");
  Value result =
      l.filled({l.size(rows, 0), l.index(width)}, l.scalars().constant(f32, 0));
  int64_t gram = 0;
  for (auto [i, start] : llvm::enumerate(starts)) {
    int64_t length = i + 1;
    int64_t end = length < static_cast<int64_t>(starts.size())
                      ? starts[length]
                      : static_cast<int64_t>(pool.size());
    int64_t grams = (end - start) / length, first = gram;
    gram += grams;
    if (grams == 0 || length < l.getInt("min_gram_length", 1) ||
        length > l.getInt("max_gram_length", 1))
      continue;
    Value counts =
        countGrams(l, rows, ArrayRef(pool).slice(start, end - start), length);
    SmallVector<float> factors(grams, 1);
    if (weights && mode != "TF")
      llvm::copy(weights.asArrayRef().slice(first, grams), factors.begin());
    auto vector = RankedTensorType::get(grams, f32);
    Value factor = arith::ConstantOp::create(
        l.b, l.loc, DenseElementsAttr::get(vector, ArrayRef(factors)));
    Value places = arith::ConstantOp::create(
        l.b, l.loc,
        DenseElementsAttr::get(RankedTensorType::get(grams, l.b.getI64Type()),
                               ArrayRef(indices).slice(first, grams)));
    result =
        loopOver(l, l.sizes(counts), result,
                 [&](Scalars &s, ValueRange at, Value tensor) -> Value {
                   Value count = OpLowering::at(s, counts, at);
                   Value weight = OpLowering::at(s, factor, at[1]);
                   Value zero = s.constant(f32, 0);
                   Value value = mode == "IDF"
                                     ? s.select(s.lt(zero, count), weight, zero)
                                     : s.mul(count, weight);
                   Value to = s.toIndex(OpLowering::at(s, places, at[1]));
                   return tensor::InsertOp::create(s.b, s.loc, value, tensor,
                                                   ValueRange{at[0], to});
                 });
  }
  return l.done(isVector ? l.reshape(result, l.index(width)) : result);
}

void addMachineLearning(LowerTable &table) {
  table["onnx.ai.onnx.ml.ArrayFeatureExtractor"] = lowerArrayFeatureExtractor;
  table["onnx.ai.onnx.ml.Binarizer"] = lowerBinarizer;
  table["onnx.ai.onnx.ml.Scaler"] = lowerScaler;
  table["onnx.ai.onnx.ml.Normalizer"] = lowerNormalizer;
  table["onnx.ai.onnx.ml.Imputer"] = lowerImputer;
  table["onnx.ai.onnx.ml.LinearRegressor"] = lowerLinearRegressor;
  table["onnx.TfIdfVectorizer"] = lowerTfIdfVectorizer;
}

} // namespace nibble::onnx_to_linalg
