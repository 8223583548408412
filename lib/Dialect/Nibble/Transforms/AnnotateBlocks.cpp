//===- AnnotateBlocks.cpp - Mark blocks and stages ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "nibble/Dialect/Nibble/Transforms/BlockAnalysis.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEANNOTATEBLOCKSPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

struct NibbleAnnotateBlocksPass
    : public impl::NibbleAnnotateBlocksPassBase<NibbleAnnotateBlocksPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isDeclaration())
      return;
    BlockAnalysis analysis(function);
    Builder b(&getContext());
    for (auto [i, stage] : llvm::enumerate(analysis.getStages()))
      for (QuantizableOpInterface op : stage.layers) {
        op->setAttr(blockAttrName, b.getI64IntegerAttr(stage.block));
        op->setAttr(stageAttrName, b.getI64IntegerAttr(i));
      }
    numBlocks += analysis.getNumBlocks();
    numStages += analysis.getStages().size();
  }
};

} // namespace
} // namespace nibble
