//===- QuantizedConstants.cpp - Weights and biases of QDQ graphs ----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "QuantizedConstants.h"
#include "Match.h"
#include "StaticStatistics.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Quantizer/ErrorStatistics.h"
#include <cmath>
#include <cstring>

using namespace mlir;

namespace nibble::onnx {
namespace {

/// Name of the constant that `value` is.
std::string getConstantName(Value value, StringRef fallback) {
  auto name =
      value.getDefiningOp()->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr);
  return name && !name.empty() ? name.str() : fallback.str();
}

Value createNamed(OpBuilder &b, Location loc, ElementsAttr value,
                  const std::string &name) {
  auto op = ConstantOp::create(b, loc, value);
  op->setAttr(ONNXDialect::kNameAttr, b.getStringAttr(name));
  return op.getResult();
}

FailureOr<ElementsAttr> createCodes(Location loc, RankedTensorType type,
                                    const ProductView &view,
                                    const quantizer::Int8Weight &weight,
                                    StringRef name) {
  return createBlobAttr(loc, type, name, [&](MutableArrayRef<char> out) {
    for (int64_t row = 0; row < weight.rows; ++row)
      for (int64_t col = 0; col < weight.cols; ++col)
        out[row * view.weight.rowStride + col * view.weight.colStride] =
            weight.codes[row * weight.cols + col];
  });
}

quantizer::QuantizedWeight toUnsigned(const quantizer::Int8Weight &weight) {
  quantizer::QuantizationScheme scheme;
  scheme.bits = 8;
  scheme.group = -1;
  scheme.scaleType = quantizer::ScaleType::F32;
  quantizer::QuantizedWeight result(scheme, weight.rows, weight.cols);
  for (auto [from, to] : llvm::zip_equal(weight.codes, result.codes))
    to = static_cast<uint8_t>(from + scheme.getSymmetricZero());
  result.scales = weight.scales;
  return result;
}

LogicalResult setReport(Operation *op, const ProductView &view,
                        ArrayRef<int64_t> shape,
                        const quantizer::Int8Weight &weight,
                        quantizer::ScaleRule rule, ReportDetails &details) {
  quantizer::QuantizedWeight quantized = toUnsigned(weight);
  quantizer::ErrorStatistics errors =
      quantizer::computeErrorStatistics(view.weight, quantized);
  LayerReport report;
  report.scheme = "W8A8";
  report.method = "rtn";
  report.groupSize = -1;
  report.scaleType = "f32";
  report.scaleRule = quantizer::stringifyScaleRule(rule).str();
  report.shape = shape.vec();
  report.numWeights = weight.rows * weight.cols;
  report.floatBytes = report.numWeights * sizeof(float);
  report.bytes = report.numWeights + weight.rows * sizeof(float);
  if (std::isfinite(errors.getSQNR()))
    report.sqnr = errors.getSQNR();
  report.cosine = errors.getCosine();
  report.maxAbsError = errors.maxAbsError;
  Builder b(op->getContext());
  // An equalized layer does not have the input that was seen.
  Operation *source = op->getOperand(0).getDefiningOp();
  ArrayAttr names = source && source->hasAttr(equalizedAttrName)
                        ? b.getStrArrayAttr({})
                        : b.getStrArrayAttr(getLayerName(op));
  if (failed(details.add(names, view.channels.groups, view.weight, quantized,
                         report)))
    return failure();
  op->setAttr(reportAttrName, toDictionary(op->getContext(), report));
  return success();
}

/// The bias of Conv or Gemm as floats, empty if there is none.
FailureOr<std::vector<float>> readBias(Operation *op, int64_t rows) {
  std::vector<float> bias;
  if (isa<MatMulOp>(op) || !isPresent(op->getOperand(2)))
    return bias;
  FailureOr<ConstantData> data = ConstantData::get(op->getOperand(2));
  bias.resize(rows);
  if (failed(data) || data->getNumElements() != rows ||
      failed(data->expanded().readFloats(0, bias)))
    return op->emitError("expected a bias of ") << rows << " floats";
  if (auto gemm = dyn_cast<GemmOp>(op))
    for (float &value : bias)
      value *= gemm.getBeta();
  return bias;
}

} // namespace

ProductView getProductView(Operation *op, ArrayRef<int64_t> shape,
                           const char *data) {
  ProductView view;
  if (isa<ConvOp>(op)) {
    int64_t cols = 1;
    for (int64_t size : shape.drop_front())
      cols *= size;
    view.weight = quantizer::WeightView::rowMajor(data, shape[0], cols);
    view.channels.window = shape[1] ? cols / shape[1] : 1;
    view.channels.groups = cast<ConvOp>(op).getGroup();
    return view;
  }
  auto gemm = dyn_cast<GemmOp>(op);
  if (gemm && gemm.getTransB()) {
    view.weight = quantizer::WeightView::rowMajor(data, shape[0], shape[1]);
    return view;
  }
  view.axis = 1;
  view.weight = quantizer::WeightView::transposed(data, shape[1], shape[0]);
  return view;
}

