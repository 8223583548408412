//===- QuantizationPlan.cpp - Which values become bytes -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "QuantizationPlan.h"
#include "Match.h"
#include "QuantizationForms.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace nibble::onnx {
namespace {

bool isFloatTensor(Value value) {
  RankedTensorType type = getRanked(value);
  return type && type.getElementType().isF32();
}

bool isConstant(Value value) { return value.getDefiningOp<ConstantOp>(); }

/// Functions of one element. After a sum or another function they are computed
/// in the same loop, before anything is rounded.
bool isFunction(Operation *op) {
  return isa<ReluOp, ClipOp, LeakyReluOp, SigmoidOp, TanhOp, HardSigmoidOp,
             HardSwishOp, SwishOp, GeluOp, EluOp, SoftplusOp, AbsOp, NegOp,
             ErfOp, ExpOp, LogOp, SqrtOp>(op);
}

/// Functions that the stage of a product of bytes has.
bool isStageFunction(Operation *op) {
  if (auto swish = dyn_cast<SwishOp>(op))
    return swish.getAlpha() == 1.0f;
  return isa<ReluOp, ClipOp, SigmoidOp, TanhOp, HardSwishOp, GeluOp>(op);
}

/// Operators that combine bytes and round the result to other bytes.
bool isCombination(Operation *op) {
  if (isFunction(op) ||
      isa<AddOp, SubOp, MulOp, PReluOp, AveragePoolOp, GlobalAveragePoolOp,
          GlobalMaxPoolOp, ReduceMeanOp, ResizeOp>(op))
    return true;
  return isa<DivOp>(op) && isConstant(op->getOperand(1));
}

bool isElementwise(Operation *op) {
  return isFunction(op) || isa<AddOp, SubOp, MulOp, DivOp, PReluOp>(op);
}

/// Operators whose operands and results have one range.
bool keepsCodes(Operation *op) {
  return isMovement(op) || isMovablePad(op) || isa<ConcatOp>(op);
}

/// Operands of an operator between products that may be bytes.
SmallVector<Value> getData(Operation *op) {
  SmallVector<Value> data;
  if (isa<ConcatOp>(op))
    data.assign(op->operand_begin(), op->operand_end());
  else if (isa<AddOp, SubOp, MulOp>(op))
    data = {op->getOperand(0), op->getOperand(1)};
  else if (op->getNumOperands() > 0)
    data = {op->getOperand(0)};
  llvm::erase_if(data, [&](Value value) {
    return !isFloatTensor(value) || (!isa<ConcatOp>(op) && isConstant(value));
  });
  return data;
}

/// An Add of one constant for each output channel of `product`.
bool isBias(Operation *user, Value sum, Operation *product) {
  if (!isa<AddOp>(user) || user->getResult(0).getType() != sum.getType())
    return false;
  Value other = getOther(user, sum);
  RankedTensorType type = getRanked(sum), bias = getRanked(other);
  if (!isConstant(other) || !bias || !bias.hasStaticShape())
    return false;
  int64_t channel = isa<ConvOp>(product) ? 1 : type.getRank() - 1;
  int64_t offset = type.getRank() - bias.getRank();
  return offset <= channel && !type.isDynamicDim(channel) &&
         bias.getDimSize(channel - offset) == type.getDimSize(channel) &&
         bias.getNumElements() == type.getDimSize(channel);
}

/// The codes of a dequantized value and what they mean.
std::optional<ValueGrid> getGrid(Value value) {
  DequantizeLinearOp op = getDequantize(value);
  if (!op)
    return std::nullopt;
  std::optional<double> scale = getElement(op.getXScale()),
                        zero = isPresent(op.getXZeroPoint())
                                   ? getElement(op.getXZeroPoint())
                                   : 0.0;
  if (!scale || !zero || !(*scale > 0))
    return std::nullopt;
  ValueGrid grid;
  grid.scale = static_cast<float>(*scale);
  grid.zero = static_cast<int>(*zero);
  grid.isUnsigned = getElementTypeOrSelf(op.getX()).isUnsignedInteger();
  return grid;
}

/// Smallest and largest element.
std::optional<quantizer::ValueRange> getConstantRange(Value value) {
  FailureOr<ConstantData> data = ConstantData::get(value);
  if (failed(data) || data->getNumElements() == 0)
    return std::nullopt;
  std::vector<float> elements(data->getNumElements());
  if (failed(data->expanded().readFloats(0, elements)))
    return std::nullopt;
  auto [low, high] = std::minmax_element(elements.begin(), elements.end());
  return quantizer::ValueRange{*low, *high};
}

class Planner {
public:
  Planner(Block &block, const PlanInputs &inputs)
      : block(block), inputs(inputs) {}

