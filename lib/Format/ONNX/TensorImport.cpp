//===- TensorImport.cpp - TensorProto to attributes -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorImport.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "onnx.pb.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using llvm::createStringError;
using llvm::Expected;
using llvm::Twine;
using nibble::onnx_schema::SparseTensorProto;
using nibble::onnx_schema::TensorProto;

namespace nibble::format {
namespace {

constexpr uint64_t kMaxSparseBytes = 1u << 30;

/// A dense attribute of ONNX's bytes. MLIR's dense storage differs from ONNX's
/// for elements of less than 8 bits (one byte each) and for i1.
Expected<ElementsAttr> makeDense(ShapedType type, unsigned bits,
                                 ArrayRef<uint8_t> bytes,
                                 const std::string &name) {
  auto count = static_cast<size_t>(type.getNumElements());
  if (type.getElementType().isInteger(1)) {
    SmallVector<bool> values(count);
    for (size_t i = 0; i != count; ++i)
      values[i] = bytes[i] != 0;
    return DenseElementsAttr::get(type, values);
  }
  std::vector<char> storage;
  ArrayRef<char> raw(reinterpret_cast<const char *>(bytes.data()),
                     bytes.size());
  if (bits < 8) {
    storage.resize(count);
    for (size_t i = 0; i != count; ++i) {
      size_t bit = i * bits;
      unsigned word = bytes[bit / 8];
      if (bit % 8 + bits > 8)
        word |= unsigned(bytes[bit / 8 + 1]) << 8;
      storage[i] = static_cast<char>((word >> (bit % 8)) & ((1u << bits) - 1));
    }
    raw = storage;
  }
  if (count > 1) {
    size_t size = raw.size() / count;
    if (raw.drop_front(size) == raw.drop_back(size))
      raw = raw.take_front(size);
  }
  bool splat = false;
  if (!DenseElementsAttr::isValidRawBuffer(type, raw, splat))
    return createStringError("tensor '" + name + "': " + Twine(raw.size()) +
                             " bytes don't fit its type");
  return DenseElementsAttr::getFromRawBuffer(type, raw);
}

/// Appends the typed values to `bytes` as raw data has them.
template <typename T, typename Field>
void appendValues(const Field &field, std::vector<uint8_t> &bytes) {
  size_t pos = bytes.size();
  bytes.resize(pos + field.size() * sizeof(T));
  for (auto value : field) {
    auto narrow = static_cast<T>(value);
    std::memcpy(bytes.data() + pos, &narrow, sizeof(T));
    pos += sizeof(T);
  }
}

/// Narrows the values of int32_data to elements of `bits`, several to a value
/// for 2 and 4 bits. Floats come as their bit patterns.
llvm::Error appendIntegers(const TensorProto &tensor, Type type, unsigned bits,
                           uint64_t count, std::vector<uint8_t> &bytes) {
  bool isSigned = type.isSignlessInteger() && !type.isInteger(1);
  unsigned valueBits = std::max(bits, 8u);
  if (bits == 6)
    valueBits = 6;
  int64_t low = isSigned ? -(int64_t(1) << (valueBits - 1)) : 0;
  int64_t high = (int64_t(1) << valueBits) - 1;
  if (isSigned && bits >= 8)
    high = (int64_t(1) << (valueBits - 1)) - 1;
  for (int32_t value : tensor.int32_data())
    if (value < low || value > high)
      return createStringError(
          "tensor '" + tensor.name() + "': int32_data has " + Twine(value) +
          ", expected " + Twine(low) + " to " + Twine(high) + " for " +
          getDataTypeName(tensor.data_type()));
  if (bits == 32) {
    appendValues<int32_t>(tensor.int32_data(), bytes);
  } else if (bits == 16) {
    appendValues<uint16_t>(tensor.int32_data(), bytes);
  } else if (bits == 6) {
    // One element a value here, a bit stream in raw data.
    uint64_t size = tensor.int32_data_size();
    bytes.resize(llvm::divideCeil(size * 6, 8));
    for (uint64_t i = 0; i != size; ++i) {
      unsigned word = unsigned(tensor.int32_data(i)) << (i * 6 % 8);
      bytes[i * 6 / 8] |= word;
      if (word > 0xff)
        bytes[i * 6 / 8 + 1] |= word >> 8;
    }
  } else {
    appendValues<uint8_t>(tensor.int32_data(), bytes);
  }
  return llvm::Error::success();
}

/// Converts a typed field to the bytes of raw data.
Expected<std::vector<uint8_t>> collectTypedData(const TensorProto &tensor,
                                                Type type, uint64_t count,
                                                uint64_t size) {
  std::vector<uint8_t> bytes;
  const char *field = "int32_data";
  switch (tensor.data_type()) {
  case TensorProto::FLOAT:
  case TensorProto::COMPLEX64:
    field = "float_data";
    appendValues<float>(tensor.float_data(), bytes);
    break;
  case TensorProto::DOUBLE:
  case TensorProto::COMPLEX128:
    field = "double_data";
    appendValues<double>(tensor.double_data(), bytes);
    break;
  case TensorProto::INT64:
    field = "int64_data";
    appendValues<int64_t>(tensor.int64_data(), bytes);
    break;
  case TensorProto::UINT32:
    field = "uint64_data";
    for (uint64_t value : tensor.uint64_data())
      if (value > UINT32_MAX)
        return createStringError("tensor '" + tensor.name() +
                                 "': uint64_data has " + Twine(value) +
                                 ", expected at most 4294967295 for uint32");
    appendValues<uint32_t>(tensor.uint64_data(), bytes);
    break;
  case TensorProto::UINT64:
    field = "uint64_data";
    appendValues<uint64_t>(tensor.uint64_data(), bytes);
    break;
  default:
    if (llvm::Error error = appendIntegers(
            tensor, type, getElementBits(tensor.data_type()), count, bytes))
      return std::move(error);
  }
  if (bytes.size() != size)
    return createStringError("tensor '" + tensor.name() + "' (" +
                             getDataTypeName(tensor.data_type()) + ", " +
                             Twine(count) + " elements): " + field + " holds " +
                             Twine(bytes.size()) + " bytes, expected " +
                             Twine(size) +
                             (bytes.empty() ? ": the tensor has no data" : ""));
  return bytes;
}

Expected<ElementsAttr> importStrings(const TensorProto &tensor,
                                     RankedTensorType type, uint64_t count) {
  if (uint64_t(tensor.string_data_size()) != count)
    return createStringError("tensor '" + tensor.name() +
                             "': string_data has " +
                             Twine(tensor.string_data_size()) +
                             " strings, expected " + Twine(count));
  SmallVector<StringRef> values;
  for (const std::string &value : tensor.string_data())
    values.push_back(value);
  return cast<ElementsAttr>(
      Attribute(DenseStringElementsAttr::get(type, values)));
}

/// Dense, in memory when small, else over a temporary file.
Expected<ElementsAttr> makeOwned(ShapedType type, unsigned bits,
                                 ArrayRef<uint8_t> bytes,
                                 const std::string &name) {
  if (bytes.size() <= maxDenseBytes)
    return makeDense(type, bits, bytes, name);
  FailureOr<ElementsAttr> blob =
      createBlobAttr(UnknownLoc::get(type.getContext()), type, name,
                     [&](MutableArrayRef<char> out) {
                       std::memcpy(out.data(), bytes.data(), bytes.size());
                     });
  if (failed(blob))
    return createStringError("tensor '" + name + "': no space for its data");
  return *blob;
}

/// The type of a tensor with its shape checked.
Expected<RankedTensorType> getTensorType(const TensorProto &tensor,
                                         MLIRContext *context) {
  Type elementType = onnx::getElementType(context, tensor.data_type());
  if (!elementType)
    return createStringError("tensor '" + tensor.name() + "': data type " +
                             Twine(tensor.data_type()) +
                             " is not one of ONNX 1.23");
  Expected<uint64_t> count = getNumElements(tensor);
  if (!count)
    return count.takeError();
  return RankedTensorType::get(
      ArrayRef(tensor.dims().data(), tensor.dims_size()), elementType);
}

/// All bytes of a tensor in memory.
Expected<std::vector<uint8_t>>
readBytes(ModelFile &file, const TensorProto &tensor, RankedTensorType type) {
  Expected<std::optional<TensorBytes>> stored = file.getBytes(tensor);
  if (!stored)
    return stored.takeError();
  if (*stored)
    return std::vector<uint8_t>((*stored)->bytes.begin(),
                                (*stored)->bytes.end());
  Expected<uint64_t> size = getRawSize(tensor);
  if (!size)
    return size.takeError();
  return collectTypedData(tensor, type.getElementType(), type.getNumElements(),
                          *size);
}

} // namespace

Expected<ElementsAttr> importTensor(ModelFile &file, const TensorProto &tensor,
                                    MLIRContext *context) {
  Expected<RankedTensorType> type = getTensorType(tensor, context);
  if (!type)
    return type.takeError();
  if (tensor.data_type() == TensorProto::STRING)
    return importStrings(tensor, *type, type->getNumElements());

  Expected<std::optional<TensorBytes>> stored = file.getBytes(tensor);
  if (!stored)
    return stored.takeError();
  if (*stored && (*stored)->bytes.size() > kInlineDataLimit) {
    const TensorBytes &data = **stored;
    uint64_t hash = llvm::xxh3_64bits(data.bytes);
    file.release(data);
    return cast<ElementsAttr>(Attribute(MappedAttr::get(
        context, *type, data.file, data.offset, data.bytes.size(), hash)));
  }
  Expected<std::vector<uint8_t>> bytes = readBytes(file, tensor, *type);
  if (!bytes)
    return bytes.takeError();
  return makeOwned(*type, getElementBits(tensor.data_type()), *bytes,
                   tensor.name());
}

Expected<ElementsAttr> importSparseTensor(ModelFile &file,
                                          const SparseTensorProto &tensor,
                                          MLIRContext *context) {
  const TensorProto &values = tensor.values();
  const TensorProto &indices = tensor.indices();
  auto fail = [&](const Twine &what) {
    return createStringError("sparse tensor '" + values.name() + "': " + what);
  };
  // The dense tensor is described by a message of the same kind, so that its
  // shape is checked in the same way.
  TensorProto dense;
  dense.set_name(values.name());
  dense.set_data_type(values.data_type());
  *dense.mutable_dims() = tensor.dims();
  Expected<RankedTensorType> type = getTensorType(dense, context);
  if (!type)
    return type.takeError();
  Expected<RankedTensorType> valueType = getTensorType(values, context);
  if (!valueType)
    return valueType.takeError();
  Expected<RankedTensorType> indexType = getTensorType(indices, context);
  if (!indexType)
    return indexType.takeError();
  unsigned bits = getElementBits(values.data_type());
  Expected<uint64_t> size = getRawSize(dense);
  if (!size)
    return size.takeError();
  if (bits < 8)
    return fail("elements of less than 8 bits are not supported");
  if (*size > kMaxSparseBytes)
    return fail("its dense form takes " + Twine(*size) +
                " bytes, more than 1 GiB");
  uint64_t rank = type->getRank(), count = valueType->getNumElements();
  bool linear = indexType->getRank() == 1;
  if (valueType->getRank() != 1 || indices.data_type() != TensorProto::INT64 ||
      (!linear && indexType->getRank() != 2) ||
      uint64_t(indexType->getNumElements()) != count * (linear ? 1 : rank))
    return fail("expected values [n] and int64 indices [n] or [n," +
                Twine(rank) + "]");

  Expected<std::vector<uint8_t>> valueBytes =
      readBytes(file, values, *valueType);
  if (!valueBytes)
    return valueBytes.takeError();
  Expected<std::vector<uint8_t>> indexBytes =
      readBytes(file, indices, *indexType);
  if (!indexBytes)
    return indexBytes.takeError();
  std::vector<uint8_t> bytes(*size);
  const uint8_t *next = indexBytes->data();
  for (uint64_t i = 0; i != count; ++i) {
    uint64_t position = 0;
    for (uint64_t d = 0; d != (linear ? 1 : rank); ++d, next += 8) {
      uint64_t limit = linear ? type->getNumElements() : type->getDimSize(d);
      uint64_t index = llvm::support::endian::read64le(next);
      if (index >= limit)
        return fail("index " + Twine(int64_t(index)) + " is out of range [0, " +
                    Twine(limit) + ")");
      position = position * limit + index;
    }
    std::memcpy(bytes.data() + position * (bits / 8),
                valueBytes->data() + i * (bits / 8), bits / 8);
  }
  return makeOwned(*type, bits, bytes, values.name());
}

} // namespace nibble::format
