//===- WindowRows.cpp - What filters see, as rows -------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/WindowRows.h"
#include <algorithm>

using namespace nibble::calibration;

static constexpr int64_t pieceBytes = 4 << 20;

/// Advances `index` to the next one inside of `sizes`, the last dimension
/// fastest. False after the last.
static bool advance(llvm::MutableArrayRef<int64_t> index,
                    llvm::ArrayRef<int64_t> sizes) {
  for (size_t d = sizes.size(); d-- > 0;) {
    if (++index[d] < sizes[d])
      return true;
    index[d] = 0;
  }
  return false;
}

static int64_t product(llvm::ArrayRef<int64_t> sizes) {
  int64_t result = 1;
  for (int64_t size : sizes)
    result *= size;
  return result;
}

llvm::Error nibble::calibration::forEachWindow(llvm::ArrayRef<float> input,
                                               llvm::ArrayRef<int64_t> dims,
                                               const WindowShape &shape,
                                               BlockRunner::RowsFn consume) {
  llvm::ArrayRef<int64_t> sizes = dims.drop_front(2);
  size_t rank = sizes.size();
  llvm::SmallVector<int64_t, 3> outSizes(rank);
  for (size_t d = 0; d != rank; ++d) {
    int64_t reach = shape.dilations[d] * (shape.kernel[d] - 1) + 1;
    int64_t room = sizes[d] + shape.pads[d] + shape.pads[rank + d] - reach;
    outSizes[d] = room < 0 ? 0 : room / shape.strides[d] + 1;
  }
  int64_t plane = product(sizes), taps = product(shape.kernel);
  int64_t positions = product(outSizes);
  int64_t channels = dims[1] / shape.groups, columns = channels * taps;
  if (positions == 0 || columns == 0)
    return llvm::Error::success();
  int64_t pieceRows =
      std::clamp<int64_t>(pieceBytes / (columns * sizeof(float)), 1, positions);
  std::vector<float> rows(pieceRows * columns);
  // Of each tap of one position, where it is in a plane; -1 outside.
  std::vector<int64_t> at(taps);

  for (int64_t image = 0; image != dims[0]; ++image)
    for (int64_t group = 0; group != shape.groups; ++group) {
      const float *planes =
          input.data() + (image * dims[1] + group * channels) * plane;
      llvm::SmallVector<int64_t, 3> position(rank, 0), tap(rank, 0);
      for (int64_t first = 0; first < positions; first += pieceRows) {
        int64_t count = std::min(pieceRows, positions - first);
        for (int64_t row = 0; row != count; ++row) {
          for (int64_t t = 0; t != taps; ++t, advance(tap, shape.kernel)) {
            int64_t offset = 0;
            for (size_t d = 0; d != rank && offset >= 0; ++d) {
              int64_t x = position[d] * shape.strides[d] - shape.pads[d] +
                          tap[d] * shape.dilations[d];
              offset = x < 0 || x >= sizes[d] ? -1 : offset * sizes[d] + x;
            }
            at[t] = offset;
          }
          float *out = rows.data() + row * columns;
          for (int64_t c = 0; c != channels; ++c)
            for (int64_t t = 0; t != taps; ++t)
              *out++ = at[t] < 0 ? 0.0f : planes[c * plane + at[t]];
          advance(position, outSizes);
        }
        ActivationRows piece;
        piece.values = llvm::ArrayRef(rows).take_front(count * columns);
        piece.rows = count;
        piece.columns = columns;
        piece.group = group;
        if (llvm::Error error = consume(piece))
          return error;
      }
    }
  return llvm::Error::success();
}
