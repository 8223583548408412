//===- Cache.c - Caches that a context keeps ------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A run writes behind the positions of the past, which count as such only once
// it has succeeded. The memory of a cache that is full doubles, so that copies
// of the past become rare as a text grows.
//
//===----------------------------------------------------------------------===//

#include "Check.h"
#include "Device.h"

#include <stdlib.h>
#include <string.h>

/// Positions that a cache has memory for at least.
enum { MinimumCapacity = 32 };

static const nibble_cache_info *infoOf(const nibble_context *context,
                                       const CacheState *state) {
  return &context->model->descriptor->caches[state - context->caches.states];
}

static const nibble_tensor_info *inputOf(const nibble_context *context,
                                         const CacheState *state) {
  return &context->model->descriptor->inputs[infoOf(context, state)->input];
}

/// A cache seen as [outer][positions][inner bytes].
typedef struct Layout {
  uint64_t outer, inner;
} Layout;

static Layout layoutOf(const nibble_tensor_info *info, const int64_t *dims,
                       int32_t axis) {
  Layout layout = {1, nibble_dtype_size(info->dtype)};
  for (int32_t i = 0; i != info->rank; ++i)
    if (i < axis)
      layout.outer *= (uint64_t)dims[i];
    else if (i > axis)
      layout.inner *= (uint64_t)dims[i];
  return layout;
}

/// Copy `count` positions from a buffer of `fromCapacity` to another one.
static void copyPositions(Layout layout, char *to, int64_t toCapacity,
                          const char *from, int64_t fromCapacity,
                          int64_t count) {
  uint64_t bytes = (uint64_t)count * layout.inner;
  if (bytes == 0)
    return;
  for (uint64_t i = 0; i != layout.outer; ++i)
    memcpy(to + i * (uint64_t)toCapacity * layout.inner,
           from + i * (uint64_t)fromCapacity * layout.inner, bytes);
}

/// The memref descriptor of `length` positions in a buffer of `capacity`.
static void fillWords(const nibble_tensor_info *info, const int64_t *dims,
                      int32_t axis, void *data, int64_t length,
                      int64_t capacity, int64_t *words) {
  words[0] = words[1] = (int64_t)(uintptr_t)data;
  words[2] = 0;
  int64_t stride = 1;
  for (int32_t i = info->rank; i-- > 0;) {
    words[3 + i] = i == axis ? length : dims[i];
    words[3 + info->rank + i] = stride;
    stride *= i == axis ? capacity : dims[i];
  }
}

//===----------------------------------------------------------------------===//
// Creation
//===----------------------------------------------------------------------===//

bool nibbleCreateCaches(nibble_context *context) {
  const nibble_model_descriptor *d = context->model->descriptor;
  context->caches.states =
      calloc(d->cache_count + 1, sizeof(*context->caches.states));
  if (!context->caches.states)
    return false;
  for (uint64_t i = 0; i != d->cache_count; ++i) {
    CacheState *state = &context->caches.states[i];
    const nibble_tensor_info *info = inputOf(context, state);
    size_t rank = (size_t)info->rank;
    state->pastDims = calloc(rank + 1, sizeof(int64_t));
    state->words = calloc(3 + 2 * rank, sizeof(int64_t));
    if (!state->pastDims || !state->words)
      return false;
    state->past = (nibble_tensor){.name = info->name,
                                  .dtype = info->dtype,
                                  .rank = info->rank,
                                  .dims = state->pastDims};
  }
  return true;
}

void nibbleFreeCaches(nibble_context *context) {
  uint64_t count = context->model->descriptor->cache_count;
  for (uint64_t i = 0; context->caches.states && i != count; ++i) {
    CacheState *state = &context->caches.states[i];
    free(state->data);
    free(state->pastDims);
    free(state->words);
  }
  free(context->caches.states);
}

