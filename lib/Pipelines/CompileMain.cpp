//===- CompileMain.cpp - The nibble-compile tool -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/CompileMain.h"
#include "ToolMain.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Remark/RemarkStreamer.h"
#include "mlir/Support/Timing.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "nibble/Pipelines/CompileOptions.h"
#include "nibble/Pipelines/Compiler.h"
#include "nibble/Pipelines/InitNibble.h"
#include "nibble/Quantizer/MethodChain.h"
#include "nibble/Quantizer/SchemeName.h"
#include "nibble/Support/Progress.h"
#include "nibble/Support/Size.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Remarks/RemarkFormat.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/WithColor.h"
#include <csignal>

using namespace mlir;
using namespace nibble;
namespace cl = llvm::cl;

/// What the quantizer's tables have, plugins' methods not among them: those are
/// loaded later.
static std::string describeSchemes() {
  std::string text = "scheme of the weights:";
  for (const quantizer::SchemeName &scheme : quantizer::getSchemeNames())
    if (scheme.available)
      text += " " + scheme.name.str();
  return text + " (default none)";
}
static std::string describeMethods() {
  std::string text = "how codes are found (default rtn):";
  for (const quantizer::Method *method : quantizer::getMethods())
    text += (" " + method->name + " - " + method->summary + ";").str();
  text += " before one of them:";
  for (const quantizer::PreparingMethod &method :
       quantizer::getPreparingMethods())
    text += (" " + method.name + " - " + method.summary + ";").str();
  return text + " as in --method=awq,gptq; alone, rtn follows";
}

namespace {
/// The options of the tool. They exist only while the tool runs, so that other
/// tools and plugins that link the library do not see them.
struct CommandLine {
  cl::OptionCategory general{"Compilation"};
  cl::OptionCategory quantization{"Quantization"};
  cl::OptionCategory code{"Code and binaries"};
  cl::OptionCategory output{"Reports and progress"};
  CompileOptions defaults;
  const std::string schemeHelp = describeSchemes(),
                    methodHelp = describeMethods();

  cl::opt<std::string> input{cl::Positional, cl::desc("MODEL (.onnx or .mlir)"),
                             cl::Required, cl::cat(general)};
  cl::opt<std::string> outputFile{
      "o",
      cl::desc("output: X.so, X.o (and X.h), X.mlir, X.onnx, or X for an "
               "executable"),
      cl::value_desc("OUT"), cl::cat(general)};
  cl::opt<EmitKind> emit{
      "emit", cl::desc("kind of output, whatever its name is"),
      cl::cat(general),
      cl::values(
          clEnumValN(EmitKind::SharedLibrary, "so", "shared library"),
          clEnumValN(EmitKind::ObjectFile, "obj", "object file and C header"),
          clEnumValN(EmitKind::Executable, "exe", "executable"),
          clEnumValN(EmitKind::MLIR, "mlir", "IR of the last phase"),
          clEnumValN(EmitKind::LLVMIR, "llvm", "LLVM IR"),
          clEnumValN(EmitKind::Assembly, "asm", "assembly"),
          clEnumValN(EmitKind::ONNX, "onnx",
                     "the normalized model, for ONNX tools"),
          clEnumValN(EmitKind::QDQ, "qdq-onnx",
                     "ONNX with QuantizeLinear and DequantizeLinear"))};
  cl::opt<Phase> compileTo{
      "compile-to", cl::desc("stop when this phase is complete"),
      cl::cat(general),
      cl::values(
          clEnumValN(Phase::ONNX, "onnx", "imported and normalized"),
          clEnumValN(Phase::Nibble, "nibble", "quantizable operations found"),
          clEnumValN(Phase::Quantized, "quantized", "weights quantized"),
          clEnumValN(Phase::Linalg, "linalg", "weights packed, loops fused"),
          clEnumValN(Phase::Vector, "vector", "buffers, loops and vectors"),
          clEnumValN(Phase::LLVM, "llvm", "the LLVM dialect"),
          clEnumValN(Phase::Object, "object", "machine code (default)"))};
  cl::list<std::string> dims{
      "dim", cl::desc("fix a symbolic dimension; may be repeated"),
      cl::value_desc("NAME=N"), cl::cat(general)};
  cl::opt<bool> fuseOperators{
      "fuse-operators",
      cl::desc("decomposed attention, normalization, rotary embedding and "
               "activations become operators again (default true; false for "
               "an .onnx output, since other runtimes lack some operators)"),
      cl::init(true), cl::cat(general)};
  cl::list<std::string> plugins{"load-pass-plugin",
                                cl::desc("load passes from a shared library"),
                                cl::value_desc("FILE"), cl::cat(general)};
  cl::list<std::string> inserted{
      "insert-passes",
      cl::desc("run a textual pass pipeline when PHASE is complete; 'requests' "
               "is the point where methods of quantization run"),
      cl::value_desc("PHASE:PIPELINE"), cl::cat(general)};

