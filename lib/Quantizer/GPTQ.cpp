//===- GPTQ.cpp - Rounding that makes up for its errors -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/GPTQ.h"
#include "GPTQScales.h"
#include "GroupParameters.h"
#include "RowErrors.h"
#include "VectorMath.h"
#include "nibble/Quantizer/Method.h"
#include "nibble/Quantizer/RTN.h"
#include "nibble/Support/Parallel.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <numeric>

using namespace nibble;
using namespace nibble::quantizer;

namespace nibble::quantizer {

/// Rounds some rows, one in each lane of a vector: the columns follow one
/// another, but the rows do not depend on each other.
class GPTQSweep {
public:
  GPTQSweep(const WeightView &weight, const GPTQFactor &factor,
            QuantizedWeight &result, FirstError &errors);

  /// Quantizes the rows [first, last), at most `sweepRows`. Returns the loss.
  double run(int64_t first, int64_t last);

private:
  using Lanes = Vector<float, sweepRows>;

  bool load(int64_t first, int64_t last);
  void store(int64_t first, int64_t last);
  template <typename CPU>
  double sweep();
  template <typename CPU>
  void roundBlock(const GPTQFactor::Block &block);
  NIBBLE_TARGET_AVX512 double sweepAVX512();
  NIBBLE_TARGET_AVX2 double sweepAVX2();
  void reportOverflow(int64_t first, int64_t last);

  const WeightView &weight;
  const GPTQFactor &factor;
  QuantizedWeight &result;
  FirstError &errors;
  int64_t cols, numGroups;

  /// [cols][sweepRows], in the order of rounding: weights with all changes, and
  /// codes; padded by a panel.
  std::vector<float> values;
  std::vector<uint8_t> codes;
  /// [block][sweepRows]: errors divided by the diagonal.
  std::vector<float> changes;
  /// For each group of the rows.
  std::vector<LaneParameters> parameters;
  /// Places in the order of the columns of each group: those of group g are
  /// [begins[g], begins[g + 1]).
  std::vector<int32_t> places;
  std::vector<int64_t> begins;
  /// Group of each place.
  std::vector<int32_t> groupOf;
  double losses[sweepRows];
};

} // namespace nibble::quantizer

GPTQSweep::GPTQSweep(const WeightView &weight, const GPTQFactor &factor,
                     QuantizedWeight &result, FirstError &errors)
    : weight(weight), factor(factor), result(result), errors(errors),
      cols(weight.cols), numGroups(result.scheme.getNumGroups(weight.cols)) {
  values.resize((cols + packedRows) * sweepRows);
  codes.resize(cols * sweepRows);
  changes.resize(std::min(cols, factor.options.blockSize) * sweepRows);
  parameters.resize(numGroups);
  groupOf.resize(cols);
  if (factor.segments.empty()) {
    for (int64_t i = 0; i < cols; ++i)
      groupOf[i] = factor.order[i] / factor.groupLength;
  } else {
    for (const GPTQFactor::Segment &segment : factor.segments)
      std::fill(groupOf.begin() + segment.begin, groupOf.begin() + segment.end,
                segment.group);
  }
  begins.assign(numGroups + 1, 0);
  for (int32_t group : groupOf)
    ++begins[group + 1];
  std::partial_sum(begins.begin(), begins.end(), begins.begin());
  places.resize(cols);
  std::vector<int64_t> next = begins;
  for (int64_t i = 0; i < cols; ++i)
    places[next[groupOf[i]]++] = i;
}

bool GPTQSweep::load(int64_t first, int64_t last) {
  int64_t count = last - first;
  std::fill(values.begin(), values.end(), 0.0f);
  std::vector<float> tile(count * cols);
  copyTile(weight, first, count, 0, cols, tile.data());
  for (int64_t row = 0; row < count; ++row) {
    const float *from = tile.data() + row * cols;
    // A sum is finite if all are, but for overflow, which looks closer.
    float sum = 0;
    for (int64_t col = 0; col < cols; ++col)
      sum += from[col] * 0.0f;
    if (sum != 0) {
      errors.report(first + row, describeNonFinite(from, first + row, 0));
      return false;
    }
    for (int64_t i = 0; i < cols; ++i)
      if (!factor.dead[factor.order[i]])
        values[i * sweepRows + row] = from[factor.order[i]];
  }
  return true;
}

