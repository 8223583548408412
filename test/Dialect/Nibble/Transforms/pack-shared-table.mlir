// RUN: nibble-opt %s --nibble-pack-weights | FileCheck %s

#w8 = #nibble.scheme<int8, group = 2, scale = f16, packing = rows>
#w4 = #nibble.scheme<int4, group = 2, scale = f16, packing = rows>

// Embedding and head of a language model are one constant, in panels.
// CHECK-LABEL: func.func @float(
// CHECK: %[[W:.*]] = nibble.constant
// CHECK-NOT: nibble.constant
// CHECK: nibble.gather %{{.*}} weight(%[[W]]) {{.*}} : (tensor<2xi64>, tensor<1x3x32xf32>)
// CHECK: nibble.matmul %{{.*}} weight(%[[W]]) {{.*}}packed_float
func.func @float(%i: tensor<2xi64>) -> tensor<2x5xf32> {
  %t = nibble.constant dense<1.0> : tensor<5x3xf32>
  %x = nibble.gather %i weight(%t) {rows = 5 : i64, width = 3 : i64} : (tensor<2xi64>, tensor<5x3xf32>) -> tensor<2x3xf32>
  %y = nibble.matmul %x weight(%t) {transpose_weight, n = 5 : i64, k = 3 : i64} : (tensor<2x3xf32>, tensor<5x3xf32>) -> tensor<2x5xf32>
  return %y : tensor<2x5xf32>
}

// CHECK-LABEL: func.func @quantized(
// CHECK-COUNT-2: nibble.constant
// CHECK-NOT: nibble.constant
// CHECK: nibble.gather %{{.*}} weight(%[[C:.*]], %[[S:.*]]) {{.*}}packing = panel
// CHECK: nibble.matmul %{{.*}} weight(%[[C]], %[[S]]) {{.*}}packing = panel
func.func @quantized(%i: tensor<2xi64>) -> tensor<2x5xf32> {
  %c = nibble.constant dense<1> : tensor<5x3xi8>
  %s = nibble.constant dense<1.0> : tensor<5x2xf16>
  %x = nibble.gather %i weight(%c, %s) {rows = 5 : i64, width = 3 : i64, scheme = #w8} : (tensor<2xi64>, tensor<5x3xi8>, tensor<5x2xf16>) -> tensor<2x3xf32>
  %y = nibble.matmul %x weight(%c, %s) {n = 5 : i64, k = 3 : i64, scheme = #w8} : (tensor<2x3xf32>, tensor<5x3xi8>, tensor<5x2xf16>) -> tensor<2x5xf32>
  return %y : tensor<2x5xf32>
}

// One is float, the other has codes: nothing is shared.
// CHECK-LABEL: func.func @mixed(
// CHECK: nibble.gather %{{.*}} weight(%{{.*}}) {{.*}} : (tensor<2xi64>, tensor<5x3xf32>)
// CHECK: nibble.matmul {{.*}}packing = panel
func.func @mixed(%i: tensor<2xi64>) -> tensor<2x5xf32> {
  %t = nibble.constant dense<1.0> : tensor<5x3xf32>
  %c = nibble.constant dense<1> : tensor<5x2xi8>
  %s = nibble.constant dense<1.0> : tensor<5x2xf16>
  %x = nibble.gather %i weight(%t) {rows = 5 : i64, width = 3 : i64} : (tensor<2xi64>, tensor<5x3xf32>) -> tensor<2x3xf32>
  %y = nibble.matmul %x weight(%c, %s) {n = 5 : i64, k = 3 : i64, scheme = #w4} : (tensor<2x3xf32>, tensor<5x2xi8>, tensor<5x2xf16>) -> tensor<2x5xf32>
  return %y : tensor<2x5xf32>
}
