//===- OutlinePiece.cpp - A part of a model as a function -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/OutlinePiece.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"

using namespace mlir;

namespace nibble {
namespace {

/// True if the weight of `op` is a constant of floats in the order of the
/// model, which kernels want in panels.
bool isPackable(Operation *op) {
  auto layer = dyn_cast<QuantizableOpInterface>(op);
  if (!layer || layer.getQuantizationScheme() ||
      !getElementTypeOrSelf(layer.getWeightOperand().get()).isF32())
    return false;
  if (auto matmul = dyn_cast<MatMulOp>(op))
    return !matmul.getPackedFloat();
  auto conv = dyn_cast<ConvOp>(op);
  return conv && !conv.getPackedFloat() && conv.getGroup() == 1;
}

bool isFloatTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<FloatType>(tensor.getElementType());
}

class Outliner {
public:
  Outliner(const BlockAnalysis &analysis, const BlockAnalysis::Cut &from)
      : from(from), analysis(analysis), builder(from.before->getContext()) {}

  Piece outline(const BlockAnalysis::Cut &to, bool withInputChecks);

private:
  void require(Value value);
  void findChecks(Operation *end, bool withInputChecks);
  Value addArgument(const Piece::Argument &argument, Type type);
  Value importState(Value value);
  Value importConstant(OpOperand &operand);
  void cloneOp(Operation *op);
  void cloneWithReads(Operation *op);
  Value exportState(Value value);
  void removeNames(ModuleOp module);

