// RUN: nibble-opt %s --convert-nibble-to-kernels --split-input-file --verify-diagnostics

func.func @rows(%x: memref<?x128xf32>, %w: memref<64x64xi8>, %s: memref<64x4xf16>,
                %y: memref<?x64xf32>) {
  // expected-error @below {{layer "fc": expected a weight in panel packing, but it is in rows; run nibble-pack-weights first}}
  nibble.matmul %x weight(%w, %s) outs(%y) {n = 64 : i64, k = 128 : i64, layers = ["fc"],
      scheme = #nibble.scheme<int4, group = 32, scale = f16, packing = rows>}
    : (memref<?x128xf32>, memref<64x64xi8>, memref<64x4xf16>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @plain_float(%x: memref<?x128xf32>, %w: memref<128x64xf32>, %y: memref<?x64xf32>) {
  // expected-error @below {{layer "fc": the weight is not packed; run nibble-pack-weights first}}
  nibble.matmul %x weight(%w) outs(%y) {n = 64 : i64, k = 128 : i64, layers = ["fc"]}
    : (memref<?x128xf32>, memref<128x64xf32>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @tensors(%x: tensor<?x128xf32>, %w: tensor<128x64xf32>) -> tensor<?x64xf32> {
  // expected-error @below {{is still on tensors; bufferize before this pass}}
  %y = nibble.matmul %x weight(%w) {n = 64 : i64, k = 128 : i64}
    : (tensor<?x128xf32>, tensor<128x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
