//===- Run.c - One run of a model -----------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Check.h"
#include "Device.h"

#include <string.h>

/// Fill the memref descriptor of a dense tensor; returns the word behind it.
static int64_t *fillMemRef(int64_t *words, const void *data, int64_t rank,
                           const int64_t *dims) {
  words[0] = words[1] = (int64_t)(uintptr_t)data;
  words[2] = 0;
  int64_t stride = 1;
  for (int64_t i = rank; i-- > 0;) {
    words[3 + i] = dims[i];
    words[3 + rank + i] = stride;
    stride *= dims[i];
  }
  return words + 3 + 2 * rank;
}

static void fillArguments(nibble_context *context) {
  const nibble_model_descriptor *d = context->model->descriptor;
  int64_t *words = context->descriptorWords;
  int64_t weightBytes = (int64_t)d->weight_bytes;
  context->arguments[0] = words;
  words = fillMemRef(words, context->model->weights, 1, &weightBytes);
  for (uint64_t i = 0; i != d->input_count; ++i) {
    const nibble_tensor *input = context->inputs[i];
    context->arguments[1 + i] = words;
    words = fillMemRef(words, input->data, input->rank, input->dims);
  }
  context->arguments[1 + d->input_count] = context->resultWords;
}

/// Enter the compiled code. A separate function, so that no variable of a
/// caller lives across the jump.
static nibble_status invoke(nibble_context *context) {
  nibble_context *outer = nibbleCurrentContext;
  int outerThreads = omp_get_max_threads();
  if (context->threads)
    omp_set_num_threads(context->threads);
  nibbleCurrentContext = context;
  context->parallelLevel = omp_get_level();
  volatile nibble_status status = NIBBLE_OK;
  int failure = setjmp(context->onFailure);
  if (failure == 0)
    context->model->descriptor->invoke(context->arguments);
  else
    status = (nibble_status)failure;
  nibbleCurrentContext = outer;
  if (context->threads)
    omp_set_num_threads(outerThreads);
  if (status == NIBBLE_OK && atomic_load(&context->noteState) == 2) {
    context->error = context->note;
    status = NIBBLE_RUN_FAILED;
  }
  return status;
}

/// Copy a strided tensor to dense memory: the last dimension in one piece where
/// it is dense.
static void copyStrided(char *to, const char *from, int64_t rank,
                        const int64_t *dims, const int64_t *strides,
                        size_t elementSize) {
  if (rank == 0 || (rank == 1 && strides[0] == 1)) {
    memcpy(to, from, elementSize * (size_t)(rank ? dims[0] : 1));
    return;
  }
  size_t slice = elementSize;
  for (int64_t i = 1; i < rank; ++i)
    slice *= (size_t)dims[i];
  for (int64_t i = 0; i < dims[0]; ++i)
    copyStrided(to + slice * (size_t)i,
                from + (int64_t)elementSize * strides[0] * i, rank - 1,
                dims + 1, strides + 1, elementSize);
}

static bool isDense(int64_t rank, const int64_t *dims, const int64_t *strides) {
  int64_t stride = 1;
  for (int64_t i = rank; i-- > 0;) {
    if (dims[i] != 1 && strides[i] != stride)
      return false;
    stride *= dims[i];
  }
  return true;
}

