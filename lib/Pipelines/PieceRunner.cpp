//===- PieceRunner.cpp - Compile and run outlined pieces ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PieceRunner.h"

#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
#include "nibble/Pipelines/Compiler.h"
#include "nibble/Quantizer/Packing.h"
#include "nibble/Support/Progress.h"
#include "nibble/Target/ModelInfo.h"
#include "nibble/Target/WeightLayout.h"

using namespace mlir;
using namespace nibble;
using nibble::calibration::StateStore;

/// Pieces that are kept compiled. A decoder needs about six.
static constexpr size_t maxCompiled = 16;

llvm::Expected<CompiledModel *> PieceRunner::compile(ModuleOp original,
                                                     const std::string &text,
                                                     Phase reached) {
  auto found = llvm::find_if(
      compiled, [&](const auto &entry) { return entry.first == text; });
  if (found != compiled.end()) {
    compiled.splice(compiled.begin(), compiled, found);
    return compiled.front().second.get();
  }
  OwningOpRef<ModuleOp> module = original.clone();
  MLIRContext *context = module->getContext();
  (*module)->setAttr(phaseAttrName,
                     StringAttr::get(context, stringifyPhase(reached)));
  CompileOptions options;
  options.compileTo = Phase::LLVM;
  options.threads = threads;
  options.compute = compute;
  // Its steps and remarks are none of the compilation that the user sees.
  ScopedDiagnosticHandler diagnostics(context, [](Diagnostic &diagnostic) {
    return success(diagnostic.getSeverity() != DiagnosticSeverity::Error);
  });
  Progress silent(ProgressMode::Never);
  Progress::Scope scope(silent);
  Compiler compiler(context, options);
  std::unique_ptr<CompiledModel> model;
  if (succeeded(compiler.lower(*module)))
    if (FailureOr<std::unique_ptr<CompiledModel>> made =
            compiler.makeExecutable(*module);
        succeeded(made))
      model = std::move(*made);
  if (!model)
    return llvm::createStringError(
        "a part of the model could not be compiled to run on the samples");
  compiled.push_front({text, std::move(model)});
  if (compiled.size() > maxCompiled)
    compiled.pop_back();
  return compiled.front().second.get();
}

/// Weights of layers go to panels, everything else is passed as it lies in its
/// file, if it is aligned there.
llvm::Error PieceRunner::prepareConstant(const Piece::Argument &argument,
                                         Type type, ArrayRef<float> replacement,
                                         Constant &result) {
  auto shaped = cast<RankedTensorType>(type);
  Operation *user = argument.constant->getOwner();
  auto layer = dyn_cast<QuantizableOpInterface>(user);
  FailureOr<ConstantData> data = ConstantData::get(argument.constant->get());
  if (failed(data))
    return llvm::createStringError("a constant can't be read");
  ConstantData elements = data->expanded();
  ArrayRef<char> bytes = elements.getBytes();
  llvm::append_range(result.dims, shaped.getShape());
  if (argument.packed) {
    WeightView view = layer.getWeightView();
    quantizer::WeightView source{bytes.data(), view.rows, view.columns,
                                 view.rowStride, view.columnStride};
    if (!replacement.empty())
      source = quantizer::WeightView::rowMajor(
          reinterpret_cast<const char *>(replacement.data()), view.rows,
          view.columns);
    result.packed.resize(shaped.getNumElements());
    quantizer::packFloatPanels(source, result.packed, threads);
    result.tensor = makeTensor(ArrayRef(result.packed), result.dims);
    return llvm::Error::success();
  }
  if (!replacement.empty()) {
    // What has no panels, a convolution with groups, has its rows in order.
    result.packed.assign(replacement.begin(), replacement.end());
    result.tensor = makeTensor(ArrayRef(result.packed), result.dims);
    return llvm::Error::success();
  }
  if (!llvm::isAddrAligned(llvm::Align(16), bytes.data()) ||
      elements.getType() != data->getType() || data->isSplat()) {
    result.bytes.assign(bytes.begin(), bytes.end());
    bytes = result.bytes;
  }
  int32_t dtype = shaped.getElementType().isF32()    ? NIBBLE_FLOAT
                  : shaped.getElementType().isF64()  ? NIBBLE_DOUBLE
                  : shaped.getElementType().isF16()  ? NIBBLE_FLOAT16
                  : shaped.getElementType().isBF16() ? NIBBLE_BFLOAT16
                                                     : NIBBLE_UNDEFINED;
  result.tensor = makeTensor(bytes, result.dims, dtype);
  return llvm::Error::success();
}

