//===- ExportTensors.cpp - Attributes to TensorProto ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nibble::onnx_schema;

namespace nibble::format {
namespace {

/// Elements handled at a time; a multiple of 8, so that pieces end at bytes.
constexpr int64_t kPieceElements = 1 << 16;

/// The IR version in which a TensorProto.DataType first appeared; none of the
/// others is newer than version 10.
int64_t getIRVersion(int32_t dataType) {
  switch (dataType) {
  case TensorProto::FLOAT4E2M1:
    return 11;
  case TensorProto::FLOAT8E8M0:
    return 12;
  case TensorProto::UINT2:
  case TensorProto::INT2:
    return 13;
  case TensorProto::FLOAT6E2M3:
  case TensorProto::FLOAT6E3M2:
    return 14;
  default:
    return 10;
  }
}

} // namespace

void forEachPiece(const ConstantData &data,
                  llvm::function_ref<void(ArrayRef<char>)> write) {
  int64_t count = data.getNumElements();
  unsigned bits = nibble::getStorageBits(data.getType().getElementType());
  unsigned stored = data.getStorageBits();
  ArrayRef<char> bytes = data.getBytes();
  if (!data.isSplat() && stored == bits) {
    write(bytes);
    return;
  }
  std::vector<char> piece;
  for (int64_t begin = 0; begin < count; begin += kPieceElements) {
    int64_t size = std::min(kPieceElements, count - begin);
    piece.assign(llvm::divideCeil(uint64_t(size) * bits, 8), 0);
    for (int64_t i = 0; i != size; ++i) {
      int64_t from = data.isSplat() ? 0 : begin + i;
      if (bits >= 8) {
        std::memcpy(piece.data() + i * (bits / 8),
                    bytes.data() + from * (bits / 8), bits / 8);
        continue;
      }
      // Dense attributes hold a byte per element, ONNX a stream of bits.
      unsigned code = static_cast<uint8_t>(bytes[from]);
      unsigned word = (code & ((1u << bits) - 1)) << (i * bits % 8);
      piece[i * bits / 8] |= static_cast<char>(word);
      if (word > 0xff)
        piece[i * bits / 8 + 1] |= static_cast<char>(word >> 8);
    }
    write(piece);
  }
}

LogicalResult Exporter::describeTensor(Location loc, ShapedType type,
                                       TensorProto &tensor) {
  int64_t dataType = onnx::getONNXType(type.getElementType());
  if (!dataType)
    return emitError(loc) << "ONNX has no element type for " << type;
  tensor.set_data_type(dataType);
  for (int64_t size : type.getShape())
    tensor.add_dims(size);
  irVersion = std::max(irVersion, getIRVersion(dataType));
  return success();
}

/// Fills a tensor with its data.
LogicalResult Exporter::exportTensor(Location loc, ElementsAttr elements,
                                     TensorProto &tensor) {
  if (failed(describeTensor(loc, elements.getShapedType(), tensor)))
    return failure();
  if (auto strings = dyn_cast<DenseStringElementsAttr>(elements)) {
    // A splat is stored once.
    int64_t count = strings.getNumElements();
    ArrayRef<StringRef> values = strings.getRawStringData();
    for (int64_t i = 0; i != count; ++i) {
      StringRef value = values[strings.isSplat() ? 0 : i];
      tensor.add_string_data(value.data(), value.size());
    }
    return success();
  }
  FailureOr<ConstantData> data =
      ConstantData::get(elements, [&] { return emitError(loc); });
  if (failed(data))
    return failure();
  std::string &bytes = *tensor.mutable_raw_data();
  forEachPiece(*data, [&](ArrayRef<char> piece) {
    bytes.append(piece.data(), piece.size());
  });
  return success();
}

LogicalResult Exporter::exportAttribute(Operation *op, NamedAttribute attribute,
                                        NodeProto &node) {
  AttributeProto proto;
  proto.set_name(attribute.getName().str());
  auto setType = [&](AttributeProto::AttributeType type) {
    proto.set_type(type);
    return success();
  };
  auto refuse = [&] {
    return emitError(op->getLoc())
           << "'" << op->getName() << "' attribute '"
           << attribute.getName().getValue()
           << "' has no form in ONNX: " << attribute.getValue();
  };
  LogicalResult result =
      llvm::TypeSwitch<Attribute, LogicalResult>(attribute.getValue())
          .Case([&](IntegerAttr value) -> LogicalResult {
            proto.set_i(value.getValue().sextOrTrunc(64).getSExtValue());
            return setType(AttributeProto::INT);
          })
          .Case([&](FloatAttr value) -> LogicalResult {
            proto.set_f(static_cast<float>(value.getValueAsDouble()));
            return setType(AttributeProto::FLOAT);
          })
          .Case([&](StringAttr value) -> LogicalResult {
            proto.set_s(value.str());
            return setType(AttributeProto::STRING);
          })
          .Case([&](DenseI64ArrayAttr values) -> LogicalResult {
            for (int64_t value : values.asArrayRef())
              proto.add_ints(value);
            return setType(AttributeProto::INTS);
          })
          .Case([&](DenseF32ArrayAttr values) -> LogicalResult {
            for (float value : values.asArrayRef())
              proto.add_floats(value);
            return setType(AttributeProto::FLOATS);
          })
          .Case([&](ArrayAttr values) -> LogicalResult {
            for (Attribute value : values) {
              auto text = dyn_cast<StringAttr>(value);
              if (!text)
                return refuse();
              proto.add_strings(text.str());
            }
            return setType(AttributeProto::STRINGS);
          })
          .Case([&](TypeAttr value) -> LogicalResult {
            if (failed(exportType(op->getLoc(), value.getValue(), {},
                                  *proto.mutable_tp())))
              return failure();
            return setType(AttributeProto::TYPE_PROTO);
          })
          .Case([&](ElementsAttr value) -> LogicalResult {
            if (failed(exportTensor(op->getLoc(), value, *proto.mutable_t())))
              return failure();
            return setType(AttributeProto::TENSOR);
          })
          .Default([&](Attribute) -> LogicalResult { return refuse(); });
  if (failed(result))
    return failure();
  *node.add_attribute() = std::move(proto);
  return success();
}

} // namespace nibble::format
