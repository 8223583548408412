//===- MatMul.cpp - Products of tensors
//---------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

//===----------------------------------------------------------------------===//
// MatMul
//===----------------------------------------------------------------------===//

Value matmulBroadcast(OpLowering &l, Value a, Value b, Type elem) {
  auto rankOf = [](Value v) {
    return cast<RankedTensorType>(v.getType()).getRank();
  };
  bool rowVector = rankOf(a) == 1, columnVector = rankOf(b) == 1;
  if (rowVector)
    a = l.unsqueeze(a, 0);
  if (columnVector)
    b = l.unsqueeze(b, 1);
  SmallVector<OpFoldResult> sa = l.sizes(a), sb = l.sizes(b);
  int64_t ra = sa.size(), rb = sb.size();
  OpFoldResult m = sa[ra - 2], k = sa[ra - 1], n = sb[rb - 1];

  Value product;
  SmallVector<OpFoldResult> leading;
  if (rb == 2) {
    // One matrix for all: the leading dimensions are rows.
    leading.assign(sa.begin(), sa.end() - 2);
    if (ra > 2)
      a = l.reshape(a, {l.mul(l.product(leading), m), k});
    product = l.matmul(a, b, /*transposeB=*/false, elem);
  } else {
    int64_t rank = std::max(ra, rb) - 2;
    for (int64_t d = 0; d < rank; ++d) {
      int64_t da = d - (rank - (ra - 2)), db = d - (rank - (rb - 2));
      OpFoldResult x = da < 0 ? l.index(1) : sa[da];
      OpFoldResult y = db < 0 ? l.index(1) : sb[db];
      bool useX = getConstantIntValue(y) == 1 ||
                  (getConstantIntValue(x) && getConstantIntValue(x) != 1);
      leading.push_back(useX ? x : y);
    }
    auto spread = [&](Value v, OpFoldResult rows, OpFoldResult columns) {
      SmallVector<OpFoldResult> full(leading);
      full.append({rows, columns});
      v = l.broadcastTo(v, full);
      return l.reshape(v, {l.product(leading), rows, columns});
    };
    a = spread(a, m, k);
    b = spread(b, sb[rb - 2], n);
    product = l.matmul(a, b, /*transposeB=*/false, elem);
  }
  SmallVector<OpFoldResult> sizes(leading);
  if (!rowVector)
    sizes.push_back(m);
  if (!columnVector)
    sizes.push_back(n);
  return l.reshape(product, sizes);
}

static LogicalResult lowerMatMul(OpLowering &l) {
  return l.done(matmulBroadcast(l, l.in(0), l.in(1), l.outElem()));
}

//===----------------------------------------------------------------------===//
// Gemm
//===----------------------------------------------------------------------===//

/// alpha * A' * B' + beta * C.
static LogicalResult lowerGemm(OpLowering &l) {
  double alpha = l.getFloat("alpha", 1), beta = l.getFloat("beta", 1);
  Type elem = l.outElem(), acc = computeType(elem);
  Value a = l.in(0), b = l.in(1);
  if (l.getInt("transA", 0) != 0)
    a = l.transpose(a, {1, 0});
  Value product = l.matmul(a, b, l.getInt("transB", 0) != 0, acc);
  if (!l.has(2) && alpha == 1)
    return l.done(l.castElements(product, elem));
  // C broadcasts to the product, never the other way round.
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(2)};
  SmallVector<Value> ins{product};
  SmallVector<OpFoldResult> sizes = l.sizes(product);
  if (l.has(2)) {
    SmallVector<AffineExpr> exprs;
    int64_t rank = l.inRank(2);
    for (int64_t d = 0; d < rank; ++d) {
      int64_t to = d + 2 - rank;
      bool one =
          l.inType(2).getDimSize(d) == 1 && getConstantIntValue(sizes[to]) != 1;
      if (!one)
        l.requireEqual(l.size(l.in(2), d), sizes[to],
                       "dimension " + Twine(d) + " of C does not fit");
      exprs.push_back(one ? l.b.getAffineConstantExpr(0)
                          : l.b.getAffineDimExpr(to));
    }
    ins.push_back(l.in(2));
    maps.push_back(AffineMap::get(2, 0, exprs, l.b.getContext()));
  }
  bool isFloat = isa<FloatType>(elem);
  return l.done(
      l.pointwise(ins, maps, sizes, elem, [&](Scalars &s, ValueRange v) {
        auto scaled = [&](Value x, double factor) {
          if (factor == 1)
            return x;
          if (isFloat)
            return s.mul(x, s.constant(x.getType(), factor));
          // Integers are scaled as floats.
          Value wide = s.cast(x, s.b.getF64Type(), false, false);
          wide = s.mul(wide, s.constant(wide.getType(), factor));
          return s.cast(wide, x.getType(), false, false);
        };
        Value y = scaled(v[0], alpha);
        return v.size() == 2 ? s.add(y, scaled(v[1], beta)) : y;
      }));
}

//===----------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------===//

namespace {
/// The subscripts of an equation: a letter, or a number for a dimension of
/// the ellipsis.
struct Equation {
  SmallVector<SmallVector<int>> inputs;
  SmallVector<int> output;
};
} // namespace

/// Dimensions of the ellipsis are numbered from the right, above the letters.
static constexpr int ellipsisBase = 256;

