//===- ONNXNNOps.cpp - Products, convolutions and layers ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyUtils.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXNNOps.cpp.inc"

void ONNXDialect::registerNNOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXNNOps.cpp.inc"
      >();
}

LogicalResult GemmOp::verify() {
  for (auto [name, value] :
       {std::pair("A", Value(getA())), std::pair("B", Value(getB()))})
    if (std::optional<int64_t> rank = getRank(value); rank && *rank != 2)
      return emitOpError() << name << " has type " << value.getType()
                           << ", expected rank 2";
  return success();
}

LogicalResult EinsumOp::verify() {
  size_t terms = StringRef(getEquation()).split("->").first.count(',') + 1;
  if (terms != getInputs().size())
    return emitOpError() << "equation '" << getEquation() << "' has " << terms
                         << " terms, but there are " << getInputs().size()
                         << " operands";
  return success();
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

static LogicalResult verifyPositive(Operation *op, StringRef name,
                                    std::optional<ArrayRef<int64_t>> values) {
  for (int64_t value : values.value_or(ArrayRef<int64_t>()))
    if (failed(verifyAtLeast(op, name, value, 1)))
      return failure();
  return success();
}

/// Attributes that all windows have. Their lengths are checked against the
/// rank where it is known.
template <typename OpTy>
static LogicalResult verifyWindow(OpTy op) {
  if (failed(verifyChoice(op, "auto_pad", op.getAutoPad(),
                          {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"})) ||
      failed(verifyPositive(op, "kernel_shape", op.getKernelShape())) ||
      failed(verifyPositive(op, "strides", op.getStrides())) ||
      failed(verifyPositive(op, "dilations", op.getDilations())))
    return failure();
  std::optional<int64_t> rank = getRank(op.getX());
  if (!rank)
    return success();
  if (*rank < 3)
    return op.emitOpError() << "X has type " << op.getX().getType()
                            << ", expected rank 3 or more";
  auto checkLength = [&](StringRef name,
                         std::optional<ArrayRef<int64_t>> values,
                         int64_t factor) -> LogicalResult {
    int64_t expected = factor * (*rank - 2);
    if (!values || values->empty() ||
        static_cast<int64_t>(values->size()) == expected)
      return success();
    return op.emitOpError()
           << name << " has " << values->size() << " elements, expected "
           << expected << " for X of " << op.getX().getType();
  };
  if (failed(checkLength("kernel_shape", op.getKernelShape(), 1)) ||
      failed(checkLength("strides", op.getStrides(), 1)) ||
      failed(checkLength("dilations", op.getDilations(), 1)))
    return failure();
  return checkLength("pads", op.getPads(), 2);
}

template <typename OpTy>
static LogicalResult verifyConv(OpTy op) {
  if (failed(verifyAtLeast(op, "group", op.getGroup(), 1)) ||
      failed(verifyWindow(op)))
    return failure();
  std::optional<int64_t> x = getRank(op.getX()), w = getRank(op.getW());
  if (x && w && *x != *w)
    return op.emitOpError()
           << "W has type " << op.getW().getType() << ", but X has "
           << op.getX().getType() << ": expected the same rank";
  return success();
}

LogicalResult ConvOp::verify() { return verifyConv(*this); }
LogicalResult ConvTransposeOp::verify() { return verifyConv(*this); }
LogicalResult MaxPoolOp::verify() { return verifyWindow(*this); }
LogicalResult AveragePoolOp::verify() { return verifyWindow(*this); }

LogicalResult LpPoolOp::verify() {
  if (failed(verifyAtLeast(*this, "p", getP(), 1)))
    return failure();
  return verifyWindow(*this);
}

//===----------------------------------------------------------------------===//
// Normalization
//===----------------------------------------------------------------------===//

LogicalResult LayerNormalizationOp::verify() {
  return verifyAxis(*this, getAxis(), getRank(getX()));
}
LogicalResult RMSNormalizationOp::verify() {
  return verifyAxis(*this, getAxis(), getRank(getX()));
}

LogicalResult GroupNormalizationOp::verify() {
  if (failed(verifyAtLeast(*this, "num_groups", getNumGroups(), 1)))
    return failure();
  auto type = dyn_cast<RankedTensorType>(getX().getType());
  if (!type)
    return success();
  if (type.getRank() < 2)
    return emitOpError() << "X has type " << type
                         << ", expected rank 2 or more";
  if (!type.isDynamicDim(1) && type.getDimSize(1) % getNumGroups() != 0)
    return emitOpError() << "num_groups is " << getNumGroups()
                         << ", which does not divide the " << type.getDimSize(1)
                         << " channels of " << type;
  return success();
}

LogicalResult LpNormalizationOp::verify() {
  if (getP() != 1 && getP() != 2)
    return emitOpError() << "p is " << getP() << ", expected 1 or 2";
  return verifyAxis(*this, getAxis(), getRank(getInput()));
}

LogicalResult LRNOp::verify() {
  return verifyAtLeast(*this, "size", getSize(), 1);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult AttentionOp::verify() {
  std::optional<int64_t> rank = getRank(getQ());
  if (rank && *rank != 3 && *rank != 4)
    return emitOpError() << "Q has type " << getQ().getType()
                         << ", expected rank 3 or 4";
  if (rank && *rank == 3 && (!getQNumHeads() || !getKvNumHeads()))
    return emitOpError() << "Q has type " << getQ().getType()
                         << ": rank 3 needs q_num_heads and kv_num_heads";
  if (getQNumHeads() && getKvNumHeads() &&
      (*getKvNumHeads() < 1 || *getQNumHeads() % *getKvNumHeads() != 0))
    return emitOpError() << "q_num_heads is " << *getQNumHeads()
                         << ", expected a multiple of kv_num_heads, "
                         << *getKvNumHeads();
  if (isa<NoneType>(getPastKey().getType()) !=
      isa<NoneType>(getPastValue().getType()))
    return emitOpError("has one of past_key and past_value, expected both or "
                       "none");
  if (getQkMatmulOutputMode() < 0 || getQkMatmulOutputMode() > 3)
    return emitOpError() << "qk_matmul_output_mode is "
                         << getQkMatmulOutputMode() << ", expected 0 to 3";
  return success();
}

LogicalResult RotaryEmbeddingOp::verify() {
  std::optional<int64_t> rank = getRank(getX());
  if (rank && *rank != 3 && *rank != 4)
    return emitOpError() << "X has type " << getX().getType()
                         << ", expected rank 3 or 4";
  if (rank && *rank == 3 && getNumHeads().value_or(0) < 1)
    return emitOpError() << "X has type " << getX().getType()
                         << ": rank 3 needs num_heads of at least 1, got "
                         << getNumHeads().value_or(0);
  if (getRotaryEmbeddingDim() < 0 || getRotaryEmbeddingDim() % 2 != 0)
    return emitOpError() << "rotary_embedding_dim is "
                         << getRotaryEmbeddingDim()
                         << ", expected an even number";
  return success();
}

//===----------------------------------------------------------------------===//
// Recurrent networks
//===----------------------------------------------------------------------===//

template <typename OpTy>
static LogicalResult verifyRecurrent(OpTy op, size_t activations) {
  if (failed(verifyChoice(op, "direction", op.getDirection(),
                          {"forward", "reverse", "bidirectional"})))
    return failure();
  if (op.getLayout() != 0 && op.getLayout() != 1)
    return op.emitOpError()
           << "layout is " << op.getLayout() << ", expected 0 or 1";
  if (op.getHiddenSize() &&
      failed(verifyAtLeast(op, "hidden_size", *op.getHiddenSize(), 1)))
    return failure();
  size_t expected =
      activations * (op.getDirection() == "bidirectional" ? 2 : 1);
  if (op.getActivations() && op.getActivations()->size() < expected)
    return op.emitOpError() << "activations has " << op.getActivations()->size()
                            << " elements, expected " << expected;
  return success();
}

LogicalResult RNNOp::verify() { return verifyRecurrent(*this, 1); }
LogicalResult GRUOp::verify() { return verifyRecurrent(*this, 2); }
LogicalResult LSTMOp::verify() { return verifyRecurrent(*this, 3); }

//===----------------------------------------------------------------------===//
// Dropout
//===----------------------------------------------------------------------===//

/// In inference Dropout is the identity.
static LogicalResult removeDropout(DropoutOp op, PatternRewriter &rewriter) {
  DenseElementsAttr training;
  if (!isa<NoneType>(op.getTrainingMode().getType()) &&
      (!matchPattern(op.getTrainingMode(), m_Constant(&training)) ||
       !training.isSplat() || training.getSplatValue<bool>()))
    return failure();
  if (!op.getMask().use_empty() ||
      op.getData().getType() != op.getOutput().getType())
    return failure();
  rewriter.replaceAllUsesWith(op.getOutput(), op.getData());
  rewriter.eraseOp(op);
  return success();
}

void DropoutOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                            MLIRContext *) {
  patterns.add(removeDropout);
}
