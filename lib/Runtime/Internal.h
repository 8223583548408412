//===- Internal.h - Inside of the runtime ---------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_INTERNAL_H
#define NIBBLE_LIB_RUNTIME_INTERNAL_H

#include "Cache.h"
#include "Error.h"
#include "Pool.h"
#include "nibble/Runtime/ModelDescriptor.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>

/// The implementation of one copy of the runtime. A model and its contexts are
/// only ever touched through the table of the copy that made them.
struct nibble_function_table {
  uint32_t size; ///< sizeof of the structure when it was compiled
  uint32_t version;
  nibble_status (*openModel)(const nibble_model_descriptor *, nibble_model **,
                             NibbleError *);
  void (*freeModel)(nibble_model *);
  nibble_status (*createContext)(const nibble_model *,
                                 const nibble_context_options *,
                                 nibble_context **, NibbleError *);
  void (*freeContext)(nibble_context *);
  nibble_status (*run)(nibble_context *, const nibble_tensor *, size_t,
                       nibble_tensor *, size_t);
  const char *(*lastError)(const nibble_context *);
  size_t (*profile)(const nibble_context *, const nibble_profile_entry **);
  uint64_t (*memory)(const nibble_context *);
  nibble_status (*keepCaches)(nibble_context *, const nibble_cache_options *);
  nibble_status (*truncateCaches)(nibble_context *, int64_t);
  void (*cacheState)(const nibble_context *, nibble_cache_state *);
  nibble_status (*readCache)(nibble_context *, size_t, nibble_tensor *);
  nibble_status (*observe)(nibble_context *, nibble_observer, void *);
};

extern const nibble_function_table nibble_rt_functions;

/// The first three fields may not move: every copy of the runtime reads them.
struct nibble_model {
  const nibble_function_table *functions;
  const nibble_model_descriptor *descriptor;
  /// What nibble_model_load opened; closed by the copy that opened it.
  void *library;
  const char *weights;
  void *mapping; ///< of a sidecar
  size_t mappingBytes;
  /// What contexts share on each device; only Device.h's functions touch it.
  struct NibbleDevice *devices;
};

/// Memory for one result, kept for the next run.
typedef struct OutputState {
  void *data;
  int64_t *dims;
} OutputState;

struct nibble_context {
  /// The first two fields may not move: every copy of the runtime reads them.
  const nibble_function_table *functions;
  const nibble_model *model;
  int32_t threads;
  atomic_flag busy;
  Pool pool;
  NibbleError error;
  jmp_buf onFailure;
  int32_t parallelLevel; ///< omp_get_level() at the entry of the model
  atomic_int noteState;  ///< 0: none, 1: being written, 2: `note` is set
  int64_t notedValue;    ///< from nibble_rt_note_value
  bool hasNotedValue;
  NibbleError note;             ///< from nibble_rt_note_failure
  void **arguments;             ///< of nibble_model_descriptor::invoke
  int64_t *descriptorWords;     ///< memref descriptors of weights and inputs
  int64_t *resultWords;         ///< memref descriptors of the results
  const nibble_tensor **inputs; ///< of this run, in the model's order
  const void **inputData;       ///< their data
  OutputState *outputs;
  CacheSet caches;
  nibble_profile_entry *profile; ///< per layer, or NULL
  uint64_t *layerStart;
  nibble_observer observer; ///< or NULL
  void *observerUser;
  struct NibbleDeviceContext *device; ///< NULL: the model has no kernels
};

/// End the run that is under way on this thread, whose context has the text of
/// the error. Does not return.
_Noreturn void nibbleFailRun(nibble_status status);

/// The context that runs on this thread, or NULL.
extern _Thread_local nibble_context *nibbleCurrentContext;

nibble_status nibbleOpenModel(const nibble_model_descriptor *descriptor,
                              nibble_model **model, NibbleError *error);
void nibbleFreeModel(nibble_model *model);
nibble_status nibbleVerifyModel(const nibble_model_descriptor *descriptor,
                                NibbleError *error);
nibble_status nibbleCreateContext(const nibble_model *model,
                                  const nibble_context_options *options,
                                  nibble_context **context, NibbleError *error);
void nibbleFreeContext(nibble_context *context);
nibble_status nibbleRunContext(nibble_context *context,
                               const nibble_tensor *inputs, size_t inputCount,
                               nibble_tensor *outputs, size_t outputCount);

/// Check that the CPU and the operating system have all `features` but AMX's,
/// which code asks for by itself.
nibble_status nibbleCheckCpu(const char *model, const char *target,
                             const char *const *features, size_t count,
                             NibbleError *error);

// libomp, declared here because its header comes with a compiler only.
void omp_set_num_threads(int threads);
int omp_get_max_threads(void);
int omp_get_level(void);

#endif // NIBBLE_LIB_RUNTIME_INTERNAL_H
