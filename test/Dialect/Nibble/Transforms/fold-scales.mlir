// RUN: nibble-opt %s --nibble-fold-scales | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#channel = affine_map<(d0, d1) -> (d1)>

// Columns of a weight [K, N] are its rows in memory. The weight of the
// normalization takes the division, for both layers that read it.
// CHECK-LABEL: func.func @normalization(
func.func @normalization(%x: tensor<?x2xf32>, %r: tensor<?xf32>, %e: tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x1xf32>) {
  %gamma = nibble.constant {onnx.name = "gamma"} dense<[6.0, 8.0]> : tensor<2xf32>
  %v = nibble.constant dense<[[1.0, 2.0], [4.0, 8.0]]> : tensor<2x2xf32>
  %w = nibble.constant dense<[[3.0, 5.0]]> : tensor<1x2xf32>
  // CHECK: %[[G:.+]] = nibble.constant {onnx.name = "gamma"} dense<[3.000000e+00, 1.600000e+01]> : tensor<2xf32>
  // CHECK: %[[N:.+]] = linalg.generic {{.*}} ins(%{{.+}}, %{{.+}}, %[[G]] :
  // CHECK: %[[V:.+]] = nibble.constant dense<{{\[\[}}2.000000e+00, 4.000000e+00], [2.000000e+00, 4.000000e+00]]> : tensor<2x2xf32>
  // CHECK: nibble.matmul %[[N]] weight(%[[V]])
  // CHECK-NOT: input_scales
  // CHECK: %[[W:.+]] = nibble.constant dense<{{\[\[}}6.000000e+00, 2.500000e+00]]> : tensor<1x2xf32>
  // CHECK: nibble.matmul %[[N]] weight(%[[W]])
  %n = linalg.generic {indexing_maps = [#id, #row, #channel, #id], iterator_types = ["parallel", "parallel"]}
    ins(%x, %r, %gamma : tensor<?x2xf32>, tensor<?xf32>, tensor<2xf32>) outs(%e : tensor<?x2xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.mulf %0, %c : f32
    linalg.yield %1 : f32
  } -> tensor<?x2xf32>
  %y = nibble.matmul %n weight(%v) {n = 2 : i64, k = 2 : i64, layers = ["q"], nibble.input_scales = array<f32: 2.0, 0.5>}
    : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %z = nibble.matmul %n weight(%w) {n = 1 : i64, k = 2 : i64, transpose_weight, layers = ["k"], nibble.input_scales = array<f32: 2.0, 0.5>}
    : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xf32>
  return %y, %z : tensor<?x2xf32>, tensor<?x1xf32>
}

// silu(gate) * up: the output channels of up take the division, with its bias;
// those of gate are behind a function that is not linear.
// CHECK-LABEL: func.func @gated(
func.func @gated(%x: tensor<?x1xf32>, %e: tensor<?x2xf32>) -> tensor<?x1xf32> {
  %g = nibble.constant dense<[[1.0, 1.0]]> : tensor<1x2xf32>
  %u = nibble.constant dense<[[3.0, 5.0]]> : tensor<1x2xf32>
  %b = nibble.constant dense<[8.0, 4.0]> : tensor<2xf32>
  %d = nibble.constant dense<[[7.0], [9.0]]> : tensor<2x1xf32>
  // CHECK: %[[G:.+]] = nibble.constant dense<1.000000e+00> : tensor<1x2xf32>
  // CHECK: %[[B:.+]] = nibble.constant dense<[2.000000e+00, 8.000000e+00]> : tensor<2xf32>
  // CHECK: %[[U:.+]] = nibble.constant dense<{{\[\[}}7.500000e-01, 1.000000e+01]]> : tensor<1x2xf32>
  // CHECK: nibble.matmul %{{.+}} weight(%[[U]]) bias(%[[B]])
  // CHECK: nibble.matmul %{{.+}} weight(%[[G]]) {activation
  %up = nibble.matmul %x weight(%u) bias(%b) {n = 2 : i64, k = 1 : i64, layers = ["up"]}
    : (tensor<?x1xf32>, tensor<1x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %gate = nibble.matmul %x weight(%g) {n = 2 : i64, k = 1 : i64, layers = ["gate"], activation = #nibble.activation<silu>}
    : (tensor<?x1xf32>, tensor<1x2xf32>) -> tensor<?x2xf32>
  %h = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
    ins(%up, %gate : tensor<?x2xf32>, tensor<?x2xf32>) outs(%e : tensor<?x2xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %0 = arith.mulf %l, %r : f32
    linalg.yield %0 : f32
  } -> tensor<?x2xf32>
  // CHECK: %[[D:.+]] = nibble.constant dense<{{\[\[}}2.800000e+01], [4.500000e+00]]> : tensor<2x1xf32>
  // CHECK: nibble.matmul %{{.+}} weight(%[[D]]) {k = 2 : i64, layers = ["down"]
  %y = nibble.matmul %h weight(%d) {n = 1 : i64, k = 2 : i64, layers = ["down"], nibble.input_scales = array<f32: 4.0, 0.5>}
    : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}
