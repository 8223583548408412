//===- ONNXVisionOps.cpp - Operators on images and boxes ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyUtils.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXVisionOps.cpp.inc"

void ONNXDialect::registerVisionOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXVisionOps.cpp.inc"
      >();
}

LogicalResult GridSampleOp::verify() {
  // The names before opset 20 mean the same.
  return success(succeeded(verifyChoice(
                     *this, "mode", getMode(),
                     {"nearest", "linear", "cubic", "bilinear", "bicubic"})) &&
                 succeeded(verifyChoice(*this, "padding_mode", getPaddingMode(),
                                        {"zeros", "border", "reflection"})));
}

LogicalResult RoiAlignOp::verify() {
  return success(
      succeeded(verifyChoice(*this, "coordinate_transformation_mode",
                             getCoordinateTransformationMode(),
                             {"half_pixel", "output_half_pixel"})) &&
      succeeded(verifyChoice(*this, "mode", getMode(), {"avg", "max"})) &&
      succeeded(verifyAtLeast(*this, "output_height", getOutputHeight(), 1)) &&
      succeeded(verifyAtLeast(*this, "output_width", getOutputWidth(), 1)) &&
      succeeded(verifyAtLeast(*this, "sampling_ratio", getSamplingRatio(), 0)));
}
