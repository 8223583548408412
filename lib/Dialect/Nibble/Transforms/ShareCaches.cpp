//===- ShareCaches.cpp - The pass nibble-share-caches ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"
#include "nibble/Dialect/Nibble/IR/Caches.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLESHARECACHESPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// What can be one buffer, or why it can't.
struct Pair {
  unsigned argument = 0, result = 0;
  std::string problem;
};

std::string nameOf(func::FuncOp function, unsigned argument) {
  auto name = function.getArgAttrOfType<StringAttr>(
      argument, NibbleDialect::getLayerNameAttr());
  return name ? "'" + name.str() + "'" : "number " + std::to_string(argument);
}

/// The one operand of the return that `present` goes to. Casts change the type
/// alone.
std::optional<unsigned> findResult(Value present, std::string &problem) {
  SmallVector<OpOperand *> returned;
  for (OpOperand &use : present.getUses()) {
    Operation *user = use.getOwner();
    if (isa<func::ReturnOp>(user))
      returned.push_back(&use);
    else if (isa<tensor::CastOp>(user))
      for (OpOperand &cast : user->getResult(0).getUses())
        if (isa<func::ReturnOp>(cast.getOwner()))
          returned.push_back(&cast);
  }
  if (returned.size() == 1)
    return returned.front()->getOperandNumber();
  problem = returned.empty() ? "what it makes is no output of the model"
                             : "what it makes is more than one output";
  return std::nullopt;
}

template <typename OpTy>
Pair findPair(OpTy op, func::FuncOp function) {
  Pair pair;
  auto fail = [&](const Twine &problem) {
    pair.problem = problem.str();
    return pair;
  };
  if (op->getParentOp() != function)
    return fail("it is inside of a loop or a branch");
  auto past = dyn_cast<BlockArgument>(op.getPast());
  if (!past)
    return fail("the past is no input of the model, but computed");
  pair.argument = past.getArgNumber();
  std::string name = nameOf(function, pair.argument);
  if (isa<AppendCacheOp>(op) &&
      !cast<ShapedType>(past.getType()).isDynamicDim(op.getAxis()))
    return fail("the number of positions of input " + name + " is fixed");
  for (Operation *user : past.getUsers())
    if (user != op && !isa<tensor::DimOp>(user))
      return fail("input " + name + " is also read by '" +
                  user->getName().getStringRef() + "'");
  if (llvm::count(op->getOperands(), past) != 1)
    return fail("input " + name + " is also what is written");
  Value present = op.getPresent();
  if (auto append = dyn_cast<AppendCacheOp>(*op))
    if (UpdateCacheOp update = getUpdateOf(append))
      present = update.getPresent();
  if (std::optional<unsigned> result = findResult(present, pair.problem))
    pair.result = *result;
  return pair;
}

struct NibbleShareCachesPass
    : public impl::NibbleShareCachesPassBase<NibbleShareCachesPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    int64_t cache = 0;
    function.walk([&](Operation *op) {
      if (isa<AppendCacheOp, UpdateCacheOp>(op))
        llvm::TypeSwitch<Operation *>(op).Case<AppendCacheOp, UpdateCacheOp>(
            [&](auto typed) { visit(typed, cache); });
    });
  }

private:
  template <typename OpTy>
  void visit(OpTy op, int64_t &cache) {
    func::FuncOp function = getOperation();
    // What is written into a cache that has grown is part of that.
    if (auto append = op.getPast().template getDefiningOp<AppendCacheOp>())
      if (getUpdateOf(append) == op)
        return;
    Pair pair = findPair(op, function);
    if (!pair.problem.empty()) {
      ++numCopied;
      emitRemark(op.getLoc())
          << "past and present do not share memory, so that each run copies "
             "the past: "
          << pair.problem;
      remark::missed(op.getLoc(),
                     remark::RemarkOpts::name("CopiedCache").category("nibble"))
          << remark::reason("{0}", pair.problem);
      return;
    }
    auto number =
        IntegerAttr::get(IntegerType::get(&getContext(), 64), cache++);
    op.setCacheAttr(number);
    function.setArgAttr(pair.argument, cacheAttrName, number);
    function.setResultAttr(pair.result, cacheAttrName, number);
    ++numShared;
  }
};

} // namespace
} // namespace nibble
