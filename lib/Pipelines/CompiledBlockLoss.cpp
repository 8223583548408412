//===- CompiledBlockLoss.cpp - The error of a block, compiled -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CompiledBlockLoss.h"

#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Support/Parallel.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::calibration;

//===----------------------------------------------------------------------===//
// FloatModel
//===----------------------------------------------------------------------===//

FloatModel::FloatModel(func::FuncOp entry) : entry(entry) {
  for (Operation &op : entry.getBody().front())
    if (auto name = op.getAttrOfType<StringAttr>(onnx::ONNXDialect::kNameAttr))
      operators[name.getValue()] = &op;
}

/// The names of the operators that `op` was made from, in order.
static SmallVector<StringRef> getNames(Operation *op) {
  SmallVector<StringRef> names;
  if (auto layers = op->getAttrOfType<ArrayAttr>("layers"))
    for (auto name : layers.getAsRange<StringAttr>())
      names.push_back(name.getValue());
  if (names.empty())
    if (auto loc = op->getLoc()->findInstanceOf<NameLoc>())
      names.push_back(loc.getName().getValue());
  return names;
}

Value FloatModel::find(Value value) const {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getArgNumber() < entry.getNumArguments()
               ? entry.getArgument(argument.getArgNumber())
               : Value();
  // What was fused into an operation comes last.
  SmallVector<StringRef> names = getNames(value.getDefiningOp());
  Operation *op = names.empty() ? nullptr : lookup(names.back());
  if (!op || op->getNumResults() == 0)
    return Value();
  auto here = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  auto there = dyn_cast<RankedTensorType>(value.getType());
  bool matches = here && there &&
                 here.getElementType() == there.getElementType() &&
                 succeeded(verifyCompatibleShape(here, there));
  return matches ? op->getResult(0) : Value();
}

Operation *FloatModel::findLayer(QuantizableOpInterface layer) const {
  WeightView view = layer.getWeightView();
  for (StringRef name : getNames(layer)) {
    Operation *op = lookup(name);
    if (!op || !isa<onnx::MatMulOp, onnx::GemmOp, onnx::ConvOp>(op))
      continue;
    auto type = dyn_cast<RankedTensorType>(op->getOperand(1).getType());
    if (type && type.hasStaticShape() &&
        type.getNumElements() == view.rows * view.columns)
      return op;
  }
  return nullptr;
}

//===----------------------------------------------------------------------===//
// CompiledBlockLoss
//===----------------------------------------------------------------------===//

llvm::Expected<StringRef> CompiledBlockLoss::prepare(unsigned batch) {
  llvm::Expected<Function *> function = getFunction(batch);
  if (!function)
    return function.takeError();
  return StringRef((*function)->loss.text);
}

llvm::Expected<CompiledBlockLoss::Function *>
CompiledBlockLoss::getFunction(unsigned number) {
  const BlockLossInput::Batch &batch = input.batches[number];
  SmallVector<onnx::SizedValue> inputs;
  Sizes key;
  for (auto [value, state] : batch.states) {
    key.push_back(batch.sizes.lookup(value));
    auto type = cast<RankedTensorType>(value.getType());
    inputs.push_back(
        {value, RankedTensorType::get(key.back(), type.getElementType())});
  }
  auto [found, isNew] = functions.try_emplace(key);
  Function &function = found->second;
  if (!isNew)
    return &function;
  auto fail = [&](const Twine &reason) {
    functions.erase(key);
    return llvm::createStringError(reason);
  };
  onnx::SizedValue result = {
      input.result,
      RankedTensorType::get(
          batch.target->dims,
          cast<RankedTensorType>(input.result.getType()).getElementType())};
  std::string message;
  {
    ScopedDiagnosticHandler diagnostics(
        input.result.getContext(), [&](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error &&
              message.empty())
            message = diagnostic.str();
          return success();
        });
    FailureOr<onnx::LossFunction> loss =
        onnx::outlineLoss(inputs, result, input.layers, input.others);
    if (failed(loss))
      return fail(message);
    function.loss = std::move(*loss);
  }
  for (const onnx::LossFunction::Argument &argument : function.loss.arguments) {
    std::vector<float> &values = function.constants.emplace_back();
    if (argument.input && !batch.states.lookup(argument.input))
      return fail("an input of the model that is not kept is needed");
    if (!argument.constant)
      continue;
    FailureOr<ConstantData> data = ConstantData::get(
        argument.constant, [&]() { return emitError(input.result.getLoc()); });
    if (failed(data))
      return fail("a constant can't be read");
    values.resize(data->getNumElements());
    if (failed(data->readFloats(0, values)))
      return fail("a constant can't be read");
  }
  return &function;
}

llvm::Expected<double>
CompiledBlockLoss::run(unsigned number, ArrayRef<ArrayRef<float>> weights,
                       ArrayRef<MutableArrayRef<float>> gradients,
                       bool isFirst) {
  const BlockLossInput::Batch &batch = input.batches[number];
  llvm::Expected<Function *> function = getFunction(number);
  if (!function)
    return function.takeError();
  const onnx::LossFunction &loss = (*function)->loss;
  llvm::Expected<CompiledModel *> model =
      runner.compile(*loss.module, loss.text, Phase::ONNX);
  if (!model)
    return model.takeError();
  auto entry = *loss.module.get().getOps<func::FuncOp>().begin();
  std::vector<std::vector<char>> buffers(loss.arguments.size());
  std::vector<nibble_tensor> inputs;
  for (auto [i, argument] : llvm::enumerate(loss.arguments)) {
    auto type = cast<RankedTensorType>(entry.getArgumentTypes()[i]);
    if (argument.layer || argument.constant) {
      ArrayRef<float> values = argument.layer
                                   ? weights[*argument.layer]
                                   : ArrayRef((*function)->constants[i]);
      inputs.push_back(makeTensor(values, type.getShape()));
      continue;
    }
    const StateStore::TensorRef &state =
        argument.isTarget ? batch.target
                          : batch.states.find(argument.input)->second;
    llvm::Expected<ArrayRef<char>> bytes = store.read(*state, buffers[i]);
    if (!bytes)
      return bytes.takeError();
    inputs.push_back(makeTensor(*bytes, state->dims, state->dtype));
  }
  llvm::Expected<ArrayRef<nibble_tensor>> results = (*model)->run(inputs);
  if (!results)
    return results.takeError();
  double sum = 0;
  for (float squares : CompiledModel::elements<float>(results->front()))
    sum += squares;
  for (auto [gradient, part] :
       llvm::zip_equal(gradients, results->drop_front())) {
    ArrayRef<float> values = CompiledModel::elements<float>(part);
    float *to = gradient.data();
    parallelFor(values.size(), 1 << 16, 0, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        to[i] = isFirst ? values[i] : to[i] + values[i];
    });
  }
  return sum;
}

llvm::Expected<double>
CompiledBlockLoss::compute(ArrayRef<unsigned> batches,
                           ArrayRef<ArrayRef<float>> weights,
                           ArrayRef<MutableArrayRef<float>> gradients) {
  double sum = 0, elements = 0;
  for (auto [i, batch] : llvm::enumerate(batches)) {
    llvm::Expected<double> part = run(batch, weights, gradients, i == 0);
    if (!part)
      return part.takeError();
    sum += *part;
    elements += input.batches[batch].target->bytes / sizeof(float);
  }
  return sum / std::max(elements, 1.0);
}
