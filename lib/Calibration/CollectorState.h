//===- CollectorState.h - What a collector adds up --------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CALIBRATION_COLLECTORSTATE_H
#define NIBBLE_LIB_CALIBRATION_COLLECTORSTATE_H

#include "HessianSum.h"
#include "nibble/Calibration/Collector.h"

namespace nibble::calibration {

struct TensorState {
  ObservedValue what;
  /// Its range is that of the moving average, whatever the method is.
  TensorStatistics statistics;

  void add(llvm::ArrayRef<float> values, float low, float high,
           const RangeOptions &options);
};

struct LayerState {
  ObservedValue what;
  int64_t channels = 0;
  uint64_t rows = 0;
  float tokenMin = 0, tokenMax = 0;
  double tokenSum = 0;
  /// Per channel.
  std::vector<float> min, max;
  std::vector<double> sum, sumAbsolute, sumSquare;
  std::unique_ptr<HessianSum> hessian;

  void begin(int64_t newChannels);
  llvm::Error createHessian(uint64_t &memory);
  void addRows(const float *values, int64_t numRows, unsigned threads);
  void addPlanes(const float *values, int64_t plane, unsigned threads);
  LayerStatistics get() const;

private:
  void addToken(float absMax);
};

struct Collector::Implementation {
  CollectorOptions options;
  uint64_t memoryLeft = 0;
  std::vector<TensorState> tensors;
  std::vector<LayerState> layers;
  /// Whether a number is that of a layer, and where it is.
  std::map<int64_t, std::pair<bool, size_t>> places;
  /// A value that is not dense floats.
  std::vector<float> buffer;

  llvm::Error addLayer(LayerState &layer, llvm::ArrayRef<float> values,
                       llvm::ArrayRef<int64_t> dims);
};

} // namespace nibble::calibration

#endif // NIBBLE_LIB_CALIBRATION_COLLECTORSTATE_H
