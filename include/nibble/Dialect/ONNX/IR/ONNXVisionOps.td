//===- ONNXVisionOps.td - Operators on images and boxes ----*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXVISIONOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXVISIONOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

//===----------------------------------------------------------------------===//
// Sampling
//===----------------------------------------------------------------------===//

def ONNX_AffineGridOp : ONNX_Op<"AffineGrid", "Tl:T"> {
  let summary = "sampling positions of an affine map";
  let description = [{
    For each of the N matrices `theta` (2x3 or 3x4) the positions, between -1
    and 1, that an image of `size` (N, C, H, W or N, C, D, H, W) is sampled at.
    The outermost positions are the centers of the corner pixels when
    `align_corners` is 1, else the corners themselves.

    ```mlir
    %g = onnx.AffineGrid(%theta, %size) : (tensor<1x2x3xf32>, tensor<4xi64>) -> tensor<1x5x6x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$theta, ONNX_I64:$size,
                   ONNX_Int<0>:$align_corners);
  let results = (outs ONNX_Float:$grid);
}

def ONNX_GridSampleOp : ONNX_Op<"GridSample", "T.:T"> {
  let summary = "an image read at given positions";
  let description = [{
    Reads X (N, C, d1, ..., dr) at the positions of `grid` (N, o1, ..., or, r),
    whose last dimension has the coordinate along dr first. -1 and 1 are the
    ends of a dimension: centers of the outermost pixels when `align_corners` is
    1, else their outer edges. `mode` is `nearest`, `linear` or `cubic`;
    positions outside give zero (`zeros`), the nearest pixel (`border`) or the
    mirrored one (`reflection`).

    ```mlir
    %y = onnx.GridSample(%x, %grid) {mode = "linear"} : (tensor<1x3x4x4xf32>, tensor<1x6x6x2xf32>) -> tensor<1x3x6x6xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$X, ONNX_Float:$grid,
                   ONNX_Int<0>:$align_corners, ONNX_Str<"linear">:$mode,
                   ONNX_Str<"zeros">:$padding_mode);
  let results = (outs ONNX_Num:$Y);
  let hasVerifier = 1;
}

def ONNX_DeformConvOp : ONNX_Op<"DeformConv", "TTTTT:T"> {
  let summary = "convolution that reads at shifted positions";
  let description = [{
    A convolution of X (N, C, H, W) whose window element k reads, by linear
    interpolation, at its position plus the two components of `offset` (N,
    2 * offset_group * kH * kW, oH, oW), zero outside, times `mask`.

    ```mlir
    %y = onnx.DeformConv(%x, %w, %offset, %none, %none) : (tensor<1x1x3x3xf32>, tensor<1x1x2x2xf32>, tensor<1x8x2x2xf32>, none, none) -> tensor<1x1x2x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$W, ONNX_Float:$offset,
                   ONNX_Opt<ONNX_Float>:$B, ONNX_Opt<ONNX_Float>:$mask,
                   ONNX_OptInts:$dilations, ONNX_Int<1>:$group,
                   ONNX_OptInts:$kernel_shape, ONNX_Int<1>:$offset_group,
                   ONNX_OptInts:$pads, ONNX_OptInts:$strides);
  let results = (outs ONNX_Float:$Y);
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

def ONNX_CenterCropPadOp : ONNX_Op<"CenterCropPad", "T.:T"> {
  let summary = "the middle of a tensor";
  let description = [{
    Gives the dimensions `axes` (all, if absent) the sizes `shape` by cutting
    off, or adding zeros, equally on both sides.

    ```mlir
    %y = onnx.CenterCropPad(%x, %shape) {axes = array<i64: 0, 1>} : (tensor<20x10x3xf32>, tensor<2xi64>) -> tensor<10x12x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input_data, ONNX_Index:$shape,
                   ONNX_OptInts:$axes);
  let results = (outs ONNX_Any:$output_data);
}

def ONNX_Col2ImOp : ONNX_Op<"Col2Im", "Tll:T"> {
  let summary = "windows added up to an image";
  let description = [{
    The inverse of taking windows of size `block_shape` out of an image of size
    `image_shape`: `input` (N, C * window size, number of windows); where
    windows overlap their elements are added.

    ```mlir
    %y = onnx.Col2Im(%x, %image, %block) : (tensor<1x5x5xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<1x1x5x5xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$input, ONNX_I64:$image_shape,
                   ONNX_I64:$block_shape, ONNX_OptInts:$dilations,
                   ONNX_OptInts:$pads, ONNX_OptInts:$strides);
  let results = (outs ONNX_Num:$output);
}

def ONNX_MaxUnpoolOp : ONNX_Op<"MaxUnpool", "Tll:T"> {
  let summary = "maxima back in their places";
  let description = [{
    The partial inverse of MaxPool: a tensor of zeros with each element of X at
    the flat position that `I` says. The size follows from the window, or is
    `output_shape`.

    ```mlir
    %y = onnx.MaxUnpool(%x, %i, %none) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x1x2x2xf32>, tensor<1x1x2x2xi64>, none) -> tensor<1x1x4x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_I64:$I,
                   ONNX_Opt<ONNX_I64>:$output_shape,
                   DenseI64ArrayAttr:$kernel_shape, ONNX_OptInts:$pads,
                   ONNX_OptInts:$strides);
  let results = (outs ONNX_Float:$output);
}

//===----------------------------------------------------------------------===//
// Regions and boxes
//===----------------------------------------------------------------------===//

def ONNX_RoiAlignOp : ONNX_Op<"RoiAlign", "TTl:T"> {
  let summary = "regions of an image, resampled";
  let description = [{
    Each region `rois[i]` = (x1, y1, x2, y2), times `spatial_scale`, of image
    `batch_indices[i]` is divided into `output_height` x `output_width` bins. A
    bin is the average (`avg`) or maximum (`max`) of `sampling_ratio`^2 points
    in it, read by linear interpolation; ratio 0 takes one point a pixel.

    ```mlir
    %y = onnx.RoiAlign(%x, %rois, %i) {output_height = 5 : i64, output_width = 5 : i64} : (tensor<1x3x10x10xf32>, tensor<4x4xf32>, tensor<4xi64>) -> tensor<4x3x5x5xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$rois, ONNX_I64:$batch_indices,
                   ONNX_Str<"half_pixel">:$coordinate_transformation_mode,
                   ONNX_Str<"avg">:$mode, ONNX_Int<1>:$output_height,
                   ONNX_Int<1>:$output_width, ONNX_Int<0>:$sampling_ratio,
                   ONNX_Real<"1.0f">:$spatial_scale);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

def ONNX_MaxRoiPoolOp : ONNX_Op<"MaxRoiPool", "TT:T"> {
  let summary = "maxima in parts of regions";
  let description = [{
    Each region `rois[i]` = (image, x1, y1, x2, y2), corners times
    `spatial_scale` and rounded, is divided into `pooled_shape` bins, whose
    maximum is taken; an empty bin gives zero.

    ```mlir
    %y = onnx.MaxRoiPool(%x, %rois) {pooled_shape = array<i64: 2, 2>} : (tensor<1x3x10x10xf32>, tensor<4x5xf32>) -> tensor<4x3x2x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$rois,
                   DenseI64ArrayAttr:$pooled_shape,
                   ONNX_Real<"1.0f">:$spatial_scale);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_NonMaxSuppressionOp : ONNX_Op<"NonMaxSuppression", "fflff:l"> {
  let summary = "boxes without those that overlap better ones";
  let description = [{
    Per batch and class, in the order of falling scores (N, classes, boxes), the
    boxes (N, boxes, 4) above `score_threshold` that overlap no box taken before
    by more than `iou_threshold`, at most `max_output_boxes_per_class` (absent:
    none). A row of the result is (batch, class, box). Boxes are two opposite
    corners (y, x), or with `center_point_box` 1 (x, y, width, height).

    ```mlir
    %i = onnx.NonMaxSuppression(%boxes, %scores, %max, %iou, %none) : (tensor<1x6x4xf32>, tensor<1x1x6xf32>, tensor<1xi64>, tensor<1xf32>, none) -> tensor<?x3xi64>
    ```
  }];
  let arguments = (ins ONNX_F32:$boxes, ONNX_F32:$scores,
                   ONNX_Opt<ONNX_I64>:$max_output_boxes_per_class,
                   ONNX_Opt<ONNX_F32>:$iou_threshold,
                   ONNX_Opt<ONNX_F32>:$score_threshold,
                   ONNX_Int<0>:$center_point_box);
  let results = (outs ONNX_I64:$selected_indices);
}

def ONNX_ImageDecoderOp : ONNX_Op<"ImageDecoder", "u:u"> {
  let summary = "an image out of a file's bytes";
  let description = [{
    Decodes an image file to (height, width, channels). It is read and written,
    but not compiled: a compiled model has no decoders of file formats.

    ```mlir
    %y = onnx.ImageDecoder(%bytes) {pixel_format = "RGB"} : (tensor<?xui8>) -> tensor<?x?x3xui8>
    ```
  }];
  let arguments = (ins ONNX_U8:$encoded_stream,
                   ONNX_Str<"RGB">:$pixel_format);
  let results = (outs ONNX_U8:$image);
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXVISIONOPS_TD
