//===- InferControlFlowOps.cpp - Shapes of operators with subgraphs -------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {
/// What is known about a value in both of two cases.
struct Knowledge {
  std::optional<Shape> shape;
  Type element;
  /// The type, if it is a sequence or optional; null for tensors.
  Type container = nullptr;
  /// Tensors of several ranks: the shape stays unknown.
  bool isMixed = false;

  static Knowledge of(Value value, InferState &state) {
    Knowledge result{state.getShape(value), {}, {}};
    TensorType type = getTensorPart(value.getType());
    if (type && !isa<UnknownType>(type.getElementType()))
      result.element = type.getElementType();
    if (type && type != value.getType())
      result.container = value.getType();
    return result;
  }

  /// Forgets what `other` does not have in common; true if anything changed.
  bool meet(const Knowledge &other) {
    bool forgot = false;
    if (!container)
      container = other.container;
    if (container) {
      // No shape is known of a sequence that is empty so far.
      if (!shape && other.shape && !isMixed) {
        shape = other.shape;
        return true;
      }
      if (!other.shape)
        return false;
      isMixed |= shape && shape->size() != other.shape->size();
    }
    if (shape && (!other.shape || other.shape->size() != shape->size())) {
      shape.reset();
      return true;
    }
    if (!shape)
      return false;
    for (auto [dim, second] : llvm::zip_equal(*shape, *other.shape)) {
      if (dim.isKnown() && dim != second) {
        dim = Dim();
        forgot = true;
      }
    }
    return forgot;
  }
};
} // namespace

LogicalResult IfOp::inferShapes(InferContext &context) {
  auto thenYield =
      dyn_cast_if_present<YieldOp>(getThenBranch().front().getTerminator());
  auto elseYield =
      dyn_cast_if_present<YieldOp>(getElseBranch().front().getTerminator());
  if (!thenYield || !elseYield)
    return success();
  for (unsigned i = 0, e = getNumResults(); i < e; ++i) {
    Knowledge both =
        Knowledge::of(thenYield.getOutputs()[i], context.getState());
    Knowledge other =
        Knowledge::of(elseYield.getOutputs()[i], context.getState());
    if (both.element && other.element && both.element != other.element)
      return context.emitError()
             << "output #" << i << " is " << thenYield.getOutputs()[i].getType()
             << " in then_branch and " << elseYield.getOutputs()[i].getType()
             << " in else_branch";
    both.meet(other);
    if (both.shape)
      context.setShape(i, *both.shape);
    if (both.container)
      context.setContainer(i, both.container);
    context.setElementType(i, both.element ? both.element : other.element);
  }
  return success();
}

/// Gives a block argument the type that `knowledge` describes.
static void setArgument(BlockArgument argument, const Knowledge &knowledge,
                        InferState &state) {
  Type container =
      knowledge.container ? knowledge.container : argument.getType();
  TensorType declared = getTensorPart(container);
  if (!declared)
    return;
  Type element =
      knowledge.element ? knowledge.element : declared.getElementType();
  TensorType type = UnrankedTensorType::get(element);
  if (knowledge.shape)
    type = RankedTensorType::get(toStaticShape(*knowledge.shape), element);
  argument.setType(replaceTensorPart(container, type));
  if (knowledge.shape && argument.getType() == type)
    state.setShape(argument, *knowledge.shape);
}

/// Infers the body of a loop whose first arguments have fixed knowledge and
/// whose next `carried.size()` arguments are carried around: a size that
/// changes from one iteration to the next becomes dynamic. `firstYield` is the
/// operand of the yield that belongs to the first carried value. Works on
/// copies until the assumption about the carried values holds.
static LogicalResult inferLoopBody(Operation *op, InferState &state,
                                   ArrayRef<Knowledge> fixedBefore,
                                   SmallVector<Knowledge> carried,
                                   ArrayRef<Knowledge> fixedAfter,
                                   unsigned firstYield, bool &changed) {
  auto setArguments = [&](Block &body, InferState &to) {
    unsigned next = 0;
    for (ArrayRef<Knowledge> part :
         {fixedBefore, ArrayRef<Knowledge>(carried), fixedAfter})
      for (const Knowledge &knowledge : part)
        if (next < body.getNumArguments())
          setArgument(body.getArgument(next++), knowledge, to);
  };
  // Every round forgets at least one dimension.
  while (true) {
    Operation *trial = op->clone();
    llvm::scope_exit erase([&] { trial->erase(); });
    InferState copy = state;
    bool ignored = false;
    Block &body = trial->getRegion(0).front();
    setArguments(body, copy);
    LogicalResult result = success();
    {
      // A contradiction may come from a size that changes.
      ScopedDiagnosticHandler quiet(op->getContext(),
                                    [](Diagnostic &) { return success(); });
      result = inferBlockTypes(body, copy, ignored);
    }
    if (failed(result))
      break;
    Operation *yield = body.getTerminator();
    bool forgot = false;
    for (auto [i, knowledge] : llvm::enumerate(carried)) {
      if (firstYield + i >= yield->getNumOperands())
        break;
      Knowledge next = Knowledge::of(yield->getOperand(firstYield + i), copy);
      if (!knowledge.element)
        knowledge.element = next.element;
      forgot |= knowledge.meet(next);
    }
    if (!forgot)
      break;
  }
  Block &body = op->getRegion(0).front();
  SmallVector<Type> before = llvm::to_vector(body.getArgumentTypes());
  setArguments(body, state);
  changed |= before != llvm::to_vector(body.getArgumentTypes());
  return inferBlockTypes(body, state, changed);
}

