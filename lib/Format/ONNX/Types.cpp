//===- Types.cpp - ONNX types as MLIR types -------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/ONNX/Types.h"
#include "onnx.pb.h"

using namespace mlir;
using nibble::onnx_schema::TensorProto;

namespace nibble::format {

Type getElementType(MLIRContext *ctx, int32_t dataType) {
  auto integer = [&](unsigned width, bool isUnsigned = false) -> Type {
    return IntegerType::get(
        ctx, width, isUnsigned ? IntegerType::Unsigned : IntegerType::Signless);
  };
  switch (dataType) {
  case TensorProto::FLOAT:
    return Float32Type::get(ctx);
  case TensorProto::DOUBLE:
    return Float64Type::get(ctx);
  case TensorProto::FLOAT16:
    return Float16Type::get(ctx);
  case TensorProto::BFLOAT16:
    return BFloat16Type::get(ctx);
  case TensorProto::FLOAT8E4M3FN:
    return Float8E4M3FNType::get(ctx);
  case TensorProto::FLOAT8E4M3FNUZ:
    return Float8E4M3FNUZType::get(ctx);
  case TensorProto::FLOAT8E5M2:
    return Float8E5M2Type::get(ctx);
  case TensorProto::FLOAT8E5M2FNUZ:
    return Float8E5M2FNUZType::get(ctx);
  case TensorProto::FLOAT8E8M0:
    return Float8E8M0FNUType::get(ctx);
  case TensorProto::FLOAT6E2M3:
    return Float6E2M3FNType::get(ctx);
  case TensorProto::FLOAT6E3M2:
    return Float6E3M2FNType::get(ctx);
  case TensorProto::FLOAT4E2M1:
    return Float4E2M1FNType::get(ctx);
  case TensorProto::COMPLEX64:
    return ComplexType::get(Float32Type::get(ctx));
  case TensorProto::COMPLEX128:
    return ComplexType::get(Float64Type::get(ctx));
  case TensorProto::BOOL:
    return integer(1);
  case TensorProto::INT2:
    return integer(2);
  case TensorProto::INT4:
    return integer(4);
  case TensorProto::INT8:
    return integer(8);
  case TensorProto::INT16:
    return integer(16);
  case TensorProto::INT32:
    return integer(32);
  case TensorProto::INT64:
    return integer(64);
  case TensorProto::UINT2:
    return integer(2, true);
  case TensorProto::UINT4:
    return integer(4, true);
  case TensorProto::UINT8:
    return integer(8, true);
  case TensorProto::UINT16:
    return integer(16, true);
  case TensorProto::UINT32:
    return integer(32, true);
  case TensorProto::UINT64:
    return integer(64, true);
  case TensorProto::STRING:
    return OpaqueType::get(StringAttr::get(ctx, "onnx"), "string");
  default:
    return Type();
  }
}

std::optional<int32_t> getDataType(Type elementType) {
  for (int32_t type = TensorProto::DataType_MIN + 1;
       type <= TensorProto::DataType_MAX; ++type)
    if (getElementType(elementType.getContext(), type) == elementType)
      return type;
  return std::nullopt;
}

Type getUnknownType(MLIRContext *ctx) {
  return UnrankedTensorType::get(
      OpaqueType::get(StringAttr::get(ctx, "onnx"), "unknown"));
}

} // namespace nibble::format
