//===- SplitFills.cpp - A filled tensor for each operation ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLESPLITFILLSPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

struct SplitFills : impl::NibbleSplitFillsPassBase<SplitFills> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<linalg::FillOp> fills;
    getOperation().walk([&](linalg::FillOp fill) {
      if (fill->getNumResults() == 1 && !fill->hasOneUse() &&
          !getMemory(fill).empty())
        fills.push_back(fill);
    });
    for (linalg::FillOp fill : fills)
      split(fill);
  }

private:
  /// What makes the tensor that is filled, innermost last; empty if it is not
  /// new memory.
  static SmallVector<Operation *> getMemory(linalg::FillOp fill) {
    SmallVector<Operation *> chain;
    Value value = fill.getOutputs()[0];
    while (auto expand = value.getDefiningOp<tensor::ExpandShapeOp>()) {
      chain.push_back(expand);
      value = expand.getSrc();
    }
    auto empty = value.getDefiningOp<tensor::EmptyOp>();
    if (!empty)
      return {};
    chain.push_back(empty);
    return chain;
  }

  void split(linalg::FillOp fill) {
    SmallVector<Operation *> memory = getMemory(fill);
    SmallVector<OpOperand *> outputs;
    for (OpOperand &use : fill->getUses()) {
      auto user = dyn_cast<DestinationStyleOpInterface>(use.getOwner());
      if (user && user.isDpsInit(&use))
        outputs.push_back(&use);
    }
    if (outputs.size() == fill->getResult(0).getNumUses())
      outputs.pop_back();
    for (OpOperand *output : outputs) {
      OpBuilder b(output->getOwner());
      IRMapping mapping;
      for (Operation *op : llvm::reverse(memory))
        b.clone(*op, mapping);
      output->set(b.clone(*fill, mapping)->getResult(0));
      ++numSplit;
    }
  }
};

} // namespace
} // namespace nibble::codegen
