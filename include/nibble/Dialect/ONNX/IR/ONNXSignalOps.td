//===- ONNXSignalOps.td - Signals and random numbers -------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXSIGNALOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXSIGNALOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

class ONNX_WindowOp<string mnemonic, string title, string formula>
    : ONNX_Op<mnemonic, ".:.", "SignalWindow"> {
  let summary = title;
  let description = "`" # formula # "`, with a = 2 pi n / N for 0 <= n < size." # [{
    N is `size`, or when `periodic` is 0 `size - 1`. `output_datatype` is the
    number of the element type.

    ```mlir
    %w = onnx.}] # mnemonic # [{(%size) : (tensor<i64>) -> tensor<?xf32>
    ```
  }];
  let arguments = (ins ONNX_Index:$size, ONNX_Int<1>:$output_datatype,
                   ONNX_Int<1>:$periodic);
  let results = (outs ONNX_Num:$output);
}
def ONNX_BlackmanWindowOp
    : ONNX_WindowOp<"BlackmanWindow", "Blackman window",
                    "0.42 - 0.5 cos(a) + 0.08 cos(2 a)">;
def ONNX_HammingWindowOp
    : ONNX_WindowOp<"HammingWindow", "Hamming window",
                    "25/46 - 21/46 cos(a)">;
def ONNX_HannWindowOp
    : ONNX_WindowOp<"HannWindow", "Hann window", "0.5 - 0.5 cos(a)">;

//===----------------------------------------------------------------------===//
// Fourier transforms
//===----------------------------------------------------------------------===//

