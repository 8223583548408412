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

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

/// output[rows, n] = input[rows, k] * weight[n, k]^T on tensor cores (sm_80 and
/// later), f32 or i32 sums. The weight's fragment chooses the instruction:
///
///   Half  mma.m16n8k16 of f16 or bf16; weights are made `scale * (code -
///         zero)` in the type of the input, in registers
///   Byte  mma.m16n8k32 of s8, 4 or 8 bits (zero points of 4-bit codes only);
///         the input is i8 [rows, k] with an f32 scale for each row, and sums
///         are scaled in f32, group by group
///
/// Tiles of input, codes, scales and zero points come by `cp.async` through
/// `stages` buffers; those of the input are swizzled in units of 16 bytes, so
/// that neither copies nor `ldmatrix` meet a conflict of banks.
///
/// Arguments: codes, scales, [zeros], input, [inputScales if Byte],
/// [inputZeros, weightSums], [bias], [residual], output, rows: i32. With
/// `splits` > 1 the output is a workspace f32 [splits, rows, n] that the kernel
/// of `buildSplitSumKernel` adds up, and the epilogue is that kernel's. Grid:
/// ceil(panels / panelsPerBlock) x ceil(rows / rowsPerBlock) x splits; block:
/// 32 * panelsPerBlock * max(1, rowsPerBlock / 64).
struct GemmKernelOptions {
  std::string name = "gemm";
  /// Rows of an input in bytes must be a multiple of 4 (better of 16).
  KernelWeight weight;
  FloatKind input = FloatKind::F16;
  FloatKind output = FloatKind::F16;
  /// 16, 32, 64 or 128.
  int64_t rowsPerBlock = 64;
  int64_t panelsPerBlock = 4;
  /// At least 2.
  int64_t stages = 4;
  /// Blocks that share the tiles of K, for shapes with few blocks otherwise.
  int64_t splits = 1;
  Epilogue epilogue;
  /// Byte, one group only: codes of the input are unsigned with a zero point
  /// for each row, u8 [rows]. `weightSums`, i32 [n], has the sums over k of the
  /// weights' codes minus their zero points.
  bool inputZeros = false;

  bool isByte() const { return weight.layout.fragment == Fragment::Byte; }
};

/// Why there is no such kernel; empty if there is.
llvm::StringRef getGemmObstacle(const GemmKernelOptions &options);
LaunchShape getGemmLaunch(const GemmKernelOptions &options, int64_t rows);
mlir::gpu::GPUFuncOp buildGemmKernel(mlir::OpBuilder &builder,
                                     mlir::gpu::GPUModuleOp module,
                                     const GemmKernelOptions &options);

/// output[rows, n] = epilogue(sum over splits of workspace[split, rows, n]).
///
/// Arguments: workspace, [bias], [residual], output, rows: i32.
/// Grid: ceil(n / 256) x rows; block: 256.
struct SplitSumKernelOptions {
  std::string name = "split_sum";
  int64_t n = 0;
  int64_t splits = 2;
  FloatKind output = FloatKind::F16;
  Epilogue epilogue;
};

LaunchShape getSplitSumLaunch(const SplitSumKernelOptions &options,
                              int64_t rows);
mlir::gpu::GPUFuncOp buildSplitSumKernel(mlir::OpBuilder &builder,
                                         mlir::gpu::GPUModuleOp module,
                                         const SplitSumKernelOptions &options);

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// What a row kernel makes of a row x[n]:
///   RMSNorm    x / sqrt(mean(x^2) + epsilon) * weight [+ bias]
///   LayerNorm  (x - mean) / sqrt(variance + epsilon) * weight [+ bias]
///   Softmax    exp(x - max) / sum(exp(x - max))
enum class RowFunction : uint8_t { RMSNorm, LayerNorm, Softmax };

