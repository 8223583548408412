// RUN: nibble-opt %s --convert-nibble-to-linalg --canonicalize | FileCheck %s

#channel = #nibble.scheme<int8, group = -1, scale = f32, packing = plain>
#rows = #nibble.scheme<int3, group = 5, scale = f16, zero = integer, packing = rows>

// CHECK-DAG: #[[$AXIS:.+]] = affine_map<(d0, d1) -> (d1)>

// CHECK-LABEL: func.func @channels(
func.func @channels(%q: tensor<?x8xi8>, %s: tensor<8xf32>) -> tensor<?x8xf32> {
  // CHECK: linalg.generic {indexing_maps = [#{{.+}}, #[[$AXIS]], #{{.+}}]
  // CHECK: ^bb0(%[[C:.+]]: i8, %[[S:.+]]: f32, %{{.+}}: f32):
  // CHECK: %[[F:.+]] = arith.sitofp %[[C]]
  // CHECK: arith.mulf %[[F]], %[[S]]
  %w = nibble.dequantize %q, %s {scheme = #channel} : (tensor<?x8xi8>, tensor<8xf32>) -> tensor<?x8xf32>
  return %w : tensor<?x8xf32>
}

// A code of 3 bits may reach into the next byte; the last byte has none.
// CHECK-LABEL: func.func @bit_stream(
// CHECK-SAME: %[[CODES:.+]]: tensor<4x3xi8>, %[[SCALES:.+]]: tensor<4x2xf16>, %[[ZEROS:.+]]: tensor<4x2xi8>
func.func @bit_stream(%q: tensor<4x3xi8>, %s: tensor<4x2xf16>, %z: tensor<4x2xi8>) -> tensor<2x4x4xf32> {
  // CHECK: linalg.generic
  // CHECK: %[[ROW:.+]] = linalg.index 2
  // CHECK: %[[LOW:.+]] = tensor.extract %[[CODES]][%[[ROW]], %[[AT:.+]]]
  // CHECK: %[[NEXT:.+]] = arith.addi %[[AT]], %c1
  // CHECK: %[[LAST:.+]] = arith.minui %[[NEXT]], %c2
  // CHECK: tensor.extract %[[CODES]][%[[ROW]], %[[LAST]]]
  // CHECK: arith.andi %{{.+}}, %c7_i32
  // CHECK: tensor.extract %[[SCALES]][%[[ROW]], %[[GROUP:.+]]]
  // CHECK: %[[Z:.+]] = tensor.extract %[[ZEROS]][%[[ROW]], %[[GROUP]]]
  // CHECK: arith.uitofp %[[Z]]
  %w = nibble.dequantize %q, %s zeros %z {scheme = #rows, transpose}
    : (tensor<4x3xi8>, tensor<4x2xf16>, tensor<4x2xi8>) -> tensor<2x4x4xf32>
  return %w : tensor<2x4x4xf32>
}
