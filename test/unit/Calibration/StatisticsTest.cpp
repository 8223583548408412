//===- StatisticsTest.cpp - The statistics file ---------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Statistics.h"
#include "nibble/Format/Safetensors/Safetensors.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"

using namespace nibble;
using namespace nibble::calibration;

static Statistics makeStatistics(float scale = 1) {
  Statistics statistics;
  statistics.modelName = "net.onnx";
  statistics.modelHash = 0x0123456789abcdef;
  statistics.options = RangeOptions::get(Method::MinMax);
  statistics.samples = 4;
  statistics.batches = 2;
  TensorStatistics tensor;
  tensor.name = "a \"quoted\" name: 1\n";
  tensor.operatorType = "Conv";
  tensor.count = 3;
  tensor.batches = 2;
  tensor.min = -1.0f / 3 * scale;
  tensor.max = 2 * scale;
  tensor.range = {tensor.min, tensor.max};
  tensor.histogram.emplace().add({tensor.min, 0, tensor.max}, tensor.max);
  statistics.tensors.push_back(tensor);
  LayerStatistics layer;
  layer.name = "fc";
  layer.operatorType = "MatMul";
  layer.rows = 2;
  layer.tokenAbsMaxMin = 1 * scale;
  layer.tokenAbsMaxMean = 1.5f * scale;
  layer.tokenAbsMaxMax = 2 * scale;
  layer.min = {-1 * scale, 0};
  layer.max = {0, 2 * scale};
  layer.absMax = {1 * scale, 2 * scale};
  layer.meanAbsolute = {0.1f * scale, 0.2f * scale};
  layer.mean = {-0.1f * scale, 0.1f * scale};
  layer.meanSquare = {0.3f * scale, 0.4f * scale};
  statistics.layers.push_back(layer);
  return statistics;
}

static std::string print(const Statistics &statistics) {
  std::string text;
  llvm::raw_string_ostream os(text);
  statistics.print(os);
  return text;
}

TEST(StatisticsTest, ReadsWhatItWrites) {
  Statistics written = makeStatistics();
  std::string text = print(written);
  llvm::Expected<Statistics> read = Statistics::parse(text, "s.yaml");
  ASSERT_TRUE(static_cast<bool>(read)) << llvm::toString(read.takeError());
  EXPECT_EQ(print(*read), text);
  EXPECT_EQ(read->modelHash, written.modelHash);
  const TensorStatistics *tensor = read->findTensor(written.tensors[0].name);
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->min, written.tensors[0].min);
  EXPECT_EQ(tensor->histogram->counts, written.tensors[0].histogram->counts);
  const LayerStatistics *layer = read->findLayer("fc");
  ASSERT_NE(layer, nullptr);
  EXPECT_EQ(layer->absMax, written.layers[0].absMax);
  EXPECT_EQ(read->findLayer("other"), nullptr);
}

TEST(StatisticsTest, KeepsTheNormOfMSE) {
  Statistics written = makeStatistics();
  written.options = RangeOptions::get(Method::MSE);
  written.options.norm = 2.4;
  std::string text = print(written);
  EXPECT_NE(text.find("norm: 2.4"), std::string::npos) << text;
  llvm::Expected<Statistics> read = Statistics::parse(text, "s.yaml");
  ASSERT_TRUE(static_cast<bool>(read)) << llvm::toString(read.takeError());
  EXPECT_EQ(read->options.norm, 2.4);
}

TEST(StatisticsTest, MergeDoesNotDependOnOrder) {
  Statistics a = makeStatistics(1), b = makeStatistics(3),
             c = makeStatistics(0.7f);
  b.layers[0].rows = 5;
  auto forward = Statistics::mergeAll({a, b, c});
  auto backward = Statistics::mergeAll({c, b, a});
  ASSERT_TRUE(static_cast<bool>(forward));
  ASSERT_TRUE(static_cast<bool>(backward));
  EXPECT_EQ(print(*forward), print(*backward));
  EXPECT_EQ(forward->samples, 12u);
  EXPECT_EQ(forward->layers[0].rows, 9u);
  EXPECT_EQ(forward->tensors[0].max, 6);
  EXPECT_NEAR(forward->layers[0].meanSquare[0],
              0.3 * (2 * 1 + 5 * 3 + 2 * 0.7) / 9, 1e-6);
}