/// A function of each row of a matrix [rows, n], in f32; a block takes a row.
///
/// Arguments: input, [addend, sum], [weight], [bias], output, rows: i32.
/// Grid: rows; block: 32 * warps.
struct RowKernelOptions {
  std::string name = "row";
  RowFunction function = RowFunction::RMSNorm;
  int64_t n = 0;
  FloatKind input = FloatKind::F16;
  FloatKind output = FloatKind::F16;
  /// f32 [n] each.
  bool weight = false, bias = false;
  /// x is input + addend [rows, n], rounded to the input's type and stored in
  /// `sum`, too.
  bool addend = false;
  double epsilon = 1e-5;
  /// 1 to 32.
  int64_t warps = 8;
};

LaunchShape getRowLaunch(const RowKernelOptions &options, int64_t rows);
mlir::gpu::GPUFuncOp buildRowKernel(mlir::OpBuilder &builder,
                                    mlir::gpu::GPUModuleOp module,
                                    const RowKernelOptions &options);

/// Rotary embedding of [rows, heads, headSize]: of the first `rotated` elements
/// of a head, those of a pair turn by the angle of their row's position:
///
///   (a, b) -> (a * cos - b * sin, a * sin + b * cos)
///
/// Pair i is elements i and i + rotated / 2, or 2i and 2i + 1 if `interleaved`.
///
/// Arguments: input, cos, sin (f32 [positions, rotated / 2]), positions (i64
/// [rows]), output, rows: i32. The output may be the input.
/// Grid: ceil(heads * headSize / 2 / 128) x rows; block: 128.
struct RotaryKernelOptions {
  std::string name = "rotary";
  int64_t heads = 0, headSize = 0, rotated = 0;
  bool interleaved = false;
  FloatKind type = FloatKind::F16;
};

LaunchShape getRotaryLaunch(const RotaryKernelOptions &options, int64_t rows);
mlir::gpu::GPUFuncOp buildRotaryKernel(mlir::OpBuilder &builder,
                                       mlir::gpu::GPUModuleOp module,
                                       const RotaryKernelOptions &options);

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// softmax(scale * q * k^T) * v with keys and values from a cache, by online
/// softmax in f32 on the ordinary cores: for decoding, where reading the cache
/// is the work. A block takes the query heads that share a key head, of one
/// row; groups of lanes take keys in turns and are merged at the end. With
/// `splits` > 1 blocks share the context, and the kernel of
/// `buildAttentionMergeKernel` merges what they leave.
///
/// q and the output are [rows, heads, headSize], k and v [keyHeads, capacity,
/// headSize]. Row r sees the first min(length, past + r + 1) keys if `causal`,
/// else `length`; there must be one.
///
/// Arguments: q, k, v, output, length: i32, past: i32, capacity: i32.
/// With splits the output is a workspace f32 [rows, heads, splits, headSize +
/// 2]: sums of values, then the maximum (in powers of two) and the sum of
/// weights.
/// Grid: keyHeads x rows x splits; block: 32 * warps.
struct AttentionKernelOptions {
  std::string name = "attention";
  /// heads is a multiple of keyHeads.
  int64_t heads = 0, keyHeads = 0;
  /// A multiple of 8 (f32: of 4), at most 256 (f32: 128).
  int64_t headSize = 0;
  double scale = 1.0;
  bool causal = true;
  FloatKind type = FloatKind::F16;
  /// 1 to 16.
  int64_t warps = 4;
  int64_t splits = 1;
};

LaunchShape getAttentionLaunch(const AttentionKernelOptions &options,
                               int64_t rows);
mlir::gpu::GPUFuncOp
buildAttentionKernel(mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module,
                     const AttentionKernelOptions &options);

/// Merges what the splits of `buildAttentionKernel` have left; the same
/// options, but for the name.
///
/// Arguments: workspace, output. Grid: heads x rows; block: headSize, rounded
/// up to 32.
LaunchShape getAttentionMergeLaunch(const AttentionKernelOptions &options,
                                    int64_t rows);
mlir::gpu::GPUFuncOp
buildAttentionMergeKernel(mlir::OpBuilder &builder,
                          mlir::gpu::GPUModuleOp module,
                          const AttentionKernelOptions &options);

} // namespace nibble::codegen::cuda

#endif // NIBBLE_CODEGEN_CUDA_KERNELS_H
