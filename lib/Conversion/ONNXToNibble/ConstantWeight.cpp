//===- ConstantWeight.cpp - Weights behind reshapes -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConstantWeight.h"

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

FailureOr<ConstantWeight> getReshaped(onnx::ReshapeOp op, bool materialize) {
  if (!isStatic(op.getReshaped()))
    return failure();
  FailureOr<ConstantWeight> source =
      getConstantWeight(op.getData(), materialize);
  if (failed(source))
    return failure();
  if (source->transposed) {
    // The order of the elements matters to a reshape.
    if (!materialize)
      return failure();
    FailureOr<ElementsAttr> value =
        transposeElements(op.getLoc(), source->value, {1, 0});
    if (failed(value))
      return failure();
    source->value = *value;
    source->transposed = false;
  }
  auto type = cast<RankedTensorType>(op.getReshaped().getType());
  if (type.getNumElements() != source->getType().getNumElements())
    return failure();
  source->value = reshapeElements(source->value, type);
  return source;
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
  if (auto reshape = dyn_cast<onnx::ReshapeOp>(op))
    return getReshaped(reshape, materialize);
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
  FailureOr<ConstantData> data =
      ConstantData::get(value, [&] { return emitError(loc); });
  if (failed(data))
    return failure();
  ArrayRef<int64_t> shape = data->getType().getShape();
  int64_t rank = shape.size();
  unsigned bits = data->getStorageBits();
  if (bits % 8 != 0)
    return emitError(loc) << "cannot transpose a constant of elements of "
                          << bits << " bits";
  SmallVector<int64_t> newShape(rank), strides(rank, 1), newStrides(rank);
  for (int64_t d = rank - 2; d >= 0; --d)
    strides[d] = strides[d + 1] * shape[d + 1];
  for (int64_t d = 0; d < rank; ++d) {
    newShape[d] = shape[permutation[d]];
    newStrides[d] = strides[permutation[d]];
  }
  auto type = RankedTensorType::get(newShape, data->getType().getElementType());
  ConstantData source = data->expanded();
  size_t width = bits / 8;
  return createBlobAttr(
      loc, type, "transposed", [&](MutableArrayRef<char> out) {
        SmallVector<int64_t> index(rank, 0);
        int64_t from = 0;
        for (int64_t i = 0, e = type.getNumElements(); i < e; ++i) {
          std::memcpy(out.data() + i * width,
                      source.getBytes().data() + from * width, width);
          // Count up, the last dimension first.
          for (int64_t d = rank - 1; d >= 0; --d) {
            from += newStrides[d];
            if (++index[d] < newShape[d])
              break;
            from -= newStrides[d] * newShape[d];
            index[d] = 0;
          }
        }
      });
}

FailureOr<ElementsAttr> scaleElements(Location loc, ElementsAttr value,
                                      float factor) {
  FailureOr<ConstantData> data =
      ConstantData::get(value, [&] { return emitError(loc); });
  if (failed(data))
    return failure();
  bool readable = true;
  FailureOr<ElementsAttr> result = createBlobAttr(
      loc, data->getType(), "scaled", [&](MutableArrayRef<char> out) {
        constexpr int64_t chunk = 4096;
        std::vector<float> buffer(chunk);
        for (int64_t i = 0, e = data->getNumElements(); i < e; i += chunk) {
          MutableArrayRef<float> part(buffer.data(), std::min(chunk, e - i));
          readable &= succeeded(data->readFloats(i, part));
          for (float &x : part)
            x *= factor;
          std::memcpy(out.data() + i * sizeof(float), part.data(),
                      part.size() * sizeof(float));
        }
      });
  if (succeeded(result) && !readable)
    return emitError(loc) << "cannot read the constant of type "
                          << data->getType() << " as floats";
  return result;
}

Value createConstant(OpBuilder &builder, Location loc, ElementsAttr value,
                     StringAttr name) {
  auto constant = ConstantOp::create(builder, loc, value);
  if (name)
    constant->setAttr(NibbleDialect::getLayerNameAttr(), name);
  return constant;
}

} // namespace nibble
