//===- LinalgNest.cpp - A linalg operation as a loop nest -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/LinalgNest.h"

#include "KernelCalls.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace nibble::codegen {

static bool isConstant(Index index, int64_t value) {
  return getConstantIntValue(OpFoldResult(Value(index))) == value;
}

bool LinalgNest::Access::isInvariant(int64_t loop) const {
  return scalar || isConstant(strides[loop], 0);
}

bool LinalgNest::Access::isContiguous(int64_t loop) const {
  return !scalar && isConstant(strides[loop], 1);
}

/// Adds `factor` times the coefficients of `expr` to `coefficients`, one for
/// each loop and one for the constant.
static LogicalResult addLinear(AffineExpr expr, int64_t factor,
                               MutableArrayRef<int64_t> coefficients) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    coefficients[dim.getPosition()] += factor;
    return success();
  }
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    coefficients.back() += factor * constant.getValue();
    return success();
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return failure();
  if (expr.getKind() == AffineExprKind::Add)
    return success(
        succeeded(addLinear(binary.getLHS(), factor, coefficients)) &&
        succeeded(addLinear(binary.getRHS(), factor, coefficients)));
  auto constant = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (expr.getKind() == AffineExprKind::Mul && constant)
    return addLinear(binary.getLHS(), factor * constant.getValue(),
                     coefficients);
  return failure();
}

/// The memref of an access, flat.
static LinalgNest::Access makeAccess(KernelBuilder &kb, Value memref) {
  LinalgNest::Access access;
  flattenStrided(kb, memref, access.flat, access.offset, access.strides);
  auto type = cast<MemRefType>(memref.getType());
  access.isSmall = type.hasStaticShape() && type.getLayout().isIdentity() &&
                   type.getNumElements() < std::numeric_limits<int32_t>::max();
  access.isBool = type.getElementType().isInteger(1);
  access.flat = viewBytes(kb, access.flat);
  return access;
}

FailureOr<LinalgNest> LinalgNest::create(KernelBuilder &kb,
                                         linalg::LinalgOp op) {
  LinalgNest nest;
  nest.op = op;
  nest.numInputs = op.getNumDpsInputs();
  int64_t loops = op.getNumLoops();
  SmallVector<SmallVector<SmallVector<int64_t>>> linear;
  for (AffineMap map : op.getIndexingMapsArray()) {
    linear.emplace_back();
    for (AffineExpr expr : map.getResults()) {
      SmallVector<int64_t> &coefficients =
          linear.back().emplace_back(loops + 1, 0);
      if (failed(addLinear(expr, 1, coefficients)))
        return failure();
    }
  }

  for (Range range : op.createLoopRanges(kb.b, kb.loc))
    nest.sizes.push_back(
        kb.index(getValueOrCreateConstantIndexOp(kb.b, kb.loc, range.size)));
  for (utils::IteratorType type : op.getIteratorTypesArray())
    nest.parallel.push_back(type == utils::IteratorType::parallel);
  for (auto [operand, results] : llvm::zip_equal(op->getOperands(), linear)) {
    Access access;
    if (!isa<MemRefType>(operand.getType())) {
      access.scalar = operand;
      nest.accesses.push_back(access);
      continue;
    }
    access = makeAccess(kb, operand);
    SmallVector<Index> strides = std::move(access.strides);
    access.strides.assign(loops, kb.index(0));
    for (auto [stride, coefficients] : llvm::zip_equal(strides, results)) {
      for (int64_t d = 0; d < loops; ++d)
        if (coefficients[d])
          access.strides[d] = access.strides[d] + stride * coefficients[d];
      if (coefficients.back())
        access.offset = access.offset + stride * coefficients.back();
    }
    nest.accesses.push_back(access);
  }
  BodyInfo info(op);
  if (!info.usesIndices)
    nest.mergeLoops(kb);
  if (info.elementwise)
    for (Operation &inner : *op.getBlock())
      if (auto load = dyn_cast<memref::LoadOp>(inner))
        nest.bodyLoads[&inner] = makeAccess(kb, load.getMemRef());
  return nest;
}

/// Neighbouring loops are one if all operands run through both without a gap.
/// For memory without a layout that holds if the two index neighbouring
/// dimensions, whatever their sizes. Dimensions and loops of one element are
/// never in the way.
void LinalgNest::mergeLoops(KernelBuilder &kb) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  MLIRContext *context = op.getContext();
  auto mergeable = [&](int64_t operand, int64_t outer, int64_t inner) {
    const Access &access = accesses[operand];
    if (access.isInvariant(outer) && access.isInvariant(inner))
      return true;
    auto type = cast<MemRefType>(op->getOperand(operand).getType());
    if (!type.getLayout().isIdentity())
      return false;
    AffineMap map = maps[operand];
    std::optional<unsigned> first =
        map.getResultPosition(getAffineDimExpr(outer, context));
    if (!first)
      return false;
    unsigned second = *first + 1;
    while (second < map.getNumResults() && type.getDimSize(second) == 1)
      ++second;
    if (second >= map.getNumResults() ||
        map.getResult(second) != getAffineDimExpr(inner, context))
      return false;
    // Neither may be used a second time, as on a diagonal or in a window.
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (i != *first && i != second &&
          (expr.isFunctionOfDim(outer) || expr.isFunctionOfDim(inner)))
        return false;
    return true;
  };

  int64_t outer = -1;
  for (int64_t inner = 0; inner < numLoops(); ++inner) {
    if (isConstant(sizes[inner], 1))
      continue;
    bool merge = outer >= 0 && parallel[outer] == parallel[inner];
    for (int64_t i = 0; i < int64_t(accesses.size()) && merge; ++i)
      merge = mergeable(i, outer, inner);
    if (merge) {
      // The outer loop is left with one step, at index 0.
      sizes[inner] = sizes[outer] * sizes[inner];
      sizes[outer] = kb.index(1);
    }
    outer = inner;
  }
}

BodyInfo::BodyInfo(linalg::LinalgOp op) {
  op.getBlock()->walk([&](Operation *inner) {
    if (inner == op.getBlock()->getTerminator())
      return;
    cost += 1;
    if (isa<linalg::IndexOp>(inner)) {
      usesIndices = true;
      return;
    }
    if (isa<math::MathDialect>(inner->getDialect()) &&
        !isa<math::FmaOp, math::AbsFOp, math::SqrtOp>(inner))
      cost += 16;
    if (isa<cf::AssertOp>(inner) ||
        (!isMemoryEffectFree(inner) && !isa<memref::LoadOp>(inner)))
      serial = true;
    if (isa<arith::ConstantOp>(inner))
      return;
    if (auto load = dyn_cast<memref::LoadOp>(inner)) {
      // Parallel loops hold no memref of their own.
      if (load.getMemRef().getParentBlock() == op.getBlock())
        elementwise = false;
      return;
    }
    if (inner->getNumRegions() != 0 || inner->getNumResults() != 1 ||
        !OpTrait::hasElementwiseMappableTraits(inner))
      elementwise = false;
  });
  for (BlockArgument argument : op.getBlock()->getArguments())
    if (!VectorType::isValidElementType(argument.getType()))
      elementwise = false;
}

} // namespace nibble::codegen
