// RUN: nibble-opt %s -onnx-infer-shapes -split-input-file -verify-diagnostics | FileCheck %s

// Exporters write x.squeeze(dim) as an If on the size: its rank is that of the
// squeezed value, and the size is checked at run time.

// CHECK-LABEL: func @squeeze(
// CHECK-NOT: onnx.If
// CHECK: %[[AXES:.*]] = onnx.Constant {{.*}}dense<-1> : tensor<1xi64>
// CHECK: onnx.Squeeze(%{{.*}}, %[[AXES]]) : (tensor<4x?xf32>, tensor<1xi64>) -> tensor<4xf32>
func.func @squeeze(%x: tensor<4x?xf32>) -> tensor<*x!onnx.unknown> {
  %shape = onnx.Shape(%x) : (tensor<4x?xf32>) -> tensor<*x!onnx.unknown>
  %i = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %size = onnx.Gather(%shape, %i) : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %c = onnx.Equal(%size, %one) : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %y = onnx.If(%c) then {
    %axes = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
    %0 = onnx.Squeeze(%x, %axes) : (tensor<4x?xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
    onnx.Yield(%0) : tensor<*x!onnx.unknown>
  } else {
    %0 = onnx.Identity(%x) : (tensor<4x?xf32>) -> tensor<*x!onnx.unknown>
    onnx.Yield(%0) : tensor<*x!onnx.unknown>
  } : (tensor<*x!onnx.unknown>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// -----

// Another condition says nothing about the size.
func.func @other(%x: tensor<4x?xf32>, %c: tensor<i1>) -> tensor<*x!onnx.unknown> {
  // expected-error@+2 {{the rank of result #0 cannot be inferred}}
  // expected-note@+1 {{operand types are}}
  %y = onnx.If(%c) then {
    %axes = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
    %0 = onnx.Squeeze(%x, %axes) : (tensor<4x?xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
    onnx.Yield(%0) : tensor<*x!onnx.unknown>
  } else {
    onnx.Yield(%x) : tensor<4x?xf32>
  } : (tensor<i1>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
