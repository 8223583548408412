//===- Reshape.cpp - Reshape as collapse and expand -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A reshape moves no element, so it becomes tensor.collapse_shape followed by
// tensor.expand_shape. To keep as many dimensions apart as possible (fusion and
// tiling need them), both shapes are cut into groups of equal element count.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

namespace {
/// Source dimensions [from, fromEnd) hold the elements of [to, toEnd).
struct Group {
  int64_t from, fromEnd, to, toEnd;

  int64_t numFrom() const { return fromEnd - from; }
  int64_t numTo() const { return toEnd - to; }
};
} // namespace

/// A product of sizes as a constant and the sizes that are not known.
static std::pair<int64_t, SmallVector<Value>>
factorsOf(ArrayRef<OpFoldResult> sizes) {
  std::pair<int64_t, SmallVector<Value>> factors{1, {}};
  SmallVector<OpFoldResult> work(sizes);
  while (!work.empty()) {
    OpFoldResult size = work.pop_back_val();
    if (auto c = getConstantIntValue(size)) {
      factors.first *= *c;
      continue;
    }
    auto v = cast<Value>(size);
    if (auto product = v.getDefiningOp<arith::MulIOp>())
      work.append({product.getLhs(), product.getRhs()});
    else
      factors.second.push_back(v);
  }
  return factors;
}

/// Whether two products have the same factors.
static bool sameProduct(OpLowering &l, ArrayRef<OpFoldResult> x,
                        ArrayRef<OpFoldResult> y) {
  auto [cx, vx] = factorsOf(x);
  auto [cy, vy] = factorsOf(y);
  if (cx != cy || cx == 0 || vx.size() != vy.size())
    return false;
  for (Value factor : vx) {
    auto *same = llvm::find_if(
        vy, [&](Value other) { return l.knownEqual(factor, other); });
    if (same == vy.end())
      return false;
    vy.erase(same);
  }
  return true;
}

/// Matches leading dimensions of both sides by their products, in the
/// smallest groups. Returns how many dimensions of each side a group takes.
static SmallVector<std::pair<int64_t, int64_t>>
matchLeading(OpLowering &l, ArrayRef<OpFoldResult> source,
             ArrayRef<OpFoldResult> target) {
  SmallVector<std::pair<int64_t, int64_t>> groups;
  auto next = [&]() -> std::optional<std::pair<int64_t, int64_t>> {
    int64_t rows = source.size(), columns = target.size();
    for (int64_t total = 2; total <= rows + columns; ++total)
      for (int64_t p = std::max<int64_t>(1, total - columns);
           p <= std::min(rows, total - 1); ++p)
        if (sameProduct(l, source.take_front(p), target.take_front(total - p)))
          return std::make_pair(p, total - p);
    return std::nullopt;
  };
  while (auto group = next()) {
    groups.push_back(*group);
    source = source.drop_front(group->first);
    target = target.drop_front(group->second);
  }
  return groups;
}

/// Cuts both shapes (neither empty) into groups; at most one of them has an
/// element count that had to be checked at run time.
static SmallVector<Group> findGroups(OpLowering &l,
                                     ArrayRef<OpFoldResult> source,
                                     ArrayRef<OpFoldResult> target) {
  SmallVector<Group> front, back;
  int64_t i = 0, j = 0, iEnd = source.size(), jEnd = target.size();
  for (auto [p, q] : matchLeading(l, source, target)) {
    front.push_back({i, i + p, j, j + q});
    i += p;
    j += q;
  }
  SmallVector<OpFoldResult> sourceBack(llvm::reverse(source.drop_front(i)));
  SmallVector<OpFoldResult> targetBack(llvm::reverse(target.drop_front(j)));
  for (auto [p, q] : matchLeading(l, sourceBack, targetBack)) {
    back.push_back({iEnd - p, iEnd, jEnd - q, jEnd});
    iEnd -= p;
    jEnd -= q;
  }
  if (i < iEnd || j < jEnd) {
    Group open{i, iEnd, j, jEnd};
    // Where one side is used up, the rest (sizes of 1) joins a neighbour.
    if ((i == iEnd || j == jEnd) && !front.empty()) {
      open.from = front.back().from;
      open.to = front.back().to;
      front.pop_back();
    } else if (i == iEnd || j == jEnd) {
      open.fromEnd = back.back().fromEnd;
      open.toEnd = back.back().toEnd;
      back.pop_back();
    }
    l.requireEqual(l.product(source.slice(open.from, open.numFrom())),
                   l.product(target.slice(open.to, open.numTo())),
                   "the number of elements changes in a reshape");
    front.push_back(open);
  }
  front.append(back.rbegin(), back.rend());
  return front;
}

