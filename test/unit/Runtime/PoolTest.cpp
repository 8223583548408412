//===- PoolTest.cpp - Tests of the memory of a context --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "gtest/gtest.h"
#include <cstring>
#include <random>
#include <vector>

extern "C" {
#include "../../../lib/Runtime/Pool.h"
}

namespace {
class PoolTest : public testing::Test {
protected:
  void TearDown() override { nibblePoolDestroy(&pool); }
  Pool pool = {};
};

TEST_F(PoolTest, MemoryIsAlignedAndReused) {
  void *first = nibblePoolAllocate(&pool, 0, 1000);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
  memset(first, 1, 1000);
  EXPECT_TRUE(nibblePoolOwns(&pool, first));
  nibblePoolRelease(first);
  EXPECT_FALSE(nibblePoolOwns(&pool, first));
  EXPECT_EQ(nibblePoolAllocate(&pool, 0, 900), first);
  void *page = nibblePoolAllocate(&pool, 4096, 10);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(page) % 4096, 0u);
}

TEST_F(PoolTest, SecondRunTakesNothingFromTheSystem) {
  const uint64_t sizes[] = {1, 512, 513, 4096, 100000, 1 << 20, 12345};
  auto run = [&] {
    std::vector<void *> held;
    for (uint64_t size : sizes) {
      void *temporary = nibblePoolAllocate(&pool, 0, 2 * size);
      held.push_back(nibblePoolAllocate(&pool, 0, size));
      nibblePoolRelease(temporary);
    }
  };
  run();
  uint64_t bytes = pool.bytes;
  for (int i = 0; i != 20; ++i) {
    nibblePoolNextRun(&pool, nullptr, 0);
    run();
    EXPECT_EQ(pool.bytes, bytes);
  }
}

TEST_F(PoolTest, SizesWasteAtMostAnEighth) {
  for (uint64_t size = 1; size < (1 << 20); size += size / 50 + 1) {
    void *pointer = nibblePoolAllocate(nullptr, 0, size);
    ASSERT_NE(pointer, nullptr);
    nibblePoolRelease(pointer);
    uint64_t before = pool.bytes;
    pointer = nibblePoolAllocate(&pool, 0, size);
    memset(pointer, 0, size);
    if (uint64_t taken = pool.bytes - before; taken && size >= 512) {
      EXPECT_GE(taken, size);
      EXPECT_LE(taken, size + size / 8 + 8) << size;
    }
  }
}

TEST_F(PoolTest, InputsOfTheNextRunAreKept) {
  char *output = static_cast<char *>(nibblePoolAllocate(&pool, 0, 100));
  void *other = nibblePoolAllocate(&pool, 0, 100);
  const void *kept[] = {output + 40};
  nibblePoolNextRun(&pool, kept, 1);
  EXPECT_TRUE(nibblePoolOwns(&pool, output));
  EXPECT_FALSE(nibblePoolOwns(&pool, other));
  nibblePoolNextRun(&pool, nullptr, 0);
  EXPECT_FALSE(nibblePoolOwns(&pool, output));
}

TEST_F(PoolTest, UnusedMemoryGoesBack) {
  nibblePoolAllocate(&pool, 0, 1 << 24);
  for (int i = 0; i != 20; ++i) {
    nibblePoolNextRun(&pool, nullptr, 0);
    nibblePoolAllocate(&pool, 0, 1000);
  }
  EXPECT_LT(pool.bytes, 1u << 20);
}

TEST_F(PoolTest, ImpossibleSizesFail) {
  EXPECT_EQ(nibblePoolAllocate(&pool, 0, ~0ull), nullptr);
  EXPECT_EQ(nibblePoolAllocate(&pool, 0, 1ull << 62), nullptr);
  EXPECT_EQ(nibblePoolAllocate(nullptr, 0, ~0ull - 10), nullptr);
  nibblePoolRelease(nullptr);
}

TEST_F(PoolTest, BlocksNeverOverlap) {
  std::mt19937 random(7);
  struct Block {
    unsigned char *data;
    size_t size;
    unsigned char value;
  };
  std::vector<Block> blocks;
  for (int step = 0; step != 5000; ++step) {
    if (blocks.size() > 50 || (!blocks.empty() && random() % 2)) {
      size_t i = random() % blocks.size();
      for (size_t j = 0; j != blocks[i].size; ++j)
        ASSERT_EQ(blocks[i].data[j], blocks[i].value);
      nibblePoolRelease(blocks[i].data);
      blocks.erase(blocks.begin() + long(i));
      continue;
    }
    size_t size = random() % 5000;
    auto *data =
        static_cast<unsigned char *>(nibblePoolAllocate(&pool, 0, size));
    memset(data, step & 255, size);
    blocks.push_back({data, size, static_cast<unsigned char>(step)});
  }
}
} // namespace
