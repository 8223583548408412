//===- CalibrateMain.h - The nibble-calibrate tool --------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_PIPELINES_CALIBRATEMAIN_H
#define NIBBLE_PIPELINES_CALIBRATEMAIN_H

namespace nibble {

/// Everything that `nibble-calibrate` does. Returns the exit status: 0, 1 for a
/// problem with model or data, 2 for an unknown option or option value.
int calibrateMain(int argc, char **argv);

} // namespace nibble

#endif // NIBBLE_PIPELINES_CALIBRATEMAIN_H
