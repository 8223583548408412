//===- Training.cpp - Losses and optimizers -------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

/// -weight * scores at the class of each target; `scores` are logarithms of
/// probabilities (N, C, d1, ...).
static Value lowerLikelihood(OpLowering &l, Value scores, Type elem) {
  Value target = l.in(1), weight = l.has(2) ? l.in(2) : Value();
  Type acc = computeType(elem);
  StringRef reduction = l.getString("reduction", "mean");
  bool ignores = l.hasAttr("ignore_index");
  int64_t ignored = l.getInt("ignore_index", 0);
  int64_t rank = l.inRank(1);
  for (int64_t d = 0; d < rank; ++d)
    l.requireEqual(l.size(target, d), l.size(scores, d == 0 ? 0 : d + 1),
                   "dimension " + Twine(d) + " of the targets differs");
  OpFoldResult classes = l.size(scores, 1);
  if (weight)
    l.requireEqual(l.size(weight, 0), classes, "needs one weight per class");

  Type index = l.inElem(1);
  // Class 0 stands in for what is ignored.
  Value known = target;
  if (ignores)
    known = l.map(target, index, [&](Scalars &s, ValueRange v) {
      return s.select(s.eq(v[0], s.integer(index, ignored)),
                      s.integer(index, 0), v[0]);
    });
  l.requireIndices(known, classes, /*allowNegative=*/false,
                   "a target is not a class");
  SmallVector<OpFoldResult> sizes = l.sizes(target);
  Value weights = l.generate(sizes, acc, [&](Scalars &s, ValueRange at) {
    Value w = s.constant(acc, 1);
    if (weight)
      w = s.cast(
          OpLowering::at(s, weight, s.toIndex(OpLowering::at(s, known, at))),
          acc, false, false);
    if (!ignores)
      return w;
    Value isIgnored =
        s.eq(OpLowering::at(s, target, at), s.integer(index, ignored));
    return s.select(isIgnored, s.constant(acc, 0), w);
  });
  Value losses = l.generate(sizes, acc, [&](Scalars &s, ValueRange at) {
    SmallVector<Value> from(at);
    from.insert(from.begin() + 1, s.toIndex(OpLowering::at(s, known, at)));
    Value x = s.cast(OpLowering::at(s, scores, from), acc, false, false);
    // A weight of zero hides an infinite score.
    Value w = OpLowering::at(s, weights, at), zero = s.constant(acc, 0);
    return s.select(s.eq(w, zero), zero, s.neg(s.mul(w, x)));
  });
  if (reduction == "none")
    return l.castElements(losses, elem);
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  auto sum = [&](Value v) {
    return l.reduce(v, all, l.scalars().constant(acc, 0),
                    [](Scalars &s, ValueRange a) { return s.add(a[1], a[0]); });
  };
  Value total = sum(losses);
  if (reduction == "mean")
    total = l.map({total, sum(weights)}, acc,
                  [](Scalars &s, ValueRange v) { return s.div(v[0], v[1]); });
  return l.castElements(total, elem);
}

static LogicalResult lowerNegativeLogLikelihood(OpLowering &l) {
  return l.done(lowerLikelihood(l, l.in(0), l.outElem()));
}

static LogicalResult lowerSoftmaxCrossEntropy(OpLowering &l) {
  Type elem = l.outElem();
  Value scores = logSoftmax(l, l.in(0), 1, computeType(elem));
  Value loss = lowerLikelihood(l, scores, elem);
  if (!l.hasResult(1))
    return l.done(loss);
  return l.done({loss, l.castElements(scores, elem)});
}

//===----------------------------------------------------------------------===//
// Optimizers
//===----------------------------------------------------------------------===//

namespace {
/// What the optimizers share: R, T, and the tensors of one variable after the
/// other. Operands are R, T, all variables, all gradients, all states.
struct Optimizer {
  OpLowering &l;
  int64_t groups, count;

  Optimizer(OpLowering &l, int64_t groups)
      : l(l), groups(groups), count((l.numInputs() - 2) / groups) {}

  Value operand(int64_t group, int64_t i) const {
    return l.in(2 + group * count + i);
  }
  /// A new tensor from variable, gradient and states.
  Value compute(int64_t i,
                llvm::function_ref<Value(Scalars &, ValueRange, Value g)> fn) {
    SmallVector<Value> ins;
    for (int64_t group = 0; group < groups; ++group)
      ins.push_back(operand(group, i));
    double norm = l.getFloat("norm_coefficient", 0);
    return l.map(ins, l.outElem(i), [&](Scalars &s, ValueRange v) {
      Value g = s.add(s.mul(s.constant(v[0].getType(), norm), v[0]), v[1]);
      return fn(s, v, g);
    });
  }
  /// Results are all new variables, then the states.
  LogicalResult done(ArrayRef<SmallVector<Value>> lists) {
    SmallVector<Value> results;
    for (const auto &list : lists)
      llvm::append_range(results, list);
    return l.done(results);
  }
  Value rate() { return l.scalarOf(l.in(0)); }
  Value steps(Type type) {
    return l.scalars().cast(l.scalarOf(l.in(1)), type, false, false);
  }
};
} // namespace

