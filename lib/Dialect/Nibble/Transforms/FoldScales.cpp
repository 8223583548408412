//===- FoldScales.cpp - Scales of input channels in the IR ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/FoldScales.h"
#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "llvm/ADT/MapVector.h"
#include <cmath>

namespace nibble {
#define GEN_PASS_DEF_NIBBLEFOLDSCALESPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// Dimension of the channels in the activations and results of a layer.
int64_t getChannelDim(Operation *layer, Value value) {
  return isa<ConvOp>(layer) ? 1
                            : cast<ShapedType>(value.getType()).getRank() - 1;
}

bool isFloatConstant(Value value) {
  return value && matchPattern(value, m_Constant()) &&
         getElementTypeOrSelf(value).isF32() &&
         isa<RankedTensorType>(value.getType());
}

/// A constant with elements changed by `getFactor`, which gets their index.
FailureOr<Value> createScaled(OpBuilder &b, Value constant,
                              llvm::function_ref<float(int64_t)> getFactor) {
  FailureOr<ConstantData> data = ConstantData::get(constant);
  if (failed(data))
    return failure();
  auto type = cast<RankedTensorType>(constant.getType());
  std::vector<float> values(type.getNumElements());
  if (failed(data->expanded().readFloats(0, values)))
    return failure();
  for (auto [i, value] : llvm::enumerate(values))
    value *= getFactor(i);
  auto name = constant.getDefiningOp()->getAttrOfType<StringAttr>(
      NibbleDialect::getLayerNameAttr());
  FailureOr<ElementsAttr> attr =
      createBlobAttr(constant.getLoc(), type, name ? name.getValue() : "scaled",
                     [&](MutableArrayRef<char> out) {
                       std::memcpy(out.data(), values.data(), out.size());
                     });
  if (failed(attr))
    return failure();
  auto op = ConstantOp::create(b, constant.getLoc(), *attr);
  if (name)
    op->setAttr(NibbleDialect::getLayerNameAttr(), name);
  return op.getResult();
}

/// Multiplies rows or columns of a layer's weight.
LogicalResult scaleWeight(QuantizableOpInterface op,
                          llvm::function_ref<float(int64_t, int64_t)> get) {
  OpOperand &operand = op.getWeightOperand();
  WeightView view = op.getWeightView();
  OpBuilder b(op);
  FailureOr<Value> scaled =
      createScaled(b, operand.get(), [&](int64_t i) -> float {
        if (view.rows == 1)
          return get(0, i);
        if (view.columns == 1)
          return get(i, 0);
        // Rows are one behind another, or columns are.
        int64_t stride = std::max(view.rowStride, view.columnStride);
        return view.columnStride == 1 ? get(i / stride, i % stride)
                                      : get(i % stride, i / stride);
      });
  if (succeeded(scaled))
    operand.set(*scaled);
  return scaled;
}

/// Finds what has to change for a value to be divided along a dimension, and
/// then changes it.
class Divider {
public:
  explicit Divider(ArrayRef<float> scales) : scales(scales) {}

  /// True if `value`, which nothing else reads, can be divided.
  bool plan(Value value, int64_t dim);
  LogicalResult apply();
  ArrayRef<QuantizableOpInterface> getLayers() const { return layers; }

private:
  bool planGeneric(linalg::GenericOp op, int64_t dim);
  /// A value in the body of `op`, whose loop `loop` runs over the channels.
  bool planScalar(linalg::GenericOp op, Value scalar, unsigned loop);
  bool planLayer(Operation *op, Value result, int64_t dim);

  ArrayRef<float> scales;
  /// Constants to divide along a dimension.
  SmallVector<std::pair<OpOperand *, int64_t>> constants;
  /// Layers whose output channels to divide.
  SmallVector<QuantizableOpInterface> layers;
};

bool Divider::plan(Value value, int64_t dim) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return planGeneric(generic, dim);
  if (isa<MatMulOp, ConvOp>(op))
    return planLayer(op, value, dim);
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return cast.getSource().hasOneUse() && plan(cast.getSource(), dim);
  return false;
}

bool Divider::planGeneric(linalg::GenericOp op, int64_t dim) {
  if (op.getNumResults() != 1 || op.getNumParallelLoops() != op.getNumLoops() ||
      !op.getMatchingBlockArgument(op.getDpsInitOperand(0)).use_empty())
    return false;
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  auto loop = dyn_cast<AffineDimExpr>(map.getResult(dim));
  return loop && planScalar(op, op.getBlock()->getTerminator()->getOperand(0),
                            loop.getPosition());
}

