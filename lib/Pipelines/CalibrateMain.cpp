//===- CalibrateMain.cpp - The nibble-calibrate tool ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/CalibrateMain.h"
#include "ToolMain.h"
#include "mlir/IR/MLIRContext.h"
#include "nibble/Calibration/Merge.h"
#include "nibble/Pipelines/Calibrator.h"
#include "nibble/Pipelines/InitNibble.h"
#include "nibble/Support/Progress.h"
#include "nibble/Support/Size.h"
#include "nibble/Target/CpuTarget.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/WithColor.h"
#include <csignal>

using namespace mlir;
using namespace nibble;
using calibration::Method;
namespace cl = llvm::cl;

namespace {
/// The options of the tool; they exist only while it runs.
struct CommandLine {
  cl::OptionCategory general{"Calibration"};
  cl::OptionCategory methods{"Ranges"};
  cl::OptionCategory inputs{"Data"};
  cl::OptionCategory code{"Code and progress"};
  CalibrateOptions defaults;

  cl::opt<std::string> input{cl::Positional, cl::desc("MODEL (.onnx)"),
                             cl::Optional, cl::cat(general)};
  cl::list<std::string> data{
      "data",
      cl::desc("calibration data: .npz, .npy, .pb, .bin, or a folder of them; "
               "may be repeated"),
      cl::value_desc("PATH"), cl::cat(general)};
  cl::opt<std::string> outputFile{
      "o",
      cl::desc("the statistics; Hessians go to STATS.hessians.safetensors"),
      cl::value_desc("STATS"), cl::cat(general)};
  cl::opt<bool> hessian{
      "hessian", cl::desc("also sum X^T X of every layer, for one-shot GPTQ"),
      cl::cat(general)};
  cl::opt<bool> layersOnly{
      "layers-only",
      cl::desc("leave out the ranges of tensors, which only static schemes "
               "need: faster"),
      cl::cat(general)};
  cl::list<std::string> merge{
      "merge",
      cl::desc("no calibration: add up these statistics of one model, in any "
               "order"),
      cl::value_desc("STATS..."), cl::cat(general)};
  cl::list<std::string> mergeRest{cl::Positional, cl::Optional,
                                  cl::desc("[STATS...]"), cl::ZeroOrMore};

  cl::opt<Method> method{
      "method", cl::desc("how the range of a tensor is chosen"),
      cl::init(Method::MinMax), cl::cat(methods),
      cl::values(clEnumValN(Method::MinMax, "minmax",
                            "least and largest value (default)"),
                 clEnumValN(Method::MovingAverage, "moving-average",
                            "of the least and largest values of each run"),
                 clEnumValN(Method::Percentile, "percentile",
                            "all but a small part of the values"),
                 clEnumValN(Method::Entropy, "entropy",
                            "least Kullback-Leibler divergence"),
                 clEnumValN(Method::MSE, "mse", "least error of 8-bit codes"))};
  cl::opt<double> percentile{
      "percentile",
      cl::desc("percentile: such as 99.9, 99.99, 99.999 (default)"),
      cl::value_desc("P"), cl::init(99.999), cl::cat(methods)};
  cl::opt<bool> symmetric{
      "symmetric",
      cl::desc("ranges around zero (default: true for percentile, else false)"),
      cl::cat(methods)};
  cl::opt<double> averagingConstant{
      "averaging-constant",
      cl::desc("moving-average: weight of a new run (default 0.01)"),
      cl::value_desc("C"), cl::init(0.01), cl::cat(methods)};
  cl::opt<int64_t> bins{
      "bins",
      cl::desc("entropy: bins of the histogram (default 128, as in ONNX "
               "Runtime, which leaves it one candidate; 2048 lets it choose)"),
      cl::value_desc("N"), cl::init(128), cl::cat(methods)};
  cl::opt<int64_t> quantizedBins{
      "quantized-bins",
      cl::desc("entropy: bins after quantization (default 128)"),
      cl::value_desc("N"), cl::init(128), cl::cat(methods)};
  cl::opt<double> norm{
      "norm",
      cl::desc("mse: power of an error (default 2, the least noise; 2.4 as in "
               "llm-compressor cuts less)"),
      cl::value_desc("P"), cl::init(2), cl::cat(methods)};