CacheState *nibbleCacheOfOutput(const nibble_context *context,
                                uint64_t output) {
  const nibble_model_descriptor *d = context->model->descriptor;
  for (uint64_t i = 0; i != d->cache_count; ++i)
    if ((uint64_t)d->caches[i].output == output)
      return &context->caches.states[i];
  return NULL;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Memory for `positions`, of which the first `kept` stay.
static nibble_status allocate(nibble_context *context, CacheState *state,
                              int64_t positions, int64_t kept) {
  const nibble_tensor_info *info = inputOf(context, state);
  int32_t axis = infoOf(context, state)->axis;
  int64_t *dims = state->pastDims, past = dims[axis];
  uint64_t bytes;
  dims[axis] = positions;
  bool fits = nibbleByteSize(dims, info->rank, info->dtype, &bytes);
  dims[axis] = past;
  void *data = NULL;
  if (!fits || posix_memalign(&data, 64, bytes ? bytes : 1) != 0)
    return nibbleSetError(&context->error, NIBBLE_OUT_OF_MEMORY,
                          "out of memory: %lld positions of the cache of input "
                          "'%s'",
                          (long long)positions, info->name);
  nibble_status status =
      kept ? nibbleUseOnHost(context, state->data, NibbleRead) : NIBBLE_OK;
  if (status == NIBBLE_OK)
    status = nibbleTrack(context, data, bytes);
  if (status != NIBBLE_OK) {
    free(data);
    return status;
  }
  copyPositions(layoutOf(info, dims, axis), data, positions, state->data,
                state->capacity, kept);
  nibbleForget(context, state->data);
  free(state->data);
  state->data = data;
  state->capacity = positions;
  state->bytes = bytes;
  state->past.data = data;
  return NIBBLE_OK;
}

/// Room for `length` positions.
static nibble_status reserve(nibble_context *context, CacheState *state,
                             int64_t length) {
  int64_t limit = context->caches.limit;
  int64_t past = state->pastDims[infoOf(context, state)->axis];
  if (limit && length > limit)
    return nibbleSetError(
        &context->error, NIBBLE_CONTEXT_OVERFLOW,
        "context overflow: %lld positions do not fit the limit of %lld: the "
        "cache of input '%s' holds %lld, and this run adds %lld",
        (long long)length, (long long)limit, inputOf(context, state)->name,
        (long long)past, (long long)(length - past));
  if (length <= state->capacity)
    return NIBBLE_OK;
  int64_t capacity = MinimumCapacity;
  if (state->capacity < INT64_MAX / 2 && capacity < 2 * state->capacity)
    capacity = 2 * state->capacity;
  if (capacity < length)
    capacity = length;
  if (limit && capacity > limit)
    capacity = limit;
  return allocate(context, state, capacity, past);
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

void nibbleBeginCaches(nibble_context *context, const nibble_tensor *outputs,
                       size_t outputCount) {
  CacheSet *caches = &context->caches;
  caches->wanted = outputs;
  caches->wantedCount = outputCount;
  for (uint64_t i = 0; i != context->model->descriptor->cache_count; ++i)
    caches->states[i].extended = false;
}

void nibbleEndCaches(nibble_context *context, bool succeeded) {
  CacheSet *caches = &context->caches;
  caches->wanted = NULL;
  caches->wantedCount = 0;
  if (!caches->kept || !succeeded)
    return;
  for (uint64_t i = 0; i != context->model->descriptor->cache_count; ++i) {
    CacheState *state = &caches->states[i];
    int32_t axis = infoOf(context, state)->axis;
    state->pastDims[axis] = state->words[3 + axis];
  }
}

static bool overlaps(const void *a, uint64_t aBytes, const void *b,
                     uint64_t bBytes) {
  return a && b && (const char *)a < (const char *)b + bBytes &&
         (const char *)b < (const char *)a + aBytes;
}

/// Whether the caller gave the buffer of a past of fixed size for its present
/// too, so that it is to be written in place. Not if another tensor of the run
/// lies there as well: it may be read or written at any time.
static bool isInPlace(const nibble_context *context, const CacheState *state,
                      const nibble_tensor *past, uint64_t bytes) {
  const nibble_model_descriptor *d = context->model->descriptor;
  const nibble_cache_info *info = infoOf(context, state);
  const CacheSet *caches = &context->caches;
  if (info->grows || !past->data ||
      (size_t)info->output >= caches->wantedCount ||
      caches->wanted[info->output].data != past->data ||
      caches->wanted[info->output].bytes < bytes)
    return false;
  for (uint64_t i = 0; i != d->input_count; ++i) {
    const nibble_tensor *other = context->inputs[i];
    uint64_t size = 0;
    (void)nibbleByteSize(other->dims, other->rank, other->dtype, &size);
    if (other != past && overlaps(past->data, bytes, other->data, size))
      return false;
  }
  for (size_t i = 0; i != caches->wantedCount; ++i)
    if (i != (size_t)info->output &&
        overlaps(past->data, bytes, caches->wanted[i].data,
                 caches->wanted[i].bytes))
      return false;
  return true;
}

/// A buffer of this run alone that begins with the past.
static nibble_status extendDense(nibble_context *context, CacheState *state,
                                 const nibble_tensor *past, int64_t length) {
  const nibble_tensor_info *info = inputOf(context, state);
  int32_t axis = infoOf(context, state)->axis;
  fillWords(info, past->dims, axis, past->data, length, length, state->words);
  uint64_t bytes;
  bool fits = nibbleByteSize(state->words + 3, info->rank, info->dtype, &bytes);
  if (fits && isInPlace(context, state, past, bytes))
    return NIBBLE_OK;
  void *data = fits ? nibblePoolAllocate(&context->pool, 0, bytes) : NULL;
  if (!data)
    return nibbleSetError(&context->error, NIBBLE_OUT_OF_MEMORY,
                          "out of memory: %lld positions of the cache of input "
                          "'%s'",
                          (long long)length, info->name);
  nibble_status status = nibbleUseOnHost(context, past->data, NibbleRead);
  if (status == NIBBLE_OK)
    status = nibbleUseOnHost(context, data, NibbleWrite);
  if (status != NIBBLE_OK)
    return status;
  copyPositions(layoutOf(info, past->dims, axis), data, length, past->data,
                past->dims[axis], past->dims[axis]);
  state->words[0] = state->words[1] = (int64_t)(uintptr_t)data;
  return NIBBLE_OK;
}

nibble_status nibbleExtendCache(nibble_context *context, int32_t cache,
                                int64_t length, void *memref) {
  const nibble_model_descriptor *d = context->model->descriptor;
  if (cache < 0 || (uint64_t)cache >= d->cache_count)
    return nibbleSetError(&context->error, NIBBLE_RUN_FAILED,
                          "the model has no cache %d", cache);
  CacheState *state = &context->caches.states[cache];
  const nibble_cache_info *info = &d->caches[cache];
  const nibble_tensor_info *input = &d->inputs[info->input];
  const nibble_tensor *past = context->inputs[info->input];
  if (state->extended || length < past->dims[info->axis])
    return nibbleSetError(&context->error, NIBBLE_RUN_FAILED,
                          "the cache of input '%s' is %s", input->name,
                          state->extended ? "written twice" : "cut off");
  nibble_status status = NIBBLE_OK;
  if (past == &state->past) {
    if (info->grows)
      status = reserve(context, state, length);
    if (status == NIBBLE_OK)
      fillWords(input, past->dims, info->axis, state->data, length,
                state->capacity, state->words);
  } else {
    status = extendDense(context, state, past, length);
  }
  if (status != NIBBLE_OK)
    return status;
  state->extended = true;
  memcpy(memref, state->words, (3 + 2 * (size_t)input->rank) * sizeof(int64_t));
  return NIBBLE_OK;
}

//===----------------------------------------------------------------------===//
// What callers ask for
//===----------------------------------------------------------------------===//

static nibble_status checkOptions(const nibble_cache_options *options,
                                  NibbleError *error) {
  const char *name = options->batch < 0     ? "batch"
                     : options->limit < 0   ? "limit"
                     : options->reserve < 0 ? "reserve"
                                            : NULL;
  if (name)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "nibble_cache_options: '%s' is negative", name);
  if (options->limit && options->reserve > options->limit)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "nibble_cache_options: 'reserve' is %lld, more than "
                          "the limit of %lld",
                          (long long)options->reserve,
                          (long long)options->limit);
  return NIBBLE_OK;
}

