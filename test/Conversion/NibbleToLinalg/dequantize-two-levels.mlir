// RUN: nibble-opt %s -convert-nibble-to-linalg | FileCheck %s

// Values of a codebook, and scales that are codes: with an offset for NF4, as
// multiples for minimums.

// CHECK-LABEL: func.func @nf4(
func.func @nf4(%c: tensor<3x64xi8>, %s: tensor<3x2xi8>, %t: tensor<2x1xf32>) -> tensor<3x128xf32> {
  // CHECK-DAG: %[[TABLE:.+]] = arith.constant dense<[-1.000000e+00, -0.6961928{{.*}}]> : tensor<16xf32>
  // CHECK-DAG: %[[MAP:.+]] = arith.constant dense<"{{.*}}"> : tensor<256xf32>
  // CHECK: linalg.generic
  // CHECK: tensor.extract %[[TABLE]]
  // CHECK: %[[CODE:.+]] = tensor.extract %arg1
  // CHECK: tensor.extract %[[MAP]]
  // CHECK: tensor.extract %arg2
  // CHECK: arith.mulf
  // CHECK: tensor.extract %arg2
  // CHECK: arith.addf
  %w = nibble.dequantize %c, %s second %t {scheme = #nibble.scheme<nf4, group = 64, second = dynamic f32 x 256 offset>}
    : (tensor<3x64xi8>, tensor<3x2xi8>, tensor<2x1xf32>) -> tensor<3x128xf32>
  return %w : tensor<3x128xf32>
}

// CHECK-LABEL: func.func @minimum(
func.func @minimum(%c: tensor<3x128xi8>, %s: tensor<3x8xi8>, %z: tensor<3x8xi8>, %t: tensor<2x3xf16>) -> tensor<3x256xf32> {
  // CHECK: linalg.generic
  // CHECK: tensor.extract %arg1
  // CHECK: tensor.extract %arg3
  // CHECK: tensor.extract %arg2
  // CHECK: tensor.extract %arg3
  // CHECK: arith.addf
  %w = nibble.dequantize %c, %s zeros %z second %t {scheme = #nibble.scheme<int4, group = 32, scale = f16, second = f16 x 8, zero = minimum>}
    : (tensor<3x128xi8>, tensor<3x8xi8>, tensor<3x8xi8>, tensor<2x3xf16>) -> tensor<3x256xf32>
  return %w : tensor<3x256xf32>
}
