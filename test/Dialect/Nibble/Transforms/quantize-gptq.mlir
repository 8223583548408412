// REQUIRES: python-onnx
// RUN: split-file %s %t
// RUN: %python %t/data.py %t/x.npz
// RUN: nibble-calibrate %t/model.mlir --data=%t/x.npz --hessian -o %t/stats.yaml
// RUN: nibble-opt %t/m.mlir --pass-pipeline='builtin.module(nibble-assign-schemes{scheme=W4A16 group-size=-1 scale-rule=absmax method=rtn}, nibble-quantize-rtn)' | FileCheck %s --check-prefix=RTN
// RUN: nibble-opt %t/m.mlir --pass-pipeline='builtin.module(nibble-assign-schemes{scheme=W4A16 group-size=-1 scale-rule=absmax method=gptq}, nibble-quantize-gptq{calibration=%t/stats.yaml})' | FileCheck %s --check-prefix=GPTQ

// RUN: not nibble-opt %t/m.mlir --pass-pipeline='builtin.module(nibble-assign-schemes{scheme=NF4 group-size=32 method=gptq}, nibble-quantize-gptq{calibration=%t/stats.yaml})' 2>&1 | FileCheck %s --check-prefix=TABLE

// All inputs are equal, and so only the sum of a row counts: 7 + 3 * 0.4. Each
// weight alone is nearest to 0; GPTQ gives what is lost to the next one. Codes
// are in two's complement, the first in the low half of a byte.
// RTN: nibble.constant {onnx.name = "w.codes"} dense<{{\[\[}}7, 0]]> : tensor<1x2xi8>
// RTN: method = "rtn"
// GPTQ: nibble.constant {onnx.name = "w.codes"} dense<{{\[\[}}7, 1]]> : tensor<1x2xi8>
// GPTQ: calibration_rows = 64 : i64
// GPTQ-SAME: damp = 5.000000e-02 : f64
// GPTQ-SAME: loss = {{[0-9.e+-]+}} : f64
// GPTQ-SAME: method = "gptq"
// TABLE: error: layer "fc": method 'gptq' rounds to integers: it does not take nf4

//--- model.mlir
module attributes {nibble.phase = "onnx", nibble.model_hash = 1 : i64, onnx.opset_version = 28 : i64} {
  func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dim_names = ["n", ""]}) -> (tensor<?x1xf32> {onnx.name = "yfc", onnx.dim_names = ["n", ""]}) {
    %w0 = onnx.Constant {value = dense<[[7.0], [0.4], [0.4], [0.4]]> : tensor<4x1xf32>} : tensor<4x1xf32>
    %y0 = onnx.MatMul(%x, %w0) {onnx.name = "fc"} : (tensor<?x4xf32>, tensor<4x1xf32>) -> tensor<?x1xf32>
    return %y0 : tensor<?x1xf32>
  }
}

//--- m.mlir
func.func @main(%x: tensor<?x4xf32>) -> tensor<?x1xf32> {
  %w = nibble.constant {onnx.name = "w"} dense<[[7.0], [0.4], [0.4], [0.4]]> : tensor<4x1xf32>
  %y = nibble.matmul %x weight(%w) {n = 1 : i64, k = 4 : i64, layers = ["fc"]} : (tensor<?x4xf32>, tensor<4x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

//--- data.py
import sys
import numpy as np
column = np.random.default_rng(1).standard_normal((64, 1))
np.savez(sys.argv[1], x=np.repeat(column, 4, axis=1).astype(np.float32))
