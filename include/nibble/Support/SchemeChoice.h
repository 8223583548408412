//===- SchemeChoice.h - What --quantize=auto is asked for -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_SCHEMECHOICE_H
#define NIBBLE_SUPPORT_SCHEMECHOICE_H

#include "nibble/Support/QuantizationConfig.h"

namespace nibble {

/// The size that a choice must keep: exactly one of the two is set.
struct Budget {
  /// Of the quantized weights, scales and zero points counted.
  std::optional<double> bitsPerWeight;
  /// Of all weights of the model, those that stay float among them.
  std::optional<uint64_t> bytes;

  /// "4.25bpw", or a size as `parseSize` reads it.
  static llvm::Expected<Budget> parse(llvm::StringRef text);
};

/// The largest error that a choice may make, as a part of the power of the
/// outputs: "0.01", or the same as "20dB". Positive.
llvm::Expected<double> parseMaxError(llvm::StringRef text);

/// A scheme to choose from.
struct SchemeCandidate {
  std::string scheme;
  /// Absent: as the layer has it.
  std::optional<int64_t> groupSize;

  /// As `parseCandidates` reads it.
  std::string str() const;
  /// `choice` with this scheme. Schemes without zero points have none.
  LayerChoice applyTo(LayerChoice choice) const;
};

/// "W3A16, W4A16:32, Q6_K": schemes of weights alone, each with a group size or
/// without. An empty text is `getDefaultCandidates`. Errors: an unknown scheme,
/// one that quantizes activations or nothing, a group that is none, the same
/// candidate twice.
llvm::Expected<std::vector<SchemeCandidate>>
parseCandidates(llvm::StringRef text);

/// 2, 3, 4, 5, 6 and 8 bits.
std::vector<SchemeCandidate> getDefaultCandidates();

/// The groups of layers whose scheme is chosen, where nobody says another size.
constexpr int64_t defaultChoiceGroup = 64;

} // namespace nibble

#endif // NIBBLE_SUPPORT_SCHEMECHOICE_H
