//===- ONNXControlFlowOps.cpp - Operators with subgraphs ------------------===//
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
#include "nibble/Dialect/ONNX/IR/ONNXControlFlowOps.cpp.inc"

void ONNXDialect::registerControlFlowOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXControlFlowOps.cpp.inc"
      >();
}

/// Checks a subgraph's numbers of inputs and outputs.
static LogicalResult verifySubgraph(Operation *op, StringRef name,
                                    Region &region, size_t inputs,
                                    size_t outputs) {
  if (!region.hasOneBlock())
    return op->emitOpError() << name << " has " << region.getBlocks().size()
                             << " blocks, expected 1";
  Block &block = region.front();
  if (block.getNumArguments() != inputs)
    return op->emitOpError() << name << " takes " << block.getNumArguments()
                             << " inputs, expected " << inputs;
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(&block.back());
  if (!yield)
    return op->emitOpError() << name << " does not end with onnx.Yield";
  if (yield.getNumOperands() != outputs)
    return op->emitOpError() << name << " gives " << yield.getNumOperands()
                             << " outputs, expected " << outputs;
  return success();
}

LogicalResult IfOp::verify() {
  if (failed(verifySubgraph(*this, "then_branch", getThenBranch(), 0,
                            getNumResults())))
    return failure();
  return verifySubgraph(*this, "else_branch", getElseBranch(), 0,
                        getNumResults());
}

LogicalResult LoopOp::verify() {
  if (getNumResults() < getVInitial().size())
    return emitOpError() << "has " << getNumResults()
                         << " results, expected at least one for each of the "
                         << getVInitial().size() << " carried values";
  return verifySubgraph(*this, "body", getBody(), 2 + getVInitial().size(),
                        1 + getNumResults());
}

LogicalResult ScanOp::verify() {
  int64_t operands = getInputs().size();
  if (getNumScanInputs() < 1 || getNumScanInputs() > operands)
    return emitOpError() << "num_scan_inputs is " << getNumScanInputs()
                         << ", expected 1 to " << operands;
  int64_t states = operands - getNumScanInputs();
  int64_t outputs = static_cast<int64_t>(getNumResults()) - states;
  if (outputs < 0)
    return emitOpError() << "has " << getNumResults()
                         << " results, expected at least one for each of the "
                         << states << " states";
  auto checkLength = [&](StringRef name,
                         std::optional<ArrayRef<int64_t>> values,
                         int64_t expected) -> LogicalResult {
    if (!values || static_cast<int64_t>(values->size()) == expected)
      return success();
    return emitOpError() << name << " has " << values->size()
                         << " elements, expected " << expected;
  };
  if (failed(checkLength("scan_input_axes", getScanInputAxes(),
                         getNumScanInputs())) ||
      failed(checkLength("scan_input_directions", getScanInputDirections(),
                         getNumScanInputs())) ||
      failed(checkLength("scan_output_axes", getScanOutputAxes(), outputs)) ||
      failed(checkLength("scan_output_directions", getScanOutputDirections(),
                         outputs)))
    return failure();
  return verifySubgraph(*this, "body", getBody(), operands, getNumResults());
}

LogicalResult FlexAttentionOp::verify() {
  for (auto [name, region] : {std::pair("score_mod", &getScoreMod()),
                              std::pair("prob_mod", &getProbMod())})
    if (!region->empty() && failed(verifySubgraph(*this, name, *region, 1, 1)))
      return failure();
  return success();
}

LogicalResult SequenceMapOp::verify() {
  if (getInputs().empty())
    return emitOpError() << "has no operands, expected a sequence";
  return verifySubgraph(*this, "body", getBody(), getInputs().size(),
                        getNumResults());
}

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

/// A constant condition leaves one branch.
static LogicalResult inlineBranch(IfOp op, PatternRewriter &rewriter) {
  DenseElementsAttr condition;
  if (!matchPattern(op.getCond(), m_Constant(&condition)) ||
      !condition.isSplat())
    return failure();
  Block &branch = condition.getSplatValue<bool>() ? op.getThenBranch().front()
                                                  : op.getElseBranch().front();
  Operation *yield = branch.getTerminator();
  SmallVector<Value> outputs = llvm::to_vector(yield->getOperands());
  for (auto [output, result] : llvm::zip_equal(outputs, op.getResults()))
    if (output.getType() != result.getType() && !result.use_empty())
      return rewriter.notifyMatchFailure(op, "types are not inferred yet");
  rewriter.eraseOp(yield);
  rewriter.inlineBlockBefore(&branch, op);
  rewriter.replaceAllUsesWith(op.getResults(), outputs);
  rewriter.eraseOp(op);
  return success();
}

void IfOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                       MLIRContext *) {
  patterns.add(inlineBranch);
}
