//===- ChooseSchemes.cpp - The pass nibble-choose-schemes ---------- -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "mlir/IR/Remarks.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Dialect/Nibble/Transforms/SchemeChooser.h"
#include "nibble/Quantizer/GGUF.h"
#include "nibble/Support/AtomicFile.h"
#include "nibble/Support/Size.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLECHOOSESCHEMESPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

using quantizer::Allocation;
using quantizer::QuantizationScheme;

/// The rule that asks for a request again.
ConfigRule makeRule(QuantizableOpInterface op,
                    const QuantizationRequest &request) {
  const QuantizationScheme &scheme = request.scheme;
  ConfigRule rule;
  rule.layers = {escapeGlob(op.getLayerName())};
  LayerOptions &options = rule.options;
  options.scheme = getUserName(scheme, getSchemeAttr(op.getContext(), scheme));
  options.method = request.method;
  options.prepare = request.prepare;
  options.methodOptions = request.options;
  if (quantizer::findGGUFType(scheme))
    return rule;
  options.groupSize = scheme.group;
  options.symmetric = scheme.symmetric;
  options.scaleType = scheme.scaleType;
  options.scaleRule = scheme.scaleRule;
  options.outlierThreshold = scheme.outlierThreshold;
  options.doubleQuant = scheme.second.has_value();
  return rule;
}

struct NibbleChooseSchemesPass
    : public impl::NibbleChooseSchemesPassBase<NibbleChooseSchemesPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

private:
  LogicalResult run();
  FailureOr<ChoiceReport> choose(const FixedSizes &fixed);
  void addGroupIndexes();
  void setRequests(const Allocation &allocation);
  LogicalResult writeConfiguration();
  void say(const ChoiceReport &report, int64_t otherBytes);

  std::vector<SchemeDecision> decisions;
};

/// Adds the bytes of a group index to the sizes, if there will be one.
void NibbleChooseSchemesPass::addGroupIndexes() {
  if (!groupIndex)
    return;
  for (SchemeDecision &decision : decisions)
    if (decision.request.method == "gptq" &&
        isa<MatMulOp>(decision.layers.front()))
      for (quantizer::AllocationOption &option : decision.options)
        option.size += decision.columns * sizeof(int32_t);
}

void NibbleChooseSchemesPass::setRequests(const Allocation &allocation) {
  for (auto [decision, choice] :
       llvm::zip_equal(decisions, allocation.choices)) {
    QuantizationRequest request = decision.request;
    request.scheme = request.candidates[choice];
    request.candidates.clear();
    for (QuantizableOpInterface op : decision.layers) {
      op->setAttr(requestAttrName, request.toAttr(&getContext()));
      ++numChosen;
      remark::passed(
          op.getLoc(),
          remark::RemarkOpts::name("SchemeChosen").category("nibble"))
          << remark::add("layer {0}: {1}", op.getLayerName(),
                         getCandidateName(&getContext(), request.scheme))
          << remark::metric("bytes", decision.options[choice].size)
          << remark::metric("error", decision.options[choice].damage);
    }
  }
}

LogicalResult NibbleChooseSchemesPass::writeConfiguration() {
  ModuleOp module = getOperation();
  QuantizationConfig config;
  config.setComment(maxError.empty() ? "Chosen for --budget=" + budget
                                     : "Chosen for --max-error=" + maxError);
  WalkResult walked = module.walk([&](QuantizableOpInterface op) {
    FailureOr<std::optional<QuantizationRequest>> request =
        QuantizationRequest::get(op);
    if (failed(request))
      return WalkResult::interrupt();
    // Escaped names are valid globs.
    if (*request)
      llvm::cantFail(config.addRule(makeRule(op, **request)));
    return WalkResult::advance();
  });
  if (walked.wasInterrupted())
    return failure();
  llvm::Expected<AtomicFile> file = AtomicFile::create(writeConfig);
  llvm::Error error = file ? llvm::Error::success() : file.takeError();
  if (!error) {
    config.write(file->os());
    error = file->commit();
  }
  if (error)
    return emitError(module.getLoc())
           << "--write-config: " << llvm::toString(std::move(error));
  return success();
}