/// Hand out one result; `words` is its memref descriptor.
static nibble_status takeOutput(nibble_context *context, uint64_t index,
                                const int64_t *words, nibble_tensor *output) {
  const nibble_tensor_info *info = &context->model->descriptor->outputs[index];
  OutputState *state = &context->outputs[index];
  const CacheState *cache = nibbleCacheOfOutput(context, index);
  if (cache)
    words = cache->words;
  size_t size = nibble_dtype_size(info->dtype);
  const int64_t *dims = words + 3, *strides = dims + info->rank;
  const char *data =
      (const char *)(uintptr_t)words[1] + words[2] * (int64_t)size;
  uint64_t bytes;
  if (!nibbleByteSize(dims, info->rank, info->dtype, &bytes))
    return nibbleSetError(&context->error, NIBBLE_RUN_FAILED,
                          "output '%s' has an impossible shape", info->name);
  memcpy(state->dims, dims, (size_t)info->rank * sizeof(int64_t));
  if (cache && context->caches.kept && !output->data) {
    *output = (nibble_tensor){.name = info->name,
                              .dtype = info->dtype,
                              .rank = info->rank,
                              .dims = state->dims};
    return NIBBLE_OK;
  }
  nibble_status fetched = nibbleUseOnHost(context, data, NibbleRead);
  if (fetched != NIBBLE_OK)
    return fetched;
  bool dense = bytes == 0 || isDense(info->rank, dims, strides);
  void *to = NULL;
  if (output->data) {
    if (output->bytes < bytes)
      return nibbleSetError(&context->error, NIBBLE_INVALID_ARGUMENT,
                            "output '%s': the buffer has %zu bytes, the result "
                            "needs %llu",
                            info->name, output->bytes,
                            (unsigned long long)bytes);
    to = output->data;
  } else if (!dense || !nibblePoolOwns(&context->pool,
                                       (const void *)(uintptr_t)words[0])) {
    // It lies in an input or in the weights: neither is the caller's to keep.
    to = nibblePoolAllocate(&context->pool, 0, bytes);
    if (!to)
      return nibbleSetError(&context->error, NIBBLE_OUT_OF_MEMORY,
                            "out of memory: output '%s' needs %llu bytes",
                            info->name, (unsigned long long)bytes);
  }
  if (to != data && to && bytes) {
    if (dense)
      memcpy(to, data, bytes);
    else
      copyStrided(to, data, info->rank, dims, strides, size);
  }
  *output = (nibble_tensor){.name = info->name,
                            .data = to ? to : (void *)(uintptr_t)data,
                            .bytes = bytes,
                            .dtype = info->dtype,
                            .rank = info->rank,
                            .dims = state->dims};
  return NIBBLE_OK;
}

static nibble_status runOnce(nibble_context *context,
                             const nibble_tensor *inputs, size_t inputCount,
                             nibble_tensor *outputs, size_t outputCount) {
  const nibble_model_descriptor *d = context->model->descriptor;
  context->error.text[0] = '\0';
  context->hasNotedValue = false;
  atomic_store(&context->noteState, 0);
  if (outputCount > d->output_count)
    return nibbleSetError(&context->error, NIBBLE_INVALID_ARGUMENT,
                          "model '%s' has %llu outputs, %zu were asked for",
                          d->name, (unsigned long long)d->output_count,
                          outputCount);
  if (!outputs && outputCount)
    return nibbleSetError(&context->error, NIBBLE_INVALID_ARGUMENT,
                          "nibble_run: 'outputs' is null");
  nibble_status status = nibbleCheckInputs(context, inputs, inputCount);
  if (status != NIBBLE_OK)
    return status;
  // The outputs of the run before end here, unless they are the inputs of this.
  for (uint64_t i = 0; i != d->input_count; ++i)
    context->inputData[i] = context->inputs[i]->data;
  nibblePoolNextRun(&context->pool, context->inputData, d->input_count);
  fillArguments(context);
  nibbleBeginCaches(context, outputs, outputCount);
  const struct nibble_device_functions *device =
      context->device ? d->device->functions : NULL;
  if (device)
    status = device->beginRun(context);
  if (status == NIBBLE_OK)
    status = invoke(context);
  const int64_t *words = context->resultWords;
  for (size_t i = 0; i != outputCount && status == NIBBLE_OK; ++i) {
    status = takeOutput(context, i, words, &outputs[i]);
    if (!nibbleCacheOfOutput(context, i))
      words += 3 + 2 * d->outputs[i].rank;
  }
  nibbleEndCaches(context, status == NIBBLE_OK);
  if (device)
    status = device->endRun(context, status);
  return status;
}

nibble_status nibbleRunContext(nibble_context *context,
                               const nibble_tensor *inputs, size_t inputCount,
                               nibble_tensor *outputs, size_t outputCount) {
  // The text of the error belongs to the run that is under way: leave it alone.
  if (atomic_flag_test_and_set(&context->busy))
    return NIBBLE_INVALID_ARGUMENT;
  nibble_status status =
      runOnce(context, inputs, inputCount, outputs, outputCount);
  atomic_flag_clear(&context->busy);
  return status;
}
