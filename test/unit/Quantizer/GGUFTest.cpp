//===- GGUFTest.cpp - The block types of GGUF files -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/GGUF.h"
#include "RandomWeights.h"
#include "nibble/Quantizer/ErrorStatistics.h"
#include "llvm/Support/DynamicLibrary.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cmath>
#include <limits>

using namespace nibble::quantizer;
using llvm::ArrayRef;
using nibble::quantizer::test::getBytes;

namespace {

class GGUFTest : public test::RandomTest {
protected:
  static GGUFWeight quantizeOrFail(ArrayRef<float> values, int64_t cols,
                                   GGUFType type,
                                   ArrayRef<float> importance = {},
                                   unsigned threads = 1) {
    WeightView view =
        WeightView::rowMajor(reinterpret_cast<const char *>(values.data()),
                             values.size() / cols, cols);
    llvm::Expected<GGUFWeight> result =
        quantizeGGUF(view, type, importance, threads);
    if (!result) {
      ADD_FAILURE() << llvm::toString(result.takeError());
      return GGUFWeight(type, view.rows, cols);
    }
    return std::move(*result);
  }

  static std::string getError(ArrayRef<float> values, int64_t cols,
                              GGUFType type, ArrayRef<float> importance = {},
                              unsigned threads = 1) {
    llvm::Expected<GGUFWeight> result = quantizeGGUF(
        WeightView::rowMajor(reinterpret_cast<const char *>(values.data()),
                             values.size() / cols, cols),
        type, importance, threads);
    return result ? "" : llvm::toString(result.takeError());
  }

  static std::vector<uint8_t> pack(const GGUFWeight &weight) {
    std::vector<uint8_t> bytes(weight.rows *
                               getGGUFRowBytes(weight.type, weight.cols));
    packGGUF(weight, bytes);
    return bytes;
  }

