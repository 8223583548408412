//===- OutputMeasurement.cpp - Outputs of layers beside float -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/OutputMeasurement.h"
#include "mlir/Pass/PassManager.h"
#include "nibble/Calibration/Observed.h"
#include "nibble/Calibration/OutputComparison.h"
#include "nibble/Calibration/Samples.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/Nibble/Transforms/Passes.h"
#include "nibble/Execution/CompiledModel.h"
#include "nibble/Pipelines/Compiler.h"
#include "nibble/Support/Progress.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::calibration;

namespace {
using Names = SmallVector<std::string>;

/// A model that shows the outputs of its layers.
struct ObservedModel {
  std::unique_ptr<CompiledModel> model;
  /// By the number of an observation: the layers that the value is of, and its
  /// place in the comparison, -1 if the other model has no such value.
  std::vector<Names> layers;
  std::vector<int64_t> places;
};

class Measurement {
public:
  Measurement(ModuleOp quantized, const CompileOptions &options)
      : module(quantized), options(options) {
    // Its steps are none of the compilation that the user sees, nothing is
    // quantized a second time, and it runs here, whatever --march says.
    plain.inputFile = options.inputFile;
    plain.dims = options.dims;
    plain.threads = options.threads;
    plain.compileTo = Phase::Quantized;
  }

  LogicalResult run(Report &report);

private:
  LogicalResult compileFloat();
  LogicalResult compileQuantized();
  LogicalResult makeObserved(ModuleOp lowered, const CompileOptions &how,
                             ObservedModel &result);
  void matchLayers();
  void matchOutputs();
  LogicalResult runSamples();
  LogicalResult runSample(SampleBatch &sample);
  LogicalResult runModel(ObservedModel &observed, bool isReference,
                         const SampleBatch &sample);
  LogicalResult fail(llvm::Error error) {
    return module.emitError("can't compare outputs for the report: ")
           << llvm::toString(std::move(error));
  }

  ModuleOp module;
  const CompileOptions &options;
  CompileOptions plain;
  ObservedModel reference, quantized;
  /// First layer names of what is compared, in order of the comparison; outputs
  /// of the model, by their numbers, follow.
  std::vector<std::string> compared;
  SmallVector<size_t> outputs;
  std::unique_ptr<OutputComparison> comparison;
};

/// What an observer is given.
struct Listener {
  OutputComparison &comparison;
  const ObservedModel &observed;
  bool isReference;
  std::vector<float> buffer;

