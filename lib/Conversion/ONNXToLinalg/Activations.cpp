//===- Activations.cpp - Activation functions
//---------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

/// One formula on one operand; the operator gives the coefficients.
static LogicalResult
lowerFormula(OpLowering &l,
             llvm::function_ref<Value(Scalars &, Value)> formula) {
  return l.done(l.map(
      l.in(0), l.outElem(),
      [&](Scalars &s, ValueRange v) { return formula(s, v[0]); },
      l.inUnsigned(0)));
}

static Value num(Scalars &s, Value like, double value) {
  return s.constant(like.getType(), value);
}

static Value isNegative(Scalars &s, Value x) { return s.lt(x, num(s, x, 0)); }

static Value expm1(Scalars &s, Value x) {
  return math::ExpM1Op::create(s.b, s.loc, x);
}

static LogicalResult lowerRelu(OpLowering &l) {
  return lowerFormula(
      l, [](Scalars &s, Value x) { return s.max(x, num(s, x, 0)); });
}

static LogicalResult lowerLeakyRelu(OpLowering &l) {
  double alpha = l.getFloat("alpha", 0.01);
  return lowerFormula(l, [&](Scalars &s, Value x) {
    return s.select(isNegative(s, x), s.mul(num(s, x, alpha), x), x);
  });
}

static LogicalResult lowerThresholdedRelu(OpLowering &l) {
  double alpha = l.getFloat("alpha", 1);
  return lowerFormula(l, [&](Scalars &s, Value x) {
    return s.select(s.lt(num(s, x, alpha), x), x, num(s, x, 0));
  });
}

static LogicalResult lowerPRelu(OpLowering &l) {
  return l.done(l.map(
      {l.in(0), l.in(1)}, l.outElem(),
      [](Scalars &s, ValueRange v) {
        return s.select(isNegative(s, v[0]), s.mul(v[0], v[1]), v[0]);
      },
      l.inUnsigned(0)));
}

static LogicalResult lowerElu(OpLowering &l) {
  double alpha = l.getFloat("alpha", 1);
  return lowerFormula(l, [&](Scalars &s, Value x) {
    return s.select(isNegative(s, x), s.mul(num(s, x, alpha), expm1(s, x)), x);
  });
}

static LogicalResult lowerCelu(OpLowering &l) {
  double alpha = l.getFloat("alpha", 1);
  return lowerFormula(l, [&](Scalars &s, Value x) {
    Value a = num(s, x, alpha);
    return s.select(isNegative(s, x), s.mul(a, expm1(s, s.div(x, a))), x);
  });
}

static LogicalResult lowerSelu(OpLowering &l) {
  double alpha = l.getFloat("alpha", 1.67326319217681884765625);
  double gamma = l.getFloat("gamma", 1.05070102214813232421875);
  return lowerFormula(l, [&](Scalars &s, Value x) {
    Value low = s.mul(num(s, x, alpha), expm1(s, x));
    Value positive = s.lt(num(s, x, 0), x);
    return s.mul(num(s, x, gamma), s.select(positive, x, low));
  });
}

static LogicalResult lowerSigmoid(OpLowering &l) {
  return lowerFormula(l, [](Scalars &s, Value x) { return s.sigmoid(x); });
}

static LogicalResult lowerTanh(OpLowering &l) {
  return lowerFormula(l, [](Scalars &s, Value x) { return s.tanh(x); });
}

static Value hardSigmoid(Scalars &s, Value x, double alpha, double beta) {
  Value y = s.add(s.mul(num(s, x, alpha), x), num(s, x, beta));
  return s.max(num(s, x, 0), s.min(num(s, x, 1), y));
}

static LogicalResult lowerHardSigmoid(OpLowering &l) {
  double alpha = l.getFloat("alpha", 0.2), beta = l.getFloat("beta", 0.5);
  return lowerFormula(
      l, [&](Scalars &s, Value x) { return hardSigmoid(s, x, alpha, beta); });
}

