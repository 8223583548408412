//===- Hooks.c - What compiled code calls ---------------------------------===//
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
#include <string.h>
#include <time.h>

_Thread_local nibble_context *nibbleCurrentContext;

/// Leave the run. Only the thread that entered the model can: any other has
/// frames of the OpenMP library below it, so there is nothing to return to.
_Noreturn void nibbleFailRun(nibble_status status) {
  nibble_context *context = nibbleCurrentContext;
  if (context && omp_get_level() == context->parallelLevel)
    longjmp(context->onFailure, (int)status);
  fprintf(stderr, "nibble: fatal: %s\n",
          context ? context->error.text : "a check failed outside of a run");
  abort();
}

void nibble_rt_fail(const char *message) {
  nibble_context *context = nibbleCurrentContext;
  if (context && context->hasNotedValue)
    nibbleSetError(&context->error, NIBBLE_RUN_FAILED, "%s, got %lld", message,
                   (long long)context->notedValue);
  else if (context)
    nibbleSetError(&context->error, NIBBLE_RUN_FAILED, "%s", message);
  else
    fprintf(stderr, "nibble: %s\n", message);
  nibbleFailRun(NIBBLE_RUN_FAILED);
}

void nibble_rt_note_value(int64_t value) {
  nibble_context *context = nibbleCurrentContext;
  if (!context)
    return;
  context->hasNotedValue = true;
  context->notedValue = value;
}

void nibble_rt_extend_cache(int32_t cache, int64_t length, void *memref) {
  nibble_context *context = nibbleCurrentContext;
  if (!context)
    nibble_rt_fail("a cache is only there in a run");
  nibble_status status = nibbleExtendCache(context, cache, length, memref);
  if (status != NIBBLE_OK)
    nibbleFailRun(status);
}

void nibble_rt_observe(int64_t id, int32_t dtype, int32_t rank,
                       const void *memref) {
  nibble_context *context = nibbleCurrentContext;
  if (!context || !context->observer)
    return;
  // {base, aligned, offset, sizes[rank], strides[rank]}
  const int64_t *words = memref;
  nibble_observation value = {.id = id,
                              .data =
                                  (const char *)(uintptr_t)words[1] +
                                  words[2] * (int64_t)nibble_dtype_size(dtype),
                              .dtype = dtype,
                              .rank = rank,
                              .dims = words + 3,
                              .strides = words + 3 + rank};
  const char *message = context->observer(context->observerUser, &value);
  if (!message)
    return;
  nibbleSetError(&context->error, NIBBLE_RUN_FAILED, "%s", message);
  nibbleFailRun(NIBBLE_RUN_FAILED);
}

void *nibble_rt_current_run(void) { return nibbleCurrentContext; }

void nibble_rt_note_failure(void *run, const char *message) {
  nibble_context *context = run;
  int none = 0;
  if (!context ||
      !atomic_compare_exchange_strong(&context->noteState, &none, 1))
    return;
  nibbleSetError(&context->note, NIBBLE_RUN_FAILED, "%s", message);
  atomic_store(&context->noteState, 2);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void nibble_rt_profile_begin(int32_t layer) {
  nibble_context *context = nibbleCurrentContext;
  if (context && context->profile &&
      (uint64_t)layer < context->model->descriptor->layer_count)
    context->layerStart[layer] = now();
}

void nibble_rt_profile_end(int32_t layer) {
  nibble_context *context = nibbleCurrentContext;
  if (!context || !context->profile ||
      (uint64_t)layer >= context->model->descriptor->layer_count)
    return;
  // Its kernels may not have begun.
  if (context->device) {
    nibble_status status =
        context->model->descriptor->device->functions->synchronize(context);
    if (status != NIBBLE_OK)
      nibbleFailRun(status);
  }
  context->profile[layer].nanoseconds += now() - context->layerStart[layer];
  ++context->profile[layer].calls;
}

void *_mlir_memref_to_llvm_aligned_alloc(uint64_t alignment, uint64_t bytes) {
  nibble_context *context = nibbleCurrentContext;
  void *pointer =
      nibblePoolAllocate(context ? &context->pool : NULL, alignment, bytes);
  if (pointer)
    return pointer;
  if (context && bytes > INT64_MAX)
    nibbleSetError(&context->error, NIBBLE_OUT_OF_MEMORY,
                   "an intermediate value would have a negative size: an input "
                   "is too small for this model");
  else if (context)
    nibbleSetError(&context->error, NIBBLE_OUT_OF_MEMORY,
                   "out of memory: an intermediate value needs %llu bytes, and "
                   "the context holds %llu",
                   (unsigned long long)bytes,
                   (unsigned long long)context->pool.bytes);
  else
    fprintf(stderr, "nibble: out of memory: %llu bytes\n",
            (unsigned long long)bytes);
  nibbleFailRun(NIBBLE_OUT_OF_MEMORY);
}

void *_mlir_memref_to_llvm_alloc(uint64_t bytes) {
  return _mlir_memref_to_llvm_aligned_alloc(0, bytes);
}

void _mlir_memref_to_llvm_free(void *pointer) { nibblePoolRelease(pointer); }