def ONNX_DFTOp : ONNX_Op<"DFT", "T.l:T"> {
  let summary = "discrete Fourier transform";
  let description = [{
    Transforms along `axis` (default -2; not the last one). The last dimension
    holds real numbers (size 1) or complex ones (size 2). `dft_length` cuts or
    fills with zeros. `onesided` keeps the first half of the transform of a real
    signal, or with `inverse` makes a real signal from such a half.

    ```mlir
    %y = onnx.DFT(%x, %none, %axis) : (tensor<1x10x1xf32>, none, tensor<i64>) -> tensor<1x10x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_Opt<ONNX_Index>:$dft_length,
                   ONNX_Opt<ONNX_I64>:$axis, ONNX_Int<0>:$inverse,
                   ONNX_Int<0>:$onesided);
  let results = (outs ONNX_Float:$output);
}

def ONNX_STFTOp : ONNX_Op<"STFT", "T.T.:T"> {
  let summary = "Fourier transforms of a sliding window";
  let description = [{
    The transform of each frame of `frame_length` elements, times `window`, at
    every multiple of `frame_step`; the signal is (batch, length, 1 or 2), the
    result (batch, frames, frequencies, 2). `onesided` keeps frequencies up to
    half of the length.

    ```mlir
    %y = onnx.STFT(%x, %step, %none, %length) : (tensor<1x128x1xf32>, tensor<i64>, none, tensor<i64>) -> tensor<1x15x9x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$signal, ONNX_Index:$frame_step,
                   ONNX_Opt<ONNX_Float>:$window,
                   ONNX_Opt<ONNX_Index>:$frame_length, ONNX_Int<1>:$onesided);
  let results = (outs ONNX_Float:$output);
}

def ONNX_MelWeightMatrixOp : ONNX_Op<"MelWeightMatrix", ".....:."> {
  let summary = "weights from frequencies to mel bands";
  let description = [{
    A matrix (dft_length / 2 + 1, num_mel_bins) of triangles with peak 1 that
    are equally wide on the mel scale, `2595 log10(1 + f / 700)`.

    ```mlir
    %m = onnx.MelWeightMatrix(%bins, %length, %rate, %low, %high) : (tensor<i64>, tensor<i64>, tensor<i64>, tensor<f32>, tensor<f32>) -> tensor<9x8xf32>
    ```
  }];
  let arguments = (ins ONNX_Index:$num_mel_bins, ONNX_Index:$dft_length,
                   ONNX_Index:$sample_rate, ONNX_Float:$lower_edge_hertz,
                   ONNX_Float:$upper_edge_hertz, ONNX_Int<1>:$output_datatype);
  let results = (outs ONNX_Num:$output);
}

//===----------------------------------------------------------------------===//
// Random numbers
//===----------------------------------------------------------------------===//

// All are functions of their operands, the seed and the position of an element:
// a model gives the same results in every run. The generator is Squares
// (B. Widynski, 2020, arXiv:2004.06278) on the element's number, with a key made
// of the bits of `seed`, or without a seed of the layer's name.

def ONNX_BernoulliOp : ONNX_Op<"Bernoulli", ".:.", "RandomLike"> {
  let summary = "random zeros and ones";
  let description = [{
    One with the probability that the operand holds, else zero. `dtype` is the
    number of the element type of the result (absent: that of the operand).

    ```mlir
    %y = onnx.Bernoulli(%p) : (tensor<10xf32>) -> tensor<10xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_OptInt:$dtype,
                   ONNX_OptReal:$seed);
  let results = (outs AnyTypeOf<[ONNX_Num, ONNX_Bool]>:$output);
}

def ONNX_MultinomialOp : ONNX_Op<"Multinomial", ".:."> {
  let summary = "random classes";
  let description = [{
    `sample_size` classes for each row of unnormalized log probabilities
    (batch, classes). `dtype` is 6 (i32) or 7 (i64).

    ```mlir
    %y = onnx.Multinomial(%p) {sample_size = 4 : i64} : (tensor<2x10xf32>) -> tensor<2x4xi32>
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_Int<6>:$dtype,
                   ONNX_Int<1>:$sample_size, ONNX_OptReal:$seed);
  let results = (outs ONNX_Index:$output);
}

class ONNX_RandomOp<string mnemonic, string title, string from, string like,
                    dag range>
    : ONNX_Op<mnemonic, !if(!empty(like), ":.", ".:."),
              !if(!empty(like), "Random", "RandomLike")> {
  let summary = title;
  let description = "Random numbers of a distribution that is " # from # [{.
    `dtype` is the number of the element type.

    ```mlir
    %y = onnx.}] # mnemonic # !if(!empty(like),
        "() {shape = array<i64: 2, 3>} : () -> tensor<2x3xf32>",
        "(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>") # [{
    ```
  }];
  let arguments = !con(!if(!empty(like),
      (ins DenseI64ArrayAttr:$shape, ONNX_Int<1>:$dtype),
      (ins ONNX_Any:$input, ONNX_OptInt:$dtype)), range, (ins ONNX_OptReal:$seed));
  let results = (outs ONNX_Float:$output);
}
def ONNX_RandomNormalOp
    : ONNX_RandomOp<"RandomNormal", "normal random numbers",
          "normal, with `mean` and standard deviation `scale`", "",
          (ins ONNX_Real<"0.0f">:$mean, ONNX_Real<"1.0f">:$scale)>;
def ONNX_RandomNormalLikeOp
    : ONNX_RandomOp<"RandomNormalLike", "normal random numbers",
          "normal, with `mean` and standard deviation `scale`, in the shape of the operand",
          "like", (ins ONNX_Real<"0.0f">:$mean, ONNX_Real<"1.0f">:$scale)>;
def ONNX_RandomUniformOp
    : ONNX_RandomOp<"RandomUniform", "uniform random numbers",
          "uniform from `low` to `high`", "",
          (ins ONNX_Real<"1.0f">:$high, ONNX_Real<"0.0f">:$low)>;
def ONNX_RandomUniformLikeOp
    : ONNX_RandomOp<"RandomUniformLike", "uniform random numbers",
          "uniform from `low` to `high`, in the shape of the operand", "like",
          (ins ONNX_Real<"1.0f">:$high, ONNX_Real<"0.0f">:$low)>;

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXSIGNALOPS_TD
