//===- ConstantWeight.cpp - Weights behind reshapes -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConstantWeight.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include <cstring>

using namespace mlir;

namespace nibble {
namespace {

StringAttr getNameAttr(Operation *op) {
  return op->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
}

bool isStatic(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape();
}

SmallVector<int64_t> getPermutation(onnx::TransposeOp op, int64_t rank) {
  if (std::optional<ArrayRef<int64_t>> perm = op.getPerm())
    return SmallVector<int64_t>(*perm);
  return llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank)));
}

/// Element [i, j, ...] of the result is the element offset + i * strides[0] +
/// j * strides[1] + ... of `value`.
FailureOr<ElementsAttr> readStrided(Location loc, ElementsAttr value,
                                    ArrayRef<int64_t> shape, int64_t offset,
                                    ArrayRef<int64_t> strides, StringRef hint) {
  FailureOr<ConstantData> data =
      ConstantData::get(value, [&] { return emitError(loc); });
  if (failed(data))
    return failure();
  unsigned bits = data->getStorageBits();
  if (bits % 8 != 0)
    return emitError(loc) << "cannot move elements of " << bits
                          << " bits in a constant";
  auto type = RankedTensorType::get(shape, data->getType().getElementType());
  ConstantData source = data->expanded();
  size_t width = bits / 8;
  int64_t rank = shape.size();
  return createBlobAttr(loc, type, hint, [&](MutableArrayRef<char> out) {
    SmallVector<int64_t> index(rank, 0);
    int64_t from = offset;
    for (int64_t i = 0, e = type.getNumElements(); i < e; ++i) {
      std::memcpy(out.data() + i * width,
                  source.getBytes().data() + from * width, width);
      // Count up, the last dimension first.
      for (int64_t d = rank - 1; d >= 0; --d) {
        from += strides[d];
        if (++index[d] < shape[d])
          break;
        from -= strides[d] * shape[d];
        index[d] = 0;
      }
    }
  });
}

/// The part of a constant that a slice with constant bounds takes.
FailureOr<ElementsAttr> sliceElements(onnx::SliceOp op, ElementsAttr value) {
  auto type = dyn_cast<RankedTensorType>(op.getOutput().getType());
  ArrayRef<int64_t> shape = value.getShapedType().getShape();
  int64_t rank = shape.size();
  if (!type || !type.hasStaticShape() || type.getRank() != rank)
    return failure();
  auto read = [](Value operand) -> FailureOr<SmallVector<int64_t>> {
    FailureOr<ConstantData> data = ConstantData::get(operand);
    if (failed(data))
      return failure();
    return data->getIntegers();
  };
  FailureOr<SmallVector<int64_t>> starts = read(op.getStarts());
  if (failed(starts))
    return failure();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  SmallVector<int64_t> steps(starts->size(), 1);
  for (auto [operand, list] :
       {std::pair(op.getAxes(), &axes), std::pair(op.getSteps(), &steps)}) {
    if (isa<NoneType>(operand.getType()))
      continue;
    FailureOr<SmallVector<int64_t>> given = read(operand);
    if (failed(given) || given->size() != starts->size())
      return failure();
    *list = *given;
  }
  int64_t offset = 0;
  SmallVector<int64_t> strides = computeStrides(shape), steppedBy(strides);
  for (auto [start, axis, step] : llvm::zip(*starts, axes, steps)) {
    int64_t d = axis < 0 ? axis + rank : axis;
    if (d < 0 || d >= rank || step == 0)
      return failure();
    int64_t first = start < 0 ? start + shape[d] : start;
    first = std::clamp<int64_t>(first, 0, step < 0 ? shape[d] - 1 : shape[d]);
    offset += first * strides[d];
    steppedBy[d] = strides[d] * step;
  }
  return readStrided(op.getLoc(), value, type.getShape(), offset, steppedBy,
                     "slice");
}

