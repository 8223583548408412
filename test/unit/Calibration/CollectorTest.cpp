//===- CollectorTest.cpp - Statistics of values that stream by ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Collector.h"
#include "nibble/Support/AtomicFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace nibble;
using namespace nibble::calibration;

static std::vector<float> makeValues(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.25f, 2);
  std::vector<float> values(count);
  for (float &value : values)
    value = normal(random);
  return values;
}

/// A dense value.
static llvm::Error show(Collector &collector, int64_t id,
                        const std::vector<float> &values,
                        std::vector<int64_t> dims) {
  std::vector<int64_t> strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0; stride *= dims[i])
    strides[i] = stride;
  nibble_observation value = {id,           values.data(),
                              NIBBLE_FLOAT, static_cast<int32_t>(dims.size()),
                              dims.data(),  strides.data()};
  return collector.observe(value);
}

static ObservedValue makeLayer(int64_t id, std::string name) {
  ObservedValue what;
  what.id = id;
  what.name = std::move(name);
  what.isLayer = true;
  what.operatorType = "MatMul";
  return what;
}

static ObservedValue makeConvolution(int64_t id, int64_t groups) {
  ObservedValue what = makeLayer(id, "conv");
  what.channelAxis = 1;
  what.window.emplace();
  what.window->kernel = {3, 2};
  what.window->strides = {2, 1};
  what.window->dilations = {1, 2};
  what.window->pads = {1, 0, 1, 2};
  what.window->groups = groups;
  return what;
}

/// What was written for all layers, by name of the Hessian.
static std::unique_ptr<HessianFile> writeHessians(const Collector &collector,
                                                  Statistics &statistics) {
  llvm::SmallString<128> folder, path;
  EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("nibble-test", folder));
  path = folder;
  llvm::sys::path::append(path, "h.safetensors");
  auto output = AtomicFile::create(path);
  EXPECT_TRUE(static_cast<bool>(output));
  auto reference = collector.writeHessians(*output);
  EXPECT_TRUE(static_cast<bool>(reference));
  EXPECT_FALSE(output->commit());
  statistics.hessians = *reference;
  statistics.hessians->file = path.str().str();
  auto file = statistics.openHessians();
  EXPECT_TRUE(static_cast<bool>(file));
  // The mapping outlives the file.
  llvm::sys::fs::remove_directories(folder);
  return std::move(*file);
}

TEST(CollectorTest, LayerSums) {
  Collector collector({});
  collector.add(makeLayer(0, "fc"));
  std::vector<float> x = {1, -2, 3, 4, 0, -6};
  ASSERT_FALSE(show(collector, 0, x, {1, 2, 3}));
  ASSERT_FALSE(show(collector, 0, {2, 2, 2}, {1, 1, 3}));
  LayerStatistics layer = collector.getStatistics().layers[0];
  EXPECT_EQ(layer.rows, 3u);
  EXPECT_EQ(layer.min, (std::vector<float>{1, -2, -6}));
  EXPECT_EQ(layer.max, (std::vector<float>{4, 2, 3}));
  EXPECT_EQ(layer.absMax, (std::vector<float>{4, 2, 6}));
  EXPECT_FLOAT_EQ(layer.mean[1], 0);
  EXPECT_FLOAT_EQ(layer.meanAbsolute[1], 4.0f / 3);
  EXPECT_FLOAT_EQ(layer.meanSquare[2], (9 + 36 + 4) / 3.0f);
  EXPECT_EQ(layer.tokenAbsMaxMin, 2);
  EXPECT_FLOAT_EQ(layer.tokenAbsMaxMean, (3 + 6 + 2) / 3.0f);
  EXPECT_EQ(layer.tokenAbsMaxMax, 6);
}

TEST(CollectorTest, ChannelsOfPlanes) {
  Collector collector({});
  collector.add(makeConvolution(4, 1));
  std::vector<float> x = {1, 2, 3, 4, -1, -2, -3, -4};
  ASSERT_FALSE(show(collector, 4, x, {1, 2, 2, 2}));
  LayerStatistics layer = collector.getStatistics().layers[0];
  EXPECT_EQ(layer.rows, 4u);
  EXPECT_EQ(layer.max, (std::vector<float>{4, -1}));
  EXPECT_FLOAT_EQ(layer.mean[1], -2.5f);
  EXPECT_FLOAT_EQ(layer.tokenAbsMaxMean, 2.5f);
}

