//===- AnnotateKernels.cpp - What LLVM may assume of kernels --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLEANNOTATEKERNELSPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

struct AnnotateKernels : impl::NibbleAnnotateKernelsPassBase<AnnotateKernels> {
  using Base::Base;

  void runOnOperation() override {
    for (auto function : getOperation().getOps<LLVM::LLVMFuncOp>()) {
      if (!function->hasAttr("nibble.kernel") || function.isExternal())
        continue;
      for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
        if (isa<LLVM::LLVMPointerType>(type))
          function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(),
                              UnitAttr::get(&getContext()));
      function.setLinkage(LLVM::Linkage::Internal);
      SymbolTable::setSymbolVisibility(function,
                                       SymbolTable::Visibility::Public);
      function->removeAttr("nibble.kernel");
    }
  }
};

} // namespace
} // namespace nibble::codegen
