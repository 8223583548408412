//===- LowerCaches.cpp - Buffers of caches from the runtime ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/FunctionCallUtils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLELOWERCACHESPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

constexpr StringLiteral extendFunction = "nibble_rt_extend_cache";

struct LowerCaches : impl::NibbleLowerCachesPassBase<LowerCaches> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ExtendCacheOp> ops;
    getOperation().walk([&](ExtendCacheOp op) { ops.push_back(op); });
    for (ExtendCacheOp op : ops)
      if (failed(lower(op)))
        return signalPassFailure();
  }

private:
  LogicalResult lower(ExtendCacheOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    Type i32 = b.getI32Type(), i64 = b.getI64Type();
    FailureOr<LLVM::LLVMFuncOp> function = LLVM::lookupOrCreateFn(
        b, getOperation(), extendFunction, {i32, i64, pointer},
        LLVM::LLVMVoidType::get(&getContext()));
    if (failed(function))
      return failure();
    LLVMTypeConverter types(&getContext());
    Type descriptor = types.convertType(op.getRoom().getType());
    // A slot of the frame: operations of caches are never inside of a loop.
    Value one = LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(1));
    Value slot = LLVM::AllocaOp::create(b, loc, pointer, descriptor, one);
    Value cache = LLVM::ConstantOp::create(b, loc, i32,
                                           b.getI32IntegerAttr(op.getCache()));
    Value length = arith::IndexCastOp::create(b, loc, i64, op.getLength());
    LLVM::CallOp::create(b, loc, *function, ValueRange{cache, length, slot});
    Value loaded = LLVM::LoadOp::create(b, loc, descriptor, slot);
    auto cast = UnrealizedConversionCastOp::create(
        b, loc, op.getRoom().getType(), loaded);
    op.replaceAllUsesWith(cast.getResult(0));
    op.erase();
    return success();
  }
};

} // namespace
} // namespace nibble::codegen
