//===- Passes.td - Code for NVIDIA GPUs -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CUDA_PASSES_TD
#define NIBBLE_CODEGEN_CUDA_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertNibbleToCudaPass : Pass<"convert-nibble-to-cuda", "::mlir::ModuleOp"> {
  let summary = "Run operations of the entry function as kernels";
  let description = [{
    Operations on memrefs become kernels in the module `nibble_kernels`, one for
    each distinct code, and launches. Operations of linalg and copies get a
    thread for each element of their output, or a warp if they reduce along a
    contiguous dimension; chains that were fused are one kernel. What has no
    kernel stays, for the host; a remark says which operations and why.
    Integers that shapes are computed with stay without a remark: the host needs
    them to know how large the next grid is.

    The kernel's attribute `nibble.access` has a character for each argument:
    `r` reads, `w` writes, `b` both, `-` no buffer.

    Before:
    ```mlir
    func.func @main_graph(%x: memref<?x64xf32>) attributes {llvm.emit_c_interface} {
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%x : memref<?x64xf32>) outs(%y : memref<?x64xf32>) {
      ^bb0(%a: f32, %b: f32):
        %0 = arith.addf %a, %a : f32
        linalg.yield %0 : f32
      }
    ```
    After:
    ```mlir
    gpu.module @nibble_kernels {
      gpu.func @generic(%x: memref<?x64xf32>, %y: memref<?x64xf32>) kernel
          attributes {known_block_size = array<i32: 256, 1, 1>, nibble.access = "rw"} {
        scf.for %i = %first to %total step %threads { ... }
        gpu.return
    ...
    gpu.launch_func @nibble_kernels::@generic blocks in (%n, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%x : memref<?x64xf32>, %y : memref<?x64xf32>)
    ```
  }];
  let statistics = [
    Statistic<"numLaunches", "num-launches", "Operations that run on the device">,
    Statistic<"numKernels", "num-kernels", "Distinct kernels">,
    Statistic<"numOnHost", "num-on-host", "Operations that have no kernel">
  ];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::gpu::GPUDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
    "::nibble::NibbleDialect"
  ];
}

def NibbleUseOnHostPass : Pass<"nibble-use-on-host", "::mlir::ModuleOp"> {
  let summary = "Tell the runtime what the host reads and writes";
  let description = [{
    Every buffer may have a twin on the device. Before an operation of the entry
    function that the host runs, the runtime is told about each buffer that it
    reads (1), writes completely (2), or both (3), and copies what the other side
    has made. Launches say the same about the buffers of their kernels. Buffers
    that no kernel can reach are left out.

    Before:
    ```mlir
    gpu.launch_func @nibble_kernels::@k blocks in (...) threads in (...) args(%y : memref<8xf32>)
    %v = memref.load %y[%c0] : memref<8xf32>
    ```
    After:
    ```mlir
    gpu.launch_func @nibble_kernels::@k blocks in (...) threads in (...) args(%y : memref<8xf32>)
    %0 = memref.extract_aligned_pointer_as_index %y : memref<8xf32> -> index
    %1 = arith.index_cast %0 : index to i64
    func.call @nibble_rt_use_on_host(%1, %c1_i32) : (i64, i32) -> ()
    %v = memref.load %y[%c0] : memref<8xf32>
    ```
  }];
  let statistics = [
    Statistic<"numCalls", "num-calls", "Uses that the runtime is told about">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect",
                           "::mlir::memref::MemRefDialect"];
}

def NibbleLowerLaunchesPass : Pass<"nibble-lower-launches", "::mlir::ModuleOp"> {
  let summary = "Lower launches of kernels to calls of the runtime";
  let description = [{
    `gpu.launch_func` becomes a call of `nibble_rt_launch` with the number of the
    kernel and an array of words: the grid, the block, and the parameters as
    `convert-gpu-to-nvvm` has them, a memref being two addresses, an offset,
    sizes and strides. What the words are is the same in every launch and stays
    in the module as `nibble.kernels`, in the order of the kernels' numbers.

    Before:
    ```mlir
    gpu.launch_func @nibble_kernels::@k blocks in (%n, %c1, %c1) threads in (%c256, %c1, %c1)
      args(%x : memref<?xf32>)
    ```
    After:
    ```mlir
    module attributes {nibble.kernels = [{name = "k", parameters = "bb---", shared_bytes = 0 : i64} ]}
    ...
    llvm.store %n64, %words : i64, !llvm.ptr
    ...
    llvm.call @nibble_rt_launch(%c0, %words) : (i32, !llvm.ptr) -> ()
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect"
  ];
}

#endif // NIBBLE_CODEGEN_CUDA_PASSES_TD
