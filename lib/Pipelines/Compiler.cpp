//===- Compiler.cpp - One compilation, from a file to a file -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/Compiler.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassRegistry.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/Nibble/Transforms/Observation.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Dialect/Nibble/Transforms/SequentialQuantization.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include "nibble/Execution/CompiledModel.h"
#include "nibble/Format/ONNX/Export.h"
#include "nibble/Format/ONNX/Import.h"
#include "nibble/Pipelines/CompiledBlockRunner.h"
#include "nibble/Pipelines/Estimate.h"
#include "nibble/Pipelines/OutputMeasurement.h"
#include "nibble/Pipelines/Pipelines.h"
#include "nibble/Runtime/nibble.h"
#include "nibble/Support/Progress.h"
#include "nibble/Support/Report.h"
#include "nibble/Target/CudaTarget.h"
#include "nibble/Target/Emit.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace nibble;

Compiler::Compiler(MLIRContext *context, CompileOptions options,
                   PassManagerSetup setup, TimingScope *timing)
    : context(context), options(std::move(options)), setup(std::move(setup)),
      timing(timing ? *timing : noTiming) {}

OwningOpRef<ModuleOp> Compiler::readModule() {
  TimingScope importTiming = timing.nest("import");
  StringRef path = options.inputFile;
  Location loc = FileLineColLoc::get(context, path, 0, 0);
  StringRef extension = llvm::sys::path::extension(path);
  if (extension != ".onnx" && extension != ".mlir" && extension != ".mlirbc") {
    emitError(loc) << "expected a model named X.onnx, X.mlir or X.mlirbc, got '"
                   << path << "'";
    return {};
  }
  if (extension == ".onnx") {
    format::ImportOptions imported;
    for (StringRef text : options.dims) {
      llvm::Expected<std::pair<std::string, int64_t>> dim =
          format::parseDim(text);
      if (!dim) {
        emitError(loc) << llvm::toString(dim.takeError());
        return {};
      }
      imported.dims.push_back(std::move(*dim));
    }
    return format::importONNX(path, context, imported);
  }
  if (!options.dims.empty()) {
    emitError(loc) << "--dim needs a model in ONNX form: dimensions of '"
                   << path << "' were fixed when it was imported";
    return {};
  }
  // References in the IR are relative to the file that holds it.
  auto *dialect = context->getOrLoadDialect<NibbleDialect>();
  StringRef folder = llvm::sys::path::parent_path(path);
  dialect->getFileMap().addSearchDirectory(folder.empty() ? "." : folder);
  ParserConfig config(context);
  return parseSourceFile<ModuleOp>(path, config);
}

OwningOpRef<ModuleOp> Compiler::readInput() {
  OwningOpRef<ModuleOp> module = readModule();
  // What was just imported, here or by nibble-translate, is the model itself.
  if (module && !(*module)->hasAttr(modelHashAttrName) &&
      !(*module)->hasAttr(phaseAttrName)) {
    auto type = IntegerType::get(context, 64);
    (*module)->setAttr(modelHashAttrName,
                       IntegerAttr::get(type, APInt(64, hashModel(*module))));
  }
  return module;
}

FailureOr<target::CpuTarget> Compiler::getCpu() {
  return target::CpuTarget::get(
      options.march, [&]() { return emitError(UnknownLoc::get(context)); });
}

