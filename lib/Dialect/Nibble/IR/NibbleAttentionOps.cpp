//===- NibbleAttentionOps.cpp - Attention ---------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verification.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::verification;

Value AttentionOp::getOutput() { return verification::getOutput(*this); }

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

namespace {

/// Sizes of an operand whichever way it is stored.
struct HeadShape {
  HeadShape(Value value, bool byToken) {
    ArrayRef<int64_t> shape = getShaped(value).getShape();
    batch = shape[0];
    heads = shape[AttentionOp::getHeadDim(byToken)];
    tokens = shape[AttentionOp::getTokenDim(byToken)];
    width = shape[3];
  }
  int64_t batch, heads, tokens, width;
};

SmallVector<int64_t> toShape(int64_t batch, int64_t heads, int64_t tokens,
                             int64_t width, bool byToken) {
  if (byToken)
    return {batch, tokens, heads, width};
  return {batch, heads, tokens, width};
}

LogicalResult verifyFloats(AttentionOp op, StringRef what, Value value) {
  Type element = getShaped(value).getElementType();
  if (element.isF16() || element.isBF16() || element.isF32() || element.isF64())
    return success();
  return op.emitOpError("expected ")
         << what << " of element type f16, bf16, f32 or f64, got " << element;
}

LogicalResult verifyRank(AttentionOp op, StringRef what, Value value,
                         int64_t rank) {
  ShapedType type = getShaped(value);
  if (type.hasRank() && type.getRank() == rank)
    return success();
  return op.emitOpError("expected ")
         << what << " of rank " << rank << ", got " << type;
}

LogicalResult verifyOperandForm(AttentionOp op) {
  bool onMemRefs = isa<MemRefType>(op.getQuery().getType());
  for (Value operand : op->getOperands())
    if (operand != op.getPast() &&
        isa<MemRefType>(operand.getType()) != onMemRefs)
      return op.emitOpError("expected operands that are all tensors or all "
                            "memrefs, got ")
             << op.getQuery().getType() << " and " << operand.getType();
  if (onMemRefs != static_cast<bool>(op.getOuts()) ||
      onMemRefs == static_cast<bool>(op.getResult()))
    return op.emitOpError("expected ")
           << (onMemRefs ? "outs and no result with memref operands"
                         : "a result and no outs with tensor operands");
  if (!onMemRefs)
    return success();
  for (Value operand : {op.getQuery(), op.getKey(), op.getValue(), op.getMask(),
                        op.getLengths(), Value(op.getOuts())})
    if (operand && !cast<MemRefType>(operand.getType()).isLastDimUnitStride())
      return op.emitOpError("expected memrefs whose innermost stride is 1, "
                            "got ")
             << operand.getType();
  return success();
}

LogicalResult verifyMask(AttentionOp op, ArrayRef<int64_t> scores) {
  Value mask = op.getMask();
  if (!getShaped(mask).getElementType().isInteger(1) &&
      failed(verifyFloats(op, "a mask of i1 or", mask)))
    return failure();
  if (failed(verifyRank(op, "a mask", mask, 4)))
    return failure();
  ArrayRef<int64_t> shape = getShaped(mask).getShape();
  for (int64_t d = 0; d < 3; ++d)
    if (shape[d] != 1 && !areCompatible(shape.slice(d, 1), scores.slice(d, 1)))
      return op.emitOpError("expected a mask that broadcasts to ")
             << toString(scores) << ", got " << toString(shape);
  if (!ShapedType::isDynamic(shape[3]) && !ShapedType::isDynamic(scores[3]) &&
      shape[3] > scores[3])
    return op.emitOpError("expected a mask for at most ")
           << scores[3] << " keys, got " << shape[3];
  return success();
}

} // namespace

