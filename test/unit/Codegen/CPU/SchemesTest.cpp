//===- SchemesTest.cpp - Kernels of all parts of schemes ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// NF4, FP4, float zeros, minimums and second levels of scales, against what the
// quantizer says that they stand for, in float64.
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"

#include "nibble/Quantizer/Packing.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/TargetParser/Host.h"
#include <cmath>
#include <gtest/gtest.h>

namespace nibble::test {
namespace {

using quantizer::QuantizationScheme;
using quantizer::ScaleType;
using quantizer::SecondLevel;

QuantizationScheme makeScheme(quantizer::Codebook codebook, unsigned bits,
                              int64_t group) {
  QuantizationScheme scheme;
  scheme.codebook = codebook;
  scheme.bits = bits;
  scheme.group = group;
  scheme.scaleType = ScaleType::F32;
  return scheme;
}

std::vector<QuantizationScheme> makeSchemes() {
  std::vector<QuantizationScheme> schemes;
  auto add = [&](quantizer::Codebook codebook, unsigned bits, int64_t group,
                 std::optional<SecondLevel> second = std::nullopt) {
    schemes.push_back(makeScheme(codebook, bits, group));
    schemes.back().second = second;
  };
  auto addWithZeros = [&](quantizer::ZeroKind zero, unsigned bits,
                          int64_t group,
                          std::optional<SecondLevel> second = std::nullopt) {
    add(quantizer::Codebook::Int, bits, group, second);
    schemes.back().symmetric = false;
    schemes.back().zero = zero;
  };
  // bitsandbytes, also with groups of scales that end with rows.
  add(quantizer::Codebook::NF4, 4, 32);
  add(quantizer::Codebook::FP4, 4, 5, SecondLevel());
  add(quantizer::Codebook::NF4, 4, 16,
      SecondLevel{ScaleType::F32, 4, true, true});
  // HQQ, and k-quants with super-blocks of four groups.
  addWithZeros(quantizer::ZeroKind::Float, 4, 24);
  addWithZeros(quantizer::ZeroKind::Minimum, 5, 24);
  addWithZeros(quantizer::ZeroKind::Minimum, 2, 16,
               SecondLevel{ScaleType::F16, 4, false, false});
  add(quantizer::Codebook::Int, 6, 16,
      SecondLevel{ScaleType::F16, 4, false, false});
  // Float zeros of two levels; the scales of integers.
  addWithZeros(quantizer::ZeroKind::Float, 4, 16,
               SecondLevel{ScaleType::F32, 9, false, true});
  addWithZeros(quantizer::ZeroKind::Integer, 3, 32, SecondLevel());
  return schemes;
}

/// A weight with random codes, and how it lies in memory.
struct Weight {
  Weight(const QuantizationScheme &scheme, int64_t n, int64_t k, bool panels)
      : value(scheme, n, k), values(n * k) {
    std::mt19937 random(n + k);
    auto between = [&](float low, float high) {
      return std::uniform_real_distribution<float>(low, high)(random);
    };
    for (uint8_t &code : value.codes)
      code = random() & scheme.getMaxCode();
    for (float &scale : value.scales)
      scale = between(0.01f, 0.1f);
    for (uint8_t &zero : value.zeros)
      zero = random() & scheme.getMaxCode();
    for (float &zero : value.floatZeros)
      zero = between(-1, 1);
    if (scheme.second) {
      int64_t length = scheme.getSecondLength(n, k);
      for (int64_t i = 0; i < scheme.getSecondRows() * length; ++i)
        value.second.push_back(quantizer::roundToScaleType(
            between(0.01f, 0.1f), scheme.second->type));
      value.scaleCodes.resize(value.scales.size());
      value.zeroCodes.resize(value.floatZeros.size());
      for (auto *codes : {&value.scaleCodes, &value.zeroCodes})
        for (uint8_t &code : *codes)
          code = random();
      quantizer::decodeSecondLevel(value);
    }
    quantizer::dequantize(value, values);
    for (float x : values)
      largest = std::max(largest, std::fabs(x));
    pack(panels);
  }

  /// Types of the operands, and the attribute.
  std::string codesType, scalesType, zerosType, secondType, scheme;
  quantizer::QuantizedWeight value;
  std::vector<float> values;
  float largest = 0;
  std::vector<uint8_t> codes, scales, zeros, second;

