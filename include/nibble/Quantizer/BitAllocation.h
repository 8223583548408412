//===- BitAllocation.h - Who gets how many bits -----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One of several schemes for each layer, so that all together take at most a
// given size and do the least damage, or do at most a given damage and take the
// least size: the knapsack problem with one choice from each class (Sinha and
// Zoltners, Operations Research 27, 1979; Kellerer, Pferschy and Pisinger,
// "Knapsack Problems", chapter 11).
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_BITALLOCATION_H
#define NIBBLE_QUANTIZER_BITALLOCATION_H

#include "llvm/ADT/ArrayRef.h"
#include <optional>
#include <vector>

namespace nibble::quantizer {

/// What one scheme would mean for a layer. Both add up over layers. Options
/// that are not finite, or below zero, are never chosen.
struct AllocationOption {
  double size = 0, damage = 0;
};

/// The options of one layer; at least one.
using AllocationItem = std::vector<AllocationOption>;

struct Allocation {
  /// By item: which of its options.
  std::vector<unsigned> choices;
  double size = 0, damage = 0;
  /// True if no other choice is better; false if the search was cut short, as
  /// it is for very many layers whose options are all alike.
  bool isOptimal = false;
};

/// The least damage that takes at most `maxSize`; nothing if the smallest
/// options of all items take more. Exact: the greedy choice along the convex
/// hulls bounds what can be gained, and dynamic programming goes through the
/// few choices that could gain it. Of equals, the result is the same in every
/// run.
std::optional<Allocation> minimizeDamage(llvm::ArrayRef<AllocationItem> items,
                                         double maxSize);

/// The least size that does at most `maxDamage`; nothing if the best options of
/// all items do more.
std::optional<Allocation> minimizeSize(llvm::ArrayRef<AllocationItem> items,
                                       double maxDamage);

/// From the smallest choice on, one step along the convex hulls after the
/// other, the one with the largest gain for its size first. Each point is the
/// best choice of its size. Empty if an item has no option that may be chosen.
std::vector<AllocationOption>
computeFrontier(llvm::ArrayRef<AllocationItem> items);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_BITALLOCATION_H
