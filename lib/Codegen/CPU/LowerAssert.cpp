//===- LowerAssert.cpp - Run-time checks ----------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLELOWERASSERTPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

constexpr StringLiteral failFunction = "nibble_rt_fail";
constexpr StringLiteral noteFunction = "nibble_rt_note_failure";
constexpr StringLiteral runFunction = "nibble_rt_current_run";

/// The outermost parallel region around `op`, or nothing.
omp::ParallelOp getOutermostParallel(Operation *op) {
  omp::ParallelOp outermost;
  while ((op = op->getParentOp()))
    if (auto parallel = dyn_cast<omp::ParallelOp>(op))
      outermost = parallel;
  return outermost;
}

struct LowerAssert : impl::NibbleLowerAssertPassBase<LowerAssert> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<cf::AssertOp> asserts;
    getOperation().walk([&](cf::AssertOp op) { asserts.push_back(op); });
    for (cf::AssertOp op : asserts)
      lower(op);
  }

private:
  /// Calls a function of the runtime, which is declared when it is first used.
  LLVM::CallOp call(OpBuilder &b, Location loc, StringRef name,
                    TypeRange results, ValueRange arguments) {
    ModuleOp module = getOperation();
    if (!module.lookupSymbol(name)) {
      OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
      Type result = results.empty() ? LLVM::LLVMVoidType::get(&getContext())
                                    : results.front();
      auto type = LLVM::LLVMFunctionType::get(
          result, llvm::to_vector(arguments.getTypes()));
      auto function =
          LLVM::LLVMFuncOp::create(top, module.getLoc(), name, type);
      if (name == failFunction)
        function.setPassthroughAttr(b.getStrArrayAttr({"noreturn", "cold"}));
      else if (name == noteFunction)
        function.setPassthroughAttr(b.getStrArrayAttr({"cold"}));
    }
    return LLVM::CallOp::create(b, loc, results, name, arguments);
  }

  /// The message as a private, zero-terminated global; equal ones are shared.
  LLVM::GlobalOp getMessage(StringRef text) {
    LLVM::GlobalOp &global = messages[text];
    if (global)
      return global;
    ModuleOp module = getOperation();
    OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
    std::string bytes = text.str();
    bytes.push_back('\0');
    auto type = LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size());
    global = LLVM::GlobalOp::create(
        b, module.getLoc(), type, /*isConstant=*/true, LLVM::Linkage::Private,
        "nibble_message_" + std::to_string(messages.size() - 1),
        b.getStringAttr(bytes));
    return global;
  }

  /// The handle of the run. Threads of a team do not know it: it is asked for
  /// before the team starts.
  Value getRun(omp::ParallelOp parallel) {
    Value &run = runs[parallel];
    if (!run) {
      OpBuilder b(parallel);
      run = call(b, parallel.getLoc(), runFunction,
                 LLVM::LLVMPointerType::get(&getContext()), {})
                .getResult();
    }
    return run;
  }

  void lower(cf::AssertOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    Block *before = op->getBlock();
    Block *after = before->splitBlock(op);
    Block *fail = b.createBlock(before->getParent(), after->getIterator());
    LLVM::GlobalOp message = getMessage(op.getMsg());
    Value pointer = LLVM::AddressOfOp::create(b, loc, message);
    omp::ParallelOp parallel = getOutermostParallel(op);
    if (parallel && isa<omp::LoopNestOp>(op->getParentOp())) {
      // No thread may leave a team by a jump, and all must reach its barriers:
      // only the iteration ends, before it does what relies on the condition.
      call(b, loc, noteFunction, {}, {getRun(parallel), pointer});
      omp::YieldOp::create(b, loc, ValueRange());
    } else {
      call(b, loc, failFunction, {}, pointer);
      LLVM::UnreachableOp::create(b, loc);
    }
    b.setInsertionPointToEnd(before);
    cf::CondBranchOp::create(b, loc, op.getArg(), after, ValueRange(), fail,
                             ValueRange());
    op.erase();
  }

  llvm::StringMap<LLVM::GlobalOp> messages;
  DenseMap<Operation *, Value> runs;
};

} // namespace
} // namespace nibble::codegen
