//===- InsertQuantization.cpp - Static scales into a graph of floats ------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Match.h"
#include "QuantizationPlan.h"
#include "QuantizedConstants.h"
#include "StaticStatistics.h"
#include "mlir/IR/Remarks.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include "nibble/Quantizer/MethodChain.h"
#include "nibble/Support/QuantizationConfig.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXINSERTQUANTIZATIONPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {

struct ONNXInsertQuantizationPass
    : public nibble::onnx::impl::ONNXInsertQuantizationPassBase<
          ONNXInsertQuantizationPass> {
  using Base::Base;

  void runOnOperation() override {
    rules = std::make_shared<QuantizationConfig>();
    choices.clear();
    if (failed(readOptions()) || failed(chooseLayers()))
      return signalPassFailure();
    if (!isWanted)
      return;
    if (failed(statistics.read(getOperation(), calibration)))
      return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (failed(quantize(function)))
        return signalPassFailure();
    rememberRules();
  }

private:
  LogicalResult readOptions() {
    Location loc = getOperation().getLoc();
    std::optional<quantizer::ScaleRule> rule =
        quantizer::symbolizeScaleRule(scaleRule);
    if (!rule && scaleRule != "default")
      return emitError(loc) << "unknown scale rule '" << scaleRule
                            << "': expected absmax, mse or signed-max";
    if (activationType != "uint8" && activationType != "int8")
      return emitError(loc) << "unknown activation type '" << activationType
                            << "': expected uint8 or int8";
    commandLine.scheme = scheme;
    auto chain = quantizer::MethodChain::parse(method);
    if (!chain)
      return emitError(loc) << llvm::toString(chain.takeError());
    commandLine.method = chain->method;
    commandLine.prepare = chain->prepare;
    commandLine.symmetric = symmetric;
    commandLine.scaleRule = rule;
    format.isUnsigned = activationType == "uint8";
    format.symmetric = activationSymmetric;
    if (config.empty())
      return success();
    auto loaded = QuantizationConfig::load(config);
    if (!loaded)
      return emitError(loc) << llvm::toString(loaded.takeError());
    *rules = std::move(*loaded);
    return success();
  }

  /// What each operator is to become. Products must find that their rules make
  /// sense before anything else is said.
  LogicalResult chooseLayers() {
    isWanted = false;
    bool alreadyQuantized = false;
    Operation *first = nullptr;
    WalkResult result = getOperation().walk([&](Operation *op) {
      if (auto quantize = dyn_cast<QuantizeLinearOp>(op))
        alreadyQuantized |= !quantize.getX().getDefiningOp<onnx::ConstantOp>();
      if (!isa_and_present<ONNXDialect>(op->getDialect()) ||
          isa<onnx::ConstantOp>(op))
        return WalkResult::advance();
      LayerChoice choice = resolveChoice(*rules, commandLine, op);
      choices[op] = choice;
      if (!isProduct(op) || choice.scheme != "W8A8")
        return WalkResult::advance();
      isWanted = true;
      first = first ? first : op;
      return WalkResult(checkChoice(op, choice));
    });
    if (result.wasInterrupted())
      return failure();
    if (!first || !calibration.empty() || alreadyQuantized)
      return success();
    return emitError(first->getLoc(), "layer \"")
           << getLayerName(first)
           << "\" is to become W8A8, which needs the ranges of activations: "
              "give --calibration=STATS, a file that nibble-calibrate writes";
  }

  static LogicalResult checkChoice(Operation *op, const LayerChoice &choice) {
    auto complain = [&](const Twine &what) -> LogicalResult {
      return emitError(op->getLoc(), "layer \"")
             << getLayerName(op) << "\": " << what;
    };
    if (choice.method != "rtn")
      return complain("method '" + Twine(choice.method) +
                      "' does not make W8A8 weights: expected rtn");
    if (!choice.symmetric)
      return complain("weights of W8A8 are symmetric: asymmetric codes are for "
                      "schemes of weights alone");
    if (choice.scaleRule == quantizer::ScaleRule::SignedMax)
      return complain("the scale rule signed-max gives negative scales, which "
                      "W8A8 has no use for: expected absmax or mse");
    return success();
  }

  std::string getObjection(Operation *op) const {
    auto found = choices.find(op);
    if (found == choices.end() || found->second.scheme == "W8A8")
      return "";
    const LayerChoice &choice = found->second;
    // An operator without a weight goes with the layers around it.
    if (!isProduct(op) && choice.scheme == commandLine.scheme &&
        choice.origin == commandLine.origin)
      return "";
    if (!choice.isQuantized())
      return choice.origin == commandLine.origin
                 ? "nothing asks for it"
                 : "a rule keeps it float (" + choice.origin + ")";
    return "its scheme is " + choice.scheme;
  }

  LogicalResult quantize(func::FuncOp function) {
    PlanInputs inputs;
    inputs.format = format;
    inputs.getObjection = [&](Operation *op) { return getObjection(op); };
    inputs.getRange = [&](Value value) { return statistics.getRange(value); };
    inputs.getDoubt = [&](Operation *op, const ValueGrid &grid) {
      return getDoubt(op, grid);
    };
    inputs.getName = [&](Value value) { return statistics.getName(value); };
    Block &body = function.getBody().front();
    QuantizationPlan plan = planQuantization(body, inputs);
    auto getGrid = [&](Value value) {
      auto found = plan.values.find(value);
      return found == plan.values.end() ? plan.quantized.lookup(value)
                                        : found->second;
    };
    ReportDetails details(function->getParentOfType<ModuleOp>());
    for (Operation *op : plan.products) {
      quantizer::ScaleRule rule =
          choices.lookup(op).scaleRule.value_or(quantizer::ScaleRule::AbsMax);
      if (failed(
              quantizeConstants(op, getGrid(op->getOperand(0)), rule, details)))
        return failure();
      ++numProducts;
    }
    for (auto &[value, grid] : plan.values)
      insertPair(value, grid, plan);
    for (auto &[op, reason] : plan.floats)
      explain(op, reason);
    eraseDead(function);
    return success();
  }

  /// Rounding the input of some products costs more than others: those with few
  /// large values, or with large channels that hardly count.
  std::string getDoubt(Operation *op, const ValueGrid &grid) {
    auto floats = op->getOperand(1).getDefiningOp<onnx::ConstantOp>();
    FailureOr<ConstantData> data = ConstantData::get(op->getOperand(1));
    if (!floats || failed(data))
      return "";
    ConstantData elements = data->expanded();
    ProductView view = getProductView(op, elements.getType().getShape(),
                                      elements.getBytes().data());
    std::optional<double> sqnr =
        quantizer::predictSQNR(view.weight, view.channels,
                               statistics.getInputMeanSquare(op), grid.scale);
    if (!sqnr || *sqnr >= minimumSQNR)
      return "";
    return llvm::formatv("8 bits of its input would leave its output {0:F1} "
                         "dB above the noise, less than the {1:F1} dB of "
                         "minimum-sqnr",
                         *sqnr, static_cast<double>(minimumSQNR));
  }

  /// value -> dequantize(quantize(value))
  void insertPair(Value value, const ValueGrid &grid,
                  const QuantizationPlan &plan) {
    OpBuilder b(&getContext());
    b.setInsertionPointAfterValue(value);
    Location loc = value.getLoc();
    std::string name = statistics.getName(value);
    auto named = [&](Operation *op, StringRef suffix) {
      op->setAttr(ONNXDialect::kNameAttr, b.getStringAttr(name + suffix));
      return op->getResult(0);
    };
    auto code = IntegerType::get(&getContext(), 8,
                                 grid.isUnsigned ? IntegerType::Unsigned
                                                 : IntegerType::Signless);
    auto floatScalar = RankedTensorType::get({}, b.getF32Type());
    auto codeScalar = RankedTensorType::get({}, code);
    Value scale =
        named(onnx::ConstantOp::create(
                  b, loc, DenseElementsAttr::get(floatScalar, grid.scale)),
              "_scale");
    APInt zeroBits(8, static_cast<uint64_t>(grid.zero), /*isSigned=*/false,
                   /*implicitTrunc=*/true);
    Value zero =
        named(onnx::ConstantOp::create(
                  b, loc, DenseElementsAttr::get(codeScalar, zeroBits)),
              "_zero_point");
    auto type = cast<RankedTensorType>(value.getType());
    Value codes = named(
        QuantizeLinearOp::create(b, loc, type.clone(code), value, scale, zero),
        "_QuantizeLinear");
    Value floats =
        named(DequantizeLinearOp::create(b, loc, type, codes, scale, zero),
              "_DequantizeLinear");
    bool everywhere = plan.isMadeInIntegers(value);
    value.replaceUsesWithIf(floats, [&](OpOperand &use) {
      Operation *user = use.getOwner();
      return user != codes.getDefiningOp() &&
             (everywhere || plan.integers.contains(user));
    });
    ++numValues;
  }

  void explain(Operation *op, StringRef reason) {
    // A product that is to be something else is a matter of later passes.
    if (isProduct(op)) {
      if (choices.lookup(op).scheme != "W8A8")
        return;
      setFloatReport(op, reason);
    }
    emitRemark(op->getLoc(), "layer \"")
        << getLayerName(op) << "\" computes in floats: " << reason;
    remark::missed(op->getLoc(),
                   remark::RemarkOpts::name("FloatLayer").category("nibble"))
        << remark::add("layer {0}", getLayerName(op))
        << remark::reason("{0}", reason);
  }

  /// The phase `quantized` resolves the same rules and sees only what is left.
  void rememberRules() {
    SmallVector<int64_t> lines;
    for (unsigned line : rules->getMatchedLines())
      lines.push_back(line);
    if (!lines.empty())
      getOperation()->setAttr(matchedRulesAttrName,
                              DenseI64ArrayAttr::get(&getContext(), lines));
  }

  LayerChoice commandLine;
  quantizer::ActivationFormat format;
  /// Shared, because passes are copied and a configuration is not.
  std::shared_ptr<QuantizationConfig> rules;
  DenseMap<Operation *, LayerChoice> choices;
  StaticStatistics statistics;
  bool isWanted = false;
};

} // namespace
