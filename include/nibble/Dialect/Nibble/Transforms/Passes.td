//===- Passes.td - Passes on the nibble dialect -------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_PASSES_TD
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def NibbleFuseDequantizePass : Pass<"nibble-fuse-dequantize", "::mlir::func::FuncOp"> {
  let summary = "Let operations read codes instead of dequantized weights";
  let description = [{
    Folds `nibble.dequantize` in `rows` packing into the `nibble.matmul`,
    `nibble.conv` or `nibble.gather` that uses it as its weight. No float copy of
    the weight is left.

    Before:
    ```mlir
    %w = nibble.dequantize %codes, %scales {scheme = #s, transpose}
      : (tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {n = 10 : i64, k = 64 : i64}
      : (tensor<?x64xf32>, tensor<64x10xf32>) -> tensor<?x10xf32>
    ```
    After:
    ```mlir
    %y = nibble.matmul %x weight(%codes, %scales) {n = 10 : i64, k = 64 : i64, scheme = #s}
      : (tensor<?x64xf32>, tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<?x10xf32>
    ```
  }];
  let statistics = [
    Statistic<"numFused", "num-fused", "Dequantizations that were fused">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleVerifyQuantizedPass : Pass<"nibble-verify-quantized", "::mlir::func::FuncOp"> {
  let summary = "Check that no float copy of a quantized weight exists";
  let description = [{
    An error for every `nibble.dequantize` of packed codes that is left: running
    it would make a float weight of full size. With `allow-unfused` it is a
    remark. The IR does not change.

    ```mlir
    // error: layer "fc": the quantized weight is read by 'linalg.transpose' as float ...
    %w = nibble.dequantize %codes, %scales {scheme = #s}
      : (tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<10x64xf32>
    %t = linalg.transpose ins(%w : tensor<10x64xf32>) ...
    ```
  }];
  let options = [
    Option<"allowUnfused", "allow-unfused", "bool", /*default=*/"false",
           "Say it as a remark">
  ];
}

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_PASSES_TD
