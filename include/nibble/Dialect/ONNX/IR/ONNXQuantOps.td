//===- ONNXQuantOps.td - Quantized operators ---------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXQUANTOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXQUANTOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

//===----------------------------------------------------------------------===//
// Conversion
//===----------------------------------------------------------------------===//

def ONNX_QuantizeLinearOp : ONNX_Op<"QuantizeLinear", "..Z:."> {
  let summary = "quantization";
  let description = [{
    `y = saturate(round(x / y_scale) + y_zero_point)` with ties to the even
    integer. One scale per tensor (a scalar), per slice along `axis` (1-D), or
    per block of `block_size` elements along `axis` (rank of x). The type of y
    is the zero point's, else the one with the ONNX number `output_dtype`, else
    ui8.

    ```mlir
    %q = onnx.QuantizeLinear(%x, %s, %z) : (tensor<2x3xf32>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
    ```
  }];
  let arguments = (ins ONNX_Quant:$x, ONNX_Quant:$y_scale,
                       ONNX_Opt<ONNX_Quant>:$y_zero_point, ONNX_Int<1>:$axis,
                       ONNX_Int<0>:$block_size, ONNX_Int<0>:$output_dtype,
                       ONNX_Int<0>:$precision, ONNX_Int<1>:$saturate);
  let results = (outs ONNX_Quant:$y);
  let hasVerifier = 1;
}

def ONNX_DequantizeLinearOp : ONNX_Op<"DequantizeLinear", "T.T:."> {
  let summary = "dequantization";
  let description = [{
    `y = (x - x_zero_point) * x_scale`; scales and zero points as in
    `onnx.QuantizeLinear`. The type of y is the scale's unless `output_dtype`
    gives an ONNX number.

    ```mlir
    %x = onnx.DequantizeLinear(%q, %s, %z) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Quant:$x, ONNX_Float:$x_scale,
                       ONNX_Opt<ONNX_Quant>:$x_zero_point, ONNX_Int<1>:$axis,
                       ONNX_Int<0>:$block_size, ONNX_Int<0>:$output_dtype);
  let results = (outs ONNX_Float:$y);
  let hasVerifier = 1;
}

def ONNX_DynamicQuantizeLinearOp : ONNX_Op<"DynamicQuantizeLinear", ".:ufu"> {
  let summary = "quantization to the range of the data";
  let description = [{
    Quantizes to ui8 with `scale = (max(0, max x) - min(0, min x)) / 255` and
    `zero = saturate(round(-min(0, min x) / scale))`, which are results too.

    ```mlir
    %q, %s, %z = onnx.DynamicQuantizeLinear(%x) : (tensor<2x3xf32>) -> (tensor<2x3xui8>, tensor<f32>, tensor<ui8>)
    ```
  }];
  let arguments = (ins ONNX_F32:$x);
  let results = (outs ONNX_U8:$y, ONNX_F32:$y_scale, ONNX_U8:$y_zero_point);
}

//===----------------------------------------------------------------------===//
// Integer arithmetic
//===----------------------------------------------------------------------===//

def ONNX_MatMulIntegerOp : ONNX_Op<"MatMulInteger", "ABAB:i"> {
  let summary = "integer matrix product";
  let description = [{
    The matrix product of `A - a_zero_point` and `B - b_zero_point` in 32 bits.
    Zero points are scalars or one per row of A, per column of B.

    ```mlir
    %y = onnx.MatMulInteger(%a, %b, %none, %none) : (tensor<2x3xui8>, tensor<3x4xi8>, none, none) -> tensor<2x4xi32>
    ```
  }];
  let arguments = (ins ONNX_Byte:$A, ONNX_Byte:$B,
                       ONNX_Opt<ONNX_Byte>:$a_zero_point,
                       ONNX_Opt<ONNX_Byte>:$b_zero_point);
  let results = (outs ONNX_I32:$Y);
}

def ONNX_ConvIntegerOp : ONNX_Op<"ConvInteger", "ABAB:i"> {
  let summary = "integer convolution";
  let description = [{
    `onnx.Conv` of `x - x_zero_point` and `w - w_zero_point` in 32 bits; padding
    has the value of the zero point.

    ```mlir
    %y = onnx.ConvInteger(%x, %w, %none, %none) : (tensor<1x3x8x8xui8>, tensor<16x3x3x3xui8>, none, none) -> tensor<1x16x6x6xi32>
    ```
  }];
  let arguments = (ins ONNX_Byte:$x, ONNX_Byte:$w,
                       ONNX_Opt<ONNX_Byte>:$x_zero_point,
                       ONNX_Opt<ONNX_Byte>:$w_zero_point,
                       ONNX_Str<"NOTSET">:$auto_pad, ONNX_OptInts:$dilations,
                       ONNX_Int<1>:$group, ONNX_OptInts:$kernel_shape,
                       ONNX_OptInts:$pads, ONNX_OptInts:$strides);
  let results = (outs ONNX_I32:$y);
  let hasVerifier = 1;
}

def ONNX_QLinearMatMulOp : ONNX_Op<"QLinearMatMul", "A.AB.B.C:C"> {
  let summary = "quantized matrix product";
  let description = [{
    The matrix product of the dequantized a and b, quantized with the scale and
    zero point of y; the sums are exact integers.

    ```mlir
    %y = onnx.QLinearMatMul(%a, %as, %az, %b, %bs, %bz, %ys, %yz) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<3x4xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x4xui8>
    ```
  }];
  let arguments = (ins ONNX_Quant:$a, ONNX_Float:$a_scale,
                       ONNX_Quant:$a_zero_point, ONNX_Quant:$b,
                       ONNX_Float:$b_scale, ONNX_Quant:$b_zero_point,
                       ONNX_Float:$y_scale, ONNX_Quant:$y_zero_point);
  let results = (outs ONNX_Quant:$y);
}

def ONNX_QLinearConvOp : ONNX_Op<"QLinearConv", "A.AB.B.C.:C"> {
  let summary = "quantized convolution";
  let description = [{
    `onnx.Conv` of the dequantized x and w, quantized with the scale and zero
    point of y. The bias `B` is in units of x_scale * w_scale; w may have a
    scale per output channel.

    ```mlir
    %y = onnx.QLinearConv(%x, %xs, %xz, %w, %ws, %wz, %ys, %yz, %none) : (tensor<1x3x8x8xui8>, tensor<f32>, tensor<ui8>, tensor<16x3x3x3xi8>, tensor<16xf32>, tensor<i8>, tensor<f32>, tensor<ui8>, none) -> tensor<1x16x6x6xui8>
    ```
  }];
  let arguments = (ins ONNX_Byte:$x, ONNX_F32:$x_scale,
                       ONNX_Byte:$x_zero_point, ONNX_Byte:$w,
                       ONNX_F32:$w_scale, ONNX_Byte:$w_zero_point,
                       ONNX_F32:$y_scale, ONNX_Byte:$y_zero_point,
                       ONNX_Opt<ONNX_I32>:$B, ONNX_Str<"NOTSET">:$auto_pad,
                       ONNX_OptInts:$dilations, ONNX_Int<1>:$group,
                       ONNX_OptInts:$kernel_shape, ONNX_OptInts:$pads,
                       ONNX_OptInts:$strides);
  let results = (outs ONNX_Byte:$y);
  let hasVerifier = 1;
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXQUANTOPS_TD