  cl::opt<uint64_t> samples{"samples",
                            cl::desc("most samples to run (default: all)"),
                            cl::value_desc("N"), cl::init(0), cl::cat(inputs)};
  cl::opt<int64_t> batch{
      "batch",
      cl::desc("samples of one run, where the model's first dimension is open; "
               "0: all of a file (default 1)"),
      cl::value_desc("N"), cl::init(1), cl::cat(inputs)};
  cl::opt<int64_t> window{
      "window", cl::desc("tokens of a sample of token files (default 512)"),
      cl::value_desc("N"), cl::init(512), cl::cat(inputs)};
  cl::opt<nibble_dtype> tokenType{
      "token-type", cl::desc("type of the tokens in .bin files"),
      cl::init(NIBBLE_UINT16), cl::cat(inputs),
      cl::values(clEnumValN(NIBBLE_UINT16, "uint16", "(default)"),
                 clEnumValN(NIBBLE_INT32, "int32", ""),
                 clEnumValN(NIBBLE_UINT32, "uint32", ""),
                 clEnumValN(NIBBLE_INT64, "int64", ""))};
  cl::list<std::string> dims{
      "dim", cl::desc("fix a symbolic dimension; may be repeated"),
      cl::value_desc("NAME=N"), cl::cat(inputs)};

  cl::opt<bool> resume{
      "resume",
      cl::desc("go on from STATS.checkpoint, which a run that was ended left"),
      cl::cat(code)};
  cl::opt<double> checkpointSeconds{
      "checkpoint-seconds",
      cl::desc("time between checkpoints; 0: none (default 30)"),
      cl::value_desc("S"), cl::init(30), cl::cat(code)};
  cl::opt<std::string> memoryLimit{
      "memory-limit",
      cl::desc("memory for Hessians, such as 2GB; what is more goes to "
               "temporary files (default: a quarter of the machine's)"),
      cl::value_desc("SIZE"), cl::cat(code)};
  cl::opt<unsigned> threads{"threads", cl::desc("threads (default: all)"),
                            cl::value_desc("N"), cl::init(0), cl::cat(code)};
  cl::opt<std::string> march{
      "march", cl::desc("processor: native (default), ..."),
      cl::value_desc("CPU"), cl::init(defaults.march), cl::cat(code)};
  cl::opt<std::string> progress{
      "progress",
      cl::desc("progress on the terminal: auto (default), always, never"),
      cl::value_desc("WHEN"), cl::init(defaults.progress), cl::cat(code)};

  llvm::Expected<CalibrateOptions> getOptions() const;
  llvm::Expected<std::vector<std::string>> getMergeInputs() const;
};
} // namespace

