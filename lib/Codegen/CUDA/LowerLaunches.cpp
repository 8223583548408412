//===- LowerLaunches.cpp - Launches as calls of the runtime -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/FunctionCallUtils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "nibble/Codegen/CUDA/Passes.h"

using namespace mlir;

namespace nibble::codegen::cuda {
#define GEN_PASS_DEF_NIBBLELOWERLAUNCHESPASS
#include "nibble/Codegen/CUDA/CodegenCUDA.h.inc"

namespace {

constexpr StringLiteral launchFunction = "nibble_rt_launch";

struct LowerLaunches : impl::NibbleLowerLaunchesPassBase<LowerLaunches> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    numbers.clear();
    slots.clear();
    auto kernels = module.lookupSymbol<gpu::GPUModuleOp>(kernelModuleName);
    if (!kernels)
      return;
    SmallVector<Attribute> table;
    for (auto kernel : kernels.getOps<gpu::GPUFuncOp>()) {
      if (!kernel.isKernel())
        continue;
      FailureOr<Attribute> entry = describe(kernel);
      if (failed(entry))
        return signalPassFailure();
      numbers[kernel.getNameAttr()] = table.size();
      table.push_back(*entry);
    }
    module->setAttr(kernelsAttrName, ArrayAttr::get(&getContext(), table));
    SmallVector<gpu::LaunchFuncOp> launches;
    module.walk([&](gpu::LaunchFuncOp op) { launches.push_back(op); });
    for (gpu::LaunchFuncOp op : launches)
      if (failed(lower(op)))
        return signalPassFailure();
  }

private:
  /// What the packager says about a kernel.
  FailureOr<Attribute> describe(gpu::GPUFuncOp kernel) {
    Builder b(&getContext());
    auto access = kernel->getAttrOfType<StringAttr>(accessAttrName);
    if (!access || access.size() != kernel.getNumArguments())
      return kernel.emitOpError("expected a character for each of its ")
             << kernel.getNumArguments() << " arguments in '" << accessAttrName
             << "'";
    std::string parameters;
    for (auto [type, how] :
         llvm::zip_equal(kernel.getArgumentTypes(), access.getValue())) {
      bool isBuffer = isa<MemRefType, LLVM::LLVMPointerType>(type);
      if (isBuffer == (how == '-') || !StringRef("rwb-").contains(how))
        return kernel.emitOpError("expected one of r, w, b for a buffer and - "
                                  "for a number in '")
               << accessAttrName << "', got " << access;
      parameters += how;
      if (auto memref = dyn_cast<MemRefType>(type))
        parameters += how + std::string(1 + 2 * memref.getRank(), '-');
    }
    auto shared = kernel->getAttrOfType<IntegerAttr>(sharedBytesAttrName);
    return Attribute(b.getDictionaryAttr(
        {b.getNamedAttr("name", kernel.getNameAttr()),
         b.getNamedAttr("parameters", b.getStringAttr(parameters)),
         b.getNamedAttr("shared_bytes",
                        b.getI64IntegerAttr(shared ? shared.getInt() : 0))}));
  }

  /// A word of the array: 64 bits of which a parameter takes the low ones.
  Value toWord(OpBuilder &b, Location loc, Value value) {
    Type i64 = b.getI64Type(), type = value.getType();
    if (type.isIndex())
      return arith::IndexCastOp::create(b, loc, i64, value);
    if (isa<LLVM::LLVMPointerType>(type))
      return LLVM::PtrToIntOp::create(b, loc, i64, value);
    if (isa<FloatType>(type)) {
      type = b.getIntegerType(type.getIntOrFloatBitWidth());
      value = arith::BitcastOp::create(b, loc, type, value);
    }
    return type == i64 ? value : arith::ExtUIOp::create(b, loc, i64, value);
  }

  LogicalResult lower(gpu::LaunchFuncOp op) {
    auto number = numbers.find(op.getKernelName());
    if (number == numbers.end())
      return op.emitOpError("expected a kernel of ")
             << kernelModuleName << ", got " << op.getKernel();
    OpBuilder b(op);
    Location loc = op.getLoc();
    SmallVector<Value> words;
    for (Value size :
         {op.getGridSizeX(), op.getGridSizeY(), op.getGridSizeZ(),
          op.getBlockSizeX(), op.getBlockSizeY(), op.getBlockSizeZ()})
      words.push_back(toWord(b, loc, size));
    for (Value operand : op.getKernelOperands()) {
      auto type = dyn_cast<MemRefType>(operand.getType());
      if (!type) {
        words.push_back(toWord(b, loc, operand));
        continue;
      }
      Value pointer = toWord(
          b, loc,
          memref::ExtractAlignedPointerAsIndexOp::create(b, loc, operand));
      auto metadata = memref::ExtractStridedMetadataOp::create(b, loc, operand);
      llvm::append_values(words, pointer, pointer,
                          toWord(b, loc, metadata.getOffset()));
      for (Value size : metadata.getSizes())
        words.push_back(toWord(b, loc, size));
      for (Value stride : metadata.getStrides())
        words.push_back(toWord(b, loc, stride));
    }
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    FailureOr<LLVM::LLVMFuncOp> callee = LLVM::lookupOrCreateFn(
        b, getOperation(), launchFunction, {b.getI32Type(), pointer},
        LLVM::LLVMVoidType::get(&getContext()));
    if (failed(callee))
      return failure();
    Value array = getArray(op, words.size());
    for (auto [i, word] : llvm::enumerate(words)) {
      Value slot = LLVM::GEPOp::create(b, loc, pointer, b.getI64Type(), array,
                                       LLVM::GEPArg(static_cast<int32_t>(i)));
      LLVM::StoreOp::create(b, loc, word, slot);
    }
    Value index = LLVM::ConstantOp::create(b, loc, b.getI32Type(),
                                           b.getI32IntegerAttr(number->second));
    LLVM::CallOp::create(b, loc, *callee, ValueRange{index, array});
    op.erase();
    return success();
  }

  /// One array in the frame of the function serves all launches: the runtime
  /// has read it when it returns.
  Value getArray(Operation *op, int64_t words) {
    auto function = op->getParentOfType<func::FuncOp>();
    LLVM::AllocaOp &array = slots[function];
    OpBuilder b(&getContext());
    Location loc = function.getLoc();
    if (!array) {
      b.setInsertionPointToStart(&function.getBody().front());
      Value count = LLVM::ConstantOp::create(b, loc, b.getI64Type(),
                                             b.getI64IntegerAttr(0));
      array = LLVM::AllocaOp::create(b, loc,
                                     LLVM::LLVMPointerType::get(&getContext()),
                                     b.getI64Type(), count);
    }
    auto count = array.getArraySize().getDefiningOp<LLVM::ConstantOp>();
    int64_t most = cast<IntegerAttr>(count.getValue()).getInt();
    count.setValueAttr(b.getI64IntegerAttr(std::max(most, words)));
    return array;
  }

  llvm::DenseMap<StringAttr, int32_t> numbers;
  llvm::DenseMap<Operation *, LLVM::AllocaOp> slots;
};

} // namespace
} // namespace nibble::codegen::cuda
