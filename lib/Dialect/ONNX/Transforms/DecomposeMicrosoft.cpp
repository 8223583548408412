//===- DecomposeMicrosoft.cpp - com.microsoft to standard operators -------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OperatorWriter.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXDECOMPOSEMICROSOFTPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {

class Decomposer : OperatorWriter {
public:
  using OperatorWriter::OperatorWriter;

  Decomposition decompose();

private:
  Value dequantize(Value x, Value scale, Value zero, int64_t axis = 0);
  Value quantize(Value x, Value scale, Value zero);
  /// Dimensions of an operand moved so that the channels are second (last).
  Value channelsFirst(Value x, int64_t rank);
  Value channelsLast(Value x, int64_t rank);
  /// A matrix product operand with `trans` and, of FusedMatMul, `transBatch`.
  Value transposeFactor(Value x, bool trans, bool transBatch);
  FailureOr<Value> activate(Value x);

  //===--------------------------------------------------------------------===//
  // Operators
  //===--------------------------------------------------------------------===//

  Value decomposeSoftmax();
  Value decomposePool(StringRef name);
  Value decomposeReduceMean();
  Value decomposeConcat();
  Value decomposeConv();
  Value decomposeGemm();
  Value decomposeFusedMatMul();
  SmallVector<Value> decomposeSkipNorm(bool simplified);
};

} // namespace

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

/// `axis` matters where there is a scale for each of its elements.
Value Decomposer::dequantize(Value x, Value scale, Value zero, int64_t axis) {
  // One zero point for many scales: the standard operator wants as many.
  auto scaleType = dyn_cast<RankedTensorType>(scale.getType());
  auto zeroType = dyn_cast<RankedTensorType>(zero.getType());
  if (scaleType && zeroType && scaleType.hasStaticShape() &&
      zeroType.hasStaticShape() &&
      scaleType.getNumElements() != zeroType.getNumElements()) {
    if (zeroType.getNumElements() == 1)
      zero = emit("Expand", {zero, integers(scaleType.getShape())});
    else if (scaleType.getNumElements() == 1)
      scale = emit("Expand", {scale, integers(zeroType.getShape())});
  }
  return emit("DequantizeLinear", {x, scale, zero}, attr("axis", axis));
}

Value Decomposer::quantize(Value x, Value scale, Value zero) {
  SmallVector<NamedAttribute> attrs;
  // Without a zero point the type of the result is said.
  if (!has(zero))
    attrs.push_back(
        attr("output_dtype",
             getONNXType(
                 cast<TensorType>(op->getResultTypes()[0]).getElementType())));
  return emit("QuantizeLinear", {x, scale, zero}, attrs);
}

Value Decomposer::channelsFirst(Value x, int64_t rank) {
  SmallVector<int64_t> perm = {0, rank - 1};
  llvm::append_range(perm, llvm::seq<int64_t>(1, rank - 1));
  return transpose(x, perm);
}

Value Decomposer::channelsLast(Value x, int64_t rank) {
  SmallVector<int64_t> perm = {0};
  llvm::append_range(perm, llvm::seq<int64_t>(2, rank));
  perm.push_back(1);
  return transpose(x, perm);
}

Value Decomposer::transposeFactor(Value x, bool trans, bool transBatch) {
  int64_t rank = rankOf(x);
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  // [d0, d1, ..., m, k] -> [d1, ..., m, d0, k]
  if (transBatch && rank > 2)
    std::rotate(perm.begin(), perm.begin() + 1, perm.end() - 1);
  if (trans && rank > 1)
    std::swap(perm[rank - 2], perm[rank - 1]);
  if (llvm::is_sorted(perm))
    return x;
  return transpose(x, perm);
}

