// Products of quantized matrices, and what quantization at run time writes.
// RUN: nibble-opt %s -convert-onnx-integers-to-nibble | FileCheck %s

// Conversion, both scales, and the bias of quantize_dynamic become one product.
// CHECK-LABEL: func.func @dynamic
func.func @dynamic(%x: tensor<2x3xf32>) -> tensor<2x4xf32> {
  // CHECK: %[[Q:.*]], %[[S:.*]], %[[Z:.*]] = onnx.DynamicQuantizeLinear(%arg0)
  // CHECK-DAG: %[[X8:.*]] = builtin.unrealized_conversion_cast %[[Q]]
  // CHECK-DAG: %[[Z8:.*]] = builtin.unrealized_conversion_cast %[[Z]]
  // CHECK: %[[Y:.*]] = nibble.matmul_integer %[[X8]] weight({{.*}} scales {{.*}}) input_zero(%[[Z8]]) input_scale(%[[S]]) bias(%{{[0-9]+}})
  // CHECK-SAME: layers = ["fc", "cast", "scale", "bias"]
  // CHECK-SAME: -> tensor<2x4xf32>
  // CHECK-NEXT: return %[[Y]]
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<5> : tensor<3x4xi8>} : tensor<3x4xi8>
  %ws = onnx.Constant {value = dense<[0.5, 1.0, 1.5, 2.0]> : tensor<4xf32>} : tensor<4xf32>
  %b = onnx.Constant {value = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>} : tensor<4xf32>
  %q, %s, %z = onnx.DynamicQuantizeLinear(%x) : (tensor<2x3xf32>) -> (tensor<2x3xui8>, tensor<f32>, tensor<ui8>)
  %p = onnx.MatMulInteger(%q, %w, %z, %none) {onnx.name = "fc"} : (tensor<2x3xui8>, tensor<3x4xi8>, tensor<ui8>, none) -> tensor<2x4xi32>
  %c = onnx.Cast(%p) {to = 1 : i64, onnx.name = "cast"} : (tensor<2x4xi32>) -> tensor<2x4xf32>
  %ss = onnx.Mul(%s, %ws) : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %m = onnx.Mul(%c, %ss) {onnx.name = "scale"} : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %y = onnx.Add(%m, %b) {onnx.name = "bias"} : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// A sum of its own stays one.
// CHECK-LABEL: func.func @sum
func.func @sum(%x: tensor<2x3xi8>, %w: tensor<3x4xui8>, %z: tensor<2xi8>) -> tensor<2x4xi32> {
  // CHECK: nibble.matmul_integer %arg0 weight({{.*}}) input_zero(%arg2) {{.*}}unsigned_weight{{.*}} -> tensor<2x4xi32>
  %none = onnx.NoValue : none
  %y = onnx.MatMulInteger(%x, %w, %z, %none) : (tensor<2x3xi8>, tensor<3x4xui8>, tensor<2xi8>, none) -> tensor<2x4xi32>
  return %y : tensor<2x4xi32>
}

// CHECK-LABEL: func.func @operator
func.func @operator(%x: tensor<2x3xui8>, %s: tensor<f32>, %z: tensor<ui8>, %w: tensor<3x4xi8>, %wz: tensor<i8>) -> tensor<2x4xui8> {
  // CHECK: nibble.matmul_integer {{.*}} weight(%arg3 zeros %arg4 scales %arg1) {{.*}} output_scale(%arg1)
  // CHECK-SAME: -> tensor<2x4xi8>
  %y = onnx.QLinearMatMul(%x, %s, %z, %w, %s, %wz, %s, %z) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<3x4xi8>, tensor<f32>, tensor<i8>, tensor<f32>, tensor<ui8>) -> tensor<2x4xui8>
  return %y : tensor<2x4xui8>
}

// Two activations: a matrix for each of the first; the transpose is looked through.
// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<1x2x3x4xi8>, %k: tensor<1x2x5x4xi8>, %s: tensor<f32>) -> tensor<1x2x3x5xf32> {
  // CHECK: nibble.matmul_integer %arg0 weight(%arg1 scales %arg2) input_scale(%arg2) {{.*}}transpose_weight{{.*}} -> tensor<1x2x3x5xf32>
  %none = onnx.NoValue : none
  %dq = onnx.DequantizeLinear(%q, %s, %none) : (tensor<1x2x3x4xi8>, tensor<f32>, none) -> tensor<1x2x3x4xf32>
  %dk = onnx.DequantizeLinear(%k, %s, %none) : (tensor<1x2x5x4xi8>, tensor<f32>, none) -> tensor<1x2x5x4xf32>
  %t = onnx.Transpose(%dk) {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x5x4xf32>) -> tensor<1x2x4x5xf32>
  %y = onnx.MatMul(%dq, %t) : (tensor<1x2x3x4xf32>, tensor<1x2x4x5xf32>) -> tensor<1x2x3x5xf32>
  return %y : tensor<1x2x3x5xf32>
}

// How many matrices there are is checked when the model runs.
// CHECK-LABEL: func.func @batches
func.func @batches(%q: tensor<?x3x4xi8>, %k: tensor<?x4x5xi8>, %s: tensor<f32>) -> tensor<?x3x5xf32> {
  // CHECK: cf.assert {{.*}}, "MatMul 'qk': dimension 0 of the operands differs"
  // CHECK: nibble.matmul_integer %arg0 weight(%arg1 scales %arg2)
  %none = onnx.NoValue : none
  %dq = onnx.DequantizeLinear(%q, %s, %none) : (tensor<?x3x4xi8>, tensor<f32>, none) -> tensor<?x3x4xf32>
  %dk = onnx.DequantizeLinear(%k, %s, %none) : (tensor<?x4x5xi8>, tensor<f32>, none) -> tensor<?x4x5xf32>
  %y = onnx.MatMul(%dq, %dk) {onnx.name = "qk"} : (tensor<?x3x4xf32>, tensor<?x4x5xf32>) -> tensor<?x3x5xf32>
  return %y : tensor<?x3x5xf32>
}