  /// Compares blocks one by one, so that a failure says which.
  static void expectBlocks(const GGUFWeight &weight, ArrayRef<uint8_t> wanted,
                           const char *what) {
    std::vector<uint8_t> bytes = pack(weight);
    ASSERT_EQ(bytes.size(), wanted.size());
    int64_t size = getInfo(weight.type).bytes;
    for (int64_t i = 0; i < int64_t(bytes.size()); i += size)
      ASSERT_EQ(ArrayRef<uint8_t>(bytes).slice(i, size), wanted.slice(i, size))
          << getInfo(weight.type).name.str() << " " << what << ", row "
          << i / size / weight.getNumBlocks() << ", block "
          << i / size % weight.getNumBlocks();
  }
};

// Inputs/ggml.bin: see scripts/golden_ggml.py.
TEST_F(GGUFTest, BlocksAreThoseOfGgml) {
  auto file = llvm::MemoryBuffer::getFile(NIBBLE_QUANTIZER_INPUTS "/ggml.bin");
  ASSERT_TRUE(bool(file)) << NIBBLE_QUANTIZER_INPUTS;
  llvm::StringRef rest = (*file)->getBuffer();
  auto take = [&](size_t bytes) {
    llvm::StringRef front = rest.take_front(bytes);
    EXPECT_EQ(front.size(), bytes);
    rest = rest.drop_front(front.size());
    return front;
  };
  auto takeNumber = [&] {
    uint32_t number = 0;
    std::memcpy(&number, take(4).data(), 4);
    return number;
  };
  auto takeFloats = [&](size_t count) {
    std::vector<float> values(count);
    std::memcpy(values.data(), take(4 * count).data(), 4 * count);
    return values;
  };
  int64_t rows = takeNumber(), cols = takeNumber();
  std::vector<float> values = takeFloats(rows * cols);
  std::vector<float> importance = takeFloats(cols);
  for (const GGUFTypeInfo &info : getGGUFTypes()) {
    ASSERT_EQ(takeNumber(), info.number);
    auto takeBlocks = [&] {
      return llvm::arrayRefFromStringRef(
          take(rows * getGGUFRowBytes(info.type, cols)));
    };
    expectBlocks(quantizeOrFail(values, cols, info.type), takeBlocks(),
                 "without importance");
    expectBlocks(quantizeOrFail(values, cols, info.type, importance),
                 takeBlocks(), "with importance");
  }
  EXPECT_TRUE(rest.empty());
}

// Against the library itself, on fresh weights: build it with
// scripts/golden_ggml.py --library.
TEST_F(GGUFTest, BlocksAreThoseOfGgmlOnRandomWeights) {
  const char *path = std::getenv("NIBBLE_GGML_LIBRARY");
  if (!path)
    GTEST_SKIP() << "NIBBLE_GGML_LIBRARY is not set";
  std::string error;
  auto library = llvm::sys::DynamicLibrary::getPermanentLibrary(path, &error);
  ASSERT_TRUE(library.isValid()) << error;
  using Quantize =
      size_t(const float *, void *, int64_t, int64_t, const float *);
  using Dequantize = void(const void *, float *, int64_t);
  std::uniform_int_distribution<int> exponent(-42, 3), kind(0, 5);
  std::normal_distribution<float> normal;
  int64_t rows = 5, cols = 256;
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::vector<float> values(rows * cols), importance(cols);
    for (float &value : values)
      value = normal(random);
    // Each run of 16 has its own size; some are one value, some are integers.
    for (int64_t i = 0; i < rows * cols; i += 16) {
      int how = kind(random);
      float scale = how == 0   ? 0
                    : how == 1 ? std::pow(10.0f, exponent(random))
                               : std::pow(10.0f, repeat % 40 - 37);
      for (int64_t j = i; j < i + 16; ++j)
        values[j] = scale * (how == 2   ? values[i]
                             : how == 3 ? std::round(4 * values[j])
                             : how == 4 ? std::fabs(values[j])
                                        : values[j]);
    }
    for (float &value : importance)
      value = kind(random) ? std::exp(2 * normal(random)) : 0;
    for (const GGUFTypeInfo &info : getGGUFTypes()) {
      std::string name = info.name.lower();
      if (info.hasSuperBlocks())
        name.back() = 'K';
      auto *quantize = reinterpret_cast<Quantize *>(
          library.getAddressOfSymbol(("quantize_" + name).c_str()));
      auto *dequantizeRow = reinterpret_cast<Dequantize *>(
          library.getAddressOfSymbol(("dequantize_row_" + name).c_str()));
      ASSERT_TRUE(quantize && dequantizeRow) << name;
      std::vector<uint8_t> wanted(rows * getGGUFRowBytes(info.type, cols));
      std::vector<float> back(values.size()), wantedBack(values.size());
      for (bool hasImportance : {false, true}) {
        ArrayRef<float> given =
            ArrayRef<float>(importance).take_front(hasImportance ? cols : 0);
        quantize(values.data(), wanted.data(), rows, cols,
                 hasImportance ? given.data() : nullptr);
        GGUFWeight weight = quantizeOrFail(values, cols, info.type, given);
        expectBlocks(weight, wanted, hasImportance ? "with importance" : "");
        dequantizeRow(wanted.data(), wantedBack.data(), rows * cols);
        dequantize(weight, back);
        ASSERT_EQ(back, wantedBack) << name;
      }
      if (HasFatalFailure())
        return;
    }
  }
}

TEST_F(GGUFTest, BytesGoBackToTheSameWeights) {
  int64_t rows = 7, cols = 768;
  std::vector<float> values = makeNormal(rows * cols);
  for (const GGUFTypeInfo &info : getGGUFTypes()) {
    GGUFWeight weight = quantizeOrFail(values, cols, info.type);
    GGUFWeight back = unpackGGUF(info.type, rows, cols, pack(weight));
    EXPECT_EQ(weight.codes, back.codes) << info.name.str();
    EXPECT_EQ(weight.scales, back.scales) << info.name.str();
    EXPECT_EQ(weight.minimums, back.minimums) << info.name.str();
    EXPECT_EQ(weight.subScales, back.subScales) << info.name.str();
    EXPECT_EQ(weight.subMinimums, back.subMinimums) << info.name.str();
  }
}

// The 6-bit sub-scales of Q4_K, spread over 12 bytes.
TEST_F(GGUFTest, SubScalesOfSixBits) {
  GGUFWeight weight(GGUFType::Q4_K, 1, 256);
  for (int i = 0; i < 8; ++i) {
    weight.subScales[i] = 49 + i;
    weight.subMinimums[i] = 33 + i;
  }
  std::vector<uint8_t> bytes = pack(weight);
  std::vector<uint8_t> scales(bytes.begin() + 4, bytes.begin() + 16);
  EXPECT_EQ(scales, (std::vector<uint8_t>{0xf1, 0xf2, 0xf3, 0xf4, 0xa1, 0xa2,
                                          0xa3, 0xa4, 0x55, 0x66, 0x77, 0x88}));
}

