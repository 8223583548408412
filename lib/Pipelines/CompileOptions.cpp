//===- CompileOptions.cpp - What nibble-compile can be asked for -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/CompileOptions.h"
#include "nibble/Quantizer/MethodChain.h"
#include "nibble/Quantizer/Outliers.h"
#include "nibble/Quantizer/SchemeName.h"
#include "nibble/Support/Report.h"
#include "nibble/Support/SchemeChoice.h"
#include "nibble/Target/CpuTarget.h"
#include "nibble/Target/CudaTarget.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

using namespace nibble;
using llvm::StringRef;

static constexpr std::pair<Phase, const char *> phaseNames[] = {
    {Phase::ONNX, "onnx"},           {Phase::Nibble, "nibble"},
    {Phase::Quantized, "quantized"}, {Phase::Linalg, "linalg"},
    {Phase::Vector, "vector"},       {Phase::LLVM, "llvm"},
    {Phase::Object, "object"}};

StringRef nibble::stringifyPhase(Phase phase) {
  for (auto [value, name] : phaseNames)
    if (value == phase)
      return name;
  llvm_unreachable("unknown phase");
}

std::optional<Phase> nibble::symbolizePhase(StringRef name) {
  for (auto [value, known] : phaseNames)
    if (name == known)
      return value;
  return std::nullopt;
}

EmitKind CompileOptions::getEmitKind() const {
  if (emit)
    return *emit;
  StringRef extension = llvm::sys::path::extension(outputFile);
  if (extension == ".so")
    return EmitKind::SharedLibrary;
  if (extension == ".o")
    return EmitKind::ObjectFile;
  if (extension == ".mlir" || extension == ".mlirbc" || outputFile == "-")
    return EmitKind::MLIR;
  if (extension == ".onnx")
    return EmitKind::ONNX;
  if (extension == ".ll")
    return EmitKind::LLVMIR;
  if (extension == ".s")
    return EmitKind::Assembly;
  // A phase before code generation can only be written as IR.
  if (compileTo && *compileTo != Phase::Object)
    return EmitKind::MLIR;
  return EmitKind::Executable;
}

StringRef CompileOptions::getChips() const {
  return chips.empty() ? StringRef(target::defaultCudaChip) : StringRef(chips);
}

Phase CompileOptions::getLastPhase() const {
  if (compileTo)
    return *compileTo;
  switch (getEmitKind()) {
  case EmitKind::ONNX:
  case EmitKind::QDQ:
    return Phase::ONNX;
  case EmitKind::MLIR:
    return Phase::LLVM;
  default:
    return Phase::Object;
  }
}

static llvm::Error checkChoice(StringRef option, StringRef value,
                               llvm::ArrayRef<StringRef> choices) {
  if (llvm::is_contained(choices, value))
    return llvm::Error::success();
  return llvm::createStringError("unknown value '" + value + "' of --" +
                                 option + ": expected one of " +
                                 llvm::join(choices, ", "));
}

static llvm::Error checkChoiceOptions(const CompileOptions &options) {
  bool isOpen = options.quantize == "auto" || options.head == "auto";
  bool hasLimit = !options.budget.empty() || !options.maxError.empty();
  if (!options.budget.empty() && !options.maxError.empty())
    return llvm::createStringError("--budget and --max-error exclude each "
                                   "other: give one of them");
  if (isOpen && !hasLimit)
    return llvm::createStringError(
        "the scheme auto needs a limit: give --budget=4.25bpw, --budget=60MB "
        "or --max-error=0.01, with numbers of your own");
  // Rules may ask for it, too.
  if (hasLimit && !isOpen && options.configFile.empty())
    return llvm::createStringError(
        "--budget and --max-error are for --quantize=auto");
  if (!options.budget.empty())
    if (llvm::Expected<Budget> budget = Budget::parse(options.budget); !budget)
      return llvm::createStringError("--budget: " +
                                     llvm::toString(budget.takeError()));
  if (!options.maxError.empty())
    if (llvm::Expected<double> error = parseMaxError(options.maxError); !error)
      return llvm::createStringError("--max-error: " +
                                     llvm::toString(error.takeError()));
  if (auto candidates = parseCandidates(options.candidates); !candidates)
    return llvm::createStringError("--candidates: " +
                                   llvm::toString(candidates.takeError()));
  return llvm::Error::success();
}

