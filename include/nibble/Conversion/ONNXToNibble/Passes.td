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

#endif // NIBBLE_CONVERSION_ONNXTONIBBLE_PASSES_TD
