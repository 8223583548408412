//===- TensorImport.h - TensorProto to attributes ---------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_FORMAT_ONNX_TENSORIMPORT_H
#define NIBBLE_LIB_FORMAT_ONNX_TENSORIMPORT_H

#include "mlir/IR/BuiltinAttributes.h"
#include "nibble/Format/ONNX/ModelFile.h"

namespace nibble::onnx_schema {
class SparseTensorProto;
} // namespace nibble::onnx_schema

namespace nibble::format {

/// Makes an attribute of a tensor: a reference to the file for large stored
/// bytes, else dense. Fails with a message that names the tensor.
llvm::Expected<mlir::ElementsAttr>
importTensor(ModelFile &file, const onnx_schema::TensorProto &tensor,
             mlir::MLIRContext *context);

/// Makes a dense attribute of a sparse tensor (COO, linear or by coordinates).
llvm::Expected<mlir::ElementsAttr>
importSparseTensor(ModelFile &file,
                   const onnx_schema::SparseTensorProto &tensor,
                   mlir::MLIRContext *context);

} // namespace nibble::format

#endif // NIBBLE_LIB_FORMAT_ONNX_TENSORIMPORT_H
