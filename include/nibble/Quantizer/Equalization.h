//===- Equalization.h - Channels of equal range -----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_EQUALIZATION_H
#define NIBBLE_QUANTIZER_EQUALIZATION_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <vector>

namespace nibble::quantizer {

/// The weight of one layer of a chain, as magnitudes: max |w| over the window
/// for each pair of output and input channel, [outputs, inputs / groups].
struct ChainWeight {
  int64_t outputs = 0, inputs = 0, groups = 1;
  std::vector<float> magnitudes;
};

/// Cross-layer equalization (Nagel et al., Data-Free Quantization Through
/// Weight Equalization and Bias Correction, 2019, section 4.1). Between layers
/// i and i + 1 of `chain` is nothing, or a function f with f(s x) = s f(x) for
/// s > 0. Channel c between them may so be divided by a factor on one side and
/// multiplied by it on the other:
///
///     s[c] = sqrt(r1[c] * r2[c]) / r2[c]
///
/// with r1[c] the largest magnitude of row c of layer i and r2[c] that of
/// column c of layer i + 1; afterwards both are sqrt(r1 r2). Pairs are visited
/// in order until no factor of a round differs from 1 by more than
/// `tolerance`, at most `maxRounds` times. A channel without weights on one
/// side keeps the factor 1.
///
/// Returns the factors of the channels between layer i and i + 1: the weights'
/// rows and the bias of layer i are divided by them, the columns of layer i + 1
/// multiplied.
std::vector<std::vector<float>> equalizeChain(llvm::ArrayRef<ChainWeight> chain,
                                              double tolerance = 1e-4,
                                              unsigned maxRounds = 100);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_EQUALIZATION_H