/// The pipeline's options have no copies: they are made where they are used.
void Compiler::setQuantizeOptions(QuantizePipelineOptions &quantize) const {
  quantize.scheme = options.quantize;
  quantize.method = options.method;
  quantize.groupSize = options.groupSize.value_or(0);
  quantize.symmetric = options.symmetric;
  quantize.scaleType = options.scaleType;
  quantize.doubleQuant = options.doubleQuant;
  quantize.scaleRule = options.scaleRule;
  quantize.head = options.head;
  quantize.outlierThreshold = options.outlierThreshold;
  quantize.config = options.configFile;
  quantize.candidates = options.candidates;
  std::string choose;
  for (auto [name, value] :
       {std::pair<StringRef, StringRef>{"budget", options.budget},
        {"max-error", options.maxError},
        {"write-config", options.writeConfigFile}})
    if (!value.empty())
      choose += (name + "='" + value + "' ").str();
  quantize.choose = choose;
  quantize.allowUnfused = options.allowUnfused;
  quantize.calibration = options.calibrationFile;
  quantize.scales =
      llvm::formatv("awq-points={0} awq-clip={1} smoothquant-alpha={2}",
                    options.awq.points, options.awq.clip,
                    options.smoothQuantAlpha)
          .str();
  const quantizer::GPTQOptions &gptq = options.gptq;
  if (gptq.activationOrder && !gptq.staticGroups)
    quantize.choose = choose + "group-index";
  quantize.gptq =
      llvm::formatv("damp-percent={0:f17} damp-auto-increment={1:f17} "
                    "block-size={2} activation-order={3} static-groups={4} "
                    "act-group-aware={5}",
                    gptq.dampPercent, gptq.dampIncrement, gptq.blockSize,
                    gptq.activationOrder, gptq.staticGroups, gptq.groupAware)
          .str();
  const quantizer::AutoRoundOptions &autoRound = options.autoRound;
  quantize.autoRound =
      llvm::formatv("iterations={0} batch-size={1} learning-rate={2:f17} "
                    "learn-range={3} start={4} seed={5}",
                    autoRound.iterations, options.batchSize, autoRound.rate,
                    autoRound.learnRange, options.roundingStart, options.seed)
          .str();
}

void Compiler::setStaticOptions(StaticPipelineOptions &quantize) const {
  quantize.scheme = options.quantize;
  quantize.method = options.method;
  quantize.symmetric = options.symmetric;
  quantize.scaleRule = options.scaleRule;
  quantize.config = options.configFile;
  quantize.calibration = options.calibrationFile;
  quantize.activationType = options.activationType;
  quantize.activationSymmetric = options.activationSymmetric;
  quantize.biasCorrection = options.biasCorrection;
  quantize.equalize = options.equalize;
  quantize.minimumSQNR = options.minimumSQNR;
}

/// What runs the model for methods that need its activations.
FailureOr<std::unique_ptr<calibration::BlockRunner>>
Compiler::makeBlockRunner(ModuleOp module,
                          calibration::BlockRunnerOptions runnerOptions) const {
  runnerOptions.memoryLimit = options.memoryLimit;
  runnerOptions.threads = options.threads;
  // Sums over many samples hardly depend on it. Where there are no tiles, bf16
  // is computed as f32.
  runnerOptions.compute = options.calibrationCompute == "auto"
                              ? "bf16"
                              : options.calibrationCompute;
  auto openSamples = [&](std::vector<calibration::ModelInput> inputs) {
    calibration::SampleOptions samples;
    samples.samples = options.samples;
    samples.window = options.window;
    uint64_t most = runnerOptions.maxSamples;
    if (runnerOptions.maxTokens && readsTokens(inputs))
      most = std::max<uint64_t>(1, runnerOptions.maxTokens / options.window);
    if (most && (!samples.samples || samples.samples > most))
      samples.samples = most;
    samples.batch = chooseBatch(inputs, options.window);
    if (runnerOptions.maxBatch)
      samples.batch = std::min<int64_t>(samples.batch, runnerOptions.maxBatch);
    return calibration::SampleReader::open(options.data, std::move(inputs),
                                           samples);
  };
  return createCompiledBlockRunner(module, openSamples, runnerOptions,
                                   floatModel ? floatModel.get() : ModuleOp());
}

