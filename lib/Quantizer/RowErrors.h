//===- RowErrors.h - Errors of quantizers that run in parallel --*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_QUANTIZER_ROWERRORS_H
#define NIBBLE_LIB_QUANTIZER_ROWERRORS_H

#include "llvm/Support/Error.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <limits>
#include <mutex>
#include <string>

namespace nibble::quantizer {

/// The first error in row order, whichever thread finds it first.
class FirstError {
public:
  void report(int64_t row, std::string text) {
    std::lock_guard<std::mutex> lock(mutex);
    if (row < errorRow) {
      errorRow = row;
      message = std::move(text);
    }
  }
  llvm::Error take() {
    if (message.empty())
      return llvm::Error::success();
    return llvm::createStringError(message);
  }

private:
  std::mutex mutex;
  int64_t errorRow = std::numeric_limits<int64_t>::max();
  std::string message;
};

/// Names the first of `values`, which lie at (row, col) and on, that is not
/// finite; there must be one.
inline std::string describeNonFinite(const float *values, int64_t row,
                                     int64_t col) {
  while (std::isfinite(*values)) {
    ++values;
    ++col;
  }
  return llvm::formatv("weight at row {0}, column {1} is {2}: only finite "
                       "weights can be quantized",
                       row, col, std::isnan(*values) ? "NaN" : "infinite");
}

} // namespace nibble::quantizer

#endif // NIBBLE_LIB_QUANTIZER_ROWERRORS_H
