//===- NormalizeOpset.cpp - Older operator definitions to the newest ------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/PatternMatch.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXNORMALIZEOPSETPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {
/// Rewrites one operation at a time. Methods return whether they changed it, or
/// failure after a message.
class Normalizer {
public:
  explicit Normalizer(int64_t opset) : opset(opset) {}

  FailureOr<bool> normalize(Operation *op);

private:
  FailureOr<bool> moveToOperand(Operation *op, StringRef attr,
                                unsigned operand);
  FailureOr<bool> refuseAttribute(Operation *op, StringRef attr,
                                  StringRef advice);
  bool dropAttribute(Operation *op, StringRef attr);

  FailureOr<bool> normalizeClip(ClipOp op);
  FailureOr<bool> normalizePad(PadOp op);
  FailureOr<bool> normalizeDropout(DropoutOp op);
  FailureOr<bool> normalizeDFT(DFTOp op);
  FailureOr<bool> normalizeRoiAlign(RoiAlignOp op);
  FailureOr<bool> normalizeBatchNorm(BatchNormalizationOp op);
  FailureOr<bool> normalizeSoftmax(Operation *op);
  FailureOr<bool> normalizeUpsample(UpsampleOp op);
  FailureOr<bool> normalizeResize(ResizeOp op);
  FailureOr<bool> normalizeGroupNorm(GroupNormalizationOp op);
  FailureOr<bool> normalizeTopK(TopKOp op);
  FailureOr<bool> normalizeSplit(SplitOp op);
  FailureOr<bool> normalizeScatter(ScatterOp op);
  FailureOr<bool> normalizeConstant(ConstantOp op);
  FailureOr<bool> requireOperand(Operation *op, unsigned operand,
                                 StringRef name);

  int64_t opset;
};
} // namespace

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

/// An error that names the layer.
static InFlightDiagnostic emitLayerError(Operation *op) {
  InFlightDiagnostic diagnostic = op->emitOpError();
  if (auto name = op->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr))
    diagnostic << "(layer '" << name.getValue() << "') ";
  return diagnostic;
}

static bool isAbsent(Value value) { return isa<NoneType>(value.getType()); }

static Value makeIntegers(OpBuilder &builder, Location loc,
                          ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder.getI64Type());
  return ConstantOp::create(builder, loc, DenseElementsAttr::get(type, values));
}

static Value makeFloats(OpBuilder &builder, Location loc,
                        ArrayRef<float> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder.getF32Type());
  return ConstantOp::create(builder, loc, DenseElementsAttr::get(type, values));
}

/// A scalar of the element type of `like`; null if that is not known.
static Value makeScalarLike(OpBuilder &builder, Location loc, double value,
                            Value like) {
  Type element = cast<TensorType>(like.getType()).getElementType();
  auto type = RankedTensorType::get({}, element);
  if (auto floatType = dyn_cast<FloatType>(element))
    return ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(
            type, cast<Attribute>(builder.getFloatAttr(floatType, value))));
  if (auto intType = dyn_cast<IntegerType>(element))
    return ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(type,
                               cast<Attribute>(builder.getIntegerAttr(
                                   intType, static_cast<int64_t>(value)))));
  // Not inferred yet: opsets below 11 know these operators on floats only, and
  // CastLike is right for every type.
  Value scalar = ConstantOp::create(
      builder, loc,
      DenseElementsAttr::get(RankedTensorType::get({}, builder.getF32Type()),
                             static_cast<float>(value)));
  return CastLikeOp::create(builder, loc, RankedTensorType::get({}, element),
                            scalar, like);
}

/// An unknown tensor type with the element type of `like`.
static Type makeUnranked(Value like) {
  return UnrankedTensorType::get(
      cast<TensorType>(like.getType()).getElementType());
}

/// Turns the integers of an attribute into a constant operand.
FailureOr<bool> Normalizer::moveToOperand(Operation *op, StringRef attr,
                                          unsigned operand) {
  Attribute value = op->getDiscardableAttr(attr);
  if (!value)
    return false;
  SmallVector<int64_t> integers;
  if (auto list = dyn_cast<DenseI64ArrayAttr>(value))
    integers = llvm::to_vector(list.asArrayRef());
  else if (auto single = dyn_cast<IntegerAttr>(value))
    integers.push_back(single.getInt());
  else
    return emitLayerError(op)
           << "attribute " << attr << " is " << value << ", expected integers";
  if (!isAbsent(op->getOperand(operand)))
    return emitLayerError(op)
           << "has both attribute and operand " << attr
           << ", expected the attribute below and the operand from the opset "
              "that changed it";
  OpBuilder builder(op);
  op->setOperand(operand, makeIntegers(builder, op->getLoc(), integers));
  op->removeDiscardableAttr(attr);
  return true;
}

