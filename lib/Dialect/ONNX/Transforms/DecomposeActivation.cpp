//===- DecomposeActivation.cpp - Swish as a product -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXDECOMPOSEACTIVATIONPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble::onnx;

namespace {

struct ONNXDecomposeActivationPass
    : public nibble::onnx::impl::ONNXDecomposeActivationPassBase<
          ONNXDecomposeActivationPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<SwishOp> ops;
    getOperation()->walk([&](SwishOp op) { ops.push_back(op); });
    for (SwishOp op : ops)
      decompose(op);
    numDecomposed += ops.size();
  }

private:
  static void decompose(SwishOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    Type type = op.getType();
    Value x = op.getX(), scaled = x;
    auto name = op->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr);
    auto giveName = [&](Operation *made, StringRef suffix) {
      if (name)
        made->setAttr(ONNXDialect::kNameAttr,
                      b.getStringAttr(name.getValue() + suffix));
    };
    if (op.getAlpha() != 1.0f) {
      auto scalar = RankedTensorType::get({}, getElementTypeOrSelf(type));
      auto alpha = nibble::onnx::ConstantOp::create(
          b, loc,
          DenseElementsAttr::get(
              scalar, b.getFloatAttr(scalar.getElementType(), op.getAlpha())));
      giveName(alpha, "_alpha");
      auto product = MulOp::create(b, loc, type, x, alpha.getResult());
      giveName(product, "_Mul");
      scaled = product;
    }
    auto gate = SigmoidOp::create(b, loc, type, scaled);
    giveName(gate, "_Sigmoid");
    auto result = MulOp::create(b, loc, type, x, gate.getResult());
    giveName(result, "");
    op.replaceAllUsesWith(result.getResult());
    op.erase();
  }
};

} // namespace
