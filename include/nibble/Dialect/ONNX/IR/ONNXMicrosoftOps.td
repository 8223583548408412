//===- ONNXMicrosoftOps.td - Operators of com.microsoft ----*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Operators of ONNX Runtime's domain com.microsoft, version 1, as its operator
// documentation (ContribOperators.md) defines them. All but those with packed
// weights are sequences of standard operators, which the pass
// `onnx-decompose-microsoft` makes of them.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXMICROSOFTOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXMICROSOFTOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

def ONNX_OptByte : ONNX_Opt<ONNX_Byte>;
def ONNX_OptFloat : ONNX_Opt<ONNX_Float>;

//===----------------------------------------------------------------------===//
// Packed weights
//===----------------------------------------------------------------------===//

def ONNX_MicrosoftMatMulNBitsOp
    : ONNX_MicrosoftOp<"MatMulNBits", "A.A...:A"> {
  let summary = "matrix product with a weight of 2 to 8 bits in blocks";
  let description = [{
    `Y = A * dequantize(B)' + bias`, where B holds N rows of K codes in blocks of
    `block_size`, `ui8 [N, ceil(K / block_size), block_size * bits / 8]`, the
    first code of a byte in the low bits. There is a scale for each row and
    block; `zero_points` are packed like codes, `[N, ceil(blocks * bits / 8)]`,
    or, in the type of the scales, `[N, blocks]`; absent they are 2^(bits-1).
    `g_idx` gives the block of each of the K inputs.

    ```mlir
    %y = onnx.microsoft.MatMulNBits(%a, %b, %s, %none, %none, %none) {K = 64 : i64, N = 32 : i64, block_size = 32 : i64} : (tensor<2x64xf32>, tensor<32x2x16xui8>, tensor<64xf32>, none, none, none) -> tensor<2x32xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$A, ONNX_U8:$B, ONNX_Float:$scales,
                       ONNX_Opt<ONNX_Quant>:$zero_points,
                       ONNX_Opt<ONNX_I32>:$g_idx, ONNX_OptFloat:$bias,
                       ONNX_I64Attr:$K, ONNX_I64Attr:$N,
                       ONNX_I64Attr:$block_size, ONNX_Int<4>:$bits,
                       ONNX_Int<0>:$accuracy_level,
                       ONNX_Int<0>:$weight_prepacked);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

def ONNX_MicrosoftMatMulBnb4Op
    : ONNX_MicrosoftOp<"MatMulBnb4", "A.A:A"> {
  let summary = "matrix product with an NF4 or FP4 weight of bitsandbytes";
  let description = [{
    `Y = A * dequantize(B)'`, where B holds N rows of K codes of four bits, one
    row after another, the first code of a byte in the high bits:
    `ui8 [ceil(N * K / 2)]`. Blocks of `block_size` codes, which do not stop at
    the ends of rows, share an element of `absmax`. `quant_type` is 0 for FP4, 1
    for NF4. `transB = 0`, which is for gradients, multiplies with `dequantize(B)`
    instead.

    ```mlir
    %y = onnx.microsoft.MatMulBnb4(%a, %b, %s) {K = 64 : i64, N = 32 : i64, block_size = 32 : i64, quant_type = 1 : i64} : (tensor<2x64xf32>, tensor<1024xui8>, tensor<64xf32>) -> tensor<2x32xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$A, ONNX_U8:$B, ONNX_Float:$absmax,
                       ONNX_I64Attr:$K, ONNX_I64Attr:$N,
                       ONNX_I64Attr:$block_size, ONNX_I64Attr:$quant_type,
                       ONNX_Int<0>:$training_mode, ONNX_Int<1>:$transB);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

def ONNX_MicrosoftGatherBlockQuantizedOp
    : ONNX_MicrosoftOp<"GatherBlockQuantized", "..A.:A"> {
  let summary = "rows of a table of codes in blocks, dequantized";
  let description = [{
    `onnx.Gather` along `gather_axis` from data that is quantized in blocks of
    `block_size` along `quantize_axis`; ui8 data holds two codes a byte along its
    last axis when `bits` is 4.

    ```mlir
    %y = onnx.microsoft.GatherBlockQuantized(%d, %i, %s, %none) {block_size = 16 : i64} : (tensor<8x32xui4>, tensor<3xi64>, tensor<8x2xf32>, none) -> tensor<3x32xf32>
    ```
  }];
  let arguments = (ins ONNX_Quant:$data, ONNX_Index:$indices,
                       ONNX_Float:$scales, ONNX_Opt<ONNX_Quant>:$zero_points,
                       ONNX_Int<4>:$bits, ONNX_Int<128>:$block_size,
                       ONNX_Int<0>:$gather_axis, ONNX_Int<1>:$quantize_axis);
  let results = (outs ONNX_Float:$output);
}

//===----------------------------------------------------------------------===//
// Conversion
//===----------------------------------------------------------------------===//

def ONNX_MicrosoftQuantizeLinearOp
    : ONNX_MicrosoftOp<"QuantizeLinear", "..Z:."> {
  let summary = "quantization, before opset 21 had all types";
  let description = [{
    `onnx.QuantizeLinear` with scales per tensor, or per index of `axis`.

    ```mlir
    %q = onnx.microsoft.QuantizeLinear(%x, %s, %z) : (tensor<2x3xf32>, tensor<f32>, tensor<ui16>) -> tensor<2x3xui16>
    ```
  }];
  let arguments = (ins ONNX_Float:$x, ONNX_Float:$y_scale,
                       ONNX_Opt<ONNX_Quant>:$y_zero_point, ONNX_OptInt:$axis);
  let results = (outs ONNX_Quant:$y);
}

def ONNX_MicrosoftDequantizeLinearOp
    : ONNX_MicrosoftOp<"DequantizeLinear", "TST:S", "SameShape"> {
  let summary = "dequantization, before opset 21 had all types";
  let description = [{
    `onnx.DequantizeLinear` with scales per tensor, or per index of `axis`.

    ```mlir
    %x = onnx.microsoft.DequantizeLinear(%q, %s, %z) : (tensor<2x3xui16>, tensor<f32>, tensor<ui16>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Quant:$x, ONNX_Float:$x_scale,
                       ONNX_Opt<ONNX_Quant>:$x_zero_point, ONNX_OptInt:$axis);
  let results = (outs ONNX_Float:$y);
}

//===----------------------------------------------------------------------===//
// Bytes in, bytes out
//===----------------------------------------------------------------------===//

/// Operands of a function of one tensor of bytes.
class ONNX_MicrosoftUnary<string name, string inferWith = "SameShape",
                          string types = "A.A.A:A">
    : ONNX_MicrosoftOp<name, types, inferWith> {
  let results = (outs ONNX_Byte:$Y);
}

def ONNX_MicrosoftQLinearSigmoidOp : ONNX_MicrosoftUnary<"QLinearSigmoid"> {
  let summary = "sigmoid of bytes";
  let description = [{
    Dequantizes, applies `onnx.Sigmoid`, quantizes.

    ```mlir
    %y = onnx.microsoft.QLinearSigmoid(%x, %xs, %xz, %ys, %yz) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
    ```
  }];
  let arguments = (ins ONNX_Byte:$X, ONNX_F32:$X_scale,
                       ONNX_OptByte:$X_zero_point, ONNX_F32:$Y_scale,
                       ONNX_OptByte:$Y_zero_point);
}

def ONNX_MicrosoftQLinearLeakyReluOp : ONNX_MicrosoftUnary<"QLinearLeakyRelu"> {
  let summary = "leaky rectifier of bytes";
  let description = [{
    Dequantizes, applies `onnx.LeakyRelu`, quantizes.

    ```mlir
    %y = onnx.microsoft.QLinearLeakyRelu(%x, %xs, %xz, %ys, %yz) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
    ```
  }];
  let arguments = (ins ONNX_Byte:$X, ONNX_F32:$X_scale,
                       ONNX_OptByte:$X_zero_point, ONNX_F32:$Y_scale,
                       ONNX_OptByte:$Y_zero_point, ONNX_Real<"0.01f">:$alpha);
}

def ONNX_MicrosoftQLinearSoftmaxOp : ONNX_MicrosoftUnary<"QLinearSoftmax"> {
  let summary = "softmax of bytes";
  let description = [{
    Dequantizes, applies `Softmax` as `opset` defines it, quantizes.

    ```mlir
    %y = onnx.microsoft.QLinearSoftmax(%x, %xs, %xz, %ys, %yz) {opset = 13 : i64} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
    ```
  }];
  let arguments = (ins ONNX_Byte:$X, ONNX_F32:$X_scale,
                       ONNX_OptByte:$X_zero_point, ONNX_F32:$Y_scale,
                       ONNX_OptByte:$Y_zero_point, ONNX_Int<-1>:$axis,
                       ONNX_I64Attr:$opset);
}

def ONNX_MicrosoftQLinearReduceMeanOp
    : ONNX_MicrosoftUnary<"QLinearReduceMean", ""> {
  let summary = "mean of bytes along axes";
  let description = [{
    Dequantizes, applies `onnx.ReduceMean` along `axes`, quantizes.

    ```mlir
    %y = onnx.microsoft.QLinearReduceMean(%x, %xs, %xz, %ys, %yz) {axes = array<i64: 1>, keepdims = 1 : i64} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x1xui8>
    ```
  }];
  let arguments = (ins ONNX_Byte:$X, ONNX_F32:$X_scale,
                       ONNX_OptByte:$X_zero_point, ONNX_F32:$Y_scale,
                       ONNX_OptByte:$Y_zero_point, ONNX_OptInts:$axes,
                       ONNX_Int<1>:$keepdims);
}

def ONNX_MicrosoftQLinearAveragePoolOp
    : ONNX_MicrosoftUnary<"QLinearAveragePool", ""> {
  let summary = "average of bytes in windows";
  let description = [{
    Dequantizes, applies `onnx.AveragePool`, quantizes. With `channels_last` the
    channels are the last dimension.

    ```mlir
    %y = onnx.microsoft.QLinearAveragePool(%x, %xs, %xz, %ys, %yz) {kernel_shape = array<i64: 2, 2>} : (tensor<1x3x8x8xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<1x3x7x7xui8>
    ```
  }];
  let arguments = (ins ONNX_Byte:$X, ONNX_F32:$X_scale,
                       ONNX_OptByte:$X_zero_point, ONNX_F32:$Y_scale,
                       ONNX_OptByte:$Y_zero_point,
                       ONNX_Str<"NOTSET">:$auto_pad, ONNX_Int<0>:$ceil_mode,
                       ONNX_Int<0>:$channels_last,
                       ONNX_Int<0>:$count_include_pad,
                       DenseI64ArrayAttr:$kernel_shape, ONNX_OptInts:$pads,
                       ONNX_OptInts:$strides);
}

def ONNX_MicrosoftQLinearGlobalAveragePoolOp
    : ONNX_MicrosoftUnary<"QLinearGlobalAveragePool", ""> {
  let summary = "average of bytes over all positions";
  let description = [{
    Dequantizes, applies `onnx.GlobalAveragePool`, quantizes. With
    `channels_last` the channels are the last dimension.

    ```mlir
    %y = onnx.microsoft.QLinearGlobalAveragePool(%x, %xs, %xz, %ys, %yz) : (tensor<1x3x8x8xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<1x3x1x1xui8>
    ```
  }];
  let arguments = (ins ONNX_Byte:$X, ONNX_F32:$X_scale,
                       ONNX_OptByte:$X_zero_point, ONNX_F32:$Y_scale,
                       ONNX_OptByte:$Y_zero_point,
                       ONNX_Int<0>:$channels_last);
}

/// Two tensors of bytes that broadcast.
class ONNX_MicrosoftBinary<string name> : ONNX_MicrosoftOp<name, "A.AA.A.A:A"> {
  let arguments = (ins ONNX_Byte:$A, ONNX_F32:$A_scale,
                       ONNX_OptByte:$A_zero_point, ONNX_Byte:$B,
                       ONNX_F32:$B_scale, ONNX_OptByte:$B_zero_point,
                       ONNX_F32:$C_scale, ONNX_OptByte:$C_zero_point);
  let results = (outs ONNX_Byte:$C);
}

def ONNX_MicrosoftQLinearAddOp : ONNX_MicrosoftBinary<"QLinearAdd"> {
  let summary = "sum of bytes";
  let description = [{
    Dequantizes both, applies `onnx.Add`, quantizes.

    ```mlir
    %c = onnx.microsoft.QLinearAdd(%a, %as, %az, %b, %bs, %bz, %cs, %cz) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
    ```
  }];
}

def ONNX_MicrosoftQLinearMulOp : ONNX_MicrosoftBinary<"QLinearMul"> {
  let summary = "product of bytes";
  let description = [{
    Dequantizes both, applies `onnx.Mul`, quantizes.

    ```mlir
    %c = onnx.microsoft.QLinearMul(%a, %as, %az, %b, %bs, %bz, %cs, %cz) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
    ```
  }];
}

def ONNX_MicrosoftQLinearConcatOp
    : ONNX_MicrosoftOp<"QLinearConcat", ".A.:A"> {
  let summary = "concatenation of bytes of different scales";
  let description = [{
    `inputs` are triples of a tensor, its scale and its zero point; they are
    joined along `axis` and quantized with the scale of Y.

    ```mlir
    %y = onnx.microsoft.QLinearConcat(%ys, %yz, %a, %as, %az, %b, %bs, %bz) {axis = 1 : i64} : (tensor<f32>, tensor<ui8>, tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<2x1xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x4xui8>
    ```
  }];
  let arguments = (ins ONNX_F32:$Y_scale, ONNX_Byte:$Y_zero_point,
                       Variadic<ONNX_Any>:$inputs, ONNX_I64Attr:$axis);
  let results = (outs ONNX_Byte:$Y);
  let hasVerifier = 1;
}

def ONNX_MicrosoftQLinearWhereOp
    : ONNX_MicrosoftOp<"QLinearWhere", "bA.AA.A.A:A"> {
  let summary = "choice between bytes of different scales";
  let description = [{
    Dequantizes X and Y, applies `onnx.Where`, quantizes.

    ```mlir
    %z = onnx.microsoft.QLinearWhere(%c, %x, %xs, %xz, %y, %ys, %yz, %zs, %zz) : (tensor<2x3xi1>, tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
    ```
  }];
  let arguments = (ins ONNX_Bool:$condition, ONNX_Byte:$X, ONNX_F32:$x_scale,
                       ONNX_Byte:$x_zero_point, ONNX_Byte:$Y,
                       ONNX_F32:$y_scale, ONNX_Byte:$y_zero_point,
                       ONNX_F32:$z_scale, ONNX_Byte:$z_zero_point);
  let results = (outs ONNX_Byte:$Z);
}

//===----------------------------------------------------------------------===//
// Products of bytes
//===----------------------------------------------------------------------===//

def ONNX_MicrosoftQLinearConvOp
    : ONNX_MicrosoftOp<"QLinearConv", "A.AB.B.C.:C"> {
  let summary = "quantized convolution with channels in either place";
  let description = [{
    `onnx.QLinearConv`; with `channels_last` the channels of x and y are the last
    dimension.

    ```mlir
    %y = onnx.microsoft.QLinearConv(%x, %xs, %xz, %w, %ws, %wz, %ys, %yz, %none) {channels_last = 1 : i64} : (tensor<1x8x8x3xui8>, tensor<f32>, tensor<ui8>, tensor<16x3x3x3xi8>, tensor<16xf32>, tensor<i8>, tensor<f32>, tensor<ui8>, none) -> tensor<1x6x6x16xui8>
    ```
  }];
  let arguments = (ins ONNX_Byte:$x, ONNX_F32:$x_scale,
                       ONNX_Byte:$x_zero_point, ONNX_Byte:$w,
                       ONNX_F32:$w_scale, ONNX_Byte:$w_zero_point,
                       ONNX_F32:$y_scale, ONNX_Byte:$y_zero_point,
                       ONNX_Opt<ONNX_I32>:$B, ONNX_Str<"NOTSET">:$auto_pad,
                       ONNX_Int<0>:$channels_last, ONNX_OptInts:$dilations,
                       ONNX_Int<1>:$group, ONNX_OptInts:$kernel_shape,
                       ONNX_OptInts:$pads, ONNX_OptInts:$strides);
  let results = (outs ONNX_Byte:$y);
}

def ONNX_MicrosoftQGemmOp : ONNX_MicrosoftOp<"QGemm", "A.AB.B..Y:."> {
  let summary = "quantized general matrix product";
  let description = [{
    `alpha * A' * B' + C` of the dequantized A and B; C is in units of
    alpha * a_scale * b_scale. Without `y_scale` the result is float.

    ```mlir
    %y = onnx.microsoft.QGemm(%a, %as, %az, %b, %bs, %bz, %none, %none, %none) {transB = 1 : i64} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<4x3xi8>, tensor<4xf32>, tensor<4xi8>, none, none, none) -> tensor<2x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Byte:$A, ONNX_F32:$a_scale, ONNX_Byte:$a_zero_point,
                       ONNX_Byte:$B, ONNX_F32:$b_scale, ONNX_Byte:$b_zero_point,
                       ONNX_Opt<ONNX_I32>:$C, ONNX_Opt<ONNX_F32>:$y_scale,
                       ONNX_OptByte:$y_zero_point, ONNX_Real<"1.0f">:$alpha,
                       ONNX_Int<0>:$transA, ONNX_Int<0>:$transB);
  let results = (outs ONNX_Quant:$Y);
}

def ONNX_MicrosoftMatMulIntegerToFloatOp
    : ONNX_MicrosoftOp<"MatMulIntegerToFloat", "ABSSABS:S"> {
  let summary = "matrix product of bytes as floats";
  let description = [{
    The matrix product of the dequantized A and B, plus a bias.

    ```mlir
    %y = onnx.microsoft.MatMulIntegerToFloat(%a, %b, %as, %bs, %none, %none, %none) : (tensor<2x3xui8>, tensor<3x4xi8>, tensor<f32>, tensor<4xf32>, none, none, none) -> tensor<2x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Byte:$A, ONNX_Byte:$B, ONNX_Float:$a_scale,
                       ONNX_Float:$b_scale, ONNX_OptByte:$a_zero_point,
                       ONNX_OptByte:$b_zero_point, ONNX_OptFloat:$bias);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_MicrosoftDynamicQuantizeMatMulOp
    : ONNX_MicrosoftOp<"DynamicQuantizeMatMul", "fBfBf:f"> {
  let summary = "matrix product of floats with bytes";
  let description = [{
    `onnx.DynamicQuantizeLinear` of A, times the dequantized B, plus a bias.

    ```mlir
    %y = onnx.microsoft.DynamicQuantizeMatMul(%a, %b, %bs, %none, %none) : (tensor<2x3xf32>, tensor<3x4xi8>, tensor<4xf32>, none, none) -> tensor<2x4xf32>
    ```
  }];
  let arguments = (ins ONNX_F32:$A, ONNX_Byte:$B, ONNX_F32:$b_scale,
                       ONNX_OptByte:$b_zero_point, ONNX_Opt<ONNX_F32>:$bias);
  let results = (outs ONNX_F32:$Y);
}

def ONNX_MicrosoftMatMulInteger16Op
    : ONNX_MicrosoftOp<"MatMulInteger16", "..:i"> {
  let summary = "matrix product of 16-bit integers";
  let description = [{
    The matrix product in 32 bits.

    ```mlir
    %y = onnx.microsoft.MatMulInteger16(%a, %b) : (tensor<2x3xi16>, tensor<3x4xi16>) -> tensor<2x4xi32>
    ```
  }];
  let arguments = (ins ONNX_Int:$A, ONNX_Int:$B);
  let results = (outs ONNX_I32:$Y);
}

def ONNX_MicrosoftMulIntegerOp : ONNX_MicrosoftOp<"MulInteger", "AAAA:i"> {
  let summary = "product of bytes as 32-bit integers";
  let description = [{
    `(A - A_zero_point) * (B - B_zero_point)`.

    ```mlir
    %c = onnx.microsoft.MulInteger(%a, %none, %b, %none) : (tensor<2x3xui8>, none, tensor<3xui8>, none) -> tensor<2x3xi32>
    ```
  }];
  let arguments = (ins ONNX_Byte:$A, ONNX_OptByte:$A_zero_point, ONNX_Byte:$B,
                       ONNX_OptByte:$B_zero_point);
  let results = (outs ONNX_I32:$C);
}

def ONNX_MicrosoftReduceSumIntegerOp
    : ONNX_MicrosoftOp<"ReduceSumInteger", ".:i"> {
  let summary = "sum of bytes along axes";
  let description = [{
    `onnx.ReduceSum` along `axes`, in 32 bits.

    ```mlir
    %y = onnx.microsoft.ReduceSumInteger(%x) {axes = array<i64: 1>, keepdims = 1 : i64} : (tensor<2x3xui8>) -> tensor<2x1xi32>
    ```
  }];
  let arguments = (ins ONNX_Byte:$data, DenseI64ArrayAttr:$axes,
                       ONNX_Int<1>:$keepdims);
  let results = (outs ONNX_I32:$reduced);
}

//===----------------------------------------------------------------------===//
// Fused operators on floats
//===----------------------------------------------------------------------===//

def ONNX_MicrosoftFusedConvOp : ONNX_MicrosoftOp<"FusedConv", "AAAA:A"> {
  let summary = "convolution, sum and activation";
  let description = [{
    `activation(onnx.Conv(X, W, B) + Z)`.

    ```mlir
    %y = onnx.microsoft.FusedConv(%x, %w, %none, %none) {activation = "Relu"} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none, none) -> tensor<1x4x6x6xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$W, ONNX_OptFloat:$B,
                       ONNX_OptFloat:$Z, ONNX_OptStr:$activation,
                       ONNX_OptReals:$activation_params,
                       ONNX_Str<"NOTSET">:$auto_pad, ONNX_OptInts:$dilations,
                       ONNX_Int<1>:$group, ONNX_OptInts:$kernel_shape,
                       ONNX_OptInts:$pads, ONNX_OptInts:$strides);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_MicrosoftFusedMatMulOp : ONNX_MicrosoftOp<"FusedMatMul", "AA:A"> {
  let summary = "scaled matrix product of transposed operands";
  let description = [{
    `alpha * A' * B'`, where the last two dimensions are swapped with transA
    (transB), and the first moves before the last with transBatchA
    (transBatchB).

    ```mlir
    %y = onnx.microsoft.FusedMatMul(%a, %b) {transB = 1 : i64} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$A, ONNX_Float:$B, ONNX_Real<"1.0f">:$alpha,
                       ONNX_Int<0>:$transA, ONNX_Int<0>:$transB,
                       ONNX_Int<0>:$transBatchA, ONNX_Int<0>:$transBatchB);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_MicrosoftTransposeMatMulOp
    : ONNX_MicrosoftOp<"TransposeMatMul", "AA:A"> {
  let summary = "older name of FusedMatMul";
  let description = [{
    `alpha * A' * B'`.

    ```mlir
    %y = onnx.microsoft.TransposeMatMul(%a, %b) {transB = 1 : i64} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$A, ONNX_Float:$B, ONNX_Real<"1.0f">:$alpha,
                       ONNX_Int<0>:$transA, ONNX_Int<0>:$transB);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_MicrosoftFusedGemmOp : ONNX_MicrosoftOp<"FusedGemm", "AAA:A"> {
  let summary = "general matrix product and activation";
  let description = [{
    `activation(onnx.Gemm(A, B, C))`.

    ```mlir
    %y = onnx.microsoft.FusedGemm(%a, %b, %none) {activation = "Relu"} : (tensor<2x3xf32>, tensor<3x4xf32>, none) -> tensor<2x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$A, ONNX_Float:$B, ONNX_OptFloat:$C,
                       ONNX_OptStr:$activation, ONNX_OptReal:$activation_alpha,
                       ONNX_OptReal:$activation_beta,
                       ONNX_OptReal:$activation_gamma,
                       ONNX_Real<"1.0f">:$alpha, ONNX_Real<"1.0f">:$beta,
                       ONNX_Int<0>:$transA, ONNX_Int<0>:$transB);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_MicrosoftGeluOp : ONNX_MicrosoftOp<"Gelu", "A:A", "SameShape"> {
  let summary = "gaussian error linear unit";
  let description = [{
    `onnx.Gelu` in its exact form.

    ```mlir
    %y = onnx.microsoft.Gelu(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_MicrosoftBiasGeluOp : ONNX_MicrosoftOp<"BiasGelu", "AA:A", "SameShape"> {
  let summary = "gaussian error linear unit of a sum";
  let description = [{
    `onnx.Gelu(A + B)` in its exact form, for B of one dimension.

    ```mlir
    %y = onnx.microsoft.BiasGelu(%a, %b) : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$A, ONNX_Float:$B);
  let results = (outs ONNX_Float:$C);
}

def ONNX_MicrosoftFastGeluOp : ONNX_MicrosoftOp<"FastGelu", "AA:A", "SameShape"> {
  let summary = "gaussian error linear unit of a sum, by tanh";
  let description = [{
    `onnx.Gelu(X + bias)` with `approximate = "tanh"`.

    ```mlir
    %y = onnx.microsoft.FastGelu(%x, %none) : (tensor<2x3xf32>, none) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_OptFloat:$bias);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_MicrosoftQuickGeluOp : ONNX_MicrosoftOp<"QuickGelu", "A:A", "SameShape"> {
  let summary = "x * sigmoid(alpha * x)";
  let description = [{
    `onnx.Swish` with another default of alpha.

    ```mlir
    %y = onnx.microsoft.QuickGelu(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Real<"1.702f">:$alpha);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_MicrosoftSkipLayerNormalizationOp
    : ONNX_MicrosoftOp<"SkipLayerNormalization", "AAAAA:AffA"> {
  let summary = "layer normalization of a sum";
  let description = [{
    `onnx.LayerNormalization` over the last dimension of input + skip + bias; the
    sum is a result too.

    ```mlir
    %y, %m, %v, %s = onnx.microsoft.SkipLayerNormalization(%x, %skip, %g, %none, %none) : (tensor<1x2x4xf32>, tensor<1x2x4xf32>, tensor<4xf32>, none, none) -> (tensor<1x2x4xf32>, none, none, none)
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_Float:$skip, ONNX_Float:$gamma,
                       ONNX_OptFloat:$beta, ONNX_OptFloat:$bias,
                       ONNX_Real<"1e-12f">:$epsilon);
  let results = (outs ONNX_Float:$output, ONNX_OptFloat:$mean,
                      ONNX_OptFloat:$inv_std_var,
                      ONNX_OptFloat:$input_skip_bias_sum);
}

def ONNX_MicrosoftSkipSimplifiedLayerNormalizationOp
    : ONNX_MicrosoftOp<"SkipSimplifiedLayerNormalization", "AAAA:AffA"> {
  let summary = "root mean square normalization of a sum";
  let description = [{
    `onnx.RMSNormalization` over the last dimension of input + skip + bias; the
    sum is a result too.

    ```mlir
    %y, %m, %v, %s = onnx.microsoft.SkipSimplifiedLayerNormalization(%x, %skip, %g, %none) : (tensor<1x2x4xf32>, tensor<1x2x4xf32>, tensor<4xf32>, none) -> (tensor<1x2x4xf32>, none, none, none)
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_Float:$skip, ONNX_Float:$gamma,
                       ONNX_OptFloat:$bias, ONNX_Real<"1e-12f">:$epsilon);
  let results = (outs ONNX_Float:$output, ONNX_OptFloat:$mean,
                      ONNX_OptFloat:$inv_std_var,
                      ONNX_OptFloat:$input_skip_bias_sum);
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXMICROSOFTOPS_TD