LogicalResult Compiler::runPhase(ModuleOp module, Phase phase) {
  PassManager passes(context, ModuleOp::getOperationName());
  if (setup && failed(setup(passes)))
    return failure();
  TimingScope phaseTiming = timing.nest(stringifyPhase(phase));
  passes.enableTiming(phaseTiming);
  bool parsed = true;
  auto insert = [&](OpPassManager &manager, bool atRequests) {
    for (const InsertedPipeline &inserted : options.insertedPipelines) {
      if (inserted.after != phase || inserted.atRequests != atRequests ||
          succeeded(parsePassPipeline(inserted.pipeline, manager)))
        continue;
      parsed = false;
      module.emitError() << "can't parse the passes inserted "
                         << (atRequests ? "before the methods of phase "
                                        : "after phase ")
                         << stringifyPhase(phase) << ": '" << inserted.pipeline
                         << "'";
    }
  };
  switch (phase) {
  case Phase::ONNX: {
    OnnxPipelineOptions onnx;
    onnx.fuseOperators =
        options.fuseOperators.value_or(options.getEmitKind() != EmitKind::ONNX);
    buildOnnxPipeline(passes, onnx);
    // Rules may ask for it, too.
    if (options.quantize == "W8A8" || !options.configFile.empty()) {
      StaticPipelineOptions quantize;
      setStaticOptions(quantize);
      buildStaticPipeline(passes, quantize);
    }
    if (options.getEmitKind() == EmitKind::QDQ)
      passes.addNestedPass<func::FuncOp>(
          onnx::createONNXDecomposeActivationPass());
    break;
  }
  case Phase::Nibble:
    // Methods that learn derive the operators as they are here.
    if (!options.data.empty())
      floatModel = module.clone();
    buildNibblePipeline(passes);
    break;
  case Phase::Quantized: {
    QuantizePipelineOptions quantize;
    setQuantizeOptions(quantize);
    buildQuantizePipeline(passes, quantize, [&](OpPassManager &manager) {
      insert(manager, /*atRequests=*/true);
    });
    break;
  }
  case Phase::Linalg:
    buildLinalgPipeline(passes);
    break;
  case Phase::Vector: {
    FailureOr<target::CpuTarget> cpu = getCpu();
    if (failed(cpu))
      return failure();
    bool avx512 = llvm::all_of(
        ArrayRef<StringRef>{"avx512f", "avx512bw", "avx512dq", "avx512vl"},
        [&](StringRef feature) { return cpu->has(feature); });
    bool vnni = cpu->has(avx512 ? "avx512vnni" : "avxvnni");
    bool tiles = options.compute == "bf16" && avx512 && cpu->has("amx-tile") &&
                 cpu->has("amx-bf16") && cpu->has("avx512bf16");
    if (options.compute == "bf16" && !tiles)
      emitRemark(module.getLoc())
          << "--compute=bf16 changes nothing for '" << options.march
          << "': only AMX multiplies bf16, and this target has none";
    // The kernels of processors with FMA permute with AVX2, too.
    bool fma = cpu->has("fma") && cpu->has("avx2");
    buildVectorPipeline(passes, {avx512, fma, vnni, tiles}, options.isCuda());
    break;
  }
  case Phase::LLVM:
    buildLLVMPipeline(passes, options.isCuda() ? options.getChips() : "");
    break;
  case Phase::Object:
    return success();
  }
  insert(passes, /*atRequests=*/false);
  std::optional<BlockRunnerScope> runners;
  if (phase == Phase::Quantized && !options.data.empty()) {
    // A pass that compiles pieces of the model must find their dialects.
    context->loadAllAvailableDialects();
    runners.emplace([&](ModuleOp part,
                        const calibration::BlockRunnerOptions &runnerOptions) {
      return makeBlockRunner(part, runnerOptions);
    });
  }
  if (!parsed || failed(passes.run(module)))
    return failure();
  module->setAttr(phaseAttrName,
                  StringAttr::get(context, stringifyPhase(phase)));
  if (phase == Phase::Vector && options.isCuda())
    module->setAttr(targetAttrName, StringAttr::get(context, options.target));
  return success();
}

/// Asks the passes that quantize for what only a report needs.
void Compiler::requestReport(ModuleOp module) {
  if (options.reports.empty() || !options.reportDetails)
    return;
  NamedAttrList details;
  if (!options.calibrationFile.empty())
    details.append("calibration",
                   StringAttr::get(context, options.calibrationFile));
  module->setAttr(reportDetailsAttrName, details.getDictionary(context));
}

LogicalResult Compiler::writeReports(ModuleOp module) {
  module->removeAttr(reportDetailsAttrName);
  Report report{llvm::sys::path::filename(options.inputFile).str(),
                collectLayerReports(module)};
  report.calibration = options.calibrationFile;
  report.choice = getChoiceReport(module);
  module->removeAttr(choiceAttrName);
  if (!options.reports.empty() && !options.data.empty() &&
      options.reportSamples && failed(measureOutputs(module, options, report)))
    return failure();
  for (StringRef path : options.reports)
    if (llvm::Error error = writeReport(report, path))
      return module.emitError() << llvm::toString(std::move(error));
  return success();
}

/// Expected time of a phase, relative to the others.
double Compiler::getPhaseWeight(Phase phase) const {
  switch (phase) {
  case Phase::Quantized:
    // Methods that run the model on samples take most of the time.
    return options.data.empty() ? 3 : 100;
  case Phase::Linalg:
    return 3;
  case Phase::Object:
    return 6;
  default:
    return 1;
  }
}