TEST(CollectorTest, StridedValuesAndHalves) {
  Collector collector({});
  ObservedValue what;
  what.name = "x";
  collector.add(what);
  // Columns 0 and 2 of 2 x 4, and a bfloat16.
  std::vector<float> x = {1, 9, 3, 9, -5, 9, 7, 9};
  int64_t dims[] = {2, 2}, strides[] = {4, 2};
  nibble_observation value = {0, x.data(), NIBBLE_FLOAT, 2, dims, strides};
  ASSERT_FALSE(collector.observe(value));
  uint16_t half = 0x4120; // 10 as bfloat16
  nibble_observation other = {0, &half, NIBBLE_BFLOAT16, 0, dims, strides};
  ASSERT_FALSE(collector.observe(other));
  TensorStatistics tensor = collector.getStatistics().tensors[0];
  EXPECT_EQ(tensor.count, 5u);
  EXPECT_EQ(tensor.min, -5);
  EXPECT_EQ(tensor.max, 10);
}

TEST(CollectorTest, HessianOfRows) {
  constexpr int64_t rows = 700, k = 150;
  std::vector<float> x = makeValues(rows * k, 1);
  std::vector<float> first;
  for (unsigned threads : {1u, 3u}) {
    // In memory, then in a file.
    CollectorOptions options;
    options.hessian = true;
    options.threads = threads;
    options.memoryLimit = threads == 1 ? 0 : 1;
    Collector collector(options);
    collector.add(makeLayer(0, "fc"));
    ASSERT_FALSE(show(collector, 0, x, {rows, k}));
    Statistics statistics = collector.getStatistics();
    ASSERT_EQ(statistics.layers[0].hessianSize, k);
    auto file = writeHessians(collector, statistics);
    auto hessian = file->get(statistics.layers[0]);
    ASSERT_TRUE(static_cast<bool>(hessian));
    for (int64_t i = 0; i < k; i += 7)
      for (int64_t j = 0; j < k; j += 5) {
        double sum = 0;
        for (int64_t r = 0; r != rows; ++r)
          sum += static_cast<double>(x[r * k + i]) * x[r * k + j];
        ASSERT_NEAR((*hessian)[i * k + j], sum, 2e-2) << i << ' ' << j;
        ASSERT_EQ((*hessian)[i * k + j], (*hessian)[j * k + i]);
      }
    if (threads == 1)
      first = hessian->vec();
    else
      EXPECT_EQ(first, hessian->vec());
  }
}

TEST(CollectorTest, HessianOfWindowsHasTheWeightsOrder) {
  constexpr int64_t n = 2, c = 4, h = 5, w = 4, groups = 2;
  std::vector<float> x = makeValues(n * c * h * w, 2);
  CollectorOptions options;
  options.hessian = true;
  Collector collector(options);
  collector.add(makeConvolution(0, groups));
  ASSERT_FALSE(show(collector, 0, x, {n, c, h, w}));
  Statistics statistics = collector.getStatistics();
  const LayerStatistics &layer = statistics.layers[0];
  ASSERT_EQ(layer.hessianSize, c / groups * 3 * 2);
  ASSERT_EQ(layer.hessianCount, groups);
  auto file = writeHessians(collector, statistics);
  // Kernel 3 x 2, strides 2 and 1, dilations 1 and 2, pads 1 0 1 2.
  int64_t outH = (h + 2 - 3) / 2 + 1, outW = (w + 2 - 3) / 1 + 1;
  for (int64_t g = 0; g != groups; ++g) {
    auto hessian = file->get(layer, g);
    ASSERT_TRUE(static_cast<bool>(hessian));
    int64_t k = layer.hessianSize;
    std::vector<double> sum(k * k);
    for (int64_t b = 0; b != n; ++b)
      for (int64_t oh = 0; oh != outH; ++oh)
        for (int64_t ow = 0; ow != outW; ++ow) {
          std::vector<double> row;
          for (int64_t ch = 0; ch != c / groups; ++ch)
            for (int64_t i = 0; i != 3; ++i)
              for (int64_t j = 0; j != 2; ++j) {
                int64_t y = oh * 2 - 1 + i, z = ow + j * 2;
                bool inside = y >= 0 && y < h && z >= 0 && z < w;
                int64_t at = ((b * c + g * (c / groups) + ch) * h + y) * w + z;
                row.push_back(inside ? x[at] : 0);
              }
          for (int64_t i = 0; i != k; ++i)
            for (int64_t j = 0; j != k; ++j)
              sum[i * k + j] += row[i] * row[j];
        }
    for (int64_t i = 0; i != k * k; ++i)
      ASSERT_NEAR((*hessian)[i], sum[i], 1e-3) << g << ' ' << i;
  }
}

