//===- ConvertNibbleToCuda.cpp - Operations as kernels -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"
#include "nibble/Codegen/CUDA/Launch.h"
#include "nibble/Codegen/CUDA/LinalgKernel.h"
#include "nibble/Codegen/CUDA/Passes.h"
#include "nibble/Codegen/CUDA/PlainProducts.h"
#include "nibble/Codegen/CUDA/TiledProducts.h"
#include "nibble/Codegen/EqualFunctions.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include <map>

using namespace mlir;

namespace nibble::codegen::cuda {
#define GEN_PASS_DEF_CONVERTNIBBLETOCUDAPASS
#include "nibble/Codegen/CUDA/CodegenCUDA.h.inc"

namespace {

/// Integers of so many elements are shapes, which the host computes with.
constexpr int64_t mostShapeElements = 64;

bool isShapeComputation(Operation *op) {
  return llvm::all_of(op->getOperandTypes(), [](Type type) {
    auto memref = dyn_cast<MemRefType>(type);
    if (!memref)
      return type.isIntOrIndex();
    return memref.getElementType().isIntOrIndex() && memref.hasStaticShape() &&
           memref.getNumElements() <= mostShapeElements;
  });
}

/// A layer of the model that computes on buffers, and not control flow or
/// bookkeeping.
bool isWork(Operation *op) {
  return isa<linalg::LinalgOp, memref::CopyOp>(op) ||
         (isa<NibbleDialect>(op->getDialect()) &&
          !isa<WeightOp, ExtendCacheOp>(op) &&
          llvm::any_of(op->getOperandTypes(), llvm::IsaPred<MemRefType>));
}

/// Types whose elements have bytes of their own in the block of weights.
bool canBeWeight(MemRefType type) {
  Type element = type.getElementType();
  return type.getLayout().isIdentity() && element.isIntOrFloat() &&
         element.getIntOrFloatBitWidth() % 8 == 0;
}

/// Memory that the runtime does not know of.
bool isOfProgram(Value value) {
  while (auto view = value.getDefiningOp<ViewLikeOpInterface>())
    value = view.getViewSource();
  return isa_and_present<memref::GetGlobalOp, memref::AllocaOp>(
      value.getDefiningOp());
}

struct ConvertNibbleToCuda
    : impl::ConvertNibbleToCudaPassBase<ConvertNibbleToCuda> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    left.clear();
    equal = {};
    OpBuilder builder(&getContext());
    builder.setInsertionPointToEnd(module.getBody());
    kernels =
        gpu::GPUModuleOp::create(builder, module.getLoc(), kernelModuleName);
    SymbolTable table(kernels);
    symbols = &table;
    placeConstants();
    // Products may leave copies behind.
    if (failed(convertProducts()))
      return signalPassFailure();
    SmallVector<Operation *> work;
    forWork([&](Operation *op) { work.push_back(op); });
    for (Operation *op : work)
      if (!isShapeComputation(op))
        convert(op);
    if (kernels.getBody()->empty()) {
      kernels.erase();
    } else {
      module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                      builder.getUnitAttr());
      markWeights();
    }
    for (const auto &[why, ops] : left)
      ops.front()->emitRemark() << "runs on the host, as " << ops.size() << " "
                                << ops.front()->getName()
                                << " operations of the model: " << why.second;
  }

