// RUN: not nibble-opt %s --nibble-verify-quantized 2>&1 | FileCheck %s
// RUN: not nibble-opt %s --nibble-verify-quantized="allow-unfused" 2>&1 | FileCheck %s --check-prefix=ALLOWED

#s = #nibble.scheme<int4, group = 32, scale = f16, packing = rows>
#p = #nibble.scheme<int8, group = 0, scale = f32, packing = plain>

// CHECK: verify-quantized.mlir:[[@LINE+7]]:8: error: layer "fc": the quantized weight is read as float by 'nibble.matmul', a copy of 2560 bytes at run time; keep this layer float with a 'skip' rule, or pass --allow-unfused
// CHECK: verify-quantized.mlir:[[@LINE+7]]:8: note: read here
// ALLOWED: remark: layer "fc": the quantized weight is read as float by 'nibble.matmul', a copy of 2560 bytes at run time
// ALLOWED: error: layer "left"
// ALLOWED-NOT: remark:
func.func @f(%x: tensor<?x10xf32>, %c: tensor<10x32xi8>, %s: tensor<10x2xf16>, %q: tensor<?x64xi8>, %t: tensor<f32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {

  %w = nibble.dequantize %c, %s {scheme = #s} : (tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<10x64xf32>
  %y = nibble.matmul %x weight(%w) {n = 64 : i64, k = 10 : i64, layers = ["fc"]} : (tensor<?x10xf32>, tensor<10x64xf32>) -> tensor<?x64xf32>
  // Values in plain packing are activations of the model.
  %d = nibble.dequantize %q, %t {scheme = #p} : (tensor<?x64xi8>, tensor<f32>) -> tensor<?x64xf32>
  return %y, %d : tensor<?x64xf32>, tensor<?x64xf32>
}

// CHECK: error: layer "left": no pass quantized it with the method "gptq"; run the pass of the method, or choose another
func.func @request(%x: tensor<?x10xf32>) -> tensor<?x64xf32> {
  %w = nibble.constant dense<0.5> : tensor<10x64xf32>
  %y = nibble.matmul %x weight(%w) {n = 64 : i64, k = 10 : i64, layers = ["left"], nibble.request = {method = "gptq"}}
    : (tensor<?x10xf32>, tensor<10x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
