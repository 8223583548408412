// REQUIRES: python-onnx
// RUN: split-file %s %t
// RUN: %python %t/data.py %t/x.npz
// RUN: nibble-calibrate %t/model.mlir --data=%t/x.npz --hessian -o %t/stats.yaml
// RUN: nibble-opt %t/m.mlir --pass-pipeline='builtin.module(nibble-assign-schemes{scheme=W4A16 group-size=2 method=gptq config=%t/rules.yaml}, nibble-quantize-gptq{calibration=%t/stats.yaml damp-percent=0.25})' | FileCheck %s
// RUN: sed 's/"activation-order" = "true"/"order" = "true"/' %t/request.mlir | not nibble-opt --nibble-quantize-gptq=calibration=%t/stats.yaml 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: sed 's/"activation-order" = "true"/"block-size" = "0"/' %t/request.mlir | not nibble-opt --nibble-quantize-gptq=calibration=%t/stats.yaml 2>&1 | FileCheck %s --check-prefix=VALUE
// RUN: sed 's/"activation-order" = "true"/"block-size" = 8/' %t/request.mlir | not nibble-opt --nibble-quantize-gptq=calibration=%t/stats.yaml 2>&1 | FileCheck %s --check-prefix=TYPE

// A layer has the options of the pass but for those of its rule; columns with
// large inputs come first, the last two here.
// CHECK-DAG: nibble.constant {onnx.name = "b.groups"} dense<[1, 1, 0, 0]> : tensor<4xi32>
// CHECK-NOT: onnx.name = "a.groups"
// CHECK: layers = ["a"]{{.*}}damp = 2.500000e-01{{.*}}options = {"damp-percent" = "0.25"}
// CHECK: layers = ["b"]{{.*}}damp = 1.000000e-01{{.*}}options = {"activation-order" = "true", "damp-percent" = "0.1"}
// NAME: error: layer "a": gptq has no option 'order': expected one of damp-percent, damp-auto-increment, block-size, activation-order, static-groups, act-group-aware
// VALUE: error: layer "a": block-size is 0: expected 1 column or more
// TYPE: error: expected the options of nibble.request to be a dictionary of strings, got {"block-size" = 8 : i64}

//--- rules.yaml
version: 1
rules:
  - layers: b
    damp-percent: 0.1
    activation-order: true

//--- model.mlir
module attributes {nibble.phase = "onnx", nibble.model_hash = 1 : i64, onnx.opset_version = 28 : i64} {
  func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dim_names = ["n", ""]}) -> (tensor<?x1xf32> {onnx.name = "ya", onnx.dim_names = ["n", ""]}, tensor<?x1xf32> {onnx.name = "yb", onnx.dim_names = ["n", ""]}) {
    %w0 = onnx.Constant {value = dense<[[7.0], [0.4], [0.4], [0.4]]> : tensor<4x1xf32>} : tensor<4x1xf32>
    %y0 = onnx.MatMul(%x, %w0) {onnx.name = "a"} : (tensor<?x4xf32>, tensor<4x1xf32>) -> tensor<?x1xf32>
    %w1 = onnx.Constant {value = dense<[[1.0], [2.0], [0.4], [0.4]]> : tensor<4x1xf32>} : tensor<4x1xf32>
    %y1 = onnx.MatMul(%x, %w1) {onnx.name = "b"} : (tensor<?x4xf32>, tensor<4x1xf32>) -> tensor<?x1xf32>
    return %y0, %y1 : tensor<?x1xf32>, tensor<?x1xf32>
  }
}

//--- m.mlir
func.func @main(%x: tensor<?x4xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>) {
  %a = nibble.constant {onnx.name = "a"} dense<[[7.0], [0.4], [0.4], [0.4]]> : tensor<4x1xf32>
  %b = nibble.constant {onnx.name = "b"} dense<[[1.0], [2.0], [0.4], [0.4]]> : tensor<4x1xf32>
  %y = nibble.matmul %x weight(%a) {n = 1 : i64, k = 4 : i64, layers = ["a"]} : (tensor<?x4xf32>, tensor<4x1xf32>) -> tensor<?x1xf32>
  %z = nibble.matmul %x weight(%b) {n = 1 : i64, k = 4 : i64, layers = ["b"]} : (tensor<?x4xf32>, tensor<4x1xf32>) -> tensor<?x1xf32>
  return %y, %z : tensor<?x1xf32>, tensor<?x1xf32>
}

//--- request.mlir
func.func @main(%x: tensor<?x4xf32>) -> tensor<?x1xf32> {
  %a = nibble.constant {onnx.name = "a"} dense<[[7.0], [0.4], [0.4], [0.4]]> : tensor<4x1xf32>
  %y = nibble.matmul %x weight(%a) {n = 1 : i64, k = 4 : i64, layers = ["a"], nibble.request = {method = "gptq",
      options = {"activation-order" = "true"}, scheme = #nibble.scheme<int4, group = 2, scale = f16, packing = rows>}}
    : (tensor<?x4xf32>, tensor<4x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

//--- data.py
import sys
import numpy as np
x = np.random.default_rng(1).standard_normal((64, 4)) * [1, 2, 3, 4]
np.savez(sys.argv[1], x=x.astype(np.float32))
