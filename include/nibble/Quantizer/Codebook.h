//===- Codebook.h - Values of codes that are not integers -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The codebooks of bitsandbytes. NF4 (QLoRA, arXiv:2305.14314) has quantiles of
// the normal distribution. FP4 is a float of two exponent bits and one bit of
// fraction; it is not the E2M1 of OCP. The dynamic map (arXiv:2110.02861) is
// for scales: decades with twice as many steps each.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_CODEBOOK_H
#define NIBBLE_QUANTIZER_CODEBOOK_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// The value of each code in [-1, 1]; empty for integers. Those of NF4 ascend,
/// those of FP4 are in the order of sign, exponent and fraction.
llvm::ArrayRef<float> getCodebookValues(Codebook codebook);

/// The 256 values of the signed dynamic map, which ascend from -0.99296875
/// to 1.
llvm::ArrayRef<float> getDynamicMap();

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_CODEBOOK_H
