//===- ONNXMLOps.td - Operators of classical machine learning -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXMLOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXMLOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

class ONNX_MLOp<string mnemonic, string types, string inferWith = "">
    : ONNX_Op<"ai.onnx.ml." # mnemonic, types, inferWith>;

def ONNX_ArrayFeatureExtractorOp : ONNX_MLOp<"ArrayFeatureExtractor", "Tl:T"> {
  let summary = "chosen elements of the last dimension";
  let description = [{
    The elements `Y` of the last dimension of X.

    ```mlir
    %z = onnx.ai.onnx.ml.ArrayFeatureExtractor(%x, %y) : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<3x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$X, ONNX_I64:$Y);
  let results = (outs ONNX_Any:$Z);
}

def ONNX_BinarizerOp : ONNX_MLOp<"Binarizer", "T:T", "SameShape"> {
  let summary = "comparison with a threshold";
  let description = [{
    For every element: `y = 1 if x > threshold, else 0`.

    ```mlir
    %y = onnx.ai.onnx.ml.Binarizer(%x) {threshold = 0.5 : f32} : (tensor<3x4xf32>) -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$X, ONNX_Real<"0.0f">:$threshold);
  let results = (outs ONNX_Num:$Y);
}

def ONNX_ScalerOp : ONNX_MLOp<"Scaler", ".:f", "SameShape"> {
  let summary = "features shifted and scaled";
  let description = [{
    `y = (x - offset) * scale`, one offset and scale for all features (the last
    dimension) or one for each.

    ```mlir
    %y = onnx.ai.onnx.ml.Scaler(%x) {offset = array<f32: 1.0>, scale = array<f32: 2.0>} : (tensor<3x4xf32>) -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$X, ONNX_OptReals:$offset, ONNX_OptReals:$scale);
  let results = (outs ONNX_F32:$Y);
}

def ONNX_NormalizerOp : ONNX_MLOp<"Normalizer", ".:f", "SameShape"> {
  let summary = "rows divided by their norm";
  let description = [{
    Divides each row (last dimension) by its largest absolute value (`MAX`), the
    sum of them (`L1`) or its Euclidean norm (`L2`); a row of zeros stays.

    ```mlir
    %y = onnx.ai.onnx.ml.Normalizer(%x) {norm = "L2"} : (tensor<3x4xf32>) -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$X, ONNX_Str<"MAX">:$norm);
  let results = (outs ONNX_F32:$Y);
  let hasVerifier = 1;
}

def ONNX_ImputerOp : ONNX_MLOp<"Imputer", "T:T", "SameShape"> {
  let summary = "missing values filled in";
  let description = [{
    Replaces elements that equal `replaced_value_float` (also NaN) or
    `replaced_value_int64` by the imputed value of all features or of theirs.

    ```mlir
    %y = onnx.ai.onnx.ml.Imputer(%x) {imputed_value_floats = array<f32: 1.0>} : (tensor<3x4xf32>) -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$X, ONNX_OptReals:$imputed_value_floats,
                   ONNX_OptInts:$imputed_value_int64s,
                   ONNX_Real<"0.0f">:$replaced_value_float,
                   ONNX_Int<0>:$replaced_value_int64);
  let results = (outs ONNX_Num:$Y);
}

def ONNX_LinearRegressorOp : ONNX_MLOp<"LinearRegressor", ".:f"> {
  let summary = "linear regression";
  let description = [{
    `y = x coefficients' + intercepts` for each of `targets` rows of
    coefficients.

    ```mlir
    %y = onnx.ai.onnx.ml.LinearRegressor(%x) {coefficients = array<f32: 1.0, 2.0>} : (tensor<3x2xf32>) -> tensor<3x1xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$X, ONNX_OptReals:$coefficients,
                   ONNX_OptReals:$intercepts, ONNX_Str<"NONE">:$post_transform,
                   ONNX_Int<1>:$targets);
  let results = (outs ONNX_F32:$Y);
}

def ONNX_TreeEnsembleOp : ONNX_MLOp<"TreeEnsemble", "T:T"> {
  let summary = "sums over decision trees";
  let description = [{
    For each row of X every tree is walked from its root: node i compares
    feature `nodes_featureids[i]` with `nodes_splits[i]` by the mode
    `nodes_modes[i]` (0 <=, 1 <, 2 >=, 3 >, 4 ==, 5 !=, 6 member of the next list
    of `membership_values`, which NaN separates) and goes on to
    `nodes_truenodeids[i]` or `nodes_falsenodeids[i]`, a leaf where the matching
    `leafs` flag is set. The weights of the leaves that are reached are combined
    by `aggregate_function`: 0 average, 1 sum, 2 minimum, 3 maximum.

    ```mlir
    %y = onnx.ai.onnx.ml.TreeEnsemble(%x) {...} : (tensor<3x2xf32>) -> tensor<3x2xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Int<1>:$aggregate_function,
                   DenseI64ArrayAttr:$leaf_targetids,
                   ElementsAttr:$leaf_weights,
                   OptionalAttr<ElementsAttr>:$membership_values,
                   ONNX_OptInt:$n_targets,
                   DenseI64ArrayAttr:$nodes_falseleafs,
                   DenseI64ArrayAttr:$nodes_falsenodeids,
                   DenseI64ArrayAttr:$nodes_featureids,
                   OptionalAttr<ElementsAttr>:$nodes_hitrates,
                   OptionalAttr<ElementsAttr>:$nodes_missing_value_tracks_true,
                   ElementsAttr:$nodes_modes, ElementsAttr:$nodes_splits,
                   DenseI64ArrayAttr:$nodes_trueleafs,
                   DenseI64ArrayAttr:$nodes_truenodeids,
                   ONNX_Int<0>:$post_transform,
                   DenseI64ArrayAttr:$tree_roots);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_TfIdfVectorizerOp : ONNX_Op<"TfIdfVectorizer", ".:f"> {
  let summary = "counts of n-grams";
  let description = [{
    Counts in each row of X the n-grams of `pool_int64s` (or `pool_strings`),
    whose starts by length are `ngram_counts`, with up to `max_skip_count`
    elements left out between neighbours. Entry `ngram_indexes[i]` of the result
    is the count of n-gram i (`TF`), its weight where it occurs (`IDF`), or both
    multiplied (`TFIDF`).

    ```mlir
    %y = onnx.TfIdfVectorizer(%x) {...} : (tensor<12xi64>) -> tensor<7xf32>
    ```
  }];
  let arguments = (ins ONNX_Any:$X, ONNX_I64Attr:$max_gram_length,
                   ONNX_I64Attr:$max_skip_count, ONNX_I64Attr:$min_gram_length,
                   StrAttr:$mode, DenseI64ArrayAttr:$ngram_counts,
                   DenseI64ArrayAttr:$ngram_indexes,
                   ONNX_OptInts:$pool_int64s, ONNX_OptStrs:$pool_strings,
                   ONNX_OptReals:$weights);
  let results = (outs ONNX_F32:$Y);
  let hasVerifier = 1;
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXMLOPS_TD