  QuantizationPlan run() {
    findCandidates();
    // Each rejection takes away what others may have built upon.
    do {
      do {
        findMadeValues();
        findNeeds();
      } while (rejectUnknownRanges());
      assignGrids();
    } while (rejectDoubts());
    explain();
    return std::move(plan);
  }

private:
  void findCandidates();
  std::string checkProduct(Operation *op);
  void findMadeValues();
  void findNeeds();
  bool rejectUnknownRanges();
  bool rejectDoubts();
  void assignGrids();
  void explain();

  /// Operands that must be bytes for `op` to compute in integers.
  SmallVector<Value> getInputs(Operation *op) const {
    if (!isProduct(op))
      return getData(op);
    SmallVector<Value> values = {op->getOperand(0)};
    if (isa<MatMulOp>(op) && isFloatTensor(op->getOperand(1)) &&
        !isConstant(op->getOperand(1)))
      values.push_back(op->getOperand(1));
    return values;
  }

  /// The result of `op` and of the functions that are computed with it.
  Value getResult(Operation *op) const {
    if (isProduct(op))
      return getStageResult(op);
    Value value = op->getResult(0);
    if (isElementwise(op))
      while (Operation *user = getOnlyUser(value)) {
        if (!isFunction(user) ||
            user->getResult(0).getType() != value.getType())
          break;
        value = user->getResult(0);
      }
    return value;
  }

  Block &block;
  const PlanInputs &inputs;
  QuantizationPlan plan;
  /// Operators that may compute in integers; those that may not, and why.
  SetVector<Operation *> candidates;
  DenseMap<Operation *, std::string> rejected;
  /// Functions that are computed along with what comes before.
  DenseSet<Operation *> inner;
  DenseSet<Value> needed;
};

void Planner::findCandidates() {
  for (Operation &op : block) {
    if (inner.contains(&op) || op.getNumResults() == 0 ||
        isa<ConstantOp, QuantizeLinearOp, DequantizeLinearOp>(op))
      continue;
    bool product = isProduct(&op);
    if (!product && !isCombination(&op) && !keepsCodes(&op))
      continue;
    if (!isFloatTensor(op.getResult(0)) || op.getNumOperands() == 0)
      continue;
    std::string reason = product ? checkProduct(&op) : std::string();
    if (reason.empty())
      reason = inputs.getObjection(&op);
    if (!reason.empty())
      rejected[&op] = reason;
    else
      candidates.insert(&op);
    if (keepsCodes(&op) && !isElementwise(&op))
      continue;
    for (Value value = getResult(&op); value != op.getResult(0);
         value = value.getDefiningOp()->getOperand(
             isConstant(value.getDefiningOp()->getOperand(0)) ? 1 : 0))
      inner.insert(value.getDefiningOp());
  }
}

std::string Planner::checkProduct(Operation *op) {
  if (isa<ConvTransposeOp>(op))
    return "there is no transposed convolution of integers";
  if (!isFloatTensor(op->getOperand(0)))
    return "its activations are not float32";
  Value weight = op->getOperand(1);
  RankedTensorType type = getRanked(weight),
                   left = getRanked(op->getOperand(0));
  if (!isFloatTensor(weight))
    return "its weight is not float32";
  if (isConstant(op->getOperand(0)))
    return "its left factor is a constant";
  auto dequantize = weight.getDefiningOp<DequantizeLinearOp>();
  bool constant =
      isConstant(weight) || (dequantize && isConstant(dequantize.getX()));
  if (isa<MatMulOp>(op)) {
    if (left.getRank() < 2 || type.getRank() < 2)
      return "a factor is a vector";
    if (isConstant(weight) && type.getRank() != 2)
      return "its weight is more than one matrix";
    int64_t rank = type.getRank();
    if (rank > 2 && rank != left.getRank())
      return "there are more matrices on one side than on the other";
    if (type.isDynamicDim(rank - 1) || type.isDynamicDim(rank - 2))
      return "a size of its second factor is not known";
    return "";
  }
  if (!constant)
    return "its weight is not a constant";
  if (auto gemm = dyn_cast<GemmOp>(op)) {
    // Scales have alpha as a factor.
    if (!(gemm.getAlpha() >= std::numeric_limits<float>::min() &&
          gemm.getAlpha() <= std::numeric_limits<float>::max()))
      return "alpha is not a positive, normal number";
    Value bias = gemm.getC();
    RankedTensorType biasType = getRanked(bias);
    int64_t n = getRanked(gemm.getY()).getDimSize(1);
    if (isPresent(bias) &&
        (!isConstant(bias) || !biasType || !biasType.hasStaticShape() ||
         biasType.getRank() == 0 || biasType.getShape().back() != n ||
         biasType.getNumElements() != n))
      return "C is not one constant for each column";
  } else if (isPresent(op->getOperand(2)) && !isConstant(op->getOperand(2)) &&
             isConstant(weight)) {
    return "its bias is not a constant";
  }
  return "";
}

/// Which values integers make, from the first operator on.
void Planner::findMadeValues() {
  plan.made.clear();
  for (Operation &op : block) {
    if (auto dequantize = dyn_cast<DequantizeLinearOp>(op)) {
      if (std::optional<ValueGrid> grid = getGrid(dequantize.getY()))
        if (!isConstant(dequantize.getX())) {
          plan.quantized[dequantize.getY()] = *grid;
          plan.made.insert(dequantize.getY());
        }
      continue;
    }
    if (!candidates.contains(&op))
      continue;
    // Computing in floats before the first product costs no conversion more
    // and rounds once.
    if (!isProduct(&op) && llvm::none_of(getData(&op), [&](Value value) {
          return plan.made.contains(value);
        }))
      continue;
    if (keepsCodes(&op) && !isElementwise(&op)) {
      for (Value result : op.getResults())
        if (isFloatTensor(result))
          plan.made.insert(result);
    } else {
      plan.made.insert(getResult(&op));
    }
  }
}

/// Which values products read, from the last operator on.
void Planner::findNeeds() {
  needed.clear();
  plan.integers.clear();
  for (Operation &op : llvm::reverse(block)) {
    if (!candidates.contains(&op))
      continue;
    if (!isProduct(&op)) {
      auto isWanted = [&](Value value) {
        return needed.contains(value) && plan.made.contains(value);
      };
      bool wanted = keepsCodes(&op) ? llvm::any_of(op.getResults(), isWanted)
                                    : isWanted(getResult(&op));
      if (!wanted)
        continue;
    }
    plan.integers.insert(&op);
    for (Value value : getInputs(&op))
      needed.insert(value);
  }
}

/// Takes back operators that read a value without a range. A value that is
/// only moved has the range of where it comes from.
bool Planner::rejectUnknownRanges() {
  bool changed = false;
  for (Operation *op : llvm::make_early_inc_range(candidates.getArrayRef())) {
    if (!plan.integers.contains(op))
      continue;
    for (Value value : getInputs(op)) {
      Operation *source = value.getDefiningOp();
      if ((source && plan.integers.contains(source) && keepsCodes(source)) ||
          plan.quantized.contains(value))
        continue;
      std::optional<quantizer::ValueRange> range =
          isConstant(value) ? getConstantRange(value) : inputs.getRange(value);
      if (range)
        continue;
      rejected[op] = "the statistics have no range of its input \"" +
                     inputs.getName(value) + "\"";
      changed = true;
      break;
    }
  }
  candidates.remove_if([&](Operation *op) { return rejected.contains(op); });
  return changed;
}

/// Takes back products that lose too much.
bool Planner::rejectDoubts() {
  bool changed = false;
  for (Operation *op : candidates) {
    auto grid = plan.values.find(isProduct(op) ? op->getOperand(0) : Value());
    if (!plan.integers.contains(op) || grid == plan.values.end())
      continue;
    std::string doubt = inputs.getDoubt(op, grid->second);
    if (doubt.empty())
      continue;
    rejected[op] = doubt;
    changed = true;
  }
  candidates.remove_if([&](Operation *op) { return rejected.contains(op); });
  return changed;
}

/// One grid for all values that keep their codes on the way from one to the
/// next.
void Planner::assignGrids() {
  plan.values.clear();
  llvm::EquivalenceClasses<void *> classes;
  llvm::SmallVector<Value> values;
  auto add = [&](Value value) {
    if (needed.contains(value)) {
      values.push_back(value);
      classes.insert(value.getAsOpaquePointer());
    }
  };
  for (BlockArgument argument : block.getArguments())
    add(argument);
  for (Operation &op : block)
    for (Value result : op.getResults())
      add(result);
  // The grid of a class that holds a value of the model's own.
  DenseMap<void *, ValueGrid> fixed;
  for (Value value : values)
    if (plan.quantized.contains(value))
      fixed[value.getAsOpaquePointer()] = plan.quantized.lookup(value);
  auto join = [&](Value a, Value b) {
    void *x = classes.getLeaderValue(a.getAsOpaquePointer()),
         *y = classes.getLeaderValue(b.getAsOpaquePointer());
    if (x == y)
      return;
    bool hasX = fixed.contains(x), hasY = fixed.contains(y);
    // Trained scales stay as they are: the codes are computed anew between.
    if (hasX && hasY)
      return;
    ValueGrid grid = hasX ? fixed.lookup(x) : fixed.lookup(y);
    void *leader = *classes.unionSets(x, y);
    if (hasX || hasY)
      fixed[leader] = grid;
  };
  for (Operation *op : candidates) {
    if (!plan.integers.contains(op) || !keepsCodes(op))
      continue;
    SmallVector<Value> members = getData(op);
    for (Value result : op->getResults())
      if (needed.contains(result))
        members.push_back(result);
    for (Value member : ArrayRef(members).drop_front())
      join(members[0], member);
  }

  DenseMap<void *, quantizer::ValueRange> ranges;
  for (Value value : values) {
    std::optional<quantizer::ValueRange> range =
        isConstant(value) ? getConstantRange(value) : inputs.getRange(value);
    if (!range)
      continue;
    if (Operation *op = value.getDefiningOp())
      if (std::optional<Bounds> bounds = getBounds(op)) {
        range->low = std::clamp(range->low, bounds->low, bounds->high);
        range->high = std::clamp(range->high, bounds->low, bounds->high);
      }
    void *leader = classes.getLeaderValue(value.getAsOpaquePointer());
    auto [entry, first] = ranges.try_emplace(leader, *range);
    if (!first)
      entry->second = entry->second.join(*range);
  }
  for (Value value : values) {
    if (plan.quantized.contains(value))
      continue;
    void *leader = classes.getLeaderValue(value.getAsOpaquePointer());
    ValueGrid grid;
    if (auto known = fixed.find(leader); known != fixed.end()) {
      grid = known->second;
    } else {
      static_cast<quantizer::ActivationGrid &>(grid) =
          quantizer::chooseGrid(ranges.lookup(leader), inputs.format);
      grid.isUnsigned = inputs.format.isUnsigned;
    }
    plan.values[value] = grid;
  }
}

void Planner::explain() {
  for (Operation &op : block) {
    if (plan.integers.contains(&op)) {
      if (isProduct(&op) && isConstant(op.getOperand(1)))
        plan.products.push_back(&op);
      continue;
    }
    if (inner.contains(&op) || op.getNumResults() == 0 ||
        isa<ConstantOp, QuantizeLinearOp, DequantizeLinearOp>(op) ||
        !isFloatTensor(op.getResult(0)))
      continue;
    bool readsBytes = llvm::any_of(op.getOperands(), [&](Value value) {
      return plan.made.contains(value);
    });
    if (auto reason = rejected.find(&op); reason != rejected.end()) {
      if (readsBytes || isProduct(&op))
        plan.floats.emplace_back(&op, reason->second);
    } else if (readsBytes) {
      plan.floats.emplace_back(&op,
                               candidates.contains(&op)
                                   ? "no product of integers needs its result"
                                   : "the operator has no integer form");
    }
  }
}

} // namespace

