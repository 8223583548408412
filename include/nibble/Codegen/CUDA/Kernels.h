//===- Kernels.h - CUDA kernels as IR builders --------------------*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each builder adds one kernel to a `gpu.module`. What a kernel computes and
// all sizes but the number of rows are options, known when it is built: loops
// have constant bounds, and what an option leaves out is not in the code.
//
// Arguments are bare pointers to global memory (`!llvm.ptr<1>`), 16-byte
// aligned, and `i32` numbers, in the order that each builder states; `[x]` is
// there if the option asks for it. Matrices are row-major and dense. A kernel
// is launched with the grid, the block and the bytes of dynamic shared memory
// that its `get...Launch` gives (above 48 KiB the driver wants
// CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES set to them); the module gets
// one external array in shared memory for all kernels.
//
// Bodies are arith, vector, scf, llvm and nvvm operations. To become LLVM IR
// they need scf-to-cf, cf, arith, vector and gpu to LLVM conversions.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CUDA_KERNELS_H
#define NIBBLE_CODEGEN_CUDA_KERNELS_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Builders.h"
#include "nibble/Codegen/CUDA/WeightLayout.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include <string>

namespace nibble::codegen::cuda {

/// Type of activations, scales and results in memory.
enum class FloatKind : uint8_t { F32, F16, BF16 };
inline int64_t getSize(FloatKind kind) {
  return kind == FloatKind::F32 ? 4 : 2;
}

struct LaunchShape {
  int64_t grid[3] = {1, 1, 1};
  int64_t block[3] = {1, 1, 1};
  int64_t sharedBytes = 0;
};

/// A quantized weight in the order of WeightLayout.h.
struct KernelWeight {
  WeightLayout layout;
  /// Values of the codes of NF4 or FP4 (16 of them); empty for integers.
  llvm::ArrayRef<float> table;
  /// Steps of the contraction that share a scale, a multiple of 16 (of 32 for
  /// Fragment::Byte); 0: all of a row. The last group may be shorter.
  int64_t group = 0;
  FloatKind scale = FloatKind::F16;
  /// None: 2^(b-1) is zero. Integer: codes in bytes. Float and Minimum: of the
  /// scales' type, `scale * (code - zero)` and `scale * code + minimum`.
  ZeroKind zero = ZeroKind::None;

  int64_t numGroups() const {
    return group == 0 ? 1 : (layout.k + group - 1) / group;
  }
};

/// What happens to a sum before it is stored:
/// `activation(sum + bias[n]) + residual[row, n]`.
struct Epilogue {
  /// f32 [n].
  bool bias = false;
  Activation activation = Activation::None;
  /// [rows, n] of the output's type; may be the output itself.
  bool residual = false;
};

//===----------------------------------------------------------------------===//
// Matrix-vector products
//===----------------------------------------------------------------------===//

/// output[rows, n] = input[rows, k] * weight[n, k]^T for few rows, in f32 on
/// the ordinary cores. A block takes one panel of 32 channels; its warps share
/// the tiles of K and add up in shared memory.
///
/// Arguments: codes, scales, [zeros], input, [bias], [residual], output,
/// rows: i32.
/// Grid: panels x ceil(rows / rowsPerBlock); block: 32 * warps.
struct GemvKernelOptions {
  std::string name = "gemv";
  KernelWeight weight;
  FloatKind input = FloatKind::F16;
  FloatKind output = FloatKind::F16;
  /// 1 to 8. Every row costs a multiply-add per weight: from about 4 rows on
  /// tensor cores are faster.
  int64_t rowsPerBlock = 1;
  /// 1 to 16; more than tiles of K idle.
  int64_t warps = 8;
  Epilogue epilogue;
};

LaunchShape getGemvLaunch(const GemvKernelOptions &options, int64_t rows);
mlir::gpu::GPUFuncOp buildGemvKernel(mlir::OpBuilder &builder,
                                     mlir::gpu::GPUModuleOp module,
                                     const GemvKernelOptions &options);

} // namespace nibble::codegen::cuda

#endif // NIBBLE_CODEGEN_CUDA_KERNELS_H