/// The product of static sizes, dynamic if any is.
static int64_t staticProduct(ArrayRef<int64_t> sizes) {
  if (llvm::is_contained(sizes, ShapedType::kDynamic))
    return ShapedType::kDynamic;
  return llvm::product_of(sizes);
}

/// Rank 0 on one side: there is one element.
static Value reshapeOneElement(OpLowering &l, Value tensor,
                               ArrayRef<OpFoldResult> target,
                               RankedTensorType resultType) {
  auto type = cast<RankedTensorType>(tensor.getType());
  Type elem = type.getElementType();
  if (type.getRank() == resultType.getRank())
    return tensor;
  SmallVector<int64_t> ones(std::max(type.getRank(), resultType.getRank()), 1);
  auto onesType = RankedTensorType::get(ones, elem);
  SmallVector<ReassociationIndices> none;
  if (type.getRank() != 0)
    return tensor::CollapseShapeOp::create(l.b, l.loc, resultType,
                                           l.castTo(tensor, onesType), none);
  for (OpFoldResult size : target)
    l.requireEqual(size, l.index(1),
                   "one element cannot be reshaped to this shape");
  tensor = tensor::ExpandShapeOp::create(l.b, l.loc, onesType, tensor, none);
  return l.castTo(tensor, resultType);
}

Value OpLowering::reshape(Value tensor, ArrayRef<OpFoldResult> target) {
  auto type = cast<RankedTensorType>(tensor.getType());
  Type elem = type.getElementType();
  SmallVector<int64_t> targetStatic;
  for (OpFoldResult size : target)
    targetStatic.push_back(
        getConstantIntValue(size).value_or(ShapedType::kDynamic));
  auto resultType = RankedTensorType::get(targetStatic, elem);
  if (target.size() <= 1 && resultType.hasStaticShape())
    if (auto known = knownElements(tensor);
        known &&
        static_cast<int64_t>(known->size()) == resultType.getNumElements())
      return fromElements(*known, resultType);
  if (type.getRank() == 0 || target.empty())
    return reshapeOneElement(*this, tensor, target, resultType);

  // Every group becomes one dimension, then what the target has.
  SmallVector<ReassociationIndices> collapse, expand;
  SmallVector<int64_t> collapsed, middle;
  SmallVector<OpFoldResult> source = sizes(tensor);
  for (const Group &g : findGroups(*this, source, target)) {
    collapse.push_back(llvm::to_vector(llvm::seq(g.from, g.fromEnd)));
    expand.push_back(llvm::to_vector(llvm::seq(g.to, g.toEnd)));
    collapsed.push_back(
        staticProduct(type.getShape().slice(g.from, g.numFrom())));
    middle.push_back(
        staticProduct(ArrayRef(targetStatic).slice(g.to, g.numTo())));
  }
  if (static_cast<int64_t>(collapse.size()) != type.getRank())
    tensor = tensor::CollapseShapeOp::create(
        b, loc, RankedTensorType::get(collapsed, elem), tensor, collapse);
  if (expand.size() != target.size()) {
    tensor = castTo(tensor, RankedTensorType::get(middle, elem));
    return tensor::ExpandShapeOp::create(b, loc, resultType, tensor, expand,
                                         target);
  }
  return castTo(tensor, resultType);
}

} // namespace nibble::onnx_to_linalg
