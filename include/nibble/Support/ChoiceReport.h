//===- ChoiceReport.h - What was chosen, and from what ----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_CHOICEREPORT_H
#define NIBBLE_SUPPORT_CHOICEREPORT_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nibble {

/// A size and the error that goes with it.
struct ChoicePoint {
  /// Bytes of the weights whose schemes are chosen, and bits that one of them
  /// takes.
  int64_t bytes = 0;
  double bitsPerWeight = 0;
  double error = 0;
};

/// A scheme that a layer, or all layers, could have.
struct ChoiceCandidate {
  /// As in `--candidates`.
  std::string name;
  ChoicePoint point;
};

/// The choice for one weight.
struct ChoiceLayer {
  std::string name;
  std::vector<ChoiceCandidate> candidates;
  unsigned chosen = 0;
};

/// What `--quantize=auto` chose.
struct ChoiceReport {
  /// What was asked for: "budget 4.25bpw", "error at most 0.01".
  std::string limit;
  /// What the errors are: "divergence of the outputs in nats per token", ...
  std::string measure;
  ChoicePoint chosen;
  /// The error of all chosen schemes together, if it was measured.
  std::optional<double> measured;
  /// Each candidate for all layers.
  std::vector<ChoiceCandidate> uniform;
  /// The least error for each size, by size.
  std::vector<ChoicePoint> frontier;
  std::vector<ChoiceLayer> layers;
};

} // namespace nibble

#endif // NIBBLE_SUPPORT_CHOICEREPORT_H
