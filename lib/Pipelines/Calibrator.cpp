//===- Calibrator.cpp - Run a model over data and keep statistics ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/Calibrator.h"
#include "mlir/IR/Diagnostics.h"
#include "nibble/Dialect/Nibble/Transforms/Observation.h"
#include "nibble/Execution/CompiledModel.h"
#include "nibble/Pipelines/Compiler.h"
#include "nibble/Support/AtomicFile.h"
#include "nibble/Support/Progress.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <chrono>

using namespace mlir;
using namespace nibble;
using namespace nibble::calibration;

Calibrator::Calibrator(MLIRContext *context, CalibrateOptions options)
    : context(context), options(std::move(options)) {
  nibbleHashBegin(&dataHash);
}

Calibrator::~Calibrator() = default;

LogicalResult Calibrator::fail(const Twine &message) {
  return emitError(UnknownLoc::get(context)) << message;
}
LogicalResult Calibrator::fail(llvm::Error error) {
  return fail(llvm::toString(std::move(error)));
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

LogicalResult Calibrator::compile() {
  CompileOptions compile;
  compile.inputFile = options.inputFile;
  compile.dims = options.dims;
  compile.march = options.march;
  compile.threads = options.collector.threads;
  compile.compileTo = Phase::Nibble;
  if (!options.layersOnly)
    compile.insertedPipelines.push_back(
        {Phase::ONNX, "nibble-observe-tensors"});
  compile.insertedPipelines.push_back({Phase::Nibble, "nibble-observe-layers"});
  Compiler first(context, compile);
  OwningOpRef<ModuleOp> module = first.readInput();
  if (!module)
    return failure();
  if (auto hash = (*module)->getAttrOfType<IntegerAttr>(modelHashAttrName))
    modelHash = hash.getValue().getZExtValue();
  else
    return fail("'" + options.inputFile +
                "' is not an imported model: give the ONNX file");
  if (failed(first.lower(*module)))
    return failure();
  // Numbers lose their names when the model is lowered further.
  collector = std::make_unique<Collector>(options.collector);
  if (failed(addObservations(*module, *collector)))
    return failure();
  if (collector->getNumTensors() + collector->getNumLayers() == 0)
    return fail(
        "'" + options.inputFile +
        "' has nothing to look at: no layer with a weight" +
        (options.layersOnly ? " (--layers-only)" : ", no float tensor"));
  compile.insertedPipelines.clear();
  compile.compileTo = Phase::LLVM;
  FailureOr<target::CpuTarget> cpu = target::CpuTarget::get(
      options.march, [&]() { return emitError(UnknownLoc::get(context)); });
  if (failed(cpu) || failed(Compiler(context, compile).lower(*module)))
    return failure();
  FailureOr<target::ModelInfo> info = target::ModelInfo::fromModule(*module);
  FailureOr<target::WeightLayout> layout =
      target::WeightLayout::fromModule(*module);
  if (failed(info) || failed(layout))
    return failure();
  FailureOr<std::unique_ptr<CompiledModel>> compiled = CompiledModel::compile(
      *module, *info, *layout, *cpu, options.collector.threads);
  if (failed(compiled))
    return failure();
  model = std::move(*compiled);
  auto observer = [](void *user,
                     const nibble_observation *value) -> const char * {
    auto *self = static_cast<Calibrator *>(user);
    llvm::Error error = self->collector->observe(*value);
    if (!error)
      return nullptr;
    self->observerError = llvm::toString(std::move(error));
    return self->observerError.c_str();
  };
  if (nibble_context_observe(model->getContext(), observer, this) != NIBBLE_OK)
    return fail(nibble_last_error(model->getContext()));
  return success();
}

//===----------------------------------------------------------------------===//
// The data
//===----------------------------------------------------------------------===//

LogicalResult Calibrator::openData() {
  auto opened = SampleReader::open(
      options.data, ModelInput::getAll(model->getModel()), options.samples);
  if (!opened)
    return fail(opened.takeError());
  reader = std::move(*opened);
  return success();
}

LogicalResult Calibrator::runBatch(uint64_t index) {
  llvm::Expected<SampleBatch> batch = reader->read(index);
  if (!batch)
    return fail(batch.takeError());
  if (hasCheckpoints())
    batch->addTo(dataHash);
  auto outputs = model->run(batch->inputs);
  if (!outputs) {
    std::string text = llvm::toString(outputs.takeError());
    return fail("with " + batch->place + ": " +
                (observerError.empty() ? text : observerError));
  }
  samplesDone += batch->samples;
  nextBatch = index + 1;
  return success();
}

static double getSeconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

LogicalResult Calibrator::runAll() {
  uint64_t count = reader->getNumBatches();
  Progress progress(*symbolizeProgressMode(options.progress));
  Progress::Scope scope(progress);
  progress.start(static_cast<double>(count - nextBatch));
  double lastCheckpoint = getSeconds();
  for (uint64_t index = nextBatch; index != count; ++index) {
    progress.beginStep(1, "sample " + std::to_string(samplesDone + 1) + " of " +
                              std::to_string(reader->getNumSamples()));
    if (failed(runBatch(index)))
      return failure();
    if (options.checkpointSeconds > 0 &&
        getSeconds() - lastCheckpoint >= options.checkpointSeconds &&
        nextBatch != count) {
      if (failed(writeCheckpoint()))
        return failure();
      lastCheckpoint = getSeconds();
    }
  }
  progress.finish();
  return success();
}

//===----------------------------------------------------------------------===//
// Checkpoints and the result
//===----------------------------------------------------------------------===//

std::string Calibrator::getCheckpointPath() const {
  return options.outputFile + ".checkpoint";
}

LogicalResult Calibrator::writeCheckpoint() {
  if (llvm::Error error = collector->writeCheckpoint(
          getCheckpointPath(),
          {{"model", llvm::utohexstr(modelHash)},
           {"data", llvm::utohexstr(nibbleHashEnd(&dataHash))},
           {"next-batch", std::to_string(nextBatch)},
           {"samples", std::to_string(samplesDone)}}))
    return fail(std::move(error));
  return success();
}

LogicalResult Calibrator::resume() {
  std::string path = getCheckpointPath();
  if (!llvm::sys::fs::exists(path)) {
    emitWarning(UnknownLoc::get(context))
        << "there is no checkpoint '" << path << "': starting from the begin";
    return success();
  }
  auto notes = collector->readCheckpoint(path);
  if (!notes)
    return fail(notes.takeError());
  auto failOther = [&](StringRef what) {
    return fail("'" + path + "' is the checkpoint of another run: " + what +
                "; remove it, or run without --resume");
  };
  if ((*notes)["model"] != llvm::utohexstr(modelHash))
    return failOther("the model is another");
  StringRef next = (*notes)["next-batch"], samples = (*notes)["samples"];
  if (next.getAsInteger(10, nextBatch) || samples.getAsInteger(10, samplesDone))
    return fail("'" + path + "' is damaged: remove it");
  if (nextBatch > reader->getNumBatches())
    return failOther("it has seen more data than there is");
  // What was seen must be what would be seen; the rest is still to come.
  for (uint64_t index = 0; index != nextBatch; ++index) {
    llvm::Expected<SampleBatch> batch = reader->read(index);
    if (!batch)
      return fail(batch.takeError());
    batch->addTo(dataHash);
  }
  if ((*notes)["data"] != llvm::utohexstr(nibbleHashEnd(&dataHash)))
    return failOther("the data are others, or are cut in another way");
  return success();
}

/// Samples below which a method's result is known to depend on which they are.
static uint64_t getAdvisedSamples(const CollectorOptions &options) {
  return options.hessian ? 128 : 100;
}

void Calibrator::adviseOnSamples() {
  uint64_t advised = getAdvisedSamples(options.collector);
  if (samplesDone < advised)
    emitWarning(UnknownLoc::get(context))
        << "only " << samplesDone << " sample" << (samplesDone == 1 ? "" : "s")
        << ": ranges and sums may depend on which they are; " << advised
        << " or more are advised";
}

LogicalResult Calibrator::writeResult() {
  Statistics statistics = collector->getStatistics();
  if (llvm::none_of(statistics.tensors,
                    [](const auto &tensor) { return tensor.count != 0; }) &&
      llvm::none_of(statistics.layers,
                    [](const auto &layer) { return layer.rows != 0; }))
    return fail("no value was seen: the model has " +
                Twine(statistics.tensors.size()) + " float tensors and " +
                Twine(statistics.layers.size()) +
                " layers that could be looked at, and the data gave none of "
                "them an element");
  statistics.modelName = llvm::sys::path::filename(options.inputFile).str();
  statistics.modelHash = modelHash;
  statistics.samples = samplesDone;
  statistics.batches = nextBatch;
  std::optional<AtomicFile> hessianFile;
  if (options.collector.hessian) {
    auto file = AtomicFile::create(getHessianPath(options.outputFile));
    if (!file)
      return fail(file.takeError());
    auto hessians = collector->writeHessians(*file);
    if (!hessians)
      return fail(hessians.takeError());
    statistics.hessians = *hessians;
    if (*hessians)
      hessianFile.emplace(std::move(*file));
  }
  if (llvm::Error error = statistics.write(
          options.outputFile, hessianFile ? &*hessianFile : nullptr))
    return fail(std::move(error));
  llvm::sys::fs::remove(getCheckpointPath());
  return success();
}

LogicalResult Calibrator::checkOutput() {
  if (llvm::Error error = AtomicFile::check(options.outputFile))
    return fail(std::move(error));
  if (options.collector.hessian)
    if (llvm::Error error =
            AtomicFile::check(getHessianPath(options.outputFile)))
      return fail(std::move(error));
  return success();
}

LogicalResult Calibrator::run() {
  if (failed(checkOutput()) || failed(compile()) || failed(openData()) ||
      (options.resume && failed(resume())) || failed(runAll()))
    return failure();
  adviseOnSamples();
  return writeResult();
}