/// Before any work: code that was made for another target, and what is needed
/// to make some.
LogicalResult Compiler::checkTarget(ModuleOp module, std::optional<Phase> done,
                                    Phase last) const {
  if (done && *done >= Phase::Vector) {
    auto target = module->getAttrOfType<StringAttr>(targetAttrName);
    StringRef made = target ? target.getValue() : "cpu";
    if (made != options.target)
      return module.emitError()
             << "the input is IR that was made for --target=" << made
             << ", got --target=" << options.target;
  }
  if (!options.isCuda() || last < Phase::LLVM || (done && *done >= Phase::LLVM))
    return success();
  auto chips = target::parseCudaChips(options.getChips());
  if (!chips)
    return module.emitError() << llvm::toString(chips.takeError());
  return target::CudaToolkit::find(*chips, [&] { return module.emitError(); });
}

LogicalResult Compiler::lower(ModuleOp module) {
  auto reached = module->getAttrOfType<StringAttr>(phaseAttrName);
  std::optional<Phase> done;
  if (reached) {
    done = symbolizePhase(reached.getValue());
    if (!done)
      return module.emitError() << "unknown phase '" << reached.getValue()
                                << "' in attribute " << phaseAttrName;
  }
  Phase last = options.getLastPhase();
  if (done && *done > last)
    return module.emitError()
           << "the input is IR of phase " << stringifyPhase(*done)
           << ", which comes after --compile-to=" << stringifyPhase(last);
  if (failed(checkTarget(module, done, last)))
    return failure();
  if (!options.reports.empty() &&
      (last < Phase::Quantized || (done && *done > Phase::Quantized)))
    return module.emitError() << "--report needs the phase quantized: this "
                                 "compilation stops before it or starts after";
  // Whether statistics are of this model is the same for all who read them.
  std::shared_ptr<const calibration::Statistics> statistics;
  if (!options.calibrationFile.empty()) {
    auto loaded =
        loadStatistics(module, options.calibrationFile, "--calibration");
    if (failed(loaded))
      return failure();
    statistics = std::move(*loaded);
  }
  requestReport(module);
  Progress *progress = Progress::getCurrent();
  int first = done ? static_cast<int>(*done) + 1 : 0;
  if (progress) {
    double total = 0;
    for (int i = first; i <= static_cast<int>(last); ++i)
      total += getPhaseWeight(static_cast<Phase>(i));
    progress->start(std::max(total, 1.0));
  }
  for (int i = first; i <= static_cast<int>(std::min(last, Phase::LLVM)); ++i) {
    auto phase = static_cast<Phase>(i);
    if (progress)
      progress->beginStep(getPhaseWeight(phase), stringifyPhase(phase));
    if (failed(runPhase(module, phase)) ||
        (phase == Phase::Quantized && failed(writeReports(module))))
      return failure();
  }
  if (progress && last == Phase::Object)
    progress->beginStep(getPhaseWeight(last), stringifyPhase(last));
  // A report of IR that is already quantized has no phase of its own.
  if (done == Phase::Quantized)
    return writeReports(module);
  return success();
}

/// What nibble-run --info says that the model was compiled with: the options
/// that decide what it computes and how fast.
static std::string describeOptions(const CompileOptions &options) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "--quantize=" << options.quantize;
  if (options.quantize != "none" || !options.configFile.empty()) {
    os << " --method=" << options.method;
    // What is not given depends on the scheme of the layer.
    if (options.groupSize)
      os << " --group-size=" << *options.groupSize;
    os << (options.symmetric ? " --symmetric" : " --asymmetric");
    if (options.scaleType != "default")
      os << " --scale-type=" << options.scaleType;
    os << " --scale-rule=" << options.scaleRule << " --head=" << options.head;
    os << " --outlier-threshold=" << options.outlierThreshold;
    if (options.doubleQuant)
      os << " --double-quant";
  }
  if (!options.budget.empty())
    os << " --budget=" << options.budget;
  if (!options.maxError.empty())
    os << " --max-error=" << options.maxError;
  if (!options.candidates.empty())
    os << " --candidates=" << options.candidates;
  if (!options.configFile.empty())
    os << " --config=" << options.configFile;
  for (const std::string &dim : options.dims)
    os << " --dim " << dim;
  if (options.isCuda())
    os << " --target=cuda --chip=" << options.getChips();
  os << " --march=" << options.march << " --compute=" << options.compute;
  if (options.threads)
    os << " --threads=" << options.threads;
  return text;
}

