//===- ConstantFolding.cpp - Evaluation of operators on small constants ---===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Exporters leave small computations on constants in the graph: scales of a
// resize, masks, positions. One dialect-wide fold evaluates them. Large
// constants (weights) are left alone: nothing here reads a mapped file's pages
// for more than a few kilobytes.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Interfaces/FoldInterfaces.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <functional>

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

/// Operands and results with more elements are not folded.
static constexpr int64_t kMaxElements = 1024;

namespace {
/// The elements of a tensor; one of the two lists is used.
struct Elements {
  RankedTensorType type;
  bool isFloat = false;
  SmallVector<double> floats;
  SmallVector<int64_t> integers;

  int64_t size() const { return isFloat ? floats.size() : integers.size(); }
};
} // namespace

/// Whether elements of `type` are evaluated here: 64-bit floats and unsigned
/// integers would lose bits.
static bool isFoldable(Type type) {
  if (isa<Float32Type, Float16Type, BFloat16Type>(type))
    return true;
  auto integer = dyn_cast<IntegerType>(type);
  return integer && (integer.getWidth() < 64 ||
                     (integer.getWidth() == 64 && integer.isSignless()));
}

static bool isFoldable(RankedTensorType type) {
  return type && type.hasStaticShape() &&
         type.getNumElements() <= kMaxElements &&
         isFoldable(type.getElementType());
}

static std::optional<Elements> readElements(Attribute attr) {
  auto typed = dyn_cast_if_present<ElementsAttr>(attr);
  auto type =
      typed ? dyn_cast<RankedTensorType>(typed.getType()) : RankedTensorType();
  if (!isFoldable(type))
    return std::nullopt;
  FailureOr<ConstantData> data = ConstantData::get(
      attr, [&] { return emitError(UnknownLoc::get(attr.getContext())); });
  if (failed(data))
    return std::nullopt;
  Elements result;
  result.type = type;
  result.isFloat = isa<FloatType>(type.getElementType());
  if (result.isFloat) {
    SmallVector<float> values(type.getNumElements());
    if (failed(data->readFloats(0, values)))
      return std::nullopt;
    result.floats.assign(values.begin(), values.end());
  } else {
    result.integers.resize(type.getNumElements());
    if (failed(data->readIntegers(0, result.integers)))
      return std::nullopt;
  }
  return result;
}

static DenseElementsAttr writeElements(RankedTensorType type,
                                       const Elements &elements) {
  if (auto floatType = dyn_cast<FloatType>(type.getElementType())) {
    SmallVector<APFloat> values;
    for (double value : elements.floats) {
      APFloat converted(value);
      bool lossy;
      converted.convert(floatType.getFloatSemantics(),
                        APFloat::rmNearestTiesToEven, &lossy);
      values.push_back(converted);
    }
    return DenseElementsAttr::get(type, values);
  }
  SmallVector<APInt> values;
  for (int64_t value : elements.integers)
    values.push_back(APInt(type.getElementTypeBitWidth(),
                           static_cast<uint64_t>(value), /*isSigned=*/true,
                           /*implicitTrunc=*/true));
  return DenseElementsAttr::get(type, values);
}

//===----------------------------------------------------------------------===//
// Elementwise operators
//===----------------------------------------------------------------------===//

using FloatFn = std::function<double(ArrayRef<double>)>;
using IntFn = std::function<std::optional<int64_t>(ArrayRef<int64_t>)>;

/// Results of these are found without wrapping: two's complement arithmetic is
/// done on unsigned numbers.
static int64_t wrap(uint64_t value) { return static_cast<int64_t>(value); }

