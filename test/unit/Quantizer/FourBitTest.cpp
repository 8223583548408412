//===- FourBitTest.cpp - NF4, FP4 and double quantization -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/FourBit.h"
#include "Golden.h"
#include "RandomWeights.h"
#include "nibble/Quantizer/Codebook.h"
#include "nibble/Quantizer/DoubleQuantization.h"
#include "nibble/Quantizer/ErrorStatistics.h"
#include "nibble/Quantizer/Method.h"
#include <cmath>

using namespace nibble::quantizer;
using namespace nibble::quantizer::test;

namespace {

QuantizationScheme makeScheme(Codebook codebook, int64_t block) {
  QuantizationScheme scheme;
  scheme.codebook = codebook;
  scheme.group = block;
  scheme.scaleType = ScaleType::F32;
  return scheme;
}

QuantizedWeight quantizeOrFail(const WeightView &weight,
                               const QuantizationScheme &scheme) {
  llvm::Expected<QuantizedWeight> result =
      quantize("rtn", {weight, scheme, /*threads=*/2});
  if (result)
    return std::move(*result);
  ADD_FAILURE() << llvm::toString(result.takeError());
  return QuantizedWeight(scheme, weight.rows, weight.cols);
}

/// Equal bits: a zero has a sign.
void expectSameBits(llvm::ArrayRef<float> got, llvm::ArrayRef<float> expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_EQ(llvm::bit_cast<uint32_t>(got[i]),
              llvm::bit_cast<uint32_t>(expected[i]))
        << "element " << i << ": " << got[i] << " and " << expected[i];
}

float getUlp(float value) {
  return std::nextafter(std::fabs(value), INFINITY) - std::fabs(value);
}

TEST(BitsandbytesTest, DynamicMap) {
  Golden golden("bitsandbytes.txt");
  expectSameBits(getDynamicMap(), golden.floats("map"));
}

class BitsandbytesWeightsTest : public ::testing::TestWithParam<const char *> {
protected:
  Golden golden{"bitsandbytes.txt"};
  std::string name = GetParam();
  std::vector<float> weights = golden.floats(name + ".weights");
  int64_t rows = golden[name + ".weights"].shape[0];
  int64_t cols = golden[name + ".weights"].shape[1];

