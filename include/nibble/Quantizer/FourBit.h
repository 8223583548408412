//===- FourBit.h - NF4 and FP4 in blocks ------------------------- -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_FOURBIT_H
#define NIBBLE_QUANTIZER_FOURBIT_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// Quantizes to NF4 or FP4 as bitsandbytes does (`quantize_4bit` on a CPU): the
/// weight is one run of rows * cols values, row after row, cut into blocks of
/// `scheme.group`, the last of which may be shorter. Blocks do not stop at the
/// ends of rows. A block has its largest magnitude as its scale; a code is that
/// of the nearest value, the lower one of two that are equally near.
///
/// Sizes, with B blocks: `codes` rows * cols, `scales` B, values of the scale
/// type. The same for any number of `threads` (0: one per core).
///
/// Errors: a scheme that does not verify or has integer codes; the first weight
/// (in row order) that is not finite; a scale beyond the largest value of the
/// scale type.
llvm::Error quantizeFourBit(const WeightView &weight,
                            const QuantizationScheme &scheme,
                            llvm::MutableArrayRef<uint8_t> codes,
                            llvm::MutableArrayRef<float> scales,
                            unsigned threads = 0);

/// The longest groups of rows of `cols` that no block of `block` ends in: all
/// blocks if they end with rows, or if there is one row only.
int64_t getGroupInBlocks(int64_t block, int64_t rows, int64_t cols);

/// The same as a quantized weight, whose groups do not cross rows. Where blocks
/// do, `result.scheme.group` becomes `getGroupInBlocks`, and groups of a block
/// repeat its scale; with a second level, whose groups become longer by as
/// much, its code. So every weight stands for exactly what it does in blocks.
llvm::Error quantizeFourBit(const WeightView &weight, QuantizedWeight &result,
                            unsigned threads = 0);

/// Scales of blocks to scales of groups in blocks, row by row.
template <typename T>
std::vector<T> repeatForGroups(llvm::ArrayRef<T> ofBlocks, int64_t block,
                               int64_t group, int64_t count) {
  std::vector<T> ofGroups(count);
  for (int64_t i = 0; i < count; ++i)
    ofGroups[i] = ofBlocks[i * group / block];
  return ofGroups;
}

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_FOURBIT_H
