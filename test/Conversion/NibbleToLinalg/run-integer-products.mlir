// RUN: nibble-opt %s --convert-nibble-to-linalg \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" --convert-linalg-to-loops --convert-vector-to-scf \
// RUN:   --convert-scf-to-cf --lower-affine --expand-strided-metadata --convert-vector-to-llvm \
// RUN:   --finalize-memref-to-llvm --convert-math-to-llvm --convert-arith-to-llvm \
// RUN:   --convert-func-to-llvm --convert-cf-to-llvm --convert-index-to-llvm --convert-ub-to-llvm \
// RUN:   --reconcile-unrealized-casts \
// RUN: | mlir-runner -e main --entry-point-result=void --shared-libs=%llvm_libdir/libmlir_c_runner_utils.so \
// RUN: | FileCheck %s

// The numbers of ONNX's own examples of MatMulInteger and ConvInteger.

func.func @main() {
  %c0 = arith.constant 0 : index
  %pad = arith.constant 0 : i32
  %a = arith.constant dense<[[11, 7, 3], [10, 6, 2], [9, 5, 1], [8, 4, 0]]> : tensor<4x3xi8>
  %b = arith.constant dense<[[1, 4], [2, 5], [3, 6]]> : tensor<3x2xi8>
  %za = arith.constant dense<12> : tensor<i8>
  %zb = arith.constant dense<0> : tensor<1xi8>
  // CHECK: ( ( -38, -83 ), ( -44, -98 ), ( -50, -113 ), ( -56, -128 ) )
  %y = nibble.matmul_integer %a weight(%b zeros %zb) input_zero(%za)
    {n = 2 : i64, k = 3 : i64, unsigned_input, unsigned_weight}
    : (tensor<4x3xi8>, tensor<3x2xi8>, tensor<1xi8>, tensor<i8>) -> tensor<4x2xi32>
  %v = vector.transfer_read %y[%c0, %c0], %pad {in_bounds = [true, true]} : tensor<4x2xi32>, vector<4x2xi32>
  vector.print %v : vector<4x2xi32>

  // CHECK: ( ( ( ( 1, 3, 5, 3 ), ( 5, 12, 16, 9 ), ( 11, 24, 28, 15 ), ( 7, 15, 17, 9 ) ) ) )
  %x = arith.constant dense<[[[[2, 3, 4], [5, 6, 7], [8, 9, 10]]]]> : tensor<1x1x3x3xi8>
  %w = arith.constant dense<1> : tensor<1x1x2x2xi8>
  %zx = arith.constant dense<1> : tensor<i8>
  %c = nibble.conv_integer %x weight(%w) input_zero(%zx)
    {weight_shape = array<i64: 1, 1, 2, 2>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
     pads = array<i64: 1, 1, 1, 1>, unsigned_input, unsigned_weight}
    : (tensor<1x1x3x3xi8>, tensor<1x1x2x2xi8>, tensor<i8>) -> tensor<1x1x4x4xi32>
  %u = vector.transfer_read %c[%c0, %c0, %c0, %c0], %pad {in_bounds = [true, true, true, true]} : tensor<1x1x4x4xi32>, vector<1x1x4x4xi32>
  vector.print %u : vector<1x1x4x4xi32>
  return
}
