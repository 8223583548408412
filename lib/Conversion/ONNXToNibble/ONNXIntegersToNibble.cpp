//===- ONNXIntegersToNibble.cpp - convert-onnx-integers-to-nibble ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IntegerValues.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

namespace nibble {
#define GEN_PASS_DEF_CONVERTONNXINTEGERSTONIBBLEPASS
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// Why a product computes in floats although an operand was quantized; empty if
/// none was.
std::string getReason(Operation *op) {
  auto dequantize = [](Value value) {
    return value.getDefiningOp<onnx::DequantizeLinearOp>();
  };
  if (isa<onnx::ConvTransposeOp>(op) && dequantize(op->getOperand(0)))
    return "there is no transposed convolution of integers";
  onnx::DequantizeLinearOp x = dequantize(op->getOperand(0)),
                           w = dequantize(op->getOperand(1));
  // A weight of codes alone is what weight-only quantization wants.
  if (!x)
    return "";
  auto describe = [](onnx::DequantizeLinearOp operand, StringRef what) {
    Type element = getElementTypeOrSelf(operand.getX());
    std::string text;
    llvm::raw_string_ostream os(text);
    if (!isa<IntegerType>(element) || element.getIntOrFloatBitWidth() > 8)
      os << what << " has codes of type " << element << ", not of 8 bits";
    else if (operand.getBlockSize() != 0)
      os << what << " is quantized in blocks";
    else if (!getElementTypeOrSelf(operand.getY()).isF32())
      os << what << " is dequantized to "
         << getElementTypeOrSelf(operand.getY());
    return text;
  };
  std::string reason = describe(x, "the input");
  if (!reason.empty())
    return reason;
  if (!hasOneElement(x.getXScale()))
    return "the input has more than one scale";
  if (!w)
    return "the other operand is not quantized";
  reason = describe(w, "the other operand");
  return reason.empty() ? "its scales or sizes have no integer form" : reason;
}

struct ConvertONNXIntegersToNibblePass
    : public impl::ConvertONNXIntegersToNibblePassBase<
          ConvertONNXIntegersToNibblePass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateQuantizedProductPatterns(set);
    populateIntegerStagePatterns(set);
    populateIntegerEpiloguePatterns(set);
    populateIntegerTablePatterns(set);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    // Most models have nothing for this pass.
    bool isQuantized = false;
    getOperation()->walk([&](Operation *op) {
      isQuantized |= isa<onnx::DequantizeLinearOp, onnx::QuantizeLinearOp,
                         onnx::MatMulIntegerOp, onnx::ConvIntegerOp,
                         onnx::QLinearConvOp, onnx::QLinearMatMulOp>(op);
    });
    if (!isQuantized)
      return;
    if (failed(applyPatternsGreedily(getOperation(), patterns)))
      return signalPassFailure();
    getOperation()->walk([&](Operation *op) {
      if (isa<MatMulIntegerOp, ConvIntegerOp>(op))
        ++numProducts;
      if (isa<onnx::MatMulOp, onnx::GemmOp, onnx::ConvOp,
              onnx::ConvTransposeOp>(op))
        explain(op);
    });
  }

private:
  static void explain(Operation *op) {
    std::string reason = getReason(op);
    if (reason.empty())
      return;
    auto name =
        op->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
    StringRef layer = name ? name.getValue() : StringRef("");
    emitRemark(op->getLoc(), "layer \"")
        << layer << "\" computes in floats: " << reason;
    remark::missed(op->getLoc(),
                   remark::RemarkOpts::name("FloatProduct").category("nibble"))
        << remark::add("layer {0}", layer) << remark::reason("{0}", reason);
  }

  FrozenRewritePatternSet patterns;
};

} // namespace
} // namespace nibble
