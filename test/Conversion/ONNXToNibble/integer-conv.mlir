// A convolution between quantized tensors is one operation from bytes to bytes.
// RUN: nibble-opt %s -convert-onnx-integers-to-nibble | FileCheck %s

// Bias in units of the product stays in integers; the activation is taken in.
// CHECK-LABEL: func.func @conv
func.func @conv(%x: tensor<1x2x5x5xui8>) -> tensor<1x1x5x5xui8> {
  // CHECK-NOT: xf32>) -> tensor<1x
  // CHECK-DAG: %[[W:.*]] = nibble.constant dense<{{.*}}> : tensor<1x2x1x1xi8>
  // CHECK-DAG: %[[XZ:.*]] = nibble.constant dense<-126> : tensor<i8>
  // CHECK-DAG: %[[YZ:.*]] = nibble.constant dense<3> : tensor<i8>
  // CHECK-DAG: %[[B:.*]] = onnx.Constant {value = dense<40> : tensor<1xi32>}
  // CHECK-DAG: %[[X:.*]] = builtin.unrealized_conversion_cast %arg0 : tensor<1x2x5x5xui8> to tensor<1x2x5x5xi8>
  // CHECK: %[[Y:.*]] = nibble.conv_integer %[[X]] weight(%[[W]] scales {{.*}}) input_zero(%[[XZ]]) input_scale({{.*}}) bias(%[[B]]) output_scale({{.*}}) output_zero(%[[YZ]])
  // CHECK-SAME: activation = #nibble.activation<relu>
  // CHECK-SAME: layers = ["conv", "act"]
  // CHECK-SAME: unsigned_input, unsigned_output
  // CHECK-SAME: -> tensor<1x1x5x5xi8>
  // CHECK: %[[R:.*]] = builtin.unrealized_conversion_cast %[[Y]] : tensor<1x1x5x5xi8> to tensor<1x1x5x5xui8>
  // CHECK-NEXT: return %[[R]]
  %none = onnx.NoValue : none
  %xs = onnx.Constant {value = dense<0.5> : tensor<f32>} : tensor<f32>
  %xz = onnx.Constant {value = dense<130> : tensor<ui8>} : tensor<ui8>
  %yz = onnx.Constant {value = dense<3> : tensor<ui8>} : tensor<ui8>
  %w = onnx.Constant {value = dense<7> : tensor<1x2x1x1xi8>} : tensor<1x2x1x1xi8>
  %ws = onnx.Constant {value = dense<0.25> : tensor<1xf32>} : tensor<1xf32>
  %wz = onnx.Constant {value = dense<0> : tensor<1xi8>} : tensor<1xi8>
  %b = onnx.Constant {value = dense<40> : tensor<1xi32>} : tensor<1xi32>
  %bs = onnx.Constant {value = dense<0.125> : tensor<1xf32>} : tensor<1xf32>
  %dx = onnx.DequantizeLinear(%x, %xs, %xz) : (tensor<1x2x5x5xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x2x5x5xf32>
  %dw = onnx.DequantizeLinear(%w, %ws, %wz) {axis = 0 : i64} : (tensor<1x2x1x1xi8>, tensor<1xf32>, tensor<1xi8>) -> tensor<1x2x1x1xf32>
  %db = onnx.DequantizeLinear(%b, %bs, %none) {axis = 0 : i64} : (tensor<1xi32>, tensor<1xf32>, none) -> tensor<1xf32>
  %c = onnx.Conv(%dx, %dw, %db) {onnx.name = "conv"} : (tensor<1x2x5x5xf32>, tensor<1x2x1x1xf32>, tensor<1xf32>) -> tensor<1x1x5x5xf32>
  %r = onnx.Relu(%c) {onnx.name = "act"} : (tensor<1x1x5x5xf32>) -> tensor<1x1x5x5xf32>
  %y = onnx.QuantizeLinear(%r, %xs, %yz) : (tensor<1x1x5x5xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x1x5x5xui8>
  return %y : tensor<1x1x5x5xui8>
}

// A bias of other units is a float; without quantization the result is one too.
// CHECK-LABEL: func.func @float_result
func.func @float_result(%x: tensor<1x2x5x5xi8>, %b: tensor<1xf32>) -> tensor<1x1x5x5xf32> {
  // CHECK: nibble.conv_integer %arg0 weight({{.*}} scales {{.*}}) input_scale({{.*}}) bias(%arg1) {{.*}} -> tensor<1x1x5x5xf32>
  %none = onnx.NoValue : none
  %s = onnx.Constant {value = dense<0.5> : tensor<f32>} : tensor<f32>
  %w = onnx.Constant {value = dense<7> : tensor<1x2x1x1xi8>} : tensor<1x2x1x1xi8>
  %dx = onnx.DequantizeLinear(%x, %s, %none) : (tensor<1x2x5x5xi8>, tensor<f32>, none) -> tensor<1x2x5x5xf32>
  %dw = onnx.DequantizeLinear(%w, %s, %none) : (tensor<1x2x1x1xi8>, tensor<f32>, none) -> tensor<1x2x1x1xf32>
  %c = onnx.Conv(%dx, %dw, %b) : (tensor<1x2x5x5xf32>, tensor<1x2x1x1xf32>, tensor<1xf32>) -> tensor<1x1x5x5xf32>
  return %c : tensor<1x1x5x5xf32>
}

// CHECK-LABEL: func.func @operator
func.func @operator(%x: tensor<1x2x5x5xui8>, %s: tensor<f32>, %z: tensor<ui8>, %w: tensor<3x2x1x1xi8>, %ws: tensor<3xf32>, %wz: tensor<3xi8>, %b: tensor<3xi32>) -> tensor<1x3x5x5xui8> {
  // CHECK: nibble.conv_integer {{.*}} weight(%arg3 zeros %arg5 scales %arg4) input_zero({{.*}}) input_scale(%arg1) bias(%arg6) output_scale(%arg1) output_zero
  %y = onnx.QLinearConv(%x, %s, %z, %w, %ws, %wz, %s, %z, %b) : (tensor<1x2x5x5xui8>, tensor<f32>, tensor<ui8>, tensor<3x2x1x1xi8>, tensor<3xf32>, tensor<3xi8>, tensor<f32>, tensor<ui8>, tensor<3xi32>) -> tensor<1x3x5x5xui8>
  return %y : tensor<1x3x5x5xui8>
}
