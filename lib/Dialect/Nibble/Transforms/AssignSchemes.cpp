//===- AssignSchemes.cpp - Decide how weights are quantized ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
#include "nibble/Quantizer/GGUF.h"
#include "nibble/Quantizer/MethodChain.h"
#include "nibble/Quantizer/SchemeName.h"
#include "nibble/Support/SchemeChoice.h"
#include "llvm/ADT/StringExtras.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEASSIGNSCHEMESPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// What a weight is to a language model.
enum class Role { Layer, Embedding, Head };

StringRef describe(Role role) {
  switch (role) {
  case Role::Layer:
    return "layer";
  case Role::Embedding:
    return "embedding";
  case Role::Head:
    return "output head";
  }
  llvm_unreachable("unknown role");
}

/// The data of a weight, as something to compare: two constants that refer to
/// the same bytes of a file are the same initializer in two shapes.
Attribute getInitializer(Value weight) {
  Attribute value;
  if (!matchPattern(weight, m_Constant(&value)))
    return {};
  auto mapped = dyn_cast<MappedAttr>(value);
  if (!mapped)
    return value;
  Builder b(weight.getContext());
  auto bytes = RankedTensorType::get(mapped.getLength(), b.getI8Type());
  return MappedAttr::get(b.getContext(), bytes, mapped.getFile(),
                         mapped.getOffset(), mapped.getLength(),
                         mapped.getHash());
}

/// True if `op` reaches a returned value without another matrix product.
bool feedsOutput(Operation *op) {
  SmallVector<Operation *> worklist = {op};
  SmallPtrSet<Operation *, 16> seen;
  while (!worklist.empty()) {
    for (Operation *user : worklist.pop_back_val()->getUsers()) {
      if (isa<func::ReturnOp>(user))
        return true;
      if (!isa<MatMulOp>(user) && seen.insert(user).second)
        worklist.push_back(user);
    }
  }
  return false;
}

/// Finds the embeddings and output heads of the language models in `module`.
DenseMap<Operation *, Role> findRoles(ModuleOp module) {
  DenseMap<Operation *, Role> roles;
  module.walk([&](func::FuncOp function) {
    SmallPtrSet<Attribute, 4> tables;
    function.walk([&](GatherOp op) {
      roles[op] = Role::Embedding;
      if (Attribute table = getInitializer(op.getWeight()))
        tables.insert(table);
    });
    if (tables.empty())
      return;
    MatMulOp last;
    function.walk([&](MatMulOp op) {
      if (tables.contains(getInitializer(op.getWeight())))
        roles[op] = Role::Head;
      if (feedsOutput(op))
        last = op;
    });
    if (last)
      roles[last] = Role::Head;
  });
  return roles;
}

