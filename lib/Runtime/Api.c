//===- Api.c - The public functions ---------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Thin: every call goes through the table of the runtime that made the object.
//
//===----------------------------------------------------------------------===//

#include "Internal.h"
#include "Seal.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Thread_local NibbleError threadError;

nibble_status nibbleSetError(NibbleError *error, nibble_status status,
                             const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text, sizeof(error->text), format, arguments);
  va_end(arguments);
  return status;
}

static const char *contextError(const nibble_context *context) {
  return context->error.text;
}

static size_t contextProfile(const nibble_context *context,
                             const nibble_profile_entry **entries) {
  *entries = context->profile;
  return context->profile ? context->model->descriptor->layer_count : 0;
}

static uint64_t contextMemory(const nibble_context *context) {
  nibble_cache_state caches;
  nibbleCacheState(context, &caches);
  return context->pool.bytes + caches.bytes;
}

static nibble_status contextObserve(nibble_context *context,
                                    nibble_observer observer, void *user) {
  context->observer = observer;
  context->observerUser = user;
  return NIBBLE_OK;
}

const nibble_function_table nibble_rt_functions = {
    .size = sizeof(nibble_function_table),
    .version = NIBBLE_VERSION,
    .openModel = nibbleOpenModel,
    .freeModel = nibbleFreeModel,
    .createContext = nibbleCreateContext,
    .freeContext = nibbleFreeContext,
    .run = nibbleRunContext,
    .lastError = contextError,
    .profile = contextProfile,
    .memory = contextMemory,
    .keepCaches = nibbleKeepCaches,
    .truncateCaches = nibbleTruncateCaches,
    .cacheState = nibbleCacheState,
    .readCache = nibbleReadCache,
    .observe = contextObserve,
};

uint32_t nibble_version(void) { return NIBBLE_VERSION; }

const char *nibble_status_string(nibble_status status) {
  switch (status) {
  case NIBBLE_OK:
    return "ok";
  case NIBBLE_INVALID_ARGUMENT:
    return "invalid argument";
  case NIBBLE_IO_ERROR:
    return "file error";
  case NIBBLE_INVALID_MODEL:
    return "invalid model";
  case NIBBLE_UNSUPPORTED_CPU:
    return "unsupported CPU";
  case NIBBLE_OUT_OF_MEMORY:
    return "out of memory";
  case NIBBLE_RUN_FAILED:
    return "run failed";
  case NIBBLE_CONTEXT_OVERFLOW:
    return "context overflow";
  case NIBBLE_DEVICE_ERROR:
    return "device error";
  }
  return "unknown status";
}

static const struct {
  const char *name;
  size_t size;
} dtypes[] = {
    [NIBBLE_FLOAT] = {"float32", 4},
    [NIBBLE_UINT8] = {"uint8", 1},
    [NIBBLE_INT8] = {"int8", 1},
    [NIBBLE_UINT16] = {"uint16", 2},
    [NIBBLE_INT16] = {"int16", 2},
    [NIBBLE_INT32] = {"int32", 4},
    [NIBBLE_INT64] = {"int64", 8},
    [NIBBLE_BOOL] = {"bool", 1},
    [NIBBLE_FLOAT16] = {"float16", 2},
    [NIBBLE_DOUBLE] = {"float64", 8},
    [NIBBLE_UINT32] = {"uint32", 4},
    [NIBBLE_UINT64] = {"uint64", 8},
    [NIBBLE_BFLOAT16] = {"bfloat16", 2},
    [NIBBLE_FLOAT8E4M3FN] = {"float8_e4m3fn", 1},
    [NIBBLE_FLOAT8E4M3FNUZ] = {"float8_e4m3fnuz", 1},
    [NIBBLE_FLOAT8E5M2] = {"float8_e5m2", 1},
    [NIBBLE_FLOAT8E5M2FNUZ] = {"float8_e5m2fnuz", 1},
    [NIBBLE_UINT4] = {"uint4", 1},
    [NIBBLE_INT4] = {"int4", 1},
    [NIBBLE_FLOAT4E2M1] = {"float4_e2m1fn", 1},
    [NIBBLE_FLOAT8E8M0] = {"float8_e8m0fnu", 1},
    [NIBBLE_UINT2] = {"uint2", 1},
    [NIBBLE_INT2] = {"int2", 1},
    [NIBBLE_FLOAT6E2M3] = {"float6_e2m3fn", 1},
    [NIBBLE_FLOAT6E3M2] = {"float6_e3m2fn", 1},
};