TEST(CollectorTest, RefusesWhatIsNotFinite) {
  Collector collector({});
  ObservedValue what;
  what.name = "act";
  collector.add(what);
  collector.add(makeLayer(1, "fc"));
  float nan = std::numeric_limits<float>::quiet_NaN();
  float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(llvm::toString(show(collector, 0, {1, nan}, {2})),
            "tensor 'act' has NaN at element 1");
  EXPECT_EQ(llvm::toString(show(collector, 1, {-infinity, 1}, {1, 2})),
            "the input of layer 'fc' has infinity at element 0");
  ASSERT_FALSE(show(collector, 1, {1, 2}, {1, 2}));
  EXPECT_NE(llvm::toString(show(collector, 1, {1, 2, 3}, {1, 3}))
                .find("3 channels, and had 2 before"),
            std::string::npos);
}

/// A collector that has seen some values.
static std::unique_ptr<Collector> makeSeen(Method method, int runs) {
  CollectorOptions options;
  options.range = RangeOptions::get(method);
  options.hessian = true;
  auto collector = std::make_unique<Collector>(options);
  ObservedValue what;
  what.id = 0;
  what.name = "x";
  collector->add(what);
  collector->add(makeLayer(1, "fc"));
  collector->add(makeConvolution(2, 2));
  for (int run = 0; run != runs; ++run) {
    EXPECT_FALSE(show(*collector, 0, makeValues(50, run), {50}));
    EXPECT_FALSE(show(*collector, 1, makeValues(60, run), {10, 6}));
    EXPECT_FALSE(show(*collector, 2, makeValues(160, run), {2, 4, 5, 4}));
  }
  return collector;
}

static std::string print(const Collector &collector) {
  std::string text;
  llvm::raw_string_ostream os(text);
  collector.getStatistics().print(os);
  return text;
}

TEST(CollectorTest, CheckpointContinuesWithTheSameBits) {
  llvm::SmallString<128> folder, path;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("nibble-test", folder));
  path = folder;
  llvm::sys::path::append(path, "c");
  for (Method method : {Method::MinMax, Method::MovingAverage, Method::MSE}) {
    ASSERT_FALSE(makeSeen(method, 2)->writeCheckpoint(path, {{"note", "2"}}));
    auto resumed = makeSeen(method, 0);
    auto notes = resumed->readCheckpoint(path);
    ASSERT_TRUE(static_cast<bool>(notes)) << llvm::toString(notes.takeError());
    EXPECT_EQ((*notes)["note"], "2");
    EXPECT_EQ(print(*resumed), print(*makeSeen(method, 2)));
    ASSERT_FALSE(show(*resumed, 0, makeValues(50, 2), {50}));
    ASSERT_FALSE(show(*resumed, 1, makeValues(60, 2), {10, 6}));
    ASSERT_FALSE(show(*resumed, 2, makeValues(160, 2), {2, 4, 5, 4}));
    auto whole = makeSeen(method, 3);
    EXPECT_EQ(print(*resumed), print(*whole));
    Statistics left = resumed->getStatistics(), right = whole->getStatistics();
    auto leftFile = writeHessians(*resumed, left);
    auto rightFile = writeHessians(*whole, right);
    EXPECT_EQ(left.hessians->checksum, right.hessians->checksum);
  }
  llvm::sys::fs::remove_directories(folder);
}

TEST(CollectorTest, CheckpointsOfOtherRunsAndDamagedOnesAreRefused) {
  llvm::SmallString<128> folder, path;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("nibble-test", folder));
  path = folder;
  llvm::sys::path::append(path, "c");
  auto getError = [&] {
    auto notes = makeSeen(Method::MinMax, 0)->readCheckpoint(path);
    EXPECT_FALSE(static_cast<bool>(notes));
    return llvm::toString(notes.takeError());
  };
  ASSERT_FALSE(makeSeen(Method::MSE, 1)->writeCheckpoint(path, {}));
  EXPECT_NE(getError().find("of another run"), std::string::npos);
  ASSERT_FALSE(makeSeen(Method::MinMax, 1)->writeCheckpoint(path, {}));
  {
    std::fstream file(path.c_str(),
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-5, std::ios::end);
    file.put('!');
  }
  EXPECT_NE(getError().find("its checksum differs"), std::string::npos);
  llvm::sys::fs::remove_directories(folder);
}
