//===- Samples.h - Calibration data -----------------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Files that hold inputs of a model, cut into what one run of it takes:
//
//   X.npz         arrays named as the inputs; those of other names are ignored
//   X.npy         the array of the only input, or tokens
//   X.pb          the same as a serialized TensorProto
//   X.bin         tokens without a header
//   folder        of .npz or .npy files, each like one of these; of .npy files
//                 named as the inputs; of input_0.pb, input_1.pb, ...; or of
//                 folders like that. In the order of the names.
//
// The first dimension of an array counts samples. An array with one dimension
// less than the input is one sample; one with a dimension more has whole inputs
// as samples. Tokens are integers in one dimension; they are cut into windows.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CALIBRATION_SAMPLES_H
#define NIBBLE_CALIBRATION_SAMPLES_H

#include "nibble/Runtime/Hash.h"
#include "nibble/Runtime/nibble.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>
#include <vector>

namespace nibble::calibration {

/// What a model takes.
struct ModelInput {
  std::string name;
  int32_t dtype = 0; ///< nibble_dtype
  /// -1 where any size will do.
  std::vector<int64_t> dims;
  /// The dimension of positions of keys and values that the model carries
  /// along, -1 for other inputs. They begin empty.
  int32_t growingAxis = -1;

  /// All inputs of a model.
  static std::vector<ModelInput> getAll(const nibble_model *model);
};

struct SampleOptions {
  /// At most so many samples; 0: all.
  uint64_t samples = 0;
  /// Samples of one run, where the model's first dimension is open; 0: all that
  /// an array has.
  int64_t batch = 1;
  /// Tokens of a sample; a shorter rest is left out.
  int64_t window = 512;
  /// Type of tokens in .bin files.
  int32_t tokenType = NIBBLE_UINT16;
};

/// The inputs of one run, with memory of their own.
struct SampleBatch {
  std::vector<nibble_tensor> inputs;
  uint64_t samples = 0;
  /// For messages: the file and the samples in it.
  std::string place;

  std::vector<std::vector<char>> data;
  std::vector<std::vector<int64_t>> dims;

  /// Adds all that the model is given: names, types, shapes and elements of the
  /// inputs, but no names of files.
  void addTo(NibbleHash &hash) const;
};

/// Data that is read batch by batch: memory holds one of them.
class SampleReader {
public:
  /// Looks at all files. Errors name the file, what is wrong, and what the
  /// model takes: wrong names, shapes or types, no data.
  static llvm::Expected<std::unique_ptr<SampleReader>>
  open(llvm::ArrayRef<std::string> paths, std::vector<ModelInput> inputs,
       const SampleOptions &options);

  virtual ~SampleReader();
  virtual uint64_t getNumBatches() const = 0;
  virtual uint64_t getNumSamples() const = 0;
  /// The inputs of run `index`, all of the model's, in its order. Errors name
  /// the file: it can't be read, or has NaN or infinity.
  virtual llvm::Expected<SampleBatch> read(uint64_t index) = 0;
};

} // namespace nibble::calibration

#endif // NIBBLE_CALIBRATION_SAMPLES_H
