// RUN: nibble-opt %s --convert-nibble-to-kernels=tiles | FileCheck %s
// RUN: nibble-opt %s --convert-nibble-to-kernels | FileCheck %s --check-prefix=F32

// Many rows are multiplied in tiles where the runtime allows it, by four products for
// four loads; otherwise, and for groups that a pair of steps does not fit, in floats.

// F32-NOT: nibble_rt_has_tiles
// F32-NOT: tdpbf16ps
// CHECK: func.func private @nibble_rt_has_tiles() -> i32

func.func @two(%x: memref<?x96xf32>, %w: memref<2x1536xi8>, %s: memref<2x3x32xf16>, %y: memref<?x64xf32>,
               %t: memref<2x20x32xf16>) {
  nibble.matmul %x weight(%w, %s) outs(%y) {n = 64 : i64, k = 96 : i64,
      scheme = #nibble.scheme<int4, group = 32, scale = f16, packing = panel>}
    : (memref<?x96xf32>, memref<2x1536xi8>, memref<2x3x32xf16>, memref<?x64xf32>) -> ()
  nibble.matmul %x weight(%w, %t) outs(%y) {n = 64 : i64, k = 96 : i64,
      scheme = #nibble.scheme<int4, group = 5, scale = f16, packing = panel>}
    : (memref<?x96xf32>, memref<2x1536xi8>, memref<2x20x32xf16>, memref<?x64xf32>) -> ()
  return
}

// CHECK: func.func private @nibble_matmul_int4_g32_f16(
// CHECK: %[[HAS:.+]] = func.call @nibble_rt_has_tiles()
// CHECK: %[[YES:.+]] = arith.cmpi ne, %[[HAS]]
// CHECK: scf.if %[[YES]]
// CHECK: arith.truncf %{{.+}} : vector<16xf32> to vector<16xbf16>
// CHECK: scf.for {{.*}} -> (!llvm.x86_amx, !llvm.x86_amx, !llvm.x86_amx, !llvm.x86_amx)
// CHECK-COUNT-4: "llvm.x86.tileloadd64.internal"
// CHECK-COUNT-4: "llvm.x86.tdpbf16ps.internal"
// CHECK-NOT: tdpbf16ps
// CHECK: func.func private @nibble_matmul_int4_g5_f16(
// CHECK-NOT: tdpbf16ps