struct NibbleAssignSchemesPass
    : public impl::NibbleAssignSchemesPassBase<NibbleAssignSchemesPass> {
  using Base::Base;

  void runOnOperation() override {
    rules = std::make_shared<QuantizationConfig>();
    isValid = true;
    if (failed(readOptions()))
      return signalPassFailure();
    DenseMap<Operation *, Role> roles = findRoles(getOperation());
    getOperation().walk([&](QuantizableOpInterface op) {
      if (isValid && !op.getQuantizationScheme())
        assign(op, roles.lookup(op));
    });
    if (!isValid)
      return signalPassFailure();
    if (auto lines = getOperation()->getAttrOfType<DenseI64ArrayAttr>(
            matchedRulesAttrName))
      rules->setMatchedLines(lines.asArrayRef());
    getOperation()->removeAttr(matchedRulesAttrName);
    for (const std::string &message : rules->getUnmatchedRules())
      emitWarning(getOperation().getLoc()) << message;
  }

private:
  LogicalResult readOptions() {
    Location loc = getOperation().getLoc();
    auto report = [&](llvm::Error error) -> LogicalResult {
      return emitError(loc) << llvm::toString(std::move(error));
    };
    for (StringRef name : {StringRef(scheme), StringRef(head)})
      if (auto known = quantizer::parseSchemeName(name); !known)
        return report(known.takeError());
    auto type = quantizer::symbolizeScaleType(scaleType);
    if (!type && scaleType != "default")
      return emitError(loc) << "unknown scale type '" << scaleType
                            << "': expected f16, bf16 or f32";
    auto rule = quantizer::symbolizeScaleRule(scaleRule);
    if (!rule && scaleRule != "default")
      return emitError(loc)
             << "unknown scale rule '" << scaleRule
             << "': expected absmax, mse, signed-max or full-range";
    auto threshold = quantizer::parseOutlierThreshold(outlierThreshold);
    if (!threshold)
      return emitError(loc)
             << "outlier-threshold " << llvm::toString(threshold.takeError());
    layerChoice.outlierThreshold = *threshold;
    layerChoice.scheme = scheme;
    auto chain = quantizer::MethodChain::parse(method);
    if (!chain)
      return report(chain.takeError());
    layerChoice.method = chain->method;
    layerChoice.prepare = chain->prepare;
    if (groupSize != 0)
      layerChoice.groupSize = groupSize;
    layerChoice.symmetric = symmetric;
    layerChoice.scaleType = type;
    layerChoice.doubleQuant = doubleQuant;
    layerChoice.scaleRule = rule;
    auto parsed = parseCandidates(candidates);
    if (!parsed)
      return emitError(loc)
             << "candidates: " << llvm::toString(parsed.takeError());
    choices = std::move(*parsed);
    headChoice = layerChoice;
    headChoice.scheme = head;
    if (config.empty())
      return success();
    auto loaded = QuantizationConfig::load(config);
    if (!loaded)
      return report(loaded.takeError());
    *rules = std::move(*loaded);
    return success();
  }

  /// All names that a rule may use: those of the fused layers and that of the
  /// initializer.
  static SmallVector<StringRef> getNames(QuantizableOpInterface op) {
    SmallVector<StringRef> names;
    for (Attribute layer : op.getLayers())
      names.push_back(cast<StringAttr>(layer).getValue());
    if (auto constant = op.getWeightOperand().get().getDefiningOp<ConstantOp>())
      if (!constant.getName().empty())
        names.push_back(constant.getName());
    return names;
  }

  void assign(QuantizableOpInterface op, Role role) {
    LayerChoice choice = rules->resolve(
        role == Role::Layer ? layerChoice : headChoice, getNames(op),
        op.getOperatorType(), /*useDefault=*/role == Role::Layer);
    if (!choice.isQuantized())
      return skip(op, getReason(choice, role));
    if (choice.scheme == "W8A8")
      return skip(op, getStaticReason(op));
    if (!getInitializer(op.getWeightOperand().get()))
      return skip(op, "its weight is not a constant");

    QuantizationRequest request;
    request.method = choice.method;
    request.prepare = choice.prepare;
    const quantizer::Method *method = quantizer::lookupMethod(choice.method);
    for (const auto &[name, value] : choice.methodOptions)
      if (method && llvm::is_contained(method->options, name))
        request.options.emplace_back(name, value);
    if (choice.isOpen()) {
      if (failed(addCandidates(op, choice, request))) {
        isValid = false;
        return;
      }
      request.scheme = request.candidates.front();
      return setRequest(op, request);
    }
    request.scheme = choice.getScheme();
    if (request.scheme.dynamicActivations)
      keepActivations(op, request.scheme);
    int64_t columns = op.getWeightView().columns;
    useTypeForRows(op, request.scheme, columns);
    if (llvm::Error error = verify(op, request)) {
      emitError(op.getLoc(), "layer \"")
          << op.getLayerName() << "\": " << llvm::toString(std::move(error));
      isValid = false;
      return;
    }
    // Blocks of tables do not end with rows.
    if (request.scheme.group > columns &&
        request.scheme.codebook == quantizer::Codebook::Int &&
        request.scheme.scaleRule != quantizer::ScaleRule::GGML) {
      emitRemark(op.getLoc(), "layer \"")
          << op.getLayerName() << "\": a group of " << request.scheme.group
          << " is larger than the row of " << columns
          << "; each row is one group";
      request.scheme.group = -1;
    }
    setRequest(op, request);
  }

  void setRequest(QuantizableOpInterface op,
                  const QuantizationRequest &request) {
    op->setAttr(requestAttrName, request.toAttr(&getContext()));
    ++numRequested;
  }

  static llvm::Error verify(QuantizableOpInterface op,
                            QuantizationRequest &request) {
    if (llvm::Error error = request.scheme.verify())
      return error;
    if (!request.prepare.empty() && !op.getActivationInput()) {
      emitRemark(op.getLoc(), "layer \"")
          << op.getLayerName() << "\" is quantized without "
          << llvm::join(request.prepare, ", ")
          << ": a table of rows is not multiplied with activations";
      request.prepare.clear();
    }
    return quantizer::MethodChain{request.prepare, request.method}.supports(
        request.scheme);
  }

  /// The schemes that an open choice has for this layer. Of those that nobody
  /// asked for, such that the method does not take are left out.
  LogicalResult addCandidates(QuantizableOpInterface op,
                              const LayerChoice &choice,
                              QuantizationRequest &request) {
    int64_t columns = op.getWeightView().columns;
    const quantizer::Method *known = quantizer::lookupMethod(choice.method);
    for (const SchemeCandidate &candidate : choices) {
      quantizer::QuantizationScheme scheme =
          candidate.applyTo(choice).getScheme();
      if (std::optional<quantizer::GGUFType> type =
              quantizer::findGGUFType(scheme))
        scheme = quantizer::getGGUFScheme(
            quantizer::getTypeForRowsOf(*type, columns));
      request.scheme = scheme;
      llvm::Error error = verify(op, request);
      if (!error && known)
        error = known->supports(scheme);
      if (error) {
        std::string reason = llvm::toString(std::move(error));
        if (candidates.empty())
          continue;
        return emitError(op.getLoc(), "layer \"")
               << op.getLayerName() << "\": candidate " << candidate.str()
               << " does not go with method " << choice.method << ": "
               << reason;
      }
      if (scheme.group > columns &&
          scheme.codebook == quantizer::Codebook::Int &&
          scheme.scaleRule != quantizer::ScaleRule::GGML)
        scheme.group = -1;
      request.candidates.push_back(scheme);
    }
    if (!request.candidates.empty())
      return success();
    return emitError(op.getLoc(), "layer \"")
           << op.getLayerName() << "\": method " << choice.method
           << " takes none of the usual schemes: say which to choose from "
              "with --candidates";
  }

  /// Rows that are not whole super-blocks get another type of GGUF files.
  void useTypeForRows(QuantizableOpInterface op,
                      quantizer::QuantizationScheme &scheme, int64_t columns) {
    std::optional<quantizer::GGUFType> type = quantizer::findGGUFType(scheme);
    if (!type)
      return;
    quantizer::GGUFType used = quantizer::getTypeForRowsOf(*type, columns);
    scheme = quantizer::getGGUFScheme(used);
    if (used == *type)
      return;
    const quantizer::GGUFTypeInfo &info = quantizer::getInfo(*type);
    emitRemark(op.getLoc(), "layer \"")
        << op.getLayerName() << "\" is quantized as "
        << quantizer::getInfo(used).name << ": rows of " << columns
        << " are not whole blocks of " << info.block << ", which " << info.name
        << " has";
  }

  /// What can't multiply integers keeps float activations and the weight as it
  /// would be.
  void keepActivations(QuantizableOpInterface op,
                       quantizer::QuantizationScheme &scheme) {
    Value input = op.getActivationInput();
    std::string reason;
    if (!input)
      reason = "a table of rows is not multiplied with activations";
    else if (!getElementTypeOrSelf(input).isF32())
      reason = "its activations are not float32";
    else if (scheme.outlierThreshold && !isa<MatMulOp>(op))
      reason = "only matrix products have outlier columns";
    if (reason.empty())
      return;
    scheme.dynamicActivations = false;
    scheme.outlierThreshold.reset();
    emitRemark(op.getLoc(), "layer \"")
        << op.getLayerName() << "\" is quantized as W8A16: " << reason;
  }

  /// Why a layer that was to be W8A8 is none: the pass that inserts scales,
  /// long before, knows.
  static std::string getStaticReason(QuantizableOpInterface op) {
    auto report = op->getAttrOfType<DictionaryAttr>(reportAttrName);
    auto reason = report ? report.getAs<StringAttr>("reason") : StringAttr();
    return reason && !reason.empty() ? reason.str()
                                     : "W8A8 is for products of the ONNX graph";
  }

  std::string getReason(const LayerChoice &choice, Role role) const {
    if (choice.origin != layerChoice.origin)
      return "a rule keeps it float (" + choice.origin + ")";
    if (role != Role::Layer)
      return "it is the " + describe(role).str() +
             " of a language model (use --head)";
    return "";
  }

  /// Leaves `op` float. Without a reason nobody asked for anything else.
  void skip(QuantizableOpInterface op, const std::string &reason) {
    ++numSkipped;
    LayerReport report;
    Value weight = op.getWeightOperand().get();
    auto type = cast<ShapedType>(weight.getType());
    report.numWeights = type.getNumElements();
    report.floatBytes = report.bytes = getStorageBytes(type);
    bool wanted = layerChoice.isQuantized() || !rules->getRules().empty();
    if (wanted)
      report.reason = reason;
    setLayerReport(op, report);
    if (!wanted || reason.empty())
      return;
    emitRemark(op.getLoc(), "layer \"")
        << op.getLayerName() << "\" is not quantized: " << reason;
    remark::missed(op.getLoc(),
                   remark::RemarkOpts::name("NotQuantized").category("nibble"))
        << remark::add("layer {0}", op.getLayerName())
        << remark::reason("{0}", reason);
  }

  LayerChoice layerChoice, headChoice;
  std::vector<SchemeCandidate> choices;
  /// False once a layer is asked for what no scheme is.
  bool isValid = true;
  /// Shared, because passes are copied and a configuration is not.
  std::shared_ptr<QuantizationConfig> rules;
};

} // namespace
} // namespace nibble
