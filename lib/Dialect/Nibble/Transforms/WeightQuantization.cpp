//===- WeightQuantization.cpp - What quantization passes share ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Dialect/Nibble/Transforms/ReportDetails.h"
#include "nibble/Quantizer/ErrorStatistics.h"
#include "nibble/Quantizer/GGUF.h"
#include "nibble/Quantizer/Packing.h"
#include "nibble/Support/Progress.h"
#include <cmath>

using namespace mlir;

namespace nibble {
namespace {

MutableArrayRef<uint8_t> asUnsigned(MutableArrayRef<char> bytes) {
  return {reinterpret_cast<uint8_t *>(bytes.data()), bytes.size()};
}

/// Codes, scales and zeros as operations of the dialect.
struct QuantizedConstants {
  ConstantOp codes, scales, zeros, groupIndex, second;

  int64_t getBytes() const {
    int64_t bytes = 0;
    for (ConstantOp op : {codes, scales, zeros, groupIndex, second})
      if (op)
        bytes += getStorageBytes(cast<ShapedType>(op.getType()));
    return bytes;
  }
};

/// Reads, quantizes and replaces the weights of one module.
class WeightQuantizer {
public:
  WeightQuantizer(ModuleOp module, QuantizeFn quantize)
      : quantize(quantize), details(module) {}

  LogicalResult run(QuantizableOpInterface op,
                    const QuantizationRequest &request);
  QuantizationCounts counts;

private:
  /// What is known of a weight that was quantized before.
  struct Entry {
    DequantizeOp dequantize;
    LayerReport report;
  };

  FailureOr<Entry> create(QuantizableOpInterface op,
                          const QuantizationRequest &request);
  FailureOr<QuantizedConstants>
  createConstants(OpBuilder &b, Location loc, SchemeAttr scheme,
                  const quantizer::QuantizedWeight &weight, StringAttr name);

