//===- Passes.td - Passes before emission ------------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TARGET_PASSES
#define NIBBLE_TARGET_PASSES

include "mlir/Pass/PassBase.td"

def NibblePlaceWeights : Pass<"nibble-place-weights", "::mlir::ModuleOp"> {
  let summary = "Give every weight its place in the block of weights";
  let description = [{
    The entry function (the one with `llvm.emit_c_interface`) gets the block of
    weights as a first argument, and every `nibble.weight` becomes a view of it.
    Offsets are multiples of 64 bytes; equal attributes share one. The layout
    stays in the module as `nibble.weights`, for the packager; what the binary
    says about inputs and outputs stays as `nibble.model_info`. Weights marked
    `nibble.on_device` come first; the bytes up to the end of the last of them
    are `nibble.device_weight_bytes`.

    Before:
    ```mlir
    func.func @main_graph(%x: memref<4xf32>) attributes {llvm.emit_c_interface} {
      %w = nibble.weight dense<2.0> : tensor<4xf32> -> memref<4xf32>
      ...
    ```
    After:
    ```mlir
    module attributes {nibble.weights = [ {offset = 0 : i64, value = dense<2.0> : tensor<4xf32>} ]} {
    func.func @main_graph(%weights: memref<?xi8> {nibble.weights}, %x: memref<4xf32>) attributes {llvm.emit_c_interface} {
      %c0 = arith.constant 0 : index
      %w = memref.view %weights[%c0][] : memref<?xi8> to memref<4xf32>
      ...
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect"];
  let statistics = [
    Statistic<"numWeights", "num-weights", "Weights placed">,
    Statistic<"numShared", "num-shared", "Weights that share the place of another">,
    Statistic<"numBytes", "num-bytes", "Bytes of the block of weights">];
}

def NibbleInstrumentLayers : Pass<"nibble-instrument-layers", "::mlir::ModuleOp"> {
  let summary = "Let the runtime measure every layer";
  let description = [{
    Around every operation of the entry function on buffers that does work (the
    fused family and linalg), two calls tell the runtime which layer runs. They
    cost a few nanoseconds and measure only in a context that profiles. The
    layer's name is the operation's `layers`, else the name in its location,
    else the operation's name; names and weight bytes stay in the module as
    `nibble.layers`.

    Before:
    ```mlir
    linalg.fill ins(%c : f32) outs(%b : memref<4xf32>) loc("zero")
    ```
    After:
    ```mlir
    func.call @nibble_rt_profile_begin(%c0) : (i32) -> ()
    linalg.fill ins(%c : f32) outs(%b : memref<4xf32>) loc("zero")
    func.call @nibble_rt_profile_end(%c0) : (i32) -> ()
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect"];
  let statistics = [
    Statistic<"numLayers", "num-layers", "Layers that can be measured">];
}

def NibbleSerializeKernels : Pass<"nibble-serialize-kernels", "::mlir::ModuleOp"> {
  let summary = "Make PTX and machine code of the kernels";
  let description = [{
    The module of kernels, in NVVM, becomes a binary: machine code for each of
    the chips, by LLVM and ptxas, and PTX of the newest one that later chips can
    follow. What an object is for stays in its properties: the chip, and the
    oldest driver that takes it.

    Before:
    ```mlir
    gpu.module @nibble_kernels { llvm.func @k(...) attributes {gpu.kernel, nvvm.kernel} {...} }
    ```
    After:
    ```mlir
    gpu.binary @nibble_kernels [
      #gpu.object<#nvvm.target<chip = "sm_90", ...>, properties = {chip = "sm_90", driver = 13000 : i32}, bin = "...">,
      #gpu.object<#nvvm.target<chip = "sm_90", ...>, properties = {chip = "sm_90", driver = 12000 : i32}, assembly = "...">]
    ```
  }];
  let options = [
    Option<"chips", "chips", "std::string", /*default=*/"\"sm_80\"",
           "The chips, with commas between them">,
    Option<"printResources", "print-resources", "bool", /*default=*/"false",
           "Say in a remark what ptxas -v says of registers, shared memory and spills">
  ];
  let dependentDialects = ["::mlir::gpu::GPUDialect",
                           "::mlir::NVVM::NVVMDialect"];
  let statistics = [
    Statistic<"numCubins", "num-cubins", "Chips that there is machine code for">];
}

#endif // NIBBLE_TARGET_PASSES