  cl::opt<std::string> quantize{
      "quantize", cl::desc(schemeHelp), cl::value_desc("SCHEME"),
      cl::init(defaults.quantize), cl::cat(quantization)};
  cl::opt<std::string> method{"method", cl::desc(methodHelp),
                              cl::value_desc("METHOD"),
                              cl::init(defaults.method), cl::cat(quantization)};
  cl::opt<int64_t> groupSize{
      "group-size",
      cl::desc("weights that share a scale; -1: a whole output channel "
               "(default 128, of NF4 and FP4 64)"),
      cl::value_desc("N"), cl::cat(quantization)};
  cl::opt<bool> symmetric{"symmetric",
                          cl::desc("no zero points (this is the default)"),
                          cl::cat(quantization)};
  cl::opt<bool> asymmetric{"asymmetric", cl::desc("integer zero points"),
                           cl::cat(quantization)};
  cl::opt<std::string> scaleRule{
      "scale-rule",
      cl::desc("how a scale is chosen: absmax, mse, signed-max or full-range "
               "(default signed-max for symmetric codes of at most 4 bits, "
               "else absmax)"),
      cl::value_desc("RULE"), cl::init(defaults.scaleRule),
      cl::cat(quantization)};
  cl::opt<std::string> scaleType{
      "scale-type",
      cl::desc("type of the scales: f16, bf16, f32 (default f16, of NF4 and "
               "FP4 f32)"),
      cl::value_desc("TYPE"), cl::init(defaults.scaleType),
      cl::cat(quantization)};
  cl::opt<std::string> outlierThreshold{
      "outlier-threshold",
      cl::desc("LLM.int8: activations of at least this magnitude are outliers "
               "and stay floats (default 6); 0: none do"),
      cl::value_desc("X"), cl::init(defaults.outlierThreshold),
      cl::cat(quantization)};
  cl::opt<bool> doubleQuant{
      "double-quant",
      cl::desc("scales in 8 bits, with a float32 scale for 256 of them"),
      cl::cat(quantization)};
  cl::opt<std::string> head{
      "head",
      cl::desc("scheme of the embedding and output head of a language model "
               "(default none)"),
      cl::value_desc("SCHEME"), cl::init(defaults.head), cl::cat(quantization)};
  cl::opt<std::string> config{
      "config", cl::desc("rules that say per layer what to do (YAML)"),
      cl::value_desc("FILE"), cl::cat(quantization)};
  cl::opt<std::string> budget{
      "budget",
      cl::desc("auto: bits per quantized weight, scales counted (4.25bpw), or "
               "size of all weights (60MB)"),
      cl::value_desc("SIZE"), cl::cat(quantization)};
  cl::opt<std::string> maxError{
      "max-error",
      cl::desc("auto: the smallest size with at most this error, a part of the "
               "outputs' power (0.01, or 20dB)"),
      cl::value_desc("X"), cl::cat(quantization)};
  cl::opt<std::string> candidates{
      "candidates",
      cl::desc("auto: schemes to choose from, each as NAME or NAME:GROUP, with "
               "commas between them (default: integers of 2, 3, 4, 5, 6 and 8 "
               "bits, as far as the method takes them)"),
      cl::value_desc("LIST"), cl::cat(quantization)};
  cl::opt<std::string> writeConfig{
      "write-config",
      cl::desc("write what each layer is to become as rules for --config"),
      cl::value_desc("FILE"), cl::cat(quantization)};
  cl::opt<std::string> calibration{
      "calibration",
      cl::desc("statistics that nibble-calibrate wrote, for W8A8 and for "
               "methods that need them"),
      cl::value_desc("STATS"), cl::cat(quantization)};
  cl::opt<double> dampPercent{
      "damp-percent",
      cl::desc("gptq: part of the mean added to the Hessian's diagonal "
               "(default 0.05)"),
      cl::value_desc("X"), cl::init(defaults.gptq.dampPercent),
      cl::cat(quantization)};
  cl::opt<double> dampAutoIncrement{
      "damp-auto-increment",
      cl::desc("gptq: added to it while it does not suffice (default 0.01)"),
      cl::value_desc("X"), cl::init(defaults.gptq.dampIncrement),
      cl::cat(quantization)};
  cl::opt<int64_t> blockSize{
      "block-size", cl::desc("gptq: columns of a block (default 128)"),
      cl::value_desc("N"), cl::init(defaults.gptq.blockSize),
      cl::cat(quantization)};
  cl::opt<bool> activationOrder{
      "activation-order",
      cl::desc("gptq: columns with large inputs first, with a group index"),
      cl::cat(quantization)};
  cl::opt<bool> staticGroups{
      "static-groups",
      cl::desc("gptq: scales from the original weight, no group index"),
      cl::cat(quantization)};
  cl::opt<bool> actGroupAware{
      "act-group-aware",
      cl::desc("gptq: columns with large inputs first inside of each group "
               "(default true)"),
      cl::init(defaults.gptq.groupAware), cl::cat(quantization)};
  cl::opt<int64_t> awqPoints{
      "awq-points",
      cl::desc("awq: exponents of scales that are tried (default 20)"),
      cl::value_desc("N"), cl::init(defaults.awq.points),
      cl::cat(quantization)};
  cl::opt<bool> awqClip{
      "awq-clip",
      cl::desc("awq: look for limits of weights that rtn rounds (default "
               "true)"),
      cl::init(defaults.awq.clip), cl::cat(quantization)};
  cl::opt<std::string> smoothQuantAlpha{
      "smoothquant-alpha",
      cl::desc("smoothquant: part of the outliers that goes into weights, from "
               "0 to 1 (default 0.5), or auto: the best of each layer"),
      cl::value_desc("X"), cl::init(defaults.smoothQuantAlpha),
      cl::cat(quantization)};
  cl::opt<unsigned> iterations{
      "iterations", cl::desc("autoround: steps of a block (default 200)"),
      cl::value_desc("N"), cl::init(defaults.autoRound.iterations),
      cl::cat(quantization)};
  cl::opt<unsigned> batchSize{
      "batch-size", cl::desc("autoround: samples of a step (default 8)"),
      cl::value_desc("N"), cl::init(defaults.batchSize), cl::cat(quantization)};
  cl::opt<double> learningRate{
      "learning-rate",
      cl::desc("autoround: length of the first step in steps of the codes "
               "(default 0: 1 / iterations)"),
      cl::value_desc("X"), cl::init(defaults.autoRound.rate),
      cl::cat(quantization)};
  cl::opt<std::string> roundingStart{
      "rounding-start",
      cl::desc("autoround: codes before the first step: gptq (default), rtn"),
      cl::value_desc("METHOD"), cl::init(defaults.roundingStart),
      cl::cat(quantization)};
  cl::opt<uint64_t> seed{
      "seed", cl::desc("autoround: of the order of the samples (default 42)"),
      cl::value_desc("N"), cl::init(defaults.seed), cl::cat(quantization)};
  cl::opt<std::string> activationType{
      "activation-type",
      cl::desc("codes of W8A8 activations: uint8 (default) or int8"),
      cl::value_desc("TYPE"), cl::init(defaults.activationType),
      cl::cat(quantization)};
  cl::opt<bool> activationSymmetric{
      "activation-symmetric",
      cl::desc("W8A8 activations have the zero point in the middle"),
      cl::cat(quantization)};
  cl::opt<cl::boolOrDefault> biasCorrection{
      "bias-correction",
      cl::desc("take back the mean error of W8A8 weights (default true)"),
      cl::cat(quantization)};
  cl::opt<cl::boolOrDefault> equalize{
      "equalize",
      cl::desc("scale channels between convolutions to one range, for W8A8 "
               "(default true)"),
      cl::cat(quantization)};
  cl::opt<double> minimumSQNR{
      "minimum-sqnr",
      cl::desc("a layer stays float if W8A8 would leave its output less above "
               "the noise of its rounded input (default 30; 0: none does)"),
      cl::value_desc("DB"), cl::init(defaults.minimumSQNR),
      cl::cat(quantization)};
  cl::list<std::string> data{
      "data",
      cl::desc("samples: .npz, .npy, .pb, tokens (.npy or .bin), or a folder "
               "of them; may be repeated"),
      cl::value_desc("PATH"), cl::cat(quantization)};
  cl::opt<uint64_t> samples{
      "samples",
      cl::desc("samples of --data that methods look at (default: all)"),
      cl::value_desc("N"), cl::init(defaults.samples), cl::cat(quantization)};
  cl::opt<int64_t> window{
      "window", cl::desc("tokens of a sample of token files (default 512)"),
      cl::value_desc("N"), cl::init(defaults.window), cl::cat(quantization)};
  cl::opt<std::string> memoryLimit{
      "memory-limit",
      cl::desc("what methods keep of samples goes to disk above this (default: "
               "half of the machine's memory)"),
      cl::value_desc("SIZE"), cl::cat(quantization)};
  cl::opt<bool> allowUnfused{
      "allow-unfused",
      cl::desc("a float copy of a quantized weight is a remark, not an error"),
      cl::cat(quantization)};