  /// Calls `body(scheme, key)` for all blocks and codebooks of the case.
  template <typename Fn>
  void forAll(Fn body) {
    int count = 0;
    for (Codebook codebook : {Codebook::NF4, Codebook::FP4})
      for (int64_t block = 32; block <= 4096; block *= 2) {
        std::string key = name + "." + stringifyCodebook(codebook).str() + "." +
                          std::to_string(block);
        if (!golden.contains(key + ".codes"))
          continue;
        SCOPED_TRACE(key);
        body(makeScheme(codebook, block), key);
        ++count;
      }
    EXPECT_GT(count, 0);
  }
};

TEST_P(BitsandbytesWeightsTest, CodesAndScalesOfBlocks) {
  std::vector<float> columns(weights.size());
  for (int64_t i = 0; i < rows * cols; ++i)
    columns[i % cols * rows + i / cols] = weights[i];
  WeightView views[] = {WeightView::rowMajor(getBytes(weights), rows, cols),
                        WeightView::transposed(getBytes(columns), rows, cols)};
  forAll([&](const QuantizationScheme &scheme, const std::string &key) {
    std::vector<float> expected = golden.floats(key + ".absmax");
    for (const WeightView &view : views)
      for (unsigned threads : {1, 3}) {
        std::vector<uint8_t> codes(weights.size());
        std::vector<float> scales(expected.size());
        llvm::Error error =
            quantizeFourBit(view, scheme, codes, scales, threads);
        ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
        EXPECT_EQ(codes, golden.integers<uint8_t>(key + ".codes"));
        expectSameBits(scales, expected);
      }
  });
}

// Groups do not cross rows, but every weight stands for what it does in blocks.
TEST_P(BitsandbytesWeightsTest, ValuesInGroups) {
  WeightView view = WeightView::rowMajor(getBytes(weights), rows, cols);
  forAll([&](QuantizationScheme scheme, const std::string &key) {
    std::vector<float> absmax = golden.floats(key + ".absmax");
    llvm::ArrayRef<float> values = getCodebookValues(scheme.codebook);
    std::vector<uint8_t> codes = golden.integers<uint8_t>(key + ".codes");
    std::vector<float> got(weights.size()), expected(weights.size());
    for (size_t i = 0; i < expected.size(); ++i)
      expected[i] = values[codes[i]] * absmax[i / scheme.group];
    dequantize(quantizeOrFail(view, scheme), got);
    expectSameBits(got, expected);

    scheme.second = SecondLevel();
    codes = golden.integers<uint8_t>(key + ".absmax_codes");
    std::vector<float> second = golden.floats(key + ".second");
    float offset = golden.floats(key + ".offset")[0];
    QuantizedWeight result = quantizeOrFail(view, scheme);
    int64_t repeats = scheme.group / result.scheme.group;
    for (size_t i = 0; i < result.scaleCodes.size(); ++i)
      EXPECT_EQ(result.scaleCodes[i], codes[i / repeats]) << "scale " << i;
    for (size_t i = 0; i < second.size(); ++i) {
      EXPECT_NEAR(result.second[i], second[i], 4 * getUlp(offset));
      EXPECT_NEAR(result.second[second.size() + i], offset, 2 * getUlp(offset));
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, BitsandbytesWeightsTest,
                         ::testing::Values("normal", "uniform", "odd", "one",
                                           "long", "special", "ties"));

class BitsandbytesScalesTest : public ::testing::TestWithParam<const char *> {};

TEST_P(BitsandbytesScalesTest, CodesForTheOffset) {
  Golden golden("bitsandbytes.txt");
  std::string name = GetParam();
  std::vector<float> scales = golden.floats(name + ".scales");
  std::vector<float> expected = golden.floats(name + ".second");
  float offset = golden.floats(name + ".offset")[0];
  std::vector<uint8_t> codes(scales.size());
  std::vector<float> second(2 * expected.size());
  ASSERT_FALSE(
      bool(encodeSecondLevel(scales, SecondLevel(), offset, codes, second)));
  EXPECT_EQ(codes, golden.integers<uint8_t>(name + ".codes"));
  llvm::ArrayRef<float> all(second);
  expectSameBits(all.take_front(expected.size()), expected);
  expectSameBits(all.drop_front(expected.size()),
                 std::vector<float>(expected.size(), offset));

  ASSERT_FALSE(bool(
      encodeSecondLevel(scales, SecondLevel(), std::nullopt, codes, second)));
  EXPECT_NEAR(second.back(), offset, 2 * getUlp(offset));
}

INSTANTIATE_TEST_SUITE_P(Cases, BitsandbytesScalesTest,
                         ::testing::Values("usual", "spread", "outlier",
                                           "equal", "zero", "denormal"));

TEST(DoubleQuantizationTest, ScalesWithoutReciprocal) {
  // The distances from the mean are below the smallest normal number.
  const float tiny = 0x1p-140f;
  std::vector<float> scales = {0, tiny, 2 * tiny}, second(2);
  std::vector<uint8_t> codes(3);
  ASSERT_FALSE(bool(
      encodeSecondLevel(scales, SecondLevel(), std::nullopt, codes, second)));
  llvm::ArrayRef<float> map = getDynamicMap();
  EXPECT_EQ(second[0], tiny);
  EXPECT_EQ(second[1], tiny);
  EXPECT_LT(std::fabs(map[codes[1]]), 1e-4f);
  EXPECT_EQ(map[codes[2]], 1.0f);
  EXPECT_EQ(codes[0], 0);
}

class FourBitTest : public RandomTest {};

// bitsandbytes' own table (tests/test_functional.py): mean |error| of normal
// weights, and the part it may be off by.
TEST_F(FourBitTest, MeanErrorsOfNormalWeights) {
  struct {
    int64_t block;
    double nf4, nf4Deviation, fp4, fp4Deviation;
  } table[] = {{32, .067746, .000069, .088925, .000091},
               {64, .072798, .000074, .096543, .000111},
               {128, .076831, .000091, .102969, .000134},
               {256, .080337, .000102, .108684, .000182},
               {512, .083547, .0002, .114115, .0003},
               {1024, .086610, .0003, .119333, .0004},
               {4096, .092547, .0005, .129536, .0007}};
  int64_t size = 1024;
  std::vector<float> values = makeNormal(size * size);
  WeightView weight = WeightView::rowMajor(getBytes(values), size, size);
  auto getError = [&](const QuantizationScheme &scheme) {
    std::vector<float> back(values.size());
    dequantize(quantizeOrFail(weight, scheme), back);
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i)
      sum += std::fabs(double(values[i]) - back[i]);
    return sum / values.size();
  };
  for (auto row : table) {
    EXPECT_NEAR(getError(makeScheme(Codebook::NF4, row.block)), row.nf4,
                7 * row.nf4Deviation)
        << "block " << row.block;
    EXPECT_NEAR(getError(makeScheme(Codebook::FP4, row.block)), row.fp4,
                7 * row.fp4Deviation)
        << "block " << row.block;
  }
  QuantizationScheme twice = makeScheme(Codebook::NF4, 64);
  twice.second = SecondLevel();
  EXPECT_NEAR(getError(twice), .072798, .0007);
}

TEST_F(FourBitTest, BitsPerWeight) {
  QuantizationScheme scheme = makeScheme(Codebook::NF4, 64);
  EXPECT_DOUBLE_EQ(scheme.getBitsPerWeight(576), 4.5);
  scheme.second = SecondLevel{ScaleType::F32, 256, true, false};
  EXPECT_DOUBLE_EQ(scheme.getBitsPerWeight(576), 4.126953125);
}

TEST_F(FourBitTest, RefusesWhatIsNotFinite) {
  std::vector<float> values = makeNormal(5 * 70);
  values[3 * 70 + 12] = NAN;
  values[4 * 70 + 1] = INFINITY;
  WeightView weight = WeightView::rowMajor(getBytes(values), 5, 70);
  auto getMessage = [&](const QuantizationScheme &scheme) {
    llvm::Expected<QuantizedWeight> result = quantize("rtn", {weight, scheme});
    return result ? "" : llvm::toString(result.takeError());
  };
  EXPECT_EQ(getMessage(makeScheme(Codebook::NF4, 64)),
            "weight at row 3, column 12 is NaN: only finite weights can be "
            "quantized");
  values[3 * 70 + 12] = 1;
  EXPECT_EQ(getMessage(makeScheme(Codebook::FP4, 64)),
            "weight at row 4, column 1 is infinite: only finite weights can be "
            "quantized");
  values[4 * 70 + 1] = 1e5f;
  QuantizationScheme narrow = makeScheme(Codebook::FP4, 64);
  narrow.scaleType = ScaleType::F16;
  EXPECT_EQ(getMessage(narrow),
            "scale of the block from row 3, column 46 on is too large for f16 "
            "(1.000000e+05): use a wider scale type");
  EXPECT_EQ(getMessage(makeScheme(Codebook::NF4, 48)),
            "blocks of 48 weights: expected 32, 64, 128, 256, 512, 1024, 2048 "
            "or 4096 with nf4");
}

// Scales of integer schemes in 8 bits: codes are rounded to what they stand
// for, so that hardly anything is lost.
TEST_F(FourBitTest, DoubleQuantizationOfIntegers) {
  int64_t rows = 70, cols = 300;
  std::vector<float> values = makeNormal(rows * cols, 0.02f);
  std::fill_n(values.begin(), 128, 0.0f);
  WeightView weight = WeightView::rowMajor(getBytes(values), rows, cols);
  for (bool symmetric : {true, false}) {
    QuantizationScheme scheme;
    scheme.group = 64;
    scheme.symmetric = symmetric;
    double once = computeErrorStatistics(weight, quantizeOrFail(weight, scheme))
                      .getSQNR();
    scheme.second = SecondLevel();
    QuantizedWeight result = quantizeOrFail(weight, scheme);
    EXPECT_EQ(result.scaleCodes.size(), result.scales.size());
    EXPECT_EQ(result.second.size(), 4u);
    EXPECT_NEAR(computeErrorStatistics(weight, result).getSQNR(), once, 0.1);
    std::vector<float> back(values.size());
    dequantize(result, back);
    for (int64_t i = 0; i < 128; ++i)
      EXPECT_EQ(back[i], 0);
    // Whole numbers as codes do as well.
    scheme.second = SecondLevel{ScaleType::F16, 16, false, true};
    result = quantizeOrFail(weight, scheme);
    EXPECT_NEAR(computeErrorStatistics(weight, result).getSQNR(), once, 0.1);
  }
}

} // namespace
