//===- UseOnHost.cpp - What the host reads and writes -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "nibble/Codegen/CUDA/Passes.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace nibble::codegen::cuda {
#define GEN_PASS_DEF_NIBBLEUSEONHOSTPASS
#include "nibble/Codegen/CUDA/CodegenCUDA.h.inc"

namespace {

constexpr StringLiteral useOnHostFunction = "nibble_rt_use_on_host";
/// What the host does; bits of the runtime's interface.
enum : int32_t { Read = 1, Write = 2 };

/// The buffer that `value` is a view of.
Value getBuffer(Value value) {
  while (auto view = value.getDefiningOp<ViewLikeOpInterface>())
    value = view.getViewSource();
  return value;
}

/// Whether a kernel can reach the memory of `value`: a launch uses it, or
/// something that is not followed.
bool reachesDevice(Value value) {
  for (Operation *user : value.getUsers()) {
    if (isa<gpu::LaunchFuncOp, memref::ExtractAlignedPointerAsIndexOp>(user) ||
        user->hasTrait<OpTrait::IsTerminator>())
      return true;
    for (Value result : user->getResults())
      if (isa<BaseMemRefType>(result.getType()) &&
          (!isa<ViewLikeOpInterface>(user) || reachesDevice(result)))
        return true;
  }
  return false;
}

struct UseOnHost : impl::NibbleUseOnHostPassBase<UseOnHost> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (module.getOps<gpu::GPUModuleOp>().empty())
      return;
    known.clear();
    for (auto function : module.getOps<func::FuncOp>())
      if (function->hasAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName()))
        visit(function.getBody());
  }

private:
  static bool launches(Operation *op) {
    return op->walk([](gpu::LaunchFuncOp) { return WalkResult::interrupt(); })
        .wasInterrupted();
  }

  void visit(Region &region) {
    for (Block &block : region)
      for (Operation &op : llvm::make_early_inc_range(block)) {
        if (isa<gpu::LaunchFuncOp>(op))
          continue;
        if (op.getNumRegions() && launches(&op)) {
          for (Region &inner : op.getRegions())
            visit(inner);
          continue;
        }
        tell(&op);
      }
  }

  /// Note what `op` and what is inside of it does with buffers of its outside.
  void collect(Operation *op, Operation *outer) {
    // Code that the host runs calls functions that never see a buffer.
    if (isa<ViewLikeOpInterface, memref::DimOp, memref::AllocOp,
            memref::AllocaOp, memref::DeallocOp, memref::LoadOp,
            memref::StoreOp>(op)) {
      if (auto load = dyn_cast<memref::LoadOp>(op))
        note(load.getMemRef(), Read, outer);
      else if (auto store = dyn_cast<memref::StoreOp>(op))
        note(store.getMemRef(), Read | Write, outer);
      return;
    }
    auto effects = dyn_cast<MemoryEffectOpInterface>(op);
    for (Value operand : op->getOperands()) {
      auto type = dyn_cast<MemRefType>(operand.getType());
      if (!type || op->hasTrait<OpTrait::IsTerminator>())
        continue;
      SmallVector<MemoryEffects::EffectInstance> found;
      if (effects)
        effects.getEffectsOnValue(operand, found);
      int32_t access = effects ? 0 : Read | Write;
      for (const MemoryEffects::EffectInstance &effect : found) {
        if (isa<MemoryEffects::Read>(effect.getEffect()))
          access |= Read;
        else if (isa<MemoryEffects::Write>(effect.getEffect()))
          access |= Write;
      }
      // A part of a buffer leaves the rest as it was.
      if (access == Write && !operand.getDefiningOp<memref::AllocOp>())
        access |= Read;
      if (access)
        note(operand, access, outer);
    }
    for (Region &region : op->getRegions())
      for (Operation &inner : region.getOps())
        collect(&inner, outer);
  }

  void note(Value value, int32_t access, Operation *outer) {
    // Views that are made inside of it see buffers of its outside, or its own.
    if (outer->isProperAncestor(value.getParentBlock()->getParentOp()) ||
        outer == value.getParentBlock()->getParentOp())
      value = getBuffer(value);
    if (outer == value.getParentBlock()->getParentOp() ||
        outer->isProperAncestor(value.getParentBlock()->getParentOp()))
      return;
    Value buffer = getBuffer(value);
    // Kernels and the host only read weights.
    if (buffer.getDefiningOp<WeightOp>())
      return;
    auto [it, isNew] = known.try_emplace(buffer, true);
    if (isNew)
      it->second =
          !buffer.getDefiningOp<memref::AllocOp>() || reachesDevice(buffer);
    if (it->second)
      uses[value] |= access;
  }

  void tell(Operation *op) {
    uses.clear();
    collect(op, op);
    if (uses.empty())
      return;
    OpBuilder b(op);
    Location loc = op->getLoc();
    func::FuncOp callee = declare();
    for (auto [value, access] : uses) {
      Value address =
          memref::ExtractAlignedPointerAsIndexOp::create(b, loc, value);
      address = arith::IndexCastOp::create(b, loc, b.getI64Type(), address);
      // Addresses are of the first element, which a view may have further on.
      auto type = cast<MemRefType>(value.getType());
      if (!type.getLayout().isIdentity()) {
        auto metadata = memref::ExtractStridedMetadataOp::create(b, loc, value);
        Value bytes = arith::ConstantIndexOp::create(
            b, loc, llvm::divideCeil(type.getElementTypeBitWidth(), 8));
        Value offset =
            arith::MulIOp::create(b, loc, metadata.getOffset(), bytes);
        address = arith::AddIOp::create(
            b, loc, address,
            arith::IndexCastOp::create(b, loc, b.getI64Type(), offset));
      }
      Value how = arith::ConstantIntOp::create(b, loc, access, /*width=*/32);
      func::CallOp::create(b, loc, callee, ValueRange{address, how});
      ++numCalls;
    }
  }

  func::FuncOp declare() {
    ModuleOp module = getOperation();
    if (auto function = module.lookupSymbol<func::FuncOp>(useOnHostFunction))
      return function;
    OpBuilder b(module.getBodyRegion());
    auto function = func::FuncOp::create(
        b, module.getLoc(), useOnHostFunction,
        b.getFunctionType({b.getI64Type(), b.getI32Type()}, {}));
    function.setPrivate();
    return function;
  }

  llvm::MapVector<Value, int32_t> uses;
  /// Whether a kernel can reach a buffer.
  DenseMap<Value, bool> known;
};

} // namespace
} // namespace nibble::codegen::cuda