  cl::opt<std::string> target{"target", cl::desc("cpu (default) or cuda"),
                              cl::value_desc("TARGET"),
                              cl::init(defaults.target), cl::cat(code)};
  cl::opt<std::string> chips{
      "chip",
      cl::desc("GPUs to compile for, with commas between them: sm_80 "
               "(default), sm_90, ...; needs --target=cuda"),
      cl::value_desc("CHIPS"), cl::init(defaults.chips), cl::cat(code)};
  cl::opt<std::string> march{
      "march", cl::desc("processor: native (default), x86-64-v3, ..."),
      cl::value_desc("CPU"), cl::init(defaults.march), cl::cat(code)};
  cl::opt<std::string> compute{
      "compute", cl::desc("type of the arithmetic (default f32)"),
      cl::value_desc("TYPE"), cl::init(defaults.compute), cl::cat(code)};
  cl::opt<std::string> calibrationCompute{
      "calibration-compute",
      cl::desc(
          "type of the arithmetic when --data is run: f32 (default), bf16, "
          "or auto: bf16 where this machine has AMX"),
      cl::value_desc("TYPE"), cl::init(defaults.calibrationCompute),
      cl::cat(quantization)};
  cl::opt<unsigned> threads{
      "threads",
      cl::desc("threads of the compiler and of the model (default: all)"),
      cl::value_desc("N"), cl::init(defaults.threads), cl::cat(code)};
  cl::opt<std::string> weights{
      "weights",
      cl::desc("embedded in the binary, or a sidecar file beside it (default: "
               "sidecar above 1.5 GB)"),
      cl::value_desc("WHERE"), cl::init(defaults.weights), cl::cat(code)};

