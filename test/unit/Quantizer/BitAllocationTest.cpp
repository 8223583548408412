//===- BitAllocationTest.cpp - Who gets how many bits ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/BitAllocation.h"
#include "llvm/ADT/STLExtras.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>
#include <random>

using namespace nibble::quantizer;

namespace {

using Items = std::vector<AllocationItem>;

class BitAllocationTest : public ::testing::Test {
protected:
  /// Options of any kind: worse than others, equal, above the hull.
  Items makeItems(unsigned count, unsigned maxOptions, int range) {
    std::uniform_int_distribution<int> number(0, range);
    Items items(count);
    for (AllocationItem &item : items)
      for (unsigned i = 0, n = 1 + generator() % maxOptions; i != n; ++i)
        item.push_back({double(number(generator)), double(number(generator))});
    return items;
  }
  /// As layers have them: half the bits, and more than twice the damage.
  Items makeLayers(unsigned count) {
    std::uniform_real_distribution<double> factor(0.7, 1.4);
    Items items(count);
    for (AllocationItem &item : items) {
      double weights = 1 << (10 + generator() % 8);
      double sensitivity = std::exp(4 * factor(generator));
      for (double bits : {2.25, 3.25, 4.25, 5.25, 6.25, 8.25})
        item.push_back(
            {std::floor(weights * bits / 8),
             sensitivity * factor(generator) * std::exp2(-2 * bits)});
    }
    return items;
  }
  std::mt19937 generator{1};
};

/// The least value over all choices with at most `limit` of the other figure;
/// infinite if there is none.
double tryAll(const Items &items, size_t first, double limit,
              double AllocationOption::*weight,
              double AllocationOption::*value) {
  if (first == items.size())
    return 0;
  double best = std::numeric_limits<double>::infinity();
  for (const AllocationOption &option : items[first])
    if (option.*weight <= limit)
      best = std::min(best, option.*value + tryAll(items, first + 1,
                                                   limit - option.*weight,
                                                   weight, value));
  return best;
}

void expectConsistent(const Items &items, const Allocation &found) {
  ASSERT_EQ(found.choices.size(), items.size());
  double size = 0, damage = 0;
  for (auto [item, choice] : llvm::zip_equal(items, found.choices)) {
    ASSERT_LT(choice, item.size());
    size += item[choice].size;
    damage += item[choice].damage;
  }
  EXPECT_EQ(found.size, size);
  EXPECT_EQ(found.damage, damage);
}

TEST_F(BitAllocationTest, DamageIsTheLeastOfAllChoices) {
  for (int round = 0; round < 400; ++round) {
    Items items = makeItems(1 + round % 6, 5, round % 2 ? 12 : 1000);
    double limit = (round % 2 ? 12 : 1000) * 0.4 * items.size();
    double best = tryAll(items, 0, limit, &AllocationOption::size,
                         &AllocationOption::damage);
    std::optional<Allocation> found = minimizeDamage(items, limit);
    ASSERT_EQ(found.has_value(), std::isfinite(best)) << "round " << round;
    if (!found)
      continue;
    expectConsistent(items, *found);
    EXPECT_TRUE(found->isOptimal);
    EXPECT_LE(found->size, limit);
    EXPECT_EQ(found->damage, best) << "round " << round;
  }
}

TEST_F(BitAllocationTest, SizeIsTheLeastOfAllChoices) {
  for (int round = 0; round < 400; ++round) {
    Items items = makeItems(1 + round % 6, 5, 100);
    double limit = 30.0 * items.size();
    double best = tryAll(items, 0, limit, &AllocationOption::damage,
                         &AllocationOption::size);
    std::optional<Allocation> found = minimizeSize(items, limit);
    ASSERT_EQ(found.has_value(), std::isfinite(best)) << "round " << round;
    if (!found)
      continue;
    expectConsistent(items, *found);
    EXPECT_LE(found->damage, limit);
    EXPECT_EQ(found->size, best) << "round " << round;
  }
}

TEST_F(BitAllocationTest, ManyLayersKeepTheBudgetAndFillIt) {
  Items items = makeLayers(300);
  double smallest = 0, largest = 0;
  for (const AllocationItem &item : items) {
    smallest += item.front().size;
    largest += item.back().size;
  }
  for (double part : {0.0, 0.1, 0.35, 0.6, 0.99, 1.0, 2.0}) {
    double limit = std::floor(smallest + part * (largest - smallest));
    std::optional<Allocation> found = minimizeDamage(items, limit);
    ASSERT_TRUE(found);
    expectConsistent(items, *found);
    EXPECT_LE(found->size, limit);
    EXPECT_TRUE(found->isOptimal);
    // The smallest step is that of the smallest layer.
    if (part < 0.9)
      EXPECT_GT(found->size, limit - 1024);
    // Damage of the size found is the least, and so is the size of that damage.
    std::optional<Allocation> back = minimizeSize(items, found->damage);
    ASSERT_TRUE(back);
    EXPECT_LE(back->size, found->size);
    EXPECT_LE(back->damage, found->damage);
  }
}

TEST_F(BitAllocationTest, BudgetBelowTheSmallestHasNoChoice) {
  Items items = {{{10, 3}, {20, 1}}, {{5, 7}, {9, 2}}};
  EXPECT_FALSE(minimizeDamage(items, 14.5));
  std::optional<Allocation> found = minimizeDamage(items, 15);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->choices, (std::vector<unsigned>{0, 0}));
  EXPECT_FALSE(minimizeSize(items, 2.5));
  EXPECT_EQ(minimizeSize(items, 3)->size, 29);
}

TEST_F(BitAllocationTest, OptionsThatAreNoNumbersAreNotChosen) {
  double nan = std::numeric_limits<double>::quiet_NaN(),
         infinity = std::numeric_limits<double>::infinity();
  Items items = {{{1, nan}, {nan, 1}, {2, infinity}, {4, 1}}};
  EXPECT_EQ(minimizeDamage(items, 100)->choices.front(), 3u);
  EXPECT_FALSE(minimizeDamage(items, 3));
  items.front().pop_back();
  EXPECT_FALSE(minimizeDamage(items, 100));
  EXPECT_TRUE(computeFrontier(items).empty());
}

TEST_F(BitAllocationTest, PointsOfTheFrontierAreTheBestOfTheirSize) {
  Items items = makeItems(5, 4, 100);
  std::vector<AllocationOption> frontier = computeFrontier(items);
  ASSERT_GT(frontier.size(), 1u);
  for (auto [i, point] : llvm::enumerate(frontier)) {
    EXPECT_EQ(point.damage,
              tryAll(items, 0, point.size, &AllocationOption::size,
                     &AllocationOption::damage));
    if (i) {
      EXPECT_GT(point.size, frontier[i - 1].size);
      EXPECT_LT(point.damage, frontier[i - 1].damage);
    }
  }
}

TEST_F(BitAllocationTest, NothingToChooseTakesNothing) {
  std::optional<Allocation> found = minimizeDamage({}, 0);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->choices.empty());
  EXPECT_EQ(found->size, 0);
}

} // namespace