  QuantizeFn quantize;
  ReportDetails details;
  /// By weight, request and whether rows are contiguous. Values are only
  /// compared, and the constants they refer to outlive the run.
  DenseMap<std::tuple<void *, Attribute, int64_t>, Entry> known;
};

/// True if the rows of the view are the last dimension of the weight.
bool isTransposed(QuantizableOpInterface op) {
  WeightView view = op.getWeightView();
  auto type = cast<ShapedType>(op.getWeightOperand().get().getType());
  return type.getDimSize(0) != view.rows ||
         (view.rowStride == 1 && view.columns > 1);
}

FailureOr<QuantizedConstants>
WeightQuantizer::createConstants(OpBuilder &b, Location loc, SchemeAttr scheme,
                                 const quantizer::QuantizedWeight &weight,
                                 StringAttr name) {
  int64_t rows = weight.rows, columns = weight.cols;
  std::string base = name ? name.str() : "weight";
  auto create = [&](ArrayRef<int64_t> shape, Type type, StringRef suffix,
                    llvm::function_ref<void(MutableArrayRef<char>)> fill)
      -> FailureOr<ConstantOp> {
    std::string hint = base + suffix.str();
    FailureOr<ElementsAttr> value =
        createBlobAttr(loc, RankedTensorType::get(shape, type), hint, fill);
    if (failed(value))
      return failure();
    auto op = ConstantOp::create(b, loc, *value);
    op->setAttr(NibbleDialect::getLayerNameAttr(), b.getStringAttr(hint));
    return op;
  };

  auto createCodes = [&](ArrayRef<int64_t> shape, ArrayRef<uint8_t> values,
                         StringRef suffix) {
    return create(shape, b.getI8Type(), suffix, [&](MutableArrayRef<char> out) {
      llvm::copy(values, asUnsigned(out).begin());
    });
  };
  auto createFloats = [&](ArrayRef<int64_t> shape, Type type,
                          quantizer::ScaleType scaleType,
                          ArrayRef<float> values, StringRef suffix) {
    return create(shape, type, suffix, [&](MutableArrayRef<char> out) {
      quantizer::encodeScales(values, scaleType, asUnsigned(out));
    });
  };

  QuantizedConstants constants;
  FailureOr<ConstantOp> codes = create(
      scheme.getCodesShape(rows, columns), b.getI8Type(), ".codes",
      [&](MutableArrayRef<char> out) {
        quantizer::packRows(weight.codes, rows, columns, scheme.getBits(),
                            scheme.isSignedCodes(), asUnsigned(out));
      });
  // Scales, and zeros that are floats, of two levels are codes themselves.
  SmallVector<int64_t> shape = scheme.getScalesShape(rows, columns);
  auto createLevel = [&](ArrayRef<float> values, ArrayRef<uint8_t> codes,
                         StringRef suffix) {
    return scheme.getSecondType()
               ? createCodes(shape, codes, suffix)
               : createFloats(shape, scheme.getScaleType(),
                              weight.scheme.scaleType, values, suffix);
  };
  FailureOr<ConstantOp> scales =
      createLevel(weight.scales, weight.scaleCodes, ".scales");
  if (failed(codes) || failed(scales))
    return failure();
  constants.codes = *codes;
  constants.scales = *scales;
  if (scheme.hasZeros()) {
    FailureOr<ConstantOp> zeros =
        scheme.hasFloatZeros()
            ? createLevel(weight.floatZeros, weight.zeroCodes, ".zeros")
            : createCodes(shape, weight.zeros, ".zeros");
    if (failed(zeros))
      return failure();
    constants.zeros = *zeros;
  }
  if (scheme.getSecondType()) {
    FailureOr<ConstantOp> second = createFloats(
        scheme.getSecondShape(rows, columns), scheme.getSecondType(),
        weight.scheme.second->type, weight.second, ".second");
    if (failed(second))
      return failure();
    constants.second = *second;
  }
  if (scheme.getGroupIndex()) {
    FailureOr<ConstantOp> index = create(
        columns, b.getI32Type(), ".groups", [&](MutableArrayRef<char> out) {
          std::memcpy(out.data(), weight.groupIndex.data(), out.size());
        });
    if (failed(index))
      return failure();
    constants.groupIndex = *index;
  }
  return constants;
}

/// The same scheme for a weight with a group index.
SchemeAttr withGroupIndex(SchemeAttr scheme) {
  return SchemeAttr::get(
      scheme.getContext(), scheme.getCodebook(), scheme.getBits(),
      scheme.getTable(), scheme.getGroup(), scheme.getScaleType(),
      scheme.getSecondType(), scheme.getSecondGroup(),
      scheme.getSecondDynamic(), scheme.getSecondOffset(), scheme.getZero(),
      /*groupIndex=*/true, scheme.getOutliers(), scheme.getPacking());
}

/// Blocks that cross rows are there once for each of their groups.
void remarkRepeatedScales(QuantizableOpInterface op,
                          const quantizer::QuantizationScheme &requested,
                          const quantizer::QuantizedWeight &quantized) {
  int64_t group = quantized.scheme.group, block = requested.group;
  if (requested.codebook == quantizer::Codebook::Int || group == block)
    return;
  int64_t blocks = llvm::divideCeil(quantized.rows * quantized.cols, block);
  unsigned size =
      requested.second ? 1 : quantizer::getScaleBits(requested.scaleType) / 8;
  emitRemark(op.getLoc(), "layer \"")
      << op.getLayerName() << "\": blocks of " << block
      << " do not end with rows of " << quantized.cols << "; groups of "
      << group << " repeat their scales, which takes "
      << (int64_t(quantized.scales.size()) - blocks) * size << " bytes more";
}

FailureOr<WeightQuantizer::Entry>
WeightQuantizer::create(QuantizableOpInterface op,
                        const QuantizationRequest &request) {
  FailureOr<LayerWeight> read = readWeight(op);
  if (failed(read))
    return failure();
  Value weight = op.getWeightOperand().get();
  auto type = cast<RankedTensorType>(weight.getType());
  const quantizer::WeightView &source = read->view;

  quantizer::QuantizedWeight result(request.scheme, source.rows, source.cols);
  if (llvm::Error error = quantize(op, source, result))
    return emitError(op.getLoc(), "layer \"")
           << op.getLayerName() << "\": " << llvm::toString(std::move(error));
  quantizer::ErrorStatistics statistics =
      quantizer::computeErrorStatistics(source, result);

  Operation *definition = weight.getDefiningOp();
  OpBuilder b(definition);
  auto name =
      definition->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
  SchemeAttr scheme = getSchemeAttr(op.getContext(), result.scheme);
  if (!result.groupIndex.empty())
    scheme = withGroupIndex(scheme);
  FailureOr<QuantizedConstants> constants =
      createConstants(b, weight.getLoc(), scheme, result, name);
  if (failed(constants))
    return failure();
  auto getValue = [](ConstantOp op) { return op ? op.getResult() : Value(); };
  auto dequantize = DequantizeOp::create(
      b, weight.getLoc(), type, constants->codes, constants->scales,
      getValue(constants->zeros), getValue(constants->groupIndex),
      getValue(constants->second), scheme, b.getI64IntegerAttr(1),
      isTransposed(op) ? b.getUnitAttr() : UnitAttr(),
      /*unsigned_codes=*/UnitAttr());

  LayerReport report;
  report.scheme = getUserName(request.scheme, scheme);
  report.outlierThreshold = request.scheme.outlierThreshold;
  report.method =
      quantizer::MethodChain{request.prepared, request.method}.str();
  report.groupSize = request.scheme.group;
  report.symmetric = request.scheme.symmetric;
  report.doubleQuant = request.scheme.second && request.scheme.second->dynamic;
  report.scaleType =
      quantizer::stringifyScaleType(request.scheme.scaleType).str();
  report.scaleRule =
      quantizer::stringifyScaleRule(request.scheme.scaleRule).str();
  report.shape = type.getShape().vec();
  report.numWeights = type.getNumElements();
  report.floatBytes = getStorageBytes(type);
  report.bytes = constants->getBytes();
  double sqnr = statistics.getSQNR();
  if (std::isfinite(sqnr))
    report.sqnr = sqnr;
  report.cosine = statistics.getCosine();
  report.maxAbsError = statistics.maxAbsError;
  auto conv = dyn_cast<ConvOp>(op.getOperation());
  if (failed(details.add(op.getLayers(), conv ? conv.getGroup() : 1, source,
                         result, report, getFoldedScales(op))))
    return failure();
  remarkRepeatedScales(op, request.scheme, result);
  counts.bytesSaved += report.floatBytes - report.bytes;
  return Entry{dequantize, report};
}

LogicalResult WeightQuantizer::run(QuantizableOpInterface op,
                                   const QuantizationRequest &request) {
  if (!request.prepare.empty())
    return emitError(op.getLoc(), "layer \"")
           << op.getLayerName() << "\": method " << request.prepare.front()
           << " has not prepared the weight: it needs samples (--data), or "
              "statistics (--calibration)";
  if (!request.candidates.empty())
    return emitError(op.getLoc(), "layer \"")
           << op.getLayerName()
           << "\": its scheme was not chosen: give --budget or --max-error";
  OpOperand &operand = op.getWeightOperand();
  auto key = std::make_tuple(operand.get().getAsOpaquePointer(),
                             op->getAttr(requestAttrName),
                             op.getWeightView().rowStride);
  auto found = known.find(key);
  bool isShared = found != known.end();
  if (!isShared) {
    FailureOr<Entry> entry = create(op, request);
    if (failed(entry))
      return failure();
    found = known.try_emplace(key, *entry).first;
  }
  operand.set(found->second.dequantize.getOutput());
  LayerReport report = found->second.report;
  // Another layer has other inputs.
  if (isShared) {
    report.outputError.reset();
    report.outputErrorBasis = OutputErrorBasis::None;
  }
  setLayerReport(op, report);
  op->removeAttr(requestAttrName);
  op->removeAttr(foldedScalesAttrName);
  if (request.scheme.outlierThreshold)
    op->setAttr(outlierThresholdAttrName,
                Builder(op.getContext())
                    .getF32FloatAttr(*request.scheme.outlierThreshold));
  else if (request.scheme.dynamicActivations)
    op->setAttr(NibbleDialect::getDynamicActivationsAttr(),
                UnitAttr::get(op.getContext()));
  remark::passed(op.getLoc(),
                 remark::RemarkOpts::name("Quantized").category("nibble"))
      << remark::add("layer {0}: {1} by {2}", op.getLayerName(), report.scheme,
                     report.method)
      << remark::metric("sqnr_db", report.sqnr.value_or(0.0))
      << remark::metric("bytes", report.bytes);
  ++counts.quantized;
  return success();
}

/// Names in an attribute of a request.
std::vector<std::string> getNames(DictionaryAttr request, StringRef key) {
  std::vector<std::string> names;
  if (auto list = request.getAs<ArrayAttr>(key))
    for (auto name : list.getAsRange<StringAttr>())
      names.push_back(name.str());
  return names;
}

} // namespace

ArrayRef<float> getFoldedScales(Operation *op) {
  auto attr = op->getAttrOfType<DenseF32ArrayAttr>(foldedScalesAttrName);
  return attr ? attr.asArrayRef() : ArrayRef<float>();
}

FailureOr<LayerWeight> readWeight(QuantizableOpInterface op) {
  Value weight = op.getWeightOperand().get();
  FailureOr<ConstantData> data = ConstantData::get(weight);
  if (failed(data))
    return emitError(op.getLoc(), "layer \"")
           << op.getLayerName() << "\": the weight is not a constant that can "
           << "be read; keep this layer float with a 'skip' rule";
  auto type = cast<RankedTensorType>(weight.getType());
  // Float32 is read where it lies; other floats are converted, one weight.
  LayerWeight result;
  result.elements = data->expanded();
  WeightView view = op.getWeightView();
  result.view = {result.elements.getBytes().data(), view.rows, view.columns,
                 view.rowStride, view.columnStride};
  if (type.getElementType().isF32())
    return result;
  result.converted.resize(type.getNumElements());
  if (failed(result.elements.readFloats(0, result.converted)))
    return emitError(op.getLoc(), "layer \"")
           << op.getLayerName() << "\": expected a weight of floats, got "
           << type;
  result.view.data = reinterpret_cast<const char *>(result.converted.data());
  return result;
}

std::string getUserName(const quantizer::QuantizationScheme &scheme,
                        SchemeAttr attr) {
  if (scheme.outlierThreshold)
    return "LLM.int8";
  if (scheme.dynamicActivations)
    return "W8A8-dynamic";
  if (std::optional<quantizer::GGUFType> type = findGGUFType(scheme))
    return quantizer::getInfo(*type).name.str();
  return attr.getUserName();
}

/// The scheme of `entries`, with what the dialect's attribute does not say.
static FailureOr<quantizer::QuantizationScheme>
readScheme(Operation *op, DictionaryAttr entries) {
  auto attr = entries.getAs<SchemeAttr>("scheme");
  if (!attr)
    return op->emitError("expected ")
           << requestAttrName << " to have a scheme, got " << entries;
  quantizer::QuantizationScheme scheme = getQuantizerScheme(attr);
  scheme.dynamicActivations = entries.contains("dynamic_activations");
  if (auto threshold = entries.getAs<FloatAttr>("outlier_threshold"))
    scheme.outlierThreshold = threshold.getValueAsDouble();
  if (auto rule = entries.getAs<StringAttr>("scale_rule")) {
    auto known = quantizer::symbolizeScaleRule(rule.getValue());
    if (!known)
      return op->emitError("unknown scale rule \"") << rule.getValue() << '"';
    scheme.scaleRule = *known;
  }
  return scheme;
}

FailureOr<std::optional<QuantizationRequest>>
QuantizationRequest::get(Operation *op) {
  Attribute attr = op->getAttr(requestAttrName);
  if (!attr)
    return std::optional<QuantizationRequest>();
  auto dictionary = dyn_cast<DictionaryAttr>(attr);
  auto method =
      dictionary ? dictionary.getAs<StringAttr>("method") : StringAttr();
  if (!method)
    return op->emitError("expected ")
           << requestAttrName
           << " to be a dictionary with a method and a scheme, got " << attr;
  auto scheme = readScheme(op, dictionary);
  if (failed(scheme))
    return failure();

  QuantizationRequest request;
  request.method = method.str();
  request.prepare = getNames(dictionary, "prepare");
  request.prepared = getNames(dictionary, "prepared");
  request.scheme = *scheme;
  auto candidates = dictionary.getAs<ArrayAttr>("candidates");
  for (Attribute entry :
       candidates ? candidates : ArrayAttr::get(op->getContext(), {})) {
    auto entries = dyn_cast<DictionaryAttr>(entry);
    if (!entries)
      return op->emitError("expected candidates of ")
             << requestAttrName << " to be dictionaries, got " << entry;
    auto candidate = readScheme(op, entries);
    if (failed(candidate))
      return failure();
    request.candidates.push_back(*candidate);
  }
  if (Attribute options = dictionary.get("options")) {
    auto entries = dyn_cast<DictionaryAttr>(options);
    if (entries)
      request.options = toMethodOptions(entries);
    if (!entries || request.options.size() != entries.size())
      return op->emitError("expected the options of ")
             << requestAttrName << " to be a dictionary of strings, got "
             << options;
  }
  return std::optional<QuantizationRequest>(request);
}

/// The inverse of `readScheme`.
static void addScheme(MLIRContext *context,
                      const quantizer::QuantizationScheme &scheme,
                      NamedAttrList &entries) {
  Builder b(context);
  entries.append("scale_rule", b.getStringAttr(quantizer::stringifyScaleRule(
                                   scheme.scaleRule)));
  entries.append("scheme", getSchemeAttr(context, scheme));
  if (scheme.dynamicActivations)
    entries.append("dynamic_activations", b.getUnitAttr());
  if (scheme.outlierThreshold)
    entries.append("outlier_threshold",
                   b.getF32FloatAttr(*scheme.outlierThreshold));
}

DictionaryAttr QuantizationRequest::toAttr(MLIRContext *context) const {
  Builder b(context);
  NamedAttrList entries;
  entries.append("method", b.getStringAttr(method));
  auto addNames = [&](StringRef key, const std::vector<std::string> &names) {
    SmallVector<StringRef> list(names.begin(), names.end());
    if (!list.empty())
      entries.append(key, b.getStrArrayAttr(list));
  };
  addNames("prepare", prepare);
  addNames("prepared", prepared);
  if (!options.empty())
    entries.append("options", toDictionary(context, options));
  addScheme(context, scheme, entries);
  SmallVector<Attribute> open;
  for (const quantizer::QuantizationScheme &candidate : candidates) {
    NamedAttrList parts;
    addScheme(context, candidate, parts);
    open.push_back(parts.getDictionary(context));
  }
  if (!open.empty())
    entries.append("candidates", b.getArrayAttr(open));
  return entries.getDictionary(context);
}

static Type getScaleTypeAttr(Builder &b, quantizer::ScaleType type) {
  switch (type) {
  case quantizer::ScaleType::F16:
    return b.getF16Type();
  case quantizer::ScaleType::BF16:
    return b.getBF16Type();
  case quantizer::ScaleType::F32:
    return b.getF32Type();
  }
  llvm_unreachable("unknown scale type");
}

static quantizer::ScaleType getScaleType(Type type) {
  return type.isF32()   ? quantizer::ScaleType::F32
         : type.isF16() ? quantizer::ScaleType::F16
                        : quantizer::ScaleType::BF16;
}

SchemeAttr getSchemeAttr(MLIRContext *context,
                         const quantizer::QuantizationScheme &scheme) {
  Builder b(context);
  auto codebook =
      scheme.codebook == quantizer::Codebook::NF4   ? CodebookKind::NF4
      : scheme.codebook == quantizer::Codebook::FP4 ? CodebookKind::FP4
                                                    : CodebookKind::Int;
  auto zero = scheme.symmetric                            ? ZeroKind::None
              : scheme.hasIntegerZeros()                  ? ZeroKind::Integer
              : scheme.zero == quantizer::ZeroKind::Float ? ZeroKind::Float
                                                          : ZeroKind::Minimum;
  const std::optional<quantizer::SecondLevel> &second = scheme.second;
  return SchemeAttr::get(context, codebook, scheme.bits,
                         /*table=*/DenseF32ArrayAttr(), scheme.group,
                         getScaleTypeAttr(b, scheme.scaleType),
                         second ? getScaleTypeAttr(b, second->type) : Type(),
                         second ? second->group : 0, second && second->dynamic,
                         second && second->hasOffset, zero,
                         /*groupIndex=*/false, /*outliers=*/0, Packing::Rows);
}

quantizer::QuantizationScheme getQuantizerScheme(SchemeAttr attr) {
  quantizer::QuantizationScheme scheme;
  if (attr.getCodebook() == CodebookKind::NF4)
    scheme.codebook = quantizer::Codebook::NF4;
  if (attr.getCodebook() == CodebookKind::FP4)
    scheme.codebook = quantizer::Codebook::FP4;
  scheme.bits = attr.getBits();
  scheme.group = attr.getGroup();
  scheme.symmetric = !attr.hasZeros();
  if (attr.hasFloatZeros())
    scheme.zero = attr.getZero() == ZeroKind::Float
                      ? quantizer::ZeroKind::Float
                      : quantizer::ZeroKind::Minimum;
  scheme.scaleType = getScaleType(attr.getScaleType());
  if (Type type = attr.getSecondType())
    scheme.second = {getScaleType(type), attr.getSecondGroup(),
                     attr.getSecondDynamic(), attr.getSecondOffset()};
  return scheme;
}

FailureOr<QuantizationCounts>
quantizeWeights(ModuleOp module, ArrayRef<QuantizableOpInterface> operations,
                QuantizeFn quantize, BeginLayerFn begin) {
  WeightQuantizer quantizer(module, quantize);
  // The time that a weight takes goes with its size.
  uint64_t done = 0, total = 0;
  auto getSize = [](QuantizableOpInterface op) {
    return getStorageBytes(
        cast<ShapedType>(op.getWeightOperand().get().getType()));
  };
  for (QuantizableOpInterface op : operations)
    total += getSize(op);
  for (QuantizableOpInterface op : operations) {
    if (begin && failed(begin(op)))
      return failure();
    FailureOr<std::optional<QuantizationRequest>> request =
        QuantizationRequest::get(op);
    if (failed(request))
      return failure();
    reportProgress(done, total, op.getLayerName());
    done += getSize(op);
    if (*request && failed(quantizer.run(op, **request)))
      return failure();
  }
  // Float weights without users must not reach the compiled model.
  module.walk([](ConstantOp op) {
    if (op->use_empty())
      op->erase();
  });
  return quantizer.counts;
}

FailureOr<QuantizationCounts> quantizeWeights(ModuleOp module, StringRef method,
                                              QuantizeFn quantize) {
  SmallVector<QuantizableOpInterface> operations;
  int64_t otherMethods = 0;
  WalkResult result = module.walk([&](QuantizableOpInterface op) {
    FailureOr<std::optional<QuantizationRequest>> request =
        QuantizationRequest::get(op);
    if (failed(request))
      return WalkResult::interrupt();
    if (*request && (*request)->method == method)
      operations.push_back(op);
    else
      otherMethods += request->has_value();
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  FailureOr<QuantizationCounts> counts =
      quantizeWeights(module, operations, quantize);
  if (succeeded(counts))
    counts->otherMethods = otherMethods;
  return counts;
}

FailureOr<QuantizationCounts> quantizeWeights(ModuleOp module,
                                              const quantizer::Method &method) {
  auto quantize = [&](QuantizableOpInterface,
                      const quantizer::WeightView &weight,
                      quantizer::QuantizedWeight &result) -> llvm::Error {
    llvm::Expected<quantizer::QuantizedWeight> quantized =
        quantizer::quantize(method, {weight, result.scheme});
    if (!quantized)
      return quantized.takeError();
    result = std::move(*quantized);
    return llvm::Error::success();
  };
  return quantizeWeights(module, method.name, quantize);
}

SmallVector<QuantizableOpInterface> findRequests(ModuleOp module,
                                                 ArrayRef<StringRef> methods) {
  SmallVector<QuantizableOpInterface> layers;
  module.walk([&](QuantizableOpInterface op) {
    auto request = op->getAttrOfType<DictionaryAttr>(requestAttrName);
    auto named = request ? request.getAs<StringAttr>("method") : StringAttr();
    if (named && llvm::is_contained(methods, named.getValue()))
      layers.push_back(op);
  });
  return layers;
}

} // namespace nibble
