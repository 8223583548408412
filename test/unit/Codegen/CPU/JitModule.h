//===- JitModule.h - Runs generated code in a test --------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_UNIT_CODEGEN_CPU_JITMODULE_H
#define NIBBLE_TEST_UNIT_CODEGEN_CPU_JITMODULE_H

#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "nibble/Codegen/CPU/KernelBuilder.h"
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace nibble::test {

/// A ranked memref as generated code takes it. Keeps the descriptor only.
class MemRef {
public:
  template <typename T>
  MemRef(std::vector<T> &data, std::vector<int64_t> shape)
      : MemRef(static_cast<void *>(data.data()), std::move(shape)) {}
  MemRef(void *data, std::vector<int64_t> shape);
  void *descriptor() { return words.data(); }

private:
  /// allocated, aligned, offset, sizes, strides.
  std::vector<int64_t> words;
};

/// Textual IR that was compiled for this machine.
class JitModule {
public:
  /// Null, after a test failure, if something goes wrong. With `tensors` the
  /// text is bufferized first.
  static std::unique_ptr<JitModule> create(const std::string &text,
                                           codegen::CpuTarget target,
                                           bool tensors = false);
  /// Calls function `name`. False if `nibble_rt_fail` was called; its message
  /// is then in `failure`.
  bool call(const std::string &name, std::vector<MemRef> arguments);
  std::string failure;

private:
  std::unique_ptr<mlir::MLIRContext> context;
  std::unique_ptr<mlir::ExecutionEngine> engine;
};

/// Kernels for AVX2 run everywhere; those for AVX-512 where the machine has it,
/// and with VNNI, which only `integers` make a difference with.
std::vector<codegen::CpuTarget> targetsOfThisMachine(bool integers = false);

/// Whether code may use AMX from now on, if there is; by default yes.
void allowTiles(bool allowed);

std::vector<float> randomFloats(size_t count, unsigned seed);

/// A quantized weight of `n` rows by `k`, and its meaning.
struct QuantizedWeight {
  QuantizedWeight(int64_t n, int64_t k, unsigned bits, int64_t group,
                  bool zeros, unsigned seed);
  /// `scale * (code - zero)`, [n][k].
  std::vector<float> values() const;
  /// Codes, scales and zero points in panels.
  std::vector<uint8_t> panels() const;
  std::vector<float> panelScales() const;
  std::vector<uint8_t> panelZeros() const;
  /// Codes in rows.
  std::vector<uint8_t> rows() const;

  int64_t n, k;
  unsigned bits;
  int64_t group;
  int64_t numGroups;
  bool hasZeros;
  /// Unsigned codes, [n][k]; scales (exact in bf16) and zeros, [n][numGroups].
  std::vector<uint8_t> codes, zeros;
  std::vector<float> scales;
};

/// A float weight [n][k] in panels.
std::vector<float> packFloats(const std::vector<float> &weight, int64_t n,
                              int64_t k);

/// Scales in the type that `name` (f32, f16, bf16) says, as raw bytes.
std::vector<uint8_t> convertScales(const std::vector<float> &scales,
                                   const std::string &name);

double applyActivation(const std::string &name, double x);

/// The parts of a function's text around an operation of the fused family on
/// memrefs: what the function takes, what the operation takes, and the types.
/// An operand whose type is empty is absent.
struct FusedOpText {
  FusedOpText(const std::string &input, const std::string &weight,
              const std::string &scales, const std::string &zeros,
              const std::string &bias, const std::string &residual,
              const std::string &output, const std::string &second = "");

  std::string arguments, operands, types;
};

} // namespace nibble::test

#endif // NIBBLE_TEST_UNIT_CODEGEN_CPU_JITMODULE_H