llvm::Expected<CalibrateOptions> CommandLine::getOptions() const {
  CalibrateOptions options;
  options.inputFile = input;
  options.data.assign(data.begin(), data.end());
  options.outputFile = outputFile;
  auto &range = options.collector.range;
  range = calibration::RangeOptions::get(method);
  if (symmetric.getNumOccurrences())
    range.symmetric = symmetric;
  auto set = [&](const auto &option, auto &value, Method owner) -> llvm::Error {
    value = option;
    if (option.getNumOccurrences() && method != owner)
      return llvm::createStringError(
          "--" + option.ArgStr +
          " is a knob of --method=" + calibration::stringifyMethod(owner) +
          ", not of " + calibration::stringifyMethod(method));
    return llvm::Error::success();
  };
  if (auto error = set(percentile, range.percentile, Method::Percentile))
    return std::move(error);
  if (auto error = set(averagingConstant, range.averagingConstant,
                       Method::MovingAverage))
    return std::move(error);
  if (auto error = set(bins, range.bins, Method::Entropy))
    return std::move(error);
  if (auto error = set(quantizedBins, range.quantizedBins, Method::Entropy))
    return std::move(error);
  if (auto error = set(norm, range.norm, Method::MSE))
    return std::move(error);
  if (auto error = range.validate())
    return std::move(error);
  options.collector.hessian = hessian;
  options.collector.threads = threads;
  if (!memoryLimit.empty()) {
    auto size = parseSize(memoryLimit);
    if (!size)
      return llvm::createStringError("--memory-limit: " +
                                     llvm::toString(size.takeError()));
    options.collector.memoryLimit = std::max<uint64_t>(*size, 1);
  }
  if (batch < 0 || window < 1 || checkpointSeconds < 0)
    return llvm::createStringError(
        "--batch and --checkpoint-seconds are 0 or more, --window is at least "
        "1");
  if (!symbolizeProgressMode(progress))
    return llvm::createStringError("unknown value '" + progress +
                                   "' of --progress: expected auto, always or "
                                   "never");
  if (march != "native" &&
      !llvm::is_contained(target::CpuTarget::getChoices(), march))
    return llvm::createStringError(
        "unknown value '" + march + "' of --march: expected native or one of " +
        llvm::join(target::CpuTarget::getChoices(), ", "));
  options.samples = {samples, batch, window, tokenType};
  options.layersOnly = layersOnly;
  options.resume = resume;
  options.checkpointSeconds = checkpointSeconds;
  options.dims.assign(dims.begin(), dims.end());
  options.march = march;
  options.progress = progress;
  if (options.inputFile.empty())
    return llvm::createStringError("no model: give an .onnx file");
  if (options.data.empty())
    return llvm::createStringError(
        "no calibration data: give some with --data=PATH");
  return options;
}

/// The files to merge, empty if there is nothing to be merged.
llvm::Expected<std::vector<std::string>> CommandLine::getMergeInputs() const {
  std::vector<std::string> files(merge.begin(), merge.end());
  if (files.empty()) {
    if (!mergeRest.empty())
      return llvm::createStringError("unexpected argument '" +
                                     mergeRest.front() +
                                     "': one model is calibrated at a time");
    return files;
  }
  // All arguments without a name are statistics then.
  if (!input.empty())
    files.push_back(input);
  files.insert(files.end(), mergeRest.begin(), mergeRest.end());
  if (!data.empty())
    return llvm::createStringError(
        "--merge and --data exclude each other: calibrate first, then merge");
  return files;
}

int nibble::calibrateMain(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  std::signal(SIGXFSZ, SIG_IGN);
  freeOptionNames({"threads", "march", "dim", "method", "data", "merge",
                   "batch", "window", "bins", "progress", "resume", "samples"});
  DialectRegistry registry;
  nibble::registerAllDialects(registry);
  nibble::registerAllPasses();
  CommandLine line;
  if (!cl::ParseCommandLineOptions(
          argc, argv,
          "Nibble: runs a model over data and keeps statistics of its values\n",
          &llvm::errs()))
    return 2;
  auto fail = [](llvm::Error error, int status) {
    llvm::WithColor::error(llvm::errs(), "nibble-calibrate")
        << llvm::toString(std::move(error)) << '\n';
    return status;
  };
  if (line.outputFile.empty())
    return fail(llvm::createStringError("no output file: name one with -o"), 2);
  auto merged = line.getMergeInputs();
  if (!merged)
    return fail(merged.takeError(), 2);
  if (!merged->empty()) {
    if (llvm::Error error = mergeStatistics(*merged, line.outputFile))
      return fail(std::move(error), 1);
    return 0;
  }
  llvm::Expected<CalibrateOptions> options = line.getOptions();
  if (!options)
    return fail(options.takeError(), 2);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  std::unique_ptr<llvm::DefaultThreadPool> pool;
  if (options->collector.threads != 1) {
    pool = std::make_unique<llvm::DefaultThreadPool>(
        llvm::hardware_concurrency(options->collector.threads));
    context.setThreadPool(*pool);
  }
  context.printOpOnDiagnostic(false);
  ScopedDiagnosticHandler diagnostics(&context, [](Diagnostic &diagnostic) {
    // Remarks are about code that nobody keeps.
    if (diagnostic.getSeverity() != DiagnosticSeverity::Remark)
      printDiagnostic(diagnostic);
  });
  Calibrator calibrator(&context, *options);
  return failed(calibrator.run());
}
