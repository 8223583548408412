//===- FoldTransposes.cpp - Products read transposed operands in place ----===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/IR/LinalgInterfaces.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "nibble/Dialect/Nibble/Transforms/Passes.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEFOLDTRANSPOSESPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// A tensor whose dimension `perm[i]` is dimension `i` of another.
struct Transposed {
  Value source;
  SmallVector<int64_t> perm;
};

/// The transposition of a tensor whose dimensions were joined is that of the
/// joined dimensions if each group has neighbours in their order.
FailureOr<Transposed> joinSource(tensor::CollapseShapeOp collapse,
                                 const Transposed &inner,
                                 PatternRewriter &rewriter) {
  SmallVector<ReassociationIndices> groups;
  for (const ReassociationIndices &group : collapse.getReassociationIndices()) {
    ReassociationIndices &source = groups.emplace_back();
    for (int64_t d : group) {
      if (!source.empty() && inner.perm[d] != source.back() + 1)
        return failure();
      source.push_back(inner.perm[d]);
    }
  }
  Transposed result;
  SmallVector<ReassociationIndices> sorted(groups);
  llvm::sort(sorted,
             [](const ReassociationIndices &a, const ReassociationIndices &b) {
               return a.front() < b.front();
             });
  for (const ReassociationIndices &group : groups)
    result.perm.push_back(
        std::distance(sorted.begin(), llvm::find(sorted, group)));
  result.source = tensor::CollapseShapeOp::create(rewriter, collapse.getLoc(),
                                                  inner.source, sorted);
  return result;
}

FailureOr<Transposed> findTransposed(Value value, PatternRewriter &rewriter) {
  if (auto transpose = value.getDefiningOp<linalg::TransposeOp>())
    return Transposed{transpose.getInput(),
                      llvm::to_vector(transpose.getPermutation())};
  auto collapse = value.getDefiningOp<tensor::CollapseShapeOp>();
  if (!collapse)
    return failure();
  auto transpose = collapse.getSrc().getDefiningOp<linalg::TransposeOp>();
  if (!transpose)
    return failure();
  return joinSource(
      collapse,
      {transpose.getInput(), llvm::to_vector(transpose.getPermutation())},
      rewriter);
}

struct FoldTranspose : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics() || op.getNumDpsInputs() != 2 ||
        op->getNumResults() != 1 || !linalg::isaContractionOpInterface(op))
      return rewriter.notifyMatchFailure(op, "no product of tensors");
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    for (Value operand : op->getOperands())
      if (!isa<FloatType>(element) ||
          getElementTypeOrSelf(operand.getType()) != element)
        return rewriter.notifyMatchFailure(op, "no floats of one type");
    SmallVector<Value> inputs = op.getDpsInputs();
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    // A product that is one by its form only would take in what computes its
    // operands, and compute it for each product.
    bool changed = isa<linalg::GenericOp>(op);
    for (auto [input, map] : llvm::zip(inputs, maps)) {
      FailureOr<Transposed> found = findTransposed(input, rewriter);
      if (failed(found))
        continue;
      SmallVector<AffineExpr> exprs(map.getNumResults());
      for (auto [i, d] : llvm::enumerate(found->perm))
        exprs[d] = map.getResult(i);
      map = AffineMap::get(map.getNumDims(), 0, exprs, op.getContext());
      input = found->source;
      changed = true;
      ++numFolded;
    }
    if (!changed)
      return rewriter.notifyMatchFailure(op, "no transposed operand");
    rewriter.replaceOpWithNewOp<linalg::ContractOp>(
        op, op->getResultTypes(), inputs, op.getDpsInits(),
        rewriter.getAffineMapArrayAttr(maps));
    return success();
  }

  FoldTranspose(MLIRContext *context, Pass::Statistic &numFolded)
      : OpInterfaceRewritePattern(context), numFolded(numFolded) {}
  Pass::Statistic &numFolded;
};

struct NibbleFoldTransposesPass
    : public impl::NibbleFoldTransposesPassBase<NibbleFoldTransposesPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldTranspose>(&getContext(), numFolded);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace nibble