static FloatFn getFloatFunction(Operation *op) {
  using V = ArrayRef<double>;
  return TypeSwitch<Operation *, FloatFn>(op)
      .Case<AddOp>([](auto) { return [](V v) { return v[0] + v[1]; }; })
      .Case<SubOp>([](auto) { return [](V v) { return v[0] - v[1]; }; })
      .Case<MulOp>([](auto) { return [](V v) { return v[0] * v[1]; }; })
      .Case<DivOp>([](auto) { return [](V v) { return v[0] / v[1]; }; })
      .Case<PowOp>(
          [](auto) { return [](V v) { return std::pow(v[0], v[1]); }; })
      .Case<NegOp>([](auto) { return [](V v) { return -v[0]; }; })
      .Case<AbsOp>([](auto) { return [](V v) { return std::fabs(v[0]); }; })
      .Case<SqrtOp>([](auto) { return [](V v) { return std::sqrt(v[0]); }; })
      .Case<ReciprocalOp>([](auto) { return [](V v) { return 1.0 / v[0]; }; })
      .Case<FloorOp>([](auto) { return [](V v) { return std::floor(v[0]); }; })
      .Case<CeilOp>([](auto) { return [](V v) { return std::ceil(v[0]); }; })
      .Case<RoundOp>(
          [](auto) { return [](V v) { return std::nearbyint(v[0]); }; })
      .Case<ExpOp>([](auto) { return [](V v) { return std::exp(v[0]); }; })
      .Case<LogOp>([](auto) { return [](V v) { return std::log(v[0]); }; })
      .Case<SinOp>([](auto) { return [](V v) { return std::sin(v[0]); }; })
      .Case<CosOp>([](auto) { return [](V v) { return std::cos(v[0]); }; })
      .Default([](Operation *) { return FloatFn(); });
}

static IntFn getIntFunction(Operation *op) {
  using V = ArrayRef<int64_t>;
  using R = std::optional<int64_t>;
  return TypeSwitch<Operation *, IntFn>(op)
      .Case<AddOp>([](auto) {
        return [](V v) -> R {
          return wrap(static_cast<uint64_t>(v[0]) +
                      static_cast<uint64_t>(v[1]));
        };
      })
      .Case<SubOp>([](auto) {
        return [](V v) -> R {
          return wrap(static_cast<uint64_t>(v[0]) -
                      static_cast<uint64_t>(v[1]));
        };
      })
      .Case<MulOp>([](auto) {
        return [](V v) -> R {
          return wrap(static_cast<uint64_t>(v[0]) *
                      static_cast<uint64_t>(v[1]));
        };
      })
      .Case<DivOp>([](auto) {
        return [](V v) -> R {
          if (v[1] == 0 || (v[0] == INT64_MIN && v[1] == -1))
            return std::nullopt; // an error or undefined at run time
          return v[0] / v[1];
        };
      })
      .Case<NegOp>([](auto) {
        return [](V v) -> R { return wrap(-static_cast<uint64_t>(v[0])); };
      })
      .Case<AbsOp>([](auto) {
        return [](V v) -> R {
          return v[0] < 0 ? wrap(-static_cast<uint64_t>(v[0])) : v[0];
        };
      })
      .Case<MaxOp>(
          [](auto) { return [](V v) -> R { return *llvm::max_element(v); }; })
      .Case<MinOp>(
          [](auto) { return [](V v) -> R { return *llvm::min_element(v); }; })
      .Case<NotOp>([](auto) { return [](V v) -> R { return v[0] == 0; }; })
      .Case<AndOp>([](auto) { return [](V v) -> R { return v[0] && v[1]; }; })
      .Case<OrOp>([](auto) { return [](V v) -> R { return v[0] || v[1]; }; })
      .Case<XorOp>([](auto) { return [](V v) -> R { return v[0] != v[1]; }; })
      .Default([](Operation *) { return IntFn(); });
}

/// A comparison as a function of the sign of a - b; NaN makes all but none
/// true.
static std::function<bool(double, double)> getComparison(Operation *op) {
  using Fn = std::function<bool(double, double)>;
  return TypeSwitch<Operation *, Fn>(op)
      .Case<EqualOp>([](auto) { return std::equal_to<double>(); })
      .Case<LessOp>([](auto) { return std::less<double>(); })
      .Case<GreaterOp>([](auto) { return std::greater<double>(); })
      .Case<LessOrEqualOp>([](auto) { return std::less_equal<double>(); })
      .Case<GreaterOrEqualOp>([](auto) { return std::greater_equal<double>(); })
      .Default([](Operation *) { return Fn(); });
}

/// Whether a tensor of type `from` can be broadcast to one of type `result`.
static bool isBroadcast(RankedTensorType from, RankedTensorType result) {
  int64_t added = result.getRank() - from.getRank();
  if (added < 0)
    return false;
  for (auto [own, wanted] :
       llvm::zip_equal(from.getShape(), result.getShape().drop_front(added)))
    if (own != 1 && own != wanted)
      return false;
  return true;
}

