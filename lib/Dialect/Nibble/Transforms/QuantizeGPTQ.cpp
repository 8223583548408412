//===- QuantizeGPTQ.cpp - The pass nibble-quantize-gptq -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SequentialMethods.h"
#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "nibble/Calibration/Statistics.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Dialect/Nibble/Transforms/SequentialQuantization.h"
#include "nibble/Quantizer/DenseMath.h"
#include "nibble/Quantizer/GPTQ.h"
#include "nibble/Quantizer/Method.h"
#include "nibble/Quantizer/RTN.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEQUANTIZEGPTQPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

using quantizer::GPTQOptions;
using quantizer::GPTQOutcome;
using quantizer::QuantizedWeight;

/// What is known of the inputs of a layer.
struct LayerInputs {
  /// Sums of x x^T, one for each group of a convolution, and rows x seen.
  SmallVector<ArrayRef<float>, 1> hessians;
  int64_t rows = 0;
};

/// Quantizes single layers and remembers what is to be said about them.
class LayerQuantizer {
public:
  explicit LayerQuantizer(const GPTQOptions &options) : options(options) {}

  llvm::Error quantize(QuantizableOpInterface op,
                       const quantizer::WeightView &weight,
                       const LayerInputs &inputs, QuantizedWeight &result);
  /// Rounds a layer to nearest; `reason` is what the warning says.
  llvm::Error round(QuantizableOpInterface op,
                    const quantizer::WeightView &weight, StringRef reason,
                    QuantizedWeight &result);
  /// Hessians are about to change.
  void forgetFactors() { factors.clear(); }
  /// Adds to the reports of the layers, and warns of those that fell back.
  void report();

  int64_t numFallbacks = 0;

private:
  struct Entry {
    ArrayRef<float> hessian;
    std::unique_ptr<quantizer::GPTQFactor> factor;
    int64_t groupLength;
    GPTQOptions options;
  };
  struct Note {
    QuantizableOpInterface op;
    GPTQOutcome outcome;
    int64_t rows, columns;
    quantizer::MethodOptions options;
  };
  llvm::Expected<GPTQOptions> getOptions(QuantizableOpInterface op) const;
  const quantizer::GPTQFactor &getFactor(ArrayRef<float> hessian, int64_t cols,
                                         int64_t groupLength,
                                         const GPTQOptions &options);

  GPTQOptions options;
  /// Layers with the same inputs follow each other.
  std::vector<Entry> factors;
  std::vector<Note> notes;
};

/// The activations of a stage as one Hessian for each group.
class StageHessians : public SequentialMethod {
public:
  explicit StageHessians(LayerQuantizer &layers) : layers(layers) {}

  llvm::Error beginStage(const calibration::BlockStage &stage) override {
    layers.forgetFactors();
    isComplete = false;
    size = stage.columns;
    rows = 0;
    sums.assign(stage.groups, {});
    for (std::vector<float> &sum : sums)
      sum.assign(size * size, 0);
    return llvm::Error::success();
  }
  llvm::Error observe(const calibration::ActivationRows &piece) override {
    quantizer::addOuterProducts(
        {piece.values.data(), piece.rows, piece.columns, piece.columns},
        sums[piece.group]);
    if (piece.group == 0)
      rows += piece.rows;
    return llvm::Error::success();
  }
  llvm::Error quantize(QuantizableOpInterface op,
                       const quantizer::WeightView &weight,
                       QuantizedWeight &result) override {
    LayerInputs inputs;
    inputs.rows = rows;
    for (std::vector<float> &sum : sums) {
      if (!isComplete)
        quantizer::mirrorUpper(sum, size);
      inputs.hessians.push_back(sum);
    }
    isComplete = true;
    return layers.quantize(op, weight, inputs, result);
  }

private:
  LayerQuantizer &layers;
  bool isComplete = false;
  int64_t size = 0, rows = 0;
  std::vector<std::vector<float>> sums;
};

/// Those of the pass with those of the layer's request.
llvm::Expected<GPTQOptions>
LayerQuantizer::getOptions(QuantizableOpInterface op) const {
  GPTQOptions own = options;
  auto request = op->getAttrOfType<DictionaryAttr>(requestAttrName);
  auto entries =
      request ? request.getAs<DictionaryAttr>("options") : DictionaryAttr();
  if (entries)
    for (const auto &[name, value] : toMethodOptions(entries))
      if (llvm::Error error = own.set(name, value))
        return std::move(error);
  if (llvm::Error error = own.verify())
    return std::move(error);
  return own;
}

