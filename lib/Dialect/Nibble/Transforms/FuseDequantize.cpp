//===- FuseDequantize.cpp - Fuse dequantize with its user -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEFUSEDEQUANTIZEPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// True if the rows of the dequantized weight are the rows that `op` sees: the
/// view has one row after another, or one column after another.
bool hasSameRows(DequantizeOp dequantize, QuantizableOpInterface op) {
  WeightView view = op.getWeightView();
  auto type = cast<RankedTensorType>(dequantize.getOutput().getType());
  int64_t rows = dequantize.getTranspose() ? type.getShape().back()
                                           : type.getShape().front();
  if (rows != view.rows || type.getNumElements() != view.rows * view.columns)
    return false;
  // With one row or one column both orders are the same in memory.
  if (view.rows == 1 || view.columns == 1)
    return true;
  return dequantize.getTranspose() == (view.rowStride == 1);
}

struct FuseDequantize : OpInterfaceRewritePattern<QuantizableOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(QuantizableOpInterface op,
                                PatternRewriter &rewriter) const override {
    if (op.getQuantizationScheme())
      return rewriter.notifyMatchFailure(op, "already quantized");
    auto dequantize = op.getWeightOperand().get().getDefiningOp<DequantizeOp>();
    if (!dequantize || dequantize.getScheme().getPacking() != Packing::Rows)
      return rewriter.notifyMatchFailure(op, "no packed weight");
    if (!hasSameRows(dequantize, op))
      return rewriter.notifyMatchFailure(op, "rows of the weight differ");
    rewriter.modifyOpInPlace(op, [&] {
      op.setQuantizedWeight({dequantize.getCodes(), dequantize.getScales(),
                             dequantize.getZeros(), dequantize.getGroupIndex(),
                             dequantize.getSecond()},
                            dequantize.getScheme());
    });
    return success();
  }
};

struct NibbleFuseDequantizePass
    : public impl::NibbleFuseDequantizePassBase<NibbleFuseDequantizePass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateFuseDequantizePatterns(set);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    auto count = [&] {
      int64_t fused = 0;
      getOperation()->walk([&](QuantizableOpInterface op) {
        fused += op.getQuantizationScheme() ? 1 : 0;
      });
      return fused;
    };
    int64_t before = count();
    if (failed(applyPatternsGreedily(getOperation(), patterns)))
      return signalPassFailure();
    numFused += count() - before;
  }

private:
  FrozenRewritePatternSet patterns;
};

} // namespace

void populateFuseDequantizePatterns(RewritePatternSet &patterns) {
  patterns.add<FuseDequantize>(patterns.getContext());
}

} // namespace nibble
