//===- LowerSequences.cpp - Sequences and optionals to tensors ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SequenceParts.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXLOWERSEQUENCESPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

static bool isContainer(Type type) {
  return isa<SeqType, OptionalType, MapType>(type);
}

/// Why values of a type cannot be compiled; empty if they can.
static std::string getObstacle(Type type) {
  TensorType tensor = getTensorPart(type);
  if (!tensor)
    return "maps cannot be compiled";
  if (!tensor.getElementType().isIntOrFloat())
    return llvm::formatv("sequences and optionals of {0} cannot be compiled",
                         tensor.getElementType());
  auto optional = dyn_cast<OptionalType>(type);
  if (optional && !isa<SeqType, TensorType>(optional.getElementType()))
    return "optionals of optionals cannot be compiled";
  return "";
}

namespace {
/// Rewrites the operations of one function, from the first to the last.
class Rewriter {
public:
  explicit Rewriter(func::FuncOp func) : func(func) {}

  /// Whether there is anything to do.
  bool isNeeded();
  LogicalResult run() { return splitSignature(); }

private:
  LogicalResult rewriteBlock(Block &block);
  LogicalResult splitBlock(Block &block, unsigned first, TypeRange wanted);
  LogicalResult rewriteRegionOp(Operation *op);
  LogicalResult rewriteOp(Operation *op);
  void splitArguments(Block &block);
  void splitOperands(Operation *op, unsigned first = 0, TypeRange wanted = {});
  Parts &get(Value value) { return parts.find(value)->second; }
  Parts fromValues(Type type, ValueRange values);
  LogicalResult splitSignature();

  func::FuncOp func;
  DenseMap<Value, Parts> parts;
  SmallVector<Operation *> replaced;
};
} // namespace

Parts Rewriter::fromValues(Type type, ValueRange values) {
  Parts result;
  result.type = getTensorPart(type);
  result.data = values[0];
  result.shapes = values[1];
  if (values.size() > 2)
    result.present = values[2];
  return result;
}

/// Gives a block two or three arguments in place of one container. The old ones
/// stay behind the new ones until nothing uses them.
void Rewriter::splitArguments(Block &block) {
  for (unsigned i = 0; i < block.getNumArguments(); ++i) {
    BlockArgument argument = block.getArgument(i);
    Type type = argument.getType();
    if (!isContainer(type))
      continue;
    SmallVector<Value> values;
    for (Type part : Parts::getTypes(type))
      values.push_back(block.insertArgument(++i, part, argument.getLoc()));
    parts[argument] = fromValues(type, values);
  }
}

/// The parts of containers in place of them. The operands from `first` on
/// become values of the types `wanted`, which tell the rank of empty sequences.
void Rewriter::splitOperands(Operation *op, unsigned first, TypeRange wanted) {
  OpBuilder builder(op);
  SmallVector<Value> operands;
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    if (!isContainer(operand.getType())) {
      operands.push_back(operand);
      continue;
    }
    // Built where it is needed: other users may be in other blocks.
    Parts value = get(operand);
    if (value.list && value.list->empty() && i >= first &&
        i - first < wanted.size())
      value.type = getTensorPart(wanted[i - first]);
    SequenceBuilder(builder, op->getLoc()).materialize(value);
    operands.append(value.getValues());
  }
  op->setOperands(operands);
}

/// Rewrites a block with its arguments and what it gives back.
LogicalResult Rewriter::splitBlock(Block &block, unsigned first,
                                   TypeRange wanted) {
  size_t outside = replaced.size();
  splitArguments(block);
  if (failed(rewriteBlock(block)))
    return failure();
  splitOperands(block.getTerminator(), first, wanted);
  while (replaced.size() > outside)
    replaced.pop_back_val()->erase();
  block.eraseArguments(
      [](BlockArgument argument) { return isContainer(argument.getType()); });
  return success();
}

