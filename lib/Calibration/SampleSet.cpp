//===- SampleSet.cpp - Arrays as inputs of a model ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SampleSet.h"
#include "nibble/Quantizer/Scheme.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

using namespace nibble;
using namespace nibble::calibration;
using llvm::StringRef;

static std::string describe(llvm::ArrayRef<int64_t> dims, int32_t dtype) {
  std::string text = std::string(nibble_dtype_name(dtype)) + "[";
  llvm::raw_string_ostream os(text);
  llvm::interleave(
      dims, os, [&](int64_t size) { size < 0 ? os << '?' : os << size; }, ", ");
  os << ']';
  return text;
}

static bool isInteger(int32_t dtype) {
  return llvm::is_contained({NIBBLE_UINT8, NIBBLE_INT8, NIBBLE_UINT16,
                             NIBBLE_INT16, NIBBLE_INT32, NIBBLE_INT64,
                             NIBBLE_UINT32, NIBBLE_UINT64},
                            dtype);
}

static bool fits(llvm::ArrayRef<int64_t> known,
                 llvm::ArrayRef<int64_t> actual) {
  return known.size() == actual.size() &&
         llvm::all_of(llvm::zip_equal(known, actual), [](auto pair) {
           auto [expected, size] = pair;
           return expected < 0 || expected == size;
         });
}

/// Whether an input takes tokens: integers, [batch, positions].
static bool takesTokens(const ModelInput &input) {
  return input.dims.size() == 2 &&
         (input.dtype == NIBBLE_INT64 || input.dtype == NIBBLE_INT32) &&
         !llvm::is_contained(
             {"position_ids", "attention_mask", "token_type_ids"}, input.name);
}

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

llvm::Error SampleSet::fail(const ModelInput &input,
                            const ArrayFile &array) const {
  std::string hint;
  if (array.dtype != input.dtype)
    hint = std::string("; convert it to ") + nibble_dtype_name(input.dtype);
  return llvm::createStringError("'" + array.place + "' is " +
                                 describe(array.dims, array.dtype) +
                                 ", but input '" + input.name + "' takes " +
                                 describe(input.dims, input.dtype) + hint);
}

llvm::Error SampleSet::setSamples(const ArrayFile &array, uint64_t samples,
                                  int64_t batch) {
  // A past of no positions is the one array that may have no elements.
  bool isPast = llvm::any_of(llvm::zip_equal(plans, inputs), [&](auto pair) {
    auto [plan, input] = pair;
    return plan.array == &array && input.growingAxis >= 0;
  });
  if (samples == 0 || (!isPast && llvm::is_contained(array.dims, 0)))
    return llvm::createStringError("'" + array.place + "' is empty: it is " +
                                   describe(array.dims, array.dtype));
  if (!counted) {
    counted = &array;
    numSamples = samples;
    perBatch = batch;
    return llvm::Error::success();
  }
  if (samples != numSamples)
    return llvm::createStringError(
        "'" + counted->place + "' has " + llvm::Twine(numSamples) +
        " samples, but '" + array.place + "' has " + llvm::Twine(samples));
  if (batch != perBatch)
    return llvm::createStringError(
        "'" + counted->place + "' and '" + array.place + "' are cut into " +
        llvm::Twine(perBatch) + " and " + llvm::Twine(batch) +
        " samples for one run; give both a dimension of samples in front");
  return llvm::Error::success();
}

