//===- ONNXOps.td - All operators, for the documentation ---*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"
include "nibble/Dialect/ONNX/IR/ONNXControlFlowOps.td"
include "nibble/Dialect/ONNX/IR/ONNXMLOps.td"
include "nibble/Dialect/ONNX/IR/ONNXMathOps.td"
include "nibble/Dialect/ONNX/IR/ONNXMicrosoftOps.td"
include "nibble/Dialect/ONNX/IR/ONNXMixerOps.td"
include "nibble/Dialect/ONNX/IR/ONNXNNOps.td"
include "nibble/Dialect/ONNX/IR/ONNXQuantOps.td"
include "nibble/Dialect/ONNX/IR/ONNXReductionOps.td"
include "nibble/Dialect/ONNX/IR/ONNXSequenceOps.td"
include "nibble/Dialect/ONNX/IR/ONNXSignalOps.td"
include "nibble/Dialect/ONNX/IR/ONNXTensorOps.td"
include "nibble/Dialect/ONNX/IR/ONNXTrainingOps.td"
include "nibble/Dialect/ONNX/IR/ONNXTransformerOps.td"
include "nibble/Dialect/ONNX/IR/ONNXVisionOps.td"

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXOPS_TD