  std::vector<MemRef> getArguments() {
    std::vector<MemRef> arguments = {MemRef(codes, {1, 1}),
                                     MemRef(scales, {1, 1, 1})};
    if (!zerosType.empty())
      arguments.push_back(MemRef(zeros, {1, 1, 1}));
    if (!secondType.empty())
      arguments.push_back(MemRef(second, {1, 1, 1, 1}));
    return arguments;
  }

private:
  void pack(bool panels);
};

std::vector<uint8_t> encode(llvm::ArrayRef<float> values, ScaleType type) {
  std::vector<uint8_t> bytes(values.size() * quantizer::getScaleBits(type) / 8);
  quantizer::encodeScales(values, type, bytes);
  return bytes;
}

std::vector<uint8_t> packGroups(llvm::ArrayRef<uint8_t> bytes, int64_t n,
                                int64_t groups, bool panels) {
  if (!panels)
    return bytes.vec();
  int64_t size = bytes.size() / (n * groups);
  std::vector<uint8_t> out(quantizer::getNumPanels(n) * groups * 32 * size);
  quantizer::packGroupPanels(bytes, n, groups, size, out);
  return out;
}

void Weight::pack(bool panels) {
  const QuantizationScheme &s = value.scheme;
  int64_t n = value.rows, k = value.cols, groups = s.getNumGroups(k);
  int64_t numPanels = quantizer::getNumPanels(n);
  if (panels) {
    codes.resize(quantizer::getPanelBytes(n, k, s.bits));
    quantizer::packPanels(value.codes, n, k, s.bits, codes);
  } else {
    codes.resize(n * quantizer::getRowBytes(k, s.bits));
    quantizer::packRows(value.codes, n, k, s.bits,
                        s.symmetric && s.codebook == quantizer::Codebook::Int,
                        codes);
  }
  int64_t outer = panels ? numPanels : n;
  codesType =
      llvm::formatv("memref<{0}x{1}xi8>", outer, codes.size() / outer).str();
  std::string shape =
      llvm::formatv(panels ? "{0}x{1}x32" : "{0}x{1}", outer, groups);
  auto getName = [](ScaleType type) {
    return quantizer::stringifyScaleType(type).str();
  };
  std::string scaleType = s.second ? "i8" : getName(s.scaleType);
  scalesType = "memref<" + shape + "x" + scaleType + ">";
  scales = packGroups(s.second ? value.scaleCodes
                               : encode(value.scales, s.scaleType),
                      n, groups, panels);
  std::string zeroText;
  if (s.hasIntegerZeros()) {
    zerosType = "memref<" + shape + "xi8>";
    zeros = packGroups(value.zeros, n, groups, panels);
    zeroText = "zero = integer, ";
  } else if (s.hasFloatZeros()) {
    zerosType = scalesType;
    zeros = packGroups(s.second ? value.zeroCodes
                                : encode(value.floatZeros, s.scaleType),
                       n, groups, panels);
    zeroText = s.zero == quantizer::ZeroKind::Float ? "zero = float, "
                                                    : "zero = minimum, ";
  }
  std::string secondText;
  if (s.second) {
    const SecondLevel &level = *s.second;
    int64_t parts = s.getSecondRows(), length = s.getSecondLength(n, k);
    std::vector<uint8_t> bytes = encode(value.second, level.type);
    if (panels && groups % level.group == 0) {
      for (int64_t i = 0; i < parts; ++i) {
        auto part = llvm::ArrayRef(bytes).slice(i * bytes.size() / parts,
                                                bytes.size() / parts);
        llvm::append_range(second,
                           packGroups(part, n, groups / level.group, true));
      }
      secondType = llvm::formatv("memref<{0}x{1}x{2}x32x{3}>", parts, numPanels,
                                 groups / level.group, getName(level.type));
    } else {
      second = bytes;
      secondType = llvm::formatv("memref<{0}x{1}x{2}>", parts, length,
                                 getName(level.type));
    }
    secondText = llvm::formatv(
        "second = {0}{1} x {2}{3}, ", level.dynamic ? "dynamic " : "",
        getName(level.type), level.group, level.hasOffset ? " offset" : "");
  }
  std::string codebook = quantizer::stringifyCodebook(s.codebook).str();
  if (s.codebook == quantizer::Codebook::Int)
    codebook += std::to_string(s.bits);
  scheme = llvm::formatv("#nibble.scheme<{0}, group = {1}, scale = {2}, "
                         "{3}{4}packing = {5}>",
                         codebook, s.group, getName(s.scaleType), secondText,
                         zeroText, panels ? "panel" : "rows");
}

/// A function `f` with one operation on `input` and the weight.
std::unique_ptr<JitModule> compile(const std::string &mnemonic,
                                   const std::string &input,
                                   const std::string &output,
                                   const std::string &attributes,
                                   const Weight &w, codegen::CpuTarget target) {
  FusedOpText text(input, w.codesType, w.scalesType, w.zerosType, "", "",
                   output, w.secondType);
  return JitModule::create(
      llvm::formatv("func.func @f({0}) attributes {{llvm.emit_c_interface} {{\n"
                    "  nibble.{1} {2} {{{3}, scheme = {4}} : ({5}) -> ()\n"
                    "  return\n}\n",
                    text.arguments, mnemonic, text.operands, attributes,
                    w.scheme, text.types),
      target);
}

/// Runs `f` on `input`.
void run(JitModule &module, Weight &w, MemRef input, MemRef output) {
  std::vector<MemRef> arguments = {input};
  for (MemRef &operand : w.getArguments())
    arguments.push_back(operand);
  arguments.push_back(output);
  ASSERT_TRUE(module.call("f", arguments));
}

/// Those of this machine, and for tables one without any extension.
std::vector<codegen::CpuTarget> getTargets(const QuantizationScheme &scheme) {
  std::vector<codegen::CpuTarget> targets = targetsOfThisMachine();
  if (scheme.codebook != quantizer::Codebook::Int && !scheme.second)
    targets.push_back({false, false, false});
  return targets;
}

TEST(Schemes, MatMul) {
  // More than four panels, so that one row takes several at a time.
  for (auto [n, k] : {std::pair<int64_t, int64_t>{165, 64}, {3, 35}})
    for (const QuantizationScheme &scheme : makeSchemes()) {
      Weight w(scheme, n, k, /*panels=*/true);
      for (codegen::CpuTarget target : getTargets(scheme)) {
        SCOPED_TRACE(llvm::formatv("{0} n={1} k={2} avx512={3} fma={4}",
                                   w.scheme, n, k, target.avx512, target.fma)
                         .str());
        auto module = compile(
            "matmul", llvm::formatv("memref<?x{0}xf32>", k),
            llvm::formatv("memref<?x{0}xf32>", n),
            llvm::formatv("n = {0} : i64, k = {1} : i64", n, k), w, target);
        ASSERT_TRUE(module);
        for (int64_t m : {1, 3, 8, 19}) {
          std::vector<float> x = randomFloats(m * k, 2), y(m * n);
          run(*module, w, MemRef(x, {m, k}), MemRef(y, {m, n}));
          for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) {
              double sum = 0, size = 1;
              for (int64_t l = 0; l < k; ++l) {
                sum += double(x[i * k + l]) * w.values[j * k + l];
                // Zeros may cancel what codes and inputs make.
                size += std::fabs(x[i * k + l]) * w.largest;
              }
              ASSERT_NEAR(y[i * n + j], sum, size * 1e-6)
                  << "m=" << m << " row " << i << ", column " << j;
            }
        }
      }
    }
}

/// Schemes with one group for a row, whose scales might be left to the sums.
TEST(Schemes, TilesOfBF16) {
  auto features = llvm::sys::getHostCPUFeatures();
  for (const char *feature : {"amx-bf16", "avx512bf16", "avx512vl"})
    if (!features.lookup(feature))
      GTEST_SKIP() << "this CPU lacks " << feature;
  codegen::CpuTarget target;
  target.tiles = true;
  int64_t n = 70, k = 72, m = 40;
  for (quantizer::ZeroKind zero :
       {quantizer::ZeroKind::Float, quantizer::ZeroKind::Minimum}) {
    QuantizationScheme scheme = makeScheme(quantizer::Codebook::Int, 5, -1);
    scheme.symmetric = false;
    scheme.zero = zero;
    Weight w(scheme, n, k, /*panels=*/true);
    SCOPED_TRACE(w.scheme);
    auto module =
        compile("matmul", llvm::formatv("memref<?x{0}xf32>", k),
                llvm::formatv("memref<?x{0}xf32>", n),
                llvm::formatv("n = {0} : i64, k = {1} : i64", n, k), w, target);
    ASSERT_TRUE(module);
    std::vector<float> x = randomFloats(m * k, 2), y(m * n);
    run(*module, w, MemRef(x, {m, k}), MemRef(y, {m, n}));
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0, size = 1;
        for (int64_t l = 0; l < k; ++l) {
          double product = double(x[i * k + l]) * w.values[j * k + l];
          sum += product;
          size += std::fabs(product);
        }
        // Two roundings of 8 bits each.
        ASSERT_NEAR(y[i * n + j], sum, size * 0x1p-8)
            << "row " << i << ", column " << j;
      }
  }
}