  cl::list<std::string> reports{
      "report",
      cl::desc("what became of each layer: FILE.json, FILE.html, or FILE.yaml, "
               "which is a valid --config; may be repeated"),
      cl::value_desc("FILE"), cl::cat(output)};
  cl::opt<bool> reportDetails{
      "report-details",
      cl::desc("histograms and errors of outputs in reports (default true); "
               "they take time"),
      cl::init(defaults.reportDetails), cl::cat(output)};
  cl::opt<unsigned> reportSamples{
      "report-samples",
      cl::desc("samples of --data on which a report compares the outputs of "
               "layers with float; 0: none (default 16)"),
      cl::value_desc("N"), cl::init(defaults.reportSamples), cl::cat(output)};
  cl::opt<bool> estimate{
      "estimate", cl::desc("print sizes and memory before any work, and stop"),
      cl::cat(output)};
  cl::opt<bool> json{"json", cl::desc("print results as JSON"),
                     cl::cat(output)};
  cl::opt<std::string> progress{
      "progress",
      cl::desc("progress on the terminal: auto (default), always, "
               "never"),
      cl::value_desc("WHEN"), cl::init(defaults.progress), cl::cat(output)};

  cl::opt<std::string> remarksAll{
      "remarks-filter", cl::desc("show all remarks of matching categories"),
      cl::value_desc("REGEX"), cl::cat(output)};
  cl::opt<std::string> remarksMissed{"remarks-filter-missed",
                                     cl::desc("show missed optimizations"),
                                     cl::value_desc("REGEX"), cl::cat(output)};
  cl::opt<std::string> remarksPassed{"remarks-filter-passed",
                                     cl::desc("show successful optimizations"),
                                     cl::value_desc("REGEX"), cl::cat(output)};
  cl::opt<std::string> remarksFile{"remarks-output-file",
                                   cl::desc("write remarks as YAML instead"),
                                   cl::value_desc("FILE"), cl::cat(output)};