bool isProduct(Operation *op) {
  return isa<ConvOp, ConvTransposeOp, MatMulOp, GemmOp>(op);
}

LayerChoice resolveChoice(QuantizationConfig &rules,
                          const LayerChoice &commandLine, Operation *op) {
  SmallVector<StringRef> names;
  auto add = [&](Operation *named) {
    auto name = named->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr);
    if (name && !name.empty())
      names.push_back(name.getValue());
  };
  add(op);
  if (isProduct(op) && isConstant(op->getOperand(1)))
    add(op->getOperand(1).getDefiningOp());
  StringRef type = op->getName().getStringRef();
  type.consume_front("onnx.");
  return rules.resolve(commandLine, names, type);
}

Value getStageResult(Operation *op) {
  Value value = op->getResult(0);
  if (isa<ConvTransposeOp>(op))
    return value;
  Operation *user = getOnlyUser(value);
  if (user && isBias(user, value, op)) {
    value = user->getResult(0);
    user = getOnlyUser(value);
  }
  if (user && isStageFunction(user) &&
      user->getResult(0).getType() == value.getType() &&
      user->getOperand(0) == value)
    value = user->getResult(0);
  return value;
}

QuantizationPlan planQuantization(Block &block, const PlanInputs &inputs) {
  return Planner(block, inputs).run();
}

} // namespace nibble::onnx