private:
  /// Calls `visit` for each operation of the entry that computes.
  void forWork(function_ref<void(Operation *)> visit) {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function->hasAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName()))
        function.walk<WalkOrder::PreOrder>([&](Operation *op) {
          if (!isWork(op))
            return WalkResult::advance();
          visit(op);
          return WalkResult::skip();
        });
  }

  /// Constants of the program become weights: a device does not see the others.
  void placeConstants() {
    getOperation().walk([&](memref::GetGlobalOp op) {
      auto global = SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(
          op, op.getNameAttr());
      auto value = global && global.getConstant()
                       ? dyn_cast_or_null<ElementsAttr>(
                             global.getInitialValue().value_or(Attribute()))
                       : ElementsAttr();
      auto function = op->getParentOfType<func::FuncOp>();
      if (!value || !canBeWeight(op.getType()) || !function ||
          !function->hasAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName()))
        return;
      OpBuilder b(op);
      Value weight = WeightOp::create(b, op.getLoc(), op.getType(), value);
      op.replaceAllUsesWith(weight);
      op.erase();
    });
  }

  LogicalResult convertProducts() {
    SmallVector<QuantizableOpInterface> ops;
    forWork([&](Operation *op) {
      if (isa<MatMulOp, ConvOp, GatherOp>(op))
        ops.push_back(cast<QuantizableOpInterface>(op));
    });
    PlainProducts products(kernels);
    TiledProducts tiled(kernels);
    for (QuantizableOpInterface op : ops) {
      if (auto matmul = dyn_cast<MatMulOp>(*op);
          matmul && TiledProducts::takes(matmul)) {
        if (failed(tiled.convert(matmul)))
          return failure();
        continue;
      }
      std::string reason = PlainProducts::whyNot(op);
      if (!reason.empty()) {
        leave(op, reason);
        continue;
      }
      LogicalResult result =
          llvm::TypeSwitch<Operation *, LogicalResult>(op)
              .Case<MatMulOp, ConvOp, GatherOp>(
                  [&](auto typed) { return products.convert(typed); });
      if (failed(result))
        return failure();
    }
    numKernels += products.numKernels + tiled.numKernels;
    numLaunches += products.numLaunches + tiled.numLaunches;
    return success();
  }

  void leave(Operation *op, const std::string &reason) {
    ++numOnHost;
    left[{op->getName().getAsOpaquePointer(), reason}].push_back(op);
  }

  /// Weights that kernels read are to be on the device.
  void markWeights() {
    getOperation().walk([&](gpu::LaunchFuncOp launch) {
      for (Value operand : launch.getKernelOperands()) {
        while (Operation *source = operand.getDefiningOp()) {
          if (isa<WeightOp>(source))
            source->setAttr(onDeviceAttrName, UnitAttr::get(&getContext()));
          if (source->getNumOperands() == 0 ||
              !isa<ViewLikeOpInterface, arith::IndexCastOp, LLVM::IntToPtrOp,
                   memref::ExtractAlignedPointerAsIndexOp>(source))
            break;
          operand = source->getOperand(0);
        }
      }
    });
  }

  void convert(Operation *op) {
    // Those of products are known already.
    if (isa<MatMulOp, ConvOp, GatherOp>(op))
      return;
    std::string reason = tryConvert(op);
    if (!reason.empty())
      leave(op, reason);
  }

  /// The reason if the operation stays.
  std::string tryConvert(Operation *op) {
    if (auto copy = dyn_cast<memref::CopyOp>(op)) {
      OpBuilder b(op);
      linalg::GenericOp generic = linalg::makeMemRefCopyOp(
          b, op->getLoc(), copy.getSource(), copy.getTarget());
      std::string reason = convertGeneric(generic, "copy");
      (reason.empty() ? op : generic)->erase();
      return reason;
    }
    auto structured = dyn_cast<linalg::LinalgOp>(op);
    if (!structured)
      return "there is no kernel for it";
    std::string name = op->getName().stripDialect().str();
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      return convertGeneric(generic, name);
    IRRewriter rewriter(op);
    FailureOr<linalg::GenericOp> generic =
        linalg::generalizeNamedOp(rewriter, structured);
    if (failed(generic))
      return "there is no kernel for it";
    return convertGeneric(*generic, name);
  }

  std::string convertGeneric(linalg::GenericOp op, StringRef name) {
    std::string reason = whyNotOnDevice(op);
    if (!reason.empty())
      return reason;
    SetVector<Value> used;
    used.insert_range(op->getOperands());
    getUsedValuesDefinedAbove(op->getRegions(), used);
    if (llvm::any_of(used, isOfProgram))
      return "it reads memory of the program";
    OpBuilder host(op);
    LinalgKernel kernel = buildLinalgKernel(host, kernels, op, name);
    gpu::GPUFuncOp function = share(kernel.function);
    createLaunch(host, op.getLoc(), function, kernel.blocks, kernel.arguments);
    op.erase();
    ++numLaunches;
    return {};
  }

  /// The kernel with the code of `function`, which is erased if there is one
  /// already.
  gpu::GPUFuncOp share(gpu::GPUFuncOp function) {
    auto shared = cast<gpu::GPUFuncOp>(equal.insert(function).getOperation());
    if (shared != function) {
      function.erase();
      return shared;
    }
    function->remove();
    symbols->insert(function);
    ++numKernels;
    return function;
  }

  gpu::GPUModuleOp kernels;
  SymbolTable *symbols = nullptr;
  EqualFunctions equal;
  /// What stays on the host, by operation and reason.
  llvm::MapVector<std::pair<const void *, std::string>,
                  SmallVector<Operation *>,
                  std::map<std::pair<const void *, std::string>, unsigned>>
      left;
};

} // namespace
} // namespace nibble::codegen::cuda