const quantizer::GPTQFactor &
LayerQuantizer::getFactor(ArrayRef<float> hessian, int64_t cols,
                          int64_t groupLength, const GPTQOptions &options) {
  // Layers that read the same values have equal Hessians, in several places of
  // a statistics file.
  for (Entry &entry : factors)
    if (entry.groupLength == groupLength && entry.options == options &&
        entry.hessian == hessian)
      return *entry.factor;
  if (factors.size() == 2)
    factors.erase(factors.begin());
  factors.push_back({hessian,
                     std::make_unique<quantizer::GPTQFactor>(
                         hessian, cols, groupLength, options),
                     groupLength, options});
  return *factors.back().factor;
}

llvm::Error LayerQuantizer::quantize(QuantizableOpInterface op,
                                     const quantizer::WeightView &weight,
                                     const LayerInputs &inputs,
                                     QuantizedWeight &result) {
  const quantizer::QuantizationScheme &scheme = result.scheme;
  if (llvm::Error error = quantizer::lookupMethod("gptq")->supports(scheme))
    return error;
  int64_t numGroups = inputs.hessians.size(), cols = weight.cols;
  llvm::Expected<GPTQOptions> own = getOptions(op);
  if (!own)
    return own.takeError();
  Note note{op, {}, inputs.rows, cols, own->getChanged()};
  // Only matrix products find the scale of a column by an index.
  own->staticGroups |= own->activationOrder && !isa<MatMulOp>(op);
  int64_t rows = weight.rows / numGroups;
  for (auto [group, hessian] : llvm::enumerate(inputs.hessians)) {
    if (hessian.size() != size_t(cols * cols))
      return llvm::createStringError(
          "its Hessian has " + llvm::Twine(hessian.size()) +
          " elements: expected " + llvm::Twine(cols) + " x " +
          llvm::Twine(cols) + "; calibrate this model again");
    const quantizer::GPTQFactor &factor =
        getFactor(hessian, cols, scheme.getGroupLength(cols), *own);
    quantizer::WeightView part = weight;
    part.rows = rows;
    part.data += group * rows * weight.rowStride * sizeof(float);
    QuantizedWeight codes(scheme, rows, cols);
    llvm::Expected<GPTQOutcome> outcome =
        quantizer::quantizeGPTQ(part, factor, codes);
    if (!outcome)
      return outcome.takeError();
    note.outcome.loss += outcome->loss;
    note.outcome.numDead += outcome->numDead;
    note.outcome.damp = std::max(note.outcome.damp, outcome->damp);
    if (note.outcome.fallback.empty())
      note.outcome.fallback = outcome->fallback;
    if (numGroups == 1) {
      result = std::move(codes);
      break;
    }
    llvm::copy(codes.codes, result.codes.begin() + group * rows * cols);
    size_t first = group * codes.scales.size();
    llvm::copy(codes.scales, result.scales.begin() + first);
    llvm::copy(codes.zeros,
               result.zeros.begin() + (codes.zeros.empty() ? 0 : first));
  }
  notes.push_back(std::move(note));
  return llvm::Error::success();
}

llvm::Error LayerQuantizer::round(QuantizableOpInterface op,
                                  const quantizer::WeightView &weight,
                                  StringRef reason, QuantizedWeight &result) {
  if (llvm::Error error =
          quantizer::lookupMethod("gptq")->supports(result.scheme))
    return error;
  Note note{op, {}, 0, weight.cols, {}};
  note.outcome.fallback = reason.str();
  notes.push_back(std::move(note));
  return quantizer::quantizeRTN(weight, result.scheme, result.codes,
                                result.scales, result.zeros);
}

void LayerQuantizer::report() {
  for (Note &note : notes) {
    QuantizableOpInterface op = note.op;
    const GPTQOutcome &outcome = note.outcome;
    if (!outcome.fallback.empty()) {
      ++numFallbacks;
      emitWarning(op.getLoc(), "layer \"")
          << op.getLayerName()
          << "\" is rounded to nearest: " << outcome.fallback;
    } else if (note.rows < note.columns) {
      emitRemark(op.getLoc(), "layer \"")
          << op.getLayerName() << "\": " << note.rows
          << " rows of calibration data are fewer than its " << note.columns
          << " columns; more data would help";
    }
    auto report = op->getAttrOfType<DictionaryAttr>(reportAttrName);
    if (!report)
      continue;
    Builder b(op.getContext());
    NamedAttrList entries(report);
    if (!note.options.empty())
      entries.set("options", toDictionary(op.getContext(), note.options));
    entries.set("calibration_rows", b.getI64IntegerAttr(note.rows));
    if (outcome.fallback.empty()) {
      entries.set("damp", b.getF64FloatAttr(outcome.damp));
      entries.set("loss", b.getF64FloatAttr(outcome.loss / note.rows));
    } else {
      entries.set("fallback", b.getStringAttr(outcome.fallback));
    }
    op->setAttr(reportAttrName, entries.getDictionary(op.getContext()));
  }
}

