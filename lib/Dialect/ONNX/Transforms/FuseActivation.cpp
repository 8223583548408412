//===- FuseActivation.cpp - Activations from elementwise operators --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each form has one operator that is rare elsewhere (Erf, Tanh, Sigmoid, Log,
// Clip). From there its argument is matched up to the input x, and then its
// users down to the end of the form, in whatever order the factors come.
//
//===----------------------------------------------------------------------===//

#include "Match.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Format.h"
#include <cmath>

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXFUSEACTIVATIONPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

static Type getElement(Value value) {
  return cast<TensorType>(value.getType()).getElementType();
}

static std::string show(double number) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", number);
  return text;
}

//===----------------------------------------------------------------------===//
// Products around the rare operator
//===----------------------------------------------------------------------===//

/// The last product of `value * x * factor` in any order and grouping, where
/// nothing else sees what is between; null if the users of `value` are not
/// that. `unused` tells why.
static Operation *matchProduct(Value value, Value x, double factor,
                               std::string &unused) {
  Type element = getElement(value);
  bool needsX = true, needsFactor = factor != 1;
  while (needsX || needsFactor) {
    Operation *user = getOnlyUser(value);
    if (!user) {
      unused = "a value inside of the form has other uses";
      return nullptr;
    }
    Value result = user->getNumResults() == 1 ? user->getResult(0) : Value();
    auto isFactor = [&](std::optional<WithNumber> scaled, Value expected) {
      return scaled && scaled->value == expected &&
             isClose(scaled->number, factor, element);
    };
    if (needsFactor && result && isFactor(matchScaled(result), value)) {
      needsFactor = false;
    } else if (needsX && isa<MulOp>(user)) {
      Value other = getOther(user, value);
      if (other == x) {
        needsX = false;
      } else if (needsFactor && isFactor(matchScaled(other), x)) {
        needsX = needsFactor = false;
      } else {
        unused = "a factor is neither the input nor " + show(factor);
        return nullptr;
      }
    } else {
      unused = "the product with the input" +
               (needsFactor ? " and " + show(factor) : "") + " is missing";
      return nullptr;
    }
    if (result.getType() != x.getType()) {
      unused = "a factor is larger than the input";
      return nullptr;
    }
    value = result;
  }
  return value.getDefiningOp();
}

//===----------------------------------------------------------------------===//
// Gelu
//===----------------------------------------------------------------------===//

/// Whether `value` is a x^2, as a product in any order.
static bool isScaledSquare(Value value, Value x, double a) {
  Type element = getElement(x);
  auto isFactor = [&](std::optional<WithNumber> scaled) {
    return scaled && isClose(scaled->number, a, element);
  };
  auto scaled = matchScaled(value);
  if (isFactor(scaled) && matchPower(scaled->value, 2) == std::optional(x))
    return true;
  Operation *product = value.getDefiningOp<MulOp>();
  Value other = product ? getOther(product, x) : Value();
  auto inner = other ? matchScaled(other) : std::nullopt;
  return isFactor(inner) && inner->value == x;
}

