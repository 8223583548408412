//===- ResolveBranches.cpp - Ifs whose branches differ in rank ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ResolveBranches.h"
#include "mlir/IR/Matchers.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

/// The only integer that a constant holds.
static std::optional<int64_t> getSingleInt(Value value) {
  DenseElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)) ||
      elements.getNumElements() != 1 ||
      !isa<IntegerType>(elements.getElementType()))
    return std::nullopt;
  return (*elements.value_begin<APInt>()).getSExtValue();
}

/// The dimension k if `condition` is `Shape(x)[k] == 1`.
static std::optional<int64_t> getDimTestedForOne(Value condition, Value x,
                                                 int64_t rank) {
  auto equal = condition.getDefiningOp<EqualOp>();
  if (!equal)
    return std::nullopt;
  for (auto [size, one] : {std::pair(equal.getA(), equal.getB()),
                           std::pair(equal.getB(), equal.getA())}) {
    auto gather = size.getDefiningOp<GatherOp>();
    if (getSingleInt(one) != 1 || !gather)
      continue;
    auto shape = gather.getData().getDefiningOp<ShapeOp>();
    std::optional<int64_t> dim = getSingleInt(gather.getIndices());
    if (!shape || shape.getData() != x || shape.getStart() != 0 || !dim)
      continue;
    return *dim < 0 ? *dim + rank : *dim;
  }
  return std::nullopt;
}

/// The Squeeze of the then branch if `op` is `If (x.dim[k] == 1) Squeeze(x, k)
/// else x`.
static SqueezeOp matchSqueeze(IfOp op) {
  if (op.getNumResults() != 1)
    return {};
  auto getYielded = [](Region &branch) {
    return branch.front().getTerminator()->getOperand(0);
  };
  auto squeeze = getYielded(op.getThenBranch()).getDefiningOp<SqueezeOp>();
  if (!squeeze || squeeze->getParentOp() != op)
    return {};
  Value x = squeeze.getData();
  Value other = getYielded(op.getElseBranch());
  if (auto identity = other.getDefiningOp<IdentityOp>())
    other = identity.getInput();
  auto type = dyn_cast<RankedTensorType>(x.getType());
  std::optional<int64_t> axis = getSingleInt(squeeze.getAxes());
  if (other != x || !type || !axis)
    return {};
  int64_t dim = *axis < 0 ? *axis + type.getRank() : *axis;
  if (getDimTestedForOne(op.getCond(), x, type.getRank()) != dim)
    return {};
  return squeeze;
}

bool onnx::resolveSqueezeBranch(func::FuncOp func, InferState &state) {
  WalkResult result = func.walk([&](IfOp op) {
    if (llvm::none_of(op.getResultTypes(), llvm::IsaPred<UnrankedTensorType>))
      return WalkResult::advance();
    SqueezeOp squeeze = matchSqueeze(op);
    if (!squeeze)
      return WalkResult::advance();
    // The axes may be a constant of the branch.
    Operation *axes = squeeze.getAxes().getDefiningOp();
    if (op->isAncestor(axes))
      axes->moveBefore(op);
    squeeze->moveBefore(op);
    op.getResult(0).replaceAllUsesWith(squeeze);
    op->walk([&](Operation *nested) { state.forget(nested); });
    op->erase();
    return WalkResult::interrupt();
  });
  return result.wasInterrupted();
}
