//===- BlockAnalysis.cpp - Blocks and stages of a model -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/BlockAnalysis.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"

using namespace mlir;

namespace nibble {
namespace {

/// Work that is not to be done twice: products and what has an effect, here or
/// in a body.
bool isProduct(Operation *op) {
  return op
      ->walk([](Operation *inner) {
        if (auto layer = dyn_cast<QuantizableOpInterface>(inner))
          if (layer.getActivationInput())
            return WalkResult::interrupt();
        bool heavy =
            isa<AttentionOp, MatMulIntegerOp, ConvIntegerOp>(inner) ||
            (isa<linalg::LinalgOp>(inner) &&
             linalg::isaContractionOpInterface(cast<linalg::LinalgOp>(inner)));
        return heavy ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

bool hasEffect(Operation *op) { return !isMemoryEffectFree(op); }

/// Operations that cost nothing: sizes, numbers, memory without contents,
/// other shapes of the same elements.
bool isTrivial(Operation *op) {
  if (isa<tensor::EmptyOp, tensor::DimOp, tensor::CastOp, tensor::ExpandShapeOp,
          tensor::CollapseShapeOp, linalg::FillOp>(op))
    return true;
  return op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
         llvm::none_of(op->getOperandTypes(), llvm::IsaPred<ShapedType>) &&
         llvm::none_of(op->getResultTypes(), llvm::IsaPred<ShapedType>);
}

bool isConstant(Operation *op) { return op->hasTrait<OpTrait::ConstantLike>(); }

/// What layers must agree in to share rows of activations.
Attribute getWindow(Operation *layer) {
  Builder b(layer->getContext());
  auto conv = dyn_cast<ConvOp>(layer);
  if (!conv)
    return b.getUnitAttr();
  return b.getArrayAttr(
      {b.getDenseI64ArrayAttr(conv.getWeightShape().drop_front()),
       conv.getStridesAttr(), conv.getDilationsAttr(), conv.getPadsAttr(),
       b.getI64IntegerAttr(conv.getGroup())});
}

} // namespace

SmallVector<Value> BlockAnalysis::getReads(Operation *op) {
  SmallVector<Value> reads(op->getOperands());
  if (op->getNumRegions() == 0)
    return reads;
  op->walk([&](Operation *inner) {
    if (inner == op)
      return;
    for (Value operand : inner->getOperands())
      if (!op->isProperAncestor(operand.getParentBlock()->getParentOp()) &&
          operand.getParentBlock()->getParentOp() != op)
        reads.push_back(operand);
  });
  return reads;
}

BlockAnalysis::BlockAnalysis(func::FuncOp function) : function(function) {
  for (Operation &op : function.getBody().front()) {
    positions[&op] = order.size();
    order.push_back(&op);
  }
  findStages();
  if (stages.empty())
    return;
  makeCuts(findBegins(findPrologue()));
}

void BlockAnalysis::findStages() {
  auto layers = function.getBody().front().getOps<QuantizableOpInterface>();
  bool requested = llvm::any_of(layers, [](QuantizableOpInterface op) {
    return op->hasAttr(requestAttrName);
  });
  DenseMap<std::pair<Value, Attribute>, unsigned> known;
  for (QuantizableOpInterface op : layers) {
    Value activation = op.getActivationInput();
    if (!activation || (requested && !op->hasAttr(requestAttrName)) ||
        !getElementTypeOrSelf(activation).isF32() ||
        op.getQuantizationScheme() ||
        !matchPattern(op.getWeightOperand().get(), m_Constant()))
      continue;
    auto [it, isNew] =
        known.try_emplace({activation, getWindow(op)}, stages.size());
    if (isNew) {
      Stage &stage = stages.emplace_back();
      stage.activation = activation;
      stage.columns = op.getWeightView().columns;
      if (auto conv = dyn_cast<ConvOp>(*op))
        stage.groups = conv.getGroup();
      stagePositions.push_back(positions[op]);
      activations.insert(activation);
    }
    stages[it->second].layers.push_back(op);
  }
}

bool BlockAnalysis::isCarried(Value value) const {
  if (isa<BlockArgument>(value) || activations.contains(value))
    return true;
  Operation *op = value.getDefiningOp();
  return placed.contains(op) && !isTrivial(op);
}

const BlockAnalysis::Roots &BlockAnalysis::getRoots(Value value) const {
  auto found = roots.find(value);
  if (found != roots.end())
    return found->second;
  Roots result;
  if (isCarried(value))
    result.insert(value);
  else
    for (Value read : getReads(value.getDefiningOp())) {
      const Roots &more = getRoots(read);
      result.insert(more.begin(), more.end());
    }
  return roots[value] = std::move(result);
}

bool BlockAnalysis::dependsOnInputsOnly(Operation *op) const {
  return llvm::all_of(getReads(op), [&](Value read) {
    return llvm::all_of(getRoots(read), llvm::IsaPred<BlockArgument>);
  });
}

void BlockAnalysis::classify() {
  placed.clear();
  roots.clear();
  for (Operation *op : order) {
    bool heavy = seeds.contains(op) || isProduct(op) ||
                 (hasEffect(op) && !isa<cf::AssertOp>(op)) ||
                 llvm::any_of(op->getResults(),
                              [&](Value v) { return activations.contains(v); });
    for (Value read : getReads(op))
      if (Operation *definition = read.getDefiningOp())
        heavy |= placed.contains(definition) || activations.contains(read);
    if (heavy && !isConstant(op))
      placed.insert(op);
  }
}

void BlockAnalysis::computeLiveness() {
  classify();
  DenseMap<Value, unsigned> known;
  ranges.clear();
  for (BlockArgument argument : function.getArguments()) {
    known[argument] = ranges.size();
    ranges.push_back({argument, -1, -1});
  }
  int64_t lastStage = stagePositions.back();
  for (auto [position, op] : llvm::enumerate(order)) {
    bool returns = op->hasTrait<OpTrait::IsTerminator>();
    // Results that nothing else reads are not for the pieces to keep, but those
    // of the last block are its results.
    if (placed.contains(op) || isa<cf::AssertOp>(op) || returns)
      for (Value read : getReads(op))
        for (Value root : getRoots(read)) {
          Range &range = ranges[known.at(root)];
          if (!returns || range.first >= lastStage)
            range.last = position;
        }
    for (Value result : op->getResults())
      if (!isConstant(op) && isCarried(result)) {
        known[result] = ranges.size();
        ranges.push_back({result, static_cast<int64_t>(position), -1});
      }
  }
}

SmallVector<Value> BlockAnalysis::getLive(int64_t position) const {
  SmallVector<Value> live;
  for (const Range &range : ranges)
    if (range.first < position && position <= range.last)
      live.push_back(range.value);
  return live;
}

/// Arguments are not counted: they are small, or live in the first block only.
int64_t BlockAnalysis::countLive(int64_t position) const {
  return llvm::count_if(ranges, [&](const Range &range) {
    return range.first >= 0 && range.first < position && position <= range.last;
  });
}

/// The first of the positions in [first, last] where the fewest values are
/// live.
int64_t BlockAnalysis::findNarrowest(int64_t first, int64_t last) const {
  int64_t best = first;
  for (int64_t position = first + 1; position <= last; ++position)
    if (countLive(position) < countLive(best))
      best = position;
  return best;
}

/// Where blocks begin, behind position `first`: at the narrowest place between
/// two stages, if it is narrower than those before and behind.
SmallVector<int64_t> BlockAnalysis::findBegins(int64_t first) const {
  SmallVector<int64_t> places, widths;
  for (size_t i = 1; i != stages.size(); ++i) {
    places.push_back(
        findNarrowest(stagePositions[i - 1] + 1, stagePositions[i]));
    widths.push_back(countLive(places.back()));
  }
  SmallVector<int64_t> begins;
  begins.push_back(first ? findNarrowest(first, stagePositions.front()) : 0);
  for (size_t i = 0; i != widths.size();) {
    size_t end = i + 1;
    while (end != widths.size() && widths[end] == widths[i])
      ++end;
    bool valley = (i == 0 || widths[i - 1] > widths[i]) &&
                  (end == widths.size() || widths[end] > widths[i]);
    for (; i != end; ++i)
      if (valley)
        begins.push_back(places[i]);
  }
  return begins;
}

/// Rows of tables that only the first block reads, the embedding, are carried
/// like what blocks pass on, so that the first block is like the others.
/// Returns the position behind them, 0 if there are none.
int64_t BlockAnalysis::findPrologue() {
  computeLiveness();
  SmallVector<Operation *> tables;
  for (Operation *op : order)
    if (isa<GatherOp>(op) && !placed.contains(op) &&
        positions[op] < stagePositions.front())
      tables.push_back(op);
  if (tables.empty())
    return 0;
  seeds.insert(tables.begin(), tables.end());
  computeLiveness();
  SmallVector<int64_t> begins = findBegins(1);
  int64_t end = begins.size() > 1 ? begins[1] : order.size() - 1;

  seeds.clear();
  computeLiveness();
  DenseMap<Operation *, bool> known;
  auto endsEarly = [&](auto &self, Operation *op) -> bool {
    auto found = known.find(op);
    if (found != known.end())
      return found->second;
    bool early = positions.lookup(op) < end;
    if (early && !placed.contains(op))
      for (Operation *user : op->getUsers())
        early =
            early &&
            self(self, function.getBody().front().findAncestorOpInBlock(*user));
    return known[op] = early;
  };
  int64_t first = 0;
  for (Operation *op : tables)
    if (endsEarly(endsEarly, op)) {
      seeds.insert(op);
      first = positions[op] + 1;
    }
  if (first)
    computeLiveness();
  return first;
}

void BlockAnalysis::makeCuts(ArrayRef<int64_t> begins) {
  numBlocks = begins.size();
  auto addCut = [&](int64_t position, int64_t stage, unsigned block) {
    cuts.push_back({order[position], stage, block, getLive(position)});
  };
  if (begins.front() != 0)
    addCut(0, -1, 0);
  unsigned block = 0;
  for (auto [i, position] : llvm::enumerate(stagePositions)) {
    for (; block != numBlocks && begins[block] <= position; ++block)
      addCut(begins[block], -1, block);
    stages[i].block = block - 1;
    addCut(position, i, block - 1);
  }
  // The last block ends at the narrowest place behind its layers where there
  // is a result.
  int64_t last = 0;
  for (QuantizableOpInterface op : stages.back().layers)
    last = std::max(last, positions[op] + 1);
  int64_t end = order.size() - 1;
  for (int64_t position = end - 1; position >= last; --position) {
    int64_t live = countLive(position);
    if (live > 0 && live <= countLive(end))
      end = position;
  }
  addCut(end, -1, numBlocks);
}

BlockAnalysis::Cut BlockAnalysis::getEnd() const {
  Cut end{order.back(), -1, numBlocks, {}};
  for (Value result : order.back()->getOperands())
    for (Value root : getRoots(result)) {
      auto range = llvm::find_if(
          ranges, [&](const Range &range) { return range.value == root; });
      if (range->first >= stagePositions.back() &&
          isa<FloatType>(getElementTypeOrSelf(root)) &&
          !root.getDefiningOp<AppendCacheOp>() &&
          !llvm::is_contained(end.live, root))
        end.live.push_back(root);
    }
  return end;
}

} // namespace nibble
