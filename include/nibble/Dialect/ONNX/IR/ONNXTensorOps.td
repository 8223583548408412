//===- ONNXTensorOps.td - Constants, shapes and data movement *- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXTENSOROPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXTENSOROPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

def ONNX_NoValueOp : Op<ONNX_Dialect, "NoValue", [Pure]> {
  let summary = "the absent optional operand";
  let description = [{
    Stands where an operator's optional operand is left out. Not an ONNX
    operator: the exporter writes an empty name.

    ```mlir
    %none = onnx.NoValue : none
    %y = onnx.Clip(%x, %lo, %none) : (tensor<4xf32>, tensor<f32>, none) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins);
  let results = (outs NoneType:$none);
  let assemblyFormat = "attr-dict `:` type($none)";
}

def ONNX_ConstantOp
    : ONNX_Op<"Constant", ":.", "", [ConstantLike]> {
  let summary = "a constant tensor";
  let description = [{
    Exactly one attribute gives the value: `value`, which is any elements
    attribute (small data dense, weights a reference to the model file), or one
    of the ONNX short forms, which canonicalization turns into `value`.
    `value_int` and `value_float` are scalars, `value_ints`, `value_floats` and
    `value_strings` 1-D tensors.

    ```mlir
    %axes = onnx.Constant {value = dense<[0, 1]> : tensor<2xi64>} : tensor<2xi64>
    ```
  }];
  let arguments = (ins OptionalAttr<ElementsAttr>:$value,
                   ONNX_OptReal:$value_float, ONNX_OptReals:$value_floats,
                   ONNX_OptInt:$value_int, ONNX_OptInts:$value_ints,
                   ONNX_OptStr:$value_string, ONNX_OptStrs:$value_strings);
  let results = (outs ONNX_Any:$output);
  let builders = [
    /// The type is that of the attribute.
    OpBuilder<(ins "::mlir::ElementsAttr":$value)>
  ];
  let assemblyFormat = "attr-dict `:` type($output)";
  let moreDeclarations = [{
    /// The value whichever attribute gives it; null without a valid one.
    ::mlir::ElementsAttr getElements();
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def ONNX_ConstantOfShapeOp : ONNX_Op<"ConstantOfShape", ".:."> {
  let summary = "a tensor filled with one value";
  let description = [{
    A tensor of the shape that the 1-D operand holds, filled with the one
    element of `value` (default: the float 0).

    ```mlir
    %y = onnx.ConstantOfShape(%shape) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x?xi64>
    ```
  }];
  let arguments = (ins ONNX_I64:$input, OptionalAttr<ElementsAttr>:$value);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_RangeOp : ONNX_Op<"Range", "TTT:T"> {
  let summary = "an arithmetic sequence";
  let description = [{
    The values `start, start + delta, ...` below `limit` (above it when `delta`
    is negative): `max(0, ceil((limit - start) / delta))` elements. All three
    operands are scalars.

    ```mlir
    %y = onnx.Range(%start, %limit, %delta) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
    ```
  }];
  let arguments = (ins ONNX_Num:$start, ONNX_Num:$limit, ONNX_Num:$delta,
                       ONNX_Int<1>:$stash_type);
  let results = (outs ONNX_Num:$output);
}

def ONNX_EyeLikeOp : ONNX_Op<"EyeLike", ".:."> {
  let summary = "an identity matrix";
  let description = [{
    A matrix with ones on the diagonal `k` (above the main one when positive)
    and zeros elsewhere, of the shape of the operand. `dtype` is an ONNX type
    number; without it the element type is the operand's.

    ```mlir
    %y = onnx.EyeLike(%x) {k = 1 : i64} : (tensor<3x4xf32>) -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_OptInt:$dtype, ONNX_Int<0>:$k);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_OneHotOp : ONNX_Op<"OneHot", "..T:T"> {
  let summary = "one-hot vectors";
  let description = [{
    A new dimension of size `depth` at `axis`; along it the element at the index
    is `values[1]`, all others `values[0]`. Negative indices count from the end;
    an index out of range gives only `values[0]`.

    ```mlir
    %y = onnx.OneHot(%i, %depth, %values) : (tensor<4xi64>, tensor<i64>, tensor<2xf32>) -> tensor<4x?xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$indices, ONNX_Num:$depth, ONNX_Any:$values,
                       ONNX_Int<-1>:$axis);
  let results = (outs ONNX_Any:$output);
}

//===----------------------------------------------------------------------===//
// Identity and types
//===----------------------------------------------------------------------===//

def ONNX_IdentityOp : ONNX_Op<"Identity", "T:T", "SameShape"> {
  let summary = "the operand itself";
  let description = [{
    `y = x`.

    ```mlir
    %y = onnx.Identity(%x) : (tensor<2xf32>) -> tensor<2xf32>
    ```
  }];
  let arguments = (ins ONNX_Value:$input);
  let results = (outs ONNX_Value:$output);
  let hasFolder = 1;
}

def ONNX_CastOp : ONNX_Op<"Cast", ".:."> {
  let summary = "conversion of the element type";
  let description = [{
    Converts every element to the type with the ONNX type number `to` (1 float,
    6 int32, 7 int64, 9 bool, ...). Floats are truncated to integers; any
    nonzero value is true. `saturate` and `round_mode` concern 8-bit floats.

    ```mlir
    %y = onnx.Cast(%x) {to = 1 : i64} : (tensor<2xi64>) -> tensor<2xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_I64Attr:$to,
                       ONNX_Int<1>:$saturate, ONNX_Str<"up">:$round_mode);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
  let hasFolder = 1;
}

def ONNX_BitCastOp : ONNX_Op<"BitCast", ".:."> {
  let summary = "the same bits as another element type";
  let description = [{
    Keeps every element's bits and reads them as the type with the ONNX number
    `to`, which has the same width.

    ```mlir
    %y = onnx.BitCast(%x) {to = 6 : i64} : (tensor<2xf32>) -> tensor<2xi32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_I64Attr:$to);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_CastLikeOp : ONNX_Op<"CastLike", ".T:T", "SameShape"> {
  let summary = "conversion to the type of another tensor";
  let description = [{
    Converts every element of `input` to the element type of `target_type`,
    whose values do not matter.

    ```mlir
    %y = onnx.CastLike(%x, %t) : (tensor<2xi64>, tensor<f32>) -> tensor<2xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_Any:$target_type,
                       ONNX_Int<1>:$saturate, ONNX_Str<"up">:$round_mode);
  let results = (outs ONNX_Any:$output);
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

def ONNX_ShapeOp : ONNX_Op<"Shape", ".:l"> {
  let summary = "the shape as a tensor";
  let description = [{
    The sizes of the dimensions `start` to `end` (exclusive; both may be
    negative and are clamped) as a 1-D tensor.

    ```mlir
    %s = onnx.Shape(%x) {end = 1 : i64} : (tensor<?x3xf32>) -> tensor<1xi64>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_Int<0>:$start, ONNX_OptInt:$end);
  let results = (outs ONNX_I64:$shape);
}

def ONNX_SizeOp : ONNX_Op<"Size", ".:l"> {
  let summary = "the number of elements";
  let description = [{
    The product of all dimensions as a scalar.

    ```mlir
    %n = onnx.Size(%x) : (tensor<?x3xf32>) -> tensor<i64>
    ```
  }];
  let arguments = (ins ONNX_Any:$data);
  let results = (outs ONNX_I64:$size);
}

def ONNX_ReshapeOp : ONNX_Op<"Reshape", "T.:T"> {
  let summary = "the same elements in another shape";
  let description = [{
    Row-major order is kept. One dimension of `shape` may be -1: it takes what
    is left. A 0 copies the dimension of the operand at that place, unless
    `allowzero` is 1.

    ```mlir
    %y = onnx.Reshape(%x, %shape) : (tensor<?x3x4xf32>, tensor<2xi64>) -> tensor<?x12xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_I64:$shape,
                       ONNX_Int<0>:$allowzero);
  let results = (outs ONNX_Any:$reshaped);
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def ONNX_FlattenOp : ONNX_Op<"Flatten", "T:T"> {
  let summary = "collapse to a matrix";
  let description = [{
    The dimensions before `axis` become the rows, those from `axis` on the
    columns; row-major order is kept.

    ```mlir
    %y = onnx.Flatten(%x) : (tensor<?x3x4xf32>) -> tensor<?x12xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_Int<1>:$axis);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_SqueezeOp : ONNX_Op<"Squeeze", "T.:T"> {
  let summary = "remove dimensions of size one";
  let description = [{
    Removes the dimensions `axes`, which must have size one; without axes all
    that have.

    ```mlir
    %y = onnx.Squeeze(%x, %axes) : (tensor<1x3x1xf32>, tensor<1xi64>) -> tensor<3x1xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_Opt<ONNX_I64>:$axes);
  let results = (outs ONNX_Any:$squeezed);
  let hasFolder = 1;
}

def ONNX_UnsqueezeOp : ONNX_Op<"Unsqueeze", "T.:T"> {
  let summary = "insert dimensions of size one";
  let description = [{
    Inserts dimensions of size one at the places `axes` of the result.

    ```mlir
    %y = onnx.Unsqueeze(%x, %axes) : (tensor<3xf32>, tensor<1xi64>) -> tensor<1x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_Opt<ONNX_I64>:$axes);
  let results = (outs ONNX_Any:$expanded);
  let hasFolder = 1;
}

def ONNX_ExpandOp : ONNX_Op<"Expand", "T.:T"> {
  let summary = "broadcast to a shape";
  let description = [{
    Repeats dimensions of size one as NumPy broadcasts the operand against
    `shape`; a 1 in `shape` keeps the operand's dimension.

    ```mlir
    %y = onnx.Expand(%x, %shape) : (tensor<3x1xf32>, tensor<2xi64>) -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_I64:$shape);
  let results = (outs ONNX_Any:$output);
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Data movement
//===----------------------------------------------------------------------===//

def ONNX_TransposeOp : ONNX_Op<"Transpose", "T:T"> {
  let summary = "permutation of dimensions";
  let description = [{
    Dimension i of the result is dimension `perm[i]` of the operand; without
    `perm` the order is reversed.

    ```mlir
    %y = onnx.Transpose(%x) {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_OptInts:$perm);
  let results = (outs ONNX_Any:$transposed);
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def ONNX_ConcatOp : ONNX_Op<"Concat", "T:T"> {
  let summary = "concatenation";
  let description = [{
    Joins the operands along `axis`; all other dimensions are equal.

    ```mlir
    %y = onnx.Concat(%a, %b) {axis = 0 : i64} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<6x3xf32>
    ```
  }];
  let arguments = (ins Variadic<ONNX_Any>:$inputs, ONNX_I64Attr:$axis);
  let results = (outs ONNX_Any:$concat_result);
  let hasVerifier = 1;
  let hasFolder = 1;
}

def ONNX_SplitOp : ONNX_Op<"Split", "T.:T"> {
  let summary = "cut into parts";
  let description = [{
    Cuts the operand along `axis` into parts of the sizes in `split`; without it
    into equal parts, the last one smaller if the dimension is not a multiple.

    ```mlir
    %a, %b = onnx.Split(%x, %none) {num_outputs = 2 : i64} : (tensor<6x3xf32>, none) -> (tensor<3x3xf32>, tensor<3x3xf32>)
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_Opt<ONNX_I64>:$split,
                       ONNX_Int<0>:$axis, ONNX_OptInt:$num_outputs);
  let results = (outs Variadic<ONNX_Any>:$outputs);
  let hasVerifier = 1;
}

def ONNX_SliceOp : ONNX_Op<"Slice", "T....:T"> {
  let summary = "a strided part";
  let description = [{
    Along each of `axes` (absent: all, from the first) the elements `starts,
    starts + steps, ...` before `ends`. Negative positions count from the end
    and both are clamped to the dimension; negative steps walk backwards.

    ```mlir
    %y = onnx.Slice(%x, %starts, %ends, %axes, %none) : (tensor<9x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<4x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_Opt<ONNX_Index>:$starts,
                   ONNX_Opt<ONNX_Index>:$ends, ONNX_Opt<ONNX_Index>:$axes,
                   ONNX_Opt<ONNX_Index>:$steps);
  let results = (outs ONNX_Any:$output);
  let hasFolder = 1;
}

def ONNX_PadOp : ONNX_Op<"Pad", "T.T.:T"> {
  let summary = "padding";
  let description = [{
    Adds `pads[i]` elements before and `pads[i + n]` after dimension `axes[i]`
    (n axes; absent: all dimensions); negative numbers remove. `mode`:
    `constant` (with `constant_value`, default 0), `edge`, `reflect` or `wrap`.

    ```mlir
    %y = onnx.Pad(%x, %pads, %none, %none) : (tensor<2x3xf32>, tensor<4xi64>, none, none) -> tensor<4x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_Opt<ONNX_I64>:$pads,
                   ONNX_Opt<ONNX_Any>:$constant_value,
                   ONNX_Opt<ONNX_Index>:$axes, ONNX_Str<"constant">:$mode);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
  let hasFolder = 1;
}

def ONNX_TileOp : ONNX_Op<"Tile", "T.:T"> {
  let summary = "repetition";
  let description = [{
    Repeats the operand `repeats[i]` times along dimension i.

    ```mlir
    %y = onnx.Tile(%x, %repeats) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<4x9xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_I64:$repeats);
  let results = (outs ONNX_Any:$output);
  let hasFolder = 1;
}

def ONNX_DepthToSpaceOp : ONNX_Op<"DepthToSpace", "T:T"> {
  let summary = "channels to blocks of pixels";
  let description = [{
    Moves blocks of `blocksize` x `blocksize` channels of an NCHW tensor into
    the two spatial dimensions. The channels are split as (block row, block
    column, depth) with mode `DCR`, as (depth, block row, block column) with
    `CRD`.

    ```mlir
    %y = onnx.DepthToSpace(%x) {blocksize = 2 : i64} : (tensor<1x8x3x3xf32>) -> tensor<1x2x6x6xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_I64Attr:$blocksize,
                       ONNX_Str<"DCR">:$mode);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_SpaceToDepthOp : ONNX_Op<"SpaceToDepth", "T:T"> {
  let summary = "blocks of pixels to channels";
  let description = [{
    The inverse of `onnx.DepthToSpace`: blocks of `blocksize` x `blocksize`
    pixels become channels.

    ```mlir
    %y = onnx.SpaceToDepth(%x) {blocksize = 2 : i64} : (tensor<1x2x6x6xf32>) -> tensor<1x8x3x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_I64Attr:$blocksize,
                       ONNX_Str<"DCR">:$mode);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_TriluOp : ONNX_Op<"Trilu", "T.:T", "SameShape"> {
  let summary = "upper or lower triangle";
  let description = [{
    Keeps the elements on and above the diagonal `k` of the last two dimensions
    (below it when `upper` is 0), zero elsewhere.

    ```mlir
    %y = onnx.Trilu(%x, %none) {upper = 0 : i64} : (tensor<4x4xf32>, none) -> tensor<4x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_Opt<ONNX_I64>:$k,
                       ONNX_Int<1>:$upper);
  let results = (outs ONNX_Any:$output);
}

def ONNX_ReverseSequenceOp : ONNX_Op<"ReverseSequence", "T.:T", "SameShape"> {
  let summary = "reverse sequences of given lengths";
  let description = [{
    For each batch entry b reverses the first `sequence_lens[b]` steps along
    `time_axis`; the rest stays.

    ```mlir
    %y = onnx.ReverseSequence(%x, %lens) : (tensor<5x2xf32>, tensor<2xi64>) -> tensor<5x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_I64:$sequence_lens,
                       ONNX_Int<1>:$batch_axis, ONNX_Int<0>:$time_axis);
  let results = (outs ONNX_Any:$Y);
}

//===----------------------------------------------------------------------===//
// Indexing
//===----------------------------------------------------------------------===//

def ONNX_GatherOp : ONNX_Op<"Gather", "T.:T"> {
  let summary = "slices by index";
  let description = [{
    Replaces dimension `axis` of `data` by the shape of `indices`: `y[.., i..,
    ..] = data[.., indices[i..], ..]`. Negative indices count from the end. An
    embedding is a gather of rows.

    ```mlir
    %y = onnx.Gather(%table, %ids) : (tensor<512x64xf32>, tensor<?x7xi64>) -> tensor<?x7x64xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_Index:$indices, ONNX_Int<0>:$axis);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_GatherElementsOp : ONNX_Op<"GatherElements", "T.:T"> {
  let summary = "elements by index along an axis";
  let description = [{
    `y[i, j, k] = data[i, indices[i, j, k], k]` (for `axis` 1); the result has
    the shape of `indices`.

    ```mlir
    %y = onnx.GatherElements(%x, %i) {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x2xi64>) -> tensor<2x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_Index:$indices, ONNX_Int<0>:$axis);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_GatherNDOp : ONNX_Op<"GatherND", "T.:T"> {
  let summary = "slices by index tuples";
  let description = [{
    The last dimension of `indices` holds tuples that index the dimensions of
    `data` after the first `batch_dims`, which both have in common.

    ```mlir
    %y = onnx.GatherND(%x, %i) : (tensor<2x3x4xf32>, tensor<5x2xi64>) -> tensor<5x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_I64:$indices,
                       ONNX_Int<0>:$batch_dims);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_ScatterElementsOp : ONNX_Op<"ScatterElements", "T.T:T", "SameShape"> {
  let summary = "write elements by index along an axis";
  let description = [{
    A copy of `data` in which `y[i, indices[i, j], k] = updates[i, j, k]` (for
    `axis` 1). `reduction` (`none`, `add`, `mul`, `max`, `min`) combines with
    what is there.

    ```mlir
    %y = onnx.ScatterElements(%x, %i, %u) : (tensor<3x3xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<3x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_Index:$indices, ONNX_Any:$updates,
                       ONNX_Int<0>:$axis, ONNX_Str<"none">:$reduction);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_ScatterNDOp : ONNX_Op<"ScatterND", "T.T:T", "SameShape"> {
  let summary = "write slices by index tuples";
  let description = [{
    A copy of `data` in which each tuple in the last dimension of `indices`
    selects an element or slice that the matching part of `updates` replaces, or
    with `reduction` combines with.

    ```mlir
    %y = onnx.ScatterND(%x, %i, %u) : (tensor<4x4xf32>, tensor<2x1xi64>, tensor<2x4xf32>) -> tensor<4x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_I64:$indices, ONNX_Any:$updates,
                       ONNX_Str<"none">:$reduction);
  let results = (outs ONNX_Any:$output);
  let hasVerifier = 1;
}

def ONNX_TensorScatterOp : ONNX_Op<"TensorScatter", "TT.:T", "SameShape"> {
  let summary = "write into a cache";
  let description = [{
    A copy of `past_cache` in which, for each batch entry b, `update` is written
    along `axis` from position `write_indices[b]` on (absent: 0). Positions
    beyond the end are an error with mode `linear` and wrap around with
    `circular`. The way a key/value cache grows in place.

    ```mlir
    %y = onnx.TensorScatter(%cache, %new, %at) : (tensor<1x4x64x8xf32>, tensor<1x4x1x8xf32>, tensor<1xi64>) -> tensor<1x4x64x8xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$past_cache, ONNX_Any:$update,
                       ONNX_Opt<ONNX_I64>:$write_indices, ONNX_Int<-2>:$axis,
                       ONNX_Str<"linear">:$mode);
  let results = (outs ONNX_Any:$present_cache);
  let hasVerifier = 1;
}

def ONNX_NonZeroOp : ONNX_Op<"NonZero", ".:l"> {
  let summary = "indices of the elements that are not zero";
  let description = [{
    One column per nonzero element in row-major order, one row per dimension.

    ```mlir
    %i = onnx.NonZero(%x) : (tensor<2x3xf32>) -> tensor<2x?xi64>
    ```
  }];
  let arguments = (ins ONNX_Any:$X);
  let results = (outs ONNX_I64:$Y);
}

def ONNX_CompressOp : ONNX_Op<"Compress", "T.:T"> {
  let summary = "slices where a condition holds";
  let description = [{
    Keeps the slices along `axis` whose element of the 1-D `condition` is true;
    without `axis` the operand is flattened first.

    ```mlir
    %y = onnx.Compress(%x, %c) {axis = 0 : i64} : (tensor<3x2xf32>, tensor<3xi1>) -> tensor<?x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_Bool:$condition,
                       ONNX_OptInt:$axis);
  let results = (outs ONNX_Any:$output);
}

def ONNX_UniqueOp : ONNX_Op<"Unique", "T:Tlll"> {
  let summary = "distinct elements or slices";
  let description = [{
    The distinct elements (slices along `axis`), sorted or in order of
    appearance; the index of the first of each, for every input its place in the
    result, and how often each occurs.

    ```mlir
    %y, %i, %j, %n = onnx.Unique(%x) : (tensor<6xf32>) -> (tensor<?xf32>, tensor<?xi64>, tensor<6xi64>, tensor<?xi64>)
    ```
  }];
  let arguments = (ins ONNX_Any:$X, ONNX_OptInt:$axis, ONNX_Int<1>:$sorted);
  let results = (outs ONNX_Any:$Y, ONNX_Opt<ONNX_I64>:$indices,
                      ONNX_Opt<ONNX_I64>:$inverse_indices,
                      ONNX_Opt<ONNX_I64>:$counts);
}

//===----------------------------------------------------------------------===//
// Resampling
//===----------------------------------------------------------------------===//

def ONNX_ResizeOp : ONNX_Op<"Resize", "T...:T"> {
  let summary = "resampling";
  let description = [{
    Resamples the dimensions `axes` (absent: all) by `scales` or to `sizes`; one
    of the two is present. A result coordinate is mapped to the operand by
    `coordinate_transformation_mode` (`half_pixel`: `(y + 1/2) / scale - 1/2`,
    `asymmetric`: `y / scale`, `align_corners`: `y * (in - 1) / (out - 1)`, ...)
    and read with mode `nearest` (rounded by `nearest_mode`), `linear` or
    `cubic`.

    ```mlir
    %y = onnx.Resize(%x, %none, %scales, %none) {mode = "linear"} : (tensor<1x3x4x4xf32>, none, tensor<4xf32>, none) -> tensor<1x3x8x8xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$X, ONNX_Opt<ONNX_Float>:$roi,
                       ONNX_Opt<ONNX_F32>:$scales, ONNX_Opt<ONNX_I64>:$sizes,
                       ONNX_Int<0>:$antialias, ONNX_OptInts:$axes,
                       ONNX_Str<"half_pixel">:$coordinate_transformation_mode,
                       ONNX_Real<"-0.75f">:$cubic_coeff_a,
                       ONNX_Int<0>:$exclude_outside,
                       ONNX_Real<"0.0f">:$extrapolation_value,
                       ONNX_Str<"stretch">:$keep_aspect_ratio_policy,
                       ONNX_Str<"nearest">:$mode,
                       ONNX_Str<"round_prefer_floor">:$nearest_mode);
  let results = (outs ONNX_Any:$Y);
  let hasVerifier = 1;
}

def ONNX_UpsampleOp : ONNX_Op<"Upsample", "T.:T", "SameRank"> {
  let summary = "resampling before Resize";
  let description = [{
    An operator of opsets 7 to 9 that `onnx-normalize-opset` replaces by
    `onnx.Resize` with `asymmetric` coordinates. Opset 7 has `scales` as an
    attribute.

    ```mlir
    %y = onnx.Upsample(%x, %scales) : (tensor<1x3x4x4xf32>, tensor<4xf32>) -> tensor<1x3x8x8xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$X, ONNX_Opt<ONNX_F32>:$scales,
                   ONNX_Str<"nearest">:$mode);
  let results = (outs ONNX_Any:$Y);
}

def ONNX_ScatterOp : ONNX_Op<"Scatter", "T.T:T", "SameShape"> {
  let summary = "the former name of ScatterElements";
  let description = [{
    An operator of opsets 9 and 10 that `onnx-normalize-opset` replaces by
    `onnx.ScatterElements`.

    ```mlir
    %y = onnx.Scatter(%x, %i, %u) : (tensor<3x3xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<3x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$data, ONNX_Index:$indices, ONNX_Any:$updates,
                   ONNX_Int<0>:$axis);
  let results = (outs ONNX_Any:$output);
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXTENSOROPS_TD
