//===- Passes.td - Code for CPUs ---------------------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_PASSES_TD
#define NIBBLE_CODEGEN_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertNibbleToKernelsPass : Pass<"convert-nibble-to-kernels", "::mlir::ModuleOp"> {
  let summary = "Lower the fused family to calls of generated kernels";
  let description = [{
    Every distinct kernel (format of the weight, what follows the product, shape
    of the filter; sizes are arguments) becomes one private function of vector
    and scf operations, marked `nibble.kernel`, and `nibble.matmul`,
    `nibble.conv` and `nibble.gather` on memrefs become calls. Weights of
    matrix products and of convolutions with one group must be in panels.

    Products in linalg of two operands that are computed in the run become calls
    of kernels that pack both, if they are large; if their sizes are not known,
    the run chooses.

    Before:
    ```mlir
    nibble.matmul %x weight(%w, %s) outs(%y) {n = 64 : i64, k = 128 : i64, scheme =
        #nibble.scheme<int4, group = 32, scale = f16, packing = panel>}
      : (memref<?x128xf32>, memref<2x2048xi8>, memref<2x4x32xf16>, memref<?x64xf32>) -> ()
    ```
    After:
    ```mlir
    func.call @nibble_matmul_int4_g32_f16(%x1, %w1, %s1, %y1, %m, %c64, %c128)
      : (memref<?xf32>, memref<?xi8>, memref<?xf16>, memref<?xf32>, index, index, index) -> ()
    ```
  }];
  let options = [
    Option<"avx512", "avx512", "bool", /*default=*/"true",
           "The CPU has AVX-512 F, BW, DQ and VL">,
    Option<"fma", "fma", "bool", /*default=*/"true",
           "The CPU has fused multiply-add">,
    Option<"vnni", "vnni", "bool", /*default=*/"false",
           "The CPU has VNNI, for vectors of the width that it is used with">,
    Option<"tiles", "tiles", "bool", /*default=*/"false",
           "Matrix products of many rows in AMX tiles of bf16, if the process may">
  ];
  let statistics = [
    Statistic<"numKernels", "num-kernels", "Distinct kernels that were made">,
    Statistic<"numCalls", "num-calls", "Operations that became calls">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect",
    "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

def NibbleSkipOutliersPass : Pass<"nibble-skip-outliers", "::mlir::func::FuncOp"> {
  let summary = "Take the branch without outlier columns where there are none";
  let description = [{
    Most inputs of a product of LLM.int8 have no outlier columns, or no input
    has. Where there are none, the integer product does without the sum that
    `nibble.matmul_outliers` would write and it would read. Runs on memrefs that
    are freed already; what was freed between the two products is freed after.

    Before:
    ```mlir
    nibble.matmul_outliers %x, %columns, %count weight(%w scales %s) outs(%sum) {...}
    nibble.matmul_integer %codes weight(%w scales %s) ... residual(%sum) outs(%y) {...}
    ```
    After:
    ```mlir
    %n = memref.load %count[%c0] : memref<1xi32>
    %some = arith.cmpi sgt, %n, %c0_i32 : i32
    scf.if %some {
      nibble.matmul_outliers %x, %columns, %count weight(%w scales %s) outs(%sum) {...}
      nibble.matmul_integer %codes weight(%w scales %s) ... residual(%sum) outs(%y) {...}
    } else {
      nibble.matmul_integer %codes weight(%w scales %s) ... outs(%y) {...}
    }
    ```
  }];
  let statistics = [
    Statistic<"numSkipped", "num-skipped", "Products with a branch of their own">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def NibbleOutlineLoopsPass : Pass<"nibble-outline-loops", "::mlir::ModuleOp"> {
  let summary = "Make loops of the entry functions, equal ones once";
  let description = [{
    The layers of a model repeat each other. Operations of linalg, copies and
    loops that are code of their own become private functions; what they use is
    passed, constants are part of the code. Equal functions are one, so that all
    that follows does its work once for each kind of loop, not once for each
    layer. Runs on memrefs, after allocations are freed.

    Before:
    ```mlir
    func.func @main_graph(%x: memref<4xf32>, %y: memref<4xf32>) attributes {llvm.emit_c_interface} {
      %zero = arith.constant 0.0 : f32
      linalg.fill ins(%zero : f32) outs(%x : memref<4xf32>)
      linalg.fill ins(%zero : f32) outs(%y : memref<4xf32>)
    ```
    After:
    ```mlir
    func.func @main_graph(%x: memref<4xf32>, %y: memref<4xf32>) attributes {llvm.emit_c_interface} {
      func.call @nibble_fill(%x) : (memref<4xf32>) -> ()
      func.call @nibble_fill(%y) : (memref<4xf32>) -> ()
    ```
  }];
  let statistics = [
    Statistic<"numOutlined", "num-outlined", "Loops that became calls">,
    Statistic<"numFunctions", "num-functions", "Distinct functions of loops">
  ];
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

def NibbleLowerLinalgToLoopsPass : Pass<"nibble-lower-linalg-to-loops", "::mlir::func::FuncOp"> {
  let summary = "Lower linalg on memrefs to vector loops on all threads";
  let description = [{
    What no kernel took: elementwise chains, reductions, pooling, transposes,
    products of two values that are computed. Neighbouring loops that run
    through memory without a gap become one. One loop is cut into vectors of 16,
    the last of them masked; sums of a tile stay in registers; outer parallel
    loops are shared by threads when there is enough work.

    Before:
    ```mlir
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<?x64xf32>) outs(%y : memref<?x64xf32>) {
    ^bb0(%a: f32, %b: f32):
      %0 = arith.addf %a, %a : f32
      linalg.yield %0 : f32
    }
    ```
    After:
    ```mlir
    scf.parallel (%t) = (%c0) to (%tasks) step (%c1) {
      scf.for %i = %lo to %hi step %c16 {
        %0 = vector.load %x1[%i] : memref<?xf32>, vector<16xf32>
        %1 = arith.addf %0, %0 : vector<16xf32>
        vector.store %1, %y1[%i] : memref<?xf32>, vector<16xf32>
    ```
  }];
  let options = [
    Option<"avx512", "avx512", "bool", /*default=*/"true",
           "The CPU has AVX-512 F, BW, DQ and VL">,
    Option<"fma", "fma", "bool", /*default=*/"true",
           "The CPU has fused multiply-add">
  ];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Operations that became loops">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"
  ];
}

def NibbleApproximateMathPass : Pass<"nibble-approximate-math", "::mlir::func::FuncOp"> {
  let summary = "Compute mathematical functions without calls";
  let description = [{
    exp, expm1, log, log1p, log2, tanh, erf and erfc of f32 become polynomials
    on whole vectors, with a relative error below 1e-6. The other functions stay
    calls of libm, one for each lane.

    Before:
    ```mlir
    %1 = math.exp %0 : vector<16xf32>
    ```
    After:
    ```mlir
    %1 = math.fma %r, %c5, %c4 : vector<16xf32>
    ...
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect"
  ];
}

def NibbleTuneOpenMPPass : Pass<"nibble-tune-openmp", "::mlir::ModuleOp"> {
  let summary = "Make parallel loops cheap: no needless threads, scratch per thread";
  let description = [{
    Kernels choose the number of tasks by the work there is; for little work it
    is one. After `convert-scf-to-openmp` this pass gives each `omp.parallel`
    the condition that its loop has more than one iteration, and moves scratch
    buffers of constant size from the iteration to the thread. A region with one
    loop of one dimension, without reductions and checks, is shared out by the
    numbers of the threads, without calls that ask for a share and wait.

    Before:
    ```mlir
    omp.parallel {
      omp.wsloop {
        omp.loop_nest (%i) : index = (%c0) to (%n) step (%c1) {
          memref.alloca_scope {
            %scratch = memref.alloca() : memref<8192xf32>
    ```
    After:
    ```mlir
    %next = arith.addi %c0, %c1 : index
    %many = arith.cmpi slt, %next, %n : index
    omp.parallel if(%many) {
      %scratch = memref.alloca() : memref<8192xf32>
      %thread = func.call @omp_get_thread_num() : () -> i32
      %threads = func.call @omp_get_num_threads() : () -> i32
      ...
      scf.for %i = %begin to %end step %c1 {
    ```
  }];
  let statistics = [
    Statistic<"numDistributed", "num-distributed",
              "Loops that threads share out by themselves">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
                           "::mlir::omp::OpenMPDialect", "::mlir::scf::SCFDialect"];
}

def NibbleProtectInputsPass : Pass<"nibble-protect-inputs", "::mlir::ModuleOp"> {
  let summary = "Forbid writing to the arguments of public functions";
  let description = [{
    The inputs of a model belong to its caller. Before bufferization every
    tensor argument of a public function is marked, so that nothing is computed
    in place in it.

    Before:
    ```mlir
    func.func @main_graph(%x: tensor<4xf32>) -> tensor<4xf32>
    ```
    After:
    ```mlir
    func.func @main_graph(%x: tensor<4xf32> {bufferization.writable = false}) -> tensor<4xf32>
    ```
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect"];
}

def NibblePlaceCachesPass : Pass<"nibble-place-caches", "::mlir::func::FuncOp"> {
  let summary = "Write new positions into the buffers of caches";
  let description = [{
    `nibble.append_cache` and `nibble.update_cache` become insertions. Those of
    a cache that `nibble-share-caches` numbered go into the buffer that the
    runtime keeps; the present is no result of the function any more, but the
    argument says what it was (`nibble.kept_cache`), and the runtime hands it
    out. The others go into a copy of the past.

    Before:
    ```mlir
    func.func @main_graph(%past: tensor<1x2x?x8xf32> {nibble.cache = 0 : i64}, %k: tensor<1x2x1x8xf32>)
        -> (tensor<1x2x?x8xf32> {nibble.cache = 0 : i64}) {
      %0 = nibble.append_cache %past, %k {axis = 2 : i64, cache = 0 : i64}
        : (tensor<1x2x?x8xf32>, tensor<1x2x1x8xf32>) -> tensor<1x2x?x8xf32>
      return %0 : tensor<1x2x?x8xf32>
    }
    ```
    After:
    ```mlir
    func.func @main_graph(%past: tensor<1x2x?x8xf32> {nibble.kept_cache = {axis = 2 : i64, cache = 0 : i64, ...}}, %k: tensor<1x2x1x8xf32>) {
      %n = tensor.dim %past, %c2 : tensor<1x2x?x8xf32>
      %m = arith.addi %n, %c1 : index
      %room = nibble.extend_cache %m {axis = 2 : i64, cache = 0 : i64} : memref<1x2x?x8xf32, strided<[?, ?, 8, 1]>>
      %0 = bufferization.to_tensor %room restrict writable : memref<1x2x?x8xf32, strided<[?, ?, 8, 1]>> to tensor<1x2x?x8xf32>
      %1 = tensor.insert_slice %k into %0[0, 0, %n, 0] [1, 2, 1, 8] [1, 1, 1, 1] : tensor<1x2x1x8xf32> into tensor<1x2x?x8xf32>
      bufferization.materialize_in_destination %1 in restrict writable %room
        : (tensor<1x2x?x8xf32>, memref<1x2x?x8xf32, strided<[?, ?, 8, 1]>>) -> ()
      return
    }
    ```
  }];
  let statistics = [
    Statistic<"numShared", "num-shared", "Caches that the runtime keeps">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::bufferization::BufferizationDialect",
    "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"
  ];
}

def NibbleLowerCachesPass : Pass<"nibble-lower-caches", "::mlir::ModuleOp"> {
  let summary = "Lower buffers of caches to calls of the runtime";
  let description = [{
    `nibble.extend_cache` becomes a call of `nibble_rt_extend_cache`, which
    writes the descriptor of the buffer to the frame.

    Before:
    ```mlir
    %room = nibble.extend_cache %n {axis = 2 : i64, cache = 0 : i64} : memref<1x2x?x8xf32, strided<[?, ?, 8, 1]>>
    ```
    After:
    ```mlir
    %slot = llvm.alloca %one x !llvm.struct<(ptr, ptr, i64, array<4 x i64>, array<4 x i64>)> : (i64) -> !llvm.ptr
    llvm.call @nibble_rt_extend_cache(%c0, %n, %slot) : (i32, i64, !llvm.ptr) -> ()
    %room = llvm.load %slot : !llvm.ptr -> !llvm.struct<(ptr, ptr, i64, array<4 x i64>, array<4 x i64>)>
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect"
  ];
}

def NibbleLowerObservePass : Pass<"nibble-lower-observe", "::mlir::ModuleOp"> {
  let summary = "Lower observation to calls of the runtime";
  let description = [{
    `nibble.observe` becomes a call of `nibble_rt_observe` with the descriptor of
    the value in a slot of the frame.

    Before:
    ```mlir
    nibble.observe %x {id = 3 : i64} : memref<?x8xf32>
    ```
    After:
    ```mlir
    %0 = builtin.unrealized_conversion_cast %x : memref<?x8xf32>
      to !llvm.struct<(ptr, ptr, i64, array<2 x i64>, array<2 x i64>)>
    llvm.store %0, %slot : !llvm.struct<...>, !llvm.ptr
    llvm.call @nibble_rt_observe(%id, %dtype, %rank, %slot) : (i64, i32, i32, !llvm.ptr) -> ()
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def NibbleLowerExpandShapePass : Pass<"nibble-lower-expand-shape"> {
  let summary = "Lower views that split a dimension into several unknown sizes";
  let description = [{
    Upstream's `expand-strided-metadata` divides to find the unknown size of a
    split dimension, so there may be only one of them. The sizes are operands of
    the operation: this pass takes them from there.

    Before:
    ```mlir
    %1 = memref.expand_shape %0 [[0, 1, 2]] output_shape [%n, 3, %m]
      : memref<?xf32> into memref<?x3x?xf32>
    ```
    After:
    ```mlir
    %base, %offset, %size, %stride = memref.extract_strided_metadata %0
      : memref<?xf32> -> memref<f32>, index, index, index
    %step = arith.muli %m, %c3 : index
    %1 = memref.reinterpret_cast %base to offset: [0], sizes: [%n, 3, %m],
        strides: [%step, %m, 1] : memref<f32> to memref<?x3x?xf32>
    ```
  }];
  let statistics = [
    Statistic<"numLowered", "num-lowered", "Views that were lowered">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"
  ];
}

def NibbleSplitFillsPass : Pass<"nibble-split-fills", "::mlir::func::FuncOp"> {
  let summary = "Give each operation that writes to a filled tensor its own";
  let description = [{
    Sums and products start from a tensor of zeros, and equal tensors have become
    one. Bufferization would fill one buffer and copy it for each; filling is
    cheaper, and a product that stores its result needs no zeros at all.

    Before:
    ```mlir
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x4xf32>) -> tensor<8x4xf32>
    %0 = linalg.matmul ins(%x, %v : tensor<8x6xf32>, tensor<6x4xf32>) outs(%z : tensor<8x4xf32>)
    %1 = linalg.matmul ins(%x, %w : tensor<8x6xf32>, tensor<6x4xf32>) outs(%z : tensor<8x4xf32>)
    ```
    After:
    ```mlir
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8x4xf32>) -> tensor<8x4xf32>
    %0 = linalg.matmul ins(%x, %v : tensor<8x6xf32>, tensor<6x4xf32>) outs(%z : tensor<8x4xf32>)
    %f = tensor.empty() : tensor<8x4xf32>
    %y = linalg.fill ins(%zero : f32) outs(%f : tensor<8x4xf32>) -> tensor<8x4xf32>
    %1 = linalg.matmul ins(%x, %w : tensor<8x6xf32>, tensor<6x4xf32>) outs(%y : tensor<8x4xf32>)
    ```
  }];
  let statistics = [
    Statistic<"numSplit", "num-split", "Operations with a filled tensor of their own">
  ];
  let dependentDialects = [
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"
  ];
}

def NibbleReuseInputsPass : Pass<"nibble-reuse-inputs", "::mlir::func::FuncOp"> {
  let summary = "Compute elementwise operations in a value that ends with them";
  let description = [{
    An elementwise operation with a new output writes where it reads if one of
    its inputs has the same type and no other use. Bufferization then needs no
    further buffer.

    Before:
    ```mlir
    %e = tensor.empty(%n) : tensor<?xf32>
    %y = linalg.generic {...} ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {...}
    ```
    After:
    ```mlir
    %y = linalg.generic {...} ins(%x : tensor<?xf32>) outs(%x : tensor<?xf32>) {...}
    ```
  }];
  let statistics = [
    Statistic<"numReused", "num-reused", "Outputs that take the place of an input">
  ];
}

def NibbleLowerAssertPass : Pass<"nibble-lower-assert", "::mlir::ModuleOp"> {
  let summary = "Lower run-time checks to a call of the runtime";
  let description = [{
    `cf.assert` becomes a branch to a block that calls `nibble_rt_fail` with the
    message. That function does not return: it ends the run with an error that
    the caller of the model can read.

    Before:
    ```mlir
    cf.assert %inside, "layer \"embed\": index out of range"
    ```
    After:
    ```mlir
    llvm.cond_br %inside, ^bb1, ^bb2
    ^bb2:
      llvm.call @nibble_rt_fail(%message) : (!llvm.ptr) -> ()
      llvm.unreachable
    ```
    No thread of a team may leave it by a jump. There, a check that fails is
    noted, its iteration of the loop ends, and the run fails when all are done:
    ```mlir
    %run = llvm.call @nibble_rt_current_run() : () -> !llvm.ptr
    omp.parallel {
      ...
      ^bb2:
        llvm.call @nibble_rt_note_failure(%run, %message)
        omp.yield
    ```
  }];
  let dependentDialects = [
    "::mlir::cf::ControlFlowDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::omp::OpenMPDialect"
  ];
}

def NibbleAnnotateKernelsPass : Pass<"nibble-annotate-kernels", "::mlir::ModuleOp"> {
  let summary = "Tell LLVM that the arguments of kernels do not alias";
  let description = [{
    The buffers that a kernel gets are distinct. After `convert-func-to-llvm`
    the pointers of functions marked `nibble.kernel` are made `noalias`, and the
    functions internal.

    Before:
    ```mlir
    llvm.func @k(%arg0: !llvm.ptr, ...) attributes {nibble.kernel, sym_visibility = "private"}
    ```
    After:
    ```mlir
    llvm.func internal @k(%arg0: !llvm.ptr {llvm.noalias}, ...)
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // NIBBLE_CODEGEN_CPU_PASSES_TD