/// Element of `from` that belongs to element `index` of a broadcast result.
static int64_t getBroadcastIndex(int64_t index, RankedTensorType result,
                                 RankedTensorType from) {
  int64_t position = 0, stride = 1;
  for (int64_t d = result.getRank() - 1, s = from.getRank() - 1; s >= 0;
       --d, --s) {
    if (from.getDimSize(s) != 1)
      position += index % result.getDimSize(d) * stride;
    index /= result.getDimSize(d);
    stride *= from.getDimSize(s);
  }
  return position;
}

static std::optional<Elements> foldElementwise(Operation *op,
                                               RankedTensorType type,
                                               ArrayRef<Elements> operands) {
  Elements result;
  result.isFloat = isa<FloatType>(type.getElementType());
  FloatFn onFloats = getFloatFunction(op);
  IntFn onIntegers = getIntFunction(op);
  auto compare = getComparison(op);
  if (!onFloats && !onIntegers && !compare)
    return std::nullopt;
  bool floatOperands = operands.front().isFloat;
  if (!llvm::all_of(operands, [&](const Elements &e) {
        return e.isFloat == floatOperands;
      }))
    return std::nullopt;
  if (!compare && (floatOperands ? !onFloats : !onIntegers))
    return std::nullopt;

  for (int64_t i = 0, e = type.getNumElements(); i < e; ++i) {
    SmallVector<double, 2> floats;
    SmallVector<int64_t, 2> integers;
    for (const Elements &operand : operands) {
      int64_t from = getBroadcastIndex(i, type, operand.type);
      if (floatOperands)
        floats.push_back(operand.floats[from]);
      else
        integers.push_back(operand.integers[from]);
    }
    if (compare && !floatOperands && isa<EqualOp>(op)) {
      result.integers.push_back(integers[0] == integers[1]);
    } else if (compare) {
      // Integers of up to 53 bits compare as doubles.
      if (!floatOperands)
        for (int64_t value : integers) {
          if (value > (int64_t(1) << 53) || value < -(int64_t(1) << 53))
            return std::nullopt;
          floats.push_back(static_cast<double>(value));
        }
      result.integers.push_back(compare(floats[0], floats[1]));
    } else if (floatOperands) {
      result.floats.push_back(onFloats(floats));
    } else {
      std::optional<int64_t> value = onIntegers(integers);
      if (!value)
        return std::nullopt;
      result.integers.push_back(*value);
    }
  }
  return result;
}