bool Divider::planScalar(linalg::GenericOp op, Value scalar, unsigned loop) {
  if (!scalar.hasOneUse())
    return false;
  if (auto argument = dyn_cast<BlockArgument>(scalar)) {
    if (argument.getOwner() != op.getBlock())
      return false;
    OpOperand &operand = op->getOpOperand(argument.getArgNumber());
    AffineMap map = op.getMatchingIndexingMap(&operand);
    std::optional<unsigned> dim =
        map.getResultPosition(getAffineDimExpr(loop, op.getContext()));
    if (!dim)
      return false;
    if (isFloatConstant(operand.get())) {
      constants.push_back({&operand, *dim});
      return true;
    }
    return operand.get().hasOneUse() && plan(operand.get(), *dim);
  }
  // A plan that fails half way leaves nothing behind.
  size_t numConstants = constants.size(), numLayers = layers.size();
  auto tryAll = [&](ArrayRef<Value> values) {
    for (Value value : values)
      if (!planScalar(op, value, loop)) {
        constants.truncate(numConstants);
        layers.truncate(numLayers);
        return false;
      }
    return true;
  };
  Operation *def = scalar.getDefiningOp();
  if (isa<arith::MulFOp>(def)) // Constants come second after canonicalization.
    return tryAll(def->getOperand(1)) || tryAll(def->getOperand(0));
  if (isa<arith::DivFOp, arith::NegFOp>(def))
    return tryAll(def->getOperand(0));
  if (isa<arith::AddFOp, arith::SubFOp>(def))
    return tryAll({def->getOperand(0), def->getOperand(1)});
  // Rectifying and dividing by what is above 0 commute.
  if (isa<arith::MaximumFOp, arith::MaxNumFOp>(def) &&
      matchPattern(def->getOperand(1), m_AnyZeroFloat()))
    return tryAll(def->getOperand(0));
  return false;
}

bool Divider::planLayer(Operation *op, Value result, int64_t dim) {
  auto layer = cast<QuantizableOpInterface>(op);
  if (dim != getChannelDim(op, result) || layer.getQuantizationScheme() ||
      !isFloatConstant(layer.getWeightOperand().get()))
    return false;
  auto check = [&](auto fused) {
    auto activation = fused.getActivation();
    bool isLinear = !activation || *activation == Activation::None ||
                    *activation == Activation::Relu;
    return isLinear && !fused.getResidual() &&
           (!fused.getBias() || isFloatConstant(fused.getBias()));
  };
  auto matmul = dyn_cast<MatMulOp>(op);
  if (!(matmul ? check(matmul) : check(cast<ConvOp>(op))))
    return false;
  layers.push_back(layer);
  return true;
}

LogicalResult Divider::apply() {
  auto divide = [&](OpOperand &operand, int64_t dim) -> LogicalResult {
    auto type = cast<RankedTensorType>(operand.get().getType());
    int64_t inner = 1;
    for (int64_t size : type.getShape().drop_front(dim + 1))
      inner *= size;
    OpBuilder b(operand.getOwner());
    int64_t length = scales.size();
    FailureOr<Value> divided = createScaled(b, operand.get(), [&](int64_t i) {
      return 1 / scales[i / inner % length];
    });
    if (succeeded(divided))
      operand.set(*divided);
    return divided;
  };
  for (auto [operand, dim] : constants)
    if (failed(divide(*operand, dim)))
      return failure();
  for (QuantizableOpInterface layer : layers) {
    auto bias = isa<MatMulOp>(layer.getOperation())
                    ? cast<MatMulOp>(layer.getOperation()).getBiasMutable()
                    : cast<ConvOp>(layer.getOperation()).getBiasMutable();
    for (OpOperand &operand : bias)
      if (failed(divide(operand, 0)))
        return failure();
    if (failed(scaleWeight(
            layer, [&](int64_t row, int64_t) { return 1 / scales[row]; })))
      return failure();
  }
  return success();
}

/// `value` divided along `dim` by an operation of its own.
FailureOr<Value> createDivision(OpBuilder &b, Value value, int64_t dim,
                                ArrayRef<float> scales) {
  Location loc = value.getLoc();
  auto type = cast<RankedTensorType>(value.getType());
  int64_t length = scales.size();
  FailureOr<ElementsAttr> factors = createBlobAttr(
      loc, RankedTensorType::get(length, b.getF32Type()), "scales",
      [&](MutableArrayRef<char> out) {
        for (int64_t i = 0; i < length; ++i) {
          float factor = 1 / scales[i];
          std::memcpy(out.data() + i * sizeof(float), &factor, sizeof(float));
        }
      });
  if (failed(factors))
    return failure();
  Value constant = ConstantOp::create(b, loc, *factors);
  Value empty = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, value), type.getElementType());
  auto identity = b.getMultiDimIdentityMap(type.getRank());
  AffineMap channels =
      AffineMap::get(type.getRank(), 0, b.getAffineDimExpr(dim));
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  auto op = linalg::GenericOp::create(
      b, loc, type, ValueRange{value, constant}, ValueRange{empty},
      ArrayRef<AffineMap>{identity, channels, identity}, loops,
      [](OpBuilder &b, Location loc, ValueRange args) {
        Value product = arith::MulFOp::create(b, loc, args[0], args[1]);
        linalg::YieldOp::create(b, loc, product);
      });
  return op.getResult(0);
}

