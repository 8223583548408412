//===- HalfTest.cpp - Tests of 16-bit floats on old CPUs ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestModels.h"
#include "llvm/ADT/APFloat.h"
#include <random>

using namespace nibble;
using namespace nibble::test;

namespace {
constexpr const char *convertModel = R"mlir(
func.func @main_graph(%h: memref<?xf16>, %x: memref<?xf32>)
    -> (memref<?xf32>, memref<?xf16>, memref<?xbf16>)
    attributes {llvm.emit_c_interface} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %h, %c0 : memref<?xf16>
  %m = memref.dim %x, %c0 : memref<?xf32>
  %wide = memref.alloc(%n) : memref<?xf32>
  %half = memref.alloc(%m) : memref<?xf16>
  %brain = memref.alloc(%m) : memref<?xbf16>
  scf.for %i = %c0 to %n step %c1 {
    %0 = memref.load %h[%i] : memref<?xf16>
    %1 = arith.extf %0 : f16 to f32
    memref.store %1, %wide[%i] : memref<?xf32>
  }
  scf.for %i = %c0 to %m step %c1 {
    %0 = memref.load %x[%i] : memref<?xf32>
    %1 = arith.truncf %0 : f32 to f16
    %2 = arith.truncf %0 : f32 to bf16
    memref.store %1, %half[%i] : memref<?xf16>
    memref.store %2, %brain[%i] : memref<?xbf16>
  }
  return %wide, %half, %brain : memref<?xf32>, memref<?xf16>, memref<?xbf16>
}
)mlir";

uint32_t convert(uint32_t bits, const llvm::fltSemantics &from,
                 const llvm::fltSemantics &to) {
  llvm::APFloat value(
      from, llvm::APInt(llvm::APFloat::semanticsSizeInBits(from), bits));
  bool loses;
  value.convert(to, llvm::APFloat::rmNearestTiesToEven, &loses);
  return uint32_t(value.bitcastToAPInt().getZExtValue());
}

// x86-64 has neither F16C nor AVX512-BF16: the runtime's functions are called.
TEST(HalfTest, MatchesIeee) {
  std::vector<uint16_t> halves(1 << 16);
  for (size_t i = 0; i != halves.size(); ++i)
    halves[i] = uint16_t(i);
  std::mt19937 random(1);
  std::vector<uint32_t> floats;
  for (uint32_t i = 0; i != 200000; ++i)
    floats.push_back(uint32_t(random()));
  // Every half and its neighbours in float, and the ties between two halves.
  for (uint32_t i = 0; i != 1 << 16; ++i) {
    uint32_t bits =
        convert(i, llvm::APFloat::IEEEhalf(), llvm::APFloat::IEEEsingle());
    llvm::append_values(floats, bits, bits + 1, bits - 1, bits + 0x1000,
                        bits + 0xfff, bits + 0x1001);
  }
  ModelBuilder builder;
  auto model = builder.compile(convertModel, "x86-64");
  ASSERT_TRUE(succeeded(model));
  int64_t n = halves.size(), m = floats.size();
  auto results = (*model)->run(
      {makeTensor(llvm::ArrayRef<uint16_t>(halves), n, NIBBLE_FLOAT16),
       makeTensor(llvm::ArrayRef<uint32_t>(floats), m, NIBBLE_FLOAT)});
  ASSERT_TRUE(bool(results)) << toString(results.takeError());
  auto wide = CompiledModel::elements<uint32_t>((*results)[0]);
  for (int64_t i = 0; i != n; ++i)
    ASSERT_EQ(wide[i], convert(halves[i], llvm::APFloat::IEEEhalf(),
                               llvm::APFloat::IEEEsingle()))
        << i;
  auto half = CompiledModel::elements<uint16_t>((*results)[1]);
  auto brain = CompiledModel::elements<uint16_t>((*results)[2]);
  for (int64_t i = 0; i != m; ++i) {
    ASSERT_EQ(half[i], convert(floats[i], llvm::APFloat::IEEEsingle(),
                               llvm::APFloat::IEEEhalf()))
        << floats[i];
    ASSERT_EQ(brain[i], convert(floats[i], llvm::APFloat::IEEEsingle(),
                                llvm::APFloat::BFloat()))
        << floats[i];
  }
}
} // namespace