void GPTQSweep::store(int64_t first, int64_t last) {
  for (int64_t i = 0; i < cols; ++i)
    for (int64_t row = first; row < last; ++row)
      result.codes[row * cols + factor.order[i]] =
          codes[i * sweepRows + row - first];
  for (int64_t row = first; row < last; ++row)
    for (int64_t group = 0; group < numGroups; ++group) {
      const LaneParameters &lanes = parameters[group];
      float scale = lanes.scale[row - first];
      if (!std::isfinite(scale)) {
        errors.report(
            row, llvm::formatv("scale of row {0}, group {1} is too large for "
                               "{2}: use a wider scale type",
                               row, group,
                               stringifyScaleType(result.scheme.scaleType)));
        return;
      }
      result.scales[row * numGroups + group] = scale;
      if (!result.scheme.symmetric)
        result.zeros[row * numGroups + group] = -lanes.low[row - first];
    }
}

/// Rounds the columns of a block one after the other; each changes those that
/// are left of the block.
template <typename CPU>
[[gnu::always_inline]] inline void
GPTQSweep::roundBlock(const GPTQFactor::Block &block) {
  int64_t size = block.end - block.begin;
  Lanes loss = 0;
  for (int64_t i = block.begin; i < block.end; ++i) {
    int64_t group = groupOf[i];
    if (!factor.segments.empty() && places[begins[group]] == i)
      chooseParameters<CPU>(
          result.scheme, values.data(), &places[begins[group]],
          begins[group + 1] - begins[group], parameters[group]);
    const LaneParameters &lanes = parameters[group];
    Lanes value, scale, low, high;
    __builtin_memcpy(&value, &values[i * sweepRows], sizeof(Lanes));
    __builtin_memcpy(&scale, lanes.scale, sizeof(Lanes));
    __builtin_memcpy(&low, lanes.low, sizeof(Lanes));
    __builtin_memcpy(&high, lanes.high, sizeof(Lanes));
    Lanes code = roundLanes(value, scale, low, high);
    Lanes change = subtractScaled<CPU>(value, scale, code);
    change *= factor.inverseDiagonal[i];
    loss = addScaled<CPU>(loss, change, change);
    __builtin_memcpy(&changes[(i - block.begin) * sweepRows], &change,
                     sizeof(Lanes));
    Lanes unsignedCode = code - low;
    if (result.scheme.symmetric)
      unsignedCode = code + float(result.scheme.getSymmetricZero());
    auto bytes =
        __builtin_convertvector(unsignedCode, Vector<uint8_t, sweepRows>);
    __builtin_memcpy(&codes[i * sweepRows], &bytes, sizeof(bytes));

    const float *row = factor.diagonal.data() + block.diagonal +
                       (i - block.begin) * size - block.begin;
    for (int64_t j = i + 1; j < block.end; ++j) {
      Lanes next;
      __builtin_memcpy(&next, &values[j * sweepRows], sizeof(Lanes));
      next = subtractScaled<CPU>(next, Lanes(row[j]), change);
      __builtin_memcpy(&values[j * sweepRows], &next, sizeof(Lanes));
    }
  }
  for (int lane = 0; lane < sweepRows; ++lane)
    losses[lane] += loss[lane];
}

template <typename CPU>
[[gnu::always_inline]] inline double GPTQSweep::sweep() {
  if (factor.segments.empty())
    for (int64_t group = 0; group < numGroups; ++group)
      chooseParameters<CPU>(
          result.scheme, values.data(), &places[begins[group]],
          begins[group + 1] - begins[group], parameters[group]);
  for (const GPTQFactor::Block &block : factor.blocks) {
    roundBlock<CPU>(block);
    int64_t size = block.end - block.begin;
    const float *panel = factor.panels.data() + block.panels;
    for (int64_t col = block.end; col < cols; col += packedRows) {
      multiplyPanel<CPU, -1>(size, panel, changes.data(), sweepRows,
                             &values[col * sweepRows], sweepRows, sweepRows);
      panel += size * packedRows;
    }
  }
  double sum = 0;
  for (double loss : losses)
    sum += loss;
  return sum;
}

