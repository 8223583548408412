//===- KernelBuilder.h - A small language for kernels -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels are written in C++ that builds scf, vector, memref and arith. All
// memory that a kernel sees is one-dimensional and contiguous: addresses are
// index arithmetic, and sizes are arguments.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_KERNELBUILDER_H
#define NIBBLE_CODEGEN_CPU_KERNELBUILDER_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

namespace nibble::codegen {

/// What the kernels have to know of the CPU.
struct CpuTarget {
  /// Vector registers of 512 bits, 32 of them, with masks.
  bool avx512 = true;
  /// AVX2, fused multiply-add and conversion of f16 (all CPUs with AVX2 and
  /// the second have the third).
  /// Without, a product is rounded before the addition.
  bool fma = true;
  /// AVX-512 VNNI: sums of four products of bytes in one instruction.
  bool vnni = false;
  /// Products of many rows in AMX tiles of bf16, where the runtime says that
  /// this process may use them.
  bool tiles = false;

  /// Rows of a register tile; its width is `tileVectors()` vectors.
  int64_t tileRows() const { return avx512 ? 8 : 4; }
  /// Vectors of 16 floats side by side in a register tile.
  int64_t tileVectors() const { return avx512 ? 2 : 1; }
  /// Panels that a matrix-vector product walks through at the same time. One
  /// stream of loads per thread does not saturate memory.
  int64_t streams() const { return avx512 ? 4 : 2; }
};

class KernelBuilder;

/// A value of type `index` with arithmetic. Constants are folded as it grows.
class Index {
public:
  Index() = default;
  Index(KernelBuilder &kernel, mlir::Value value)
      : kernel(&kernel), value(value) {}
  operator mlir::Value() const { return value; }
  KernelBuilder &getKernel() const { return *kernel; }

private:
  KernelBuilder *kernel = nullptr;
  mlir::Value value;
};

Index operator+(Index a, Index b);
Index operator+(Index a, int64_t b);
Index operator-(Index a, Index b);
Index operator-(Index a, int64_t b);
Index operator*(Index a, Index b);
Index operator*(Index a, int64_t b);
/// Quotient of non-negative numbers, rounded down.
Index operator/(Index a, Index b);
Index operator/(Index a, int64_t b);
Index operator%(Index a, Index b);
Index ceilDiv(Index a, Index b);
Index ceilDiv(Index a, int64_t b);
Index min(Index a, Index b);
Index min(Index a, int64_t b);
Index max(Index a, Index b);
Index max(Index a, int64_t b);

using Values = llvm::SmallVector<mlir::Value>;

/// Builds the body of one kernel.
class KernelBuilder {
public:
  /// Floats in a vector. AVX2 splits one into two registers.
  static constexpr int64_t lanes = 16;
  /// Output channels of a weight panel.
  static constexpr int64_t panelWidth = 32;

  KernelBuilder(mlir::OpBuilder &builder, mlir::Location loc, CpuTarget target)
      : b(builder), loc(loc), target(target) {}

  mlir::OpBuilder &b;
  mlir::Location loc;
  CpuTarget target;

  // Types.
  mlir::VectorType vectorType(mlir::Type element, int64_t size = lanes) {
    return mlir::VectorType::get(size, element);
  }
  mlir::VectorType f32Vector() { return vectorType(b.getF32Type()); }
  mlir::VectorType i32Vector() { return vectorType(b.getI32Type()); }

  // Scalars and conditions.
  Index index(int64_t value);
  Index index(mlir::Value value) { return Index(*this, value); }
  Index dim(mlir::Value memref, int64_t i);
  mlir::Value lt(Index a, Index b);
  mlir::Value le(Index a, Index b);
  mlir::Value eq(Index a, int64_t b);
  mlir::Value both(mlir::Value a, mlir::Value b);
  mlir::Value f32(double value);

  /// Whether this process may use AMX; asks the runtime.
  mlir::Value hasTiles();

