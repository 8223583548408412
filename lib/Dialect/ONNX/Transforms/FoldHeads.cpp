//===- FoldHeads.cpp - Attention without transposed heads -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FoldHeads.h"
#include "Match.h"
#include "SizeAnalysis.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {
/// [batch, length, heads, size], and how many heads.
struct Flat {
  Value value;
  int64_t heads = 0;
  /// What normalizes each head after the transposition; may be null.
  RMSNormalizationOp norm;
};

/// One attention of rank 4.
class Folding {
public:
  Folding(AttentionOp op, SizeAnalysis &sizes) : op(op), sizes(sizes), b(op) {}

  void skipReshapes();
  bool run();

private:
  std::optional<Flat> getFlat(Value x);
  Value flatten(Value wide);
  Value rotate(Value x, Flat flat);
  bool isSameShape(Value a, Value b);
  void replaceTransposed(Value y, int64_t heads);

  AttentionOp op;
  SizeAnalysis &sizes;
  OpBuilder b;
};
} // namespace

static bool swapsHeads(TransposeOp transpose) {
  return transpose && transpose.getPerm() &&
         ArrayRef<int64_t>(*transpose.getPerm()) ==
             ArrayRef<int64_t>{0, 2, 1, 3};
}

bool Folding::isSameShape(Value a, Value b) {
  auto x = getRanked(a), y = getRanked(b);
  if (!x || !y || x.getRank() != y.getRank())
    return false;
  for (int64_t i = 0; i < x.getRank(); ++i)
    if (!sizes.isSameDim(a, i, b, i))
      return false;
  return true;
}

/// Behind a RotaryEmbedding and a transposition of heads.
std::optional<Flat> Folding::getFlat(Value x) {
  if (auto rotary = x.getDefiningOp<RotaryEmbeddingOp>();
      rotary && x.hasOneUse())
    x = rotary.getX();
  auto norm = x.getDefiningOp<RMSNormalizationOp>();
  if (norm) {
    auto scale = getRanked(norm.getScale());
    if (!x.hasOneUse() || !scale || scale.getRank() > 1 ||
        fromFront(norm.getAxis(), 4) != 3)
      return std::nullopt;
    x = norm.getX();
  }
  auto transpose = x.getDefiningOp<TransposeOp>();
  if (!swapsHeads(transpose))
    return std::nullopt;
  Value wide = transpose.getData();
  auto type = getRanked(wide);
  if (!type || type.getRank() != 4 ||
      ShapedType::isDynamic(type.getDimSize(2)) ||
      ShapedType::isDynamic(type.getDimSize(3)))
    return std::nullopt;
  return Flat{wide, type.getDimSize(2), norm};
}

/// [batch, length, heads, size] with the last two dimensions as one: what a
/// Reshape made it of, if that is it, or a Reshape of it.
Value Folding::flatten(Value wide) {
  auto type = getRanked(wide);
  int64_t width = type.getDimSize(2) * type.getDimSize(3);
  auto reshape = wide.getDefiningOp<ReshapeOp>();
  if (auto from = reshape ? getRanked(reshape.getData()) : RankedTensorType();
      from && from.getRank() == 3 && from.getDimSize(2) == width &&
      sizes.isSameDim(reshape.getData(), 0, wide, 0) &&
      sizes.isSameDim(reshape.getData(), 1, wide, 1))
    return reshape.getData();
  OpBuilder after(op->getContext());
  after.setInsertionPointAfterValue(wide);
  return ReshapeOp::create(
      after, wide.getLoc(),
      type.clone({type.getDimSize(0), type.getDimSize(1), width}), wide,
      makeIntegers(after, wide.getLoc(), {0, 0, width}));
}

/// What there is between the transposition and `x`, on the tensor of rank 3.
Value Folding::rotate(Value x, Flat flat) {
  auto rotary = x.getDefiningOp<RotaryEmbeddingOp>();
  Value wide = flat.value;
  if (flat.norm) {
    OpBuilder at(flat.norm);
    auto norm = RMSNormalizationOp::create(
        at, flat.norm.getLoc(), wide.getType(), wide, flat.norm.getScale(),
        /*axis=*/-1, flat.norm.getEpsilon(), flat.norm.getStashType());
    norm->setDiscardableAttrs(flat.norm->getDiscardableAttrDictionary());
    wide = norm.getY();
  }
  Value value = flatten(wide);
  if (!rotary)
    return value;
  OpBuilder at(rotary);
  auto flatRotary = RotaryEmbeddingOp::create(
      at, rotary.getLoc(), value.getType(), value, rotary.getCosCache(),
      rotary.getSinCache(), rotary.getPositionIds(), rotary.getInterleaved(),
      at.getI64IntegerAttr(flat.heads), rotary.getRotaryEmbeddingDim());
  flatRotary->setDiscardableAttrs(rotary->getDiscardableAttrDictionary());
  return flatRotary;
}

