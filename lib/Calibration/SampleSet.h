//===- SampleSet.h - Arrays as inputs of a model ----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CALIBRATION_SAMPLESET_H
#define NIBBLE_LIB_CALIBRATION_SAMPLESET_H

#include "ArrayFile.h"
#include "nibble/Calibration/Samples.h"
#include <optional>

namespace nibble::calibration {

/// Arrays that were read together, cut into batches.
class SampleSet {
public:
  /// Finds the array of each input and how it is cut. `place` is for messages.
  static llvm::Expected<SampleSet>
  create(std::vector<std::unique_ptr<ArrayFile>> arrays,
         llvm::ArrayRef<ModelInput> inputs, const SampleOptions &options,
         bool isByPosition, llvm::StringRef place);

  /// Leaves out what comes after `samples` samples, unless that is 0.
  void limit(uint64_t samples);
  uint64_t getNumSamples() const { return numSamples; }
  uint64_t getNumBatches() const {
    return (numSamples + perBatch - 1) / perBatch;
  }
  llvm::Expected<SampleBatch> read(uint64_t index) const;

private:
  /// How an input is made.
  struct Plan {
    enum Kind {
      Rows,   ///< some of the first dimension of the array
      Whole,  ///< one element of the first dimension is an input
      Single, ///< the array, with a dimension of size 1 before it
      Always, ///< the array, for every batch
      Tokens, ///< windows of tokens
      Filled  ///< follows from the others
    } kind = Filled;
    const ArrayFile *array = nullptr;
    int64_t window = 0; ///< of tokens
  };

  llvm::Error planInput(size_t index, const ArrayFile &array);
  llvm::Error planTokens(size_t index, const ArrayFile &array);
  llvm::Error setSamples(const ArrayFile &array, uint64_t samples,
                         int64_t batch);
  llvm::Error findArrays(bool isByPosition);
  bool canFill(const ModelInput &input) const;
  llvm::Error fail(const ModelInput &input, const ArrayFile &array) const;
  llvm::Error readInput(size_t index, uint64_t first, uint64_t count,
                        SampleBatch &batch) const;
  llvm::Error readTokens(size_t index, uint64_t first, uint64_t count,
                         std::vector<char> &data) const;
  void fillInput(size_t index, int64_t samples, int64_t length,
                 SampleBatch &batch) const;

  std::vector<std::unique_ptr<ArrayFile>> arrays;
  std::vector<ModelInput> inputs;
  SampleOptions options;
  std::string place;
  std::vector<Plan> plans;
  /// 0 as long as no array has said it.
  uint64_t numSamples = 0;
  int64_t perBatch = 1;
  const ArrayFile *counted = nullptr;
};

} // namespace nibble::calibration

#endif // NIBBLE_LIB_CALIBRATION_SAMPLESET_H