/// Constants joined along an axis.
FailureOr<ElementsAttr> concatElements(onnx::ConcatOp op,
                                       ArrayRef<ElementsAttr> parts) {
  auto type = dyn_cast<RankedTensorType>(op.getConcatResult().getType());
  if (!type || !type.hasStaticShape())
    return failure();
  int64_t axis =
      op.getAxis() < 0 ? op.getAxis() + type.getRank() : op.getAxis();
  SmallVector<ConstantData> sources;
  for (ElementsAttr part : parts) {
    FailureOr<ConstantData> data =
        ConstantData::get(part, [&] { return op.emitError(); });
    if (failed(data) || data->getStorageBits() % 8 != 0)
      return failure();
    sources.push_back(data->expanded());
  }
  int64_t outer = ShapedType::getNumElements(type.getShape().take_front(axis));
  return createBlobAttr(
      op.getLoc(), type, "joined", [&](MutableArrayRef<char> out) {
        char *to = out.data();
        for (int64_t i = 0; i < outer; ++i)
          for (const ConstantData &source : sources) {
            size_t block = source.getBytes().size() / outer;
            std::memcpy(to, source.getBytes().data() + i * block, block);
            to += block;
          }
      });
}

FailureOr<ConstantWeight> getTransposed(onnx::TransposeOp op,
                                        bool materialize) {
  FailureOr<ConstantWeight> source =
      getConstantWeight(op.getData(), materialize);
  if (failed(source))
    return failure();
  int64_t rank = source->getType().getRank();
  SmallVector<int64_t> permutation = getPermutation(op, rank);
  if (llvm::equal(permutation, llvm::seq<int64_t>(0, rank)))
    return source;
  if (rank == 2) {
    source->transposed = !source->transposed;
    return source;
  }
  if (!materialize)
    return failure();
  FailureOr<ElementsAttr> value =
      transposeElements(op.getLoc(), source->value, permutation);
  if (failed(value))
    return failure();
  source->value = *value;
  return source;
}

/// The constant in the order of its elements in memory.
FailureOr<ConstantWeight> getStraight(Operation *op, Value value,
                                      bool materialize) {
  FailureOr<ConstantWeight> source = getConstantWeight(value, materialize);
  if (failed(source) || !source->transposed)
    return source;
  if (!materialize)
    return failure();
  FailureOr<ElementsAttr> straight =
      transposeElements(op->getLoc(), source->value, {1, 0});
  if (failed(straight))
    return failure();
  source->value = *straight;
  source->transposed = false;
  return source;
}

/// Reshape, Squeeze or Unsqueeze.
FailureOr<ConstantWeight> getReshaped(Operation *op, bool materialize) {
  if (!isStatic(op->getResult(0)))
    return failure();
  FailureOr<ConstantWeight> source =
      getStraight(op, op->getOperand(0), materialize);
  if (failed(source))
    return failure();
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (type.getNumElements() != source->getType().getNumElements())
    return failure();
  source->value = reshapeElements(source->value, type);
  return source;
}

FailureOr<ConstantWeight> getSliced(onnx::SliceOp op) {
  FailureOr<ConstantWeight> source =
      getStraight(op, op.getData(), /*materialize=*/true);
  if (failed(source))
    return failure();
  FailureOr<ElementsAttr> value = sliceElements(op, source->value);
  if (failed(value))
    return failure();
  source->value = *value;
  return source;
}

FailureOr<ConstantWeight> getJoined(onnx::ConcatOp op) {
  SmallVector<ElementsAttr> parts;
  for (Value input : op.getInputs()) {
    FailureOr<ConstantWeight> part =
        getStraight(op, input, /*materialize=*/true);
    if (failed(part))
      return failure();
    parts.push_back(part->value);
  }
  FailureOr<ElementsAttr> value = concatElements(op, parts);
  if (failed(value))
    return failure();
  return ConstantWeight{*value, false, StringAttr()};
}

} // namespace