size_t nibble_dtype_size(int32_t dtype) {
  if (dtype < 0 || (size_t)dtype >= sizeof(dtypes) / sizeof(dtypes[0]))
    return 0;
  return dtypes[dtype].size;
}

const char *nibble_dtype_name(int32_t dtype) {
  return nibble_dtype_size(dtype) ? dtypes[dtype].name : "unknown";
}

nibble_status nibble_model_open(const nibble_model_descriptor *descriptor,
                                nibble_model **model) {
  if (!descriptor || !model)
    return nibbleSetError(&threadError, NIBBLE_INVALID_ARGUMENT,
                          "nibble_model_open: '%s' is null",
                          descriptor ? "model" : "descriptor");
  return nibbleOpenModel(descriptor, model, &threadError);
}

static nibble_status openLibrary(void *library, const char *path,
                                 nibble_model **model) {
  const nibble_shared_model_entry *entry =
      dlsym(library, NIBBLE_SHARED_MODEL_SYMBOL);
  if (!entry || entry->magic != NIBBLE_DESCRIPTOR_MAGIC)
    return nibbleSetError(&threadError, NIBBLE_INVALID_MODEL,
                          "'%s' is not a model compiled by nibble-compile",
                          path);
  // Newer tables only append functions; another ABI has another table.
  if (entry->abi != NIBBLE_DESCRIPTOR_ABI ||
      entry->functions->size < sizeof(nibble_function_table))
    return nibbleSetError(
        &threadError, NIBBLE_INVALID_MODEL,
        "'%s' was compiled for version %u of the binary interface, and this "
        "runtime has version %u: compile it again",
        path, entry->abi, NIBBLE_DESCRIPTOR_ABI);
  return entry->functions->openModel(entry->descriptor, model, &threadError);
}

nibble_status nibble_model_load(const char *path, nibble_model **model) {
  if (!path || !model)
    return nibbleSetError(&threadError, NIBBLE_INVALID_ARGUMENT,
                          "nibble_model_load: '%s' is null",
                          path ? "model" : "path");
  if (access(path, R_OK) != 0)
    return nibbleSetError(&threadError, NIBBLE_IO_ERROR, "can't read '%s': %s",
                          path, strerror(errno));
  nibble_status checked =
      nibbleCheckSeal(path, /*weights=*/false, &threadError);
  if (checked != NIBBLE_OK)
    return checked;
  // Without a slash, dlopen would look through the system's directories.
  char *resolved = realpath(path, NULL);
  void *library = resolved ? dlopen(resolved, RTLD_NOW | RTLD_LOCAL) : NULL;
  free(resolved);
  if (!library) {
    const char *reason = dlerror();
    return nibbleSetError(&threadError, NIBBLE_INVALID_MODEL,
                          "can't load '%s': %s", path,
                          reason ? reason : strerror(errno));
  }
  nibble_status status = openLibrary(library, path, model);
  if (status == NIBBLE_OK)
    (*model)->library = library;
  else
    dlclose(library);
  return status;
}

nibble_status nibble_model_verify(const nibble_model *model) {
  if (!model)
    return nibbleSetError(&threadError, NIBBLE_INVALID_ARGUMENT,
                          "nibble_model_verify: 'model' is null");
  return nibbleVerifyModel(model->descriptor, &threadError);
}

void nibble_model_free(nibble_model *model) {
  if (!model)
    return;
  void *library = model->library;
  model->functions->freeModel(model);
  if (library)
    dlclose(library);
}

