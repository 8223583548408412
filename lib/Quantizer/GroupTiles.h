//===- GroupTiles.h - Walk over the groups of a weight ----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_QUANTIZER_GROUPTILES_H
#define NIBBLE_LIB_QUANTIZER_GROUPTILES_H

#include "nibble/Quantizer/Scheme.h"
#include "nibble/Support/Parallel.h"
#include <algorithm>
#include <vector>

namespace nibble::quantizer {

/// Rows that one thread takes at a time: as many as fill a cache line when the
/// columns are far apart.
inline constexpr int64_t groupTileRows = 16;

/// Calls `body(row, group, values)` for each run of `length` columns of each
/// row, the last run shorter where the columns end. `values` are contiguous
/// whatever the strides of the weight. Tiles of `groupTileRows` rows go to
/// threads; a body that returns false ends its tile.
template <typename Body>
void forEachGroup(const WeightView &weight, int64_t length, unsigned threads,
                  Body body) {
  auto walk = [&](int64_t first, int64_t last) {
    std::vector<float> tile(groupTileRows * length);
    for (int64_t col = 0, group = 0; col < weight.cols;
         col += length, ++group) {
      int64_t count = std::min(length, weight.cols - col);
      copyTile(weight, first, last - first, col, count, tile.data());
      for (int64_t row = first; row < last; ++row)
        if (!body(row, group,
                  llvm::ArrayRef<float>(tile).slice((row - first) * count,
                                                    count)))
          return;
    }
  };
  parallelFor(weight.rows, groupTileRows, threads, walk);
}

} // namespace nibble::quantizer

#endif // NIBBLE_LIB_QUANTIZER_GROUPTILES_H