LogicalResult AttentionOp::verify() {
  if (failed(verifyOperandForm(*this)))
    return failure();
  Value output = getOutput();
  for (auto [what, value] :
       {std::pair("a query", getQuery()), std::pair("a key", getKey()),
        std::pair("a value", getValue()), std::pair("a result", output)})
    if (failed(verifyRank(*this, what, value, 4)) ||
        failed(verifyFloats(*this, what, value)))
      return failure();
  Type element = getShaped(getQuery()).getElementType();
  if (failed(verifyElement(*this, "a key", getKey(), element)) ||
      failed(verifyElement(*this, "a result", output, element)))
    return failure();

  HeadShape query(getQuery(), getQueryByToken());
  HeadShape key(getKey(), getKeyByToken());
  HeadShape value(getValue(), getValueByToken());
  if (failed(verifyShape(*this, "a key", getKey(),
                         toShape(query.batch, key.heads, key.tokens,
                                 query.width, getKeyByToken()))) ||
      failed(verifyShape(*this, "a value", getValue(),
                         toShape(query.batch, key.heads, key.tokens,
                                 value.width, getValueByToken()))) ||
      failed(verifyShape(*this, "a result", output,
                         toShape(query.batch, query.heads, query.tokens,
                                 value.width, getResultByToken()))))
    return failure();
  if (!ShapedType::isDynamic(key.heads) && !ShapedType::isDynamic(query.heads))
    if (key.heads == 0 || query.heads % key.heads != 0)
      return emitOpError("expected a number of query heads that is a multiple "
                         "of the key heads, got ")
             << query.heads << " and " << key.heads;
  if (getMask() && failed(verifyMask(*this, {query.batch, query.heads,
                                             query.tokens, key.tokens})))
    return failure();
  if (getLengths()) {
    if (getPast())
      return emitOpError("expected lengths or past, got both");
    Type type = getShaped(getLengths()).getElementType();
    if (!type.isInteger(32) && !type.isInteger(64))
      return emitOpError("expected lengths of element type i32 or i64, got ")
             << type;
    if (failed(verifyShape(*this, "lengths", getLengths(), {query.batch})))
      return failure();
  }
  if (!(getSoftcap().convertToDouble() >= 0))
    return emitOpError("expected a softcap of at least 0, got ")
           << getSoftcap().convertToDouble();
  for (int64_t window : {getLeftWindow(), getRightWindow()})
    if (window < -1)
      return emitOpError("expected windows of at least -1, got ") << window;
  return success();
}

//===----------------------------------------------------------------------===//
// Canonicalization
//===----------------------------------------------------------------------===//

namespace {

/// Swaps heads and tokens.
bool swapsHeads(linalg::TransposeOp op) {
  return op && op.getPermutation() == ArrayRef<int64_t>{0, 2, 1, 3};
}

/// Reads an operand in the order in which its producer wrote it.
struct ReadTransposed : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    auto read = [&](OpOperand &operand, bool byToken,
                    void (AttentionOp::*set)(bool)) {
      auto transpose = operand.get().getDefiningOp<linalg::TransposeOp>();
      if (!swapsHeads(transpose))
        return false;
      rewriter.modifyOpInPlace(op, [&] {
        operand.set(transpose.getInput());
        (op.*set)(!byToken);
      });
      return true;
    };
    bool changed = read(op.getQueryMutable(), op.getQueryByToken(),
                        &AttentionOp::setQueryByToken);
    changed |= read(op.getKeyMutable(), op.getKeyByToken(),
                    &AttentionOp::setKeyByToken);
    changed |= read(op.getValueMutable(), op.getValueByToken(),
                    &AttentionOp::setValueByToken);
    return success(changed);
  }
};

/// Writes the result in the order in which its only user wants it.
struct WriteTransposed : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getResult() || !op.getResult().hasOneUse())
      return failure();
    auto transpose =
        dyn_cast<linalg::TransposeOp>(*op.getResult().getUsers().begin());
    if (!swapsHeads(transpose) || transpose.getInput() != op.getResult())
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.setResultByToken(!op.getResultByToken());
      op.getResult().setType(
          cast<RankedTensorType>(transpose->getResult(0).getType()));
    });
    rewriter.replaceOp(transpose, op.getResult());
    return success();
  }
};

/// True for a mask that changes nothing: true or 0 everywhere.
bool isNeutral(Value mask) {
  DenseElementsAttr elements;
  if (!matchPattern(mask, m_Constant(&elements)) || !elements.isSplat())
    return false;
  return isa<FloatType>(elements.getElementType())
             ? elements.getSplatValue<APFloat>().isZero()
             : !elements.getSplatValue<APInt>().isZero();
}

struct DropNeutralMask : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getMask())
      return failure();
    // A mask that is shorter than the keys hides those it lacks.
    int64_t covered = getShaped(op.getMask()).getDimSize(3);
    int64_t keys = HeadShape(op.getKey(), op.getKeyByToken()).tokens;
    if ((covered != 1 && (covered != keys || ShapedType::isDynamic(keys))) ||
        !isNeutral(op.getMask()))
      return failure();
    rewriter.modifyOpInPlace(op, [&] { op.getMaskMutable().clear(); });
    return success();
  }
};