const char *nibble_model_name(const nibble_model *model) {
  return model->descriptor->name;
}
const char *nibble_model_producer(const nibble_model *model) {
  return model->descriptor->producer;
}
const char *nibble_model_options(const nibble_model *model) {
  return model->descriptor->options;
}
const char *nibble_model_target(const nibble_model *model) {
  return model->descriptor->target;
}
const char *nibble_model_chip(const nibble_model *model, size_t index) {
  const nibble_device_code *device = model->descriptor->device;
  for (uint64_t i = 0; device && i != device->image_count; ++i)
    if (device->images[i].kind == NIBBLE_IMAGE_CUBIN && index-- == 0)
      return device->images[i].name;
  return NULL;
}
uint64_t nibble_model_weight_bytes(const nibble_model *model) {
  return model->descriptor->weight_bytes;
}
const char *nibble_model_sidecar(const nibble_model *model) {
  return model->descriptor->sidecar;
}
size_t nibble_model_input_count(const nibble_model *model) {
  return model->descriptor->input_count;
}
size_t nibble_model_output_count(const nibble_model *model) {
  return model->descriptor->output_count;
}
const nibble_tensor_info *nibble_model_input(const nibble_model *model,
                                             size_t index) {
  return index < model->descriptor->input_count
             ? &model->descriptor->inputs[index]
             : NULL;
}
const nibble_tensor_info *nibble_model_output(const nibble_model *model,
                                              size_t index) {
  return index < model->descriptor->output_count
             ? &model->descriptor->outputs[index]
             : NULL;
}

size_t nibble_model_cache_count(const nibble_model *model) {
  return model->descriptor->cache_count;
}
const nibble_cache_info *nibble_model_cache(const nibble_model *model,
                                            size_t index) {
  return index < model->descriptor->cache_count
             ? &model->descriptor->caches[index]
             : NULL;
}

nibble_status nibble_context_create(const nibble_model *model,
                                    const nibble_context_options *options,
                                    nibble_context **context) {
  if (!model || !context)
    return nibbleSetError(&threadError, NIBBLE_INVALID_ARGUMENT,
                          "nibble_context_create: '%s' is null",
                          model ? "context" : "model");
  return model->functions->createContext(model, options, context, &threadError);
}

void nibble_context_free(nibble_context *context) {
  if (context)
    context->functions->freeContext(context);
}

static nibble_status nullContext(const char *function) {
  return nibbleSetError(&threadError, NIBBLE_INVALID_ARGUMENT,
                        "%s: 'context' is null", function);
}

nibble_status nibble_run(nibble_context *context, const nibble_tensor *inputs,
                         size_t input_count, nibble_tensor *outputs,
                         size_t output_count) {
  if (!context)
    return nullContext("nibble_run");
  return context->functions->run(context, inputs, input_count, outputs,
                                 output_count);
}

const char *nibble_last_error(const nibble_context *context) {
  return context ? context->functions->lastError(context) : threadError.text;
}

size_t nibble_context_profile(const nibble_context *context,
                              const nibble_profile_entry **entries) {
  return context->functions->profile(context, entries);
}

uint64_t nibble_context_memory(const nibble_context *context) {
  return context->functions->memory(context);
}

nibble_status nibble_context_keep_caches(nibble_context *context,
                                         const nibble_cache_options *options) {
  if (!context)
    return nullContext("nibble_context_keep_caches");
  return context->functions->keepCaches(context, options);
}

nibble_status nibble_context_truncate_caches(nibble_context *context,
                                             int64_t length) {
  if (!context)
    return nullContext("nibble_context_truncate_caches");
  return context->functions->truncateCaches(context, length);
}

void nibble_context_cache_state(const nibble_context *context,
                                nibble_cache_state *state) {
  context->functions->cacheState(context, state);
}

nibble_status nibble_context_read_cache(nibble_context *context, size_t index,
                                        nibble_tensor *output) {
  if (!context)
    return nullContext("nibble_context_read_cache");
  return context->functions->readCache(context, index, output);
}

nibble_status nibble_context_observe(nibble_context *context,
                                     nibble_observer observer, void *user) {
  if (!context)
    return nullContext("nibble_context_observe");
  return context->functions->observe(context, observer, user);
}
