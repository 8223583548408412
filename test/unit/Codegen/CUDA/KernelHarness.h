//===- KernelHarness.h - Kernels as PTX, and run on the host ------*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_CODEGENCUDA_KERNELHARNESS_H
#define NIBBLE_TEST_CODEGENCUDA_KERNELHARNESS_H

#include "PtxMachine.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "nibble/Codegen/CUDA/Kernels.h"
#include <random>

namespace nibble::test {

/// Builds kernels and makes PTX of them as the compiler does.
class KernelModule {
public:
  KernelModule();
  mlir::OpBuilder builder() { return mlir::OpBuilder(&context); }
  mlir::gpu::GPUModuleOp get() { return gpuModule; }
  /// The kernels as they were built.
  std::string print();
  /// Lowers the module, once: it is LLVM's dialect then.
  llvm::Expected<std::string> toPtx(llvm::StringRef chip);

private:
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::gpu::GPUModuleOp gpuModule;
};

/// What ptxas says of a kernel; empty strings of `found` if there is no ptxas.
struct PtxasReport {
  bool found = false;
  bool accepted = false;
  int64_t registers = 0, spillBytes = 0, sharedBytes = 0;
  std::string output;
};
PtxasReport runPtxas(llvm::StringRef ptx, llvm::StringRef chip);

/// Floats in memory as a kernel has them.
class FloatBuffer {
public:
  FloatBuffer(codegen::cuda::FloatKind kind, size_t size);
  void fill(std::mt19937 &random, double low, double high);
  void set(size_t i, double value);
  double get(size_t i) const;
  size_t size() const { return count; }
  uint64_t address() const { return reinterpret_cast<uint64_t>(data.data()); }
  void lend(PtxMachine &machine, bool writable) const {
    machine.lend(data.data(), count * codegen::cuda::getSize(kind), writable);
  }
  llvm::ArrayRef<uint8_t> bytes() const {
    return {reinterpret_cast<const uint8_t *>(data.data()),
            count * size_t(codegen::cuda::getSize(kind))};
  }

private:
  codegen::cuda::FloatKind kind;
  size_t count;
  /// Aligned to 16 bytes.
  struct alignas(16) Chunk {
    uint8_t bytes[16];
  };
  std::vector<Chunk> data;
};

/// Half a unit in the last place of a value of size `magnitude`.
double roundingError(codegen::cuda::FloatKind kind, double magnitude);

/// A random quantized weight, packed for the device, and its exact values.
struct RandomWeight {
  RandomWeight(const codegen::cuda::KernelWeight &format, std::mt19937 &random);
  void lend(PtxMachine &machine) const;

  std::vector<uint8_t> codes;
  std::vector<uint8_t> packed, packedScales, packedZeros;
  /// [n, k]: scale * (code - zero).
  std::vector<double> values;
};

} // namespace nibble::test

#endif // NIBBLE_TEST_CODEGENCUDA_KERNELHARNESS_H
