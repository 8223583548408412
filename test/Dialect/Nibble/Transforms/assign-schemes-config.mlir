// RUN: split-file %s %t
// RUN: nibble-opt %t/in.mlir --nibble-assign-schemes="scheme=W4A16 group-size=16 config=%t/rules.yaml" 2> %t/messages | FileCheck %s
// RUN: FileCheck %s --check-prefix=MESSAGES < %t/messages
// RUN: not nibble-opt %t/in.mlir --nibble-assign-schemes="config=%t/broken.yaml" 2>&1 | FileCheck %s --check-prefix=BROKEN

// Later rules win; names of fused layers and of initializers count; a rule that
// matches nothing is a warning, a layer that a rule skips a remark.
// CHECK: layers = ["block.fc1", "act"]{{.*}}scheme = #nibble.scheme<int8, group = 16
// CHECK: layers = ["block.fc2"]{{.*}}reason = "a rule keeps it float
// CHECK: layers = ["gemm"]{{.*}}scheme = #nibble.scheme<int3, group = -1, scale = f16, zero = integer
// MESSAGES: remark: layer "block.fc2" is not quantized: a rule keeps it float ({{.*}}rules.yaml:{{[0-9]+}})
// MESSAGES: warning: {{.*}}rules.yaml:{{[0-9]+}}: rule {{[0-9]}} (layers: nowhere.*) matches no layer
// BROKEN: error: {{.*}}broken.yaml:3:

//--- rules.yaml
version: 1
rules:
  - layers: "block.*"
    scheme: W2A16
  - layers: act
    scheme: W8A16
  - layers: weight2
    skip: true
  - operator: Gemm
    scheme: W3A16
    asymmetric: true
    group-size: -1
  - layers: "nowhere.*"
    scheme: W8A16
//--- broken.yaml
version: 1
rules:
  - layer "x"
//--- in.mlir
func.func @f(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w1 = nibble.constant {onnx.name = "weight1"} dense<0.5> : tensor<16x16xf32>
  %w2 = nibble.constant {onnx.name = "weight2"} dense<0.25> : tensor<16x16xf32>
  %0 = nibble.matmul %x weight(%w1) {n = 16 : i64, k = 16 : i64, layers = ["block.fc1", "act"]} : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %1 = nibble.matmul %0 weight(%w2) {n = 16 : i64, k = 16 : i64, layers = ["block.fc2"]} : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %2 = nibble.matmul %1 weight(%w1) {n = 16 : i64, k = 16 : i64, layers = ["gemm"], onnx.op_type = "Gemm"} : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  return %2 : tensor<?x16xf32>
}
