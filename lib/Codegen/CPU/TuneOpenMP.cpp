//===- TuneOpenMP.cpp - Parallel loops without waste ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLETUNEOPENMPPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

/// The bounds of a loop are defined outside of the region if it has just been
/// made from scf.parallel; a condition on others can't be formed.
bool definedOutside(omp::ParallelOp parallel, ValueRange values) {
  return llvm::all_of(values, [&](Value value) {
    return !parallel.getRegion().isAncestor(value.getParentRegion());
  });
}

struct TuneOpenMP : impl::NibbleTuneOpenMPPassBase<TuneOpenMP> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<omp::ParallelOp> parallels;
    getOperation().walk([&](omp::ParallelOp op) { parallels.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (omp::ParallelOp parallel : parallels) {
      hoistScratch(rewriter, parallel);
      serializeSingleTask(parallel);
      distribute(rewriter, parallel);
    }
  }

private:
  /// Buffers of constant size on the stack belong to the thread, not to an
  /// iteration.
  static void hoistScratch(IRRewriter &rewriter, omp::ParallelOp parallel) {
    Block &entry = parallel.getRegion().front();
    SmallVector<memref::AllocaOp> buffers;
    parallel.walk([&](memref::AllocaOp op) {
      if (op.getDynamicSizes().empty() && op.getSymbolOperands().empty() &&
          op->getParentOfType<omp::ParallelOp>() == parallel)
        buffers.push_back(op);
    });
    for (memref::AllocaOp op : llvm::reverse(buffers))
      rewriter.moveOpBefore(op, &entry, entry.begin());

    SmallVector<memref::AllocaScopeOp> scopes;
    parallel.walk([&](memref::AllocaScopeOp op) { scopes.push_back(op); });
    for (memref::AllocaScopeOp scope : scopes) {
      bool dynamic = false;
      scope.walk([&](memref::AllocaOp) { dynamic = true; });
      if (dynamic)
        continue;
      Block &body = scope.getBodyRegion().front();
      Operation *end = body.getTerminator();
      rewriter.inlineBlockBefore(&body, scope);
      rewriter.replaceOp(scope, end->getOperands());
      rewriter.eraseOp(end);
    }
  }

  static void serializeSingleTask(omp::ParallelOp parallel) {
    if (parallel.getIfExpr())
      return;
    SmallVector<omp::LoopNestOp> loops;
    parallel.walk([&](omp::LoopNestOp loop) { loops.push_back(loop); });
    if (loops.size() != 1)
      return;
    omp::LoopNestOp loop = loops.front();
    if (!definedOutside(parallel, loop.getLoopLowerBounds()) ||
        !definedOutside(parallel, loop.getLoopUpperBounds()) ||
        !definedOutside(parallel, loop.getLoopSteps()))
      return;

    OpBuilder b(parallel);
    Location loc = parallel.getLoc();
    Value many;
    for (auto [lower, upper, step] :
         llvm::zip_equal(loop.getLoopLowerBounds(), loop.getLoopUpperBounds(),
                         loop.getLoopSteps())) {
      Value next = b.createOrFold<arith::AddIOp>(loc, lower, step);
      Value more = b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::slt,
                                                 next, upper);
      many = many ? b.createOrFold<arith::OrIOp>(loc, many, more) : more;
    }
    parallel.getIfExprMutable().assign(many);
  }

  /// A number that OpenMP knows of the thread, as an index.
  Value callOpenMP(OpBuilder &b, Location loc, StringRef name) {
    ModuleOp module = getOperation();
    Type i32 = b.getI32Type();
    if (!module.lookupSymbol(name)) {
      OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
      func::FuncOp::create(top, module.getLoc(), name,
                           b.getFunctionType({}, i32))
          .setPrivate();
    }
    Value number =
        func::CallOp::create(b, loc, name, TypeRange(i32)).getResult(0);
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), number);
  }

  /// Each thread takes its share of the only loop of a region by itself. The
  /// region ends with a barrier anyway, and asking the library for a share can
  /// take longer than a small loop.
  void distribute(IRRewriter &rewriter, omp::ParallelOp parallel) {
    Block &entry = parallel.getRegion().front();
    auto loops = llvm::to_vector(entry.getOps<omp::WsloopOp>());
    if (loops.size() != 1 || !loops.front().getReductionVars().empty())
      return;
    auto nest = dyn_cast<omp::LoopNestOp>(loops.front().getWrappedLoop());
    // A failed check ends an iteration of the library's loop.
    bool checked = false;
    parallel.walk([&](cf::AssertOp) { checked = true; });
    if (!nest || checked || nest.getNumLoops() != 1 ||
        !nest.getRegion().hasOneBlock() || nest.getLoopInclusive())
      return;

    rewriter.setInsertionPoint(loops.front());
    Location loc = nest.getLoc();
    Value lower = nest.getLoopLowerBounds().front();
    Value step = nest.getLoopSteps().front();
    Value count = arith::CeilDivSIOp::create(
        rewriter, loc,
        arith::SubIOp::create(rewriter, loc, nest.getLoopUpperBounds().front(),
                              lower),
        step);
    Value thread = callOpenMP(rewriter, loc, "omp_get_thread_num");
    Value threads = callOpenMP(rewriter, loc, "omp_get_num_threads");
    Value one = arith::ConstantIndexOp::create(rewriter, loc, 1);
    auto share = [&](Value number) -> Value {
      return arith::DivSIOp::create(
          rewriter, loc, arith::MulIOp::create(rewriter, loc, number, count),
          threads);
    };
    Value begin = share(thread);
    Value end = share(arith::AddIOp::create(rewriter, loc, thread, one));
    auto loop = scf::ForOp::create(rewriter, loc, begin, end, one);
    rewriter.setInsertionPointToStart(loop.getBody());
    Value index = arith::AddIOp::create(
        rewriter, loc, lower,
        arith::MulIOp::create(rewriter, loc, loop.getInductionVar(), step));
    Block &body = nest.getRegion().front();
    rewriter.eraseOp(body.getTerminator());
    rewriter.inlineBlockBefore(&body, loop.getBody()->getTerminator(), index);
    rewriter.eraseOp(loops.front());
    ++numDistributed;
  }
};

} // namespace
} // namespace nibble::codegen
