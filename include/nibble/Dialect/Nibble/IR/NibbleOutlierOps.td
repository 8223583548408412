//===- NibbleOutlierOps.td - Columns that stay wide -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLM.int8 (Dettmers et al., arXiv:2208.07339): the few columns of the
// activations that hold large values are multiplied in float32, all others in 8
// bits. Which columns these are is found at run time.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_NIBBLEOUTLIEROPS_TD
#define NIBBLE_DIALECT_NIBBLE_IR_NIBBLEOUTLIEROPS_TD

include "nibble/Dialect/Nibble/IR/NibbleOpBase.td"

class Nibble_OutlierOp<string mnemonic>
    : Nibble_Op<mnemonic, [AttrSizedOperandSegments,
        DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let hasVerifier = 1;
}

def Nibble_QuantizeOutliersOp : Nibble_OutlierOp<"quantize_outliers"> {
  let summary = "floats to 8-bit codes, without the columns of large values";
  let description = [{
    The input is seen as rows of K. A column with an element of at least
    `threshold` in magnitude is an outlier; with the threshold 0 there are none.
    Each row has the scale `absmax / 127` of its elements that are below the
    threshold, those in outlier columns too. Codes are unsigned, for a product
    with `unsigned_input` and the zero point 128:
    `round_half_to_even(x * ((1 / absmax) * 127)) + 128`, and 128 in outlier
    columns.

    `columns` starts with the outlier columns, in order; there are `count` of
    them, and what follows them is not defined.

    The operation exists on tensors, with results, and on memrefs, with `outs`.

    Example:
    ```mlir
    func.func @tokens(%x: tensor<?x128xf32>) -> (tensor<?x128xi8>, tensor<?xf32>, tensor<128xi32>, tensor<1xi32>) {
      %codes, %scales, %columns, %count = nibble.quantize_outliers %x {threshold = 6.0 : f32}
        : (tensor<?x128xf32>) -> (tensor<?x128xi8>, tensor<?xf32>, tensor<128xi32>, tensor<1xi32>)
      return %codes, %scales, %columns, %count : tensor<?x128xi8>, tensor<?xf32>, tensor<128xi32>, tensor<1xi32>
    }
    ```
  }];
  let arguments = (ins Nibble_TensorOrMemRef:$input, Optional<AnyMemRef>:$codes_out,
    Optional<AnyMemRef>:$scales_out, Optional<AnyMemRef>:$columns_out,
    Optional<AnyMemRef>:$count_out, F32Attr:$threshold);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let assemblyFormat = [{
    $input (`outs` `(` $codes_out^ `,` $scales_out `,` $columns_out `,` $count_out `)`)?
    attr-dict `:` functional-type(operands, results)
  }];
}

def Nibble_MatMulOutliersOp : Nibble_OutlierOp<"matmul_outliers"> {
  let summary = "product of a few columns of activations and 8-bit weights";
  let description = [{
    `y[..., n] = residual[..., n] + sum_k x[..., k] * w[n, k] * scales[n]`, where
    k runs over the first `count` elements of `columns`. The weight is that of the
    `nibble.matmul_integer` which multiplies the other columns and takes `y` as
    its residual: codes `[K, N]`, `[N, K]` with `transpose_weight`, or in the
    order of the kernels with `packed`; they are two's complement.

    The operation exists on tensors, with a result, and on memrefs, with `outs`.

    Example:
    ```mlir
    func.func @fc(%x: tensor<?x128xf32>, %columns: tensor<128xi32>, %count: tensor<1xi32>,
                  %w: tensor<128x64xi8>, %scales: tensor<64xf32>) -> tensor<?x64xf32> {
      %y = nibble.matmul_outliers %x, %columns, %count weight(%w scales %scales)
        {n = 64 : i64, k = 128 : i64, layers = ["fc1"]}
        : (tensor<?x128xf32>, tensor<128xi32>, tensor<1xi32>, tensor<128x64xi8>, tensor<64xf32>) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Nibble_TensorOrMemRef:$input, Nibble_TensorOrMemRef:$columns,
    Nibble_TensorOrMemRef:$count, Nibble_TensorOrMemRef:$weight,
    Nibble_TensorOrMemRef:$weight_scales, Optional<Nibble_TensorOrMemRef>:$residual,
    Optional<AnyMemRef>:$outs, I64Attr:$n, I64Attr:$k, UnitAttr:$transpose_weight,
    UnitAttr:$packed, DefaultValuedAttr<StrArrayAttr, "{}">:$layers);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = [{
    $input `,` $columns `,` $count `weight` `(` $weight `scales` $weight_scales `)`
    (`residual` `(` $residual^ `)`)? (`outs` `(` $outs^ `)`)?
    attr-dict `:` functional-type(operands, results)
  }];
}

#endif // NIBBLE_DIALECT_NIBBLE_IR_NIBBLEOUTLIEROPS_TD
