//===- Observed.h - Observed values as floats -------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CALIBRATION_OBSERVED_H
#define NIBBLE_CALIBRATION_OBSERVED_H

#include "nibble/Runtime/nibble.h"
#include "llvm/ADT/ArrayRef.h"
#include <vector>

namespace nibble::calibration {

/// The elements of a value of floats, in row-major order: in place, or in
/// `buffer` if they are strided or of another type than float32. Empty for a
/// value of another type.
llvm::ArrayRef<float> getFloats(const nibble_observation &value,
                                std::vector<float> &buffer);

} // namespace nibble::calibration

#endif // NIBBLE_CALIBRATION_OBSERVED_H
