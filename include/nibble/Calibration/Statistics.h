//===- Statistics.h - What a model's values look like -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The file that `nibble-calibrate` writes and `nibble-compile --calibration`
// reads: YAML, with Hessians in one safetensors file beside it.
//
//   version: 1
//   model: {name: resnet20.onnx, hash: 0x1234567890abcdef}
//   method: percentile
//   options: {symmetric: true, percentile: 99.999}
//   samples: 128
//   batches: 16
//   hessians: {file: stats.hessians.safetensors, checksum: 0x..., bytes: 2916}
//   tensors:
//   - name: conv1
//     operator: Conv
//     count: 2097152
//     batches: 16
//     min: -3.5
//     max: 4.25
//     range: [-3.25, 4.25]
//     histogram: {low: -4, width: 0.001953125, counts: [3, 0, 1]}
//   layers:
//   - name: conv1
//     operator: Conv
//     rows: 131072
//     token-absmax: [0.5, 1.25, 4.25]
//     absmax: [1.5, 2.5, 4.25]
//     mean-absolute: [...]
//     mean: [...]
//     mean-square: [...]
//     hessian: 27
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CALIBRATION_STATISTICS_H
#define NIBBLE_CALIBRATION_STATISTICS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nibble {
class AtomicFile;
} // namespace nibble

namespace nibble::calibration {

/// How the range of a tensor is chosen from what was seen; Ranges.h has the
/// definitions.
enum class Method { MinMax, MovingAverage, Percentile, Entropy, MSE };

/// "minmax", "moving-average", "percentile", "entropy", "mse".
llvm::StringRef stringifyMethod(Method method);
std::optional<Method> symbolizeMethod(llvm::StringRef name);

/// A method and its knobs. Knobs of other methods have their defaults.
struct RangeOptions {
  Method method = Method::MinMax;
  /// The range becomes [-a, a], before it is cut at the least and the largest
  /// value (percentile, entropy), or is left so (minmax, moving-average, mse).
  bool symmetric = false;
  /// Percentile: how many of 100 values lie in the range.
  double percentile = 99.999;
  /// Moving average: weight of a new run.
  double averagingConstant = 0.01;
  /// Entropy: bins of the histogram from -max |x| to max |x|, and of the
  /// quantized distribution.
  int64_t bins = 128, quantizedBins = 128;
  /// MSE: the power of an error. 2 leaves the least noise in what reads the
  /// tensor; larger ones cut less.
  double norm = 2;

  /// The defaults of a method, as ONNX Runtime's calibrators have them:
  /// percentile is symmetric, the others are not.
  static RangeOptions get(Method method);
  bool needsHistogram() const {
    return method == Method::Percentile || method == Method::Entropy ||
           method == Method::MSE;
  }
  /// An error that names the knob that is out of its bounds.
  llvm::Error validate() const;
  bool operator==(const RangeOptions &other) const;
};

/// Values that are to be represented. Zero need not be among them: who makes a
/// scale and a zero point of it extends it to zero where the format asks.
struct Range {
  float low = 0, high = 0;
};

/// Counts of values: bin i holds [low + i * width, low + (i + 1) * width). The
/// width is a power of two that follows from max |x| alone, at most a 2048th of
/// it, and `low` is a multiple of the width: whatever the order in which values
/// come, and however they are distributed over histograms that are merged, the
/// result is the same. A width of 0 means that all values are zeros.
struct Histogram {
  double low = 0, width = 0;
  std::vector<uint64_t> counts;

