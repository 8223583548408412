//===- ONNXOps.h - Operators of the onnx dialect ----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXOPS_H
#define NIBBLE_DIALECT_ONNX_IR_ONNXOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "nibble/Dialect/ONNX/IR/ONNXInterfaces.h"

#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXControlFlowOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXMathOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXMicrosoftOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXNNOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXQuantOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXReductionOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXSequenceOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXTensorOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXMixerOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXMLOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXSignalOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXTrainingOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXTransformerOps.h.inc"
#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXVisionOps.h.inc"

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXOPS_H
