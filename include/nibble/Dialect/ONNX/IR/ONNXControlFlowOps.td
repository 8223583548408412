//===- ONNXControlFlowOps.td - Operators with subgraphs ----*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXCONTROLFLOWOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXCONTROLFLOWOPS_TD

include "mlir/Interfaces/ControlFlowInterfaces.td"
include "nibble/Dialect/ONNX/IR/ONNXBase.td"

/// Subgraphs are regions of one block that ends with `onnx.Yield`. They may use
/// values from outside.
class ONNX_RegionOp<string mnemonic, string types>
    : ONNX_OpBase<mnemonic, types, "",
                  [RecursiveMemoryEffects, RecursivelySpeculatable]> {
  let hasVerifier = 1;
}

def ONNX_YieldOp : Op<ONNX_Dialect, "Yield", [Pure, ReturnLike, Terminator,
    ParentOneOf<["FlexAttentionOp", "IfOp", "LoopOp", "ScanOp",
                 "SequenceMapOp"]>]> {
  let summary = "end of a subgraph";
  let description = [{
    Its operands are the subgraph's outputs. Not an ONNX operator.

    ```mlir
    onnx.Yield(%a) : tensor<2xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$outputs);
  let assemblyFormat = "`(` $outputs `)` attr-dict (`:` type($outputs)^)?";
}

def ONNX_IfOp : ONNX_RegionOp<"If", ".:."> {
  let summary = "one of two subgraphs";
  let description = [{
    The outputs of `then_branch` if the one element of `cond` is true, else
    those of `else_branch`. The branches take no arguments.

    ```mlir
    %y = onnx.If(%c) then {
      onnx.Yield(%a) : tensor<2xf32>
    } else {
      onnx.Yield(%b) : tensor<2xf32>
    } : (tensor<i1>) -> tensor<2xf32>
    ```
  }];
  let arguments = (ins ONNX_Bool:$cond);
  let results = (outs Variadic<ONNX_Opt<ONNX_Value>>:$outputs);
  let regions = (region SizedRegion<1>:$then_branch,
                 SizedRegion<1>:$else_branch);
  let assemblyFormat = [{
    `(` $cond `)` `then` $then_branch `else` $else_branch
    attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def ONNX_LoopOp : ONNX_RegionOp<"Loop", "...:."> {
  let summary = "a subgraph repeated";
  let description = [{
    Runs `body` while the count is below `M` (absent: no limit) and the
    condition holds (absent: true). The body gets the iteration number, the
    condition and the carried values, and yields the next condition, the next
    carried values and scan outputs. The results are the last carried values and
    the scan outputs of all iterations, stacked along a new first dimension.

    ```mlir
    %sum = onnx.Loop(%n, %none, %zero) {
    ^bb0(%i: tensor<i64>, %c: tensor<i1>, %acc: tensor<f32>):
      %next = onnx.Add(%acc, %step) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      onnx.Yield(%c, %next) : tensor<i1>, tensor<f32>
    } : (tensor<i64>, none, tensor<f32>) -> tensor<f32>
    ```
  }];
  let arguments = (ins ONNX_Opt<ONNX_I64>:$M, ONNX_Opt<ONNX_Bool>:$cond,
                   Variadic<AnyType>:$v_initial);
  let results = (outs Variadic<ONNX_Opt<ONNX_Value>>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `(` operands `)` $body attr-dict `:` functional-type(operands, results)
  }];
}

def ONNX_ScanOp : ONNX_RegionOp<"Scan", ".:."> {
  let summary = "a subgraph over slices";
  let description = [{
    Runs `body` once for each slice of the last `num_scan_inputs` operands along
    `scan_input_axes` (direction 1: from the end), carrying the state that the
    other operands start. The body gets the state and the slices and yields the
    next state and scan outputs, which are stacked along `scan_output_axes`.

    ```mlir
    %last, %all = onnx.Scan(%init, %x) {
    ^bb0(%acc: tensor<2xf32>, %s: tensor<2xf32>):
      %next = onnx.Add(%acc, %s) : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
      onnx.Yield(%next, %next) : tensor<2xf32>, tensor<2xf32>
    } {num_scan_inputs = 1 : i64} : (tensor<2xf32>, tensor<5x2xf32>) -> (tensor<2xf32>, tensor<5x2xf32>)
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$inputs, ONNX_I64Attr:$num_scan_inputs,
                   ONNX_OptInts:$scan_input_axes,
                   ONNX_OptInts:$scan_input_directions,
                   ONNX_OptInts:$scan_output_axes,
                   ONNX_OptInts:$scan_output_directions);
  let results = (outs Variadic<ONNX_Opt<ONNX_Value>>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `(` operands `)` $body attr-dict `:` functional-type(operands, results)
  }];
}

def ONNX_SequenceMapOp : ONNX_RegionOp<"SequenceMap", ".:."> {
  let summary = "a subgraph over the elements of sequences";
  let description = [{
    Runs `body` once for each element of the first operand, a sequence. The body
    gets this element, the elements at the same place of the other sequences,
    and the tensors as they are. Each of its outputs makes a sequence.

    ```mlir
    %y = onnx.SequenceMap(%s) {
    ^bb0(%a: tensor<2xf32>):
      %b = onnx.Neg(%a) : (tensor<2xf32>) -> tensor<2xf32>
      onnx.Yield(%b) : tensor<2xf32>
    } : (!onnx.seq<tensor<2xf32>>) -> !onnx.seq<tensor<2xf32>>
    ```
  }];
  let arguments = (ins Variadic<ONNX_Value>:$inputs);
  let results = (outs Variadic<ONNX_Seq>:$out_sequence);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `(` operands `)` $body attr-dict `:` functional-type(operands, results)
  }];
}

def ONNX_FlexAttentionOp
    : ONNX_RegionOp<"ai.onnx.preview.FlexAttention", "TTT:T"> {
  let summary = "attention with subgraphs that change scores and weights";
  let description = [{
    `Y = prob_mod(softmax(score_mod(scale * Q K^T))) V` per head for operands of
    shape (batch, heads, length, size); fewer key-value heads than query heads
    are repeated. Either subgraph may be empty. Scores have the type that
    `softmax_precision` numbers (absent: f32, for f64 operands f64), `scale`
    defaults to 1/sqrt(size).

    ```mlir
    %y = onnx.ai.onnx.preview.FlexAttention(%q, %k, %v) score_mod {
    ^bb0(%s: tensor<1x2x3x3xf32>):
      %t = onnx.Tanh(%s) : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32>
      onnx.Yield(%t) : tensor<1x2x3x3xf32>
    } prob_mod {
    } : (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$Q, ONNX_Float:$K, ONNX_Float:$V,
                       ONNX_OptReal:$scale, ONNX_OptInt:$softmax_precision);
  let results = (outs ONNX_Float:$Y);
  let regions = (region AnyRegion:$score_mod, AnyRegion:$prob_mod);
  let assemblyFormat = [{
    `(` operands `)` `score_mod` $score_mod `prob_mod` $prob_mod
    attr-dict `:` functional-type(operands, results)
  }];
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXCONTROLFLOWOPS_TD
