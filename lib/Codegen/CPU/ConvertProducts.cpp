//===- ConvertProducts.cpp - Products of computed operands to kernels -----===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelCalls.h"
#include "nibble/Codegen/CPU/ProductKernel.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/IR/LinalgInterfaces.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

/// A loop of the product: its size, and for the left operand, the right one and
/// the result the elements from one step of it to the next.
struct Loop {
  Index size;
  std::array<Index, 3> strides;
};
using Loops = SmallVector<Loop, 2>;

class ProductCall {
public:
  ProductCall(linalg::LinalgOp op, KernelCalls &calls)
      : op(op), calls(calls), b(op), kb(b, op.getLoc(), calls.target) {}

  /// False if `op` stays what it is.
  bool convert();

private:
  bool findLoops();
  void readMemory();
  bool canMerge(unsigned outer, unsigned inner);
  Loops merge(ArrayRef<unsigned> loops);
  ProductOperand makeOperand(unsigned number, const Loop &loop);
  linalg::FillOp findFill();
  void call(const ProductSpec &spec, const ProductArguments &arguments);

  linalg::LinalgOp op;
  KernelCalls &calls;
  OpBuilder b;
  KernelBuilder kb;
  linalg::ContractionDimensions dims;
  /// All loops of `op`.
  SmallVector<Loop> all;
  std::array<Value, 3> memory;
  /// Two of them at most.
  Loops batch;
};

} // namespace

static std::optional<int64_t> constantOf(Index index) {
  return getConstantIntValue(OpFoldResult(Value(index)));
}

static bool isOne(Index index) { return constantOf(index) == 1; }

bool ProductCall::findLoops() {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1)
    return false;
  for (Value operand : op->getOperands()) {
    auto type = dyn_cast<MemRefType>(operand.getType());
    if (!type || !type.getElementType().isF32() || !type.isStrided())
      return false;
  }
  FailureOr<linalg::ContractionDimensions> found =
      linalg::inferContractionDims(op);
  if (failed(found) || found->m.empty() || found->n.empty() || found->k.empty())
    return false;
  dims = *found;
  return op.getNumLoops() ==
         dims.batch.size() + dims.m.size() + dims.n.size() + dims.k.size();
}

void ProductCall::readMemory() {
  for (Range range : op.createLoopRanges(b, kb.loc)) {
    Index zero = kb.index(0);
    all.push_back(
        {kb.index(getValueOrCreateConstantIndexOp(b, kb.loc, range.size)),
         {zero, zero, zero}});
  }
  auto type = MemRefType::get(
      {ShapedType::kDynamic}, b.getF32Type(),
      StridedLayoutAttr::get(b.getContext(), ShapedType::kDynamic, {1}));
  for (OpOperand &operand : op->getOpOperands()) {
    // The flat memory has the offset in its layout.
    Index offset;
    SmallVector<Index> strides;
    unsigned number = operand.getOperandNumber();
    flattenStrided(kb, operand.get(), memory[number], offset, strides);
    memory[number] =
        b.createOrFold<memref::CastOp>(kb.loc, type, memory[number]);
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [expr, stride] : llvm::zip_equal(map.getResults(), strides))
      all[cast<AffineDimExpr>(expr).getPosition()].strides[number] = stride;
  }
}

/// Whether all operands run through two loops as through one.
bool ProductCall::canMerge(unsigned outer, unsigned inner) {
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    auto place = [&](unsigned loop) {
      return map.getResultPosition(getAffineDimExpr(loop, op.getContext()));
    };
    std::optional<unsigned> first = place(outer), second = place(inner);
    if (!first && !second)
      continue;
    if (!first || !second)
      return false;
    unsigned number = operand.getOperandNumber();
    auto apart = constantOf(all[outer].strides[number]);
    auto length = constantOf(all[inner].size * all[inner].strides[number]);
    auto type = cast<MemRefType>(operand.get().getType());
    if (apart && length
            ? apart != length
            : !type.getLayout().isIdentity() || *second != *first + 1)
      return false;
  }
  return true;
}

Loops ProductCall::merge(ArrayRef<unsigned> loops) {
  Loops result;
  std::optional<unsigned> last;
  for (unsigned loop : loops) {
    // The inner one of two loops says how far apart elements are.
    Loop next = all[loop];
    if (last && canMerge(*last, loop)) {
      next.size = result.back().size * next.size;
      result.back() = next;
    } else {
      result.push_back(next);
    }
    last = loop;
  }
  return result;
}

/// The matrix of an operand, and how far apart elements are along the dimension
/// in which they are no neighbours.
ProductOperand ProductCall::makeOperand(unsigned number, const Loop &loop) {
  auto strideOf = [&](size_t i) {
    return i < batch.size() ? batch[batch.size() - 1 - i].strides[number]
                            : kb.index(0);
  };
  return {memory[number], loop.strides[number], strideOf(1), strideOf(0)};
}

