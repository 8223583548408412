// RUN: nibble-opt %s -split-input-file -verify-diagnostics | nibble-opt -split-input-file | FileCheck %s

// Scales that are codes, with an operand for what they stand for.

#nf4 = #nibble.scheme<nf4, group = 64, second = dynamic f32 x 256 offset>
#k4 = #nibble.scheme<int4, group = 32, scale = f16, second = f16 x 8, zero = minimum>
#k4panel = #nibble.scheme<int4, group = 32, scale = f16, second = f16 x 8, zero = minimum, packing = panel>

// CHECK-LABEL: func.func @rows(
func.func @rows(%x: tensor<?x128xf32>, %c: tensor<200x64xi8>, %s: tensor<200x2xi8>, %t: tensor<2x2xf32>) -> tensor<?x200xf32> {
  // CHECK: nibble.matmul %{{.+}} weight(%{{.+}}, %{{.+}} second %{{.+}}) {{.*}}scheme = #nibble.scheme<nf4, group = 64, scale = f32, second = dynamic f32 x 256 offset, packing = rows>
  %y = nibble.matmul %x weight(%c, %s second %t) {n = 200 : i64, k = 128 : i64, scheme = #nf4}
    : (tensor<?x128xf32>, tensor<200x64xi8>, tensor<200x2xi8>, tensor<2x2xf32>) -> tensor<?x200xf32>
  return %y : tensor<?x200xf32>
}

// Zeros that are minima are codes too; in panels `second` lies as scales do.
// CHECK-LABEL: func.func @minimum(
func.func @minimum(%c: tensor<3x128xi8>, %s: tensor<3x8xi8>, %z: tensor<3x8xi8>, %t: tensor<2x3xf16>,
                   %x: memref<?x256xf32>, %pc: memref<1x4096xi8>, %ps: memref<1x8x32xi8>, %pt: memref<2x1x1x32xf16>, %o: memref<?x3xf32>) -> tensor<3x256xf32> {
  // CHECK: nibble.dequantize %{{.+}}, %{{.+}} zeros %{{.+}} second %{{.+}} {{{.*}}second = f16 x 8, zero = minimum
  %w = nibble.dequantize %c, %s zeros %z second %t {scheme = #k4}
    : (tensor<3x128xi8>, tensor<3x8xi8>, tensor<3x8xi8>, tensor<2x3xf16>) -> tensor<3x256xf32>
  // CHECK: nibble.matmul {{.*}} second %{{.+}}) outs
  nibble.matmul %x weight(%pc, %ps zeros %ps second %pt) outs(%o) {n = 3 : i64, k = 256 : i64, scheme = #k4panel}
    : (memref<?x256xf32>, memref<1x4096xi8>, memref<1x8x32xi8>, memref<1x8x32xi8>, memref<2x1x1x32xf16>, memref<?x3xf32>) -> ()
  return %w : tensor<3x256xf32>
}

// -----

func.func @f(%ids: tensor<3xi64>, %c: tensor<6x32xi8>, %s: tensor<6x1xf32>, %t: tensor<2x1xf32>) {
  // expected-error @+1 {{expected scales of element type 'i8', got 'f32'}}
  %y = nibble.gather %ids weight(%c, %s second %t) {rows = 6 : i64, width = 64 : i64, scheme = #nibble.scheme<nf4, group = 64, second = dynamic f32 x 256 offset>}
    : (tensor<3xi64>, tensor<6x32xi8>, tensor<6x1xf32>, tensor<2x1xf32>) -> tensor<3x64xf32>
  return
}

// -----

func.func @f(%ids: tensor<3xi64>, %c: tensor<6x32xi8>, %s: tensor<6x1xi8>, %t: tensor<1x1xf32>) {
  // expected-error @+1 {{expected second of shape [2, 1], got [1, 1]}}
  %y = nibble.gather %ids weight(%c, %s second %t) {rows = 6 : i64, width = 64 : i64, scheme = #nibble.scheme<nf4, group = 64, second = dynamic f32 x 256 offset>}
    : (tensor<3xi64>, tensor<6x32xi8>, tensor<6x1xi8>, tensor<1x1xf32>) -> tensor<3x64xf32>
  return
}

// -----

func.func @f(%ids: tensor<3xi64>, %c: tensor<6x32xi8>, %s: tensor<6x1xi8>) {
  // expected-error @+1 {{expected second with #nibble.scheme<int4, group = 64, scale = f32, second = f32 x 256, packing = rows>, got none}}
  %y = nibble.gather %ids weight(%c, %s) {rows = 6 : i64, width = 64 : i64, scheme = #nibble.scheme<int4, group = 64, second = f32 x 256>}
    : (tensor<3xi64>, tensor<6x32xi8>, tensor<6x1xi8>) -> tensor<3x64xf32>
  return
}

// -----

func.func @f(%c: tensor<6x64xi8>, %s: tensor<6xf32>) {
  // expected-error @+1 {{expected one level of scales with packing plain}}
  %y = nibble.dequantize %c, %s {axis = 0 : i64, scheme = #nibble.scheme<int8, group = -1, second = f32 x 256, packing = plain>}
    : (tensor<6x64xi8>, tensor<6xf32>) -> tensor<6x64xf32>
  return
}