  // Vectors.
  mlir::Value splat(mlir::Value scalar, int64_t size = lanes);
  mlir::Value zeros() { return splat(f32(0.0)); }
  mlir::Value constantI32(llvm::ArrayRef<int32_t> values);
  mlir::Value splatI32(int32_t value);
  mlir::Value constantF32(llvm::ArrayRef<float> values);
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);
  mlir::Value fadd(mlir::Value a, mlir::Value b);
  mlir::Value fsub(mlir::Value a, mlir::Value b);
  mlir::Value fmul(mlir::Value a, mlir::Value b);
  /// `x`, rounded: a product does not become part of a fused multiply-add, as
  /// it may otherwise.
  mlir::Value fenced(mlir::Value x);
  /// A scale (f32, f16 or bf16, scalar or vector) as f32.
  mlir::Value toF32(mlir::Value scale);
  /// Lanes [0, count), any count.
  mlir::Value maskBelow(Index count);
  /// Lanes [begin, end).
  mlir::Value maskRange(Index begin, Index end);

  // Memory (one-dimensional memrefs).
  /// A memref without a layout as one dimension of unknown size.
  mlir::Value flatView(mlir::Value memref);
  mlir::Value load(mlir::Value memref, Index at);
  void store(mlir::Value value, mlir::Value memref, Index at);
  mlir::Value loadVector(mlir::Value memref, Index at, int64_t size = lanes);
  mlir::Value loadMasked(mlir::Value memref, Index at, mlir::Value mask);
  void storeVector(mlir::Value vector, mlir::Value memref, Index at);
  void storeMasked(mlir::Value vector, mlir::Value memref, Index at,
                   mlir::Value mask);
  /// A load of one float, broadcast to all lanes.
  mlir::Value loadSplat(mlir::Value memref, Index at) {
    return splat(load(memref, at));
  }
  /// Values of the read-only table `name` at `at`, a scalar of any integer type
  /// or a vector of i32; the module gets the table where it lacks it.
  mlir::Value lookUp(llvm::StringRef name, llvm::ArrayRef<float> values,
                     mlir::Value at);
  /// Elements of `memref` at `at` + each of `offsets`, a vector of i32.
  mlir::Value gather(mlir::Value memref, Index at, mlir::Value offsets);
  /// Floats, or elements of another type, on the stack of the thread.
  mlir::Value scratch(int64_t count, mlir::Type element = {});
  void prefetch(mlir::Value memref, Index at);

  // Control.
  using LoopBody = llvm::function_ref<void(Index)>;
  using ReduceBody = llvm::function_ref<Values(Index, mlir::ValueRange)>;
  void forLoop(Index lb, Index ub, int64_t step, LoopBody body);
  Values forLoop(Index lb, Index ub, int64_t step, mlir::ValueRange init,
                 ReduceBody body);
  /// `body` for lb, lb+1, ..., `unroll` at a time: body(i, n, values) handles
  /// i to i+n-1 with n either `unroll` or 1.
  Values forUnrolled(
      Index lb, Index ub, int64_t unroll, mlir::ValueRange init,
      llvm::function_ref<Values(Index, int64_t, mlir::ValueRange)> body);
  void ifThen(mlir::Value condition, llvm::function_ref<void()> then);
  void ifThenElse(mlir::Value condition, llvm::function_ref<void()> then,
                  llvm::function_ref<void()> otherwise);
  Values ifYield(mlir::Value condition, llvm::function_ref<Values()> then,
                 llvm::function_ref<Values()> otherwise);
  /// Splits [0, units) into `tasks` nearly equal ranges that run in parallel.
  /// One task runs on the calling thread: see `nibble-tune-openmp`.
  void parallelRanges(Index units, Index tasks,
                      llvm::function_ref<void(Index, Index)> body);
  /// Number of tasks for `work` multiply-adds that can be cut into `units`:
  /// starting threads must pay.
  Index tasksFor(Index work, Index units);

  /// Values of an activation function. `emitActivation` works on a float and on
  /// any vector of them; expensive ones are better applied in a loop.
  mlir::Value emitActivation(Activation activation, mlir::Value x);
  static bool isExpensive(Activation activation);
};

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_KERNELBUILDER_H
