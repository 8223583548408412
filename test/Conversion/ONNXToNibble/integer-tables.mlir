// A function of one tensor of bytes becomes a table of 256 codes.
// RUN: nibble-opt %s -convert-onnx-integers-to-nibble | FileCheck %s

// sigmoid(0) = 0.5 is code 128 of 1/256, in the table at code 3, which stands
// for 0; the table starts with sigmoid(-3) = 0.0474.
// CHECK-LABEL: func.func @sigmoid
func.func @sigmoid(%x: tensor<2x?xui8>) -> tensor<2x?xui8> {
  // CHECK: %[[T:.*]] = nibble.constant dense<"0x0C1F4580
  // CHECK-SAME: tensor<256xi8>
  // CHECK: %[[X:.*]] = builtin.unrealized_conversion_cast %arg0
  // CHECK: linalg.generic {{.*}} ins(%[[X]] : tensor<2x?xi8>)
  // CHECK: arith.index_castui
  // CHECK: tensor.extract %[[T]]
  %s = onnx.Constant {value = dense<1.0> : tensor<f32>} : tensor<f32>
  %z = onnx.Constant {value = dense<3> : tensor<ui8>} : tensor<ui8>
  %ys = onnx.Constant {value = dense<3.906250e-03> : tensor<f32>} : tensor<f32>
  %yz = onnx.Constant {value = dense<0> : tensor<ui8>} : tensor<ui8>
  %d = onnx.DequantizeLinear(%x, %s, %z) : (tensor<2x?xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x?xf32>
  %f = onnx.Sigmoid(%d) : (tensor<2x?xf32>) -> tensor<2x?xf32>
  %y = onnx.QuantizeLinear(%f, %ys, %yz) : (tensor<2x?xf32>, tensor<f32>, tensor<ui8>) -> tensor<2x?xui8>
  return %y : tensor<2x?xui8>
}

// x * sigmoid(x) reads one tensor twice.
// CHECK-LABEL: func.func @silu
func.func @silu(%x: tensor<4xi8>) -> tensor<4xi8> {
  // CHECK-NOT: onnx.Sigmoid
  // CHECK: linalg.generic
  // CHECK-NOT: onnx.QuantizeLinear
  %none = onnx.NoValue : none
  %s = onnx.Constant {value = dense<0.1> : tensor<f32>} : tensor<f32>
  %z = onnx.Constant {value = dense<-2> : tensor<i8>} : tensor<i8>
  %d = onnx.DequantizeLinear(%x, %s, %none) : (tensor<4xi8>, tensor<f32>, none) -> tensor<4xf32>
  %f = onnx.Sigmoid(%d) : (tensor<4xf32>) -> tensor<4xf32>
  %m = onnx.Mul(%d, %f) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y = onnx.QuantizeLinear(%m, %s, %z) : (tensor<4xf32>, tensor<f32>, tensor<i8>) -> tensor<4xi8>
  return %y : tensor<4xi8>
}

// A cheap function is left for a loop of vectors, one of two tensors for a loop.
// CHECK-LABEL: func.func @no_table
func.func @no_table(%x: tensor<4xi8>, %w: tensor<4xi8>) -> (tensor<4xi8>, tensor<4xi8>) {
  // CHECK: onnx.LeakyRelu
  // CHECK: onnx.QuantizeLinear
  // CHECK: onnx.Sigmoid
  // CHECK: onnx.QuantizeLinear
  %none = onnx.NoValue : none
  %s = onnx.Constant {value = dense<0.1> : tensor<f32>} : tensor<f32>
  %z = onnx.Constant {value = dense<-2> : tensor<i8>} : tensor<i8>
  %d = onnx.DequantizeLinear(%x, %s, %none) : (tensor<4xi8>, tensor<f32>, none) -> tensor<4xf32>
  %e = onnx.DequantizeLinear(%w, %s, %none) : (tensor<4xi8>, tensor<f32>, none) -> tensor<4xf32>
  %f = onnx.LeakyRelu(%d) : (tensor<4xf32>) -> tensor<4xf32>
  %a = onnx.QuantizeLinear(%f, %s, %z) : (tensor<4xf32>, tensor<f32>, tensor<i8>) -> tensor<4xi8>
  %g = onnx.Sigmoid(%d) : (tensor<4xf32>) -> tensor<4xf32>
  %m = onnx.Mul(%g, %e) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %b = onnx.QuantizeLinear(%m, %s, %z) : (tensor<4xf32>, tensor<f32>, tensor<i8>) -> tensor<4xi8>
  return %a, %b : tensor<4xi8>, tensor<4xi8>
}