TEST(StatisticsTest, MergeRefusesWhatDoesNotBelongTogether) {
  auto getError = [](const Statistics &other) {
    return llvm::toString(makeStatistics().merge(other));
  };
  Statistics other = makeStatistics();
  other.modelHash = 1;
  EXPECT_NE(getError(other).find("two models"), std::string::npos);
  other = makeStatistics();
  other.options = RangeOptions::get(Method::MSE);
  EXPECT_NE(getError(other).find("minmax and mse"), std::string::npos);
  other = makeStatistics();
  other.layers[0].name = "gc";
  EXPECT_NE(getError(other).find("'fc' and 'gc'"), std::string::npos);
}

TEST(StatisticsTest, ErrorsAreLocated) {
  std::string text = print(makeStatistics());
  struct Case {
    const char *from, *to, *message;
  } cases[] = {
      {"version: 1", "version: 9", "s.yaml:2:10: version '9'"},
      {"minmax", "minmin", "s.yaml:4:9: unknown method 'minmin'"},
      {"samples: 4", "samples: x", "s.yaml:6:10: 'samples' is 'x'"},
      {"max: 2\n", "max: inf\n", "'max' is 'inf': expected a finite number"},
      {"max: 2\n", "max: -2\n", "a minimum above its maximum"},
      {"mean-square: [0.3, 0.4]", "mean-square: [0.3]", "different lengths"},
      {"rows: 2", "row: 2", "unknown key 'row'"},
      {"  rows: 2\n", "", "a layer has no 'rows'"},
      {"counts: [1", "counts: [-1", "'counts' is '-1'"},
      {"layers:", "layers: [", "s.yaml:"},
      {"hash: 0x0123", "hash: 0123", "expected 0x and 16 digits"},
  };
  for (const Case &c : cases) {
    std::string changed = text;
    size_t at = changed.find(c.from);
    ASSERT_NE(at, std::string::npos) << c.from;
    changed.replace(at, std::strlen(c.from), c.to);
    llvm::Expected<Statistics> read = Statistics::parse(changed, "s.yaml");
    ASSERT_FALSE(static_cast<bool>(read)) << c.to;
    std::string error = llvm::toString(read.takeError());
    EXPECT_NE(error.find(c.message), std::string::npos) << error;
  }
}

TEST(StatisticsTest, OtherModelIsRefused) {
  Statistics statistics = makeStatistics();
  EXPECT_FALSE(statistics.checkModel(statistics.modelHash));
  std::string error = llvm::toString(statistics.checkModel(7));
  EXPECT_NE(error.find("of another model"), std::string::npos);
  EXPECT_NE(error.find("0x0123456789abcdef"), std::string::npos);
}

TEST(StatisticsTest, HessiansAreCheckedWhenTheyAreOpened) {
  llvm::SmallString<128> folder, path;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("nibble-test", folder));
  path = folder;
  llvm::sys::path::append(path, "h.safetensors");
  std::vector<float> hessian = {1, 2, 2, 5};
  auto summary = format::writeSafetensors(
      path, {{"fc", "F32", {2, 2}}}, {},
      [&](size_t, llvm::function_ref<void(llvm::ArrayRef<char>)> write) {
        write({reinterpret_cast<const char *>(hessian.data()), 16});
      });
  ASSERT_TRUE(static_cast<bool>(summary));
  Statistics statistics = makeStatistics();
  statistics.layers[0].hessianSize = 2;
  statistics.hessians = {"h.safetensors", summary->checksum, summary->bytes};
  auto open = [&] {
    auto read =
        Statistics::parse(print(statistics), (folder + "/s.yaml").str());
    EXPECT_TRUE(static_cast<bool>(read));
    return read->openHessians();
  };
  auto file = open();
  ASSERT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  auto values = (*file)->get(statistics.layers[0]);
  ASSERT_TRUE(static_cast<bool>(values));
  EXPECT_EQ(values->vec(), hessian);
  statistics.hessians->checksum ^= 1;
  auto damaged = open();
  ASSERT_FALSE(static_cast<bool>(damaged));
  EXPECT_NE(llvm::toString(damaged.takeError()).find("its checksum differs"),
            std::string::npos);
  llvm::sys::fs::remove_directories(folder);
}