llvm::Error SampleSet::planInput(size_t index, const ArrayFile &array) {
  const ModelInput &input = inputs[index];
  llvm::ArrayRef<int64_t> known(input.dims), actual(array.dims);
  Plan &plan = plans[index];
  plan.array = &array;
  if (array.dtype != input.dtype)
    return fail(input, array);
  if (actual.size() == known.size() + 1 && fits(known, actual.drop_front())) {
    plan.kind = Plan::Whole;
    return setSamples(array, actual[0], 1);
  }
  if (!known.empty() && actual.size() + 1 == known.size() &&
      (known[0] == 1 || known[0] < 0) && fits(known.drop_front(), actual)) {
    plan.kind = Plan::Single;
    return setSamples(array, 1, 1);
  }
  bool isFixed = llvm::all_of(known, [](int64_t size) { return size >= 0; });
  if (actual.size() != known.size() ||
      (!known.empty() && !fits(known.drop_front(), actual.drop_front())))
    return fail(input, array);
  // An input that never changes, beside others that do.
  if (known.empty() || (isFixed && known == actual && counted &&
                        numSamples != static_cast<uint64_t>(known[0]))) {
    plan.kind = Plan::Always;
    return llvm::Error::success();
  }
  plan.kind = Plan::Rows;
  int64_t batch =
      options.batch ? std::min(options.batch, actual[0]) : actual[0];
  if (known[0] >= 0) {
    batch = known[0];
    if (batch == 0 || actual[0] < batch)
      return fail(input, array);
  }
  // What does not fill a batch of a fixed size can't be run.
  uint64_t samples = known[0] >= 0 ? actual[0] / batch * batch : actual[0];
  return setSamples(array, samples, std::max<int64_t>(batch, 1));
}

llvm::Error SampleSet::planTokens(size_t index, const ArrayFile &array) {
  const ModelInput &input = inputs[index];
  int64_t window = input.dims[1] >= 0 ? input.dims[1] : options.window;
  plans[index] = {Plan::Tokens, &array, window};
  int64_t windows = window ? array.dims[0] / window : 0;
  if (windows == 0)
    return llvm::createStringError(
        "'" + array.place + "' has " + llvm::Twine(array.dims[0]) +
        " tokens, fewer than a window of " + llvm::Twine(window) +
        "; give more, or a smaller --window");
  int64_t batch = input.dims[0] >= 0 ? input.dims[0]
                  : options.batch    ? std::min(options.batch, windows)
                                     : windows;
  if (batch == 0 || windows < batch)
    return llvm::createStringError(
        "'" + array.place + "' has " + llvm::Twine(windows) +
        " windows of tokens, but one run of the model takes " +
        llvm::Twine(batch));
  if (input.dims[0] >= 0)
    windows = windows / batch * batch;
  return setSamples(array, windows, batch);
}

/// Whether an input follows from tokens, as python/nibble/generate.py gives it.
bool SampleSet::canFill(const ModelInput &input) const {
  return input.growingAxis >= 0 ||
         (isInteger(input.dtype) &&
          llvm::is_contained({"position_ids", "attention_mask",
                              "token_type_ids", "logit_positions"},
                             input.name));
}

llvm::Error SampleSet::findArrays(bool isByPosition) {
  llvm::SmallVector<size_t> missing;
  for (size_t i = 0; i != inputs.size(); ++i) {
    const ArrayFile *found = nullptr;
    if (isByPosition && i < arrays.size())
      found = arrays[i].get();
    for (const auto &array : arrays)
      if (!isByPosition && array->name == inputs[i].name)
        found = array.get();
    if (!found) {
      missing.push_back(i);
      continue;
    }
    bool isTokens = takesTokens(inputs[i]) && found->dims.size() == 1 &&
                    isInteger(found->dtype);
    if (llvm::Error error =
            isTokens ? planTokens(i, *found) : planInput(i, *found))
      return error;
  }
  // One array without the name of an input is that of the only input left.
  llvm::SmallVector<size_t> needed;
  for (size_t i : missing)
    if (!canFill(inputs[i]))
      needed.push_back(i);
  if (needed.empty())
    return llvm::Error::success();
  const ModelInput &input = inputs[needed.front()];
  if (needed.size() == 1 && arrays.size() == 1 &&
      missing.size() == inputs.size()) {
    const ArrayFile &array = *arrays.front();
    if (takesTokens(input) && array.dims.size() == 1 && isInteger(array.dtype))
      return planTokens(needed.front(), array);
    return planInput(needed.front(), array);
  }
  std::string names =
      llvm::join(llvm::map_range(
                     arrays, [](const auto &a) { return "'" + a->name + "'"; }),
                 ", ");
  return llvm::createStringError(
      "'" + place + "' has no array for input '" + input.name + "' (" +
      describe(input.dims, input.dtype) + "); it has " +
      (names.empty() ? "none" : names));
}

