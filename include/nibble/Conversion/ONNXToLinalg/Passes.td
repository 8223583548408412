//===- Passes.td - From onnx to linalg -------------------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CONVERSION_ONNXTOLINALG_PASSES
#define NIBBLE_CONVERSION_ONNXTOLINALG_PASSES

include "mlir/Pass/PassBase.td"

def ConvertONNXToLinalg : Pass<"convert-onnx-to-linalg", "::mlir::ModuleOp"> {
  let summary = "Lower the operators of the onnx dialect to linalg on tensors";
  let description = [{
    Replaces every operator of the `onnx` dialect by `linalg` on tensors and
    `tensor`, `arith`, `math`, `scf` and `cf.assert`, for static and dynamic
    dimensions alike. It runs after `convert-onnx-to-nibble`, which takes the
    operators whose weights can be quantized.

    - Unsigned integers become signless ones; each lowering takes the
      signedness from the ONNX type. Every argument and result of a function
      gets `onnx.elem_type`, the number of its ONNX element type.
    - Dimensions that broadcast must be equal: where that is not known, a
      `cf.assert` checks it at run time. Out-of-range indices are checked too.
    - 16-bit floats are computed and accumulated in `f32`.
    - All operators that cannot be lowered are listed in one error, each with
      its layer name and the reason.

    Before:

    ```mlir
    func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
      %0 = "onnx.Relu"(%x) {onnx.name = "act"} : (tensor<?x4xf32>) -> tensor<?x4xf32>
      return %0 : tensor<?x4xf32>
    }
    ```

    After:

    ```mlir
    #id = affine_map<(d0, d1) -> (d0, d1)>
    func.func @main(%x: tensor<?x4xf32> {onnx.elem_type = 1 : i64})
        -> (tensor<?x4xf32> {onnx.elem_type = 1 : i64}) {
      %c0 = arith.constant 0 : index
      %d = tensor.dim %x, %c0 : tensor<?x4xf32>
      %e = tensor.empty(%d) : tensor<?x4xf32>
      %0 = linalg.generic {indexing_maps = [#id, #id],
                           iterator_types = ["parallel", "parallel"]}
          ins(%x : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) {
      ^bb0(%in: f32, %out: f32):
        %zero = arith.constant 0.0 : f32
        %max = arith.maximumf %in, %zero : f32
        linalg.yield %max : f32
      } -> tensor<?x4xf32>
      return %0 : tensor<?x4xf32>
    }
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
    "::nibble::NibbleDialect"
  ];
  let statistics = [
    Statistic<"numLowered", "operators-lowered", "Operators lowered to linalg">
  ];
}

#endif // NIBBLE_CONVERSION_ONNXTOLINALG_PASSES