TEST(Schemes, Gather) {
  int64_t rows = 40;
  std::vector<int64_t> indices = {3, 0, 39, -1, -40, 33, 17};
  int64_t count = indices.size();
  for (const QuantizationScheme &scheme : makeSchemes())
    for (bool panels : {false, true}) {
      int64_t width = panels ? 64 : 37;
      Weight w(scheme, rows, width, panels);
      for (codegen::CpuTarget target : getTargets(scheme)) {
        SCOPED_TRACE(w.scheme + " width " + std::to_string(width));
        auto module = compile(
            "gather", "memref<?xi64>",
            llvm::formatv("memref<?x{0}xf32>", width),
            llvm::formatv("rows = {0} : i64, width = {1} : i64", rows, width),
            w, target);
        ASSERT_TRUE(module);
        std::vector<float> y(count * width);
        run(*module, w, MemRef(indices, {count}), MemRef(y, {count, width}));
        for (int64_t i = 0; i < count; ++i)
          for (int64_t j = 0; j < width; ++j) {
            float expected = w.values[(indices[i] + rows) % rows * width + j];
            // Only minimums may be added without rounding the product.
            ASSERT_NEAR(y[i * width + j], expected,
                        scheme.hasFloatZeros() ? 1e-6 : 0);
          }
      }
    }
}

