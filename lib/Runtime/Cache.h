//===- Cache.h - Caches that a context keeps ------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_CACHE_H
#define NIBBLE_LIB_RUNTIME_CACHE_H

#include "nibble/Runtime/ModelDescriptor.h"

#include <stdbool.h>

/// One cache of a context.
typedef struct CacheState {
  /// Kept memory: [outer][capacity][inner bytes], where outer and inner are the
  /// dimensions before and behind the axis.
  char *data;
  int64_t capacity;
  uint64_t bytes;
  /// The past: what nibble_run takes for the input. Its positions are those
  /// that the last successful run left.
  nibble_tensor past;
  int64_t *pastDims;
  /// The present of the run under way, as nibble_rt_extend_cache gave it out:
  /// a memref descriptor. `extended` says whether it did.
  int64_t *words;
  bool extended;
} CacheState;

/// Caches of a context, with all of its settings.
typedef struct CacheSet {
  CacheState *states; ///< one for each of the model
  bool kept;
  int64_t batch, limit;
  /// Outputs that the caller of the run under way asked for.
  const nibble_tensor *wanted;
  size_t wantedCount;
} CacheSet;

bool nibbleCreateCaches(nibble_context *context);
void nibbleFreeCaches(nibble_context *context);

/// The cache whose present is output `output`, or NULL.
CacheState *nibbleCacheOfOutput(const nibble_context *context, uint64_t output);

/// Around a run: what its caller wants, and whether it succeeded.
void nibbleBeginCaches(nibble_context *context, const nibble_tensor *outputs,
                       size_t outputCount);
void nibbleEndCaches(nibble_context *context, bool succeeded);

/// nibble_rt_extend_cache, but for how a failure ends the run.
nibble_status nibbleExtendCache(nibble_context *context, int32_t cache,
                                int64_t length, void *memref);

nibble_status nibbleKeepCaches(nibble_context *context,
                               const nibble_cache_options *options);
nibble_status nibbleTruncateCaches(nibble_context *context, int64_t length);
void nibbleCacheState(const nibble_context *context, nibble_cache_state *state);
nibble_status nibbleReadCache(nibble_context *context, size_t index,
                              nibble_tensor *output);

#endif // NIBBLE_LIB_RUNTIME_CACHE_H
