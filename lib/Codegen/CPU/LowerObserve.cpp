//===- LowerObserve.cpp - Observation as calls of the runtime -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/FunctionCallUtils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Runtime/nibble.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLELOWEROBSERVEPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

constexpr StringLiteral observeFunction = "nibble_rt_observe";

/// The run-time number of an element type, 0 if it has none. Integers have lost
/// their sign here: they count as signed.
int32_t getDtype(Type type) {
  return llvm::TypeSwitch<Type, int32_t>(type)
      .Case<Float32Type>([](Type) { return NIBBLE_FLOAT; })
      .Case<Float64Type>([](Type) { return NIBBLE_DOUBLE; })
      .Case<Float16Type>([](Type) { return NIBBLE_FLOAT16; })
      .Case<BFloat16Type>([](Type) { return NIBBLE_BFLOAT16; })
      .Case<IntegerType>([](IntegerType integer) {
        switch (integer.getWidth()) {
        case 1:
          return NIBBLE_BOOL;
        case 8:
          return NIBBLE_INT8;
        case 16:
          return NIBBLE_INT16;
        case 32:
          return NIBBLE_INT32;
        case 64:
          return NIBBLE_INT64;
        default:
          return NIBBLE_UNDEFINED;
        }
      })
      .Default([](Type) { return NIBBLE_UNDEFINED; });
}

struct LowerObserve : impl::NibbleLowerObservePassBase<LowerObserve> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ObserveOp> ops;
    getOperation().walk([&](ObserveOp op) { ops.push_back(op); });
    for (ObserveOp op : ops)
      if (failed(lower(op)))
        return signalPassFailure();
  }

private:
  LogicalResult lower(ObserveOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    auto type = dyn_cast<MemRefType>(op.getInput().getType());
    if (!type)
      return op.emitError("expected a buffer, got ") << op.getInput().getType();
    int32_t dtype = getDtype(type.getElementType());
    if (dtype == NIBBLE_UNDEFINED)
      return op.emitError("elements of type ")
             << type.getElementType() << " can't be observed";
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    Type i32 = b.getI32Type(), i64 = b.getI64Type();
    FailureOr<LLVM::LLVMFuncOp> function = LLVM::lookupOrCreateFn(
        b, getOperation(), observeFunction, {i64, i32, i32, pointer},
        LLVM::LLVMVoidType::get(&getContext()));
    if (failed(function))
      return failure();
    LLVMTypeConverter types(&getContext());
    Type descriptor = types.convertType(type);
    auto constant = [&](Type type, int64_t value) -> Value {
      return LLVM::ConstantOp::create(b, loc, type,
                                      b.getIntegerAttr(type, value));
    };
    // In the entry block: the operation may be in a loop.
    auto parent = op->getParentOfType<FunctionOpInterface>();
    b.setInsertionPointToStart(&parent.getFunctionBody().front());
    Value slot =
        LLVM::AllocaOp::create(b, loc, pointer, descriptor, constant(i64, 1));
    b.setInsertionPoint(op);
    Value value =
        UnrealizedConversionCastOp::create(b, loc, descriptor, op.getInput())
            .getResult(0);
    LLVM::StoreOp::create(b, loc, value, slot);
    LLVM::CallOp::create(b, loc, *function,
                         ValueRange{constant(i64, op.getId()),
                                    constant(i32, dtype),
                                    constant(i32, type.getRank()), slot});
    op.erase();
    return success();
  }
};

} // namespace
} // namespace nibble::codegen
