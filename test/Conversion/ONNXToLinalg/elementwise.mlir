// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// A size of 1 is read through a constant index; no copy is made of it.
// CHECK-DAG: #[[$ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[$ROW:.*]] = affine_map<(d0, d1) -> (0, d1)>
// CHECK-LABEL: func.func @broadcast
// CHECK: %[[E:.*]] = tensor.empty() : tensor<4x3xf32>
// CHECK: linalg.generic {indexing_maps = [#[[$ID]], #[[$ROW]], #[[$ID]]], iterator_types = ["parallel", "parallel"]}
// CHECK: arith.addf
func.func @broadcast(%a: tensor<4x3xf32>, %b: tensor<1x3xf32>) -> tensor<4x3xf32> {
  %0 = onnx.Add(%a, %b) : (tensor<4x3xf32>, tensor<1x3xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// -----

// 16-bit floats are computed in f32.
// CHECK-LABEL: func.func @half
// CHECK: ^bb0(%[[X:.*]]: f16, %{{.*}}: f16):
// CHECK: %[[W:.*]] = arith.extf %[[X]] : f16 to f32
// CHECK: %[[Y:.*]] = math.exp %[[W]] : f32
// CHECK: arith.truncf %[[Y]] : f32 to f16
func.func @half(%a: tensor<4xf16>) -> tensor<4xf16> {
  %0 = onnx.Exp(%a) : (tensor<4xf16>) -> tensor<4xf16>
  return %0 : tensor<4xf16>
}

// -----

// Signedness comes from the ONNX type; the converted one has none.
// CHECK-LABEL: func.func @unsigned
// CHECK-SAME: tensor<4xi8> {onnx.elem_type = 2 : i64}
// CHECK: arith.cmpi ult
func.func @unsigned(%a: tensor<4xui8>, %b: tensor<4xui8>) -> tensor<4xi1> {
  %0 = onnx.Less(%a, %b) : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xi1>
  return %0 : tensor<4xi1>
}

// -----

// Known powers need no call.
// CHECK-LABEL: func.func @square
// CHECK-NOT: math.powf
// CHECK: arith.mulf
func.func @square(%a: tensor<4xf32>) -> tensor<4xf32> {
  %two = onnx.Constant {value = dense<2.0> : tensor<f32>} : tensor<f32>
  %0 = onnx.Pow(%a, %two) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