static Value real(Scalars &s, Value like, double value) {
  return s.constant(like.getType(), value);
}

static LogicalResult lowerAdagrad(OpLowering &l) {
  Optimizer o(l, 3);
  Scalars outer = l.scalars();
  Value rate = o.rate();
  rate = outer.div(
      rate,
      outer.add(real(outer, rate, 1),
                outer.mul(o.steps(rate.getType()),
                          real(outer, rate, l.getFloat("decay_factor", 0)))));
  double epsilon = l.getFloat("epsilon", 1e-6);
  SmallVector<Value> variables, sums;
  for (int64_t i = 0; i < o.count; ++i) {
    auto sum = [](Scalars &s, ValueRange v, Value g) {
      return s.add(v[2], s.mul(g, g));
    };
    sums.push_back(o.compute(i, sum));
    variables.push_back(o.compute(i, [&](Scalars &s, ValueRange v, Value g) {
      Value r = s.cast(rate, v[0].getType(), false, false);
      Value root = s.add(s.sqrt(sum(s, v, g)), real(s, g, epsilon));
      return s.sub(v[0], s.div(s.mul(r, g), root));
    }));
  }
  return o.done({variables, sums});
}

static LogicalResult lowerAdam(OpLowering &l) {
  Optimizer o(l, 4);
  double alpha = l.getFloat("alpha", 0.9), beta = l.getFloat("beta", 0.999);
  double epsilon = l.getFloat("epsilon", 1e-6);
  double post = l.getFloat("norm_coefficient_post", 0);
  Scalars outer = l.scalars();
  Value rate = o.rate(), one = real(outer, rate, 1);
  Value steps = o.steps(rate.getType());
  auto rest = [&](double base) -> Value {
    return outer.sub(
        one, math::PowFOp::create(l.b, l.loc, real(outer, rate, base), steps));
  };
  Value adjusted =
      outer.div(outer.mul(rate, outer.sqrt(rest(beta))), rest(alpha));
  rate = outer.select(outer.lt(real(outer, rate, 0), steps), adjusted, rate);
  auto blend = [](Scalars &s, double c, Value old, Value fresh) {
    return s.add(s.mul(real(s, old, c), old),
                 s.mul(real(s, old, 1 - c), fresh));
  };
  SmallVector<Value> variables, means, squares;
  for (int64_t i = 0; i < o.count; ++i) {
    auto mean = [&](Scalars &s, ValueRange v, Value g) {
      return blend(s, alpha, v[2], g);
    };
    auto square = [&](Scalars &s, ValueRange v, Value g) {
      return blend(s, beta, v[3], s.mul(g, g));
    };
    means.push_back(o.compute(i, mean));
    squares.push_back(o.compute(i, square));
    variables.push_back(o.compute(i, [&](Scalars &s, ValueRange v, Value g) {
      Value r = s.cast(rate, v[0].getType(), false, false);
      Value root = s.add(s.sqrt(square(s, v, g)), real(s, g, epsilon));
      Value x = s.sub(v[0], s.div(s.mul(r, mean(s, v, g)), root));
      return s.mul(real(s, g, 1 - post), x);
    }));
  }
  return o.done({variables, means, squares});
}

static LogicalResult lowerMomentum(OpLowering &l) {
  Optimizer o(l, 3);
  StringRef mode = l.getString("mode", "standard");
  if (mode != "standard" && mode != "nesterov")
    return l.fail("mode '" + mode + "' is not one of standard, nesterov");
  double alpha = l.getFloat("alpha", 0), beta = l.getFloat("beta", 0);
  Scalars outer = l.scalars();
  Value rate = o.rate(), steps = o.steps(rate.getType());
  Value factor = outer.select(outer.lt(real(outer, rate, 0), steps),
                              real(outer, rate, beta), real(outer, rate, 1));
  SmallVector<Value> variables, momenta;
  for (int64_t i = 0; i < o.count; ++i) {
    auto momentum = [&](Scalars &s, ValueRange v, Value g) {
      Value f = s.cast(factor, g.getType(), false, false);
      return s.add(s.mul(real(s, g, alpha), v[2]), s.mul(f, g));
    };
    momenta.push_back(o.compute(i, momentum));
    variables.push_back(o.compute(i, [&](Scalars &s, ValueRange v, Value g) {
      Value step = momentum(s, v, g);
      if (mode == "nesterov")
        step = s.add(g, s.mul(real(s, g, alpha), step));
      return s.sub(v[0], s.mul(s.cast(rate, g.getType(), false, false), step));
    }));
  }
  return o.done({variables, momenta});
}

void addTraining(LowerTable &table) {
  table["onnx.NegativeLogLikelihoodLoss"] = lowerNegativeLogLikelihood;
  table["onnx.SoftmaxCrossEntropyLoss"] = lowerSoftmaxCrossEntropy;
  table["onnx.ai.onnx.preview.training.Adagrad"] = lowerAdagrad;
  table["onnx.ai.onnx.preview.training.Adam"] = lowerAdam;
  table["onnx.ai.onnx.preview.training.Momentum"] = lowerMomentum;
}

} // namespace nibble::onnx_to_linalg
