//===- InferTrainingOps.cpp - Shapes of losses, mixers and trees ----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// Losses and optimizers
//===----------------------------------------------------------------------===//

/// Scores (N, C, d1, ...) with targets (N, d1, ...).
static LogicalResult inferLoss(InferContext &context, StringRef reduction) {
  std::optional<Shape> x = context.getShape(0), target = context.getShape(1);
  if (x && failed(context.checkRank("the scores", *x, 2, INT_MAX)))
    return failure();
  if (x && target && target->size() + 1 != x->size())
    return context.emitError()
           << "the scores have shape " << toString(*x) << ", the targets "
           << toString(*target) << ": expected one dimension less";
  if (reduction != "none") {
    context.setShape(0, {});
    return success();
  }
  if (!target && x) {
    target = *x;
    target->erase(target->begin() + 1);
  }
  if (!target)
    return success();
  if (x)
    for (size_t d = 0; d < target->size(); ++d) {
      const Dim &other = (*x)[d == 0 ? 0 : d + 1];
      if (other.isConstant())
        (*target)[d] = other;
    }
  context.setShape(0, *target);
  return success();
}

LogicalResult NegativeLogLikelihoodLossOp::inferShapes(InferContext &context) {
  return inferLoss(context, getReduction());
}

LogicalResult SoftmaxCrossEntropyLossOp::inferShapes(InferContext &context) {
  if (std::optional<Shape> x = context.getShape(0))
    context.setShape(1, *x);
  return inferLoss(context, getReduction());
}

/// Operands are R, T, then the variables, gradients and states; the results are
/// like the variables and states.
LogicalResult onnx::detail::inferOptimizer(InferContext &context) {
  Operation *op = context.getOperation();
  int64_t operands = op->getNumOperands() - 2, results = op->getNumResults();
  int64_t groups = op->getName().stripDialect().ends_with("Adam") ? 4 : 3;
  if (operands < groups || operands % groups != 0 ||
      results != operands / groups * (groups - 1))
    return context.emitError()
           << "has " << operands << " operands after R and T and " << results
           << " results, expected " << groups << " operands and " << groups - 1
           << " results for each variable";
  int64_t variables = operands / groups;
  for (int64_t i = 0; i < results; ++i) {
    // The gradients have no results.
    int64_t operand = 2 + (i < variables ? i : i + variables);
    if (std::optional<Shape> shape = context.getShape(operand))
      context.setShape(i, *shape);
    context.setElementType(i, context.getElementType(operand));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Mixers
//===----------------------------------------------------------------------===//

LogicalResult CausalConvWithStateOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0), w = context.getShape(1);
  if (w && failed(context.checkRank("weight", *w, 3, 3)))
    return failure();
  if (!x)
    return success();
  if (failed(context.checkRank("input", *x, 3, 3)))
    return failure();
  if (w && (*w)[0].isConstant() && (*x)[1].isConstant() && (*w)[0] != (*x)[1])
    return context.emitError() << "weight has shape " << toString(*w)
                               << ", but input has shape " << toString(*x);
  context.setShape(0, *x);
  Dim past = w && (*w)[2].isConstant() ? Dim((*w)[2].getConstant() - 1) : Dim();
  context.setShape(1, {(*x)[0], (*x)[1], past});
  return success();
}

LogicalResult LinearAttentionOp::inferShapes(InferContext &context) {
  std::optional<Shape> q = context.getShape(0), k = context.getShape(1),
                       v = context.getShape(2);
  for (auto [name, shape] :
       {std::pair<StringRef, std::optional<Shape> &>("query", q),
        {"key", k},
        {"value", v}})
    if (shape && failed(context.checkRank(name, *shape, 3, 3)))
      return failure();
  Dim kvHeads(static_cast<int64_t>(getKvNumHeads()));
  Dim qHeads(static_cast<int64_t>(getQNumHeads()));
  Dim keySize = k ? (*k)[2].exactDiv(kvHeads) : Dim();
  Dim valueSize = v ? (*v)[2].exactDiv(kvHeads) : Dim();
  if (!context.hasOperand(3))
    context.setElementType(1, context.getElementType(0));
  Dim batch = q ? (*q)[0] : Dim();
  context.setShape(0, {batch, q ? (*q)[1] : Dim(), valueSize * qHeads});
  context.setShape(1, {batch, kvHeads, keySize, valueSize});
  return success();
}

//===----------------------------------------------------------------------===//
// Classical machine learning
//===----------------------------------------------------------------------===//

LogicalResult ArrayFeatureExtractorOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0), y = context.getShape(1);
  if (!x)
    return success();
  if (failed(context.checkRank("X", *x, 1, INT_MAX)))
    return failure();
  // A vector gives a row.
  if (x->size() == 1)
    x->insert(x->begin(), Dim(1));
  x->back() = y ? getNumElements(*y) : Dim();
  context.setShape(0, *x);
  return success();
}

LogicalResult LinearRegressorOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (x && failed(context.checkRank("X", *x, 1, 2)))
    return failure();
  Dim rows = !x ? Dim() : x->size() == 2 ? (*x)[0] : Dim(1);
  context.setShape(0, {rows, Dim(static_cast<int64_t>(getTargets()))});
  return success();
}

LogicalResult TreeEnsembleOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (x && failed(context.checkRank("X", *x, 2, 2)))
    return failure();
  int64_t targets = 1;
  for (int64_t target : getLeafTargetids())
    targets = std::max(targets, target + 1);
  if (getNTargets())
    targets = *getNTargets();
  context.setShape(0, {x ? (*x)[0] : Dim(), Dim(targets)});
  return success();
}

LogicalResult TfIdfVectorizerOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (!x)
    return success();
  if (failed(context.checkRank("X", *x, 1, 2)))
    return failure();
  int64_t width = 0;
  for (int64_t index : getNgramIndexes())
    width = std::max(width, index + 1);
  x->back() = Dim(width);
  context.setShape(0, *x);
  return success();
}
