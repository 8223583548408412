//===- FuseNormalization.cpp - Normalization from primitive operators -----===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Both normalizations divide a tensor d by sqrt(mean(d^2) + epsilon). Where d
// is x less its mean it is LayerNormalization, else RMSNormalization of d. The
// quotient is found first; casts, weight and bias around it follow.
//
//===----------------------------------------------------------------------===//

#include "Match.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXFUSENORMALIZATIONPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {
/// What is divided by its root mean square.
struct Quotient {
  Value x;
  /// The first of the dimensions that the mean is over.
  int64_t axis = 0;
  double epsilon = 0;
  /// Whether the mean was subtracted from `x`.
  bool centered = false;

  StringRef getName() const {
    return centered ? "layer normalization" : "RMS normalization";
  }
};
} // namespace

/// s of 1/s in its forms; `square` tells that it is 1/sqrt(result).
static Value matchInverse(Value value, bool &square) {
  square = false;
  if (auto reciprocal = value.getDefiningOp<ReciprocalOp>())
    return reciprocal->getOperand(0);
  if (auto pow = matchRightNumber<PowOp>(value); pow && pow->number == -0.5) {
    square = true;
    return pow->value;
  }
  if (auto quotient = value.getDefiningOp<DivOp>();
      quotient && getNumber(quotient->getOperand(0)) == 1.0 &&
      quotient->getOperand(1).getType() == value.getType())
    return quotient->getOperand(1);
  return {};
}

/// v of sqrt(v) or v^0.5.
static Value matchRoot(Value value) {
  if (auto root = value.getDefiningOp<SqrtOp>())
    return root->getOperand(0);
  auto pow = matchRightNumber<PowOp>(value);
  return pow && pow->number == 0.5 ? pow->value : Value();
}

/// The dimensions that a mean is over; nothing if they are not known.
static std::optional<SmallVector<int64_t>> getMeanAxes(ReduceMeanOp mean) {
  auto type = getRanked(mean.getData());
  if (!type || !isPresent(mean.getAxes()))
    return std::nullopt;
  auto axes = getIntegers(mean.getAxes());
  if (!axes || axes->empty())
    return std::nullopt;
  for (int64_t &axis : *axes)
    axis = fromFront(axis, type.getRank());
  llvm::sort(*axes);
  return axes;
}

/// v of 1 / sqrt(v); null if `value` is not that.
static Value matchInverseRoot(Value value) {
  bool square;
  Value inverse = matchInverse(value, square);
  return !inverse || square ? inverse : matchRoot(inverse);
}

/// `op` is d / sqrt(variance) or has its type. A remark says what is wrong if
/// the variance is nearly mean(d^2) + epsilon.
static std::optional<Quotient> matchVariance(Operation *op, Value d,
                                             Value variance) {
  // Without an Add it may be any quotient, so that it is not worth a remark.
  Operation *sum = variance.getDefiningOp<AddOp>();
  if (!sum)
    return std::nullopt;
  ReduceMeanOp mean;
  Value added;
  for (unsigned i = 0; i < 2 && !mean; ++i) {
    mean = sum->getOperand(i).getDefiningOp<ReduceMeanOp>();
    added = sum->getOperand(1 - i);
  }
  std::optional<Value> squared =
      mean ? matchPower(mean.getData(), 2) : std::nullopt;
  if (!squared || squared->getType() != d.getType())
    return std::nullopt;

  Quotient quotient;
  quotient.x = d;
  auto type = getRanked(d);
  auto axes = getMeanAxes(mean);
  // x - mean(x) over the same dimensions.
  if (auto difference = d.getDefiningOp<SubOp>())
    if (auto first = difference->getOperand(1).getDefiningOp<ReduceMeanOp>();
        first && first.getData() == difference->getOperand(0) &&
        first.getKeepdims() != 0 && axes && getMeanAxes(first) == axes) {
      quotient.x = first.getData();
      quotient.centered = true;
    }
  auto miss = [&](const Twine &reason) {
    remarkMissed(op, quotient.getName(), reason);
    return std::nullopt;
  };
  if (*squared != d)
    return miss("what is squared is not what is divided");
  if (op->getResult(0).getType() != type)
    return miss("the result is larger than the input");
  std::optional<double> epsilon = getNumber(added);
  if (!epsilon || variance.getType() != mean.getType())
    return miss("epsilon is not a constant number");
  if (mean.getKeepdims() == 0)
    return miss("the mean drops its dimensions");
  if (!axes)
    return miss("the dimensions of the mean are not constants");
  int64_t rank = type.getRank();
  if (*axes != llvm::to_vector(llvm::seq(rank - int64_t(axes->size()), rank)))
    return miss("the mean is over axis " + Twine(axes->front()) +
                ", not the last");
  quotient.axis = axes->front();
  quotient.epsilon = *epsilon;
  return quotient;
}

/// `op` divides d by sqrt(mean(d^2) + epsilon).
static std::optional<Quotient> matchQuotient(Operation *op) {
  Value d, variance;
  if (isa<DivOp>(op)) {
    d = op->getOperand(0);
    if (getNumber(d))
      return std::nullopt;
    variance = matchRoot(op->getOperand(1));
  }
  for (unsigned i = 0; isa<MulOp>(op) && i < 2 && !variance; ++i) {
    d = op->getOperand(i);
    variance = matchInverseRoot(op->getOperand(1 - i));
  }
  return variance ? matchVariance(op, d, variance) : std::nullopt;
}

/// x * g + (bias - mean(x) * g), where g is weight / sqrt(variance): TensorFlow
/// writes it so.
static std::optional<Quotient> matchFolded(AddOp add, Value &weight,
                                           Value &bias) {
  for (unsigned i : {0u, 1u}) {
    Operation *product = add->getOperand(i).getDefiningOp<MulOp>();
    Operation *rest = add->getOperand(1 - i).getDefiningOp<SubOp>();
    Operation *shift =
        rest ? rest->getOperand(1).getDefiningOp<MulOp>() : nullptr;
    for (unsigned j = 0; product && shift && j < 2; ++j) {
      Value x = product->getOperand(j), g = product->getOperand(1 - j);
      Value mean = getOther(shift, g);
      auto first = mean ? mean.getDefiningOp<ReduceMeanOp>() : ReduceMeanOp();
      if (!first || first.getData() != x)
        continue;
      Value variance = matchInverseRoot(g);
      Operation *scaled = g.getDefiningOp<MulOp>();
      for (unsigned k = 0; scaled && !variance && k < 2; ++k) {
        variance = matchInverseRoot(scaled->getOperand(k));
        weight = scaled->getOperand(1 - k);
      }
      bias = rest->getOperand(0);
      for (Operation *user : mean.getUsers())
        if (variance && isa<SubOp>(user) && user->getOperand(0) == x &&
            user->getOperand(1) == mean)
          return matchVariance(add, user->getResult(0), variance);
    }
  }
  return std::nullopt;
}

/// Whether `weight` has the shape `sizes` but for dimensions of 1 in front.
static bool fitsLast(Value weight, ArrayRef<int64_t> sizes) {
  auto type = getRanked(weight);
  if (!type || !type.hasStaticShape())
    return false;
  ArrayRef<int64_t> shape = type.getShape();
  while (shape.size() > sizes.size() && shape.front() == 1)
    shape = shape.drop_front();
  return shape == sizes;
}

namespace {
/// Writes one normalization.
class Fusion {
public:
  Fusion(Operation *op, const Quotient &quotient)
      : root(op), quotient(quotient), x(quotient.x),
        sizes(getRanked(x).getShape().drop_front(quotient.axis)) {}

  bool run();
  /// The same with a weight (null for none) and a bias that are part of `op`.
  bool runFolded(Value weight, Value bias);

private:
  void takeCasts();
  Value takeFactor(StringRef opName);
  bool write(Value scale, Value bias, int64_t stash);
  Value makeOnes(OpBuilder &b);
  Value shapeLast(OpBuilder &b, Value weight);

  /// The last operation of the form so far.
  Operation *root;
  Quotient quotient;
  Value x;
  SmallVector<int64_t> sizes;
};
} // namespace

/// f16 or bf16 that is normalized in f32 between two casts: `stash_type`.
void Fusion::takeCasts() {
  Value narrow = skipFloatCast(x);
  auto back = dyn_cast_or_null<CastOp>(getOnlyUser(root->getResult(0)));
  if (narrow == x || !back || back.getType() != narrow.getType())
    return;
  x = narrow;
  root = back;
}

/// The other operand of the only user if that is an `opName` with a tensor of
/// the normalized sizes.
Value Fusion::takeFactor(StringRef opName) {
  Operation *user = getOnlyUser(root->getResult(0));
  if (!user || user->getName().getStringRef() != opName)
    return {};
  Value factor = getOther(user, root->getResult(0));
  if (!fitsLast(factor, sizes) || user->getResult(0).getType() != x.getType() ||
      cast<TensorType>(factor.getType()).getElementType() !=
          cast<TensorType>(x.getType()).getElementType())
    return {};
  root = user;
  return factor;
}

Value Fusion::makeOnes(OpBuilder &b) {
  Type element = cast<TensorType>(x.getType()).getElementType();
  auto type = RankedTensorType::get(sizes, element);
  return onnx::ConstantOp::create(
      b, root->getLoc(),
      DenseElementsAttr::get(type, b.getFloatAttr(element, 1.0)));
}

/// A weight with as many dimensions as are normalized.
Value Fusion::shapeLast(OpBuilder &b, Value weight) {
  auto type = cast<RankedTensorType>(weight.getType());
  if (type.getShape() == ArrayRef(sizes))
    return weight;
  return ReshapeOp::create(b, root->getLoc(), type.clone(sizes), weight,
                           makeIntegers(b, root->getLoc(), sizes),
                           /*allowzero=*/0);
}

bool Fusion::runFolded(Value weight, Value bias) {
  if (!quotient.centered || (weight && !fitsLast(weight, sizes)) ||
      !fitsLast(bias, sizes)) {
    remarkMissed(root, quotient.getName(),
                 "weight or bias does not have the normalized shape");
    return false;
  }
  return write(weight, bias,
               getONNXType(cast<TensorType>(x.getType()).getElementType()));
}

bool Fusion::run() {
  int64_t stash = getONNXType(cast<TensorType>(x.getType()).getElementType());
  takeCasts();
  Value scale = takeFactor(MulOp::getOperationName());
  Value bias;
  if (quotient.centered)
    bias = takeFactor(AddOp::getOperationName());
  return write(scale, bias, stash);
}

bool Fusion::write(Value scale, Value bias, int64_t stash) {
  if (!scale && ShapedType::isDynamicShape(sizes)) {
    remarkMissed(root, quotient.getName(),
                 "there is no weight and the normalized size is not known");
    return false;
  }
  OpBuilder b(root);
  Location loc = root->getLoc();
  scale = scale ? shapeLast(b, scale) : makeOnes(b);
  // Counted from the last dimension, as exporters write it.
  int64_t axis = -static_cast<int64_t>(sizes.size());
  auto epsilon = static_cast<float>(quotient.epsilon);
  if (!quotient.centered) {
    replaceForm(root, RMSNormalizationOp::create(b, loc, x.getType(), x, scale,
                                                 axis, epsilon, stash));
    return true;
  }
  Type none = b.getNoneType();
  bias =
      bias ? shapeLast(b, bias) : NoValueOp::create(b, loc, none).getResult();
  replaceForm(root,
              LayerNormalizationOp::create(b, loc, x.getType(), none, none, x,
                                           scale, bias, axis, epsilon, stash)
                  .getY());
  return true;
}

namespace {
struct FuseNormalizationPass
    : public onnx::impl::ONNXFuseNormalizationPassBase<FuseNormalizationPass> {
  using Base::Base;

  void runOnOperation() override {
    if (!areRanksKnown(getOperation()))
      return;
    SmallVector<Operation *> candidates;
    getOperation().walk([&](Operation *op) {
      if (isa<MulOp, DivOp, AddOp>(op))
        candidates.push_back(op);
    });
    for (Operation *op : candidates) {
      Value weight, bias;
      if (auto add = dyn_cast<AddOp>(op)) {
        if (auto quotient = matchFolded(add, weight, bias))
          numFused += Fusion(op, *quotient).runFolded(weight, bias);
      } else if (auto quotient = matchQuotient(op)) {
        numFused += Fusion(op, *quotient).run();
      }
    }
    eraseDead(getOperation());
  }
};
} // namespace
