//===- CompiledModelTest.cpp - Tests of compiling and running -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Target/TestModels.h"
#include <thread>

using namespace nibble;
using namespace nibble::test;

namespace {
class CompiledModelTest : public testing::Test {
protected:
  ModelBuilder builder;
};

TEST_F(CompiledModelTest, RunsWithAnySize) {
  auto model = builder.compile(scaleModel);
  ASSERT_TRUE(succeeded(model));
  for (int64_t n : {0, 1, 5, 1000}) {
    std::vector<float> x(n), b(n);
    for (int64_t i = 0; i != n; ++i)
      x[i] = float(i), b[i] = 0.5f * float(i % 7);
    int64_t dims[] = {n};
    auto results = (*model)->run({makeTensor(x, dims), makeTensor(b, dims)});
    ASSERT_TRUE(bool(results)) << toString(results.takeError());
    ASSERT_EQ(results->size(), 1u);
    EXPECT_EQ((*results)[0].dims[0], n);
    auto y = CompiledModel::elements<float>((*results)[0]);
    ASSERT_EQ(int64_t(y.size()), n);
    for (int64_t i = 0; i != n; ++i)
      EXPECT_EQ(y[i], x[i] * b[i] + float(1 + i % 4));
  }
}

TEST_F(CompiledModelTest, ThreadsShareOneModel) {
  auto model = builder.compile(scaleModel);
  ASSERT_TRUE(succeeded(model));
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t != 4; ++t)
    threads.emplace_back([&, t] {
      nibble_context *context = nullptr;
      if (nibble_context_create((*model)->getModel(), nullptr, &context)) {
        ++wrong;
        return;
      }
      for (int repeat = 0; repeat != 50; ++repeat) {
        int64_t n = 100 + 37 * t + repeat;
        std::vector<float> x(n, float(t)), b(n, 3.0f);
        int64_t dims[] = {n};
        nibble_tensor in[] = {makeTensor(x, dims), makeTensor(b, dims)};
        nibble_tensor out = {};
        if (nibble_run(context, in, 2, &out, 1) != NIBBLE_OK) {
          ++wrong;
          continue;
        }
        auto y = CompiledModel::elements<float>(out);
        for (int64_t i = 0; i != n; ++i)
          wrong += y[i] != 3.0f * float(t) + float(1 + i % 4);
      }
      nibble_context_free(context);
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}
} // namespace