FailureOr<bool> Normalizer::refuseAttribute(Operation *op, StringRef attr,
                                            StringRef advice) {
  if (!op->hasAttr(attr))
    return false;
  return emitLayerError(op)
         << "has the attribute " << attr << ", which opset "
         << ONNXDialect::kOldestOpsetVersion << " removed; " << advice;
}

bool Normalizer::dropAttribute(Operation *op, StringRef attr) {
  return op->removeDiscardableAttr(attr) != nullptr;
}

FailureOr<bool> Normalizer::requireOperand(Operation *op, unsigned operand,
                                           StringRef name) {
  if (!isAbsent(op->getOperand(operand)))
    return false;
  return emitLayerError(op) << "has no " << name << ", expected it as operand #"
                            << operand << " (or, in opsets before, attribute)";
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

FailureOr<bool> Normalizer::normalizeClip(ClipOp op) {
  OpBuilder builder(op);
  bool changed = false;
  for (auto [name, index] : {std::pair("min", 1u), std::pair("max", 2u)}) {
    auto value = dyn_cast_if_present<FloatAttr>(op->getDiscardableAttr(name));
    if (!value)
      continue;
    op->setOperand(index,
                   makeScalarLike(builder, op.getLoc(),
                                  value.getValueAsDouble(), op.getInput()));
    op->removeDiscardableAttr(name);
    changed = true;
  }
  return changed;
}

FailureOr<bool> Normalizer::normalizePad(PadOp op) {
  FailureOr<bool> changed = moveToOperand(op, "pads", 1);
  if (failed(changed))
    return failure();
  if (auto value =
          dyn_cast_if_present<FloatAttr>(op->getDiscardableAttr("value"))) {
    OpBuilder builder(op);
    op->setOperand(2, makeScalarLike(builder, op.getLoc(),
                                     value.getValueAsDouble(), op.getData()));
    op->removeDiscardableAttr("value");
    changed = true;
  }
  if (failed(requireOperand(op, 1, "pads")))
    return failure();
  return changed;
}

FailureOr<bool> Normalizer::normalizeDropout(DropoutOp op) {
  auto ratio = dyn_cast_if_present<FloatAttr>(op->getDiscardableAttr("ratio"));
  if (!ratio)
    return false;
  OpBuilder builder(op);
  op->setOperand(1, makeScalarLike(builder, op.getLoc(),
                                   ratio.getValueAsDouble(), op.getData()));
  op->removeDiscardableAttr("ratio");
  return true;
}

/// Before opset 20 the axis was an attribute whose default was 1.
FailureOr<bool> Normalizer::normalizeDFT(DFTOp op) {
  if (opset >= 20)
    return false;
  auto axis = dyn_cast_if_present<IntegerAttr>(op->getDiscardableAttr("axis"));
  OpBuilder builder(op);
  auto type = RankedTensorType::get({}, builder.getI64Type());
  int64_t value = axis ? axis.getInt() : 1;
  op->setOperand(2, ConstantOp::create(builder, op.getLoc(),
                                       DenseElementsAttr::get(type, value)));
  op->removeDiscardableAttr("axis");
  return true;
}

/// Before opset 16 there was no choice of coordinates: no half pixels.
FailureOr<bool> Normalizer::normalizeRoiAlign(RoiAlignOp op) {
  if (opset >= 16)
    return false;
  op.setCoordinateTransformationMode("output_half_pixel");
  return true;
}

FailureOr<bool> Normalizer::normalizeBatchNorm(BatchNormalizationOp op) {
  auto spatial =
      dyn_cast_if_present<IntegerAttr>(op->getDiscardableAttr("spatial"));
  if (!spatial)
    return false;
  if (spatial.getInt() != 1)
    return emitLayerError(op)
           << "has spatial = " << spatial.getInt()
           << " (statistics per element), expected 1: opset 9 removed it";
  op->removeDiscardableAttr("spatial");
  return true;
}

/// Before opset 13 the operand was seen as a matrix, the dimensions from `axis`
/// (default 1) on being the columns.
FailureOr<bool> Normalizer::normalizeSoftmax(Operation *op) {
  if (opset >= 13)
    return false;
  auto given = op->getAttrOfType<IntegerAttr>("axis");
  int64_t axis = given ? given.getInt() : 1;
  OpBuilder builder(op);
  auto setAxis = [&](Operation *target, int64_t value) {
    target->setAttr("axis", builder.getI64IntegerAttr(value));
  };
  auto type = dyn_cast<RankedTensorType>(op->getOperand(0).getType());
  if (type && (axis == type.getRank() - 1 || axis == -1)) {
    setAxis(op, -1);
    return true;
  }
  if (axis == -1) {
    setAxis(op, -1);
    return true;
  }
  Location loc = op->getLoc();
  Value input = op->getOperand(0), output = op->getResult(0);
  Value shape = ShapeOp::create(
      builder, loc, UnrankedTensorType::get(builder.getI64Type()), input,
      /*start=*/0, /*end=*/nullptr);
  Type element = cast<TensorType>(input.getType()).getElementType();
  auto matrix = RankedTensorType::get(
      {ShapedType::kDynamic, ShapedType::kDynamic}, element);
  op->setOperand(0, FlattenOp::create(builder, loc, matrix, input, axis));
  setAxis(op, -1);
  builder.setInsertionPointAfter(op);
  auto reshaped =
      ReshapeOp::create(builder, loc, output.getType(), output, shape);
  output.replaceAllUsesExcept(reshaped, reshaped);
  output.setType(matrix);
  return true;
}

FailureOr<bool> Normalizer::normalizeUpsample(UpsampleOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value scales = op.getScales();
  if (auto list = dyn_cast_if_present<DenseF32ArrayAttr>(
          op->getDiscardableAttr("scales")))
    scales = makeFloats(builder, loc, list.asArrayRef());
  if (isAbsent(scales))
    return emitLayerError(op) << "has no scales, expected them as operand #1 "
                                 "(opset 9) or attribute (opset 7)";
  StringRef mode = op.getMode();
  if (mode != "nearest" && mode != "linear" && mode != "bilinear")
    return emitLayerError(op)
           << "mode is '" << mode << "', expected nearest or linear";
  Value none = NoValueOp::create(builder, loc, builder.getNoneType());
  auto resize = ResizeOp::create(builder, loc, TypeRange{op.getType()},
                                 ValueRange{op.getX(), none, scales, none});
  resize.setMode(mode == "nearest" ? "nearest" : "linear");
  resize.setCoordinateTransformationMode("asymmetric");
  resize.setNearestMode("floor");
  op->removeDiscardableAttr("scales");
  resize->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  op.getY().replaceAllUsesWith(resize);
  op.erase();
  return true;
}

FailureOr<bool> Normalizer::normalizeResize(ResizeOp op) {
  bool changed = false;
  if (opset < 11) {
    // Operands were X and scales; the definition is Upsample's.
    if (isAbsent(op.getScales()) && !isAbsent(op.getRoi())) {
      OpBuilder builder(op);
      Value none =
          NoValueOp::create(builder, op.getLoc(), builder.getNoneType());
      op.getScalesMutable().assign(op.getRoi());
      op.getRoiMutable().assign(none);
    }
    op.setCoordinateTransformationMode("asymmetric");
    op.setNearestMode("floor");
    changed = true;
  }
  // Opset 11 had empty tensors where later ones leave operands out.
  for (unsigned index : {1u, 2u, 3u}) {
    auto type = dyn_cast<RankedTensorType>(op->getOperand(index).getType());
    if (!type || !type.hasStaticShape() || type.getNumElements() != 0)
      continue;
    OpBuilder builder(op);
    op->setOperand(
        index, NoValueOp::create(builder, op.getLoc(), builder.getNoneType()));
    changed = true;
  }
  if (isAbsent(op.getScales()) && isAbsent(op.getSizes()))
    return emitLayerError(op)
           << "has neither scales nor sizes, expected one of them";
  return changed;
}

/// Before opset 21 scale and bias were per group: repeat them per channel.
FailureOr<bool> Normalizer::normalizeGroupNorm(GroupNormalizationOp op) {
  if (opset >= 21)
    return false;
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Type integers = UnrankedTensorType::get(builder.getI64Type());
  int64_t groups = op.getNumGroups();
  Value channels = ShapeOp::create(builder, loc, integers, op.getX(),
                                   /*start=*/1, builder.getI64IntegerAttr(2));
  Value size = DivOp::create(builder, loc, integers, channels,
                             makeIntegers(builder, loc, {groups}));
  Value shape = ConcatOp::create(
      builder, loc, integers,
      ValueRange{makeIntegers(builder, loc, {groups}), size}, 0);
  for (unsigned index : {1u, 2u}) {
    Value parameter = op->getOperand(index);
    Type unranked = makeUnranked(parameter);
    Value column = UnsqueezeOp::create(builder, loc, unranked, parameter,
                                       makeIntegers(builder, loc, {1}));
    Value repeated = ExpandOp::create(builder, loc, unranked, column, shape);
    op->setOperand(index, ReshapeOp::create(builder, loc, unranked, repeated,
                                            makeIntegers(builder, loc, {-1})));
  }
  return true;
}

FailureOr<bool> Normalizer::normalizeTopK(TopKOp op) {
  FailureOr<bool> changed = moveToOperand(op, "k", 1);
  if (failed(changed) || failed(requireOperand(op, 1, "K")))
    return failure();
  return changed;
}

/// Opset 18 wants the number of parts where their sizes are not given.
FailureOr<bool> Normalizer::normalizeSplit(SplitOp op) {
  FailureOr<bool> changed = moveToOperand(op, "split", 1);
  if (failed(changed) || !isAbsent(op.getSplit()) || op.getNumOutputs())
    return changed;
  op.setNumOutputs(op.getNumResults());
  return true;
}

FailureOr<bool> Normalizer::normalizeScatter(ScatterOp op) {
  OpBuilder builder(op);
  auto scatter = ScatterElementsOp::create(
      builder, op.getLoc(), TypeRange{op.getType()}, op->getOperands());
  scatter.setAxis(op.getAxis());
  scatter->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  op.getOutput().replaceAllUsesWith(scatter);
  op.erase();
  return true;
}

FailureOr<bool> Normalizer::normalizeConstant(ConstantOp op) {
  if (op.getValueAttr())
    return false;
  OpBuilder builder(op);
  auto constant = ConstantOp::create(builder, op.getLoc(), op.getElements());
  constant->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  op.getOutput().replaceAllUsesWith(constant);
  op.erase();
  return true;
}

/// Whether `op` is one of the reductions.
static bool isReduction(Operation *op) {
  return isa<ReduceL1Op, ReduceL2Op, ReduceLogSumOp, ReduceLogSumExpOp,
             ReduceMaxOp, ReduceMeanOp, ReduceMinOp, ReduceProdOp, ReduceSumOp,
             ReduceSumSquareOp>(op);
}

FailureOr<bool> Normalizer::normalize(Operation *op) {
  if (isReduction(op))
    return moveToOperand(op, "axes", 1);
  return TypeSwitch<Operation *, FailureOr<bool>>(op)
      .Case<SqueezeOp>(
          [&](Operation *op) { return moveToOperand(op, "axes", 1); })
      .Case<UnsqueezeOp>([&](Operation *op) -> FailureOr<bool> {
        FailureOr<bool> changed = moveToOperand(op, "axes", 1);
        if (failed(changed) || failed(requireOperand(op, 1, "axes")))
          return failure();
        return changed;
      })
      .Case([&](SplitOp op) { return normalizeSplit(op); })
      .Case<SliceOp>([&](Operation *op) -> FailureOr<bool> {
        bool changed = false;
        for (auto [name, index] :
             {std::pair("starts", 1u), std::pair("ends", 2u),
              std::pair("axes", 3u)}) {
          FailureOr<bool> moved = moveToOperand(op, name, index);
          if (failed(moved))
            return failure();
          changed |= *moved;
        }
        if (failed(requireOperand(op, 1, "starts")) ||
            failed(requireOperand(op, 2, "ends")))
          return failure();
        return changed;
      })
      .Case([&](ClipOp op) { return normalizeClip(op); })
      .Case([&](PadOp op) { return normalizePad(op); })
      .Case([&](DropoutOp op) { return normalizeDropout(op); })
      .Case([&](BatchNormalizationOp op) { return normalizeBatchNorm(op); })
      .Case<SoftmaxOp, LogSoftmaxOp, HardmaxOp>(
          [&](Operation *op) { return normalizeSoftmax(op); })
      .Case([&](UpsampleOp op) { return normalizeUpsample(op); })
      .Case([&](ResizeOp op) { return normalizeResize(op); })
      .Case([&](GroupNormalizationOp op) { return normalizeGroupNorm(op); })
      .Case([&](TopKOp op) { return normalizeTopK(op); })
      .Case([&](DFTOp op) { return normalizeDFT(op); })
      .Case([&](RoiAlignOp op) { return normalizeRoiAlign(op); })
      .Case([&](ScatterOp op) { return normalizeScatter(op); })
      .Case([&](ConstantOp op) { return normalizeConstant(op); })
      .Case<AddOp, SubOp, MulOp, DivOp, PowOp, AndOp, OrOp, XorOp, EqualOp,
            GreaterOp, LessOp>([&](Operation *op) {
        FailureOr<bool> refused = refuseAttribute(
            op, "broadcast", "convert the model to opset 7 or later");
        if (failed(refused))
          return refused;
        return refuseAttribute(op, "axis",
                               "convert the model to opset 7 or later");
      })
      .Case([&](ScanOp op) {
        // The body of opset 8 has no batch: it is another operator.
        if (opset < 9)
          return FailureOr<bool>(
              emitLayerError(op)
              << "Scan of opset " << opset
              << " has a batch dimension; convert the model to opset 9 or "
                 "later");
        return FailureOr<bool>(false);
      })
      .Default([](Operation *) { return FailureOr<bool>(false); });
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

namespace {
class NormalizeOpsetPass
    : public onnx::impl::ONNXNormalizeOpsetPassBase<NormalizeOpsetPass> {
public:
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto version = module->getAttrOfType<IntegerAttr>(ONNXDialect::kOpsetAttr);
    if (!version)
      return; // not an imported model
    int64_t opset = version.getInt();
    if (opset < ONNXDialect::kOldestOpsetVersion ||
        opset > ONNXDialect::kOpsetVersion) {
      module.emitError() << "the model uses opset " << opset << ", expected "
                         << ONNXDialect::kOldestOpsetVersion << " to "
                         << ONNXDialect::kOpsetVersion
                         << "; convert it with onnx.version_converter";
      return signalPassFailure();
    }
    SmallVector<Operation *> operations;
    module.walk([&](ONNXOpInterface op) { operations.push_back(op); });
    // All problems are worth knowing at once.
    bool failure = false;
    for (Operation *op : operations) {
      // What comes from a function of the model may be of another opset.
      int64_t own = opset;
      if (auto given = op->getAttrOfType<IntegerAttr>(ONNXDialect::kOpsetAttr))
        own = given.getInt();
      if (own < ONNXDialect::kOldestOpsetVersion ||
          own > ONNXDialect::kOpsetVersion) {
        emitLayerError(op) << "is of opset " << own << ", expected "
                           << ONNXDialect::kOldestOpsetVersion << " to "
                           << ONNXDialect::kOpsetVersion;
        failure = true;
        continue;
      }
      FailureOr<bool> changed = Normalizer(own).normalize(op);
      if (failed(changed))
        failure = true;
      else if (*changed)
        ++numRewritten;
    }
    if (failure)
      return signalPassFailure();
    // What is left now would be ignored without a word.
    module.walk([&](ONNXOpInterface op) {
      op->removeDiscardableAttr(ONNXDialect::kOpsetAttr);
      for (NamedAttribute attr : op->getDiscardableAttrs()) {
        if (attr.getName().getValue().contains('.'))
          continue;
        emitLayerError(op) << "has attribute " << attr.getName()
                           << ", which this operator does not have in opset "
                           << opset;
        failure = true;
      }
    });
    if (failure)
      return signalPassFailure();
    module->setAttr(
        ONNXDialect::kOpsetAttr,
        IntegerAttr::get(version.getType(), ONNXDialect::kOpsetVersion));
  }
};
} // namespace