/// x of sqrt(2/pi) * (x + 0.044715 x^3), also as a product of x and a
/// polynomial.
static Value matchTanhArgument(Value argument) {
  Type element = getElement(argument);
  double outer = std::sqrt(2 / M_PI), inner = 0.044715;
  auto isCoefficient = [&](std::optional<WithNumber> scaled, double expected) {
    return scaled && isClose(scaled->number, expected, element);
  };
  // c * (x + a x^3)
  if (auto scaled = matchScaled(argument); isCoefficient(scaled, outer)) {
    Operation *sum = scaled->value.getDefiningOp<AddOp>();
    for (unsigned i = 0; sum && i < 2; ++i) {
      Value x = sum->getOperand(i);
      auto cubic = matchScaled(sum->getOperand(1 - i));
      if (isCoefficient(cubic, inner) &&
          matchPower(cubic->value, 3) == std::optional(x))
        return x;
      // a x^2 * x
      if (Operation *product = sum->getOperand(1 - i).getDefiningOp<MulOp>())
        if (Value other = getOther(product, x);
            other && isScaledSquare(other, x, inner))
          return x;
    }
    // c * (x * (1 + a x^2)) falls through to the products below.
    argument = scaled->value;
    outer = 1;
  }
  // (c x) * (1 + a x^2)
  Operation *product = argument.getDefiningOp<MulOp>();
  for (unsigned i = 0; product && i < 2; ++i) {
    Value x = product->getOperand(i);
    if (outer != 1) {
      auto scaled = matchScaled(x);
      if (!isCoefficient(scaled, outer))
        continue;
      x = scaled->value;
    }
    auto plusOne = matchNumber<AddOp>(product->getOperand(1 - i));
    if (plusOne && plusOne->number == 1 &&
        isScaledSquare(plusOne->value, x, inner))
      return x;
  }
  return {};
}

/// Gelu around an Erf or Tanh: x/2 * (1 + f(argument of x)).
static bool fuseGelu(Operation *op) {
  bool isErf = isa<ErfOp>(op);
  StringRef what = isErf ? "Gelu" : "Gelu by tanh";
  Operation *user = getOnlyUser(op->getResult(0));
  auto plusOne = user && user->getNumResults() == 1
                     ? matchNumber<AddOp>(user->getResult(0))
                     : std::nullopt;
  Value argument = op->getOperand(0), x;
  std::optional<WithNumber> scaled;
  if (isErf) {
    scaled = matchScaled(argument);
    x = scaled ? scaled->value : Value();
  } else {
    x = matchTanhArgument(argument);
  }
  // An Erf or Tanh alone is no near miss.
  if (!x || !plusOne)
    return false;
  if (isErf && !isClose(scaled->number, M_SQRT1_2, getElement(x))) {
    remarkMissed(op, what,
                 "the argument of Erf is the input times " +
                     show(scaled->number) + ", not 1/sqrt(2)");
    return false;
  }
  if (plusOne->number != 1) {
    remarkMissed(op, what,
                 "the added number is " + show(plusOne->number) + ", not 1");
    return false;
  }
  std::string reason;
  Operation *root = matchProduct(user->getResult(0), x, 0.5, reason);
  if (!root) {
    remarkMissed(op, what, reason);
    return false;
  }
  OpBuilder b(root);
  replaceForm(root, GeluOp::create(b, root->getLoc(), x.getType(), x,
                                   isErf ? "none" : "tanh"));
  return true;
}

//===----------------------------------------------------------------------===//
// The others
//===----------------------------------------------------------------------===//

/// x * sigmoid(alpha x). A Sigmoid that gates another value is none.
static bool fuseSwish(SigmoidOp op) {
  Operation *user = getOnlyUser(op.getResult());
  Value argument = op->getOperand(0);
  Value x =
      isa_and_nonnull<MulOp>(user) ? getOther(user, op.getResult()) : Value();
  if (!x)
    return false;
  double alpha = 1;
  if (x != argument) {
    auto scaled = matchScaled(argument);
    if (!scaled || scaled->value != x)
      return false;
    alpha = scaled->number;
  }
  OpBuilder b(user);
  replaceForm(user, SwishOp::create(b, user->getLoc(), x.getType(), x,
                                    static_cast<float>(alpha)));
  return true;
}

/// ln(1 + e^x). Where e^x overflows the form gives infinity, Softplus gives x.
static bool fuseSoftplus(LogOp op) {
  auto sum = matchNumber<AddOp>(op->getOperand(0));
  auto exp = sum ? sum->value.getDefiningOp<ExpOp>() : ExpOp();
  if (!exp)
    return false;
  if (sum->number != 1) {
    remarkMissed(op, "Softplus",
                 "the number added to Exp is " + show(sum->number) + ", not 1");
    return false;
  }
  OpBuilder b(op);
  replaceForm(
      op, SoftplusOp::create(b, op.getLoc(), op.getType(), exp->getOperand(0)));
  return true;
}

