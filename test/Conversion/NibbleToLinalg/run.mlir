// RUN: nibble-opt %s --convert-nibble-to-linalg \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" --convert-linalg-to-loops --convert-vector-to-scf \
// RUN:   --convert-scf-to-cf --lower-affine --expand-strided-metadata --convert-vector-to-llvm \
// RUN:   --finalize-memref-to-llvm --convert-math-to-llvm --convert-arith-to-llvm \
// RUN:   --convert-func-to-llvm --convert-cf-to-llvm --convert-index-to-llvm \
// RUN:   --reconcile-unrealized-casts \
// RUN: | mlir-runner -e main --entry-point-result=void --shared-libs=%llvm_libdir/libmlir_c_runner_utils.so \
// RUN: | FileCheck %s

// The numbers that ONNX's definition gives, from running code.

#signed = #nibble.scheme<int8, group = 0, scale = f32, packing = plain>
#unsigned = #nibble.scheme<int8, group = 0, scale = f32, zero = integer, packing = plain>
#rows = #nibble.scheme<int3, group = 3, scale = f32, zero = integer, packing = rows>

func.func @main() {
  // Half to even, saturation, infinities; a NaN gets the lowest code.
  // CHECK: ( 1, 2, -1, 2, 127, -128, 127, -128 )
  %x = arith.constant dense<[0.6, 1.5, -0.9, 2.5, 200.0, -300.0, 0x7F800000, 0x7FC00000]> : tensor<8xf32>
  %one = arith.constant dense<1.0> : tensor<f32>
  %q = nibble.quantize %x, %one {scheme = #signed} : (tensor<8xf32>, tensor<f32>) -> tensor<8xi8>
  %c0 = arith.constant 0 : index
  %pad = arith.constant 0 : i8
  %v = vector.transfer_read %q[%c0], %pad : tensor<8xi8>, vector<8xi8>
  %v32 = arith.extsi %v : vector<8xi8> to vector<8xi32>
  vector.print %v32 : vector<8xi32>

  // The same with scale 0.5 and zero point 128.
  // CHECK: ( 129, 131, 126, 133, 255, 0, 255, 0 )
  %half = arith.constant dense<0.5> : tensor<f32>
  %zero = arith.constant dense<-128> : tensor<i8>
  %u = nibble.quantize %x, %half, %zero {scheme = #unsigned, unsigned_codes} : (tensor<8xf32>, tensor<f32>, tensor<i8>) -> tensor<8xi8>
  %w = vector.transfer_read %u[%c0], %pad : tensor<8xi8>, vector<8xi8>
  %w32 = arith.extui %w : vector<8xi8> to vector<8xi32>
  vector.print %w32 : vector<8xi32>

  // Codes 1, 2, 3 and 4, 5 as a bit stream: 0xD1 0x58; groups of 3 and 2 with
  // scales 1 and 10 and zero points 1 and 4.
  // CHECK: ( 0, 1, 2, 0, 10 )
  %codes = arith.constant dense<[[-47, 88]]> : tensor<1x2xi8>
  %scales = arith.constant dense<[[1.0, 10.0]]> : tensor<1x2xf32>
  %zeros = arith.constant dense<[[1, 4]]> : tensor<1x2xi8>
  %d = nibble.dequantize %codes, %scales zeros %zeros {scheme = #rows}
    : (tensor<1x2xi8>, tensor<1x2xf32>, tensor<1x2xi8>) -> tensor<1x5xf32>
  %padf = arith.constant 0.0 : f32
  %r = vector.transfer_read %d[%c0, %c0], %padf : tensor<1x5xf32>, vector<5xf32>
  vector.print %r : vector<5xf32>
  return
}
