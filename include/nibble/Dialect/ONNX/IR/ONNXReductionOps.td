//===- ONNXReductionOps.td - Reductions and normalized exponentials *- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXREDUCTIONOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXREDUCTIONOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

//===----------------------------------------------------------------------===//
// Reductions over axes
//===----------------------------------------------------------------------===//

class ONNX_ReduceOp<string mnemonic, Type type, string title, string formula>
    : ONNX_Op<mnemonic, "T.:T", "Reduce"> {
  let summary = title;
  let description = "Reduces the elements x along `axes`: `" # formula # [{`.
    `axes` is a constant or computed 1-D tensor; negative axes count from the
    end. Without axes (absent or empty) all are reduced, unless
    `noop_with_empty_axes` is 1: then nothing is. With `keepdims` the reduced
    dimensions stay with size one.

    ```mlir
    %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
    %y = onnx.}] # mnemonic # [{(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2x1xf32>
    ```
  }];
  let arguments = (ins type:$data, ONNX_Opt<ONNX_I64>:$axes,
                   ONNX_Int<1>:$keepdims, ONNX_Int<0>:$noop_with_empty_axes);
  let results = (outs type:$reduced);
}

def ONNX_ReduceL1Op
    : ONNX_ReduceOp<"ReduceL1", ONNX_Num, "sum of absolute values", "y = sum |x|">;
def ONNX_ReduceL2Op
    : ONNX_ReduceOp<"ReduceL2", ONNX_Num, "Euclidean norm", "y = sqrt(sum x^2)">;
def ONNX_ReduceLogSumOp
    : ONNX_ReduceOp<"ReduceLogSum", ONNX_Num, "logarithm of the sum", "y = ln(sum x)">;
def ONNX_ReduceLogSumExpOp
    : ONNX_ReduceOp<"ReduceLogSumExp", ONNX_Num, "logarithm of the sum of exponentials", "y = ln(sum e^x)">;
def ONNX_ReduceMaxOp
    : ONNX_ReduceOp<"ReduceMax", ONNX_Any, "maximum", "y = max x">;
def ONNX_ReduceMeanOp
    : ONNX_ReduceOp<"ReduceMean", ONNX_Num, "mean", "y = (sum x) / count">;
def ONNX_ReduceMinOp
    : ONNX_ReduceOp<"ReduceMin", ONNX_Any, "minimum", "y = min x">;
def ONNX_ReduceProdOp
    : ONNX_ReduceOp<"ReduceProd", ONNX_Num, "product", "y = product of x">;
def ONNX_ReduceSumOp
    : ONNX_ReduceOp<"ReduceSum", ONNX_Num, "sum", "y = sum x">;
def ONNX_ReduceSumSquareOp
    : ONNX_ReduceOp<"ReduceSumSquare", ONNX_Num, "sum of squares", "y = sum x^2">;

class ONNX_ArgOp<string mnemonic, string title>
    : ONNX_Op<mnemonic, ".:l", "Arg"> {
  let summary = title;
  let description = "Index along `axis` of the " # title # [{. Of several equal
    elements the first is taken, or the last when `select_last_index` is 1.
    With `keepdims` the dimension stays with size one.

    ```mlir
    %i = onnx.}] # mnemonic # [{(%x) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<2x3xf32>) -> tensor<2xi64>
    ```
  }];
  let arguments = (ins ONNX_Num:$data, ONNX_Int<0>:$axis, ONNX_Int<1>:$keepdims,
                   ONNX_Int<0>:$select_last_index);
  let results = (outs ONNX_I64:$reduced);
  let hasVerifier = 1;
}
def ONNX_ArgMaxOp : ONNX_ArgOp<"ArgMax", "largest element">;
def ONNX_ArgMinOp : ONNX_ArgOp<"ArgMin", "smallest element">;

class ONNX_CumulativeOp<string mnemonic, string title, string formula>
    : ONNX_Op<mnemonic, "T.:T", "SameShape"> {
  let summary = title;
  let description = "The " # formula # [{ of the elements up to each position
    along `axis` (a scalar operand), or only before it when `exclusive` is 1;
    from the end when `reverse` is 1.

    ```mlir
    %y = onnx.}] # mnemonic # [{(%x, %axis) {exclusive = 1 : i64} : (tensor<5xf32>, tensor<i32>) -> tensor<5xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$x, ONNX_Index:$axis, ONNX_Int<0>:$exclusive,
                   ONNX_Int<0>:$reverse);
  let results = (outs ONNX_Num:$y);
}
def ONNX_CumSumOp : ONNX_CumulativeOp<"CumSum", "running sum", "sum">;
def ONNX_CumProdOp : ONNX_CumulativeOp<"CumProd", "running product", "product">;

def ONNX_TopKOp : ONNX_Op<"TopK", "T.:Tl"> {
  let summary = "the k largest or smallest elements";
  let description = [{
    The `K[0]` largest (or smallest, when `largest` is 0) elements along `axis`
    and their indices; in order when `sorted` is 1. Of equal elements the one
    with the lower index comes first.

    ```mlir
    %v, %i = onnx.TopK(%x, %k) : (tensor<2x9xf32>, tensor<1xi64>) -> (tensor<2x3xf32>, tensor<2x3xi64>)
    ```
  }];
  let arguments = (ins ONNX_Num:$X, ONNX_Opt<ONNX_I64>:$K, ONNX_Int<-1>:$axis,
                   ONNX_Int<1>:$largest, ONNX_Int<1>:$sorted);
  let results = (outs ONNX_Num:$Values, ONNX_I64:$Indices);
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Normalized exponentials
//===----------------------------------------------------------------------===//

class ONNX_SoftmaxLikeOp<string mnemonic, string title, string formula>
    : ONNX_Op<mnemonic, "T:T", "SameShape"> {
  let summary = title;
  let description = "Along `axis`: `" # formula # [{`.

    ```mlir
    %y = onnx.}] # mnemonic # [{(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
    ```
  }];
  // Kept absent when it is: before opset 13 the default was 1.
  let arguments = (ins ONNX_Float:$input,
                   DefaultValuedOptionalAttr<ONNX_I64Attr, "-1">:$axis);
  let results = (outs ONNX_Float:$output);
  let hasVerifier = 1;
}
def ONNX_SoftmaxOp
    : ONNX_SoftmaxLikeOp<"Softmax", "normalized exponential",
                         "y = e^x / sum e^x">;
def ONNX_LogSoftmaxOp
    : ONNX_SoftmaxLikeOp<"LogSoftmax", "logarithm of the softmax",
                         "y = x - ln(sum e^x)">;
def ONNX_HardmaxOp
    : ONNX_SoftmaxLikeOp<"Hardmax", "indicator of the maximum",
                         "y = 1 at the first largest element, else 0">;

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXREDUCTIONOPS_TD
