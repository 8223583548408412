//===- IntegerTables.cpp - Functions of one byte as tables ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConstantWeight.h"
#include "IntegerValues.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include <array>
#include <cmath>

using namespace mlir;

namespace nibble {
namespace {

/// The value of a function for each of the 256 codes.
using Table = std::array<double, 256>;

/// Evaluates what is computed from one dequantized tensor of bytes.
class Evaluator {
public:
  explicit Evaluator(OpBuilder &builder) : builder(builder) {}

  /// Nothing if `value` is no function of one such tensor.
  std::optional<Table> evaluate(Value value, unsigned depth = 0);

  /// The bytes that the function reads.
  std::optional<QuantizedValue> input;
  /// Whether it holds a function that takes longer than reading a table.
  bool isExpensive = false;

private:
  std::optional<Table> evaluateInput(Value value);
  std::optional<Table> evaluateUnary(Operation *op, const Table &x);
  std::optional<Table> evaluateBinary(Operation *op, const Table &a,
                                      const Table &b);

  OpBuilder &builder;
};

template <typename Fn>
Table map(const Table &x, Fn fn) {
  Table y;
  llvm::transform(x, y.begin(), fn);
  return y;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

std::optional<Table> Evaluator::evaluateInput(Value value) {
  std::optional<QuantizedValue> quantized = getQuantized(builder, value);
  if (!quantized || quantized->axis >= 0 ||
      (input && input->codes != quantized->codes))
    return std::nullopt;
  std::optional<double> scale = getScalar(quantized->scale), zero = 0.0;
  if (quantized->zero)
    zero = getScalar(quantized->zero);
  if (!scale || !zero)
    return std::nullopt;
  input = quantized;
  Table x;
  for (int code = 0; code < 256; ++code) {
    int number = quantized->isUnsigned() ? code : int8_t(code);
    x[code] = float(number - *zero) * float(*scale);
  }
  return x;
}

std::optional<Table> Evaluator::evaluate(Value value, unsigned depth) {
  constexpr unsigned maxDepth = 8;
  Operation *op = value.getDefiningOp();
  if (!op || depth > maxDepth)
    return std::nullopt;
  if (isa<onnx::DequantizeLinearOp>(op))
    return evaluateInput(value);
  if (std::optional<float> scalar = getScalar(value)) {
    Table constant;
    constant.fill(*scalar);
    return constant;
  }
  if (op->getNumResults() != 1 || op->getNumOperands() == 0 ||
      !isa<RankedTensorType>(value.getType()) ||
      !getElementTypeOrSelf(value.getType()).isF32())
    return std::nullopt;
  std::optional<Table> a = evaluate(op->getOperand(0), depth + 1);
  if (!a)
    return std::nullopt;
  if (isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp>(op)) {
    std::optional<Table> b = evaluate(op->getOperand(1), depth + 1);
    if (!b)
      return std::nullopt;
    return evaluateBinary(op, *a, *b);
  }
  return evaluateUnary(op, *a);
}

std::optional<Table> Evaluator::evaluateBinary(Operation *op, const Table &a,
                                               const Table &b) {
  Table y;
  for (int i = 0; i < 256; ++i)
    y[i] = isa<onnx::AddOp>(op)   ? a[i] + b[i]
           : isa<onnx::SubOp>(op) ? a[i] - b[i]
           : isa<onnx::MulOp>(op) ? a[i] * b[i]
                                  : a[i] / b[i];
  return y;
}

std::optional<Table> Evaluator::evaluateUnary(Operation *op, const Table &x) {
  using Result = std::optional<Table>;
  // A cheap function in a vector takes less time than a table.
  auto cheap = [&](auto fn) -> Result { return map(x, fn); };
  auto expensive = [&](auto fn) -> Result {
    isExpensive = true;
    return map(x, fn);
  };
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<onnx::ReluOp>([&](auto) {
        return cheap([](double v) { return std::max(v, 0.0); });
      })
      .Case<onnx::AbsOp>(
          [&](auto) { return cheap([](double v) { return std::fabs(v); }); })
      .Case<onnx::NegOp>(
          [&](auto) { return cheap([](double v) { return -v; }); })
      .Case<onnx::LeakyReluOp>([&](onnx::LeakyReluOp leaky) {
        double alpha = leaky.getAlpha();
        return cheap([=](double v) { return v < 0 ? alpha * v : v; });
      })
      .Case<onnx::HardSigmoidOp>([&](onnx::HardSigmoidOp hard) {
        double alpha = hard.getAlpha(), beta = hard.getBeta();
        return cheap(
            [=](double v) { return std::clamp(alpha * v + beta, 0.0, 1.0); });
      })
      .Case<onnx::HardSwishOp>([&](auto) {
        return cheap(
            [](double v) { return v * std::clamp(v / 6 + 0.5, 0.0, 1.0); });
      })
      .Case<onnx::ClipOp>([&](onnx::ClipOp clip) -> Result {
        auto bound = [](Value value, float fallback) {
          return isa<NoneType>(value.getType()) ? std::optional(fallback)
                                                : getScalar(value);
        };
        std::optional<double> low = bound(clip.getMin(), -INFINITY),
                              high = bound(clip.getMax(), INFINITY);
        if (!low || !high)
          return std::nullopt;
        return cheap(
            [&](double v) { return std::min(std::max(v, *low), *high); });
      })
      .Case<onnx::SigmoidOp>([&](auto) { return expensive(sigmoid); })
      .Case<onnx::TanhOp>([&](auto) {
        return expensive([](double v) { return std::tanh(v); });
      })
      .Case<onnx::ExpOp>(
          [&](auto) { return expensive([](double v) { return std::exp(v); }); })
      .Case<onnx::LogOp>(
          [&](auto) { return expensive([](double v) { return std::log(v); }); })
      .Case<onnx::SqrtOp>([&](auto) {
        return expensive([](double v) { return std::sqrt(v); });
      })
      .Case<onnx::ErfOp>(
          [&](auto) { return expensive([](double v) { return std::erf(v); }); })
      .Case<onnx::SoftplusOp>([&](auto) {
        return expensive([](double v) { return std::log1p(std::exp(v)); });
      })
      .Case<onnx::EluOp>([&](onnx::EluOp elu) {
        double alpha = elu.getAlpha();
        return expensive(
            [=](double v) { return v < 0 ? alpha * std::expm1(v) : v; });
      })
      .Case<onnx::SwishOp>([&](onnx::SwishOp swish) {
        double alpha = swish.getAlpha();
        return expensive([=](double v) { return v * sigmoid(alpha * v); });
      })
      .Case<onnx::GeluOp>([&](onnx::GeluOp gelu) {
        bool isTanh = gelu.getApproximate() == "tanh";
        return expensive([=](double v) {
          if (isTanh)
            return 0.5 * v *
                   (1 + std::tanh(std::sqrt(2 / M_PI) *
                                  (v + 0.044715 * v * v * v)));
          return 0.5 * v * (1 + std::erf(v * M_SQRT1_2));
        });
      })
      .Default([](Operation *) -> Result { return std::nullopt; });
}

/// dequantize, functions of one tensor, quantize
struct MakeTable : OpRewritePattern<onnx::QuantizeLinearOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::QuantizeLinearOp op,
                                PatternRewriter &rewriter) const override {
    if (!isByteTensor(op.getType()))
      return rewriter.notifyMatchFailure(op, "not to bytes");
    bool hasZero = !isa<NoneType>(op.getYZeroPoint().getType());
    std::optional<double> scale = getScalar(op.getYScale()), zero = 0.0;
    if (hasZero)
      zero = getScalar(op.getYZeroPoint());
    Evaluator evaluator(rewriter);
    std::optional<Table> table = evaluator.evaluate(op.getX());
    if (!scale || !zero || !table || !evaluator.isExpensive ||
        !evaluator.input ||
        evaluator.input->getType().getShape() !=
            cast<RankedTensorType>(op.getType()).getShape())
      return rewriter.notifyMatchFailure(op, "no function of one tensor");

    auto type = cast<RankedTensorType>(op.getType());
    bool isUnsigned = type.getElementType().isUnsignedInteger();
    double low = isUnsigned ? 0 : -128, high = isUnsigned ? 255 : 127;
    SmallVector<int8_t> codes;
    for (double value : *table) {
      double code = std::nearbyint(float(value) / float(*scale)) + *zero;
      // A value that is no number gets the lowest code, as everywhere.
      code = std::isnan(code) ? low : std::clamp(code, low, high);
      codes.push_back(static_cast<int8_t>(static_cast<int>(code)));
    }
    Location loc = op.getLoc();
    auto tableType = RankedTensorType::get({256}, rewriter.getI8Type());
    Value constant = ConstantOp::create(
        rewriter, loc, DenseElementsAttr::get(tableType, ArrayRef(codes)));
    Value input = toSignless(rewriter, evaluator.input->codes);
    rewriter.replaceOp(
        op,
        fromSignless(rewriter, lookUp(rewriter, loc, input, constant), type));
    return success();
  }

private:
  static Value lookUp(OpBuilder &b, Location loc, Value input, Value table) {
    auto type = cast<RankedTensorType>(input.getType());
    Value init = tensor::EmptyOp::create(
        b, loc, tensor::getMixedSizes(b, loc, input), type.getElementType());
    SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(type.getRank()));
    SmallVector<utils::IteratorType> loops(type.getRank(),
                                           utils::IteratorType::parallel);
    auto body = [&](OpBuilder &b, Location loc, ValueRange args) {
      Value at =
          arith::IndexCastUIOp::create(b, loc, b.getIndexType(), args[0]);
      Value code = tensor::ExtractOp::create(b, loc, table, at);
      linalg::YieldOp::create(b, loc, code);
    };
    return linalg::GenericOp::create(b, loc, init.getType(), input, init, maps,
                                     loops, body)
        .getResult(0);
  }
};

} // namespace

void populateIntegerTablePatterns(RewritePatternSet &patterns) {
  patterns.add<MakeTable>(patterns.getContext());
}

} // namespace nibble
