//===- ImportTypes.cpp - ONNX value types ---------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Importer.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"

using namespace mlir;
using llvm::createStringError;
using llvm::Expected;
using llvm::Twine;
using nibble::onnx_schema::TensorShapeProto;
using nibble::onnx_schema::TypeProto;

namespace nibble::format {

Expected<Type> Importer::importTensorType(int32_t dataType, bool hasShape,
                                          const TensorShapeProto &shape) {
  Type elementType = onnx::getElementType(context, dataType);
  if (dataType == 0)
    elementType = onnx::UnknownType::get(context);
  if (!elementType)
    return createStringError("data type " + Twine(dataType) +
                             " is not one of ONNX 1.23");
  if (!hasShape)
    return UnrankedTensorType::get(elementType);
  SmallVector<int64_t> sizes;
  for (const TensorShapeProto::Dimension &dim : shape.dim()) {
    int64_t size = ShapedType::kDynamic;
    if (dim.has_dim_value()) {
      // Exporters write -1 for a size that they don't know.
      if (dim.dim_value() < -1)
        return createStringError("dimension " + Twine(sizes.size()) + " is " +
                                 Twine(dim.dim_value()) +
                                 ", expected a size or -1");
      if (dim.dim_value() >= 0)
        size = dim.dim_value();
    } else if (auto it = dims.find(dim.dim_param()); it != dims.end()) {
      size = it->second;
    }
    sizes.push_back(size);
  }
  if (!onnx::isAddressable(sizes))
    return createStringError("its sizes are too large for 64 bits");
  return RankedTensorType::get(sizes, elementType);
}

Expected<Type> Importer::importType(const TypeProto &type) {
  switch (type.value_case()) {
  case TypeProto::kTensorType:
    return importTensorType(type.tensor_type().elem_type(),
                            type.tensor_type().has_shape(),
                            type.tensor_type().shape());
  case TypeProto::kSequenceType: {
    Expected<Type> element = importType(type.sequence_type().elem_type());
    if (!element)
      return element.takeError();
    return onnx::SeqType::get(context, *element);
  }
  case TypeProto::kOptionalType: {
    Expected<Type> element = importType(type.optional_type().elem_type());
    if (!element)
      return element.takeError();
    return onnx::OptionalType::get(context, *element);
  }
  case TypeProto::kMapType: {
    int32_t number = type.map_type().key_type();
    Type key = onnx::getElementType(context, number);
    if (!key || !isa<IntegerType, onnx::StringType>(key))
      return createStringError("a map has keys of type " + Twine(number) +
                               ", expected integers or strings");
    Expected<Type> value = importType(type.map_type().value_type());
    if (!value)
      return value.takeError();
    return onnx::MapType::get(context, key, *value);
  }
  case TypeProto::kSparseTensorType:
    return createStringError("sparse tensor types are not supported");
  case TypeProto::kOpaqueType:
    return createStringError("opaque types are not supported");
  case TypeProto::VALUE_NOT_SET:
    break;
  }
  return onnx::getUnknownTensorType(context);
}

/// What the function's argument or result says about a graph input or output.
DictionaryAttr
Importer::describeValue(const onnx_schema::ValueInfoProto &info) {
  SmallVector<NamedAttribute> attributes;
  SmallVector<Attribute> names;
  bool anyName = false;
  for (const TensorShapeProto::Dimension &dim :
       info.type().tensor_type().shape().dim()) {
    bool symbolic = !dim.dim_param().empty() && !dims.count(dim.dim_param());
    names.push_back(builder.getStringAttr(symbolic ? dim.dim_param() : ""));
    anyName |= symbolic;
  }
  if (anyName)
    attributes.push_back(
        builder.getNamedAttr("onnx.dim_names", builder.getArrayAttr(names)));
  attributes.push_back(
      builder.getNamedAttr("onnx.name", builder.getStringAttr(info.name())));
  return builder.getDictionaryAttr(attributes);
}

} // namespace nibble::format
