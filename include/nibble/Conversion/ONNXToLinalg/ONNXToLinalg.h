//===- ONNXToLinalg.h - ONNX operators as loops on tensors ------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whatever is not a quantizable operator leaves the onnx dialect here.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CONVERSION_ONNXTOLINALG_ONNXTOLINALG_H
#define NIBBLE_CONVERSION_ONNXTOLINALG_ONNXTOLINALG_H

#include "mlir/Pass/Pass.h"

namespace nibble {

#define GEN_PASS_DECL
#include "nibble/Conversion/ONNXToLinalg/ONNXToLinalg.h.inc"

#define GEN_PASS_REGISTRATION
#include "nibble/Conversion/ONNXToLinalg/ONNXToLinalg.h.inc"

} // namespace nibble

#endif // NIBBLE_CONVERSION_ONNXTOLINALG_ONNXTOLINALG_H
