//===- Passes.td - nibble to linalg -------------------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CONVERSION_NIBBLETOLINALG_PASSES_TD
#define NIBBLE_CONVERSION_NIBBLETOLINALG_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertNibbleToLinalgPass : Pass<"convert-nibble-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "Lower quantization and integer products to linalg";
  let description = [{
    Quantizes as ONNX defines it: divide, round half to even, add the zero
    point, saturate in float, and only then convert, so that no value overflows
    in the conversion. Dequantizes in float32. Integer products are sums in 32
    bits and what follows them. Fused operations on floats stay: the CPU
    code generator lowers them after bufferization.

    Before:
    ```mlir
    #s = #nibble.scheme<int8, group = 0, scale = f32, packing = plain>
    %q = nibble.quantize %x, %scale {scheme = #s} : (tensor<8xf32>, tensor<f32>) -> tensor<8xi8>
    ```
    After:
    ```mlir
    %q = linalg.generic ... ins(%x, %scale : tensor<8xf32>, tensor<f32>) outs(%init : tensor<8xi8>) {
    ^bb0(%in: f32, %s: f32, %out: i8):
      %0 = arith.divf %in, %s : f32
      %1 = math.roundeven %0 : f32
      %2 = arith.maximumf %1, %lowest : f32
      %3 = arith.minimumf %2, %highest : f32
      %4 = arith.fptosi %3 : f32 to i8
      linalg.yield %4 : i8
    } -> tensor<8xi8>
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::arith::ArithDialect",
    "::mlir::tensor::TensorDialect"];
}

#endif // NIBBLE_CONVERSION_NIBBLETOLINALG_PASSES_TD
