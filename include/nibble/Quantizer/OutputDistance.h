//===- OutputDistance.h - How far outputs are apart -------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_OUTPUTDISTANCE_H
#define NIBBLE_QUANTIZER_OUTPUTDISTANCE_H

#include "nibble/Quantizer/OutputError.h"
#include "llvm/ADT/ArrayRef.h"

namespace nibble::quantizer {

/// Sum over rows of the Kullback-Leibler divergence, in nats, of the
/// distribution softmax(other) from softmax(reference). Both are [rows,
/// columns]. Exponentials are in float, sums in double. Infinite if a value is
/// not a number. The same for any number of threads.
double computeDivergence(llvm::ArrayRef<float> reference,
                         llvm::ArrayRef<float> other, int64_t columns,
                         unsigned threads = 0);

/// Signal: sum of reference^2; noise: sum of (reference - other)^2.
OutputError computeDifference(llvm::ArrayRef<float> reference,
                              llvm::ArrayRef<float> other,
                              unsigned threads = 0);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_OUTPUTDISTANCE_H
