//===- ProductCheck.h - Compares products with float64 ------------*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_CODEGENCUDA_PRODUCTCHECK_H
#define NIBBLE_TEST_CODEGENCUDA_PRODUCTCHECK_H

#include "KernelHarness.h"

namespace nibble::test {

codegen::cuda::KernelWeight makeWeight(int64_t n, int64_t k, unsigned bits,
                                       int64_t group);

/// The PTX of one or more kernels, with a machine to run it.
std::unique_ptr<PtxMachine> makeMachine(
    llvm::function_ref<void(mlir::OpBuilder &, mlir::gpu::GPUModuleOp)> build);

/// Launches a kernel; a failure is one of the test.
void launch(PtxMachine &machine, llvm::StringRef name,
            const codegen::cuda::LaunchShape &shape,
            llvm::ArrayRef<uint64_t> arguments);

/// Operands of a product with random values.
class ProductCheck {
public:
  ProductCheck(const codegen::cuda::KernelWeight &format,
               codegen::cuda::FloatKind inputKind,
               codegen::cuda::FloatKind outputKind,
               const codegen::cuda::Epilogue &epilogue, int64_t rows,
               bool hasInputZeros = false);

  /// Arguments up to the input, then those of the epilogue and the output.
  std::vector<uint64_t> getArguments() const;
  std::vector<uint64_t> getOperands() const;
  std::vector<uint64_t> getResults() const;
  void lend(PtxMachine &machine) const;

  /// Compares with float64. Weights may be rounded by `weightError` of their
  /// size.
  void compare(double weightError) const;

  codegen::cuda::KernelWeight format;
  codegen::cuda::FloatKind outputKind;
  codegen::cuda::Epilogue epilogue;
  int64_t rows;
  std::mt19937 random;
  RandomWeight weight;
  FloatBuffer input, bias, residual, output;
  /// Input of bytes, with a scale for each row; empty if it is float.
  std::vector<int8_t> byteInput;
  FloatBuffer inputScales;
  /// Zero points of the rows if codes are unsigned, and sums of the weights'.
  std::vector<uint8_t> inputZeros;
  std::vector<int32_t> weightSums;
};

} // namespace nibble::test

#endif // NIBBLE_TEST_CODEGENCUDA_PRODUCTCHECK_H