static FailureOr<SmallVector<int>> parseTerm(OpLowering &l, StringRef term,
                                             int64_t ellipsisRank) {
  SmallVector<int> labels;
  while (!term.empty()) {
    if (term.consume_front("...")) {
      for (int64_t i = ellipsisRank; i > 0; --i)
        labels.push_back(ellipsisBase + i);
      continue;
    }
    if (!llvm::isAlpha(term.front()))
      return l.fail("the equation has the character '" + Twine(term.front()) +
                    "'");
    labels.push_back(term.front());
    term = term.drop_front();
  }
  return labels;
}

static FailureOr<Equation> parseEquation(OpLowering &l) {
  std::string text;
  for (char c : l.getString("equation", ""))
    if (c != ' ')
      text += c;
  auto [left, right] = StringRef(text).split("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != l.numInputs())
    return l.fail("the equation has " + Twine(terms.size()) + " terms for " +
                  Twine(l.numInputs()) + " inputs");
  Equation equation;
  int64_t widest = 0;
  for (auto [i, term] : llvm::enumerate(terms)) {
    int64_t letters = llvm::count_if(term, [](char c) { return c != '.'; });
    int64_t ellipsis = term.contains("...") ? l.inRank(i) - letters : 0;
    widest = std::max(widest, ellipsis);
    auto labels = parseTerm(l, term, ellipsis);
    if (failed(labels))
      return failure();
    if (static_cast<int64_t>(labels->size()) != l.inRank(i))
      return l.fail("term " + Twine(i) +
                    " of the equation does not have the "
                    "rank of its input");
    equation.inputs.push_back(*labels);
  }
  if (StringRef(text).contains("->")) {
    auto labels = parseTerm(l, right, widest);
    if (failed(labels))
      return failure();
    equation.output = *labels;
    return equation;
  }
  // Without an output: the ellipsis, then letters that occur once, sorted.
  for (int64_t i = widest; i > 0; --i)
    equation.output.push_back(ellipsisBase + i);
  for (int letter = 'A'; letter <= 'z'; ++letter) {
    int64_t uses = 0;
    for (const auto &labels : equation.inputs)
      uses += llvm::count(labels, letter);
    if (uses == 1)
      equation.output.push_back(letter);
  }
  return equation;
}

/// One loop nest over all labels: those of the output are parallel.
static LogicalResult lowerEinsum(OpLowering &l) {
  auto equation = parseEquation(l);
  if (failed(equation))
    return failure();
  SmallVector<int> labels(equation->output);
  for (const auto &term : equation->inputs)
    for (int label : term)
      if (!llvm::is_contained(labels, label))
        labels.push_back(label);
  auto loopOf = [&](int label) -> int64_t {
    return std::distance(labels.begin(), llvm::find(labels, label));
  };
  SmallVector<OpFoldResult> extents(labels.size());
  for (auto [i, term] : llvm::enumerate(equation->inputs))
    for (auto [d, label] : llvm::enumerate(term)) {
      OpFoldResult n = l.size(l.in(i), d);
      OpFoldResult &extent = extents[loopOf(label)];
      if (!extent || getConstantIntValue(extent) == 1)
        extent = n;
      else if (getConstantIntValue(n) != 1)
        l.requireEqual(extent, n, "dimensions of the equation differ");
    }
  MLIRContext *ctx = l.b.getContext();
  int64_t loops = labels.size();
  SmallVector<AffineMap> maps;
  SmallVector<Value> ins(l.inputs());
  for (auto [i, term] : llvm::enumerate(equation->inputs)) {
    SmallVector<AffineExpr> exprs;
    for (auto [d, label] : llvm::enumerate(term)) {
      bool stretched = l.isOne(l.in(i), d) &&
                       getConstantIntValue(extents[loopOf(label)]) != 1;
      exprs.push_back(stretched ? getAffineConstantExpr(0, ctx)
                                : getAffineDimExpr(loopOf(label), ctx));
    }
    maps.push_back(AffineMap::get(loops, 0, exprs, ctx));
  }
  int64_t outRank = equation->output.size();
  maps.push_back(mapWithoutDims(
      ctx, loops, llvm::to_vector(llvm::seq<int64_t>(outRank, loops))));
  SmallVector<utils::IteratorType> iterators(outRank,
                                             utils::IteratorType::parallel);
  iterators.append(loops - outRank, utils::IteratorType::reduction);
  Type elem = l.outElem(), acc = computeType(elem);
  Value init = l.filled(ArrayRef(extents).take_front(outRank),
                        l.scalars().constant(acc, 0));
  auto generic = linalg::GenericOp::create(
      l.b, l.loc, init.getType(), ins, init, maps, iterators,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        Scalars s{b, loc};
        Value product = s.cast(args[0], acc, false, false);
        for (Value x : args.drop_front().drop_back())
          product = s.mul(product, s.cast(x, acc, false, false));
        linalg::YieldOp::create(b, loc, s.add(args.back(), product));
      });
  return l.done(l.castElements(generic.getResult(0), elem));
}

void addMatMul(LowerTable &table) {
  table["onnx.MatMul"] = lowerMatMul;
  table["onnx.Gemm"] = lowerGemm;
  table["onnx.Einsum"] = lowerEinsum;
}

} // namespace nibble::onnx_to_linalg