FailureOr<ConstantWeight> getConstantWeight(Value value, bool materialize) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return failure();
  if (auto constant = dyn_cast<onnx::ConstantOp>(op)) {
    if (!constant.getValueAttr())
      return failure();
    return ConstantWeight{constant.getValueAttr(), false, getNameAttr(op)};
  }
  if (auto constant = dyn_cast<ConstantOp>(op))
    return ConstantWeight{constant.getValue(), false, getNameAttr(op)};
  if (auto identity = dyn_cast<onnx::IdentityOp>(op))
    return getConstantWeight(identity.getInput(), materialize);
  if (auto transpose = dyn_cast<onnx::TransposeOp>(op))
    return getTransposed(transpose, materialize);
  if (isa<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp>(op))
    return getReshaped(op, materialize);
  if (!materialize)
    return failure();
  if (auto slice = dyn_cast<onnx::SliceOp>(op))
    return getSliced(slice);
  if (auto concat = dyn_cast<onnx::ConcatOp>(op))
    return getJoined(concat);
  return failure();
}

ElementsAttr reshapeElements(ElementsAttr value, RankedTensorType type) {
  if (value.getShapedType() == type)
    return value;
  if (auto mapped = dyn_cast<MappedAttr>(value))
    return MappedAttr::get(value.getContext(), type, mapped.getFile(),
                           mapped.getOffset(), mapped.getLength(),
                           mapped.getHash());
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    return DenseResourceElementsAttr::get(type, resource.getRawHandle());
  return cast<DenseElementsAttr>(value).reshape(type);
}

FailureOr<ElementsAttr> transposeElements(Location loc, ElementsAttr value,
                                          ArrayRef<int64_t> permutation) {
  ArrayRef<int64_t> shape = value.getShapedType().getShape();
  SmallVector<int64_t> strides = computeStrides(shape), newShape, newStrides;
  for (int64_t d : permutation) {
    newShape.push_back(shape[d]);
    newStrides.push_back(strides[d]);
  }
  return readStrided(loc, value, newShape, /*offset=*/0, newStrides,
                     "transposed");
}

/// A new constant of float32 elements made of those of `value`.
static FailureOr<ElementsAttr> mapElements(Location loc, ElementsAttr value,
                                           StringRef hint,
                                           function_ref<float(float)> map) {
  FailureOr<ConstantData> data =
      ConstantData::get(value, [&] { return emitError(loc); });
  if (failed(data))
    return failure();
  bool readable = true;
  auto type = RankedTensorType::get(data->getType().getShape(),
                                    Float32Type::get(value.getContext()));
  FailureOr<ElementsAttr> result =
      createBlobAttr(loc, type, hint, [&](MutableArrayRef<char> out) {
        constexpr int64_t chunk = 4096;
        std::vector<float> buffer(chunk);
        for (int64_t i = 0, e = data->getNumElements(); i < e; i += chunk) {
          MutableArrayRef<float> part(buffer.data(), std::min(chunk, e - i));
          readable &= succeeded(data->readFloats(i, part));
          for (float &x : part)
            x = map(x);
          std::memcpy(out.data() + i * sizeof(float), part.data(),
                      part.size() * sizeof(float));
        }
      });
  if (succeeded(result) && !readable)
    return emitError(loc) << "cannot read the constant of type "
                          << data->getType() << " as floats";
  return result;
}

FailureOr<ElementsAttr> scaleElements(Location loc, ElementsAttr value,
                                      float factor) {
  return mapElements(loc, value, "scaled",
                     [factor](float x) { return factor * x; });
}

FailureOr<ElementsAttr> widenElements(Location loc, ElementsAttr value,
                                      StringAttr name) {
  std::string hint = (name ? name.getValue() : StringRef("weight")).str();
  return mapElements(loc, value, hint + ".widened", [](float x) { return x; });
}

Value createConstant(OpBuilder &builder, Location loc, ElementsAttr value,
                     StringAttr name) {
  auto constant = ConstantOp::create(builder, loc, value);
  if (name)
    constant->setAttr(NibbleDialect::getLayerNameAttr(), name);
  return constant;
}

} // namespace nibble