/// Names that belong to the quantizer, which has the messages for them.
static llvm::Error checkQuantization(const CompileOptions &options) {
  using namespace quantizer;
  for (auto [option, value] :
       {std::pair<StringRef, StringRef>{"quantize", options.quantize},
        {"head", options.head}})
    if (llvm::Expected<SchemeName> name = parseSchemeName(value); !name)
      return llvm::createStringError("--" + option + ": " +
                                     llvm::toString(name.takeError()));
  llvm::Expected<MethodChain> methods = MethodChain::parse(options.method);
  if (!methods)
    return llvm::createStringError("--method: " +
                                   llvm::toString(methods.takeError()));
  if (llvm::Error error = methods->verify())
    return llvm::createStringError("--method: " +
                                   llvm::toString(std::move(error)));
  if (llvm::Error error = checkChoiceOptions(options))
    return error;
  if (options.scaleRule != "default" && !symbolizeScaleRule(options.scaleRule))
    return llvm::createStringError("unknown value '" + options.scaleRule +
                                   "' of --scale-rule: expected absmax, mse, "
                                   "signed-max or full-range");
  if (llvm::Error error = options.gptq.verify())
    return llvm::createStringError("--" + llvm::toString(std::move(error)));
  if (llvm::Error error = options.awq.verify())
    return llvm::createStringError("--" + llvm::toString(std::move(error)));
  if (auto alpha = SmoothQuantOptions::parse(options.smoothQuantAlpha); !alpha)
    return llvm::createStringError("--" + llvm::toString(alpha.takeError()));
  if (llvm::Error error = options.autoRound.verify())
    return llvm::createStringError("--method=autoround: " +
                                   llvm::toString(std::move(error)));
  if (options.batchSize == 0)
    return llvm::createStringError(
        "--batch-size=0: expected at least one sample");
  if (options.roundingStart != "gptq" && options.roundingStart != "rtn")
    return llvm::createStringError("unknown value '" + options.roundingStart +
                                   "' of --rounding-start: expected gptq or "
                                   "rtn");
  if (auto value = parseOutlierThreshold(options.outlierThreshold); !value)
    return llvm::createStringError("--outlier-threshold is " +
                                   llvm::toString(value.takeError()));
  for (StringRef path : options.reports)
    if (llvm::Error error = checkReportPath(path))
      return llvm::createStringError("--report: " +
                                     llvm::toString(std::move(error)));
  return llvm::Error::success();
}

static llvm::Error checkTarget(const CompileOptions &options) {
  StringRef target = options.target;
  if (target.contains(','))
    return llvm::createStringError(
        "--target=" + target +
        ": a model is compiled for one target, cpu or cuda; one for cuda has "
        "code for the CPU where it needs some");
  if (auto error = checkChoice("target", target, {"cpu", "cuda"}))
    return error;
  if (!options.isCuda())
    return options.chips.empty()
               ? llvm::Error::success()
               : llvm::createStringError("--chip=" + options.chips +
                                         " needs --target=cuda");
  if (options.chips.empty())
    return llvm::Error::success();
  return target::parseCudaChips(options.chips).takeError();
}

llvm::Error CompileOptions::validate() const {
  if (llvm::Error error = checkQuantization(*this))
    return error;
  if (llvm::Error error = checkTarget(*this))
    return error;
  if (auto error = checkChoice("compute", compute, {"f32", "bf16", "int8"}))
    return error;
  if (compute == "int8")
    return llvm::createStringError("--compute=" + compute +
                                   " is not available in this build: use "
                                   "--compute=f32 or bf16");
  if (auto error = checkChoice("calibration-compute", calibrationCompute,
                               {"auto", "f32", "bf16"}))
    return error;
  if (march != "native" &&
      !llvm::is_contained(target::CpuTarget::getChoices(), march))
    return llvm::createStringError(
        "unknown value '" + march + "' of --march: expected native or one of " +
        llvm::join(target::CpuTarget::getChoices(), ", "));
  if (auto error =
          checkChoice("weights", weights, {"auto", "embedded", "sidecar"}))
    return error;
  if (scaleType != "default")
    if (auto error =
            checkChoice("scale-type", scaleType, {"f16", "bf16", "f32"}))
      return error;
  if (auto error =
          checkChoice("progress", progress, {"auto", "always", "never"}))
    return error;
  if (auto error =
          checkChoice("activation-type", activationType, {"uint8", "int8"}))
    return error;
  if (groupSize && (*groupSize < -1 || *groupSize == 0))
    return llvm::createStringError(
        "--group-size=" + llvm::itostr(*groupSize) +
        " is not a group: expected a number of weights, or -1 for one group "
        "per output channel");
  EmitKind kind = getEmitKind();
  Phase last = getLastPhase();
  bool isOnnx = kind == EmitKind::ONNX || kind == EmitKind::QDQ;
  bool needsObject = kind != EmitKind::MLIR && !isOnnx;
  if (needsObject && last != Phase::Object)
    return llvm::createStringError(
        "--compile-to=" + stringifyPhase(last) +
        " stops before machine code: name the output X.mlir");
  if (kind == EmitKind::MLIR && last == Phase::Object)
    return llvm::createStringError(
        "--compile-to=object can't be written as MLIR: name the output X.so, "
        "X.o, or X for an executable");
  if (isOnnx && last != Phase::ONNX)
    return llvm::createStringError("only --compile-to=onnx can be written as "
                                   "ONNX, got --compile-to=" +
                                   stringifyPhase(last));
  return llvm::Error::success();
}