double GPTQSweep::sweepAVX512() { return sweep<AVX512CPU>(); }
double GPTQSweep::sweepAVX2() { return sweep<AVX2CPU>(); }

double GPTQSweep::run(int64_t first, int64_t last) {
  if (!load(first, last))
    return 0;
  std::fill(std::begin(losses), std::end(losses), 0);
  CPUKind cpu = getCPU();
  double loss = cpu == CPUKind::AVX512 ? sweepAVX512()
                : cpu == CPUKind::AVX2 ? sweepAVX2()
                                       : sweep<BaseCPU>();
  store(first, last);
  return loss;
}

llvm::Expected<GPTQOutcome> quantizer::quantizeGPTQ(const WeightView &weight,
                                                    const GPTQFactor &factor,
                                                    QuantizedWeight &result,
                                                    unsigned threads) {
  assert(factor.getCols() == weight.cols && "the factor of the layer's input");
  GPTQOutcome outcome;
  outcome.numDead = factor.getNumDead();
  if (!factor.isUsable()) {
    outcome.fallback = factor.getProblem();
    if (llvm::Error error = quantizeRTN(weight, result.scheme, result.codes,
                                        result.scales, result.zeros, threads))
      return std::move(error);
    return outcome;
  }
  if (llvm::Error error = result.scheme.verify())
    return std::move(error);
  outcome.damp = factor.getDamp();
  int64_t numChunks = (weight.rows + sweepRows - 1) / sweepRows;
  std::vector<double> losses(numChunks);
  FirstError errors;
  // A thread keeps its buffers for all of its pieces.
  int64_t perPiece = std::clamp<int64_t>(numChunks / 64, 1, 16) * sweepRows;
  parallelFor(weight.rows, perPiece, threads, [&](int64_t first, int64_t last) {
    GPTQSweep sweep(weight, factor, result, errors);
    for (int64_t row = first; row < last; row += sweepRows)
      losses[row / sweepRows] =
          sweep.run(row, std::min<int64_t>(last, row + sweepRows));
  });
  if (llvm::Error error = errors.take())
    return std::move(error);
  double mean = factor.getMeanDiagonal();
  for (double loss : losses)
    outcome.loss += loss * mean;
  result.groupIndex = factor.getGroupIndex();
  return outcome;
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static const Method gptqMethod = {
    "gptq",
    "rounding that makes up for its errors; needs calibration data",
    [](const QuantizationScheme &scheme) -> llvm::Error {
      if (scheme.codebook != Codebook::Int)
        return llvm::createStringError(
            "method 'gptq' rounds to integers: it does not take " +
            stringifyCodebook(scheme.codebook));
      if (scheme.hasFloatZeros() || scheme.second ||
          scheme.scaleRule == ScaleRule::GGML)
        return llvm::createStringError(
            "method 'gptq' takes no float zeros and no scales of scales");
      return llvm::Error::success();
    },
    [](const MethodInput &input, QuantizedWeight &result) -> llvm::Error {
      GPTQFactor factor(input.hessian, input.weight.cols,
                        input.scheme.getGroupLength(input.weight.cols),
                        GPTQOptions(), input.threads);
      return quantizeGPTQ(input.weight, factor, result, input.threads)
          .takeError();
    },
    /*needsHessian=*/true,
    /*needsImportance=*/false,
    /*hasFloatZeros=*/false,
    GPTQOptions::getNames(),
    [](llvm::StringRef name, llvm::StringRef value) -> llvm::Error {
      GPTQOptions options;
      if (llvm::Error error = options.set(name, value))
        return error;
      return options.verify();
    }};
static RegisterMethod registerGPTQ(gptqMethod);
