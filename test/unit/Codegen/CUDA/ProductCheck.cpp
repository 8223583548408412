//===- ProductCheck.cpp - Compares products with float64
//--------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProductCheck.h"
#include "gtest/gtest.h"

using namespace nibble;
using namespace nibble::codegen::cuda;
using namespace nibble::test;

KernelWeight nibble::test::makeWeight(int64_t n, int64_t k, unsigned bits,
                                      int64_t group) {
  KernelWeight weight;
  weight.layout.n = n;
  weight.layout.k = k;
  weight.layout.bits = bits;
  weight.group = group;
  return weight;
}

std::unique_ptr<PtxMachine> nibble::test::makeMachine(
    llvm::function_ref<void(mlir::OpBuilder &, mlir::gpu::GPUModuleOp)> build) {
  KernelModule module;
  mlir::OpBuilder builder = module.builder();
  build(builder, module.get());
  auto ptx = module.toPtx("sm_80");
  if (!ptx) {
    ADD_FAILURE() << llvm::toString(ptx.takeError());
    return nullptr;
  }
  auto parsed = PtxModule::parse(*ptx);
  if (!parsed) {
    ADD_FAILURE() << llvm::toString(parsed.takeError());
    return nullptr;
  }
  return std::make_unique<PtxMachine>(std::move(*parsed));
}

void nibble::test::launch(PtxMachine &machine, llvm::StringRef name,
                          const LaunchShape &shape,
                          llvm::ArrayRef<uint64_t> arguments) {
  llvm::Error failure =
      machine.launch(name, {shape.grid[0], shape.grid[1], shape.grid[2]},
                     {shape.block[0], shape.block[1], shape.block[2]},
                     shape.sharedBytes, arguments);
  EXPECT_FALSE(bool(failure)) << llvm::toString(std::move(failure));
  for (auto &[text, passes] : machine.statistics.conflicts)
    ADD_FAILURE() << passes << " conflicts of banks at " << text;
}

ProductCheck::ProductCheck(const KernelWeight &format, FloatKind inputKind,
                           FloatKind outputKind, const Epilogue &epilogue,
                           int64_t rows, bool hasInputZeros)
    : format(format), outputKind(outputKind), epilogue(epilogue), rows(rows),
      random(7), weight(format, random),
      input(inputKind, rows * format.layout.k),
      bias(FloatKind::F32, format.layout.n),
      residual(outputKind, rows * format.layout.n),
      output(outputKind, rows * format.layout.n),
      inputScales(FloatKind::F32, rows) {
  input.fill(random, -1, 1);
  bias.fill(random, -1, 1);
  residual.fill(random, -1, 1);
  for (size_t i = 0; i < output.size(); ++i)
    output.set(i, NAN);
  if (format.layout.fragment != Fragment::Byte)
    return;
  inputScales.fill(random, 0.001, 0.01);
  byteInput.resize((rows * format.layout.k + 15) / 16 * 16);
  for (int8_t &x : byteInput)
    x = int8_t(random());
  if (!hasInputZeros)
    return;
  inputZeros.resize(rows);
  for (uint8_t &zero : inputZeros)
    zero = uint8_t(random());
  weightSums.resize(format.layout.n);
  for (int64_t n = 0; n < format.layout.n; ++n)
    for (int64_t k = 0; k < format.layout.k; ++k)
      weightSums[n] += weight.codes[n * format.layout.k + k] -
                       (1 << (format.layout.bits - 1));
}

std::vector<uint64_t> ProductCheck::getOperands() const {
  std::vector<uint64_t> arguments = {
      reinterpret_cast<uint64_t>(weight.packed.data()),
      reinterpret_cast<uint64_t>(weight.packedScales.data())};
  if (format.zero != ZeroKind::None)
    arguments.push_back(reinterpret_cast<uint64_t>(weight.packedZeros.data()));
  if (byteInput.empty()) {
    arguments.push_back(input.address());
  } else {
    arguments.push_back(reinterpret_cast<uint64_t>(byteInput.data()));
    arguments.push_back(inputScales.address());
  }
  if (!inputZeros.empty()) {
    arguments.push_back(reinterpret_cast<uint64_t>(inputZeros.data()));
    arguments.push_back(reinterpret_cast<uint64_t>(weightSums.data()));
  }
  return arguments;
}

std::vector<uint64_t> ProductCheck::getResults() const {
  std::vector<uint64_t> arguments;
  if (epilogue.bias)
    arguments.push_back(bias.address());
  if (epilogue.residual)
    arguments.push_back(residual.address());
  arguments.push_back(output.address());
  arguments.push_back(uint64_t(rows));
  return arguments;
}

std::vector<uint64_t> ProductCheck::getArguments() const {
  std::vector<uint64_t> arguments = getOperands();
  for (uint64_t argument : getResults())
    arguments.push_back(argument);
  return arguments;
}

void ProductCheck::lend(PtxMachine &machine) const {
  weight.lend(machine);
  if (byteInput.empty()) {
    input.lend(machine, false);
  } else {
    machine.lend(byteInput.data(), rows * format.layout.k, false);
    inputScales.lend(machine, false);
  }
  machine.lend(inputZeros.data(), inputZeros.size(), false);
  machine.lend(weightSums.data(), weightSums.size() * 4, false);
  bias.lend(machine, false);
  residual.lend(machine, false);
  output.lend(machine, true);
}

static double activate(Activation activation, double x) {
  switch (activation) {
  case Activation::None:
    return x;
  case Activation::Relu:
    return std::fmax(x, 0);
  case Activation::Clip6:
    return std::fmin(std::fmax(x, 0), 6);
  case Activation::Sigmoid:
    return 1 / (1 + std::exp(-x));
  case Activation::Silu:
    return x / (1 + std::exp(-x));
  case Activation::Gelu:
    return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  case Activation::GeluTanh:
    return 0.5 * x *
           (1 + std::tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
  case Activation::Tanh:
    return std::tanh(x);
  case Activation::HardSwish:
    return x * std::fmin(std::fmax(x / 6 + 0.5, 0), 1);
  }
  return x;
}

void ProductCheck::compare(double weightError) const {
  int64_t n = format.layout.n, k = format.layout.k;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t channel = 0; channel < n; ++channel) {
      double sum = 0, size = 0;
      for (int64_t i = 0; i < k; ++i) {
        double x = 0;
        if (byteInput.empty())
          x = input.get(row * k + i);
        else if (inputZeros.empty())
          x = byteInput[row * k + i] * inputScales.get(row);
        else
          x = (uint8_t(byteInput[row * k + i]) - inputZeros[row]) *
              inputScales.get(row);
        sum += x * weight.values[channel * k + i];
        size += std::fabs(x * weight.values[channel * k + i]);
      }
      if (epilogue.bias)
        sum += bias.get(channel);
      double expected = activate(epilogue.activation, sum);
      if (epilogue.residual)
        expected += residual.get(row * n + channel);
      // Sums of f32 that are some times as large as what is left of them.
      double bound = 4e-6 * (size + std::fabs(sum) + 0.1) + weightError * size +
                     roundingError(outputKind, std::fabs(expected) * 1.02);
      ASSERT_NEAR(output.get(row * n + channel), expected, bound)
          << "row " << row << " channel " << channel;
    }
}
