//===- LowerExpandShape.cpp - Views with several unknown sizes ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLELOWEREXPANDSHAPEPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

/// True if a dimension is split into several of unknown size.
bool splitsIntoUnknownSizes(memref::ExpandShapeOp op) {
  return llvm::any_of(op.getReassociationIndices(),
                      [&](ArrayRef<int64_t> dims) {
                        return llvm::count_if(dims, [&](int64_t dim) {
                                 return op.getResultType().isDynamicDim(dim);
                               }) > 1;
                      });
}

OpFoldResult multiply(OpBuilder &b, Location loc, OpFoldResult lhs,
                      OpFoldResult rhs) {
  std::optional<int64_t> left = getConstantIntValue(lhs);
  std::optional<int64_t> right = getConstantIntValue(rhs);
  if (left && right)
    return b.getIndexAttr(*left * *right);
  if (left == 1)
    return rhs;
  if (right == 1)
    return lhs;
  return arith::MulIOp::create(b, loc,
                               getValueOrCreateConstantIndexOp(b, loc, lhs),
                               getValueOrCreateConstantIndexOp(b, loc, rhs))
      .getResult();
}

struct LowerExpandShape
    : impl::NibbleLowerExpandShapePassBase<LowerExpandShape> {
  using Base::Base;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<memref::ExpandShapeOp> ops;
    getOperation()->walk([&](memref::ExpandShapeOp op) {
      if (splitsIntoUnknownSizes(op))
        ops.push_back(op);
    });
    for (memref::ExpandShapeOp op : ops)
      lower(rewriter, op);
  }

private:
  void lower(IRRewriter &rewriter, memref::ExpandShapeOp op) {
    Location loc = op.getLoc();
    rewriter.setInsertionPoint(op);
    auto source =
        memref::ExtractStridedMetadataOp::create(rewriter, loc, op.getSrc());
    SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
    SmallVector<OpFoldResult> strides(sizes.size());
    SmallVector<OpFoldResult> sourceStrides =
        source.getConstifiedMixedStrides();
    // The last of the new dimensions steps as the old one did; each before it
    // steps over all of those behind it.
    for (auto [group, stride] :
         llvm::zip_equal(op.getReassociationIndices(), sourceStrides)) {
      OpFoldResult step = stride;
      for (int64_t dim : llvm::reverse(group)) {
        strides[dim] = step;
        if (dim != group.front())
          step = multiply(rewriter, loc, step, sizes[dim]);
      }
    }
    rewriter.replaceOpWithNewOp<memref::ReinterpretCastOp>(
        op, op.getResultType(), source.getBaseBuffer(),
        source.getConstifiedMixedOffset(), sizes, strides);
    ++numLowered;
  }
};

} // namespace
} // namespace nibble::codegen