/// An error if a layer can't have these scales.
LogicalResult verifyLayer(QuantizableOpInterface op, ArrayRef<float> scales) {
  auto fail = [&]() {
    return emitError(op.getLoc(), "layer \"") << op.getLayerName() << "\": ";
  };
  std::string objection = getObjectionToScales(op);
  if (!objection.empty())
    return fail() << objection;
  int64_t channels = getNumInputChannels(op);
  if (channels != static_cast<int64_t>(scales.size()))
    return fail() << "expected " << channels
                  << " scales, one for each input channel, got "
                  << scales.size();
  for (auto [i, scale] : llvm::enumerate(scales))
    if (!(scale > 0) || !std::isfinite(scale))
      return fail() << "the scale of input channel " << i << " is " << scale
                    << ", expected a finite number above 0";
  return success();
}

struct NibbleFoldScalesPass
    : public impl::NibbleFoldScalesPassBase<NibbleFoldScalesPass> {
  using Base::Base;

  void runOnOperation() override {
    llvm::MapVector<std::pair<Value, Attribute>,
                    SmallVector<QuantizableOpInterface>>
        groups;
    WalkResult result = getOperation()->walk([&](QuantizableOpInterface op) {
      Attribute attr = op->removeAttr(inputScalesAttrName);
      if (!attr)
        return WalkResult::advance();
      if (!isa<DenseF32ArrayAttr>(attr)) {
        op->emitError("expected ")
            << inputScalesAttrName << " to be array<f32: ...>, got " << attr;
        return WalkResult::interrupt();
      }
      groups[{op.getActivationInput(), attr}].push_back(op);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    for (auto &[key, layers] : groups) {
      FailureOr<FoldedInto> folded =
          foldInputScales(layers, cast<DenseF32ArrayAttr>(key.second));
      if (failed(folded))
        return signalPassFailure();
      *folded == FoldedInto::Producer ? ++numFolded : ++numMultiplications;
    }
  }
};

} // namespace

std::string getObjectionToScales(QuantizableOpInterface op) {
  Value input = op.getActivationInput();
  auto conv = dyn_cast<ConvOp>(op.getOperation());
  if (!input || !isa<MatMulOp, ConvOp>(op.getOperation()) ||
      !getElementTypeOrSelf(input).isF32() || (conv && conv.getGroup() != 1))
    return "scales of input channels are for matrix products and convolutions "
           "of one group with float32 activations";
  if (op.getQuantizationScheme() ||
      !isFloatConstant(op.getWeightOperand().get()))
    return "scales of input channels need a weight that is a float32 constant";
  return "";
}

int64_t getNumInputChannels(QuantizableOpInterface op) {
  auto conv = dyn_cast<ConvOp>(op.getOperation());
  return conv ? conv.getWeightShape()[1] : op.getWeightView().columns;
}

FailureOr<FoldedInto> foldInputScales(ArrayRef<QuantizableOpInterface> layers,
                                      ArrayRef<float> scales,
                                      OutputScales *outputScales) {
  for (QuantizableOpInterface op : layers)
    if (failed(verifyLayer(op, scales)))
      return failure();
  QuantizableOpInterface first = layers.front();
  Value input = first.getActivationInput();
  int64_t dim = getChannelDim(first, input);
  // The activations are the first operand of matrix products and convolutions.
  auto readsOnly = [&](OpOperand &use) {
    return use.getOperandNumber() == 0 &&
           llvm::any_of(layers, [&](QuantizableOpInterface op) {
             return op.getOperation() == use.getOwner();
           });
  };
  Divider divider(scales);
  FoldedInto folded = FoldedInto::Multiplication;
  if (llvm::all_of(input.getUses(), readsOnly) && divider.plan(input, dim)) {
    if (failed(divider.apply()))
      return failure();
    folded = FoldedInto::Producer;
    for (Operation *producer : divider.getLayers())
      if (outputScales) {
        std::vector<float> &known = (*outputScales)[producer];
        known.resize(scales.size(), 1);
        for (auto [product, scale] : llvm::zip_equal(known, scales))
          product *= scale;
      }
  } else {
    OpBuilder b(first);
    if (Operation *def = input.getDefiningOp())
      b.setInsertionPointAfter(def);
    else
      b.setInsertionPointToStart(input.getParentBlock());
    FailureOr<Value> divided = createDivision(b, input, dim, scales);
    if (failed(divided))
      return failure();
    input.replaceUsesWithIf(*divided, readsOnly);
  }
  for (QuantizableOpInterface op : layers) {
    int64_t window = op.getWeightView().columns / scales.size();
    if (failed(scaleWeight(
            op, [&](int64_t, int64_t col) { return scales[col / window]; })))
      return failure();
  }
  return folded;
}

} // namespace nibble
