//===- ConvertNibbleToKernels.cpp - Fused operations to kernels -----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelCalls.h"
#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Codegen/CPU/ProductLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/LinalgInterfaces.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_CONVERTNIBBLETOKERNELSPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

/// By calls of functions for CPUs.
class CpuProducts final : public ProductLowering {
public:
  explicit CpuProducts(KernelCalls &calls) : calls(calls) {}

private:
  void call(Operation *op, StringRef name, ArrayRef<Value> memrefs,
            ArrayRef<Value> sizes, Value out, EmitBody emit) override {
    OpBuilder b(op);
    calls.call(b, op->getLoc(), name, memrefs, sizes, emit);
    op->erase();
  }
  void emit(KernelBuilder &kernel, const MatMulSpec &spec,
            const MatMulArguments &arguments) override {
    emitMatMul(kernel, spec, arguments);
  }
  void emit(KernelBuilder &kernel, const ConvSpec &spec,
            const ConvArguments &arguments) override {
    if (spec.groupChannels)
      emitGroupedConv(kernel, spec, arguments);
    else
      emitConv(kernel, spec, arguments);
  }
  void emit(KernelBuilder &kernel, const GatherSpec &spec,
            const GatherArguments &arguments) override {
    emitGather(kernel, spec, arguments);
  }

  KernelCalls &calls;
};

struct ConvertNibbleToKernels
    : impl::ConvertNibbleToKernelsPassBase<ConvertNibbleToKernels> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTable table(getOperation());
    KernelCalls kernels(table, CpuTarget{avx512, fma, vnni, tiles});
    CpuProducts fused(kernels);
    SmallVector<Operation *> ops;
    SmallVector<linalg::LinalgOp> products;
    getOperation().walk([&](Operation *op) {
      if (isa<MatMulOp, ConvOp, GatherOp, MatMulIntegerOp, ConvIntegerOp,
              QuantizeDynamicOp, QuantizeOutliersOp, MatMulOutliersOp,
              AttentionOp>(op))
        ops.push_back(op);
      else if (auto product = dyn_cast<linalg::LinalgOp>(op);
               product && product.hasPureBufferSemantics() &&
               linalg::isaContractionOpInterface(product))
        products.push_back(product);
    });
    for (linalg::LinalgOp product : products)
      convertProduct(product, kernels);
    for (Operation *op : ops) {
      if (op->getNumResults() != 0) {
        op->emitOpError("is still on tensors; bufferize before this pass");
        return signalPassFailure();
      }
      LogicalResult result =
          llvm::TypeSwitch<Operation *, LogicalResult>(op)
              .Case<MatMulOp, ConvOp, GatherOp>(
                  [&](auto typed) { return fused.convert(typed); })
              .Case<MatMulIntegerOp, ConvIntegerOp, QuantizeDynamicOp,
                    QuantizeOutliersOp>([&](auto typed) {
                convertInteger(typed, kernels);
                return success();
              })
              .Case<MatMulOutliersOp>([&](MatMulOutliersOp outliers) {
                return convertOutliers(outliers, kernels);
              })
              .Case<AttentionOp>([&](AttentionOp attention) {
                convertAttention(attention, kernels);
                return success();
              });
      if (failed(result))
        return signalPassFailure();
    }
    numKernels += kernels.numKernels;
    numCalls += kernels.numCalls;
  }
};

} // namespace
} // namespace nibble::codegen
