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
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLELOWERASSERTPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

constexpr StringLiteral failFunction = "nibble_rt_fail";

struct LowerAssert : impl::NibbleLowerAssertPassBase<LowerAssert> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<cf::AssertOp> asserts;
    getOperation().walk([&](cf::AssertOp op) { asserts.push_back(op); });
    if (asserts.empty())
      return;
    declareFail();
    for (cf::AssertOp op : asserts)
      lower(op);
  }

private:
  void declareFail() {
    ModuleOp module = getOperation();
    if (module.lookupSymbol(failFunction))
      return;
    OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
    auto pointer = LLVM::LLVMPointerType::get(&getContext());
    auto type = LLVM::LLVMFunctionType::get(
        LLVM::LLVMVoidType::get(&getContext()), {pointer});
    auto function =
        LLVM::LLVMFuncOp::create(b, module.getLoc(), failFunction, type);
    function.setPassthroughAttr(b.getStrArrayAttr({"noreturn", "cold"}));
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

  void lower(cf::AssertOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    Block *before = op->getBlock();
    Block *after = before->splitBlock(op);
    Block *fail = b.createBlock(before->getParent(), after->getIterator());
    LLVM::GlobalOp message = getMessage(op.getMsg());
    Value pointer = LLVM::AddressOfOp::create(b, loc, message);
    LLVM::CallOp::create(b, loc, TypeRange(), failFunction,
                         ValueRange{pointer});
    LLVM::UnreachableOp::create(b, loc);
    b.setInsertionPointToEnd(before);
    cf::CondBranchOp::create(b, loc, op.getArg(), after, ValueRange(), fail,
                             ValueRange());
    op.erase();
  }

  llvm::StringMap<LLVM::GlobalOp> messages;
};

} // namespace
} // namespace nibble::codegen
