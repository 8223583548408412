//===- Types.h - ONNX types as MLIR types -----------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Signed integers are signless, unsigned ones are unsigned (`ui8`), bool is
// `i1`.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_FORMAT_ONNX_TYPES_H
#define NIBBLE_FORMAT_ONNX_TYPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "nibble/Format/ONNX/ModelFile.h"

namespace nibble::format {

/// The element type of the TensorProto.DataType `dataType`; null if unknown.
mlir::Type getElementType(mlir::MLIRContext *context, int32_t dataType);

/// The TensorProto.DataType of an element type, if ONNX has it.
std::optional<int32_t> getDataType(mlir::Type elementType);

/// The type of a value about which the model says nothing.
mlir::Type getUnknownType(mlir::MLIRContext *context);

} // namespace nibble::format

#endif // NIBBLE_FORMAT_ONNX_TYPES_H
