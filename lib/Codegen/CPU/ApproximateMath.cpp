//===- ApproximateMath.cpp - Functions without calls ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLEAPPROXIMATEMATHPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

struct ApproximateMath : impl::NibbleApproximateMathPassBase<ApproximateMath> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    // Upstream's sine, cosine and arc functions are too far off (1e-3 near
    // zero, worse for large arguments); they stay calls.
    const StringRef accurate[] = {"erf", "erfc",  "exp",  "expm1",
                                  "log", "log1p", "log2", "tanh"};
    populateMathPolynomialApproximationPatterns(patterns, [&](StringRef name) {
      return llvm::is_contained(accurate, name.rsplit('.').second);
    });
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace nibble::codegen
