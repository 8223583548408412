//===- IntegerTest.h - Runs integer products in a test ----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_UNIT_CODEGEN_CPU_INTEGERTEST_H
#define NIBBLE_TEST_UNIT_CODEGEN_CPU_INTEGERTEST_H

#include "JitModule.h"

namespace nibble::test {

/// Bytes of which half are 0, 127, 128 or 255.
std::vector<uint8_t> randomCodes(size_t count, unsigned seed);

std::string describe(codegen::CpuTarget target);

/// A product of codes: the text of its operation, its operands, and what
/// follows the sums, in doubles.
class IntegerProduct {
public:
  bool unsignedInput = false, unsignedWeight = false;
  std::string activation = "none", result = "i32";

  void addInput(std::vector<uint8_t> &codes, const std::string &type,
                std::vector<int64_t> shape);
  void addWeight(std::vector<uint8_t> &codes, std::vector<int64_t> shape,
                 bool constant);
  /// Operands of the result stage: "none", "one" or "many" zero points and
  /// scales, bias "none", "i32" or "f32". `rowType` is the shape of those that
  /// belong to `rows` rows, `outType` that of the `outputs` results.
  void addStages(const std::string &inputZero, const std::string &weightZero,
                 const std::string &inputScale, const std::string &weightScale,
                 const std::string &bias, bool residual,
                 const std::string &rowType, int64_t rows,
                 std::vector<int64_t> rowShape, int64_t channels,
                 const std::string &outType, int64_t outputs);
  /// False, after a failure, if the operation does not compile or run.
  bool run(const std::string &mnemonic, const std::string &attributes,
           const std::string &outType, std::vector<int64_t> outShape,
           codegen::CpuTarget target);

  int64_t xz(int64_t row) const;
  int64_t wz(int64_t channel) const;
  /// Compares result `at` with what follows from `sum`.
  bool expect(int64_t sum, int64_t row, int64_t channel, int64_t at);

private:
  struct Operand {
    std::string name, type, constant;
  };
  void add(const std::string &name, const std::string &type, void *data,
           std::vector<int64_t> shape);

  std::vector<Operand> operands;
  std::vector<MemRef> arguments;
  std::vector<uint8_t> inputZeros, weightZeros;
  std::vector<float> inputScales, weightScales, floatBias, residual;
  std::vector<int32_t> integerBias;
  float outputScale = 1;
  uint8_t outputZero = 0;
  std::vector<int32_t> integers;
  std::vector<float> floats;
  std::vector<uint8_t> codes;
};

} // namespace nibble::test

#endif // NIBBLE_TEST_UNIT_CODEGEN_CPU_INTEGERTEST_H
