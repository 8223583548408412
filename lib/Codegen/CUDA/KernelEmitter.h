//===- KernelEmitter.h - A small language for CUDA kernels --------*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the builders of kernels share. Numbers are i32 (offsets of global
// memory i64 where a tensor may be large), addresses are `!llvm.ptr` with byte
// offsets: what a load becomes in PTX is decided here, not by a conversion.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CODEGEN_CUDA_KERNELEMITTER_H
#define NIBBLE_LIB_CODEGEN_CUDA_KERNELEMITTER_H

#include "mlir/Dialect/LLVMIR/LLVMTypes.h"
#include "nibble/Codegen/CUDA/Kernels.h"

namespace nibble::codegen::cuda {

using Values = llvm::SmallVector<mlir::Value>;

/// Bytes of a scalar or a vector.
int64_t getBytes(mlir::Type type);

class KernelEmitter {
public:
  static constexpr unsigned globalSpace = 1;
  static constexpr unsigned sharedSpace = 3;

  /// Begins a kernel of `numThreads` threads in a block; the body is built at
  /// `b`. `finish` ends it.
  KernelEmitter(mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module,
                llvm::StringRef name, llvm::ArrayRef<mlir::Type> arguments,
                int64_t numThreads);
  mlir::gpu::GPUFuncOp finish();
  /// Nothing writes what the argument points to while the kernel runs. LLVM's
  /// vectorizer drops `invariant` of loads, this stays: the read-only cache is
  /// used.
  void setConstant(mlir::Value argument);

  mlir::OpBuilder b;
  mlir::Location loc;
  mlir::gpu::GPUFuncOp func;
  mlir::Type i8, i16, i32, i64, f16, bf16, f32;

  mlir::Type type(FloatKind kind) const;
  mlir::VectorType vector(int64_t size, mlir::Type element) const {
    return mlir::VectorType::get(size, element);
  }
  static mlir::Type globalPointer(mlir::MLIRContext *context) {
    return mlir::LLVM::LLVMPointerType::get(context, globalSpace);
  }

  // Where a thread is.
  mlir::Value threadId();
  mlir::Value blockId(unsigned dim);

  // Numbers. Constants are folded as expressions grow.
  mlir::Value num(int64_t value);
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value add(mlir::Value x, int64_t y) { return add(x, num(y)); }
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, int64_t y) { return mul(x, num(y)); }
  mlir::Value div(mlir::Value x, int64_t y);
  mlir::Value rem(mlir::Value x, int64_t y);
  mlir::Value min(mlir::Value x, mlir::Value y);
  mlir::Value bitAnd(mlir::Value x, int64_t y);
  mlir::Value bitOr(mlir::Value x, mlir::Value y);
  mlir::Value bitXor(mlir::Value x, mlir::Value y);
  /// Moves bits up by `by`, or down if it is negative.
  mlir::Value shift(mlir::Value x, int64_t by);
  mlir::Value lt(mlir::Value x, mlir::Value y);
  mlir::Value eq(mlir::Value x, int64_t y);
  mlir::Value both(mlir::Value x, mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  /// i64 product, for offsets of large tensors.
  mlir::Value wideMul(mlir::Value x, int64_t y);
  /// An unsigned i8 as i32.
  mlir::Value widen(mlir::Value x);
  /// The low half of an i64.
  mlir::Value narrow(mlir::Value x);

  // Floats.
  mlir::Value f32Const(double value);
  mlir::Value fadd(mlir::Value x, mlir::Value y);
  mlir::Value fsub(mlir::Value x, mlir::Value y);
  mlir::Value fmul(mlir::Value x, mlir::Value y);
  mlir::Value fdiv(mlir::Value x, mlir::Value y);
  mlir::Value fmax(mlir::Value x, mlir::Value y);
  mlir::Value fmin(mlir::Value x, mlir::Value y);
  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value z);
  /// 2^x, with the error of `ex2.approx`: two units in the last place.
  mlir::Value exp2(mlir::Value x);
  mlir::Value exp(mlir::Value x);
  /// 1 / sqrt(x), with the error of `rsqrt.approx`: 2^-22.
  mlir::Value rsqrt(mlir::Value x);
  mlir::Value activate(Activation activation, mlir::Value x);
  /// A float of any kind, or a signed integer, as f32, and f32 rounded to
  /// `kind`.
  mlir::Value toF32(mlir::Value x);
  mlir::Value fromF32(mlir::Value x, FloatKind kind);
  mlir::Value bitcast(mlir::Value x, mlir::Type to);
  mlir::Value callIntrinsic(llvm::StringRef name, mlir::Type result,
                            mlir::ValueRange arguments);

  // Vectors.
  mlir::Value extract(mlir::Value vector, int64_t i);
  mlir::Value pack(mlir::ValueRange elements);

  // Memory. Offsets are bytes.
  mlir::Value at(mlir::Value pointer, mlir::Value offset);
  mlir::Value at(mlir::Value pointer, int64_t offset);
  /// Alignment is that of the whole value. A constant load may go through the
  /// read-only cache: nothing writes the memory while the kernel runs.
  mlir::Value load(mlir::Type type, mlir::Value pointer, bool constant = false);
  void store(mlir::Value value, mlir::Value pointer);
  /// The dynamic shared memory of the block.
  mlir::Value sharedMemory();
  void barrier();

  // Asynchronous copies from global to shared memory.
  /// Copies `size` bytes, 4, 8 or 16; what is behind `available` is zero.
  void copyAsync(mlir::Value to, mlir::Value from, int64_t size,
                 mlir::Value available = {});
  void commitCopies();
  /// Waits until at most `pending` of the last commits are under way.
  void waitForCopies(int64_t pending);

  // Tensor cores. Registers are i32.
  /// Four 8x8 matrices of halves; lanes 8i to 8i+7 give the rows of matrix i.
  Values loadMatrices(mlir::Value row);
  /// m16n8k16 of `kind` (f16 or bf16), f32 sums.
  Values mmaHalf(FloatKind kind, mlir::ValueRange a, mlir::ValueRange b,
                 mlir::ValueRange c);
  /// m16n8k32 of s8, or u8 for a, and s8, i32 sums.
  Values mmaByte(mlir::ValueRange a, bool isUnsigned, mlir::ValueRange b,
                 mlir::ValueRange c);

  // Between the lanes of a warp.
  /// The value that lane `lane ^ distance` has.
  mlir::Value shuffleXor(mlir::Value x, int64_t distance);
  /// The sum over lanes that differ in the bits below `width`.
  mlir::Value sumLanes(mlir::Value x, int64_t width, int64_t from = 1);
  mlir::Value maxLanes(mlir::Value x, int64_t width, int64_t from = 1);

  // Control.
  Values
  forLoop(mlir::Value lb, mlir::Value ub, mlir::Value step,
          mlir::ValueRange init,
          llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body);
  void ifThen(mlir::Value condition, llvm::function_ref<void()> then);
  Values ifYield(mlir::Value condition, llvm::function_ref<Values()> then,
                 llvm::function_ref<Values()> otherwise);

private:
  Values unpackStruct(mlir::Value value);
};

} // namespace nibble::codegen::cuda

#endif // NIBBLE_LIB_CODEGEN_CUDA_KERNELEMITTER_H
