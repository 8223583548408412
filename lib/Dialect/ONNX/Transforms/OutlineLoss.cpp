//===- OutlineLoss.cpp - The error of a part of a model -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/Transforms/OutlineLoss.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

/// Constants up to this are part of the code: numbers, axes, small shapes.
static constexpr int64_t maxInlineElements = 16;

namespace {
class LossOutliner {
public:
  LossOutliner(ArrayRef<SizedValue> inputs, SizedValue result,
               ArrayRef<Operation *> layers, ArrayRef<Operation *> others)
      : inputs(inputs), result(result), layers(layers), others(others),
        builder(result.value.getContext()) {}

  FailureOr<LossFunction> run();

private:
  LogicalResult findNeeded();
  LogicalResult cloneOp(Operation *op);
  LogicalResult setWeight(Operation *clone, unsigned layer);
  Value addArgument(LossFunction::Argument argument, RankedTensorType type);
  Value importConstant(ConstantOp op);
  Value importInput(Value value);
  void addLoss();
  void dropEmptyPasts();
  void eraseUnusedArguments();
  LogicalResult differentiate();
  LogicalResult runPasses(llvm::function_ref<void(PassManager &)> add);

  ArrayRef<SizedValue> inputs;
  SizedValue result;
  ArrayRef<Operation *> layers, others;
  OpBuilder builder;
  llvm::SetVector<Operation *> needed;
  IRMapping mapping;
  DenseMap<Attribute, Value> constants;
  LossFunction loss;
  func::FuncOp function;
};
} // namespace

static std::string describe(Operation *op) {
  auto name = op->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr);
  return op->getName().stripDialect().str() +
         (name ? " '" + name.getValue().str() + "'" : "");
}

/// Marks what computes the result from the inputs.
LogicalResult LossOutliner::findNeeded() {
  DenseSet<Value> given;
  for (const SizedValue &input : inputs)
    given.insert(input.value);
  SmallVector<Value> worklist = {result.value};
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (given.contains(value))
      continue;
    Operation *op = value.getDefiningOp();
    if (!op)
      return emitError(value.getLoc(), "an input that is not kept is needed");
    if (!needed.insert(op))
      continue;
    if (llvm::is_contained(others, op))
      return op->emitError()
             << describe(op) << " belongs to another part of the model";
    if (op->getNumRegions() != 0)
      return op->emitError()
             << describe(op) << " has no derivative: it has a body";
    unsigned weight = llvm::is_contained(layers, op) ? 1 : ~0u;
    for (OpOperand &operand : op->getOpOperands())
      if (operand.getOperandNumber() != weight)
        worklist.push_back(operand.get());
  }
  for (Operation *layer : layers)
    if (!needed.contains(layer))
      return layer->emitError()
             << describe(layer) << " does not reach the result of its block";
  return success();
}

Value LossOutliner::addArgument(LossFunction::Argument argument,
                                RankedTensorType type) {
  loss.arguments.push_back(argument);
  return function.getBody().front().addArgument(type, builder.getUnknownLoc());
}

Value LossOutliner::importConstant(ConstantOp op) {
  ElementsAttr elements = op.getElements();
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!elements || !type || !type.getElementType().isF32() ||
      type.getNumElements() <= maxInlineElements)
    return builder.clone(*op.getOperation())->getResult(0);
  Value &known = constants[elements];
  if (!known) {
    LossFunction::Argument argument;
    argument.constant = elements;
    known = addArgument(argument, type);
  }
  return known;
}

Value LossOutliner::importInput(Value value) {
  const SizedValue *input = llvm::find_if(
      inputs, [&](const SizedValue &known) { return known.value == value; });
  LossFunction::Argument argument;
  argument.input = value;
  return addArgument(argument, input->type);
}

/// Gives a copied layer its weight as an argument.
LogicalResult LossOutliner::setWeight(Operation *clone, unsigned layer) {
  auto type = dyn_cast<RankedTensorType>(clone->getOperand(1).getType());
  bool isProduct = isa<MatMulOp, GemmOp>(clone);
  if (!type || !type.hasStaticShape() || !type.getElementType().isF32() ||
      !(isa<ConvOp>(clone) || (isProduct && type.getRank() == 2)))
    return clone->emitError()
           << describe(clone) << " has no weight that can be learned";
  auto gemm = dyn_cast<GemmOp>(clone);
  bool flip = isProduct && !(gemm && gemm.getTransB());
  LossFunction::Argument argument;
  argument.layer = layer;
  if (!flip) {
    clone->setOperand(1, addArgument(argument, type));
    return success();
  }
  auto flipped = RankedTensorType::get({type.getDimSize(1), type.getDimSize(0)},
                                       type.getElementType());
  Value weight = addArgument(argument, flipped);
  OpBuilder b(clone);
  auto transpose = TransposeOp::create(
      b, clone->getLoc(), TypeRange(type), ValueRange(weight),
      {b.getNamedAttr("perm", b.getDenseI64ArrayAttr({1, 0}))});
  clone->setOperand(1, transpose->getResult(0));
  return success();
}