/// 3x3 filters over images, one output at a time.
void testConv(int64_t channels, int64_t groups, int64_t outputs) {
  int64_t height = 5, width = 21, k = channels / groups * 9;
  for (const QuantizationScheme &scheme : makeSchemes()) {
    Weight w(scheme, outputs, k, /*panels=*/groups == 1);
    for (codegen::CpuTarget target : getTargets(scheme)) {
      SCOPED_TRACE(w.scheme);
      auto module = compile(
          "conv", llvm::formatv("memref<?x{0}x?x?xf32>", channels),
          llvm::formatv("memref<?x{0}x?x?xf32>", outputs),
          llvm::formatv("weight_shape = array<i64: {0}, {1}, 3, 3>, strides = "
                        "array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads "
                        "= array<i64: 0, 0, 0, 0>, group = {2} : i64",
                        outputs, channels / groups, groups),
          w, target);
      ASSERT_TRUE(module);
      int64_t outHeight = height - 2, outWidth = width - 2;
      std::vector<float> x = randomFloats(channels * height * width, 5);
      std::vector<float> y(outputs * outHeight * outWidth);
      run(*module, w, MemRef(x, {1, channels, height, width}),
          MemRef(y, {1, outputs, outHeight, outWidth}));
      for (int64_t o = 0; o < outputs; ++o)
        for (int64_t r = 0; r < outHeight; ++r)
          for (int64_t c = 0; c < outWidth; ++c) {
            double sum = 0, size = 1;
            for (int64_t i = 0; i < k; ++i) {
              int64_t channel =
                  o / (outputs / groups) * (channels / groups) + i / 9;
              float input =
                  x[(channel * height + r + i / 3 % 3) * width + c + i % 3];
              sum += double(w.values[o * k + i]) * input;
              size += std::fabs(input) * w.largest;
            }
            ASSERT_NEAR(y[(o * outHeight + r) * outWidth + c], sum,
                        size * 1e-6);
          }
    }
  }
}

TEST(Schemes, Conv) { testConv(6, 1, 35); }
TEST(Schemes, GroupedConv) { testConv(6, 3, 9); }

} // namespace
} // namespace nibble::test