/// Make one cache empty.
static nibble_status resetCache(nibble_context *context, CacheState *state,
                                int64_t positions) {
  const nibble_cache_info *cache = infoOf(context, state);
  const nibble_tensor_info *info = inputOf(context, state);
  for (int32_t i = 0; i != info->rank; ++i)
    state->pastDims[i] =
        info->dims[i] < 0 ? context->caches.batch : info->dims[i];
  int64_t fixed = info->dims[cache->axis];
  if (!cache->grows) {
    if (fixed < 0)
      fixed = context->caches.limit;
    if (fixed == 0)
      return nibbleSetError(
          &context->error, NIBBLE_INVALID_ARGUMENT,
          "the model leaves the positions of input '%s' open: "
          "expected a limit in nibble_cache_options",
          info->name);
    positions = fixed;
  }
  state->pastDims[cache->axis] = 0;
  // Memory of another batch may be used again.
  Layout layout = layoutOf(info, state->pastDims, cache->axis);
  uint64_t position = 0;
  if (__builtin_mul_overflow(layout.outer, layout.inner, &position))
    position = UINT64_MAX;
  state->capacity = position ? (int64_t)(state->bytes / position) : 0;
  nibble_status status = NIBBLE_OK;
  if (positions > state->capacity)
    status = allocate(context, state, positions, 0);
  if (status == NIBBLE_OK && !cache->grows) {
    state->pastDims[cache->axis] = state->capacity = fixed;
    if (state->data)
      status = nibbleUseOnHost(context, state->data, NibbleWrite);
    if (state->data && status == NIBBLE_OK)
      memset(state->data, 0, layout.outer * layout.inner * (uint64_t)fixed);
  }
  return status;
}