// llama.cpp's own bound: root of summed squares / n of 0.1 + 2 cos(i).
TEST_F(GGUFTest, ErrorsOfASmoothSignal) {
  int64_t count = 4096;
  std::vector<float> values(count), back(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = 0.1f + 2 * std::cos(static_cast<float>(i));
  for (const GGUFTypeInfo &info : getGGUFTypes()) {
    dequantize(quantizeOrFail(values, count, info.type), back);
    double sum = 0;
    for (int64_t i = 0; i < count; ++i)
      sum += (values[i] - back[i]) * (values[i] - back[i]);
    double bound = info.bits == 2 ? 0.0075 : info.bits == 3 ? 0.0040 : 0.002;
    EXPECT_LT(std::sqrt(sum) / count, bound) << info.name.str();
  }
}

TEST_F(GGUFTest, NoiseOfNormalWeights) {
  int64_t rows = 256, cols = 1024;
  std::vector<float> values = makeNormal(rows * cols), back(rows * cols);
  auto getSQNR = [&](GGUFType type) {
    dequantize(quantizeOrFail(values, cols, type), back);
    double signal = 0, noise = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      signal += values[i] * values[i];
      noise += (values[i] - back[i]) * (values[i] - back[i]);
    }
    return 10 * std::log10(signal / noise);
  };
  EXPECT_NEAR(getSQNR(GGUFType::Q4_0), 21.36, 0.1);
  EXPECT_NEAR(getSQNR(GGUFType::Q4_1), 22.15, 0.1);
  EXPECT_NEAR(getSQNR(GGUFType::Q5_0), 27.38, 0.1);
  EXPECT_NEAR(getSQNR(GGUFType::Q8_0), 45.43, 0.1);
}

TEST_F(GGUFTest, ImportanceLowersTheErrorThatItWeights) {
  int64_t rows = 64, cols = 512;
  std::vector<float> values = makeNormal(rows * cols), back(rows * cols);
  std::vector<float> importance = makeNormal(cols, 2);
  for (float &value : importance)
    value = std::exp(value);
  for (const GGUFTypeInfo &info : getGGUFTypes()) {
    if (info.type == GGUFType::Q8_0)
      continue;
    auto getError = [&](ArrayRef<float> given) {
      dequantize(quantizeOrFail(values, cols, info.type, given), back);
      double sum = 0;
      for (size_t i = 0; i < values.size(); ++i) {
        double difference = values[i] - back[i];
        sum += importance[i % cols] * difference * difference;
      }
      return sum;
    };
    EXPECT_LT(getError(importance), 0.95 * getError({})) << info.name.str();
  }
}

TEST_F(GGUFTest, ShortLastBlocksAndAnyNumberOfThreads) {
  int64_t rows = 37, cols = 77;
  std::vector<float> values = makeNormal(rows * cols);
  for (GGUFType type : {GGUFType::Q4_0, GGUFType::Q5_1, GGUFType::Q8_0}) {
    GGUFWeight one = quantizeOrFail(values, cols, type);
    GGUFWeight many = quantizeOrFail(values, cols, type, {}, 5);
    EXPECT_EQ(one.codes, many.codes);
    EXPECT_EQ(one.scales, many.scales);
    ASSERT_EQ(one.scales.size(), size_t(rows * 3));
    std::vector<float> back(values.size());
    dequantize(one, back);
    for (int64_t i = 0; i < rows * cols; ++i)
      EXPECT_LE(std::fabs(back[i] - values[i]),
                std::fabs(one.scales[i / cols * 3 + i % cols / 32]) * 1.01f);
  }
}

