//===- Collector.h - Statistics of values that stream by --------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CALIBRATION_COLLECTOR_H
#define NIBBLE_CALIBRATION_COLLECTOR_H

#include "nibble/Calibration/Statistics.h"
#include "nibble/Calibration/WindowRows.h"
#include "nibble/Runtime/nibble.h"
#include <map>
#include <memory>

namespace nibble::calibration {

/// What a value is that is shown under a number.
struct ObservedValue {
  int64_t id = 0;
  std::string name, operatorType;
  /// The activation input of a layer, else a tensor of the graph.
  bool isLayer = false;
  /// Layers: where the channels are; -1 for the last dimension.
  int64_t channelAxis = -1;
  /// Layers that are convolutions.
  std::optional<WindowShape> window;
};

struct CollectorOptions {
  RangeOptions range;
  bool hessian = false;
  /// Bytes of Hessians that may stay in memory; what is more goes to files
  /// without a name in the folder for temporary files. 0: a quarter of the
  /// machine's memory.
  uint64_t memoryLimit = 0;
  /// 0: all. Results do not depend on it.
  unsigned threads = 0;
};

/// Adds up what values look like. Nothing is kept of a value when `observe` has
/// returned, so memory does not grow with the number of runs.
class Collector {
public:
  explicit Collector(const CollectorOptions &options);
  ~Collector();
  Collector(const Collector &) = delete;
  Collector &operator=(const Collector &) = delete;

  /// Before the first value. Numbers are different.
  void add(const ObservedValue &value);
  size_t getNumTensors() const;
  size_t getNumLayers() const;

  /// Takes a float value of any strides. Errors name the tensor or layer: NaN
  /// or infinity, a type that can't be observed, another number of channels
  /// than before.
  llvm::Error observe(const nibble_observation &value);

  /// Everything that was seen so far; samples, batches and the model are the
  /// caller's to set. What was never run has a count of 0.
  Statistics getStatistics() const;
  /// Writes the Hessians, if there are any, and finishes the file; the caller
  /// commits it together with the text.
  llvm::Expected<std::optional<HessianReference>>
  writeHessians(AtomicFile &file) const;

  /// Writes the whole state, exactly, with notes of the caller; as a whole or
  /// not at all.
  llvm::Error
  writeCheckpoint(llvm::StringRef path,
                  const std::map<std::string, std::string> &notes) const;
  /// Brings a state back into a collector with the same values and options.
  /// Errors: not a checkpoint, damaged, of something else. Returns the notes.
  llvm::Expected<std::map<std::string, std::string>>
  readCheckpoint(llvm::StringRef path);

private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation;
};

} // namespace nibble::calibration

#endif // NIBBLE_CALIBRATION_COLLECTOR_H