/// The operation that fills the result with zeros if only this product reads
/// them: the product stores then instead of adding.
linalg::FillOp ProductCall::findFill() {
  // All of the memory, in another shape.
  auto isShape = [](Operation *view) {
    return isa<memref::CollapseShapeOp, memref::ExpandShapeOp>(view);
  };
  Value root = op.getDpsInits()[0];
  while (root.getDefiningOp() && isShape(root.getDefiningOp()))
    root = root.getDefiningOp()->getOperand(0);
  if (!root.getDefiningOp<memref::AllocOp>())
    return {};
  linalg::FillOp fill;
  SmallVector<Value> names = {root};
  while (!names.empty()) {
    for (Operation *user : names.pop_back_val().getUsers()) {
      Operation *place = op->getBlock()->findAncestorOpInBlock(*user);
      if (!place)
        return {};
      if (isShape(user)) {
        names.push_back(user->getResult(0));
        continue;
      }
      if (place == op || op->isBeforeInBlock(place))
        continue;
      auto found = dyn_cast<linalg::FillOp>(user);
      if (!found || fill || place != user ||
          !matchPattern(found.getInputs()[0], m_AnyZeroFloat()))
        return {};
      fill = found;
    }
  }
  return fill;
}

void ProductCall::call(const ProductSpec &spec, const ProductArguments &args) {
  SmallVector<Value> all;
  for (const ProductOperand *operand : {&args.left, &args.right, &args.out})
    llvm::append_range(all, ArrayRef<Value>{operand->memory, operand->stride,
                                            operand->outerBatch,
                                            operand->innerBatch});
  llvm::append_range(
      all, ArrayRef<Value>{args.m, args.n, args.k, args.batches, args.inner});
  calls.call(b, kb.loc, spec.getName(), {}, all,
             [&](KernelBuilder &kernel, ValueRange arguments) {
               ProductArguments inside;
               auto it = arguments.begin();
               auto take = [&] { return kernel.index(*it++); };
               for (ProductOperand *operand :
                    {&inside.left, &inside.right, &inside.out}) {
                 operand->memory = *it++;
                 operand->stride = take();
                 operand->outerBatch = take();
                 operand->innerBatch = take();
               }
               for (Index *size : {&inside.m, &inside.n, &inside.k,
                                   &inside.batches, &inside.inner})
                 *size = take();
               emitProduct(kernel, spec, inside, calls);
             });
}

bool ProductCall::convert() {
  if (!findLoops())
    return false;
  // Before there are views of the result.
  linalg::FillOp fill = findFill();
  readMemory();
  batch = merge(dims.batch);
  Loops ms = merge(dims.m), ns = merge(dims.n), ks = merge(dims.k);
  Loop m = ms.pop_back_val(), n = ns.pop_back_val(), k = ks.pop_back_val();
  // Rows and columns in several dimensions are those of several products.
  batch.append(ms);
  batch.append(ns);
  if (!ks.empty() || batch.size() > 2)
    return false;
  // Whose rows are contiguous is the result; else its transpose is, of the
  // operands in the other order.
  unsigned left = 0, right = 1, out = 2;
  if (!isOne(n.strides[out])) {
    std::swap(left, right);
    std::swap(m, n);
  }
  ProductSpec spec;
  spec.leftAlongSteps = isOne(k.strides[left]);
  spec.rightAlongSteps = isOne(k.strides[right]) && !isOne(n.strides[right]);
  Value pays = paysToPack(kb, m.size, n.size, k.size);
  if (!isOne(n.strides[out]) || matchPattern(pays, m_Zero()) ||
      !(spec.leftAlongSteps || isOne(m.strides[left])) ||
      !(spec.rightAlongSteps || isOne(n.strides[right])))
    return false;
  ProductArguments args;
  args.left = makeOperand(left, spec.leftAlongSteps ? m : k);
  args.right = makeOperand(right, spec.rightAlongSteps ? n : k);
  args.out = makeOperand(out, m);
  args.m = m.size;
  args.n = n.size;
  args.k = k.size;
  args.inner = batch.empty() ? kb.index(1) : batch.back().size;
  args.batches =
      batch.size() < 2 ? args.inner : args.inner * batch.front().size;
  spec.accumulate = !fill;
  if (matchPattern(pays, m_One())) {
    call(spec, args);
    if (fill)
      fill->erase();
    op->erase();
    return true;
  }
  auto choice = scf::IfOp::create(b, kb.loc, pays, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  call(spec, args);
  if (fill)
    fill->moveBefore(choice.elseYield());
  op->moveBefore(choice.elseYield());
  return true;
}

bool convertProduct(linalg::LinalgOp op, KernelCalls &calls) {
  return ProductCall(op, calls).convert();
}

} // namespace nibble::codegen