// What kernels compute with is what ggml computes with.
TEST_F(GGUFTest, SchemesStandForTheSameWeights) {
  int64_t rows = 5, cols = 512;
  std::vector<float> values = makeNormal(rows * cols);
  std::vector<float> importance(cols, 0.5f);
  for (const GGUFTypeInfo &info : getGGUFTypes()) {
    QuantizationScheme scheme = getGGUFScheme(info.type);
    EXPECT_EQ(findGGUFType(scheme), info.type);
    MethodInput input = {WeightView::rowMajor(getBytes(values), rows, cols),
                         scheme, 1};
    input.importance = importance;
    for (const char *method : {"rtn", "imatrix"}) {
      llvm::Expected<QuantizedWeight> result = quantize(method, input);
      ASSERT_TRUE(bool(result)) << llvm::toString(result.takeError());
      std::vector<float> back(values.size()), wanted(values.size());
      dequantize(*result, back);
      dequantize(quantizeOrFail(values, cols, info.type,
                                input.importance.take_front(
                                    method == std::string("rtn") ? 0 : cols)),
                 wanted);
      EXPECT_EQ(back, wanted) << info.name.str() << " by " << method;
    }
  }
}

TEST_F(GGUFTest, RulesAreForTypes) {
  std::vector<float> values = makeNormal(64);
  MethodInput input = {WeightView::rowMajor(getBytes(values), 1, 64), {}, 1};
  input.scheme.scaleRule = ScaleRule::GGML;
  auto getError = [&](const char *method) {
    return llvm::toString(quantize(method, input).takeError());
  };
  EXPECT_EQ(getError("rtn"),
            "scale rule ggml is for the types of GGUF files: quantize to Q4_0, "
            "Q4_K or another of them");
  input.scheme.scaleRule = ScaleRule::AbsMax;
  EXPECT_EQ(getError("imatrix"),
            "method imatrix is for the types of GGUF files: quantize to Q4_0, "
            "Q4_K or another of them, or use another method");
}

TEST_F(GGUFTest, RowsThatAreNotWholeSuperBlocks) {
  EXPECT_EQ(getTypeForRowsOf(GGUFType::Q4_K, 512), GGUFType::Q4_K);
  EXPECT_EQ(getTypeForRowsOf(GGUFType::Q4_K, 576), GGUFType::Q5_0);
  EXPECT_EQ(getTypeForRowsOf(GGUFType::Q5_K, 576), GGUFType::Q5_1);
  EXPECT_EQ(getTypeForRowsOf(GGUFType::Q6_K, 576), GGUFType::Q8_0);
  EXPECT_EQ(getTypeForRowsOf(GGUFType::Q2_K, 576), GGUFType::Q4_0);
  EXPECT_EQ(getTypeForRowsOf(GGUFType::Q4_1, 576), GGUFType::Q4_1);
  EXPECT_EQ(getError(makeNormal(576), 576, GGUFType::Q4_K),
            "rows of 576 weights are not whole blocks of 256, which Q4_K has: "
            "use Q5_0");
}

TEST_F(GGUFTest, RefusesWhatIsNotFinite) {
  for (unsigned threads : {1, 4}) {
    std::vector<float> values = makeNormal(64 * 256);
    values[40 * 256 + 50] = std::numeric_limits<float>::infinity();
    values[7 * 256 + 33] = std::nanf("");
    for (const GGUFTypeInfo &info : getGGUFTypes())
      EXPECT_EQ(getError(values, 256, info.type, {}, threads),
                "weight at row 7, column 33 is NaN: only finite weights can be "
                "quantized");
  }
}

TEST_F(GGUFTest, RefusesScalesThatOverflow) {
  std::vector<float> values(512, 1);
  values[300] = 1e30f;
  for (const GGUFTypeInfo &info : getGGUFTypes()) {
    std::string error = getError(values, 256, info.type);
    EXPECT_NE(error.find(" of row 1, columns "), std::string::npos) << error;
    EXPECT_NE(error.find("is too large for f16, which " + info.name.str()),
              std::string::npos)
        << error;
  }
}

TEST_F(GGUFTest, RefusesImportanceThatIsNone) {
  std::vector<float> values = makeNormal(512), importance(256, 1);
  EXPECT_EQ(getError(values, 256, GGUFType::Q4_0, {1, 2}),
            "importance of 2 columns for a weight of 256: expected one number "
            "per column");
  importance[9] = -1;
  EXPECT_EQ(getError(values, 256, GGUFType::Q6_K, importance),
            "importance of column 9 is -1.00: expected a finite number that is "
            "not negative");
}

} // namespace