/// x * tanh(softplus(x)).
static bool fuseMish(TanhOp op) {
  auto softplus = op->getOperand(0).getDefiningOp<SoftplusOp>();
  Operation *user = getOnlyUser(op.getResult());
  if (!softplus || !isa_and_nonnull<MulOp>(user))
    return false;
  Value x = softplus->getOperand(0);
  if (getOther(user, op.getResult()) != x) {
    remarkMissed(op, "Mish", "the factor is not the input of Softplus");
    return false;
  }
  OpBuilder b(user);
  replaceForm(user, MishOp::create(b, user->getLoc(), x.getType(), x));
  return true;
}

/// x * HardSigmoid(x) with the slope 1/6 and 1/2 in the middle.
static bool fuseHardSwish(HardSigmoidOp op) {
  Value x = op->getOperand(0);
  Operation *user = getOnlyUser(op.getResult());
  if (!isa_and_nonnull<MulOp>(user) || getOther(user, op.getResult()) != x)
    return false;
  double alpha = op.getAlpha();
  double beta = op.getBeta();
  if (!isClose(alpha, 1.0 / 6, getElement(x)) || beta != 0.5) {
    remarkMissed(op, "HardSwish",
                 "HardSigmoid has alpha " + show(alpha) + " and beta " +
                     show(beta) + ", not 1/6 and 1/2");
    return false;
  }
  OpBuilder b(user);
  replaceForm(user, HardSwishOp::create(b, user->getLoc(), x.getType(), x));
  return true;
}

/// x * clip(x + 3, 0, 6) / 6.
static bool fuseHardSwish(ClipOp op) {
  auto shifted = matchNumber<AddOp>(op->getOperand(0));
  std::optional<double> low = getNumber(op.getMin()),
                        high = getNumber(op.getMax());
  if (!shifted || shifted->number != 3 || low != 0.0 || high != 6.0)
    return false;
  std::string reason;
  Value x = shifted->value;
  Operation *root = matchProduct(op.getResult(), x, 1.0 / 6, reason);
  if (!root) {
    remarkMissed(op, "HardSwish", reason);
    return false;
  }
  OpBuilder b(root);
  replaceForm(root, HardSwishOp::create(b, root->getLoc(), x.getType(), x));
  return true;
}

namespace {
struct FuseActivationPass
    : public onnx::impl::ONNXFuseActivationPassBase<FuseActivationPass> {
  using Base::Base;

  void runOnOperation() override {
    if (!areRanksKnown(getOperation()))
      return;
    SmallVector<Operation *> anchors;
    getOperation().walk([&](Operation *op) {
      if (isa<ErfOp, TanhOp, SigmoidOp, LogOp, HardSigmoidOp, ClipOp>(op))
        anchors.push_back(op);
    });
    // Softplus before the Tanh of Mish: operands come first.
    for (Operation *op : anchors)
      numFused += fuse(op);
    eraseDead(getOperation());
  }

private:
  static bool fuse(Operation *op) {
    return llvm::TypeSwitch<Operation *, bool>(op)
        .Case<ErfOp>([](auto erf) { return fuseGelu(erf); })
        .Case<TanhOp>(
            [](auto tanh) { return fuseMish(tanh) || fuseGelu(tanh); })
        .Case<SigmoidOp>([](auto sigmoid) { return fuseSwish(sigmoid); })
        .Case<LogOp>([](auto log) { return fuseSoftplus(log); })
        .Case<HardSigmoidOp>([](auto hard) { return fuseHardSwish(hard); })
        .Case<ClipOp>([](auto clip) { return fuseHardSwish(clip); });
  }
};
} // namespace