quantizer::Int8Weight readRows(const ProductView &view, ArrayRef<float> scales,
                               ArrayRef<char> codes) {
  int64_t rows = view.weight.rows, cols = view.weight.cols;
  quantizer::Int8Weight weight{rows, cols, {}, scales.vec()};
  weight.codes.reserve(rows * cols);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t col = 0; col < cols; ++col)
      weight.codes.push_back(static_cast<int8_t>(
          codes[row * view.weight.rowStride + col * view.weight.colStride]));
  return weight;
}

LogicalResult quantizeConstants(Operation *op, const ValueGrid &input,
                                quantizer::ScaleRule rule,
                                ReportDetails &details) {
  Value source = op->getOperand(1);
  auto floats = source.getDefiningOp<ConstantOp>();
  FailureOr<ConstantData> data = ConstantData::get(source);
  if (!floats || failed(data))
    return op->emitError("its weight can't be read");
  ConstantData elements = data->expanded();
  auto type = cast<RankedTensorType>(source.getType());
  ProductView view =
      getProductView(op, type.getShape(), elements.getBytes().data());
  FailureOr<std::vector<float>> bias = readBias(op, view.weight.rows);
  if (failed(bias))
    return failure();
  auto gemm = dyn_cast<GemmOp>(op);
  float alpha = gemm ? gemm.getAlpha() : 1.0f;
  double inputScale = double(input.scale) * alpha;
  llvm::Expected<quantizer::Int8Weight> weight = quantizer::quantizeInt8(
      view.weight, rule,
      quantizer::getMinimumScales(view.weight.rows, *bias, input.scale, alpha));
  if (!weight)
    return op->emitError("layer \"")
           << getLayerName(op) << "\": " << llvm::toString(weight.takeError());
  if (failed(setReport(op, view, type.getShape(), *weight, rule, details)))
    return failure();

  OpBuilder b(op);
  Location loc = op->getLoc();
  std::string name = getConstantName(source, getLayerName(op));
  auto vector = RankedTensorType::get({view.weight.rows}, b.getF32Type());
  auto makeScales = [&](double factor, const std::string &prefix) {
    std::vector<float> scales;
    for (float scale : weight->scales)
      scales.push_back(static_cast<float>(scale * factor));
    return createNamed(b, loc,
                       DenseElementsAttr::get(vector, ArrayRef<float>(scales)),
                       prefix + "_scale");
  };
  FailureOr<ElementsAttr> codes = createCodes(
      loc, type.clone(b.getI8Type()), view, *weight, name + "_quantized");
  if (failed(codes))
    return failure();
  Value codeValue = createNamed(b, loc, *codes, name + "_quantized");
  codeValue.getDefiningOp()->setAttr(floatValueAttrName, floats.getValueAttr());
  if (alpha != 1.0f)
    codeValue.getDefiningOp()->setAttr(floatFactorAttrName,
                                       b.getF32FloatAttr(alpha));
  Value none = NoValueOp::create(b, loc, b.getNoneType());
  auto dequantize = DequantizeLinearOp::create(b, loc, type, codeValue,
                                               makeScales(alpha, name), none);
  dequantize.setAxis(view.axis);
  dequantize->setAttr(ONNXDialect::kNameAttr,
                      b.getStringAttr(name + "_DequantizeLinear"));
  op->setOperand(1, dequantize.getY());
  if (gemm) {
    gemm.setAlpha(1.0f);
    gemm.setBeta(1.0f);
  }
  if (bias->empty())
    return success();
  std::vector<int32_t> steps =
      quantizer::quantizeBias(*bias, inputScale, weight->scales);
  name = getConstantName(op->getOperand(2), (name + "_bias"));
  Value biasCodes =
      createNamed(b, loc,
                  DenseElementsAttr::get(vector.clone(b.getI32Type()),
                                         ArrayRef<int32_t>(steps)),
                  name + "_quantized");
  auto biasFloats = DequantizeLinearOp::create(
      b, loc, vector, biasCodes, makeScales(inputScale, name), none);
  biasFloats.setAxis(0);
  biasFloats->setAttr(ONNXDialect::kNameAttr,
                      b.getStringAttr(name + "_DequantizeLinear"));
  op->setOperand(2, biasFloats.getY());
  return success();
}

void setFloatReport(Operation *op, StringRef reason) {
  LayerReport report;
  report.reason = reason.str();
  auto type = dyn_cast<RankedTensorType>(op->getOperand(1).getType());
  if (type && type.hasStaticShape()) {
    report.shape = type.getShape().vec();
    report.numWeights = type.getNumElements();
    report.floatBytes = report.bytes = getStorageBytes(type);
  }
  op->setAttr(reportAttrName, toDictionary(op->getContext(), report));
}

} // namespace nibble::onnx