/// One line on what became of all layers.
void NibbleChooseSchemesPass::say(const ChoiceReport &report,
                                  int64_t otherBytes) {
  llvm::MapVector<StringRef, unsigned> counts;
  for (const ChoiceLayer &layer : report.layers)
    ++counts[layer.candidates[layer.chosen].name];
  std::string text;
  for (auto [name, count] : counts)
    text +=
        llvm::formatv("{0}{1} for {2}", text.empty() ? "" : ", ", name, count);
  int64_t all = report.chosen.bytes + otherBytes;
  InFlightDiagnostic remark = emitRemark(getOperation().getLoc());
  remark << llvm::formatv("chose schemes of {0} weights ({1}): {2:f3} bits per "
                          "weight, {3} with all other weights",
                          report.layers.size(), text,
                          report.chosen.bitsPerWeight, formatBytes(all));
  if (report.measured)
    remark << llvm::formatv("; measured {0}: {1:e2}", report.measure,
                            *report.measured);
  else if (calibration.empty())
    remark << "; errors of weights were compared: data (--data or "
              "--calibration) says more";
}

FailureOr<ChoiceReport>
NibbleChooseSchemesPass::choose(const FixedSizes &fixed) {
  ModuleOp module = getOperation();
  FailureOr<ChoiceLimit> limit =
      ChoiceLimit::parse(module.getLoc(), budget, maxError);
  if (failed(limit))
    return failure();
  SchemeChooser chooser(module, *limit, fixed, decisions);
  const BlockRunnerFactory *factory = BlockRunnerScope::getCurrent();
  if (!factory) {
    if (failed(estimateDamage(module, decisions, calibration)))
      return failure();
    addGroupIndexes();
    FailureOr<Allocation> allocation = chooser.choose();
    if (failed(allocation))
      return failure();
    setRequests(*allocation);
    ChoiceReport report = chooser.makeReport(*allocation);
    report.measure = calibration.empty()
                         ? "relative errors of the weights, added up"
                         : "relative errors of the layers' outputs, added up";
    return report;
  }
  DamageMeasure measure =
      limit->maxError ? DamageMeasure::RelativeError : findMeasure(module);
  DamageProbe probe(module, *factory, measure, maxSamples, maxTokens);
  std::vector<unsigned> probes = chooser.chooseProbes();
  if (failed(probe.run(decisions, probes)))
    return failure();
  addGroupIndexes();
  std::optional<double> measured;
  FailureOr<Allocation> allocation =
      chooser.chooseMeasured(probes, probe, measured);
  if (failed(allocation))
    return failure();
  setRequests(*allocation);
  ChoiceReport report = chooser.makeReport(*allocation);
  report.measured = measured;
  report.measure = measure == DamageMeasure::Divergence
                       ? "divergence of the outputs in nats per token"
                       : "relative error of the outputs";
  return report;
}

LogicalResult NibbleChooseSchemesPass::run() {
  ModuleOp module = getOperation();
  auto found = findDecisions(module);
  if (failed(found))
    return failure();
  decisions = std::move(*found);
  if (decisions.empty()) {
    if (!budget.empty() || !maxError.empty())
      emitWarning(module.getLoc())
          << "there is nothing to choose: no layer has the scheme auto";
    return writeConfig.empty() ? success() : writeConfiguration();
  }
  FailureOr<FixedSizes> fixed = FixedSizes::compute(module);
  if (failed(fixed))
    return failure();
  FailureOr<ChoiceReport> report = choose(*fixed);
  if (failed(report))
    return failure();
  say(*report, fixed->getBytes());
  if (module->hasAttr(reportDetailsAttrName))
    setChoiceReport(module, *report);
  return writeConfig.empty() ? success() : writeConfiguration();
}

} // namespace
} // namespace nibble
