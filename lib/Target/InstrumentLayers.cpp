//===- InstrumentLayers.cpp - Calls that measure layers -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Target/ModelInfo.h"
#include "nibble/Target/Passes.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::target;

namespace nibble::target {
#define GEN_PASS_DEF_NIBBLEINSTRUMENTLAYERS
#include "nibble/Target/Target.h.inc"
} // namespace nibble::target

/// The first name in a location.
static StringRef nameOf(Location loc) {
  StringRef name;
  loc->walk([&](Location part) {
    auto named = dyn_cast<NameLoc>(part);
    if (!named)
      return WalkResult::advance();
    name = named.getName();
    return WalkResult::interrupt();
  });
  return name;
}

static std::string layerName(Operation *op) {
  if (auto layers = op->getAttrOfType<ArrayAttr>("layers")) {
    SmallVector<StringRef> names;
    for (Attribute layer : layers)
      if (auto name = dyn_cast<StringAttr>(layer))
        names.push_back(name);
    if (!names.empty())
      return llvm::join(names, " + ");
  }
  StringRef name = nameOf(op->getLoc());
  return (name.empty() ? op->getName().getStringRef() : name).str();
}

/// Bytes of weights that the operation reads. A gather reads a few rows only.
static uint64_t weightBytes(Operation *op) {
  if (isa<GatherOp>(op))
    return 0;
  uint64_t bytes = 0;
  for (Value operand : op->getOperands()) {
    Operation *source = operand.getDefiningOp();
    auto type = dyn_cast<MemRefType>(operand.getType());
    if (type && isa_and_present<WeightOp, memref::ViewOp>(source))
      bytes += getStorageBytes(type);
  }
  return bytes;
}

namespace {
struct InstrumentLayers
    : public nibble::target::impl::NibbleInstrumentLayersBase<
          InstrumentLayers> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<Operation *> work;
    for (auto function : module.getOps<func::FuncOp>())
      if (function->hasAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName()))
        function.walk<WalkOrder::PreOrder>([&](Operation *op) {
          // Inside of these is work of one layer, or another thread.
          bool isLayer =
              isa<AttentionOp, MatMulOp, ConvOp, GatherOp, MatMulIntegerOp,
                  ConvIntegerOp, QuantizeDynamicOp, QuantizeOutliersOp,
                  MatMulOutliersOp, linalg::LinalgOp>(op);
          if (isLayer && op->getNumResults() == 0)
            work.push_back(op);
          return isLayer || isa<scf::ParallelOp, scf::ForallOp>(op)
                     ? WalkResult::skip()
                     : WalkResult::advance();
        });
    if (work.empty())
      return;
    OpBuilder builder(module.getBodyRegion());
    func::FuncOp begin = declare(builder, "nibble_rt_profile_begin");
    func::FuncOp end = declare(builder, "nibble_rt_profile_end");
    for (Operation *op : work) {
      int32_t layer = addProfiledLayer(module, layerName(op), weightBytes(op));
      builder.setInsertionPoint(op);
      Value index = arith::ConstantIntOp::create(builder, op->getLoc(), layer,
                                                 /*width=*/32);
      func::CallOp::create(builder, op->getLoc(), begin, index);
      builder.setInsertionPointAfter(op);
      func::CallOp::create(builder, op->getLoc(), end, index);
      ++numLayers;
    }
  }

  /// The function of the runtime, declared once.
  func::FuncOp declare(OpBuilder &builder, StringRef name) {
    if (auto function = getOperation().lookupSymbol<func::FuncOp>(name))
      return function;
    auto function =
        func::FuncOp::create(builder, builder.getUnknownLoc(), name,
                             builder.getFunctionType(builder.getI32Type(), {}));
    function.setPrivate();
    return function;
  }
};
} // namespace
