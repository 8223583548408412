//===- ReuseInputs.cpp - Elementwise operations in place ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLEREUSEINPUTSPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

struct ReuseInputs : impl::NibbleReuseInputsPassBase<ReuseInputs> {
  using Base::Base;

  void runOnOperation() override {
    getOperation().walk([&](linalg::GenericOp op) {
      if (op.getNumParallelLoops() != op.getNumLoops())
        return;
      for (OpOperand &output : op.getDpsInitsMutable()) {
        if (!output.get().getDefiningOp<tensor::EmptyOp>() ||
            op.payloadUsesValueFromOperand(&output))
          continue;
        if (OpOperand *input = findDying(op, output)) {
          output.set(input->get());
          ++numReused;
        }
      }
    });
  }

private:
  /// An input that ends here and is read where the output is written.
  static OpOperand *findDying(linalg::GenericOp op, OpOperand &output) {
    AffineMap map = op.getMatchingIndexingMap(&output);
    if (!map.isPermutation())
      return nullptr;
    for (OpOperand *input : op.getDpsInputOperands()) {
      Value value = input->get();
      Operation *producer = value.getDefiningOp();
      // Constants and arguments are not ours to write.
      if (value.getType() != output.get().getType() || !value.hasOneUse() ||
          op.getMatchingIndexingMap(input) != map || !producer ||
          producer->hasTrait<OpTrait::ConstantLike>())
        continue;
      return input;
    }
    return nullptr;
  }
};

} // namespace
} // namespace nibble::codegen