/// Operators that pass values through subgraphs.
LogicalResult Rewriter::rewriteRegionOp(Operation *op) {
  // A loop's body yields a condition first, and takes a count and a condition.
  bool isLoop = isa<LoopOp>(op);
  TypeRange results = op->getResultTypes();
  for (Region &region : op->getRegions())
    if (failed(splitBlock(region.front(), isLoop ? 1 : 0, results)))
      return failure();
  splitOperands(op, 2, isLoop ? results : TypeRange());
  if (llvm::none_of(op->getResultTypes(), isContainer))
    return success();
  SmallVector<Type> types;
  for (Type type : op->getResultTypes()) {
    if (isContainer(type))
      types.append(Parts::getTypes(type));
    else
      types.push_back(type);
  }
  OpBuilder builder(op);
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(op->getOperands());
  state.addTypes(types);
  state.addAttributes(op->getAttrs());
  for (Region &region : op->getRegions())
    state.addRegion()->takeBody(region);
  Operation *split = builder.create(state);
  unsigned next = 0;
  for (Value result : op->getResults()) {
    if (!isContainer(result.getType())) {
      result.replaceAllUsesWith(split->getResult(next++));
      continue;
    }
    unsigned count = Parts::getTypes(result.getType()).size();
    parts[result] =
        fromValues(result.getType(), split->getResults().slice(next, count));
    next += count;
  }
  replaced.push_back(op);
  return success();
}

LogicalResult Rewriter::rewriteOp(Operation *op) {
  OpBuilder builder(op);
  SequenceBuilder build(builder, op->getLoc());
  auto optionalPosition = [](Value value) {
    return isa<NoneType>(value.getType()) ? Value() : value;
  };
  auto replace = [&](Value value) {
    op->getResult(0).replaceAllUsesWith(value);
    return success();
  };
  auto define = [&](Parts value) {
    parts[op->getResult(0)] = std::move(value);
    return success();
  };
  replaced.push_back(op);
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](SequenceConstructOp op) {
        Parts made = build.makeEmpty(op.getOutputSequence().getType());
        made.list->assign(op.getInputs().begin(), op.getInputs().end());
        return define(made);
      })
      .Case([&](SequenceEmptyOp op) {
        return define(build.makeEmpty(op.getOutput().getType()));
      })
      .Case([&](SequenceInsertOp op) {
        Parts made = get(op.getInputSequence());
        // An empty start does not know the rank.
        made.type = getTensorPart(op.getOutputSequence().getType());
        return define(build.insert(made, op.getTensor(),
                                   optionalPosition(op.getPosition())));
      })
      .Case([&](SequenceEraseOp op) {
        return define(build.erase(get(op.getInputSequence()),
                                  optionalPosition(op.getPosition())));
      })
      .Case([&](SequenceAtOp op) {
        Parts sequence = get(op.getInputSequence());
        return replace(build.getAt(sequence, op.getPosition()));
      })
      .Case([&](SequenceLengthOp op) {
        return replace(build.getLength(get(op.getInputSequence())));
      })
      .Case([&](SplitToSequenceOp op) { return define(build.split(op)); })
      .Case([&](ConcatFromSequenceOp op) {
        Parts sequence = get(op.getInputSequence());
        return replace(
            build.concat(sequence, op.getAxis(), op.getNewAxis() != 0));
      })
      .Case([&](IdentityOp op) { return define(get(op.getInput())); })
      .Case([&](OptionalOp op) {
        Parts made = build.makeEmpty(op.getOutput().getType());
        Value input = op.getInput();
        bool given = !isa<NoneType>(input.getType());
        if (given && isContainer(input.getType()))
          made = get(input);
        else if (given)
          made.list->push_back(input);
        auto type = cast<OptionalType>(op.getOutput().getType());
        if (isa<SeqType>(type.getElementType()))
          made.present = build.makeBool(given);
        return define(made);
      })
      .Case([&](OptionalHasElementOp op) {
        Type type = op.getInput().getType();
        if (!isa<OptionalType>(type))
          return replace(build.makeBool(!isa<NoneType>(type)));
        Parts value = get(op.getInput());
        if (value.present)
          return replace(value.present);
        if (value.list)
          return replace(build.makeBool(!value.list->empty()));
        Value some = GreaterOp::create(
            builder, op.getLoc(), getUnknownTensorType(op.getContext()),
            build.getLength(value), build.makeInteger(0));
        return replace(some);
      })
      .Case([&](OptionalGetElementOp op) {
        Type type = op.getInput().getType();
        if (isa<TensorType>(type))
          return replace(op.getInput());
        Parts value = get(op.getInput());
        if (isContainer(op.getOutput().getType())) {
          value.present = Value();
          return define(value);
        }
        return replace(build.getAt(value, build.makeInteger(0)));
      })
      .Default([&](Operation *op) {
        return op->emitOpError()
               << "takes or gives a sequence or optional, which only operators "
                  "on sequences do in a compiled model";
      });
}

