//===- HessianSum.h - X^T X of rows that stream by --------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CALIBRATION_HESSIANSUM_H
#define NIBBLE_LIB_CALIBRATION_HESSIANSUM_H

#include "nibble/Calibration/Collector.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>

namespace nibble::calibration {

/// The sums of one layer: `count` symmetric matrices of size x size floats.
/// Only the upper halves are kept up while rows are added.
class HessianSum {
public:
  /// `memory` is what may still be held; sums that do not fit lie in a file
  /// without a name, and `memory` is reduced by those that do. Error: the file
  /// can't be made, or the disk is full.
  static llvm::Expected<std::unique_ptr<HessianSum>>
  create(int64_t size, int64_t count, uint64_t &memory);
  ~HessianSum();
  HessianSum(const HessianSum &) = delete;

  int64_t getSize() const { return size; }
  int64_t getCount() const { return count; }
  uint64_t getBytes() const { return size * size * sizeof(float); }
  bool isSpilled() const { return file >= 0; }

  /// Adds x x^T for dense rows x of `size` floats to the sum of group `group`.
  /// The result does not depend on the number of threads.
  void addRows(int64_t group, const float *rows, int64_t numRows,
               unsigned threads);
  /// Adds the windows of a convolution: `input` is dense, [N, C, spatial...].
  llvm::Error addWindows(llvm::ArrayRef<float> input,
                         llvm::ArrayRef<int64_t> dims,
                         const WindowShape &window, unsigned threads);

  /// Row `row` of the symmetric matrix.
  void readRow(int64_t group, int64_t row, float *values) const;
  /// The upper half as it is kept, for checkpoints; what is below is not
  /// defined.
  llvm::MutableArrayRef<float> getSums(int64_t group) {
    return {sums + group * size * size, static_cast<size_t>(size * size)};
  }
  /// Lets pages that lie in the file leave the process.
  void release();

private:
  HessianSum(int64_t size, int64_t count) : size(size), count(count) {}

  int64_t size, count;
  float *sums = nullptr;
  int file = -1;
};

} // namespace nibble::calibration

#endif // NIBBLE_LIB_CALIBRATION_HESSIANSUM_H
