//===- FuseDequantizedInputs.cpp - nibble-fuse-dequantized-inputs ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEFUSEDEQUANTIZEDINPUTSPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// Whether `op` makes a float of each byte of one tensor with a few simple
/// operations: reading the byte again costs less than reading the float.
bool isDequantization(linalg::GenericOp op) {
  constexpr size_t maxOperations = 8;
  if (op.getNumResults() != 1 || op.getNumReductionLoops() != 0 ||
      !isa<FloatType>(getElementTypeOrSelf(op.getResult(0).getType())) ||
      op.getBody()->getOperations().size() > maxOperations)
    return false;
  unsigned tensors = 0;
  for (OpOperand *input : op.getDpsInputOperands()) {
    auto type = dyn_cast<RankedTensorType>(input->get().getType());
    if (!type)
      return false;
    if (op.getMatchingIndexingMap(input).isConstant())
      continue;
    ++tensors;
    if (type.getElementType().getIntOrFloatBitWidth() > 8)
      return false;
  }
  return tensors == 1;
}

struct FuseInput : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    for (OpOperand *input : op.getDpsInputOperands()) {
      auto producer = input->get().getDefiningOp<linalg::GenericOp>();
      if (!producer || !isDequantization(producer) ||
          !linalg::areElementwiseOpsFusable(input))
        continue;
      FailureOr<linalg::ElementwiseOpFusionResult> fused =
          linalg::fuseElementwiseOps(rewriter, input);
      if (failed(fused))
        continue;
      for (OpResult result : op->getResults())
        rewriter.replaceAllUsesWith(result, fused->replacements.lookup(result));
      rewriter.eraseOp(op);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no dequantized input");
  }
};

struct NibbleFuseDequantizedInputsPass
    : public impl::NibbleFuseDequantizedInputsPassBase<
          NibbleFuseDequantizedInputsPass> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    set.add<FuseInput>(context);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    if (failed(applyPatternsGreedily(getOperation(), patterns)))
      signalPassFailure();
  }

private:
  FrozenRewritePatternSet patterns;
};

} // namespace
} // namespace nibble