static std::optional<Elements> foldCast(const Elements &from,
                                        RankedTensorType type) {
  Elements result;
  result.isFloat = isa<FloatType>(type.getElementType());
  unsigned width = type.getElementTypeBitWidth();
  for (int64_t i = 0, e = from.size(); i < e; ++i) {
    if (result.isFloat) {
      result.floats.push_back(from.isFloat
                                  ? from.floats[i]
                                  : static_cast<double>(from.integers[i]));
    } else if (width == 1) {
      result.integers.push_back(from.isFloat ? from.floats[i] != 0
                                             : from.integers[i] != 0);
    } else if (from.isFloat) {
      // Out of range is undefined; leave it to run time.
      double value = std::trunc(from.floats[i]);
      double limit = std::ldexp(1.0, std::min(width, 63u) - 1);
      if (!(value >= -limit && value < limit))
        return std::nullopt;
      result.integers.push_back(static_cast<int64_t>(value));
    } else {
      result.integers.push_back(from.integers[i]);
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Data movement
//===----------------------------------------------------------------------===//

/// A result whose element at `index` is element `source(index)` of `from`.
/// Nothing where there is no such element: then the types contradict each
/// other.
static std::optional<Elements>
moveElements(const Elements &from, RankedTensorType type,
             function_ref<int64_t(ArrayRef<int64_t>)> source) {
  Elements result;
  result.isFloat = from.isFloat;
  SmallVector<int64_t> strides = computeStrides(type.getShape());
  for (int64_t i = 0, e = type.getNumElements(); i < e; ++i) {
    int64_t position = source(delinearize(i, strides));
    if (position < 0 || position >= from.size())
      return std::nullopt;
    if (from.isFloat)
      result.floats.push_back(from.floats[position]);
    else
      result.integers.push_back(from.integers[position]);
  }
  return result;
}

static std::optional<Elements>
foldTranspose(TransposeOp op, RankedTensorType type, const Elements &from) {
  SmallVector<int64_t> strides = computeStrides(from.type.getShape());
  int64_t rank = type.getRank();
  if (from.type.getRank() != rank)
    return std::nullopt;
  return moveElements(from, type, [&](ArrayRef<int64_t> index) {
    int64_t position = 0;
    for (int64_t d = 0; d < rank; ++d)
      position +=
          index[d] * strides[op.getPerm() ? (*op.getPerm())[d] : rank - 1 - d];
    return position;
  });
}

static std::optional<Elements> foldGather(onnx::GatherOp op,
                                          RankedTensorType type,
                                          const Elements &data,
                                          const Elements &indices) {
  int64_t rank = data.type.getRank(), indexRank = indices.type.getRank();
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  if (type.getRank() != rank + indexRank - 1)
    return std::nullopt;
  int64_t size = data.type.getDimSize(axis);
  for (int64_t index : indices.integers)
    if (index < -size || index >= size)
      return std::nullopt; // an error at run time
  SmallVector<int64_t> strides = computeStrides(data.type.getShape());
  SmallVector<int64_t> indexStrides = computeStrides(indices.type.getShape());
  return moveElements(data, type, [&](ArrayRef<int64_t> at) {
    int64_t which = linearize(at.slice(axis, indexRank), indexStrides);
    int64_t index = indices.integers[which];
    int64_t position = (index < 0 ? index + size : index) * strides[axis];
    for (int64_t d = 0; d < axis; ++d)
      position += at[d] * strides[d];
    for (int64_t d = axis + 1; d < rank; ++d)
      position += at[d + indexRank - 1] * strides[d];
    return position;
  });
}

static std::optional<Elements>
foldSlice(SliceOp op, RankedTensorType type, const Elements &data,
          ArrayRef<std::optional<Elements>> all) {
  if (!all[1] || (!isa<NoneType>(op.getAxes().getType()) && !all[3]) ||
      (!isa<NoneType>(op.getSteps().getType()) && !all[4]))
    return std::nullopt;
  int64_t rank = type.getRank();
  size_t count = all[1]->integers.size();
  if (data.type.getRank() != rank ||
      (all[3] && all[3]->integers.size() != count) ||
      (all[4] && all[4]->integers.size() != count))
    return std::nullopt;
  SmallVector<int64_t> first(rank, 0), step(rank, 1);
  for (auto [i, start] : llvm::enumerate(all[1]->integers)) {
    int64_t axis = all[3] ? all[3]->integers[i] : i;
    axis = axis < 0 ? axis + rank : axis;
    if (axis < 0 || axis >= rank)
      return std::nullopt;
    step[axis] = all[4] ? all[4]->integers[i] : 1;
    int64_t size = data.type.getDimSize(axis);
    first[axis] = std::clamp<int64_t>(start < 0 ? start + size : start, 0,
                                      step[axis] < 0 ? size - 1 : size);
  }
  SmallVector<int64_t> strides = computeStrides(data.type.getShape());
  return moveElements(data, type, [&](ArrayRef<int64_t> at) {
    int64_t position = 0;
    for (int64_t d = 0; d < rank; ++d)
      position += (first[d] + at[d] * step[d]) * strides[d];
    return position;
  });
}

static std::optional<Elements> foldConcat(ConcatOp op, RankedTensorType type,
                                          ArrayRef<Elements> parts) {
  int64_t rank = type.getRank();
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  Elements result;
  result.isFloat = parts.front().isFloat;
  int64_t outer = ShapedType::getNumElements(type.getShape().take_front(axis));
  for (const Elements &part : parts)
    if (part.type.getRank() != rank || part.type.getShape().take_front(axis) !=
                                           type.getShape().take_front(axis))
      return std::nullopt;
  for (int64_t i = 0; i < outer; ++i) {
    for (const Elements &part : parts) {
      int64_t block =
          ShapedType::getNumElements(part.type.getShape().drop_front(axis));
      if (part.isFloat)
        result.floats.append(part.floats.begin() + i * block,
                             part.floats.begin() + (i + 1) * block);
      else
        result.integers.append(part.integers.begin() + i * block,
                               part.integers.begin() + (i + 1) * block);
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Fold interface
//===----------------------------------------------------------------------===//

static std::optional<Elements>
foldOperation(Operation *op, RankedTensorType type,
              ArrayRef<std::optional<Elements>> all) {
  SmallVector<Elements> present;
  for (const std::optional<Elements> &operand : all)
    if (operand)
      present.push_back(*operand);
  if (all.empty() || !all[0])
    return std::nullopt;
  const Elements &first = *all[0];
  // The types may contradict each other in IR that is not verified by shapes.
  auto hasSameSize = [&] { return first.size() == type.getNumElements(); };
  if (isa<ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp, IdentityOp>(op))
    return hasSameSize() ? std::optional(first) : std::nullopt;
  if (isa<CastOp>(op))
    return hasSameSize() ? foldCast(first, type) : std::nullopt;
  if (auto transpose = dyn_cast<TransposeOp>(op))
    return foldTranspose(transpose, type, first);
  if (isa<ExpandOp>(op) && !isBroadcast(first.type, type))
    return std::nullopt;
  if (isa<ExpandOp>(op))
    return moveElements(first, type, [&](ArrayRef<int64_t> at) {
      return getBroadcastIndex(linearize(at, computeStrides(type.getShape())),
                               type, first.type);
    });
  if (auto slice = dyn_cast<SliceOp>(op))
    return foldSlice(slice, type, first, all);
  if (present.size() != all.size())
    return std::nullopt;
  if (auto gather = dyn_cast<onnx::GatherOp>(op))
    return foldGather(gather, type, first, present[1]);
  if (auto concat = dyn_cast<ConcatOp>(op))
    return foldConcat(concat, type, present);
  if (!llvm::all_of(present, [&](const Elements &operand) {
        return isBroadcast(operand.type, type);
      }))
    return std::nullopt;
  if (isa<WhereOp>(op)) {
    Elements result;
    result.isFloat = present[1].isFloat;
    for (int64_t i = 0, e = type.getNumElements(); i < e; ++i) {
      auto at = [&](unsigned k) {
        return getBroadcastIndex(i, type, present[k].type);
      };
      unsigned chosen = present[0].integers[at(0)] ? 1 : 2;
      if (result.isFloat)
        result.floats.push_back(present[chosen].floats[at(chosen)]);
      else
        result.integers.push_back(present[chosen].integers[at(chosen)]);
    }
    return result;
  }
  return foldElementwise(op, type, present);
}

/// The same bytes with another shape, for constants of any size: nothing is
/// read. Null if the sizes differ or the kind of attribute is not known.
static ElementsAttr reshapeConstant(Attribute attr, RankedTensorType type) {
  auto elements = dyn_cast_if_present<ElementsAttr>(attr);
  if (!elements || elements.getElementType() != type.getElementType() ||
      elements.getNumElements() != type.getNumElements())
    return {};
  if (auto dense = dyn_cast<DenseElementsAttr>(attr))
    return dense.reshape(type);
  if (auto mapped = dyn_cast<MappedAttr>(attr))
    return MappedAttr::get(attr.getContext(), type, mapped.getFile(),
                           mapped.getOffset(), mapped.getLength(),
                           mapped.getHash());
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr))
    return cast<ElementsAttr>(Attribute(
        DenseResourceElementsAttr::get(type, resource.getRawHandle())));
  return {};
}

namespace {
struct ConstantFoldInterface : public DialectFoldInterface {
  using DialectFoldInterface::DialectFoldInterface;

  LogicalResult fold(Operation *op, ArrayRef<Attribute> operands,
                     SmallVectorImpl<OpFoldResult> &results) const final {
    if (op->getNumResults() != 1 || op->getNumRegions() != 0 ||
        operands.empty())
      return failure();
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (isa<ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp>(op) && operands[0] &&
        type && type.hasStaticShape()) {
      if (ElementsAttr reshaped = reshapeConstant(operands[0], type)) {
        results.push_back(reshaped);
        return success();
      }
    }
    if (!isFoldable(type))
      return failure();
    // Cheap tests first: this runs on every operation of a model.
    for (auto [operand, attr] : llvm::zip_equal(op->getOperands(), operands))
      if (!attr && !isa<NoneType>(operand.getType()))
        return failure();
    SmallVector<std::optional<Elements>> values;
    for (Attribute attr : operands) {
      values.push_back(attr ? readElements(attr) : std::nullopt);
      if (attr && !values.back())
        return failure();
    }
    std::optional<Elements> result = foldOperation(op, type, values);
    if (!result || result->size() != type.getNumElements())
      return failure();
    results.push_back(writeElements(type, *result));
    return success();
  }
};
} // namespace

void ONNXDialect::registerFolding() { addInterfaces<ConstantFoldInterface>(); }