std::vector<float> PieceRunner::getWeight(QuantizableOpInterface op) const {
  if (auto found = replaced.find(op); found != replaced.end())
    return found->second;
  FailureOr<LayerWeight> weight = readWeight(op);
  if (failed(weight))
    return {};
  const quantizer::WeightView &view = weight->view;
  std::vector<float> values(view.rows * view.cols);
  quantizer::copyTile(view, 0, view.rows, 0, view.cols, values.data());
  return values;
}

llvm::Error PieceRunner::prepare(const Piece &piece, const Weights &own) {
  return prepare(piece, [&](Operation *op) -> ArrayRef<float> {
    if (auto found = own.find(op); found != own.end())
      return found->second;
    if (auto found = replaced.find(op); found != replaced.end())
      return found->second;
    return {};
  });
}

llvm::Error PieceRunner::prepareOriginal(const Piece &piece) {
  return prepare(piece, [](Operation *) { return ArrayRef<float>(); });
}

llvm::Error PieceRunner::prepare(const Piece &piece, FindWeightFn findWeight) {
  constants.clear();
  current = nullptr;
  if (!piece.module)
    return llvm::Error::success();
  llvm::Expected<CompiledModel *> model =
      compile(*piece.module, piece.text, Phase::Quantized);
  if (!model)
    return model.takeError();
  current = *model;
  auto function = *piece.module.get().getOps<func::FuncOp>().begin();
  constants.resize(piece.arguments.size());
  for (auto [i, argument] : llvm::enumerate(piece.arguments)) {
    if (!argument.constant)
      continue;
    Operation *user = argument.constant->getOwner();
    auto layer = dyn_cast<QuantizableOpInterface>(user);
    bool isWeight = layer && &layer.getWeightOperand() == argument.constant;
    if (llvm::Error error = prepareConstant(
            argument, function.getArgumentTypes()[i],
            isWeight ? findWeight(user) : ArrayRef<float>(), constants[i]))
      return error;
  }
  return llvm::Error::success();
}

llvm::Expected<ArrayRef<nibble_tensor>>
PieceRunner::run(const Piece &piece,
                 const llvm::DenseMap<Value, StateStore::TensorRef> &states,
                 StateStore &store) {
  if (!current)
    return ArrayRef<nibble_tensor>();
  std::vector<std::vector<char>> buffers(piece.arguments.size());
  std::vector<nibble_tensor> inputs;
  for (auto [i, argument] : llvm::enumerate(piece.arguments)) {
    if (argument.constant) {
      inputs.push_back(constants[i].tensor);
      continue;
    }
    const StateStore::TensorRef &state = states.at(argument.state);
    llvm::Expected<ArrayRef<char>> bytes = store.read(*state, buffers[i]);
    if (!bytes)
      return bytes.takeError();
    inputs.push_back(makeTensor(*bytes, state->dims, state->dtype));
  }
  llvm::Expected<ArrayRef<nibble_tensor>> results = current->run(inputs);
  if (results)
    return results;
  // A check says its number.
  std::string message = llvm::toString(results.takeError());
  size_t number;
  if (StringRef text = message; text.consume_front("#") &&
                                !text.getAsInteger(10, number) &&
                                number < piece.messages.size())
    message = piece.messages[number];
  return llvm::createStringError(message);
}
