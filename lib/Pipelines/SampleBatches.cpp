//===- SampleBatches.cpp - Samples that run together ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SampleBatches.h"

#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Runtime/nibble.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace nibble;

/// Elements of an input up to which samples are joined: products have many
/// rows then, and what lies between them is still small.
static constexpr int64_t maxJoinedIntegers = 2048, maxJoinedFloats = 1 << 18;

static int64_t getNumElements(const SampleTensor &tensor) {
  int64_t count = 1;
  for (int64_t size : tensor.dims)
    count *= size;
  return count;
}

static std::string describeDims(ArrayRef<int64_t> dims) {
  std::string text = "[";
  for (int64_t size : dims)
    text += (text.size() > 1 ? ", " : "") +
            (size < 0 ? std::string("?") : std::to_string(size));
  return text + "]";
}

FailureOr<SampleBatches> SampleBatches::get(func::FuncOp function) {
  FailureOr<target::ModelInfo> info = target::ModelInfo::get(function);
  if (failed(info))
    return failure();
  SampleBatches batches;
  batches.info = std::move(*info);
  for (BlockArgument argument : function.getArguments()) {
    int64_t axis = -1;
    for (Operation *user : argument.getUsers())
      if (auto append = dyn_cast<AppendCacheOp>(user))
        axis = append.getPast() == argument ? append.getAxis() : axis;
      else if (auto update = dyn_cast<UpdateCacheOp>(user))
        axis = update.getPast() == argument ? update.getAxis() : axis;
    batches.cacheAxes.push_back(axis);
  }
  return batches;
}

llvm::Error SampleBatches::check(const SampleTensor &tensor,
                                 size_t input) const {
  const target::TensorInfo &expected = info.inputs[input];
  auto fail = [&](const Twine &what, const Twine &wanted, const Twine &got) {
    return llvm::createStringError("sample " + Twine(numSamples) + ": input '" +
                                   expected.name + "' has " + what + " " + got +
                                   ", the model expects " + wanted);
  };
  if (tensor.dtype != expected.dtype)
    return fail("elements of", nibble_dtype_name(expected.dtype),
                nibble_dtype_name(tensor.dtype));
  bool fits = tensor.dims.size() == expected.dims.size();
  for (size_t i = 0; fits && i != tensor.dims.size(); ++i)
    fits = expected.dims[i] < 0 ? tensor.dims[i] >= 0
                                : tensor.dims[i] == expected.dims[i];
  if (!fits)
    return fail("shape", describeDims(expected.dims),
                describeDims(tensor.dims));
  if (getNumElements(tensor) == 0 && cacheAxes[input] < 0)
    return fail("shape", "at least one element", describeDims(tensor.dims));
  uint64_t bytes = getNumElements(tensor) * nibble_dtype_size(tensor.dtype);
  if (tensor.data.size() != bytes)
    return fail("bytes", Twine(bytes), Twine(tensor.data.size()));
  return llvm::Error::success();
}

/// The inputs of one sample in the order of the model's. Those that it does not
/// give have no shape yet.
llvm::Expected<SampleBatches::Batch>
SampleBatches::arrange(std::vector<SampleTensor> sample) const {
  Batch batch(info.inputs.size());
  std::vector<bool> given(info.inputs.size());
  for (size_t position = 0; position != sample.size(); ++position) {
    SampleTensor &tensor = sample[position];
    size_t input = position;
    if (!tensor.name.empty())
      input = std::distance(info.inputs.begin(),
                            llvm::find_if(info.inputs, [&](const auto &known) {
                              return known.name == tensor.name;
                            }));
    if (input >= info.inputs.size()) {
      auto names = llvm::map_range(
          info.inputs, [](const auto &known) { return known.name; });
      return llvm::createStringError(
          "sample " + Twine(numSamples) + ": the model has no input '" +
          (tensor.name.empty() ? "number " + std::to_string(position + 1)
                               : tensor.name) +
          "': its inputs are " + llvm::join(names, ", "));
    }
    if (llvm::Error error = check(tensor, input))
      return std::move(error);
    given[input] = true;
    batch[input] = std::move(tensor);
  }
  for (size_t i = 0; i != batch.size(); ++i)
    if (!given[i] && cacheAxes[i] < 0)
      return llvm::createStringError("sample " + Twine(numSamples) +
                                     " gives no value for the input '" +
                                     info.inputs[i].name + "' of the model");
  return std::move(batch);
}

