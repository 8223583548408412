//===- ProtectInputs.cpp - Inputs belong to the caller --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLEPROTECTINPUTSPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

struct ProtectInputs : impl::NibbleProtectInputsPassBase<ProtectInputs> {
  using Base::Base;

  void runOnOperation() override {
    auto no = BoolAttr::get(&getContext(), false);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!function.isPublic())
        continue;
      for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
        if (isa<TensorType>(type))
          function.setArgAttr(
              i, bufferization::BufferizationDialect::kWritableAttrName, no);
    }
  }
};

} // namespace
} // namespace nibble::codegen
