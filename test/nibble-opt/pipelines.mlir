// RUN: nibble-opt %s --nibble-onnx-pipeline --nibble-legalize-pipeline \
// RUN:   --nibble-quantize-pipeline="scheme=W8A16 group-size=-1" | FileCheck %s
// RUN: nibble-opt %s --nibble-onnx-pipeline --nibble-legalize-pipeline \
// RUN:   --nibble-quantize-pipeline="scheme=W8A16 group-size=-1" --nibble-linalg-pipeline \
// RUN:   --nibble-vector-pipeline=avx512=false --nibble-llvm-pipeline | FileCheck %s --check-prefix=LLVM

// The phases of nibble-compile are pipelines of nibble-opt.

// CHECK-LABEL: func.func @main_graph
//       CHECK: nibble.matmul %{{[a-z0-9]+}} weight(%{{[0-9]+}}, %{{[0-9]+}})
//  CHECK-SAME: layers = ["fc"]
//  CHECK-SAME: scheme = #nibble.scheme<int8, group = -1, scale = f16, packing = rows>

// LLVM-NOT: nibble.matmul
//     LLVM: llvm.func @main_graph
//     LLVM: llvm.func {{.*}}@_mlir_ciface_main_graph
module attributes {onnx.opset_version = 13 : i64} {
  func.func @main_graph(%x: tensor<?x2xf32> {onnx.name = "x"}) -> (tensor<?x2xf32> {onnx.name = "y"}) {
    %w = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>, onnx.name = "w"} : tensor<2x2xf32>
    %y = onnx.MatMul(%x, %w) {onnx.name = "fc"} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    return %y : tensor<?x2xf32>
  }
}