static nibble_status keepCaches(nibble_context *context,
                                const nibble_cache_options *options) {
  const nibble_model_descriptor *d = context->model->descriptor;
  nibble_cache_options chosen = {.size = sizeof(chosen)};
  NibbleError *error = &context->error;
  context->error.text[0] = '\0';
  if (options) {
    if (options->size < sizeof(chosen))
      return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "nibble_cache_options: 'size' is %zu, expected "
                            "sizeof(nibble_cache_options), %zu",
                            options->size, sizeof(chosen));
    chosen = *options;
  }
  nibble_status status = checkOptions(&chosen, error);
  if (status != NIBBLE_OK)
    return status;
  if (!d->cache_count)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "model '%s' has no caches to keep: no input of it is "
                          "returned with more in it",
                          d->name);
  context->caches.kept = false;
  context->caches.batch = chosen.batch ? chosen.batch : 1;
  context->caches.limit = chosen.limit;
  for (uint64_t i = 0; i != d->cache_count; ++i) {
    status = resetCache(context, &context->caches.states[i], chosen.reserve);
    if (status != NIBBLE_OK)
      return status;
  }
  context->caches.kept = true;
  return NIBBLE_OK;
}

nibble_status nibbleKeepCaches(nibble_context *context,
                               const nibble_cache_options *options) {
  if (atomic_flag_test_and_set(&context->busy))
    return NIBBLE_INVALID_ARGUMENT;
  nibble_status status = keepCaches(context, options);
  atomic_flag_clear(&context->busy);
  return status;
}

static nibble_status requireKept(nibble_context *context,
                                 const char *function) {
  context->error.text[0] = '\0';
  if (context->caches.kept)
    return NIBBLE_OK;
  return nibbleSetError(&context->error, NIBBLE_INVALID_ARGUMENT,
                        "%s: the context keeps no caches; call "
                        "nibble_context_keep_caches first",
                        function);
}

