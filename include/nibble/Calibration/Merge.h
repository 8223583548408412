//===- Merge.h - Several statistics files as one ----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CALIBRATION_MERGE_H
#define NIBBLE_CALIBRATION_MERGE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace nibble {

/// Adds up statistics of one model and their Hessians, and writes them to
/// `output` and `output`.hessians.safetensors. The result is the same for any
/// order of the files. Errors: a file that can't be read or is damaged, another
/// model, method or set of layers; nothing is written then.
llvm::Error mergeStatistics(llvm::ArrayRef<std::string> files,
                            llvm::StringRef output);

} // namespace nibble

#endif // NIBBLE_CALIBRATION_MERGE_H
