//===- OutlineLoops.cpp - Loops as functions, equal ones once -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"
#include "nibble/Codegen/EqualFunctions.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLEOUTLINELOOPSPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

/// True if `op` does its work by itself: it calls nothing and neither makes
/// nor returns memory.
bool isSelfContained(Operation *op) {
  if (llvm::any_of(op->getResultTypes(), llvm::IsaPred<BaseMemRefType>))
    return false;
  WalkResult result = op->walk([](Operation *inner) {
    return isa<CallOpInterface, memref::AllocOp, memref::DeallocOp>(inner)
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  return !result.wasInterrupted();
}

/// Loops around others, and around calls of kernels, are control flow of the
/// model: what they hold is outlined.
bool isControlFlow(Operation *op) {
  if (!isa<scf::ForOp, scf::WhileOp>(op))
    return false;
  WalkResult result = op->walk([](Operation *inner) {
    return isa<linalg::LinalgOp, memref::CopyOp, CallOpInterface>(inner)
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  return result.wasInterrupted();
}

struct OutlineLoops : impl::NibbleOutlineLoopsPassBase<OutlineLoops> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTable table(getOperation());
    symbols = &table;
    known = {};
    SmallVector<Operation *> loops;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function->hasAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName()))
        function.walk<WalkOrder::PreOrder>([&](Operation *op) {
          bool isLoop =
              isa<linalg::LinalgOp, memref::CopyOp, scf::ParallelOp>(op) ||
              (isa<scf::ForOp, scf::WhileOp>(op) && !isControlFlow(op));
          if (!isLoop)
            return WalkResult::advance();
          if (isSelfContained(op))
            loops.push_back(op);
          return WalkResult::skip();
        });
    for (Operation *op : loops)
      outline(op);
  }

private:
  void outline(Operation *op) {
    // Constants belong to the code: what is known stays known.
    SetVector<Value> used;
    used.insert_range(op->getOperands());
    getUsedValuesDefinedAbove(op->getRegions(), used);
    SmallVector<Value> arguments;
    SmallVector<Operation *> constants;
    for (Value value : used)
      if (matchPattern(value, m_Constant()))
        constants.push_back(value.getDefiningOp());
      else
        arguments.push_back(value);

    OpBuilder b(op);
    StringRef kind = op->getName().stripDialect();
    auto type = b.getFunctionType(ValueRange(arguments).getTypes(),
                                  op->getResultTypes());
    // Not the place of an operation: more than one may share the function.
    auto function = func::FuncOp::create(NameLoc::get(b.getStringAttr(kind)),
                                         ("nibble_" + kind).str(), type);
    function.setPrivate();
    Block *body = function.addEntryBlock();
    IRMapping mapping;
    mapping.map(arguments, body->getArguments());
    OpBuilder inside = OpBuilder::atBlockBegin(body);
    for (Operation *constant : constants)
      inside.clone(*constant, mapping);
    Operation *copy = inside.clone(*op, mapping);
    func::ReturnOp::create(inside, function.getLoc(), copy->getResults());

    func::FuncOp callee = share(function);
    auto call = func::CallOp::create(b, op->getLoc(), callee, arguments);
    op->replaceAllUsesWith(call.getResults());
    op->erase();
    ++numOutlined;
  }

  /// The function with the code of `function`, which is erased if there is one
  /// already.
  func::FuncOp share(func::FuncOp function) {
    auto shared = cast<func::FuncOp>(known.insert(function).getOperation());
    if (shared != function) {
      function.erase();
      return shared;
    }
    symbols->insert(function);
    ++numFunctions;
    return function;
  }

  SymbolTable *symbols = nullptr;
  EqualFunctions known;
};

} // namespace
} // namespace nibble::codegen