static nibble_status truncateCaches(nibble_context *context, int64_t length) {
  nibble_status status = requireKept(context, "nibble_context_truncate_caches");
  uint64_t count = context->model->descriptor->cache_count;
  for (uint64_t i = 0; i != count && status == NIBBLE_OK; ++i) {
    CacheState *state = &context->caches.states[i];
    const nibble_cache_info *info = infoOf(context, state);
    int64_t past = state->pastDims[info->axis];
    if (info->grows && (length < 0 || length > past))
      status = nibbleSetError(&context->error, NIBBLE_INVALID_ARGUMENT,
                              "nibble_context_truncate_caches: the cache of "
                              "input '%s' has %lld positions, expected a "
                              "length in [0, %lld], got %lld",
                              inputOf(context, state)->name, (long long)past,
                              (long long)past, (long long)length);
  }
  for (uint64_t i = 0; i != count && status == NIBBLE_OK; ++i) {
    CacheState *state = &context->caches.states[i];
    if (infoOf(context, state)->grows)
      state->pastDims[infoOf(context, state)->axis] = length;
  }
  return status;
}

nibble_status nibbleTruncateCaches(nibble_context *context, int64_t length) {
  if (atomic_flag_test_and_set(&context->busy))
    return NIBBLE_INVALID_ARGUMENT;
  nibble_status status = truncateCaches(context, length);
  atomic_flag_clear(&context->busy);
  return status;
}

void nibbleCacheState(const nibble_context *context,
                      nibble_cache_state *result) {
  const CacheSet *caches = &context->caches;
  *result = (nibble_cache_state){.kept = caches->kept};
  bool first = true;
  for (uint64_t i = 0; i != context->model->descriptor->cache_count; ++i) {
    const CacheState *state = &caches->states[i];
    result->bytes += state->bytes;
    if (!caches->kept || !infoOf(context, state)->grows)
      continue;
    int64_t length = state->pastDims[infoOf(context, state)->axis];
    if (length > result->length)
      result->length = length;
    if (first || state->capacity < result->capacity)
      result->capacity = state->capacity;
    first = false;
  }
  if (!caches->kept)
    return;
  result->batch = caches->batch;
  result->limit = caches->limit;
}

static nibble_status readCache(nibble_context *context, size_t index,
                               nibble_tensor *output) {
  nibble_status status = requireKept(context, "nibble_context_read_cache");
  if (status != NIBBLE_OK)
    return status;
  uint64_t count = context->model->descriptor->cache_count;
  if (index >= count || !output)
    return nibbleSetError(&context->error, NIBBLE_INVALID_ARGUMENT,
                          "nibble_context_read_cache: %s",
                          output ? "there is no cache of this index"
                                 : "'output' is null");
  CacheState *state = &context->caches.states[index];
  const nibble_tensor_info *info = inputOf(context, state);
  int32_t axis = infoOf(context, state)->axis;
  int64_t length = state->pastDims[axis];
  uint64_t bytes;
  (void)nibbleByteSize(state->pastDims, info->rank, info->dtype, &bytes);
  void *to = output->data;
  if (to && output->bytes < bytes)
    return nibbleSetError(
        &context->error, NIBBLE_INVALID_ARGUMENT,
        "nibble_context_read_cache: the buffer has %zu bytes, "
        "the cache of input '%s' needs %llu",
        output->bytes, info->name, (unsigned long long)bytes);
  if (!to && !(to = nibblePoolAllocate(&context->pool, 0, bytes)))
    return nibbleSetError(&context->error, NIBBLE_OUT_OF_MEMORY,
                          "out of memory: a copy of the cache of input '%s' "
                          "needs %llu bytes",
                          info->name, (unsigned long long)bytes);
  status = nibbleUseOnHost(context, state->data, NibbleRead);
  if (status == NIBBLE_OK)
    status = nibbleUseOnHost(context, to, NibbleWrite);
  if (status != NIBBLE_OK)
    return status;
  copyPositions(layoutOf(info, state->pastDims, axis), to, length, state->data,
                state->capacity, length);
  *output = state->past;
  output->data = to;
  output->bytes = bytes;
  return NIBBLE_OK;
}

nibble_status nibbleReadCache(nibble_context *context, size_t index,
                              nibble_tensor *output) {
  if (atomic_flag_test_and_set(&context->busy))
    return NIBBLE_INVALID_ARGUMENT;
  nibble_status status = readCache(context, index, output);
  atomic_flag_clear(&context->busy);
  return status;
}
