//===- LowerLinalgToLoops.cpp - What no kernel took -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/LinalgLoops.h"
#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLELOWERLINALGTOLOOPSPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

/// A copy as an operation that moves elements: the upstream lowering of a copy
/// between layouts calls a library.
linalg::LinalgOp makeCopy(IRRewriter &rewriter, memref::CopyOp op) {
  auto type = cast<MemRefType>(op.getTarget().getType());
  rewriter.setInsertionPoint(op);
  AffineMap identity = rewriter.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> iterators(type.getRank(),
                                             utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      rewriter, op.getLoc(), ValueRange{op.getSource()},
      ValueRange{op.getTarget()}, ArrayRef<AffineMap>{identity, identity},
      iterators, [](OpBuilder &b, Location loc, ValueRange arguments) {
        linalg::YieldOp::create(b, loc, arguments[0]);
      });
  rewriter.eraseOp(op);
  return generic;
}

struct LowerLinalgToLoops
    : impl::NibbleLowerLinalgToLoopsPassBase<LowerLinalgToLoops> {
  using Base::Base;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<memref::CopyOp> copies;
    getOperation().walk([&](memref::CopyOp op) { copies.push_back(op); });
    for (memref::CopyOp op : copies)
      makeCopy(rewriter, op);

    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops) {
      if (!op.hasPureBufferSemantics()) {
        op->emitOpError("is still on tensors; bufferize before this pass");
        return signalPassFailure();
      }
      if (failed(lower(rewriter, op))) {
        op->emitOpError("has no lowering to loops");
        return signalPassFailure();
      }
    }
  }

private:
  LogicalResult lower(IRRewriter &rewriter, linalg::LinalgOp op) {
    rewriter.setInsertionPoint(op);
    KernelBuilder kernel(rewriter, op.getLoc(), CpuTarget{avx512, fma});
    FailureOr<LinalgNest> nest = LinalgNest::create(kernel, op);
    ++numLowered;
    if (failed(nest)) {
      if (failed(linalg::linalgOpToLoops(rewriter, op)))
        return failure();
    } else {
      emitLinalgLoops(kernel, *nest);
    }
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace
} // namespace nibble::codegen
