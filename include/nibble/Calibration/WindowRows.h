//===- WindowRows.h - What filters see, as rows -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CALIBRATION_WINDOWROWS_H
#define NIBBLE_CALIBRATION_WINDOWROWS_H

#include "nibble/Calibration/BlockRunner.h"
#include "llvm/ADT/SmallVector.h"

namespace nibble::calibration {

/// The windows of a convolution, as ONNX `Conv` defines them, of any number of
/// dimensions. `pads` holds the begins, then the ends.
struct WindowShape {
  llvm::SmallVector<int64_t, 3> kernel, strides, dilations;
  llvm::SmallVector<int64_t, 6> pads;
  int64_t groups = 1;
};

/// Hands the windows of `input`, of shape `dims` = [N, C, D1, ..., Dr], to
/// `consume`: for each image and group the output positions in order, in pieces
/// of at most 4 MB. A row has C / groups * (product of the kernel) elements in
/// the order of the weight.
llvm::Error forEachWindow(llvm::ArrayRef<float> input,
                          llvm::ArrayRef<int64_t> dims,
                          const WindowShape &shape,
                          BlockRunner::RowsFn consume);

} // namespace nibble::calibration

#endif // NIBBLE_CALIBRATION_WINDOWROWS_H