LogicalResult LossOutliner::cloneOp(Operation *op) {
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    mapping.map(op->getResult(0), importConstant(constant));
    return success();
  }
  auto layer = llvm::find(layers, op);
  for (OpOperand &operand : op->getOpOperands()) {
    bool isWeight = layer != layers.end() && operand.getOperandNumber() == 1;
    if (!isWeight && !mapping.contains(operand.get()))
      mapping.map(operand.get(), importInput(operand.get()));
  }
  Operation *clone = builder.clone(*op, mapping);
  return layer == layers.end()
             ? success()
             : setWeight(clone, std::distance(layers.begin(), layer));
}

void LossOutliner::addLoss() {
  LossFunction::Argument argument;
  argument.isTarget = true;
  Location loc = builder.getUnknownLoc();
  Value value = mapping.lookup(result.value);
  Value target = addArgument(argument, result.type);
  auto emit = [&](StringRef name, ValueRange operands,
                  ArrayRef<NamedAttribute> attrs = {}) {
    OperationState state(loc, ("onnx." + name).str());
    state.addOperands(operands);
    state.addAttributes(attrs);
    state.addTypes(getUnknownTensorType(builder.getContext()));
    return builder.create(state)->getResult(0);
  };
  Value difference = emit("Sub", {value, target});
  Value axis =
      onnx::ConstantOp::create(builder, loc,
                               cast<DenseElementsAttr>(builder.getI64TensorAttr(
                                   {result.type.getRank() - 1})));
  Value sum =
      emit("ReduceSumSquare", {difference, axis},
           builder.getNamedAttr("keepdims", builder.getI64IntegerAttr(0)));
  func::ReturnOp::create(builder, loc, sum);
  function.setFunctionType(builder.getFunctionType(
      function.getBody().front().getArgumentTypes(), sum.getType()));
}

LogicalResult
LossOutliner::runPasses(llvm::function_ref<void(PassManager &)> add) {
  PassManager passes(builder.getContext(), ModuleOp::getOperationName());
  add(passes);
  return passes.run(*loss.module);
}

/// A cache without positions is none; what attention would append to it is not
/// wanted here.
void LossOutliner::dropEmptyPasts() {
  function.walk([&](AttentionOp op) {
    for (unsigned i : {1u, 2u})
      if (op->getResult(i).use_empty())
        op->getResult(i).setType(builder.getNoneType());
    auto type = dyn_cast<RankedTensorType>(op.getPastKey().getType());
    if (!type || type.getDimSize(2) != 0 || !op->getResult(1).use_empty() ||
        !op->getResult(2).use_empty())
      return;
    OpBuilder b(op);
    Value none = NoValueOp::create(b, op.getLoc(), b.getNoneType());
    op.getPastKeyMutable().assign(none);
    op.getPastValueMutable().assign(none);
  });
}

/// Sizes of arguments are constants by now.
void LossOutliner::eraseUnusedArguments() {
  for (unsigned i = function.getNumArguments(); i-- > 0;)
    if (function.getArgument(i).use_empty()) {
      (void)function.eraseArgument(i);
      loss.arguments.erase(loss.arguments.begin() + i);
    }
}

LogicalResult LossOutliner::differentiate() {
  if (failed(runPasses([](PassManager &passes) {
        passes.addPass(createONNXInferShapesPass());
      })))
    return failure();
  dropEmptyPasts();
  if (failed(runPasses([](PassManager &passes) {
        passes.addPass(createCanonicalizerPass());
      })))
    return failure();
  eraseUnusedArguments();
  ONNXBuildGradientPassOptions options;
  for (unsigned layer = 0; layer != layers.size(); ++layer)
    for (auto [i, argument] : llvm::enumerate(loss.arguments))
      if (argument.layer == layer)
        options.arguments.push_back(i);
  return runPasses([&](PassManager &passes) {
    passes.addPass(createONNXBuildGradientPass(options));
    passes.addPass(createCanonicalizerPass());
    passes.addPass(createCSEPass());
  });
}

FailureOr<LossFunction> LossOutliner::run() {
  if (failed(findNeeded()))
    return failure();
  Location loc = builder.getUnknownLoc();
  loss.module = ModuleOp::create(loc);
  auto original = result.value.getParentRegion()->getParentOfType<ModuleOp>();
  for (NamedAttribute attr : original->getAttrs())
    if (attr.getName().getValue().starts_with("onnx."))
      (*loss.module)->setAttr(attr.getName(), attr.getValue());
  builder.setInsertionPointToEnd(loss.module->getBody());
  function = func::FuncOp::create(builder, loc, "main_graph",
                                  builder.getFunctionType({}, {}));
  builder.setInsertionPointToEnd(function.addEntryBlock());
  for (Operation &op : *result.value.getParentBlock())
    if (needed.contains(&op) && failed(cloneOp(&op)))
      return failure();
  addLoss();
  if (failed(differentiate()))
    return failure();
  // Names differ between parts that are the same otherwise.
  loss.module->walk(
      [](Operation *op) { op->removeAttr(ONNXDialect::kNameAttr); });
  llvm::raw_string_ostream os(loss.text);
  loss.module->print(os);
  return std::move(loss);
}

FailureOr<LossFunction>
nibble::onnx::outlineLoss(ArrayRef<SizedValue> inputs, SizedValue result,
                          ArrayRef<Operation *> layers,
                          ArrayRef<Operation *> others) {
  return LossOutliner(inputs, result, layers, others).run();
}
