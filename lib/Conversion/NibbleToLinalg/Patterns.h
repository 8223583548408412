//===- Patterns.h - What the patterns share ---------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CONVERSION_NIBBLETOLINALG_PATTERNS_H
#define NIBBLE_LIB_CONVERSION_NIBBLETOLINALG_PATTERNS_H

#include "nibble/Conversion/NibbleToLinalg/NibbleToLinalg.h"

namespace nibble {

/// `saturate(round_half_to_even(x / scale) + zero)` of one float as an i8, for
/// codes of `bits`. `scale` and `zero`, floats, may be null.
mlir::Value quantizeToCode(mlir::OpBuilder &b, mlir::Location loc,
                           mlir::Value x, mlir::Value scale, mlir::Value zero,
                           unsigned bits, bool isUnsigned);

} // namespace nibble

#endif // NIBBLE_LIB_CONVERSION_NIBBLETOLINALG_PATTERNS_H
