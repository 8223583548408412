//===- NibbleIntegerOps.td - Products of 8-bit codes -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_NIBBLEINTEGEROPS_TD
#define NIBBLE_DIALECT_NIBBLE_IR_NIBBLEINTEGEROPS_TD

include "nibble/Dialect/Nibble/IR/NibbleOpBase.td"

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// The operands and attributes that both products have, and the way they are
/// written.
class Nibble_IntegerProductOp<string mnemonic>
    : Nibble_Op<mnemonic, [AttrSizedOperandSegments,
        DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  dag commonOperands = (ins Nibble_TensorOrMemRef:$input, Nibble_TensorOrMemRef:$weight,
    Optional<Nibble_TensorOrMemRef>:$weight_zeros,
    Optional<Nibble_TensorOrMemRef>:$weight_sums,
    Optional<Nibble_TensorOrMemRef>:$weight_scales,
    Optional<Nibble_TensorOrMemRef>:$input_zero,
    Optional<Nibble_TensorOrMemRef>:$input_scale,
    Optional<Nibble_TensorOrMemRef>:$bias,
    Optional<Nibble_TensorOrMemRef>:$residual,
    Optional<Nibble_TensorOrMemRef>:$output_scale,
    Optional<Nibble_TensorOrMemRef>:$output_zero,
    Optional<AnyMemRef>:$outs);
  dag commonAttributes = (ins UnitAttr:$unsigned_input, UnitAttr:$unsigned_weight,
    UnitAttr:$unsigned_output, UnitAttr:$packed,
    OptionalAttr<Nibble_ActivationAttr>:$activation,
    DefaultValuedAttr<StrArrayAttr, "{}">:$layers);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = [{
    $input `weight` `(` $weight (`zeros` $weight_zeros^)? (`sums` $weight_sums^)?
      (`scales` $weight_scales^)? `)`
    (`input_zero` `(` $input_zero^ `)`)? (`input_scale` `(` $input_scale^ `)`)?
    (`bias` `(` $bias^ `)`)? (`residual` `(` $residual^ `)`)?
    (`output_scale` `(` $output_scale^ `)`)? (`output_zero` `(` $output_zero^ `)`)?
    (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

def Nibble_MatMulIntegerOp : Nibble_IntegerProductOp<"matmul_integer"> {
  let summary = "product of 8-bit activations and 8-bit weights";
  let description = [{
    The sum of products is exact, in 32 bits that wrap around:

    `acc[r, n] = sum_k (x[r, k] - input_zero[r]) * (w[n, k] - weight_zeros[n]) + bias[n]`

    Codes are `i8`; they are unsigned with `unsigned_input` and
    `unsigned_weight`. The type of the result says what follows the sum:

    | result | value |
    |---|---|
    | `i32` | `acc` |
    | `f32` | `y = act(acc * input_scale[r] * weight_scales[n] + bias[n] + residual[r, n])` |
    | `i8` | `saturate(round_half_to_even(y / output_scale) + output_zero)`, unsigned with `unsigned_output` |

    A `bias` of `i32` is added before the scales, one of `f32` after them. All
    operands but the codes may be absent: scales are 1 then, zeros 0.
    `input_zero` and `input_scale` have one element, or one for each row of the
    input (its shape without the last dimension). `weight_zeros` and
    `weight_scales` have one element or `n`. `output_scale` and `output_zero`
    have one element.

    The weight is `[K, N]`, or `[N, K]` with `transpose_weight`; it need not be
    constant. With more dimensions the first ones are those of the input, and
    each matrix of the input has one of its own. With `packed` it is in the order
    of the kernels, and `weight_sums` has `sum_k (w[n, k] - weight_zeros[n])`;
    `nibble-pack-weights` does that to constants.

    The operation exists on tensors, with a result, and on memrefs, with `outs`.

    Example:
    ```mlir
    func.func @fc(%x: tensor<?x128xi8>, %w: tensor<128x64xi8>, %scale: tensor<?xf32>,
                  %scales: tensor<64xf32>, %b: tensor<64xf32>) -> tensor<?x64xf32> {
      %y = nibble.matmul_integer %x weight(%w scales %scales) input_scale(%scale) bias(%b)
        {n = 64 : i64, k = 128 : i64, activation = #nibble.activation<relu>, layers = ["fc1"]}
        : (tensor<?x128xi8>, tensor<128x64xi8>, tensor<64xf32>, tensor<?xf32>, tensor<64xf32>) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = !con(commonOperands, (ins I64Attr:$n, I64Attr:$k,
    UnitAttr:$transpose_weight), commonAttributes);
}

def Nibble_ConvIntegerOp : Nibble_IntegerProductOp<"conv_integer"> {
  let summary = "convolution of 8-bit activations and 8-bit weights";
  let description = [{
    Convolution of codes `[N, C, D1, ..., Dr]` with a weight of codes
    `weight_shape` = `[M, C/group, k1, ..., kr]`. Zero points, scales, bias,
    residual, activation and the types of the result are those of
    `nibble.matmul_integer`; `input_zero` and `input_scale` have one element, or
    one for each of the N samples. Padding adds nothing to the sum: it stands
    for codes that are equal to `input_zero`.

    With `packed` the weight is in the order of the kernels, as M rows of the
    product of its other dimensions.

    Example:
    ```mlir
    func.func @conv(%x: tensor<?x3x32x32xi8>, %w: tensor<16x3x3x3xi8>, %zero: tensor<i8>,
                    %b: tensor<16xi32>, %scale: tensor<f32>, %scales: tensor<16xf32>,
                    %yscale: tensor<f32>, %yzero: tensor<i8>) -> tensor<?x16x32x32xi8> {
      %y = nibble.conv_integer %x weight(%w scales %scales) input_zero(%zero) input_scale(%scale)
        bias(%b) output_scale(%yscale) output_zero(%yzero)
        {weight_shape = array<i64: 16, 3, 3, 3>, strides = array<i64: 1, 1>,
         dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>,
         unsigned_input, unsigned_output, layers = ["conv1"]}
        : (tensor<?x3x32x32xi8>, tensor<16x3x3x3xi8>, tensor<16xf32>, tensor<i8>, tensor<f32>,
           tensor<16xi32>, tensor<f32>, tensor<i8>) -> tensor<?x16x32x32xi8>
      return %y : tensor<?x16x32x32xi8>
    }
    ```
  }];
  let arguments = !con(commonOperands, (ins DenseI64ArrayAttr:$weight_shape,
    DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
    DenseI64ArrayAttr:$pads, DefaultValuedAttr<I64Attr, "1">:$group), commonAttributes);
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

def Nibble_QuantizeDynamicOp : Nibble_Op<"quantize_dynamic", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "floats to 8-bit codes with ranges that are found at run time";
  let description = [{
    The first `row_rank` dimensions index rows: tokens, or the samples of a
    convolution. Each row gets a scale and a zero point of its own, by the
    formulae of ONNX's DynamicQuantizeLinear:

    `low = min(x, 0)`, `high = max(x, 0)`, `scale = (high - low) / 255`,
    `zero = round_half_to_even(-low / scale)`,
    `code = clamp(round_half_to_even(x / scale) + zero, 0, 255)`

    A row of zeros has the scale 2^-23. Codes and zero points are unsigned, for a
    product with `unsigned_input`.

    The operation exists on tensors, with results, and on memrefs, with `outs`.

    Example:
    ```mlir
    func.func @tokens(%x: tensor<?x128xf32>) -> (tensor<?x128xi8>, tensor<?xf32>, tensor<?xi8>) {
      %codes, %scales, %zeros = nibble.quantize_dynamic %x {row_rank = 1 : i64}
        : (tensor<?x128xf32>) -> (tensor<?x128xi8>, tensor<?xf32>, tensor<?xi8>)
      return %codes, %scales, %zeros : tensor<?x128xi8>, tensor<?xf32>, tensor<?xi8>
    }
    ```
  }];
  let arguments = (ins Nibble_TensorOrMemRef:$input, Optional<AnyMemRef>:$codes_out,
    Optional<AnyMemRef>:$scales_out, Optional<AnyMemRef>:$zeros_out, I64Attr:$row_rank);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let assemblyFormat = [{
    $input (`outs` `(` $codes_out^ `,` $scales_out `,` $zeros_out `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // NIBBLE_DIALECT_NIBBLE_IR_NIBBLEINTEGEROPS_TD
