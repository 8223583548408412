//===- ONNXFolds.cpp - Operators that do nothing, and pairs of them -------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

/// Whether a type says everything, so that an equal one means the same tensor.
static bool isFullyKnown(Type type) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  return ranked && !isa<UnknownType>(ranked.getElementType()) &&
         ranked.hasStaticShape();
}

/// The elements of a small integer constant.
static std::optional<SmallVector<int64_t>> getIntegers(Attribute attr) {
  auto dense = dyn_cast_if_present<DenseIntElementsAttr>(attr);
  if (!dense || dense.getNumElements() > 64)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (const APInt &element : dense.getValues<APInt>())
    result.push_back(element.getSExtValue());
  return result;
}

//===----------------------------------------------------------------------===//
// Folds to an operand
//===----------------------------------------------------------------------===//

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getElements(); }

OpFoldResult IdentityOp::fold(FoldAdaptor) {
  return getInput().getType() == getType() ? getInput() : OpFoldResult();
}

OpFoldResult CastOp::fold(FoldAdaptor) {
  return getInput().getType() == getType() ? getInput() : OpFoldResult();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getData().getType() == getType() && isFullyKnown(getType()))
    return getData();
  // Equal dynamic types are the same shape with at most one dynamic size.
  auto type = dyn_cast<RankedTensorType>(getType());
  if (type && getData().getType() == type && type.getNumDynamicDims() == 1 &&
      !isa<UnknownType>(type.getElementType()) &&
      !llvm::is_contained(type.getShape(), 0))
    return getData();
  return {};
}

OpFoldResult SqueezeOp::fold(FoldAdaptor) {
  return getData().getType() == getType() && isFullyKnown(getType())
             ? getData()
             : OpFoldResult();
}

OpFoldResult UnsqueezeOp::fold(FoldAdaptor) {
  return getData().getType() == getType() && isFullyKnown(getType())
             ? getData()
             : OpFoldResult();
}

OpFoldResult ExpandOp::fold(FoldAdaptor) {
  return getInput().getType() == getType() && isFullyKnown(getType())
             ? getInput()
             : OpFoldResult();
}

OpFoldResult TileOp::fold(FoldAdaptor) {
  return getInput().getType() == getType() && isFullyKnown(getType())
             ? getInput()
             : OpFoldResult();
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  if (getData().getType() != getType())
    return {};
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type)
    return {};
  if (type.getRank() <= 1 || (getPerm() && isIdentityPermutation(*getPerm())))
    return getData();
  return {};
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  return getInputs().size() == 1 && getInputs()[0].getType() == getType()
             ? getInputs()[0]
             : OpFoldResult();
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  if (getData().getType() != getType())
    return {};
  auto type = dyn_cast<RankedTensorType>(getType());
  auto steps = getIntegers(adaptor.getSteps());
  bool forward =
      isa<NoneType>(getSteps().getType()) ||
      (steps && llvm::all_of(*steps, [](int64_t s) { return s == 1; }));
  if (!type || !forward)
    return {};
  // A forward slice with the operand's static shape is all of it.
  if (isFullyKnown(type))
    return getData();
  auto starts = getIntegers(adaptor.getStarts());
  auto ends = getIntegers(adaptor.getEnds());
  if (starts && ends &&
      llvm::all_of(*starts, [](int64_t s) { return s == 0; }) &&
      llvm::all_of(*ends, [](int64_t e) { return e >= INT32_MAX; }))
    return getData();
  return {};
}

OpFoldResult PadOp::fold(FoldAdaptor adaptor) {
  if (getData().getType() != getType())
    return {};
  auto pads = getIntegers(adaptor.getPads());
  return pads && llvm::all_of(*pads, [](int64_t p) { return p == 0; })
             ? getData()
             : OpFoldResult();
}

//===----------------------------------------------------------------------===//
// Canonicalization
//===----------------------------------------------------------------------===//

/// The short forms of a constant become `value`, and the type that of it.
static LogicalResult makeValueForm(ConstantOp op, PatternRewriter &rewriter) {
  ElementsAttr value = op.getElements();
  if (!value || (op.getValueAttr() && op.getType() == value.getShapedType()))
    return failure();
  auto constant = ConstantOp::create(rewriter, op.getLoc(), value);
  constant->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  rewriter.replaceOp(op, constant);
  return success();
}

void ConstantOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *) {
  patterns.add(makeValueForm);
}

/// The type is all that CastLike takes from its second operand.
static LogicalResult makeCast(CastLikeOp op, PatternRewriter &rewriter) {
  auto type = cast<TensorType>(op.getTargetType().getType());
  int64_t number = getONNXType(type.getElementType());
  if (number == 0)
    return rewriter.notifyMatchFailure(op, "element type is not known yet");
  auto cast = CastOp::create(rewriter, op.getLoc(), op.getType(), op.getInput(),
                             number, op.getSaturate(), op.getRoundMode());
  cast->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  rewriter.replaceOp(op, cast);
  return success();
}

void CastLikeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *) {
  patterns.add(makeCast);
}

/// Of two reshapes the first does not matter, unless the second copies a
/// dimension of it.
static LogicalResult mergeReshapes(ReshapeOp op, PatternRewriter &rewriter) {
  Operation *producer = op.getData().getDefiningOp();
  if (!isa_and_present<ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp>(producer))
    return failure();
  DenseIntElementsAttr shape;
  if (!matchPattern(op.getShape(), m_Constant(&shape)))
    return failure();
  for (const APInt &element : shape.getValues<APInt>())
    if (element.isZero())
      return failure();
  rewriter.modifyOpInPlace(
      op, [&] { op.getDataMutable().assign(producer->getOperand(0)); });
  return success();
}

void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                            MLIRContext *) {
  patterns.add(mergeReshapes);
}

/// transpose(transpose(x, p), q) = transpose(x, p[q[i]]).
static LogicalResult mergeTransposes(TransposeOp op,
                                     PatternRewriter &rewriter) {
  auto producer = op.getData().getDefiningOp<TransposeOp>();
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!producer || !type)
    return failure();
  auto getPermutation = [&](TransposeOp transpose) {
    SmallVector<int64_t> perm;
    for (int64_t i = 0; i < type.getRank(); ++i)
      perm.push_back(transpose.getPerm() ? (*transpose.getPerm())[i]
                                         : type.getRank() - 1 - i);
    return perm;
  };
  SmallVector<int64_t> first = getPermutation(producer),
                       second = getPermutation(op), both;
  for (int64_t position : second)
    both.push_back(first[position]);
  rewriter.modifyOpInPlace(op, [&] {
    op.getDataMutable().assign(producer.getData());
    op.setPerm(both);
  });
  return success();
}

void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *) {
  patterns.add(mergeTransposes);
}
