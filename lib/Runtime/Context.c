//===- Context.c - Creating contexts --------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"
#include "Internal.h"

#include <stdio.h>
#include <stdlib.h>

/// Words of the memref descriptor of a tensor: two pointers, the offset, sizes
/// and strides.
static size_t wordsOf(const nibble_tensor_info *infos, uint64_t count) {
  size_t words = 0;
  for (uint64_t i = 0; i != count; ++i)
    words += 3 + 2 * (size_t)infos[i].rank;
  return words;
}

static bool allocateTables(nibble_context *context) {
  const nibble_model_descriptor *d = context->model->descriptor;
  // One more than needed, so that no size is zero.
  context->arguments = calloc(d->input_count + 2, sizeof(void *));
  context->descriptorWords =
      calloc(5 + wordsOf(d->inputs, d->input_count), sizeof(int64_t));
  context->resultWords =
      calloc(1 + wordsOf(d->outputs, d->output_count), sizeof(int64_t));
  context->inputs = calloc(d->input_count + 1, sizeof(*context->inputs));
  context->inputData = calloc(d->input_count + 1, sizeof(void *));
  context->outputs = calloc(d->output_count + 1, sizeof(*context->outputs));
  if (!context->arguments || !context->descriptorWords ||
      !context->resultWords || !context->inputs || !context->inputData ||
      !context->outputs)
    return false;
  for (uint64_t i = 0; i != d->output_count; ++i) {
    context->outputs[i].dims =
        calloc((size_t)d->outputs[i].rank + 1, sizeof(int64_t));
    if (!context->outputs[i].dims)
      return false;
  }
  return true;
}

static bool allocateProfile(nibble_context *context) {
  const nibble_model_descriptor *d = context->model->descriptor;
  context->profile = calloc(d->layer_count + 1, sizeof(*context->profile));
  context->layerStart = calloc(d->layer_count + 1, sizeof(uint64_t));
  if (!context->profile || !context->layerStart)
    return false;
  for (uint64_t i = 0; i != d->layer_count; ++i) {
    context->profile[i].name = d->layers[i].name;
    context->profile[i].bytes = d->layers[i].bytes;
  }
  return true;
}

nibble_status nibbleCreateContext(const nibble_model *model,
                                  const nibble_context_options *options,
                                  nibble_context **result, NibbleError *error) {
  nibble_context_options chosen = {.size = sizeof(chosen)};
  if (options) {
    // What programs were compiled with before there were devices will do.
    size_t oldest = offsetof(nibble_context_options, device);
    if (options->size < oldest)
      return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "nibble_context_options: 'size' is %zu, expected "
                            "sizeof(nibble_context_options), %zu",
                            options->size, sizeof(chosen));
    if (options->size >= sizeof(chosen))
      chosen.device = options->device;
    chosen.threads = options->threads;
    chosen.profile = options->profile;
  }
  if (chosen.threads < 0)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "nibble_context_options: 'threads' is %d, expected "
                          "0 (all) or more",
                          chosen.threads);
  nibble_context *context = calloc(1, sizeof(*context));
  if (!context)
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY, "out of memory");
  context->functions = &nibble_rt_functions;
  context->model = model;
  context->threads = chosen.threads
                         ? chosen.threads
                         : (int32_t)model->descriptor->default_threads;
  atomic_flag_clear(&context->busy);
  if (!allocateTables(context) || !nibbleCreateCaches(context) ||
      (chosen.profile && !allocateProfile(context))) {
    nibbleFreeContext(context);
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY, "out of memory");
  }
  if (model->descriptor->device) {
    nibble_status status = model->descriptor->device->functions->createContext(
        context, chosen.device, error);
    if (status != NIBBLE_OK) {
      nibbleFreeContext(context);
      return status;
    }
  }
  *result = context;
  return NIBBLE_OK;
}

void nibbleFreeContext(nibble_context *context) {
  nibblePoolDestroy(&context->pool);
  nibbleFreeCaches(context);
  if (context->device)
    context->model->descriptor->device->functions->freeContext(context);
  if (context->outputs)
    for (uint64_t i = 0; i != context->model->descriptor->output_count; ++i)
      free(context->outputs[i].dims);
  free(context->outputs);
  free(context->inputs);
  free(context->inputData);
  free(context->resultWords);
  free(context->descriptorWords);
  free(context->arguments);
  free(context->profile);
  free(context->layerStart);
  free(context);
}