  void take(size_t place, ArrayRef<float> values) {
    if (isReference)
      comparison.addReference(place, values);
    else
      comparison.add(place, values);
  }
  static const char *observe(void *user, const nibble_observation *value) {
    auto &self = *static_cast<Listener *>(user);
    int64_t place = self.observed.places[value->id];
    if (place >= 0)
      self.take(place, getFloats(*value, self.buffer));
    return nullptr;
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// The models
//===----------------------------------------------------------------------===//

LogicalResult Measurement::makeObserved(ModuleOp lowered,
                                        const CompileOptions &how,
                                        ObservedModel &result) {
  PassManager passes(lowered.getContext());
  passes.addPass(createNibbleObserveOutputsPass());
  if (failed(passes.run(lowered)))
    return failure();
  lowered.walk([&](ObserveOp op) {
    size_t id = op.getId();
    if (result.layers.size() <= id)
      result.layers.resize(id + 1);
    for (Attribute name : op->getAttrOfType<ArrayAttr>("layers"))
      result.layers[id].push_back(cast<StringAttr>(name).str());
  });
  result.places.assign(result.layers.size(), -1);
  CompileOptions code = how;
  code.compileTo = Phase::LLVM;
  Compiler compiler(lowered.getContext(), code);
  if (failed(compiler.lower(lowered)))
    return failure();
  FailureOr<std::unique_ptr<CompiledModel>> made =
      compiler.makeExecutable(lowered);
  if (failed(made))
    return failure();
  result.model = std::move(*made);
  return success();
}

LogicalResult Measurement::compileFloat() {
  Compiler compiler(module.getContext(), plain);
  OwningOpRef<ModuleOp> original = compiler.readInput();
  if (!original)
    return failure();
  if (auto phase = (*original)->getAttrOfType<StringAttr>(phaseAttrName);
      phase && symbolizePhase(phase.getValue()) >= Phase::Quantized)
    return fail(llvm::createStringError(
        "'" + options.inputFile +
        "' is not in float any more: give the ONNX file"));
  if (failed(compiler.lower(*original)))
    return failure();
  return makeObserved(*original, plain, reference);
}

LogicalResult Measurement::compileQuantized() {
  OwningOpRef<ModuleOp> copy = module.clone();
  CompileOptions how = plain;
  how.compute = options.compute;
  return makeObserved(*copy, how, quantized);
}

/// Values belong together when the same layers are behind them. Names that the
/// float model does not have, of operators that quantize, do not count: codes
/// made by NAME_QuantizeLinear stand for what NAME computes.
void Measurement::matchLayers() {
  auto join = [](ArrayRef<std::string> names) {
    return llvm::join(names, "\n");
  };
  llvm::StringSet<> known;
  llvm::StringMap<size_t> values;
  for (auto [id, names] : llvm::enumerate(reference.layers)) {
    known.insert_range(names);
    values.try_emplace(join(names), id);
  }
  for (auto [id, names] : llvm::enumerate(quantized.layers)) {
    Names computed;
    for (StringRef name : names) {
      if (!known.contains(name))
        name.consume_back("_QuantizeLinear");
      if (known.contains(name) && !llvm::is_contained(computed, name))
        computed.push_back(name.str());
    }
    auto found = values.find(join(computed));
    if (computed.empty() || found == values.end())
      continue;
    reference.places[found->second] = quantized.places[id] = compared.size();
    compared.push_back(computed.front());
    // Another one of the same name is no longer a partner.
    values.erase(found);
  }
}

/// Float outputs but those of keys and values, which are activations too, and
/// many.
void Measurement::matchOutputs() {
  const nibble_model *model = reference.model->getModel();
  llvm::SmallDenseSet<size_t> carried;
  for (size_t i = 0, count = nibble_model_cache_count(model); i != count; ++i)
    carried.insert(nibble_model_cache(model, i)->output);
  for (size_t i = 0, count = nibble_model_output_count(model); i != count; ++i)
    if (!carried.contains(i) &&
        nibble_model_output(model, i)->dtype == NIBBLE_FLOAT)
      outputs.push_back(i);
}

//===----------------------------------------------------------------------===//
// The runs
//===----------------------------------------------------------------------===//

LogicalResult Measurement::runModel(ObservedModel &observed, bool isReference,
                                    const SampleBatch &sample) {
  Listener listener{*comparison, observed, isReference, {}};
  nibble_context *context = observed.model->getContext();
  if (nibble_context_observe(context, Listener::observe, &listener) !=
      NIBBLE_OK)
    return fail(llvm::createStringError(nibble_last_error(context)));
  llvm::Expected<ArrayRef<nibble_tensor>> results =
      observed.model->run(sample.inputs);
  nibble_context_observe(context, nullptr, nullptr);
  if (!results)
    return fail(llvm::createStringError("with " + sample.place + ": " +
                                        llvm::toString(results.takeError())));
  for (auto [place, output] : llvm::enumerate(outputs))
    listener.take(compared.size() + place,
                  CompiledModel::elements<float>((*results)[output]));
  return success();
}

LogicalResult Measurement::runSamples() {
  SampleOptions cut;
  cut.samples = options.reportSamples;
  cut.window = options.window;
  llvm::Expected<std::unique_ptr<SampleReader>> reader = SampleReader::open(
      options.data, ModelInput::getAll(reference.model->getModel()), cut);
  if (!reader)
    return fail(reader.takeError());
  comparison =
      std::make_unique<OutputComparison>(compared.size() + outputs.size());
  for (uint64_t i = 0, count = (*reader)->getNumBatches(); i != count; ++i) {
    reportProgress(i, count, "outputs of layers");
    llvm::Expected<SampleBatch> sample = (*reader)->read(i);
    if (!sample)
      return fail(sample.takeError());
    if (failed(runModel(reference, /*isReference=*/true, *sample)) ||
        failed(runModel(quantized, /*isReference=*/false, *sample)))
      return failure();
    if (llvm::Error error = comparison->endSample())
      return fail(std::move(error));
  }
  return success();
}

LogicalResult Measurement::run(Report &report) {
  {
    Progress silent(ProgressMode::Never);
    Progress::Scope scope(silent);
    if (failed(compileFloat()) || failed(compileQuantized()))
      return failure();
  }
  matchLayers();
  matchOutputs();
  if (failed(runSamples()))
    return failure();
  llvm::StringMap<size_t> places;
  for (auto [place, name] : llvm::enumerate(compared))
    places.try_emplace(name, place);
  for (LayerReport &layer : report.layers)
    if (auto found = places.find(layer.name); found != places.end())
      layer.measured = comparison->getMeasured(found->second);
  for (auto [place, output] : llvm::enumerate(outputs))
    if (auto measured = comparison->getMeasured(compared.size() + place))
      report.outputs.push_back(
          {nibble_model_output(reference.model->getModel(), output)->name,
           *measured});
  report.data = llvm::join(options.data, ", ");
  return success();
}

LogicalResult nibble::measureOutputs(ModuleOp quantized,
                                     const CompileOptions &options,
                                     Report &report) {
  return Measurement(quantized, options).run(report);
}
