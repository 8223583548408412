//===- Passes.td - onnx to nibble ---------------------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CONVERSION_ONNXTONIBBLE_PASSES_TD
#define NIBBLE_CONVERSION_ONNXTONIBBLE_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertONNXToNibblePass : Pass<"convert-onnx-to-nibble", "::mlir::func::FuncOp"> {
  let summary = "Make operators with constant weights quantizable";
  let description = [{
    `MatMul`, `Gemm` and `Conv` with a constant weight and `Gather` of rows of a
    constant table become `nibble.matmul`, `nibble.conv` and `nibble.gather`.
    `Transpose` and `Reshape` of a constant are looked through. The `Add` of a
    constant bias, the `Add` of a residual of the same shape and an activation
    that follow, each the only use of the value before, become part of the
    operation, which keeps the layer names of all. Where the sizes of a residual
    are only known at run time, a `cf.assert` compares them.

    Whatever has no constant weight (a product of two activations, a constant
    left factor, a batch of weights) stays for `convert-onnx-to-linalg`.
    Constants above 1 KiB become `nibble.constant`.

    Before:
    ```mlir
    %w = onnx.Constant {value = #w, onnx.name = "fc.weight"} : tensor<10x64xf32>
    %b = onnx.Constant {value = #b, onnx.name = "fc.bias"} : tensor<10xf32>
    %0 = onnx.Gemm(%x, %w, %b) {transB = 1 : i64, onnx.name = "fc"}
      : (tensor<?x64xf32>, tensor<10x64xf32>, tensor<10xf32>) -> tensor<?x10xf32>
    %1 = onnx.Relu(%0) {onnx.name = "act"} : (tensor<?x10xf32>) -> tensor<?x10xf32>
    ```
    After:
    ```mlir
    %w = nibble.constant {onnx.name = "fc.weight"} #w : tensor<10x64xf32>
    %b = nibble.constant {onnx.name = "fc.bias"} #b : tensor<10xf32>
    %1 = nibble.matmul %x weight(%w) bias(%b) {n = 10 : i64, k = 64 : i64,
        transpose_weight, activation = #nibble.activation<relu>, layers = ["fc", "act"]}
      : (tensor<?x64xf32>, tensor<10x64xf32>, tensor<10xf32>) -> tensor<?x10xf32>
    ```
  }];
  let statistics = [
    Statistic<"numConverted", "num-converted", "Operations with a quantizable weight">
  ];
  let dependentDialects = ["::nibble::NibbleDialect", "::nibble::onnx::ONNXDialect",
    "::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect",
    "::mlir::tensor::TensorDialect"];
}

def ConvertONNXIntegersToNibblePass
    : Pass<"convert-onnx-integers-to-nibble", "::mlir::func::FuncOp"> {
  let summary = "Compute products of quantized tensors in integers";
  let description = [{
    `MatMul`, `Gemm` and `Conv` of dequantized bytes, and `MatMulInteger`,
    `ConvInteger`, `QLinearMatMul` and `QLinearConv`, become
    `nibble.matmul_integer` and `nibble.conv_integer`. A conversion to float, the
    multiplication with the scales, bias, residual, activation and quantization
    that follow become part of them, so that no tensor of floats is between two
    such products. A function of one dequantized tensor that is quantized again
    becomes a table of 256 codes, if it is one that takes longer to compute.

    Unsigned bytes become signless ones with an attribute;
    `builtin.unrealized_conversion_cast` is between the two until
    `convert-onnx-to-linalg` drops the unsigned types.

    A product that stays in floats although its input is quantized is a remark
    that says why.

    Before:
    ```mlir
    %0 = onnx.DequantizeLinear(%x, %xs, %xz) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
    %1 = onnx.DequantizeLinear(%w, %ws, %none) {axis = 1 : i64} : (tensor<3x4xi8>, tensor<4xf32>, none) -> tensor<3x4xf32>
    %2 = onnx.MatMul(%0, %1) {onnx.name = "fc"} : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
    %3 = onnx.QuantizeLinear(%2, %ys, %yz) : (tensor<2x4xf32>, tensor<f32>, tensor<ui8>) -> tensor<2x4xui8>
    ```
    After:
    ```mlir
    %x8 = builtin.unrealized_conversion_cast %x : tensor<2x3xui8> to tensor<2x3xi8>
    %3 = nibble.matmul_integer %x8 weight(%w scales %ws) input_zero(%xz8) input_scale(%xs)
        output_scale(%ys) output_zero(%yz8)
        {n = 4 : i64, k = 3 : i64, unsigned_input, unsigned_output, layers = ["fc"]} : ... -> tensor<2x4xi8>
    %y = builtin.unrealized_conversion_cast %3 : tensor<2x4xi8> to tensor<2x4xui8>
    ```
  }];
  let statistics = [
    Statistic<"numProducts", "num-products", "Products in integers">
  ];
  let dependentDialects = ["::nibble::NibbleDialect", "::nibble::onnx::ONNXDialect",
    "::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

#endif // NIBBLE_CONVERSION_ONNXTONIBBLE_PASSES_TD
