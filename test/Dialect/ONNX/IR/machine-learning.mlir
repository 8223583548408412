// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @extract(
// CHECK: onnx.ai.onnx.ml.ArrayFeatureExtractor(%{{.*}}, %{{.*}}) : (tensor<3x4xf32>, tensor<1x2xi64>) -> tensor<3x2xf32>
func.func @extract(%x: tensor<3x4xf32>, %i: tensor<1x2xi64>) -> tensor<3x2xf32> {
  %y0 = onnx.ai.onnx.ml.ArrayFeatureExtractor(%x, %i) : (tensor<3x4xf32>, tensor<1x2xi64>) -> tensor<3x2xf32>
  return %y0 : tensor<3x2xf32>
}

// CHECK-LABEL: func @binarizer(
// CHECK: onnx.ai.onnx.ml.Binarizer(%{{.*}}) {threshold = 5.000000e-01 : f32} : (tensor<3x4xf32>) -> tensor<3x4xf32>
func.func @binarizer(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  %y0 = onnx.ai.onnx.ml.Binarizer(%x) {threshold = 5.000000e-01 : f32} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y0 : tensor<3x4xf32>
}

// CHECK-LABEL: func @scaler(
// CHECK: onnx.ai.onnx.ml.Scaler(%{{.*}}) {offset = array<f32: 1.000000e+00>} : (tensor<3x4xi64>) -> tensor<3x4xf32>
func.func @scaler(%x: tensor<3x4xi64>) -> tensor<3x4xf32> {
  %y0 = onnx.ai.onnx.ml.Scaler(%x) {offset = array<f32: 1.000000e+00>} : (tensor<3x4xi64>) -> tensor<3x4xf32>
  return %y0 : tensor<3x4xf32>
}

// CHECK-LABEL: func @normalizer(
// CHECK: onnx.ai.onnx.ml.Normalizer(%{{.*}}) {norm = "L2"} : (tensor<3x4xf32>) -> tensor<3x4xf32>
func.func @normalizer(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  %y0 = onnx.ai.onnx.ml.Normalizer(%x) {norm = "L2"} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y0 : tensor<3x4xf32>
}

// CHECK-LABEL: func @imputer(
// CHECK: onnx.ai.onnx.ml.Imputer(%{{.*}}) {imputed_value_floats = array<f32: 1.000000e+00>} : (tensor<3x4xf32>) -> tensor<3x4xf32>
func.func @imputer(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  %y0 = onnx.ai.onnx.ml.Imputer(%x) {imputed_value_floats = array<f32: 1.000000e+00>} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y0 : tensor<3x4xf32>
}

// CHECK-LABEL: func @regressor(
// CHECK: onnx.ai.onnx.ml.LinearRegressor(%{{.*}}) {coefficients = array<f32: 1.000000e+00, 2.000000e+00>} : (tensor<3x2xf32>) -> tensor<3x1xf32>
func.func @regressor(%x: tensor<3x2xf32>) -> tensor<3x1xf32> {
  %y0 = onnx.ai.onnx.ml.LinearRegressor(%x) {coefficients = array<f32: 1.000000e+00, 2.000000e+00>} : (tensor<3x2xf32>) -> tensor<3x1xf32>
  return %y0 : tensor<3x1xf32>
}

// CHECK-LABEL: func @tfidf(
// CHECK: onnx.TfIdfVectorizer(%{{.*}}) {max_gram_length = 1 : i64, max_skip_count = 0 : i64, min_gram_length = 1 : i64, mode = "TF", ngram_counts = array<i64: 0>, ngram_indexes = array<i64: 0, 1, 2>, pool_int64s = array<i64: 5, 6, 7>} : (tensor<2x12xi64>) -> tensor<2x3xf32>
func.func @tfidf(%x: tensor<2x12xi64>) -> tensor<2x3xf32> {
  %y0 = onnx.TfIdfVectorizer(%x) {max_gram_length = 1 : i64, max_skip_count = 0 : i64, min_gram_length = 1 : i64, mode = "TF", ngram_counts = array<i64: 0>, ngram_indexes = array<i64: 0, 1, 2>, pool_int64s = array<i64: 5, 6, 7>} : (tensor<2x12xi64>) -> tensor<2x3xf32>
  return %y0 : tensor<2x3xf32>
}