LogicalResult Rewriter::rewriteBlock(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block.without_terminator())) {
    bool concerned =
        isa<OptionalHasElementOp, OptionalGetElementOp, SplitToSequenceOp>(op);
    for (Type type :
         llvm::concat<Type>(SmallVector<Type>(op.getOperandTypes()),
                            SmallVector<Type>(op.getResultTypes()))) {
      if (!isContainer(type))
        continue;
      concerned = true;
      if (std::string obstacle = getObstacle(type); !obstacle.empty())
        return op.emitOpError(obstacle);
    }
    if (auto map = dyn_cast<SequenceMapOp>(op)) {
      SmallVector<std::optional<Parts>> operands;
      for (Value input : map.getInputs()) {
        operands.emplace_back();
        if (isContainer(input.getType()))
          operands.back() = get(input);
      }
      if (!operands.front())
        return op.emitOpError("maps over a tensor, expected a sequence");
      OpBuilder builder(&op);
      SequenceBuilder build(builder, op.getLoc());
      for (auto [result, made] :
           llvm::zip(op.getResults(), build.map(map, operands)))
        parts[result] = made;
      replaced.push_back(&op);
    } else if (op.getNumRegions() != 0) {
      if (failed(rewriteRegionOp(&op)))
        return failure();
    } else if (concerned && failed(rewriteOp(&op))) {
      return failure();
    }
  }
  return success();
}

/// Names for the parts: NAME, NAME.shapes, NAME.present.
static void splitAttributes(Type type, DictionaryAttr attributes,
                            SmallVectorImpl<Attribute> &out) {
  if (!isContainer(type)) {
    out.push_back(attributes);
    return;
  }
  Builder builder(type.getContext());
  auto name = attributes.getAs<StringAttr>(ONNXDialect::kNameAttr);
  const char *suffixes[] = {"", ".shapes", ".present"};
  for (unsigned i = 0, e = Parts::getTypes(type).size(); i < e; ++i) {
    NamedAttrList named;
    if (name)
      named.set(ONNXDialect::kNameAttr,
                builder.getStringAttr(name.getValue() + suffixes[i]));
    out.push_back(named.getDictionary(type.getContext()));
  }
}

/// Arguments and results of the function: the interface of the model.
LogicalResult Rewriter::splitSignature() {
  SmallVector<Attribute> argumentAttrs, resultAttrs;
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes())) {
    if (isContainer(type) && !getObstacle(type).empty())
      return func.emitError() << "input #" << i << ": " << getObstacle(type);
    splitAttributes(type,
                    func.getArgAttrDict(i)
                        ? func.getArgAttrDict(i)
                        : DictionaryAttr::get(func.getContext()),
                    argumentAttrs);
  }
  for (auto [i, type] : llvm::enumerate(func.getResultTypes())) {
    if (isContainer(type) && !getObstacle(type).empty())
      return func.emitError() << "output #" << i << ": " << getObstacle(type);
    splitAttributes(type,
                    func.getResultAttrDict(i)
                        ? func.getResultAttrDict(i)
                        : DictionaryAttr::get(func.getContext()),
                    resultAttrs);
  }
  Block &entry = func.getBody().front();
  if (failed(splitBlock(entry, 0, func.getResultTypes())))
    return failure();
  func.setFunctionType(
      FunctionType::get(func.getContext(), entry.getArgumentTypes(),
                        entry.getTerminator()->getOperandTypes()));
  func.setAllArgAttrs(argumentAttrs);
  func.setAllResultAttrs(resultAttrs);
  return success();
}

bool Rewriter::isNeeded() {
  bool any = llvm::any_of(func.getArgumentTypes(), isContainer);
  func.walk([&](Operation *op) {
    any |= isa<OptionalHasElementOp, OptionalGetElementOp>(op) ||
           llvm::any_of(op->getResultTypes(), isContainer);
  });
  return any;
}

namespace {
class LowerSequencesPass
    : public onnx::impl::ONNXLowerSequencesPassBase<LowerSequencesPass> {
public:
  using Base::Base;

  void runOnOperation() override {
    bool changed = false;
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      Rewriter rewriter(func);
      if (func.isExternal() || !rewriter.isNeeded())
        continue;
      changed = true;
      if (failed(rewriter.run()))
        return signalPassFailure();
    }
    OpPassManager inference(ModuleOp::getOperationName());
    inference.addPass(createONNXInferShapesPass());
    if (changed && failed(runPipeline(inference, getOperation())))
      return signalPassFailure();
  }
};
} // namespace