  /// The options as the user gave them, or what is wrong with them.
  llvm::Expected<CompileOptions> getOptions() const;
};
} // namespace

llvm::Expected<CompileOptions> CommandLine::getOptions() const {
  CompileOptions options;
  options.inputFile = input;
  options.outputFile = outputFile;
  if (emit.getNumOccurrences())
    options.emit = emit.getValue();
  if (compileTo.getNumOccurrences())
    options.compileTo = compileTo.getValue();
  if (fuseOperators.getNumOccurrences())
    options.fuseOperators = fuseOperators;
  options.dims.assign(dims.begin(), dims.end());
  options.quantize = quantize;
  options.method = method;
  if (groupSize.getNumOccurrences())
    options.groupSize = groupSize.getValue();
  if (symmetric && asymmetric)
    return llvm::createStringError(
        "--symmetric and --asymmetric exclude each other: give one of them");
  // At few bits zero points are worth their place.
  options.symmetric = quantize == "auto" ? symmetric : !asymmetric;
  options.scaleRule = scaleRule;
  options.outlierThreshold = outlierThreshold;
  options.scaleType = scaleType;
  options.doubleQuant = doubleQuant;
  options.head = head;
  options.configFile = config;
  options.budget = budget;
  options.maxError = maxError;
  options.candidates = candidates;
  options.writeConfigFile = writeConfig;
  options.allowUnfused = allowUnfused;
  options.calibrationFile = calibration;
  options.awq.points = awqPoints;
  options.awq.clip = awqClip;
  options.smoothQuantAlpha = smoothQuantAlpha;
  options.gptq.dampPercent = dampPercent;
  options.gptq.dampIncrement = dampAutoIncrement;
  options.gptq.blockSize = blockSize;
  options.gptq.activationOrder = activationOrder;
  options.gptq.staticGroups = staticGroups;
  options.gptq.groupAware = actGroupAware;
  options.autoRound.iterations = iterations;
  options.autoRound.rate = learningRate;
  options.batchSize = batchSize;
  options.roundingStart = roundingStart;
  options.seed = seed;
  options.activationType = activationType;
  options.activationSymmetric = activationSymmetric;
  options.biasCorrection = biasCorrection != cl::BOU_FALSE;
  options.equalize = equalize != cl::BOU_FALSE;
  options.minimumSQNR = minimumSQNR;
  options.target = target;
  options.chips = chips;
  options.march = march;
  options.compute = compute;
  options.calibrationCompute = calibrationCompute;
  options.threads = threads;
  options.weights = weights;
  options.data.assign(data.begin(), data.end());
  options.samples = samples;
  options.window = window;
  if (window < 1)
    return llvm::createStringError("--window=" + llvm::Twine(window) +
                                   ": expected a positive number of tokens");
  if (!memoryLimit.empty()) {
    llvm::Expected<uint64_t> size = parseSize(memoryLimit);
    if (!size)
      return llvm::createStringError("--memory-limit: " +
                                     llvm::toString(size.takeError()));
    options.memoryLimit = std::max<uint64_t>(*size, 1);
  }
  options.reportDetails = reportDetails;
  options.reportSamples = reportSamples;
  options.reports.assign(reports.begin(), reports.end());
  options.estimate = estimate;
  options.json = json;
  options.progress = progress;
  for (StringRef insertion : inserted) {
    auto [name, pipeline] = insertion.split(':');
    bool atRequests = name == "requests";
    std::optional<Phase> phase =
        atRequests ? Phase::Quantized : symbolizePhase(name);
    if (!phase || *phase == Phase::Object || pipeline.empty())
      return llvm::createStringError(
          "--insert-passes=" + insertion +
          ": expected PHASE:PIPELINE with one of the phases onnx, nibble, "
          "requests, quantized, linalg, vector, llvm");
    options.insertedPipelines.push_back({*phase, pipeline.str(), atRequests});
  }
  if (options.outputFile.empty() && !options.estimate)
    return llvm::createStringError(
        "no output file: name one with -o (X.so, X.o, X.mlir, X.onnx, or X for "
        "an executable)");
  if (llvm::Error error = options.validate())
    return std::move(error);
  return options;
}

