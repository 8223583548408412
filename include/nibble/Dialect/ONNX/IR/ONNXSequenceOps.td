//===- ONNXSequenceOps.td - Sequences, optionals, strings --*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXSEQUENCEOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXSEQUENCEOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

//===----------------------------------------------------------------------===//
// Sequences
//===----------------------------------------------------------------------===//

def ONNX_SequenceConstructOp : ONNX_Op<"SequenceConstruct", ".:."> {
  let summary = "a sequence of the operands";
  let description = [{
    ```mlir
    %s = onnx.SequenceConstruct(%a, %b) : (tensor<2xf32>, tensor<3xf32>) -> !onnx.seq<tensor<?xf32>>
    ```
  }];
  let arguments = (ins Variadic<ONNX_Any>:$inputs);
  let results = (outs ONNX_Seq:$output_sequence);
}

def ONNX_SequenceEmptyOp : ONNX_Op<"SequenceEmpty", ":."> {
  let summary = "a sequence without elements";
  let description = [{
    `dtype` is the ONNX number of the tensors' element type, float if absent.

    ```mlir
    %s = onnx.SequenceEmpty() {dtype = 7 : i64} : () -> !onnx.seq<tensor<*xi64>>
    ```
  }];
  let arguments = (ins ONNX_Int<1>:$dtype);
  let results = (outs ONNX_Seq:$output);
  let hasVerifier = 1;
}

def ONNX_SequenceInsertOp : ONNX_Op<"SequenceInsert", "...:."> {
  let summary = "a sequence with one more element";
  let description = [{
    The tensor comes before the element at `position` (negative: from the end),
    or last without a position.

    ```mlir
    %t = onnx.SequenceInsert(%s, %a, %none) : (!onnx.seq<tensor<?xf32>>, tensor<2xf32>, none) -> !onnx.seq<tensor<?xf32>>
    ```
  }];
  let arguments = (ins ONNX_Seq:$input_sequence, ONNX_Any:$tensor,
                       ONNX_Opt<ONNX_Index>:$position);
  let results = (outs ONNX_Seq:$output_sequence);
}

def ONNX_SequenceEraseOp : ONNX_Op<"SequenceErase", "..:."> {
  let summary = "a sequence without one of its elements";
  let description = [{
    Removes the element at `position` (negative: from the end; absent: the
    last).

    ```mlir
    %t = onnx.SequenceErase(%s, %p) : (!onnx.seq<tensor<?xf32>>, tensor<i64>) -> !onnx.seq<tensor<?xf32>>
    ```
  }];
  let arguments = (ins ONNX_Seq:$input_sequence,
                       ONNX_Opt<ONNX_Index>:$position);
  let results = (outs ONNX_Seq:$output_sequence);
}

def ONNX_SequenceAtOp : ONNX_Op<"SequenceAt", "..:."> {
  let summary = "an element of a sequence";
  let description = [{
    ```mlir
    %a = onnx.SequenceAt(%s, %p) : (!onnx.seq<tensor<?xf32>>, tensor<i64>) -> tensor<?xf32>
    ```
  }];
  let arguments = (ins ONNX_Seq:$input_sequence, ONNX_Index:$position);
  let results = (outs ONNX_Any:$tensor);
}

def ONNX_SequenceLengthOp : ONNX_Op<"SequenceLength", ".:l"> {
  let summary = "the number of elements of a sequence";
  let description = [{
    ```mlir
    %n = onnx.SequenceLength(%s) : (!onnx.seq<tensor<?xf32>>) -> tensor<i64>
    ```
  }];
  let arguments = (ins ONNX_Seq:$input_sequence);
  let results = (outs ONNX_I64:$length);
}

def ONNX_SplitToSequenceOp : ONNX_Op<"SplitToSequence", "..:."> {
  let summary = "a sequence of parts of a tensor";
  let description = [{
    Splits along `axis` into parts of the sizes `split`, or of one size for all
    but the last if it is a scalar, or into parts of size 1 if it is absent;
    these lose the dimension if `keepdims` is 0.

    ```mlir
    %s = onnx.SplitToSequence(%x, %none) : (tensor<4x2xf32>, none) -> !onnx.seq<tensor<1x2xf32>>
    ```
  }];
  let arguments = (ins ONNX_Any:$input, ONNX_Opt<ONNX_Index>:$split,
                       ONNX_Int<0>:$axis, ONNX_Int<1>:$keepdims);
  let results = (outs ONNX_Seq:$output_sequence);
}

