//===- ONNXTrainingOps.td - Losses and optimizers ----------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXTRAININGOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXTRAININGOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

def ONNX_NegativeLogLikelihoodLossOp
    : ONNX_Op<"NegativeLogLikelihoodLoss", "T.T:T"> {
  let summary = "negative log likelihood";
  let description = [{
    `-weight[c] * input[n, c, ...]` for the class c that `target[n, ...]` names;
    zero where the target is `ignore_index`. `reduction` is `none`, `sum`, or
    `mean`, the sum over the sum of the weights.

    ```mlir
    %loss = onnx.NegativeLogLikelihoodLoss(%x, %t, %none) {reduction = "none"} : (tensor<3x5x6xf32>, tensor<3x6xi64>, none) -> tensor<3x6xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_Index:$target,
                   ONNX_Opt<ONNX_Float>:$weight, ONNX_OptInt:$ignore_index,
                   ONNX_Str<"mean">:$reduction);
  let results = (outs ONNX_Float:$loss);
  let hasVerifier = 1;
}

def ONNX_SoftmaxCrossEntropyLossOp
    : ONNX_Op<"SoftmaxCrossEntropyLoss", "T.T:TT"> {
  let summary = "cross entropy of a softmax";
  let description = [{
    The negative log likelihood of the logarithm of the softmax of `scores`
    along dimension 1, which is the second result.

    ```mlir
    %loss, %p = onnx.SoftmaxCrossEntropyLoss(%x, %t, %none) : (tensor<3x5xf32>, tensor<3xi64>, none) -> (tensor<f32>, tensor<3x5xf32>)
    ```
  }];
  let arguments = (ins ONNX_Float:$scores, ONNX_Index:$labels,
                   ONNX_Opt<ONNX_Float>:$weights, ONNX_OptInt:$ignore_index,
                   ONNX_Str<"mean">:$reduction);
  let results = (outs ONNX_Float:$output, ONNX_Opt<ONNX_Float>:$log_prob);
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Optimizers
//===----------------------------------------------------------------------===//

class ONNX_OptimizerOp<string mnemonic, string title, string state,
                       dag parameters>
    : ONNX_Op<"ai.onnx.preview.training." # mnemonic, ".l.:.", "Optimizer"> {
  let summary = title;
  let description = "One step with the rate `R` after `T` steps. The other "
    "operands are all variables X, all their gradients G and their " # state #
    [{, the results the new variables and states. `norm_coefficient * X` is
    added to the gradient.

    ```mlir
    %x1, %s1 = onnx.ai.onnx.preview.training.}] # mnemonic # [{(%r, %t, %x, %g, %s) ... : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>)
    ```
  }];
  let arguments = !con((ins ONNX_Float:$R, ONNX_I64:$T,
                        Variadic<ONNX_Float>:$inputs), parameters);
  let results = (outs Variadic<ONNX_Float>:$outputs);
}
def ONNX_AdagradOp
    : ONNX_OptimizerOp<"Adagrad", "adaptive gradient descent",
          "sums H of squared gradients: `H += G^2; X -= R / (1 + T decay_factor) * G / (sqrt(H) + epsilon)`",
          (ins ONNX_Real<"0.0f">:$decay_factor, ONNX_Real<"1.0e-6f">:$epsilon,
               ONNX_Real<"0.0f">:$norm_coefficient)>;
def ONNX_AdamOp
    : ONNX_OptimizerOp<"Adam", "adaptive moments",
          "averages V of the gradient and (as further operands) H of its square: `V = alpha V + (1 - alpha) G; H = beta H + (1 - beta) G^2; X -= R' V / (sqrt(H) + epsilon)`, where `R' = R sqrt(1 - beta^T) / (1 - alpha^T)` once T > 0, then `X *= 1 - norm_coefficient_post`",
          (ins ONNX_Real<"0.9f">:$alpha, ONNX_Real<"0.999f">:$beta,
               ONNX_Real<"1.0e-6f">:$epsilon,
               ONNX_Real<"0.0f">:$norm_coefficient,
               ONNX_Real<"0.0f">:$norm_coefficient_post)>;
def ONNX_MomentumOp
    : ONNX_OptimizerOp<"Momentum", "gradient descent with momentum",
          "momenta V: `V = alpha V + (T > 0 ? beta : 1) G; X -= R V`, or with the mode `nesterov` `X -= R (G + alpha V)`",
          (ins ONNX_F32Attr:$alpha, ONNX_F32Attr:$beta, StrAttr:$mode,
               ONNX_F32Attr:$norm_coefficient)>;

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXTRAININGOPS_TD