/// The activation that FusedConv and FusedGemm name in an attribute.
FailureOr<Value> Decomposer::activate(Value x) {
  auto name = op->getAttrOfType<StringAttr>("activation");
  if (!name || name.getValue().empty())
    return x;
  float alpha = getReal("activation_alpha", NAN);
  float beta = getReal("activation_beta", NAN);
  if (auto params = op->getAttrOfType<DenseF32ArrayAttr>("activation_params")) {
    alpha = params.size() > 0 ? params[0] : NAN;
    beta = params.size() > 1 ? params[1] : NAN;
  }
  auto orElse = [](float value, float fallback) {
    return std::isnan(value) ? fallback : value;
  };
  StringRef kind = name.getValue();
  if (kind == "Relu" || kind == "Tanh" || kind == "Sigmoid")
    return emit(kind, x);
  if (kind == "LeakyRelu")
    return emit(kind, x, attr("alpha", orElse(alpha, 0.01f)));
  if (kind == "HardSigmoid")
    return emit(
        kind, x,
        {attr("alpha", orElse(alpha, 0.2f)), attr("beta", orElse(beta, 0.5f))});
  if (kind == "Clip") {
    Value like = in(0);
    return emit(
        kind,
        {x, scalar(orElse(alpha, -std::numeric_limits<float>::max()), like),
         scalar(orElse(beta, std::numeric_limits<float>::max()), like)});
  }
  return op->emitOpError() << "activation is '" << kind
                           << "', expected Relu, Tanh, Sigmoid, LeakyRelu, "
                              "HardSigmoid or Clip";
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

Value Decomposer::decomposeSoftmax() {
  Value x = dequantize(in(0), in(1), in(2));
  int64_t rank = rankOf(in(0)), axis = getInt("axis", -1);
  if (axis < 0)
    axis += rank;
  // Before opset 13 it worked on a matrix: all from the axis on is a row.
  bool isMatrix = getInt("opset", 13) < 13 && axis != rank - 1;
  Value y = isMatrix ? emit("Flatten", x, attr("axis", axis)) : x;
  y = emitLayer("Softmax", y, {}, attr("axis", isMatrix ? 1 : axis));
  if (isMatrix)
    y = emit("Reshape", {y, emit("Shape", x)});
  return quantize(y, in(3), in(4));
}

Value Decomposer::decomposePool(StringRef name) {
  int64_t rank = rankOf(in(0));
  bool last = getInt("channels_last", 0) != 0;
  Value x = last ? channelsFirst(in(0), rank) : in(0);
  Value y = emitLayer(name, dequantize(x, in(1), in(2)),
                      {"auto_pad", "ceil_mode", "count_include_pad",
                       "kernel_shape", "pads", "strides"});
  y = quantize(y, in(3), in(4));
  return last ? channelsLast(y, rank) : y;
}

Value Decomposer::decomposeReduceMean() {
  Value x = dequantize(in(0), in(1), in(2));
  auto axes = op->getAttrOfType<DenseI64ArrayAttr>("axes");
  Value y =
      emitLayer("ReduceMean", {x, axes ? integers(axes.asArrayRef()) : none()},
                {"keepdims"});
  return quantize(y, in(3), in(4));
}

Value Decomposer::decomposeConcat() {
  SmallVector<Value> parts;
  for (unsigned i = 2, e = op->getNumOperands(); i < e; i += 3)
    parts.push_back(dequantize(in(i), in(i + 1), in(i + 2)));
  return quantize(emitLayer("Concat", parts, {"axis"}), in(0), in(1));
}

Value Decomposer::decomposeConv() {
  int64_t rank = rankOf(in(0));
  bool last = getInt("channels_last", 0) != 0;
  SmallVector<Value> operands(op->getOperands());
  if (last)
    operands[0] = channelsFirst(in(0), rank);
  Value y = emitLayer(
      "QLinearConv", operands,
      {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"});
  return last ? channelsLast(y, rank) : y;
}

Value Decomposer::decomposeGemm() {
  bool transB = getInt("transB", 0) != 0;
  Value a = dequantize(in(0), in(1), in(2));
  Value b = dequantize(in(3), in(4), in(5), transB ? 0 : 1);
  Value c = in(6);
  if (has(c)) {
    Value scale = emit("Mul", {in(1), in(4)});
    float alpha = getReal("alpha", 1.0f);
    if (alpha != 1.0f)
      scale = emit("Mul", {scale, scalar(alpha, in(1))});
    c = dequantize(c, scale, none(), rankOf(c) - 1);
  }
  Value y = emitLayer("Gemm", {a, b, c}, {"alpha", "transA", "transB"});
  return has(in(7)) ? quantize(y, in(7), in(8)) : y;
}

Value Decomposer::decomposeFusedMatMul() {
  auto factor = [&](unsigned i, StringRef trans, StringRef batch) {
    return transposeFactor(in(i), getInt(trans, 0) != 0, getInt(batch, 0) != 0);
  };
  Value y = emitLayer("MatMul", {factor(0, "transA", "transBatchA"),
                                 factor(1, "transB", "transBatchB")});
  float alpha = getReal("alpha", 1.0f);
  return alpha == 1.0f ? y : emit("Mul", {y, scalar(alpha, in(0))});
}

SmallVector<Value> Decomposer::decomposeSkipNorm(bool simplified) {
  Value sum = emit("Add", {in(0), in(1)});
  Value bias = in(simplified ? 3 : 4);
  if (has(bias))
    sum = emit("Add", {sum, bias});
  SmallVector<Value> results = {Value(), Value(), Value(), sum};
  Type unknown = getUnknownTensorType(b.getContext());
  // The default of epsilon is another one in the standard operators.
  SmallVector<NamedAttribute> attrs =
      getLayerAttributes({}, {attr("axis", int64_t(-1)),
                              attr("epsilon", getReal("epsilon", 1e-12f))});
  if (simplified) {
    results[0] = emit("RMSNormalization", {sum, in(2)}, attrs);
    return results;
  }
  auto typeOf = [&](unsigned i) -> Type {
    return op->getResult(i).use_empty() ? Type(b.getNoneType()) : unknown;
  };
  SmallVector<Value> norm = emit("LayerNormalization", {sum, in(2), in(3)},
                                 attrs, {unknown, typeOf(1), typeOf(2)});
  llvm::copy(norm, results.begin());
  return results;
}

Decomposition Decomposer::decompose() {
  using Result = Decomposition;
  auto one = [](Value value) -> Result {
    return std::optional(SmallVector<Value>{value});
  };
  auto unary = [&](StringRef name, ArrayRef<StringRef> keep = {}) {
    Value x = dequantize(in(0), in(1), in(2));
    return one(quantize(emitLayer(name, x, keep), in(3), in(4)));
  };
  auto binary = [&](StringRef name) {
    Value x = dequantize(in(0), in(1), in(2));
    Value y = dequantize(in(3), in(4), in(5));
    return one(quantize(emitLayer(name, {x, y}), in(6), in(7)));
  };
  auto addTo = [&](Value x, Value bias) {
    return has(bias) ? emit("Add", {x, bias}) : x;
  };
  auto toI32 = [&](Value x) { return emit("Cast", x, attr("to", int64_t(6))); };
  auto gelu = [&](Value x, StringRef approximate) {
    return one(emitLayer("Gelu", x, {}, attr("approximate", approximate)));
  };
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<MicrosoftQuantizeLinearOp>([&](auto) {
        return one(emitLayer("QuantizeLinear", op->getOperands(), {"axis"}));
      })
      .Case<MicrosoftDequantizeLinearOp>([&](auto) {
        return one(emitLayer("DequantizeLinear", op->getOperands(), {"axis"}));
      })
      .Case<MicrosoftQLinearSigmoidOp>([&](auto) { return unary("Sigmoid"); })
      .Case<MicrosoftQLinearLeakyReluOp>(
          [&](auto) { return unary("LeakyRelu", {"alpha"}); })
      .Case<MicrosoftQLinearSoftmaxOp>(
          [&](auto) { return one(decomposeSoftmax()); })
      .Case<MicrosoftQLinearReduceMeanOp>(
          [&](auto) { return one(decomposeReduceMean()); })
      .Case<MicrosoftQLinearAveragePoolOp>(
          [&](auto) { return one(decomposePool("AveragePool")); })
      .Case<MicrosoftQLinearGlobalAveragePoolOp>(
          [&](auto) { return one(decomposePool("GlobalAveragePool")); })
      .Case<MicrosoftQLinearAddOp>([&](auto) { return binary("Add"); })
      .Case<MicrosoftQLinearMulOp>([&](auto) { return binary("Mul"); })
      .Case<MicrosoftQLinearConcatOp>(
          [&](auto) { return one(decomposeConcat()); })
      .Case<MicrosoftQLinearWhereOp>([&](auto) {
        Value x = dequantize(in(1), in(2), in(3));
        Value y = dequantize(in(4), in(5), in(6));
        return one(quantize(emitLayer("Where", {in(0), x, y}), in(7), in(8)));
      })
      .Case<MicrosoftQLinearConvOp>([&](auto) { return one(decomposeConv()); })
      .Case<MicrosoftQGemmOp>([&](auto) { return one(decomposeGemm()); })
      .Case<MicrosoftMatMulIntegerToFloatOp>([&](auto) {
        Value x = dequantize(in(0), in(2), in(4), rankOf(in(0)) - 2);
        Value w = dequantize(in(1), in(3), in(5), rankOf(in(1)) - 1);
        return one(addTo(emitLayer("MatMul", {x, w}), in(6)));
      })
      .Case<MicrosoftDynamicQuantizeMatMulOp>([&](auto) {
        SmallVector<Type> types(3, getUnknownTensorType(b.getContext()));
        SmallVector<Value> q = emit("DynamicQuantizeLinear", in(0), {}, types);
        Value x = dequantize(q[0], q[1], q[2]);
        Value w = dequantize(in(1), in(2), in(3), rankOf(in(1)) - 1);
        return one(addTo(emitLayer("MatMul", {x, w}), in(4)));
      })
      .Case<MicrosoftMatMulInteger16Op>([&](auto) {
        return one(emitLayer("MatMul", {toI32(in(0)), toI32(in(1))}));
      })
      .Case<MicrosoftMulIntegerOp>([&](auto) {
        auto centered = [&](Value x, Value zero) {
          return has(zero) ? emit("Sub", {toI32(x), toI32(zero)}) : toI32(x);
        };
        return one(
            emitLayer("Mul", {centered(in(0), in(1)), centered(in(2), in(3))}));
      })
      .Case<MicrosoftReduceSumIntegerOp>([&](MicrosoftReduceSumIntegerOp sum) {
        return one(emitLayer("ReduceSum",
                             {toI32(in(0)), integers(sum.getAxes())},
                             {"keepdims"}));
      })
      .Case<MicrosoftFusedConvOp>([&](auto) -> Result {
        Value y = emitLayer("Conv", {in(0), in(1), in(2)},
                            {"auto_pad", "dilations", "group", "kernel_shape",
                             "pads", "strides"});
        FailureOr<Value> result = activate(addTo(y, in(3)));
        if (failed(result))
          return failure();
        return one(*result);
      })
      .Case<MicrosoftFusedGemmOp>([&](auto) -> Result {
        FailureOr<Value> result = activate(emitLayer(
            "Gemm", op->getOperands(), {"alpha", "beta", "transA", "transB"}));
        if (failed(result))
          return failure();
        return one(*result);
      })
      .Case<MicrosoftFusedMatMulOp, MicrosoftTransposeMatMulOp>(
          [&](auto) { return one(decomposeFusedMatMul()); })
      .Case<MicrosoftGeluOp>([&](auto) { return gelu(in(0), "none"); })
      .Case<MicrosoftBiasGeluOp>(
          [&](auto) { return gelu(emit("Add", {in(0), in(1)}), "none"); })
      .Case<MicrosoftFastGeluOp>(
          [&](auto) { return gelu(addTo(in(0), in(1)), "tanh"); })
      .Case<MicrosoftQuickGeluOp>([&](MicrosoftQuickGeluOp quick) {
        return one(
            emitLayer("Swish", in(0), {}, attr("alpha", quick.getAlpha())));
      })
      .Case<MicrosoftSkipLayerNormalizationOp>([&](auto) -> Result {
        return std::optional(decomposeSkipNorm(/*simplified=*/false));
      })
      .Case<MicrosoftSkipSimplifiedLayerNormalizationOp>([&](auto) -> Result {
        return std::optional(decomposeSkipNorm(/*simplified=*/true));
      })
      .Default([](Operation *op) { return decomposeTransformer(op); });
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

namespace {
struct ONNXDecomposeMicrosoftPass
    : public nibble::onnx::impl::ONNXDecomposeMicrosoftPassBase<
          ONNXDecomposeMicrosoftPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      // ONNX Runtime has one operator of its own in the default domain.
      if (op->getName().getStringRef().starts_with("onnx.microsoft.") ||
          isa<SimplifiedLayerNormalizationOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (failed(replace(op)))
        return signalPassFailure();
  }

private:
  LogicalResult replace(Operation *op) {
    for (Type type : op->getOperandTypes())
      if (isa<UnrankedTensorType>(type))
        return op->emitOpError() << "has an operand of type " << type
                                 << "; run onnx-infer-shapes first";
    auto values = Decomposer(op).decompose();
    if (failed(values))
      return failure();
    if (!*values)
      return success();
    for (auto [result, value] : llvm::zip_equal(op->getResults(), **values)) {
      if (isa<NoneType>(result.getType()))
        continue;
      if (value) {
        // What is known of the type stays known.
        if (isa<UnrankedTensorType>(value.getType()))
          value.setType(result.getType());
        result.replaceAllUsesWith(value);
      } else if (!result.use_empty())
        return op->emitOpError()
               << "result #" << result.getResultNumber()
               << " is used, which is not supported for this operator";
    }
    op->erase();
    ++numDecomposed;
    return success();
  }
};
} // namespace