def ONNX_ConcatFromSequenceOp : ONNX_Op<"ConcatFromSequence", ".:."> {
  let summary = "the elements of a sequence joined to a tensor";
  let description = [{
    Along `axis`, which is a new one if `new_axis` is 1.

    ```mlir
    %y = onnx.ConcatFromSequence(%s) {axis = 0 : i64} : (!onnx.seq<tensor<1x2xf32>>) -> tensor<?x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Seq:$input_sequence, ONNX_I64Attr:$axis,
                       ONNX_Int<0>:$new_axis);
  let results = (outs ONNX_Any:$concat_result);
}

//===----------------------------------------------------------------------===//
// Optionals
//===----------------------------------------------------------------------===//

def ONNX_OptionalOp : ONNX_Op<"Optional", ".:."> {
  let summary = "a value that may be absent";
  let description = [{
    Holds the operand, or nothing of type `type` if the operand is absent.

    ```mlir
    %o = onnx.Optional(%a) : (tensor<2xf32>) -> !onnx.optional<tensor<2xf32>>
    ```
  }];
  let arguments = (ins ONNX_Opt<ONNX_Value>:$input,
                       OptionalAttr<TypeAttr>:$type);
  let results = (outs ONNX_Value:$output);
}

def ONNX_OptionalHasElementOp : ONNX_Op<"OptionalHasElement", ".:b"> {
  let summary = "whether an optional value is there";
  let description = [{
    True for a tensor or a sequence, false for an absent operand.

    ```mlir
    %b = onnx.OptionalHasElement(%o) : (!onnx.optional<tensor<2xf32>>) -> tensor<i1>
    ```
  }];
  let arguments = (ins ONNX_Opt<ONNX_Value>:$input);
  let results = (outs ONNX_Bool:$output);
}

def ONNX_OptionalGetElementOp : ONNX_Op<"OptionalGetElement", ".:."> {
  let summary = "the value that an optional holds";
  let description = [{
    A tensor or a sequence is its own value. It is an error at run time if the
    value is absent.

    ```mlir
    %a = onnx.OptionalGetElement(%o) : (!onnx.optional<tensor<2xf32>>) -> tensor<2xf32>
    ```
  }];
  let arguments = (ins ONNX_Value:$input);
  let results = (outs ONNX_Value:$output);
}

//===----------------------------------------------------------------------===//
// Strings
//===----------------------------------------------------------------------===//

def ONNX_StringConcatOp : ONNX_Op<"StringConcat", "TT:T", "Broadcast"> {
  let summary = "strings joined element by element";
  let description = [{
    ```mlir
    %z = onnx.StringConcat(%x, %y) : (tensor<2x!onnx.string>, tensor<2x!onnx.string>) -> tensor<2x!onnx.string>
    ```
  }];
  let arguments = (ins ONNX_StringTensor:$X, ONNX_StringTensor:$Y);
  let results = (outs ONNX_StringTensor:$Z);
}

def ONNX_StringSplitOp : ONNX_Op<"StringSplit", "T:Tl"> {
  let summary = "strings cut at a delimiter";
  let description = [{
    Cuts every string at `delimiter` (absent or empty: at white space) at most
    `maxsplit` times. The parts are along a new last dimension, filled with
    empty strings; the second result counts them.

    ```mlir
    %y, %n = onnx.StringSplit(%x) {delimiter = "."} : (tensor<2x!onnx.string>) -> (tensor<2x?x!onnx.string>, tensor<2xi64>)
    ```
  }];
  let arguments = (ins ONNX_StringTensor:$X, ONNX_OptStr:$delimiter,
                       ONNX_OptInt:$maxsplit);
  let results = (outs ONNX_StringTensor:$Y, ONNX_I64:$Z);
}

def ONNX_RegexFullMatchOp : ONNX_Op<"RegexFullMatch", ".:b", "SameShape"> {
  let summary = "whether strings match a regular expression as a whole";
  let description = [{
    ```mlir
    %y = onnx.RegexFullMatch(%x) {pattern = "a+"} : (tensor<2x!onnx.string>) -> tensor<2xi1>
    ```
  }];
  let arguments = (ins ONNX_StringTensor:$X, ONNX_OptStr:$pattern);
  let results = (outs ONNX_Bool:$Y);
}

def ONNX_StringNormalizerOp : ONNX_Op<"StringNormalizer", "T:T"> {
  let summary = "strings without stop words, in one case";
  let description = [{
    Removes the `stopwords` from a tensor of shape [C] or [1, C] and changes the
    case of the others: `LOWER`, `UPPER` or `NONE`.

    ```mlir
    %y = onnx.StringNormalizer(%x) {stopwords = ["a"]} : (tensor<3x!onnx.string>) -> tensor<?x!onnx.string>
    ```
  }];
  let arguments = (ins ONNX_StringTensor:$X,
                       ONNX_Str<"NONE">:$case_change_action,
                       ONNX_Int<0>:$is_case_sensitive, ONNX_OptStr:$locale,
                       ONNX_OptStrs:$stopwords);
  let results = (outs ONNX_StringTensor:$Y);
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXSEQUENCEOPS_TD