static LogicalResult lowerHardSwish(OpLowering &l) {
  return lowerFormula(l, [](Scalars &s, Value x) {
    return s.mul(x, hardSigmoid(s, x, 1.0 / 6, 0.5));
  });
}

static LogicalResult lowerSoftplus(OpLowering &l) {
  return lowerFormula(l, [](Scalars &s, Value x) { return s.softplus(x); });
}

static LogicalResult lowerSoftsign(OpLowering &l) {
  return lowerFormula(l, [](Scalars &s, Value x) {
    return s.div(x, s.add(num(s, x, 1), s.abs(x)));
  });
}

static LogicalResult lowerMish(OpLowering &l) {
  return lowerFormula(
      l, [](Scalars &s, Value x) { return s.mul(x, s.tanh(s.softplus(x))); });
}

/// x * sigmoid(alpha * x).
static LogicalResult lowerSwish(OpLowering &l) {
  double alpha = l.getFloat("alpha", 1);
  return lowerFormula(l, [&](Scalars &s, Value x) {
    Value scaled = alpha == 1 ? x : s.mul(num(s, x, alpha), x);
    return s.mul(x, s.sigmoid(scaled));
  });
}

static LogicalResult lowerGelu(OpLowering &l) {
  bool approximate = l.getString("approximate", "none") == "tanh";
  return lowerFormula(l, [&](Scalars &s, Value x) {
    Value inner;
    if (approximate) {
      Value cube = s.mul(s.mul(x, x), x);
      Value sum = s.add(x, s.mul(num(s, x, 0.044715), cube));
      inner = s.tanh(s.mul(num(s, x, std::sqrt(2 / M_PI)), sum));
    } else {
      inner = s.erf(s.mul(x, num(s, x, std::sqrt(0.5))));
    }
    Value half = s.mul(num(s, x, 0.5), x);
    return s.mul(half, s.add(num(s, x, 1), inner));
  });
}

static LogicalResult lowerShrink(OpLowering &l) {
  double lambd = l.getFloat("lambd", 0.5), bias = l.getFloat("bias", 0);
  return lowerFormula(l, [&](Scalars &s, Value x) {
    // Integers are compared and shifted as floats, then cut off.
    Type type = x.getType();
    Type wide = isa<FloatType>(type) ? type : Type(s.b.getF32Type());
    Value y = s.cast(x, wide, s.isUnsigned, false);
    Value low = s.select(s.lt(y, num(s, y, -lambd)), s.add(y, num(s, y, bias)),
                         num(s, y, 0));
    Value result =
        s.select(s.lt(num(s, y, lambd), y), s.sub(y, num(s, y, bias)), low);
    return s.cast(result, type, false, s.isUnsigned);
  });
}

void addActivations(LowerTable &table) {
  table["onnx.Relu"] = lowerRelu;
  table["onnx.LeakyRelu"] = lowerLeakyRelu;
  table["onnx.ThresholdedRelu"] = lowerThresholdedRelu;
  table["onnx.PRelu"] = lowerPRelu;
  table["onnx.Elu"] = lowerElu;
  table["onnx.Celu"] = lowerCelu;
  table["onnx.Selu"] = lowerSelu;
  table["onnx.Sigmoid"] = lowerSigmoid;
  table["onnx.Tanh"] = lowerTanh;
  table["onnx.HardSigmoid"] = lowerHardSigmoid;
  table["onnx.HardSwish"] = lowerHardSwish;
  table["onnx.Softplus"] = lowerSoftplus;
  table["onnx.Softsign"] = lowerSoftsign;
  table["onnx.Mish"] = lowerMish;
  table["onnx.Swish"] = lowerSwish;
  table["onnx.Gelu"] = lowerGelu;
  table["onnx.Shrink"] = lowerShrink;
}

} // namespace nibble::onnx_to_linalg