llvm::Expected<SampleSet>
SampleSet::create(std::vector<std::unique_ptr<ArrayFile>> arrays,
                  llvm::ArrayRef<ModelInput> inputs,
                  const SampleOptions &options, bool isByPosition,
                  StringRef place) {
  SampleSet source;
  source.arrays = std::move(arrays);
  source.inputs = inputs.vec();
  source.options = options;
  source.place = place.str();
  source.plans.resize(inputs.size());
  if (llvm::Error error = source.findArrays(isByPosition))
    return std::move(error);
  if (!source.counted)
    source.numSamples = 1; // Inputs that never change: one run.
  return std::move(source);
}

void SampleSet::limit(uint64_t samples) {
  if (samples == 0 || samples >= numSamples)
    return;
  // A batch of a fixed size is run whole or not at all.
  bool isFixed =
      counted &&
      llvm::any_of(llvm::zip_equal(plans, inputs), [](const auto &pair) {
        const auto &[plan, input] = pair;
        return (plan.kind == Plan::Rows || plan.kind == Plan::Tokens) &&
               input.dims[0] >= 0;
      });
  if (isFixed)
    samples = (samples + perBatch - 1) / perBatch * perBatch;
  numSamples = std::min<uint64_t>(numSamples, samples);
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// Whether a float is NaN or infinite.
static bool isSpecial(const char *data, int32_t dtype, bool &isNaN) {
  double value;
  if (dtype == NIBBLE_DOUBLE) {
    std::memcpy(&value, data, sizeof(value));
  } else if (dtype == NIBBLE_FLOAT) {
    float single;
    std::memcpy(&single, data, sizeof(single));
    value = single;
  } else {
    uint16_t bits;
    std::memcpy(&bits, data, sizeof(bits));
    value = dtype == NIBBLE_FLOAT16 ? quantizer::halfToFloat(bits)
                                    : quantizer::bfloat16ToFloat(bits);
  }
  isNaN = std::isnan(value);
  return !std::isfinite(value);
}

static llvm::Error checkFinite(const ArrayFile &array,
                               llvm::ArrayRef<char> data, uint64_t first) {
  if (!llvm::is_contained(
          {NIBBLE_FLOAT, NIBBLE_DOUBLE, NIBBLE_FLOAT16, NIBBLE_BFLOAT16},
          array.dtype))
    return llvm::Error::success();
  size_t size = nibble_dtype_size(array.dtype);
  bool isNaN;
  for (size_t i = 0; i < data.size(); i += size)
    if (isSpecial(data.data() + i, array.dtype, isNaN))
      return llvm::createStringError(
          "'" + array.place + "' has " + (isNaN ? "NaN" : "infinity") +
          " at element " + llvm::Twine(first + i / size));
  return llvm::Error::success();
}

llvm::Error SampleSet::readTokens(size_t index, uint64_t first, uint64_t count,
                                  std::vector<char> &data) const {
  const ModelInput &input = inputs[index];
  const ArrayFile &array = *plans[index].array;
  uint64_t window = plans[index].window, tokens = count * window;
  size_t size = nibble_dtype_size(array.dtype);
  size_t width = nibble_dtype_size(input.dtype);
  std::vector<char> raw(tokens * size);
  if (llvm::Error error = array.read(first * window * size, raw))
    return error;
  bool isSigned = llvm::is_contained(
      {NIBBLE_INT8, NIBBLE_INT16, NIBBLE_INT32, NIBBLE_INT64}, array.dtype);
  uint64_t largest = input.dtype == NIBBLE_INT32
                         ? std::numeric_limits<int32_t>::max()
                         : std::numeric_limits<int64_t>::max();
  data.resize(tokens * width);
  for (size_t i = 0; i != tokens; ++i) {
    uint64_t token = 0;
    std::memcpy(&token, raw.data() + i * size, size);
    if (isSigned)
      token = llvm::SignExtend64(token, 8 * size);
    if (token > largest)
      return llvm::createStringError(
          "'" + array.place + "' has the token " +
          (isSigned ? llvm::Twine(static_cast<int64_t>(token))
                    : llvm::Twine(token)) +
          " at position " + llvm::Twine(first * window + i) + ", but input '" +
          input.name + "' takes 0 to " + llvm::Twine(largest));
    std::memcpy(data.data() + i * width, &token, width);
  }
  return llvm::Error::success();
}

llvm::Error SampleSet::readInput(size_t index, uint64_t first, uint64_t count,
                                 SampleBatch &batch) const {
  const Plan &plan = plans[index];
  const ArrayFile &array = *plan.array;
  std::vector<int64_t> &dims = batch.dims[index];
  std::vector<char> &data = batch.data[index];
  if (plan.kind == Plan::Tokens) {
    dims = {static_cast<int64_t>(count), plan.window};
    return readTokens(index, first, count, data);
  }
  dims = array.dims;
  uint64_t begin = 0;
  if (plan.kind == Plan::Single) {
    dims.insert(dims.begin(), 1);
  } else if (plan.kind == Plan::Whole) {
    dims.erase(dims.begin());
    begin = first;
  } else if (plan.kind == Plan::Rows) {
    dims[0] = static_cast<int64_t>(count);
    begin = first;
  }
  uint64_t elements = 1;
  for (int64_t size : dims)
    elements *= size;
  if (plan.kind == Plan::Rows)
    begin = begin * elements / count;
  else
    begin *= elements;
  size_t size = nibble_dtype_size(array.dtype);
  data.resize(elements * size);
  if (llvm::Error error = array.read(begin * size, data))
    return error;
  return checkFinite(array, data, begin);
}

void SampleSet::fillInput(size_t index, int64_t samples, int64_t length,
                          SampleBatch &batch) const {
  const ModelInput &input = inputs[index];
  std::vector<int64_t> &dims = batch.dims[index];
  dims = input.dims;
  if (input.growingAxis >= 0) {
    // Keys and values of no positions.
    for (int64_t &size : dims)
      size = size < 0 ? samples : size;
    dims[input.growingAxis] = 0;
    return;
  }
  if (input.name == "logit_positions")
    dims.assign(dims.size(), 1);
  else
    dims = {samples, length};
  size_t width = nibble_dtype_size(input.dtype);
  int64_t elements = 1;
  for (int64_t size : dims)
    elements *= size;
  batch.data[index].resize(elements * width);
  for (int64_t i = 0; i != elements; ++i) {
    int64_t value = 0;
    if (input.name == "position_ids")
      value = i % length;
    else if (input.name == "attention_mask")
      value = 1;
    else if (input.name == "logit_positions")
      value = length - 1;
    std::memcpy(batch.data[index].data() + i * width, &value, width);
  }
}

llvm::Expected<SampleBatch> SampleSet::read(uint64_t index) const {
  SampleBatch batch;
  batch.data.resize(inputs.size());
  batch.dims.resize(inputs.size());
  uint64_t first = index * perBatch;
  batch.samples = std::min<uint64_t>(perBatch, numSamples - first);
  batch.place = place + ", sample " + std::to_string(first);
  if (batch.samples > 1)
    batch.place += " to " + std::to_string(first + batch.samples - 1);
  int64_t samples = 1, length = 1;
  bool hasTokens = false;
  for (size_t i = 0; i != inputs.size(); ++i) {
    if (!plans[i].array)
      continue;
    if (llvm::Error error = readInput(i, first, batch.samples, batch))
      return std::move(error);
    // Positions and masks are those of the first.
    if (takesTokens(inputs[i]) && !std::exchange(hasTokens, true)) {
      samples = batch.dims[i][0];
      length = batch.dims[i][1];
    }
  }
  for (size_t i = 0; i != inputs.size(); ++i) {
    if (!plans[i].array)
      fillInput(i, samples, length, batch);
    nibble_tensor tensor = {};
    tensor.name = inputs[i].name.c_str();
    tensor.data = batch.data[i].data();
    tensor.bytes = batch.data[i].size();
    tensor.dtype = inputs[i].dtype;
    tensor.rank = static_cast<int32_t>(batch.dims[i].size());
    tensor.dims = batch.dims[i].data();
    batch.inputs.push_back(tensor);
  }
  return std::move(batch);
}
