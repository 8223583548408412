// REQUIRES: ptxas
// RUN: nibble-opt %s --nibble-serialize-kernels="chips=sm_80,sm_90" -o %t
// RUN: FileCheck %s < %t
// RUN: FileCheck --check-prefix=PTX %s < %t
// RUN: nibble-opt %s --nibble-serialize-kernels="chips=sm_90 print-resources=true" -o /dev/null 2>&1 | FileCheck --check-prefix=RESOURCES %s

// Machine code for each chip, PTX of the newest.

// CHECK-NOT: gpu.module
// CHECK: gpu.binary @nibble_kernels [#gpu.object<#nvvm.target<O = 3, chip = "sm_80", features = "+ptx80">,
// CHECK-SAME: properties = {chip = "sm_80", driver = {{[0-9]+}} : i32}, bin = "\7FELF
// CHECK-SAME: #gpu.object<#nvvm.target<O = 3, chip = "sm_90", features = "+ptx80">,
// CHECK-SAME: properties = {chip = "sm_90", driver = {{[0-9]+}} : i32}, bin = "\7FELF
// CHECK-SAME: properties = {chip = "sm_90", driver = 12000 : i32}, assembly = "
// CHECK-SAME: \00">]

// PTX: .version 8.0
// PTX: .target sm_90
// PTX: .visible .entry k(

// RESOURCES: remark: sm_90:
// RESOURCES: Compiling entry function 'k' for 'sm_90'
// RESOURCES: 0 bytes spill stores, 0 bytes spill loads
module attributes {gpu.container_module} {
gpu.module @nibble_kernels {
  llvm.func @k(%x: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
    %0 = llvm.load %x : !llvm.ptr -> f32
    %1 = llvm.fadd %0, %0 : f32
    llvm.store %1, %x : f32, !llvm.ptr
    llvm.return
  }
}
}