/// Lets the users of the transposed result, which have `y` of rank 3 in other
/// shapes, read `y`.
void Folding::replaceTransposed(Value y, int64_t heads) {
  Value old = op.getY();
  OpBuilder after(op->getContext());
  after.setInsertionPointAfterValue(y);
  SmallVector<Operation *> transposes(old.getUsers());
  for (Operation *user : transposes) {
    Value wide = user->getResult(0);
    auto type = getRanked(wide);
    for (Operation *reader : llvm::make_early_inc_range(wide.getUsers())) {
      auto reshape = dyn_cast<ReshapeOp>(reader);
      if (reshape && reshape.getType() == y.getType() &&
          sizes.isSameDim(wide, 0, reshape, 0) &&
          sizes.isSameDim(wide, 1, reshape, 1))
        reshape.replaceAllUsesWith(y);
    }
    if (wide.use_empty())
      continue;
    Value shape =
        makeIntegers(after, op.getLoc(), {0, 0, heads, type.getDimSize(3)});
    wide.replaceAllUsesWith(
        ReshapeOp::create(after, op.getLoc(), type, y, shape).getResult());
  }
}

/// Removes a Reshape to the same sizes, which may stand before the Transpose.
void Folding::skipReshapes() {
  for (Operation *user : llvm::make_early_inc_range(op.getY().getUsers()))
    if (auto reshape = dyn_cast<ReshapeOp>(user);
        reshape && isSameShape(reshape, op.getY()))
      reshape.replaceAllUsesWith(op.getY());
}

bool Folding::run() {
  auto type = getRanked(op.getY());
  if (!type || type.getRank() != 4 || isPresent(op.getQkMatmulOutput()))
    return false;
  auto q = getFlat(op.getQ()), k = getFlat(op.getK()), v = getFlat(op.getV());
  if (!q || !k || !v || k->heads != v->heads || q->heads % k->heads != 0)
    return false;
  int64_t size = getRanked(v->value).getDimSize(3);
  for (Operation *user : op.getY().getUsers())
    if (!swapsHeads(dyn_cast<TransposeOp>(user)))
      return false;
  SmallVector<int64_t> shape{type.getDimSize(0), type.getDimSize(2),
                             q->heads * size};
  auto flat = AttentionOp::create(
      b, op.getLoc(), type.clone(shape), op.getPresentKey().getType(),
      op.getPresentValue().getType(), op.getQkMatmulOutput().getType(),
      rotate(op.getQ(), *q), rotate(op.getK(), *k), rotate(op.getV(), *v),
      op.getAttnMask(), op.getPastKey(), op.getPastValue(),
      op.getNonpadKvSeqlen(), op.getIsCausalAttr(),
      b.getI64IntegerAttr(k->heads), op.getLeftWindowSizeAttr(),
      b.getI64IntegerAttr(q->heads), op.getQkMatmulOutputModeAttr(),
      op.getRightWindowSizeAttr(), op.getScaleAttr(), op.getSoftcapAttr(),
      op.getSoftmaxPrecisionAttr());
  flat->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  replaceTransposed(flat.getY(), q->heads);
  for (unsigned i = 1; i < op->getNumResults(); ++i)
    op->getResult(i).replaceAllUsesWith(flat->getResult(i));
  return true;
}

unsigned onnx::foldHeads(func::FuncOp func) {
  SmallVector<AttentionOp> candidates;
  func.walk([&](AttentionOp op) { candidates.push_back(op); });
  if (candidates.empty())
    return 0;
  {
    SizeAnalysis sizes(func);
    for (AttentionOp op : candidates)
      Folding(op, sizes).skipReshapes();
  }
  // What computed the sizes of these is not to count as a use. What was known
  // about erased values is not to be found again for others at their address.
  eraseDead(func);
  SizeAnalysis sizes(func);
  unsigned folded = 0;
  for (AttentionOp op : candidates)
    folded += Folding(op, sizes).run();
  return folded;
}