  /// Adds finite values; `absMax` is max |x| of them.
  void add(llvm::ArrayRef<float> values, float absMax);
  void merge(const Histogram &other);
  uint64_t getTotal() const;
  /// An error if this is no histogram as described above.
  llvm::Error validate() const;

private:
  void widen(double width);
  void include(int64_t first, int64_t last);
};

/// A float value of the graph.
struct TensorStatistics {
  /// Layer name of the operation that makes the value, "NAME#1" for its second
  /// result; an input of the graph by its name.
  std::string name;
  /// ONNX operator type of that operation; "input" for an input of the graph.
  std::string operatorType;
  /// Elements and runs that were seen.
  uint64_t count = 0, batches = 0;
  /// Least and largest element; zero if none was seen.
  float min = 0, max = 0;
  /// What the method chose.
  Range range;
  std::optional<Histogram> histogram;
};

/// The activation input of an operation with a weight, seen as rows of K
/// channels: the contraction of a matrix product, the input channels of a
/// convolution. Vectors have K elements.
struct LayerStatistics {
  /// First layer name of the operation, and its ONNX operator type.
  std::string name, operatorType;
  /// Rows (tokens, pixels) that were seen.
  uint64_t rows = 0;
  /// The least, mean and largest of all rows' max |x|: what a scale per token
  /// would be made of.
  float tokenAbsMaxMin = 0, tokenAbsMaxMean = 0, tokenAbsMaxMax = 0;
  /// Of each channel: least and largest x, mean |x|, mean x, mean x^2 (the
  /// importance of a column). max |x| is made of min and max.
  std::vector<float> min, max, absMax, meanAbsolute, mean, meanSquare;
  /// Size of the Hessian, which is the K of the layer's rows or, for a
  /// convolution, IC / group * KH * KW; 0 if there is none.
  int64_t hessianSize = 0;
  /// Hessians of a grouped convolution: one per group, else 1.
  int64_t hessianCount = 1;

  int64_t getChannels() const { return static_cast<int64_t>(mean.size()); }
};

/// The sums X^T X of the layers, mapped from their file.
class HessianFile;

/// The file beside the text, and the checksum of all its bytes (XXH64).
struct HessianReference {
  /// Relative to the folder of the text.
  std::string file;
  uint64_t checksum = 0, bytes = 0;
};

class Statistics {
public:
  /// File name of the model and the hash that `hashModel` gives it.
  std::string modelName;
  uint64_t modelHash = 0;
  RangeOptions options;
  /// Samples that were run, and runs.
  uint64_t samples = 0, batches = 0;
  std::vector<TensorStatistics> tensors;
  std::vector<LayerStatistics> layers;
  std::optional<HessianReference> hessians;

  /// Reads a file. Errors are "FILE:LINE:COLUMN: what is wrong".
  static llvm::Expected<Statistics> read(llvm::StringRef path);
  /// The same, once for all who use a file at the same time, as long as it does
  /// not change.
  static llvm::Expected<std::shared_ptr<const Statistics>>
  readShared(llvm::StringRef path);
  /// Reads a text; `fileName` is for messages and for finding Hessians.
  static llvm::Expected<Statistics> parse(llvm::StringRef text,
                                          llvm::StringRef fileName);
  /// Writes the text, as a whole or not at all, and commits the file of its
  /// Hessians with it: either both get their names or none. Equal statistics
  /// give equal bytes.
  llvm::Error write(llvm::StringRef path,
                    AtomicFile *hessianFile = nullptr) const;
  void print(llvm::raw_ostream &os) const;

  /// Adds what another run of the same model has seen. Refuses another model or
  /// method. Ranges are chosen anew; that of moving averages is the mean by
  /// numbers of runs. Hessians are not touched: see mergeHessians.
  llvm::Error merge(const Statistics &other);
  /// All parts as one, equal for any order of `parts`, which is not empty.
  static llvm::Expected<Statistics> mergeAll(std::vector<Statistics> parts);

  /// Null if there is none of this name.
  const TensorStatistics *findTensor(llvm::StringRef name) const;
  const LayerStatistics *findLayer(llvm::StringRef name) const;

  /// An error that says why the statistics do not belong to a model with this
  /// hash.
  llvm::Error checkModel(uint64_t hash) const;

  /// The Hessians, after their size and checksum are found to be right. Errors:
  /// there are none; the file is missing, another or damaged.
  llvm::Expected<std::unique_ptr<HessianFile>> openHessians() const;

  /// Name of the file that was read; empty for statistics made in memory.
  const std::string &getFileName() const { return fileName; }

private:
  friend class StatisticsReader;
  std::string fileName;
};

class HessianFile {
public:
  virtual ~HessianFile();
  /// The Hessian of group `group` of a layer: K x K floats, the sum of x x^T
  /// over all rows x, symmetric. Error: there is none.
  virtual llvm::Expected<llvm::ArrayRef<float>>
  get(const LayerStatistics &layer, int64_t group = 0) const = 0;
};

/// Path of the Hessians of statistics that are written to `path`.
std::string getHessianPath(llvm::StringRef path);

/// Name of a Hessian in the file: the layer's, and "#1" for the second group.
std::string getHessianName(llvm::StringRef layer, int64_t group);

} // namespace nibble::calibration

#endif // NIBBLE_CALIBRATION_STATISTICS_H