  const BlockAnalysis::Cut &from;
  const BlockAnalysis &analysis;
  OpBuilder builder;
  Piece piece;
  func::FuncOp function;
  IRMapping mapping;
  DenseSet<Value> available;
  DenseSet<Operation *> needed;
};

/// Marks what computes `value` from what is carried to the piece.
void Outliner::require(Value value) {
  SmallVector<Value> worklist = {value};
  while (!worklist.empty()) {
    Value next = worklist.pop_back_val();
    Operation *op = next.getDefiningOp();
    if (!op || available.contains(next) || !needed.insert(op).second)
      continue;
    llvm::append_range(worklist, BlockAnalysis::getReads(op));
  }
}

/// Checks have no results that would ask for them.
void Outliner::findChecks(Operation *end, bool withInputChecks) {
  bool isBehind = false;
  for (Operation &op : *from.before->getBlock()) {
    isBehind |= &op == from.before;
    if (!isa<cf::AssertOp>(op))
      continue;
    bool ofInputs = analysis.dependsOnInputsOnly(&op);
    bool isInside = isBehind && op.isBeforeInBlock(end);
    if (ofInputs ? !withInputChecks : !isInside)
      continue;
    needed.insert(&op);
    for (Value read : BlockAnalysis::getReads(&op))
      require(read);
  }
}

Value Outliner::addArgument(const Piece::Argument &argument, Type type) {
  piece.arguments.push_back(argument);
  return function.getBody().front().addArgument(type, builder.getUnknownLoc());
}

/// A carried number travels as a tensor of rank 0.
Value Outliner::importState(Value value) {
  Piece::Argument argument;
  argument.state = value;
  Type type = value.getType();
  if (isa<RankedTensorType>(type))
    return addArgument(argument, type);
  Type element = type.isIndex() ? builder.getI64Type() : type;
  Value tensor = addArgument(argument, RankedTensorType::get({}, element));
  Value number = tensor::ExtractOp::create(builder, value.getLoc(), tensor);
  if (!type.isIndex())
    return number;
  return arith::IndexCastOp::create(builder, value.getLoc(), type, number);
}

Value Outliner::exportState(Value value) {
  Value inside = mapping.lookup(value);
  if (isa<RankedTensorType>(value.getType()))
    return inside;
  if (value.getType().isIndex())
    inside = arith::IndexCastOp::create(builder, value.getLoc(),
                                        builder.getI64Type(), inside);
  return tensor::FromElementsOp::create(builder, value.getLoc(), inside);
}

/// What `operand`, a constant, is in the piece.
Value Outliner::importConstant(OpOperand &operand) {
  Operation *user = operand.getOwner(),
            *definition = operand.get().getDefiningOp();
  Piece::Argument argument;
  argument.constant = &operand;
  auto layer = dyn_cast<QuantizableOpInterface>(user);
  if (isPackable(user) && &layer.getWeightOperand() == &operand) {
    WeightView view = layer.getWeightView();
    argument.packed = true;
    int64_t panels = llvm::divideCeil(view.rows, panelRows);
    return addArgument(argument,
                       RankedTensorType::get({panels, view.columns, panelRows},
                                             builder.getF32Type()));
  }
  if (Value known = mapping.lookupOrNull(operand.get()))
    return known;
  bool movable = isa<ConstantOp>(definition) &&
                 isFloatTensor(operand.get().getType()) &&
                 !(layer && layer.getQuantizationScheme());
  Value result = movable ? addArgument(argument, operand.get().getType())
                         : builder.clone(*definition)->getResult(0);
  mapping.map(operand.get(), result);
  return result;
}

void Outliner::cloneOp(Operation *op) {
  // Constants are imported for each use, since layers want theirs packed.
  SmallVector<std::pair<unsigned, Value>> weights;
  op->walk([&](Operation *inner) {
    for (OpOperand &operand : inner->getOpOperands()) {
      Value value = operand.get();
      Operation *definition = value.getDefiningOp();
      if (op->isAncestor(value.getParentBlock()->getParentOp()))
        continue;
      if (available.contains(value)) {
        if (!mapping.contains(value))
          mapping.map(value, importState(value));
      } else if (definition && definition->hasTrait<OpTrait::ConstantLike>()) {
        Value imported = importConstant(operand);
        if (inner == op)
          weights.push_back({operand.getOperandNumber(), imported});
      }
    }
  });
  Operation *clone = builder.clone(*op, mapping);
  for (auto [number, value] : weights)
    clone->setOperand(number, value);
  if (isPackable(op) &&
      isa<BlockArgument>(
          cast<QuantizableOpInterface>(clone).getWeightOperand().get())) {
    if (auto matmul = dyn_cast<MatMulOp>(clone))
      matmul.setPackedFloat(true);
    else
      cast<ConvOp>(clone).setPackedFloat(true);
  }
}

void Outliner::cloneWithReads(Operation *op) {
  if (!needed.erase(op) || op->hasTrait<OpTrait::ConstantLike>())
    return;
  for (Value read : BlockAnalysis::getReads(op))
    if (Operation *definition = read.getDefiningOp();
        definition && !available.contains(read))
      cloneWithReads(definition);
  cloneOp(op);
}

/// Names differ between pieces that are the same otherwise.
void Outliner::removeNames(ModuleOp module) {
  module.walk([&](Operation *op) {
    op->removeAttr(NibbleDialect::getLayerNameAttr());
    op->removeAttr(requestAttrName);
    op->removeAttr(reportAttrName);
    op->removeAttr(operationAttrName);
    if (op->hasAttr("layers"))
      op->setAttr("layers", builder.getArrayAttr({}));
    auto check = dyn_cast<cf::AssertOp>(op);
    if (!check)
      return;
    std::string number = "#" + std::to_string(piece.messages.size());
    piece.messages.push_back(check.getMsg().str());
    check.setMsg(number);
  });
}

Piece Outliner::outline(const BlockAnalysis::Cut &to, bool withInputChecks) {
  available.insert(from.live.begin(), from.live.end());
  for (Value value : to.live)
    if (!available.contains(value) && !isa<BlockArgument>(value)) {
      piece.results.push_back(value);
      require(value);
    }
  if (piece.results.empty())
    return std::move(piece);
  findChecks(to.before, withInputChecks);

  piece.module = ModuleOp::create(builder.getUnknownLoc());
  builder.setInsertionPointToEnd(piece.module->getBody());
  function =
      func::FuncOp::create(builder, builder.getUnknownLoc(), "main_graph",
                           builder.getFunctionType({}, {}));
  builder.setInsertionPointToEnd(function.addEntryBlock());
  // What is carried comes in the order of the model, everything else where it
  // is read first: where it was depends on which pieces share it.
  for (Operation &op : *from.before->getBlock())
    if (needed.contains(&op) &&
        (op.getNumResults() == 0 || llvm::any_of(op.getResults(), [&](Value v) {
           return analysis.isCarried(v);
         })))
      cloneWithReads(&op);
  SmallVector<Value> results;
  for (Value value : piece.results)
    results.push_back(exportState(value));
  func::ReturnOp::create(builder, builder.getUnknownLoc(), results);
  function.setFunctionType(
      builder.getFunctionType(function.getBody().front().getArgumentTypes(),
                              ValueRange(results).getTypes()));
  // Element types that a tensor type does not tell.
  auto original = from.before->getParentOfType<func::FuncOp>();
  for (auto [i, argument] : llvm::enumerate(piece.arguments)) {
    auto input = dyn_cast_if_present<BlockArgument>(argument.state);
    StringRef name = "onnx.elem_type";
    if (Attribute type = input ? original.getArgAttr(input.getArgNumber(), name)
                               : Attribute())
      function.setArgAttr(i, name, type);
  }
  removeNames(*piece.module);
  llvm::raw_string_ostream os(piece.text);
  piece.module->print(os);
  return std::move(piece);
}

} // namespace

Piece outlinePiece(const BlockAnalysis &analysis,
                   const BlockAnalysis::Cut &from, const BlockAnalysis::Cut &to,
                   bool withInputChecks) {
  return Outliner(analysis, from).outline(to, withInputChecks);
}

} // namespace nibble
