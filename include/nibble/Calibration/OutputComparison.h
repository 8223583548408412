//===- OutputComparison.h - One model's values beside another's -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CALIBRATION_OUTPUTCOMPARISON_H
#define NIBBLE_CALIBRATION_OUTPUTCOMPARISON_H

#include "nibble/Support/Report.h"

namespace nibble::calibration {

/// Compares tensors of two models that run the same samples, in turn: the
/// reference first. The values of one sample are kept, figures of all.
class OutputComparison {
public:
  explicit OutputComparison(size_t numTensors) : tensors(numTensors) {}

  /// Takes a tensor of the reference model. One that is computed several times
  /// in a sample, in a loop, is one tensor of all its values.
  void addReference(size_t tensor, llvm::ArrayRef<float> values);
  /// Takes the same tensor of the other model; values belong together in the
  /// order in which they come. What comes beyond the reference's is an error
  /// that `endSample` returns.
  void add(size_t tensor, llvm::ArrayRef<float> values);
  /// Both models have run the sample. Error: the number of values differs; it
  /// gives the tensor's place and both numbers.
  llvm::Error endSample();

  /// The figures of a tensor; nothing if no sample had it. Values that are not
  /// finite make the least SQNR and a cosine of 0.
  std::optional<MeasuredOutput> getMeasured(size_t tensor) const;

private:
  struct Tensor {
    std::vector<float> reference;
    /// Of the sample: values of the other model, and sums over them.
    size_t count = 0;
    double signal = 0, noise = 0, power = 0, product = 0;
    /// Of all samples.
    std::vector<double> sqnr, cosine;
  };
  std::vector<Tensor> tensors;
};

} // namespace nibble::calibration

#endif // NIBBLE_CALIBRATION_OUTPUTCOMPARISON_H