LogicalResult Compiler::writeOutput(ModuleOp module) {
  EmitKind kind = options.getEmitKind();
  if (kind == EmitKind::MLIR)
    return writeModule(module, options.outputFile);
  if (kind == EmitKind::QDQ) {
    WalkResult found = module.walk(
        [](onnx::DequantizeLinearOp) { return WalkResult::interrupt(); });
    if (!found.wasInterrupted())
      return module.emitError()
             << "nothing is quantized: --emit=qdq-onnx needs --quantize=W8A8 "
                "with --calibration, or a model with QuantizeLinear and "
                "DequantizeLinear";
  }
  if (kind == EmitKind::ONNX || kind == EmitKind::QDQ)
    return format::exportONNX(module, options.outputFile);

  FailureOr<target::CpuTarget> cpu = getCpu();
  FailureOr<target::ModelInfo> info = target::ModelInfo::fromModule(module);
  FailureOr<target::WeightLayout> layout =
      target::WeightLayout::fromModule(module);
  if (failed(cpu) || failed(info) || failed(layout))
    return failure();
  target::EmitOptions emit;
  emit.output = options.outputFile;
  emit.modelName = llvm::sys::path::stem(options.inputFile).str();
  emit.producer =
      llvm::formatv("Nibble {0}.{1}, LLVM {2}", NIBBLE_VERSION_MAJOR,
                    NIBBLE_VERSION_MINOR, LLVM_VERSION_STRING)
          .str();
  emit.options = describeOptions(options);
  emit.threads = options.threads;
  if (kind == EmitKind::ObjectFile)
    emit.kind = target::ArtifactKind::Object;
  else if (kind == EmitKind::Executable)
    emit.kind = target::ArtifactKind::Executable;
  else if (kind == EmitKind::LLVMIR)
    emit.kind = target::ArtifactKind::LLVMIR;
  else if (kind == EmitKind::Assembly)
    emit.kind = target::ArtifactKind::Assembly;
  if (options.weights == "embedded")
    emit.weights = target::WeightPlacement::Embedded;
  else if (options.weights == "sidecar")
    emit.weights = target::WeightPlacement::Sidecar;
  TimingScope phaseTiming = timing.nest(stringifyPhase(Phase::Object));
  emit.timing = &phaseTiming;
  return target::emitArtifact(module, *info, *layout, *cpu, emit);
}

FailureOr<std::unique_ptr<CompiledModel>>
Compiler::makeExecutable(ModuleOp module) {
  FailureOr<target::CpuTarget> cpu = getCpu();
  FailureOr<target::ModelInfo> info = target::ModelInfo::fromModule(module);
  FailureOr<target::WeightLayout> layout =
      target::WeightLayout::fromModule(module);
  if (failed(cpu) || failed(info) || failed(layout))
    return failure();
  return CompiledModel::compile(module, *info, *layout, *cpu, options.threads);
}

LogicalResult Compiler::printEstimate(ModuleOp module) {
  for (Phase phase : {Phase::ONNX, Phase::Nibble})
    if (failed(runPhase(module, phase)))
      return failure();
  PassManager passes(context, ModuleOp::getOperationName());
  if (setup && failed(setup(passes)))
    return failure();
  QuantizePipelineOptions quantize;
  setQuantizeOptions(quantize);
  buildAssignPipeline(passes, quantize);
  if (failed(passes.run(module)))
    return failure();
  FailureOr<Estimate> result = estimate(module);
  if (failed(result))
    return failure();
  if (options.json)
    result->printJSON(llvm::outs());
  else
    result->printText(llvm::outs());
  return success();
}

LogicalResult Compiler::run() {
  Progress progress(*symbolizeProgressMode(options.progress));
  Progress::Scope scope(progress);
  LogicalResult result = compile();
  progress.finish();
  return result;
}

LogicalResult Compiler::compile() {
  OwningOpRef<ModuleOp> module = readInput();
  if (!module)
    return failure();
  if (options.estimate)
    return printEstimate(*module);
  if (failed(lower(*module)))
    return failure();
  return writeOutput(*module);
}
