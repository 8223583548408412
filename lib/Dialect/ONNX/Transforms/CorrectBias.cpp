//===- CorrectBias.cpp - The mean of what rounding weights changes --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Match.h"
#include "QuantizedConstants.h"
#include "StaticStatistics.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include <cmath>

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXCORRECTBIASPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {

/// All elements of a constant of floats.
std::optional<std::vector<float>> readFloats(Value value) {
  FailureOr<ConstantData> data = ConstantData::get(value);
  if (failed(data))
    return std::nullopt;
  std::vector<float> values(data->getNumElements());
  if (failed(data->expanded().readFloats(0, values)))
    return std::nullopt;
  return values;
}

struct ONNXCorrectBiasPass
    : public nibble::onnx::impl::ONNXCorrectBiasPassBase<ONNXCorrectBiasPass> {
  using Base::Base;

  void runOnOperation() override {
    if (enable && failed(statistics.read(getOperation(), calibration)))
      return signalPassFailure();
    SmallVector<Operation *> products;
    getOperation().walk([&](Operation *op) {
      if (isProduct(op) && getCodes(op))
        products.push_back(op);
    });
    if (enable)
      for (Operation *op : products)
        correct(op);
    // The floats are not part of the model any more.
    getOperation().walk([](onnx::ConstantOp op) {
      op->removeAttr(floatValueAttrName);
      op->removeAttr(floatFactorAttrName);
    });
  }

private:
  /// The codes of the weight, if the floats that they were made of are known.
  static onnx::ConstantOp getCodes(Operation *op) {
    auto dequantize = op->getOperand(1).getDefiningOp<DequantizeLinearOp>();
    auto codes = dequantize
                     ? dequantize.getX().getDefiningOp<onnx::ConstantOp>()
                     : onnx::ConstantOp();
    return codes && codes->hasAttr(floatValueAttrName) ? codes
                                                       : onnx::ConstantOp();
  }

  /// What the mean of each output gains by the rounding of the weight; empty if
  /// nothing is known about the input.
  std::vector<double> getShift(Operation *op) {
    SmallVector<float> mean = statistics.getInputMean(op);
    if (mean.empty())
      return {};
    onnx::ConstantOp codes = getCodes(op);
    auto dequantize = op->getOperand(1).getDefiningOp<DequantizeLinearOp>();
    auto fail = [&] { return emitError(op->getLoc()); };
    FailureOr<ConstantData> codeData = ConstantData::get(codes.getResult());
    FailureOr<ConstantData> floats =
        ConstantData::get(codes->getAttr(floatValueAttrName), fail);
    std::optional<std::vector<float>> scales =
        readFloats(dequantize.getXScale());
    if (failed(codeData) || failed(floats) || !scales)
      return {};
    ConstantData from = floats->expanded(), to = codeData->expanded();
    ProductView view =
        getProductView(op, from.getType().getShape(), from.getBytes().data());
    auto factor = codes->getAttrOfType<FloatAttr>(floatFactorAttrName);
    return quantizer::getMeanShift(
        view.weight, readRows(view, *scales, to.getBytes()), view.channels,
        mean, factor ? static_cast<float>(factor.getValueAsDouble()) : 1.0f);
  }

  void correct(Operation *op) {
    std::vector<double> shift = getShift(op);
    if (shift.empty()) {
      emitRemark(op->getLoc(), "layer \"")
          << getLayerName(op)
          << "\": its bias is not corrected: the statistics have no means of "
             "its input";
      return;
    }
    bool changed = isa<onnx::MatMulOp>(op)        ? shiftSum(op, shift)
                   : isPresent(op->getOperand(2)) ? shiftBias(op, shift)
                                                  : addBias(op, shift);
    numCorrected += changed;
  }

  /// A bias of integers gets other ones.
  bool shiftBias(Operation *op, ArrayRef<double> shift) {
    auto dequantize = op->getOperand(2).getDefiningOp<DequantizeLinearOp>();
    if (!dequantize)
      return false;
    FailureOr<ConstantData> data = ConstantData::get(dequantize.getX());
    std::optional<std::vector<float>> scales =
        readFloats(dequantize.getXScale());
    std::vector<int64_t> steps(shift.size());
    if (failed(data) || !scales || scales->size() != shift.size() ||
        data->getNumElements() != static_cast<int64_t>(shift.size()) ||
        failed(data->expanded().readIntegers(0, steps)))
      return false;
    SmallVector<int32_t> moved;
    for (auto [step, scale, by] : llvm::zip_equal(steps, *scales, shift))
      moved.push_back(static_cast<int32_t>(std::clamp<double>(
          std::nearbyint(step - by / scale), INT32_MIN, INT32_MAX)));
    OpBuilder b(dequantize);
    auto type = cast<RankedTensorType>(dequantize.getX().getType());
    Operation *old = dequantize.getX().getDefiningOp();
    auto constant = onnx::ConstantOp::create(
        b, old->getLoc(), DenseElementsAttr::get(type, ArrayRef(moved)));
    constant->setAttr(ONNXDialect::kNameAttr,
                      old->getAttr(ONNXDialect::kNameAttr));
    dequantize->setOperand(0, constant.getResult());
    if (old->use_empty())
      old->erase();
    return true;
  }

  /// A convolution or Gemm without a bias gets one.
  bool addBias(Operation *op, ArrayRef<double> shift) {
    auto weight = op->getOperand(1).getDefiningOp<DequantizeLinearOp>();
    auto input = op->getOperand(0).getDefiningOp<DequantizeLinearOp>();
    std::optional<std::vector<float>> scales = readFloats(weight.getXScale());
    std::optional<std::vector<float>> inputScale =
        input ? readFloats(input.getXScale()) : std::nullopt;
    if (!scales || scales->size() != shift.size() || !inputScale ||
        inputScale->size() != 1)
      return false;
    OpBuilder b(op);
    Location loc = op->getLoc();
    auto type = RankedTensorType::get({int64_t(shift.size())}, b.getF32Type());
    SmallVector<float> products;
    for (float scale : *scales)
      products.push_back(
          static_cast<float>(double(scale) * inputScale->front()));
    std::string name = (getLayerName(op) + "_bias").str();
    auto create = [&](ElementsAttr value, StringRef suffix) {
      auto constant = onnx::ConstantOp::create(b, loc, value);
      constant->setAttr(ONNXDialect::kNameAttr, b.getStringAttr(name + suffix));
      return constant.getResult();
    };
    SmallVector<int32_t> zeros(shift.size(), 0);
    Value codes = create(
        DenseElementsAttr::get(type.clone(b.getI32Type()), ArrayRef(zeros)),
        "_quantized");
    Value scale =
        create(DenseElementsAttr::get(type, ArrayRef(products)), "_scale");
    auto bias = DequantizeLinearOp::create(
        b, loc, type, codes, scale,
        NoValueOp::create(b, loc, b.getNoneType()).getResult());
    bias.setAxis(0);
    op->setOperand(2, bias.getY());
    return shiftBias(op, shift);
  }

  /// A matrix product has no bias: the sum that follows has it, or a new one.
  bool shiftSum(Operation *op, ArrayRef<double> shift) {
    Value product = op->getResult(0);
    auto type = cast<RankedTensorType>(product.getType());
    OpBuilder b(op->getContext());
    b.setInsertionPointAfter(op);
    Location loc = op->getLoc();
    auto create = [&](ArrayRef<int64_t> shape, ArrayRef<float> values) {
      return onnx::ConstantOp::create(
                 b, loc,
                 DenseElementsAttr::get(
                     RankedTensorType::get(shape, b.getF32Type()), values))
          .getResult();
    };
    SmallVector<float> bias(shift.size(), 0.0f);
    if (Operation *user = getOnlyUser(product); isa_and_present<AddOp>(user)) {
      Value other = getOther(user, product);
      std::optional<std::vector<float>> given =
          other.getDefiningOp<onnx::ConstantOp>() ? readFloats(other)
                                                  : std::nullopt;
      RankedTensorType otherType = getRanked(other);
      if (given && given->size() == shift.size() && otherType.getRank() > 0 &&
          otherType.getShape().back() == static_cast<int64_t>(shift.size())) {
        for (auto [value, by] : llvm::zip_equal(*given, shift))
          value -= by;
        Value constant = create(otherType.getShape(), *given);
        constant.getDefiningOp()->setAttr(
            ONNXDialect::kNameAttr,
            b.getStringAttr(getLayerName(op) + "_bias"));
        user->replaceUsesOfWith(other, constant);
        return true;
      }
    }
    for (auto [value, by] : llvm::zip_equal(bias, shift))
      value = static_cast<float>(-by);
    Value constant = create({int64_t(bias.size())}, bias);
    constant.getDefiningOp()->setAttr(
        ONNXDialect::kNameAttr, b.getStringAttr(getLayerName(op) + "_bias"));
    auto sum = AddOp::create(b, loc, type, product, constant);
    sum->setAttr(ONNXDialect::kNameAttr,
                 b.getStringAttr(getLayerName(op) + "_corrected"));
    product.replaceAllUsesExcept(sum.getResult(), sum);
    return true;
  }

  StaticStatistics statistics;
};

} // namespace