/// The scores (batch, heads, queries, keys), which both subgraphs take.
static Knowledge getScores(FlexAttentionOp op, InferState &state) {
  Knowledge q = Knowledge::of(op.getQ(), state);
  Knowledge k = Knowledge::of(op.getK(), state);
  Knowledge scores;
  if (q.shape && k.shape && q.shape->size() == 4 && k.shape->size() == 4)
    scores.shape =
        Shape{(*q.shape)[0], (*q.shape)[1], (*q.shape)[2], (*k.shape)[2]};
  if (op.getSoftmaxPrecision())
    scores.element = getElementType(op.getContext(), *op.getSoftmaxPrecision());
  else if (q.element)
    scores.element =
        q.element.isF64() ? q.element : Type(Float32Type::get(op.getContext()));
  return scores;
}

LogicalResult onnx::inferRegionTypes(Operation *op, InferState &state,
                                     bool &changed) {
  if (auto loop = dyn_cast<LoopOp>(op)) {
    Builder builder(op->getContext());
    SmallVector<Knowledge> before = {{Shape(), builder.getI64Type()},
                                     {Shape(), builder.getI1Type()}};
    SmallVector<Knowledge> carried;
    for (Value value : loop.getVInitial())
      carried.push_back(Knowledge::of(value, state));
    return inferLoopBody(op, state, before, carried, {}, 1, changed);
  }
  if (auto scan = dyn_cast<ScanOp>(op)) {
    unsigned states = scan.getInputs().size() - scan.getNumScanInputs();
    SmallVector<Knowledge> carried, slices;
    for (auto [i, value] : llvm::enumerate(scan.getInputs())) {
      Knowledge knowledge = Knowledge::of(value, state);
      if (i < states) {
        carried.push_back(knowledge);
        continue;
      }
      if (knowledge.shape && !knowledge.shape->empty()) {
        int64_t rank = knowledge.shape->size();
        int64_t axis = scan.getScanInputAxes()
                           ? (*scan.getScanInputAxes())[i - states]
                           : 0;
        axis = axis < 0 ? axis + rank : axis;
        if (axis < 0 || axis >= rank)
          return scan.emitOpError() << "scan_input_axes has " << axis
                                    << " for an operand of rank " << rank;
        knowledge.shape->erase(knowledge.shape->begin() + axis);
      }
      slices.push_back(knowledge);
    }
    return inferLoopBody(op, state, {}, carried, slices, 0, changed);
  }
  if (auto attention = dyn_cast<FlexAttentionOp>(op)) {
    Knowledge scores = getScores(attention, state);
    for (Region &region : op->getRegions())
      if (!region.empty() && region.getNumArguments() == 1) {
        Type before = region.getArgument(0).getType();
        setArgument(region.getArgument(0), scores, state);
        changed |= before != region.getArgument(0).getType();
      }
  }
  if (auto map = dyn_cast<SequenceMapOp>(op))
    for (auto [value, argument] :
         llvm::zip(map.getInputs(), map.getBody().getArguments())) {
      Knowledge knowledge = Knowledge::of(value, state);
      knowledge.container = Type();
      Type before = argument.getType();
      setArgument(argument, knowledge, state);
      changed |= argument.getType() != before;
    }
  for (Region &region : op->getRegions())
    for (Block &block : region)
      if (failed(inferBlockTypes(block, state, changed)))
        return failure();
  return success();
}

/// Replaces an If by the operations of one branch.
static LogicalResult inlineTakenBranch(IfOp op, bool taken, InferState &state,
                                       bool &changed) {
  Block &branch =
      taken ? op.getThenBranch().front() : op.getElseBranch().front();
  if (failed(inferBlockTypes(branch, state, changed)))
    return failure();
  Operation *yield = branch.getTerminator();
  SmallVector<Value> outputs = llvm::to_vector(yield->getOperands());
  yield->erase();
  op->walk([&](Operation *nested) {
    if (nested->getBlock() != &branch)
      state.forget(nested);
  });
  op->getBlock()->getOperations().splice(op->getIterator(),
                                         branch.getOperations());
  op->replaceAllUsesWith(outputs);
  op->erase();
  changed = true;
  return success();
}