/// The tensor that `value` repeats along some dimensions, if that is all its
/// producer does; null otherwise. `map` says where an element comes from.
Value getRepeated(Value value, AffineMap &map) {
  auto generic = value.getDefiningOp<linalg::GenericOp>();
  if (!generic || generic.getNumDpsInputs() != 1 ||
      generic->getNumResults() != 1 ||
      generic.getNumParallelLoops() != generic.getNumLoops() ||
      !generic.getIndexingMapsArray().back().isIdentity())
    return {};
  Block *body = generic.getBody();
  auto yield = dyn_cast<linalg::YieldOp>(body->front());
  if (!yield || yield.getOperand(0) != body->getArgument(0))
    return {};
  map = generic.getIndexingMapsArray().front();
  return generic.getInputs().front();
}

/// Uses a mask as it was before it was repeated: an `Expand` of [B, 1, 1, T]
/// to [B, H, S, T] costs as much memory as scores would.
struct UseUnexpandedMask : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    AffineMap map;
    Value source = op.getMask() ? getRepeated(op.getMask(), map) : Value();
    if (!source || !isa<RankedTensorType>(source.getType()))
      return failure();
    // Which dimension of the source is which of the mask; the others are 1.
    SmallVector<int64_t> from(4, -1);
    int64_t next = 0;
    ArrayRef<int64_t> shape = getShaped(source).getShape();
    ArrayRef<int64_t> repeated = getShaped(op.getMask()).getShape();
    for (auto [i, expr] : llvm::enumerate(map.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      if (!dim) {
        if (shape[i] != 1)
          return failure();
        continue;
      }
      if (dim.getPosition() < next)
        return failure();
      from[dim.getPosition()] = i;
      next = dim.getPosition() + 1;
    }
    // One column says nothing about how many keys the repeated mask covers.
    int64_t keys = HeadShape(op.getKey(), op.getKeyByToken()).tokens;
    if (from[3] < 0 && (repeated[3] != keys || ShapedType::isDynamic(keys)))
      return failure();
    Value mask = reshapeTo(rewriter, op.getLoc(), source, from);
    if (!mask)
      return failure();
    rewriter.modifyOpInPlace(op, [&] { op.getMaskMutable().assign(mask); });
    return success();
  }

private:
  /// `source` with dimensions of size 1 where `from` is negative, and without
  /// those of size 1 that are not named.
  static Value reshapeTo(PatternRewriter &rewriter, Location loc, Value source,
                         ArrayRef<int64_t> from) {
    auto type = cast<RankedTensorType>(source.getType());
    SmallVector<int64_t> shape, target;
    SmallVector<OpFoldResult> sizes;
    for (int64_t d : from) {
      target.push_back(d < 0 ? 1 : type.getDimSize(d));
      sizes.push_back(d < 0 ? OpFoldResult(rewriter.getIndexAttr(1))
                            : tensor::getMixedSize(rewriter, loc, source, d));
    }
    if (llvm::equal(type.getShape(), target))
      return source;
    // First without any dimension of size 1 that is not named.
    SmallVector<int64_t> kept =
        llvm::filter_to_vector(from, [](int64_t d) { return d >= 0; });
    auto keptShape = llvm::map_to_vector(
        kept, [&](int64_t d) { return type.getDimSize(d); });
    auto keptType = RankedTensorType::get(keptShape, type.getElementType());
    if (kept.empty())
      return {};
    if (keptType.getRank() != type.getRank()) {
      auto groups =
          getReassociationIndicesForCollapse(type.getShape(), keptShape);
      if (!groups)
        return {};
      source = tensor::CollapseShapeOp::create(rewriter, loc, keptType, source,
                                               *groups);
    }
    // Then with those of size 1 that the mask has: each goes to the dimension
    // behind it, those at the end to the last one.
    SmallVector<ReassociationIndices> groups(1);
    int64_t seen = 0;
    for (auto [i, d] : llvm::enumerate(from)) {
      groups.back().push_back(i);
      if (d >= 0 && ++seen < static_cast<int64_t>(kept.size()))
        groups.emplace_back();
    }
    auto result = RankedTensorType::get(target, type.getElementType());
    return tensor::ExpandShapeOp::create(rewriter, loc, result, source, groups,
                                         sizes);
  }
};

} // namespace

void AttentionOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns
      .add<ReadTransposed, WriteTransposed, DropNeutralMask, UseUnexpandedMask>(
          context);
}
