//===- ObserveOutputs.cpp - Show what layers compute ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEOBSERVEOUTPUTSPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// The only element of a scale or zero point of any rank.
Value extractElement(OpBuilder &b, Location loc, Value value) {
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  SmallVector<Value> indices;
  if (rank)
    indices.assign(rank, arith::ConstantIndexOp::create(b, loc, 0));
  return tensor::ExtractOp::create(b, loc, value, indices);
}

/// The numbers that 8-bit codes stand for.
Value dequantize(OpBuilder &b, Location loc, Value codes, Value scale,
                 Value zero, bool isUnsigned) {
  auto toFloat = [&](OpBuilder &b, Value code) -> Value {
    Type wide = b.getI32Type();
    Value extended =
        isUnsigned ? arith::ExtUIOp::create(b, loc, wide, code).getResult()
                   : arith::ExtSIOp::create(b, loc, wide, code).getResult();
    return arith::SIToFPOp::create(b, loc, b.getF32Type(), extended);
  };
  Value factor = extractElement(b, loc, scale);
  Value offset = zero ? toFloat(b, extractElement(b, loc, zero)) : Value();

  int64_t rank = cast<RankedTensorType>(codes.getType()).getRank();
  Value empty = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, codes), b.getF32Type());
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  auto op = linalg::GenericOp::create(
      b, loc, empty.getType(), codes, empty, {identity, identity}, loops,
      [&](OpBuilder &b, Location loc, ValueRange values) {
        Value number = toFloat(b, values[0]);
        if (offset)
          number = arith::SubFOp::create(b, loc, number, offset);
        number = arith::MulFOp::create(b, loc, number, factor);
        linalg::YieldOp::create(b, loc, number);
      });
  return op.getResult(0);
}

struct NibbleObserveOutputsPass
    : public impl::NibbleObserveOutputsPassBase<NibbleObserveOutputsPass> {
  using Base::Base;

  void runOnOperation() override {
    id = 0;
    SmallVector<Operation *> layers;
    getOperation().walk([&](Operation *op) {
      if (isa<QuantizableOpInterface, MatMulIntegerOp, ConvIntegerOp>(op) &&
          op->getNumResults() == 1)
        layers.push_back(op);
    });
    for (Operation *op : layers) {
      if (auto matmul = dyn_cast<MatMulIntegerOp>(op))
        observeIntegers(matmul);
      else if (auto conv = dyn_cast<ConvIntegerOp>(op))
        observeIntegers(conv);
      else
        observe(op, op->getResult(0),
                cast<QuantizableOpInterface>(op).getLayers());
    }
  }

private:
  template <typename OpTy>
  void observeIntegers(OpTy op) {
    Value result = op.getResult();
    if (op.getOutputScale()) {
      OpBuilder b(op.getContext());
      b.setInsertionPointAfter(op);
      result = dequantize(b, op.getLoc(), result, op.getOutputScale(),
                          op.getOutputZero(), op.getUnsignedOutput());
    }
    observe(op, result, op.getLayersAttr());
  }

  void observe(Operation *op, Value value, ArrayAttr layers) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || !layers || layers.empty() ||
        !isa<Float16Type, BFloat16Type, Float32Type, Float64Type>(
            type.getElementType()))
      return;
    OpBuilder b(op->getContext());
    b.setInsertionPointAfterValue(value);
    auto observe = ObserveOp::create(b, op->getLoc(), value, id++);
    observe->setAttr(NibbleDialect::getLayerNameAttr(), layers[0]);
    observe->setAttr("layers", layers);
    ++numOutputs;
  }

  int64_t id = 0;
};

} // namespace
} // namespace nibble