LogicalResult onnx::inferBlockTypes(Block &block, InferState &state,
                                    bool &changed) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    // The branch not taken may hold contradictions: it is for other shapes.
    if (auto branch = dyn_cast<IfOp>(op)) {
      std::optional<Shape> condition = state.getContents(branch.getCond());
      if (condition && condition->size() == 1 &&
          condition->front().isConstant()) {
        if (failed(inlineTakenBranch(
                branch, condition->front().getConstant() != 0, state, changed)))
          return failure();
        continue;
      }
    }
    if (failed(inferRegionTypes(&op, state, changed)) ||
        failed(inferResultTypes(&op, state, changed)))
      return failure();
  }
  return success();
}

LogicalResult LoopOp::inferShapes(InferContext &context) {
  InferState &state = context.getState();
  Block &body = getBody().front();
  auto yield = dyn_cast_if_present<YieldOp>(body.getTerminator());
  if (!yield)
    return success();
  unsigned carried = getVInitial().size();
  Dim trips;
  // Without a condition that may stop it, the count is the trip count.
  bool stops =
      context.hasOperand(1) || yield.getOutputs()[0] != body.getArgument(1);
  if (std::optional<Shape> count = context.getContents(0);
      count && count->size() == 1 && !stops)
    trips = (*count)[0];
  for (unsigned i = 0, e = getNumResults(); i < e; ++i) {
    Knowledge last = Knowledge::of(yield.getOutputs()[i + 1], state);
    context.setElementType(i, last.element);
    if (i < carried) {
      // With no iteration the initial value is the result.
      last.meet(Knowledge::of(getVInitial()[i], state));
      if (last.container)
        context.setContainer(i, last.container);
    } else if (last.shape) {
      last.shape->insert(last.shape->begin(), trips);
    }
    if (last.shape)
      context.setShape(i, *last.shape);
  }
  return success();
}

LogicalResult ScanOp::inferShapes(InferContext &context) {
  InferState &state = context.getState();
  auto yield = dyn_cast_if_present<YieldOp>(getBody().front().getTerminator());
  if (!yield)
    return success();
  unsigned states = getInputs().size() - getNumScanInputs();
  Dim trips;
  if (std::optional<Shape> shape = context.getShape(states);
      shape && !shape->empty()) {
    std::optional<int64_t> axis = context.normalizeAxis(
        getScanInputAxes() ? getScanInputAxes()->front() : 0, shape->size());
    if (!axis)
      return failure();
    trips = (*shape)[*axis];
  }
  for (unsigned i = 0, e = getNumResults(); i < e; ++i) {
    Knowledge last = Knowledge::of(yield.getOutputs()[i], state);
    context.setElementType(i, last.element);
    if (i < states) {
      last.meet(Knowledge::of(getInputs()[i], state));
    } else if (last.shape) {
      std::optional<int64_t> axis = context.normalizeAxis(
          getScanOutputAxes() ? (*getScanOutputAxes())[i - states] : 0,
          last.shape->size() + 1);
      if (!axis)
        return failure();
      last.shape->insert(last.shape->begin() + *axis, trips);
    }
    if (last.shape)
      context.setShape(i, *last.shape);
  }
  return success();
}

LogicalResult FlexAttentionOp::inferShapes(InferContext &context) {
  std::optional<Shape> q = context.getShape(0), k = context.getShape(1),
                       v = context.getShape(2);
  if (!q || !k || !v)
    return success();
  if (failed(context.checkRank("Q", *q, 4, 4)) ||
      failed(context.checkRank("K", *k, 4, 4)) ||
      failed(context.checkRank("V", *v, 4, 4)))
    return failure();
  if ((*q)[1].isConstant() && (*k)[1].isConstant() &&
      ((*k)[1].getConstant() < 1 ||
       (*q)[1].getConstant() % (*k)[1].getConstant() != 0))
    return context.emitError() << "Q has " << (*q)[1].getConstant()
                               << " heads, expected a multiple of the "
                               << (*k)[1].getConstant() << " heads of K";
  if ((*q)[3].isConstant() && (*k)[3].isConstant() && (*q)[3] != (*k)[3])
    return context.emitError()
           << "Q of shape " << toString(*q) << " and K of shape "
           << toString(*k) << " have different head sizes";
  context.setShape(0, {(*q)[0], (*q)[1], (*q)[2], (*v)[3]});
  return success();
}

LogicalResult SequenceMapOp::inferShapes(InferContext &context) {
  auto yield = dyn_cast_if_present<YieldOp>(getBody().front().getTerminator());
  if (!yield)
    return success();
  for (unsigned i = 0, e = getNumResults(); i < e; ++i) {
    Value output = yield.getOutputs()[i];
    TensorType type = getTensorPart(output.getType());
    if (!type)
      return context.emitError()
             << "body gives " << output.getType() << " for result #" << i
             << ", expected a tensor";
    context.setContainer(i, SeqType::get(getContext(), type));
    if (auto shape = context.getState().getShape(output)) {
      // What the iterations have in common are the sizes known before.
      for (Dim &dim : *shape)
        dim = dim.isConstant() ? dim : Dim();
      context.setShape(i, *shape);
    }
    if (!isa<UnknownType>(type.getElementType()))
      context.setElementType(i, type.getElementType());
  }
  return success();
}