/// Pasts that were not given: no positions, or zeros where their number is
/// fixed. Other sizes are those that dimensions of the same name have.
llvm::Error SampleBatches::addMissing(Batch &batch) const {
  llvm::StringMap<int64_t> sizes;
  for (auto [tensor, known] : llvm::zip_equal(batch, info.inputs))
    for (auto [size, name] : llvm::zip(tensor.dims, known.dimNames))
      sizes.try_emplace(name, size);
  for (auto [i, tensor] : llvm::enumerate(batch)) {
    const target::TensorInfo &known = info.inputs[i];
    if (cacheAxes[i] < 0 || !tensor.dims.empty())
      continue;
    tensor.dtype = known.dtype;
    for (auto [axis, size] : llvm::enumerate(known.dims)) {
      auto found = sizes.find(known.dimNames[axis]);
      if (size >= 0)
        tensor.dims.push_back(size);
      else if (static_cast<int64_t>(axis) == cacheAxes[i])
        tensor.dims.push_back(0);
      else if (!known.dimNames[axis].empty() && found != sizes.end())
        tensor.dims.push_back(found->second);
      else
        return llvm::createStringError(
            "the samples give no value for the input '" + known.name +
            "', and the size of its dimension " + Twine(axis) +
            " is not known: add it to the samples, or fix it with --dim");
    }
    tensor.data.assign(getNumElements(tensor) * nibble_dtype_size(tensor.dtype),
                       0);
  }
  return llvm::Error::success();
}

/// Appends `more` to `batch` along the first dimension, if the model takes
/// that, the other sizes agree, and the whole is not too large.
bool SampleBatches::join(Batch &batch, Batch &more) const {
  // The first input says which dimension counts samples. Inputs without it must
  // be the same for all.
  if (info.inputs.empty() || info.inputs.front().dims.empty() ||
      info.inputs.front().dims[0] >= 0)
    return false;
  StringRef name = info.inputs.front().dimNames[0];
  std::vector<bool> grows(batch.size());
  for (auto [i, known] : llvm::enumerate(info.inputs)) {
    const SampleTensor &a = batch[i], &b = more[i];
    if (a.dims.empty() != b.dims.empty())
      return false;
    if (a.dims.empty())
      continue;
    grows[i] = i == 0 || (!name.empty() && !known.dimNames.empty() &&
                          known.dimNames[0] == name);
    if (!grows[i] && (a.dims != b.dims || a.data != b.data))
      return false;
    bool isInteger = known.dtype == NIBBLE_INT64 || known.dtype == NIBBLE_INT32;
    if (grows[i] &&
        (!ArrayRef(a.dims).drop_front().equals(ArrayRef(b.dims).drop_front()) ||
         getNumElements(a) + getNumElements(b) >
             (isInteger ? maxJoinedIntegers : maxJoinedFloats)))
      return false;
  }
  for (auto [tensor, added, isLonger] : llvm::zip_equal(batch, more, grows)) {
    if (!isLonger)
      continue;
    tensor.dims[0] += added.dims[0];
    tensor.data.insert(tensor.data.end(), added.data.begin(), added.data.end());
  }
  return true;
}

llvm::Error SampleBatches::read(const SampleSource &samples, BatchFn consume) {
  std::optional<Batch> batch;
  auto flush = [&]() -> llvm::Error {
    if (!batch)
      return llvm::Error::success();
    if (llvm::Error error = addMissing(*batch))
      return error;
    return consume(std::move(*batch));
  };
  while (true) {
    llvm::Expected<std::optional<std::vector<SampleTensor>>> sample = samples();
    if (!sample)
      return sample.takeError();
    if (!*sample)
      break;
    ++numSamples;
    llvm::Expected<Batch> arranged = arrange(std::move(**sample));
    if (!arranged)
      return arranged.takeError();
    if (batch && join(*batch, *arranged))
      continue;
    if (llvm::Error error = flush())
      return error;
    batch = std::move(*arranged);
  }
  if (!batch)
    return llvm::createStringError("there is no sample in the data");
  return flush();
}
