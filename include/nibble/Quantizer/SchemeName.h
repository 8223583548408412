//===- SchemeName.h - W4A16 and its relatives -------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_SCHEMENAME_H
#define NIBBLE_QUANTIZER_SCHEMENAME_H

#include "nibble/Quantizer/Scheme.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace nibble::quantizer {

/// A scheme as users name it in `--quantize` and in configuration files.
struct SchemeName {
  llvm::StringRef name;
  /// Bits of a code; 0 for `none`, which keeps a weight as it is, and for
  /// `auto`, which leaves the choice to what can be measured.
  unsigned bits;
  /// False for names that are reserved and not implemented in this build.
  bool available;
  /// True if activations are quantized at run time; weights then have one
  /// float32 scale for each output channel and no zero points.
  bool dynamicActivations = false;
  /// True for LLM.int8, which has a threshold for outlier columns.
  bool outliers = false;
  Codebook codebook = Codebook::Int;
};

/// All names, those that are not available included.
llvm::ArrayRef<SchemeName> getSchemeNames();

/// The available scheme of that name. The error for any other says whether the
/// name is unknown (with the nearest known one) or not available in this build,
/// and lists those that are.
llvm::Expected<SchemeName> parseSchemeName(llvm::StringRef name);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_SCHEMENAME_H