struct NibbleQuantizeGPTQPass
    : public impl::NibbleQuantizeGPTQPassBase<NibbleQuantizeGPTQPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

private:
  LogicalResult run();
  FailureOr<QuantizationCounts> quantizeByFile(LayerQuantizer &layers);
  void count(const QuantizationCounts &counts) {
    numWeightsQuantized += counts.quantized;
    bytesSaved += counts.bytesSaved;
  }
};

LogicalResult NibbleQuantizeGPTQPass::run() {
  ModuleOp module = getOperation();
  GPTQOptions options;
  options.dampPercent = dampPercent;
  options.dampIncrement = dampAutoIncrement;
  options.blockSize = blockSize;
  options.activationOrder = activationOrder;
  options.staticGroups = staticGroups;
  options.groupAware = actGroupAware;
  if (llvm::Error error = options.verify())
    return emitError(module.getLoc()) << llvm::toString(std::move(error));
  if (findRequests(module, {"gptq"}).empty())
    return success();
  FailureOr<QuantizationCounts> tables = roundTables(module, {"gptq"});
  if (failed(tables))
    return failure();
  count(*tables);
  SmallVector<QuantizableOpInterface> left = findRequests(module, {"gptq"});
  if (left.empty())
    return success();

  // With samples, the pass that runs the model has served what it can reach.
  if (BlockRunnerScope::getCurrent() && calibration.empty())
    return emitError(left.front().getLoc(), "layer \"")
           << left.front().getLayerName()
           << "\": its inputs can't be computed apart from the rest of the "
              "model; give this layer another method by a rule, or use "
              "--calibration";
  LayerQuantizer layers(options);
  FailureOr<QuantizationCounts> counts = quantizeByFile(layers);
  if (failed(counts))
    return failure();
  count(*counts);
  layers.report();
  numFallbacks += layers.numFallbacks;
  return success();
}

FailureOr<QuantizationCounts>
NibbleQuantizeGPTQPass::quantizeByFile(LayerQuantizer &layers) {
  ModuleOp module = getOperation();
  if (calibration.empty())
    return emitError(module.getLoc())
           << "method gptq needs calibration data: give samples with --data, "
              "or run nibble-calibrate --hessian and give its result with "
              "--calibration";
  auto fail = [&](llvm::Error error) {
    return emitError(module.getLoc()) << llvm::toString(std::move(error));
  };
  auto read = calibration::Statistics::readShared(calibration);
  if (!read)
    return fail(read.takeError());
  const calibration::Statistics &statistics = **read;
  auto hessians = statistics.openHessians();
  if (!hessians)
    return fail(hessians.takeError());
  auto quantize = [&](QuantizableOpInterface op,
                      const quantizer::WeightView &weight,
                      QuantizedWeight &result) -> llvm::Error {
    const calibration::LayerStatistics *known =
        statistics.findLayer(op.getLayerName());
    if (!known)
      return llvm::createStringError("the statistics in '" + calibration +
                                     "' do not have this layer; calibrate "
                                     "this model again");
    // The file has no sums of what never ran, as an expert without tokens.
    if (known->rows == 0)
      return layers.round(op, weight, "no input of the data reached it",
                          result);
    LayerInputs inputs;
    inputs.rows = known->rows;
    for (int64_t group = 0; group < known->hessianCount; ++group) {
      llvm::Expected<ArrayRef<float>> hessian = (*hessians)->get(*known, group);
      if (!hessian)
        return hessian.takeError();
      inputs.hessians.push_back(*hessian);
    }
    ArrayRef<float> scales = getFoldedScales(op);
    if (scales.empty())
      return layers.quantize(op, weight, inputs, result);
    // The file knows the activations as they were before they were divided.
    std::vector<float> divided(inputs.hessians.front());
    for (auto [i, value] : llvm::enumerate(divided))
      value /= scales[i / scales.size()] * scales[i % scales.size()];
    inputs.hessians.front() = divided;
    llvm::Error error = layers.quantize(op, weight, inputs, result);
    layers.forgetFactors();
    return error;
  };
  return quantizeWeights(module, "gptq", quantize);
}

/// Owns what it makes of samples.
class GPTQMethod : public StageHessians {
public:
  explicit GPTQMethod(std::unique_ptr<LayerQuantizer> layers)
      : StageHessians(*layers), layers(std::move(layers)) {}
  void report() override { layers->report(); }

private:
  std::unique_ptr<LayerQuantizer> layers;
};

} // namespace

std::unique_ptr<SequentialMethod>
createGPTQMethod(const quantizer::GPTQOptions &options) {
  return std::make_unique<GPTQMethod>(
      std::make_unique<LayerQuantizer>(options));
}

} // namespace nibble
