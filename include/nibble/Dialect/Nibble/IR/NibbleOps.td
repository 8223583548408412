//===- NibbleOps.td - Operations on quantized tensors -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_NIBBLEOPS_TD
#define NIBBLE_DIALECT_NIBBLE_IR_NIBBLEOPS_TD

include "nibble/Dialect/Nibble/IR/NibbleAttentionOps.td"
include "nibble/Dialect/Nibble/IR/NibbleCacheOps.td"
include "nibble/Dialect/Nibble/IR/NibbleIntegerOps.td"
include "nibble/Dialect/Nibble/IR/NibbleInterfaces.td"
include "nibble/Dialect/Nibble/IR/NibbleOpBase.td"
include "nibble/Dialect/Nibble/IR/NibbleOutlierOps.td"

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

def Nibble_ConstantOp : Nibble_Op<"constant", [ConstantLike, Pure,
    AllTypesMatch<["value", "result"]>]> {
  let summary = "a constant tensor, usually a weight";
  let description = [{
    The value may be of any size: `#nibble.mapped` and resources are references.
    `onnx.name`, where present, is the name of the initializer.

    Example:
    ```mlir
    func.func @weight() -> tensor<8x8xf32> {
      %w = nibble.constant {onnx.name = "fc.weight"} #nibble.mapped<"m.onnx", 64, 256, 0x0> : tensor<8x8xf32>
      return %w : tensor<8x8xf32>
    }
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
  let builders = [OpBuilder<(ins "::mlir::ElementsAttr":$value), [{
    build($_builder, $_state, value.getShapedType(), value);
  }]>];
  let extraClassDeclaration = [{
    /// The name of the initializer, or an empty string.
    ::llvm::StringRef getName();
  }];
}

def Nibble_WeightOp : Nibble_Op<"weight", [Pure]> {
  let summary = "a constant in the weights of the compiled model";
  let description = [{
    The form of `nibble.constant` after bufferization. `nibble-place-weights`
    gives it an offset in the one block of weights and makes it a view.

    Example:
    ```mlir
    func.func @weight() -> memref<8x8xf32> {
      %w = nibble.weight #nibble.mapped<"m.onnx", 64, 256, 0x0> : tensor<8x8xf32> -> memref<8x8xf32>
      return %w : memref<8x8xf32>
    }
    ```
  }];
  let arguments = (ins AnyAttr:$value);
  let results = (outs AnyStaticShapeMemRef:$result);
  let assemblyFormat = "attr-dict $value `->` type($result)";
}

//===----------------------------------------------------------------------===//
// Quantize and dequantize
//===----------------------------------------------------------------------===//

def Nibble_QuantizeOp : Nibble_Op<"quantize", [Pure]> {
  let summary = "float values to codes, with ONNX's rounding";
  let description = [{
    `code = saturate(round_half_to_even(x / scale) + zero)`, where saturation
    happens in float, before the conversion to an integer, so that no value of
    `x` overflows. The scheme's packing is `plain`: codes have the shape of the
    input. With `group = 0` scale and zero have one element, with -1 one for each
    index of dimension `axis`, with N > 0 one for each run of N along `axis`.

    | x (scale 1, zero 0) | 0.6 | 1.5 | -0.9 | 2.5 | 200 | -300 |
    |---|---|---|---|---|---|---|
    | code (i8) | 1 | 2 | -1 | 2 | 127 | -128 |

    Example:
    ```mlir
    #s = #nibble.scheme<int8, group = 0, scale = f32, zero = integer, packing = plain>
    func.func @quantize(%x: tensor<4x8xf32>, %scale: tensor<f32>, %zero: tensor<i8>) -> tensor<4x8xi8> {
      %q = nibble.quantize %x, %scale, %zero {scheme = #s}
        : (tensor<4x8xf32>, tensor<f32>, tensor<i8>) -> tensor<4x8xi8>
      return %q : tensor<4x8xi8>
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$scale,
    Optional<AnyRankedTensor>:$zero,
    DefaultValuedAttr<I64Attr, "1">:$axis, Nibble_SchemeAttr:$scheme,
    UnitAttr:$unsigned_codes);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Nibble_DequantizeOp : Nibble_Op<"dequantize", [Pure, AttrSizedOperandSegments]> {
  let summary = "codes, scales and zero points to float values";
  let description = [{
    The reference meaning of a scheme: `scale * (value(code) - zero)`, or
    `scale * value(code) + zero` for `zero = minimum`.

    With `packing = rows` the result is the weight in its logical shape; seen as
    N rows of K it is dimension 0 by the product of the others or, with
    `transpose`, the last dimension by the product of those before it. Scales
    and zeros are `tensor<N x G>`, G the number of groups in a row. With
    `packing = plain` codes have the shape of the result and `axis` says where
    the scales run, as in `nibble.quantize`.

    If the scheme has a second level, scales (and float zeros) are codes `i8`
    and `second` is what makes values of them: see `#nibble.scheme`.

    Example:
    ```mlir
    #w4 = #nibble.scheme<int4, group = 32, scale = f16, zero = integer, packing = rows>
    func.func @dequantize(%codes: tensor<8x32xi8>, %scales: tensor<8x2xf16>, %zeros: tensor<8x2xi8>) -> tensor<8x64xf32> {
      %w = nibble.dequantize %codes, %scales zeros %zeros {scheme = #w4}
        : (tensor<8x32xi8>, tensor<8x2xf16>, tensor<8x2xi8>) -> tensor<8x64xf32>
      return %w : tensor<8x64xf32>
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$codes, AnyRankedTensor:$scales,
    Optional<AnyRankedTensor>:$zeros, Optional<AnyRankedTensor>:$group_index,
    Optional<AnyRankedTensor>:$second, Nibble_SchemeAttr:$scheme, DefaultValuedAttr<I64Attr, "1">:$axis,
    UnitAttr:$transpose, UnitAttr:$unsigned_codes);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $codes `,` $scales (`zeros` $zeros^)? (`group_index` $group_index^)?
    (`second` $second^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// The fused family
//===----------------------------------------------------------------------===//

class Nibble_FusedOp<string mnemonic, list<Trait> traits = []>
    : Nibble_Op<mnemonic, traits # [AttrSizedOperandSegments,
        DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>,
        DeclareOpInterfaceMethods<QuantizableOpInterface>]> {
  let results = (outs Optional<AnyRankedTensor>:$result);
  let hasVerifier = 1;
}

def Nibble_MatMulOp : Nibble_FusedOp<"matmul"> {
  let summary = "activations times a constant weight";
  let description = [{
    `y[..., n] = act(sum_k x[..., k] * w[n, k] + bias[n] + residual[..., n])`.

    A float weight is `[K, N]`, or `[N, K]` with `transpose_weight`. With a
    `scheme` the weight operand holds codes and `scales`, `zeros`, `group_index`
    and `second` belong to it; the product is computed from the codes, a float
    copy of the weight never exists. `n` and `k` are the logical sizes. A float
    weight in panels, `[ceil(N/32), K, 32]`, has the mark `packed_float`.

    The operation exists on tensors, with a result, and on memrefs, with `outs`.

    Example:
    ```mlir
    #w4 = #nibble.scheme<int4, group = 32, scale = f16, packing = rows>
    func.func @fc(%x: tensor<?x128xf32>, %codes: tensor<64x64xi8>, %scales: tensor<64x4xf16>,
                  %b: tensor<64xf32>) -> tensor<?x64xf32> {
      %y = nibble.matmul %x weight(%codes, %scales) bias(%b)
        {n = 64 : i64, k = 128 : i64, activation = #nibble.activation<relu>, layers = ["fc1"], scheme = #w4}
        : (tensor<?x128xf32>, tensor<64x64xi8>, tensor<64x4xf16>, tensor<64xf32>) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Nibble_TensorOrMemRef:$input, Nibble_TensorOrMemRef:$weight,
    Optional<Nibble_TensorOrMemRef>:$scales, Optional<Nibble_TensorOrMemRef>:$zeros,
    Optional<Nibble_TensorOrMemRef>:$group_index, Optional<Nibble_TensorOrMemRef>:$second,
    Optional<Nibble_TensorOrMemRef>:$bias, Optional<Nibble_TensorOrMemRef>:$residual,
    Optional<AnyMemRef>:$outs,
    I64Attr:$n, I64Attr:$k, UnitAttr:$transpose_weight, UnitAttr:$packed_float,
    OptionalAttr<Nibble_SchemeAttr>:$scheme,
    OptionalAttr<Nibble_ActivationAttr>:$activation,
    DefaultValuedAttr<StrArrayAttr, "{}">:$layers);
  let assemblyFormat = [{
    $input `weight` `(` $weight (`,` $scales^)? (`zeros` $zeros^)? (`group_index` $group_index^)?
      (`second` $second^)? `)`
    (`bias` `(` $bias^ `)`)? (`residual` `(` $residual^ `)`)? (`outs` `(` $outs^ `)`)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def Nibble_ConvOp : Nibble_FusedOp<"conv"> {
  let summary = "convolution with a constant weight";
  let description = [{
    Convolution of `[N, C, D1, ..., Dr]` with a weight of logical shape
    `weight_shape` = `[M, C/group, k1, ..., kr]`, as ONNX `Conv` defines it, then
    bias, residual and activation. `pads` holds the begins, then the ends.

    Seen as rows, the weight is M by the product of its other dimensions. A
    float weight in panels of that view has the mark `packed_float`.

    Example:
    ```mlir
    func.func @conv(%x: tensor<?x3x32x32xf32>, %w: tensor<16x3x3x3xf32>, %b: tensor<16xf32>)
        -> tensor<?x16x32x32xf32> {
      %y = nibble.conv %x weight(%w) bias(%b)
        {weight_shape = array<i64: 16, 3, 3, 3>, strides = array<i64: 1, 1>,
         dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, layers = ["conv1"]}
        : (tensor<?x3x32x32xf32>, tensor<16x3x3x3xf32>, tensor<16xf32>) -> tensor<?x16x32x32xf32>
      return %y : tensor<?x16x32x32xf32>
    }
    ```
  }];
  let arguments = (ins Nibble_TensorOrMemRef:$input, Nibble_TensorOrMemRef:$weight,
    Optional<Nibble_TensorOrMemRef>:$scales, Optional<Nibble_TensorOrMemRef>:$zeros,
    Optional<Nibble_TensorOrMemRef>:$group_index, Optional<Nibble_TensorOrMemRef>:$second,
    Optional<Nibble_TensorOrMemRef>:$bias, Optional<Nibble_TensorOrMemRef>:$residual,
    Optional<AnyMemRef>:$outs,
    DenseI64ArrayAttr:$weight_shape, DenseI64ArrayAttr:$strides,
    DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads,
    DefaultValuedAttr<I64Attr, "1">:$group, UnitAttr:$packed_float,
    OptionalAttr<Nibble_SchemeAttr>:$scheme,
    OptionalAttr<Nibble_ActivationAttr>:$activation,
    DefaultValuedAttr<StrArrayAttr, "{}">:$layers);
  let assemblyFormat = [{
    $input `weight` `(` $weight (`,` $scales^)? (`zeros` $zeros^)? (`group_index` $group_index^)?
      (`second` $second^)? `)`
    (`bias` `(` $bias^ `)`)? (`residual` `(` $residual^ `)`)? (`outs` `(` $outs^ `)`)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def Nibble_GatherOp : Nibble_FusedOp<"gather"> {
  let summary = "rows of a constant table, by index";
  let description = [{
    `y[i..., :] = table[indices[i...], :]`: an embedding. Negative indices count
    from the end; an index outside of the table is an error at run time. `rows`
    and `width` are the logical sizes of the table. It is in rows, or, if a
    product reads the same weight, in panels; a float table in panels has three
    dimensions, `[panels, width, 32]`.

    Example:
    ```mlir
    #w8 = #nibble.scheme<int8, group = -1, scale = f16, packing = rows>
    func.func @embed(%ids: tensor<?x?xi64>, %codes: tensor<512x64xi8>, %scales: tensor<512x1xf16>)
        -> tensor<?x?x64xf32> {
      %y = nibble.gather %ids weight(%codes, %scales)
        {rows = 512 : i64, width = 64 : i64, layers = ["embed"], scheme = #w8}
        : (tensor<?x?xi64>, tensor<512x64xi8>, tensor<512x1xf16>) -> tensor<?x?x64xf32>
      return %y : tensor<?x?x64xf32>
    }
    ```
  }];
  let arguments = (ins Nibble_TensorOrMemRef:$indices, Nibble_TensorOrMemRef:$weight,
    Optional<Nibble_TensorOrMemRef>:$scales, Optional<Nibble_TensorOrMemRef>:$zeros,
    Optional<Nibble_TensorOrMemRef>:$group_index, Optional<Nibble_TensorOrMemRef>:$second,
    Optional<AnyMemRef>:$outs,
    I64Attr:$rows, I64Attr:$width, OptionalAttr<Nibble_SchemeAttr>:$scheme,
    DefaultValuedAttr<StrArrayAttr, "{}">:$layers);
  let assemblyFormat = [{
    $indices `weight` `(` $weight (`,` $scales^)? (`zeros` $zeros^)? (`group_index` $group_index^)?
      (`second` $second^)? `)`
    (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Observation
//===----------------------------------------------------------------------===//

def Nibble_ObserveOp : Nibble_Op<"observe",
    [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "shows a value to whoever calibrates";
  let description = [{
    At run time the value goes to the observer of the context, under the number
    `id`. Nothing is returned; the operation has a side effect, so that it stays
    and keeps its place among others.

    Example:
    ```mlir
    func.func @seen(%x: tensor<?x8xf32>) {
      nibble.observe %x {id = 3 : i64, onnx.name = "fc1"} : tensor<?x8xf32>
      return
    }
    ```
  }];
  let arguments = (ins Nibble_TensorOrMemRef:$input, I64Attr:$id);
  let assemblyFormat = "$input attr-dict `:` type($input)";
  let hasVerifier = 1;
}

#endif // NIBBLE_DIALECT_NIBBLE_IR_NIBBLEOPS_TD
