//===- Passes.td - The pass of the example ------------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef POWEROFTWO_PASSES_TD
#define POWEROFTWO_PASSES_TD

include "mlir/Pass/PassBase.td"

def QuantizePowerOfTwoPass : Pass<"quantize-power-of-two", "::mlir::ModuleOp"> {
  let summary = "Quantize weights with scales that are powers of two";
  let description = [{
    Serves the requests with method `power-of-two`. The scale of a group is the
    smallest power of two with which no weight is clipped, so that multiplying
    by it is exact and can be a shift; up to one bit of resolution is the price.

    Before:
    ```mlir
    %y = nibble.matmul %x weight(%w) {..., nibble.request = {method = "power-of-two", ...}}
    ```
    After:
    ```mlir
    %w = nibble.dequantize %codes, %scales {...}
    %y = nibble.matmul %x weight(%w) {...}
    ```
  }];
  let statistics = [
    Statistic<"numQuantized", "num-quantized", "Weights that were quantized">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

#endif // POWEROFTWO_PASSES_TD