static LogicalResult enableRemarks(MLIRContext &context,
                                   const CommandLine &line) {
  remark::RemarkCategories categories;
  if (!line.remarksAll.empty())
    categories.all = line.remarksAll;
  if (!line.remarksMissed.empty())
    categories.missed = line.remarksMissed;
  if (!line.remarksPassed.empty())
    categories.passed = line.remarksPassed;
  if (!categories.all && !categories.missed && !categories.passed) {
    if (line.remarksFile.empty())
      return success();
    categories.all = ".*";
  }
  // The filter for all kinds is one only for kinds that have a filter at all.
  for (auto *kind : {&categories.passed, &categories.missed,
                     &categories.analysis, &categories.failed})
    if (categories.all && !*kind)
      *kind = categories.all;
  auto policy = std::make_unique<remark::RemarkEmittingPolicyAll>();
  if (line.remarksFile.empty())
    return remark::enableOptimizationRemarks(context, nullptr,
                                             std::move(policy), categories,
                                             /*printAsEmitRemarks=*/true);
  return remark::enableOptimizationRemarksWithLLVMStreamer(
      context, line.remarksFile, llvm::remarks::Format::YAML, std::move(policy),
      categories);
}

int nibble::compileMain(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  // A file that gets too large is an error of the write, like a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  freeOptionNames({"threads", "target", "march", "emit", "json", "dim",
                   "method", "config", "report", "head", "progress"});
  DialectRegistry registry;
  nibble::registerAllDialects(registry);
  nibble::registerAllPasses();

  CommandLine line;
  registerAsmPrinterCLOptions();
  registerMLIRContextCLOptions();
  registerPassManagerCLOptions();
  registerDefaultTimingManagerCLOptions();
  if (!cl::ParseCommandLineOptions(
          argc, argv,
          "Nibble: compiles a trained model to a quantized native binary\n",
          &llvm::errs()))
    return 2;
  // Before the options are checked: a plugin brings methods, too.
  for (const std::string &file : line.plugins) {
    llvm::Expected<PassPlugin> plugin = PassPlugin::load(file);
    if (!plugin) {
      llvm::WithColor::error(llvm::errs(), "nibble-compile")
          << "can't load the pass plugin '" << file
          << "': " << llvm::toString(plugin.takeError()) << '\n';
      return 1;
    }
    plugin->registerPassRegistryCallbacks();
  }
  llvm::Expected<CompileOptions> options = line.getOptions();
  if (!options) {
    llvm::WithColor::error(llvm::errs(), "nibble-compile")
        << llvm::toString(options.takeError()) << '\n';
    return 2;
  }
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  std::unique_ptr<llvm::DefaultThreadPool> pool;
  if (options->threads != 1) {
    pool = std::make_unique<llvm::DefaultThreadPool>(
        llvm::hardware_concurrency(options->threads));
    context.setThreadPool(*pool);
  }
  context.printOpOnDiagnostic(false);
  ScopedDiagnosticHandler diagnostics(&context, printDiagnostic);
  if (failed(enableRemarks(context, line)))
    return 1;

  DefaultTimingManager timing;
  applyDefaultTimingManagerCLOptions(timing);
  TimingScope root = timing.getRootScope();
  Compiler compiler(&context, *options, applyPassManagerCLOptions, &root);
  return failed(compiler.run());
}
