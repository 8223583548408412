// RUN: nibble-opt %s --onnx-build-gradient="function=loss arguments=0,2" --canonicalize --cse | FileCheck %s
// RUN: not nibble-opt %s --onnx-build-gradient="function=lost arguments=0" 2>&1 | FileCheck %s --check-prefix=FUNCTION
// RUN: not nibble-opt %s --onnx-build-gradient="function=loss arguments=3" 2>&1 | FileCheck %s --check-prefix=ARGUMENT
// RUN: not nibble-opt %s --onnx-build-gradient="function=loss result=1 arguments=0" 2>&1 | FileCheck %s --check-prefix=RESULT

// FUNCTION: error: onnx-build-gradient: there is no function 'lost' with a body
// ARGUMENT: error: expected argument 3 to be a tensor of floats
// RESULT: error: expected result 1 to be a tensor of floats

// The gradients come after the results that were there, in the order asked for,
// and have the shapes and names of their arguments; what does not depend on
// them is not differentiated, what is not used has a gradient of zeros.

// CHECK-LABEL: func.func @loss(
// CHECK-SAME: %[[W:.*]]: tensor<4x3xf32> {onnx.name = "w"}, %[[X:[^:]*]]: tensor<2x4xf32>, %[[U:[^:]*]]: tensor<5xf32>
// CHECK-SAME: -> (tensor<2x3xf32>, tensor<4x3xf32> {onnx.name = "w.gradient"}, tensor<5xf32>)
// CHECK: %[[S:.*]] = onnx.Sin(%[[X]])
// CHECK: %[[P:.*]] = onnx.MatMul(%[[S]], %[[W]])
// CHECK: %[[Y:.*]] = onnx.Exp(%[[P]])
// CHECK: %[[ONE:.*]] = onnx.ConstantOfShape(%{{.*}}) {value = dense<1.000000e+00> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<2x3xf32>
// CHECK: %[[G:.*]] = onnx.Mul(%[[ONE]], %[[Y]])
// CHECK-NOT: onnx.Cos
// CHECK: %[[T:.*]] = onnx.Transpose(%[[S]]) {perm = array<i64: 1, 0>}
// CHECK: %[[GRADIENT:.*]] = onnx.MatMul(%[[T]], %[[G]])
// CHECK: %[[ZEROS:.*]] = onnx.ConstantOfShape(%{{.*}}) {value = dense<0.000000e+00> : tensor<1xf32>} : (tensor<1xi64>) -> tensor<5xf32>
// CHECK: return %[[Y]], %[[GRADIENT]], %[[ZEROS]]
func.func @loss(%w: tensor<4x3xf32> {onnx.name = "w"}, %x: tensor<2x4xf32>, %unused: tensor<5xf32>) -> tensor<2x3xf32> {
  %0 = onnx.Sin(%x) : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %1 = onnx.MatMul(%0, %w) : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  %2 = onnx.Exp(%1) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}
