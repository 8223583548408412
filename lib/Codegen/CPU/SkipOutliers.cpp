//===- SkipOutliers.cpp - No outlier columns, no work -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLESKIPOUTLIERSPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"
} // namespace nibble::codegen

using namespace mlir;
using namespace nibble;

/// The product that adds what `op` writes, if nothing else reads it and nothing
/// that matters happens between the two. Memory that is freed between them is
/// freed after them then.
static MatMulIntegerOp findProduct(MatMulOutliersOp op) {
  MatMulIntegerOp product;
  for (Operation *user : op.getOuts().getUsers()) {
    if (user == op || isa<memref::DeallocOp>(user))
      continue;
    auto candidate = dyn_cast<MatMulIntegerOp>(user);
    if (!candidate || candidate.getResidual() != op.getOuts() || product ||
        candidate->getBlock() != op->getBlock())
      return {};
    product = candidate;
  }
  if (!product || !op->isBeforeInBlock(product))
    return {};
  SmallVector<Operation *> frees;
  for (Operation *between = op->getNextNode(); between != product;
       between = between->getNextNode()) {
    if (isa<memref::DeallocOp>(between))
      frees.push_back(between);
    else if (!isa<memref::AllocOp>(between) && !isMemoryEffectFree(between))
      return {};
  }
  for (Operation *free : frees)
    free->moveAfter(product);
  return product;
}

static bool skip(MatMulOutliersOp op) {
  MatMulIntegerOp product = findProduct(op);
  if (!product)
    return false;
  OpBuilder b(product);
  Location loc = op.getLoc();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value count = memref::LoadOp::create(b, loc, op.getCount(), zero);
  Value none = arith::ConstantIntOp::create(b, loc, b.getI32Type(), 0);
  Value some =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, count, none);
  auto branch =
      scf::IfOp::create(b, loc, TypeRange(), some, /*withElseRegion=*/true);
  auto plain = cast<MatMulIntegerOp>(
      branch.getElseBodyBuilder().clone(*product.getOperation()));
  if (Value residual = op.getResidual())
    plain.getResidualMutable().assign(residual);
  else
    plain.getResidualMutable().clear();
  op->moveBefore(branch.thenYield());
  product->moveBefore(branch.thenYield());
  return true;
}

namespace nibble::codegen {
namespace {

struct NibbleSkipOutliersPass
    : public impl::NibbleSkipOutliersPassBase<NibbleSkipOutliersPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<MatMulOutliersOp> products;
    getOperation().walk([&](MatMulOutliersOp op) { products.push_back(op); });
    for (MatMulOutliersOp op : products)
      if (op.getNumResults() == 0)
        numSkipped += skip(op);
  }
};

} // namespace
} // namespace nibble::codegen
