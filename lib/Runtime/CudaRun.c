//===- CudaRun.c -*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

//===----------------------------------------------------------------------===//
// Memory of the pool
//===----------------------------------------------------------------------===//

static bool useMemory(void *user, void *memory, uint64_t bytes, uint64_t size) {
  struct NibbleDeviceContext *c = user;
  DeviceBuffer *buffer = nibbleCudaFindBuffer(c, memory);
  if (!buffer || buffer->host != (const char *)memory)
    buffer = nibbleCudaAddBuffer(c, memory, size);
  if (!buffer)
    return false;
  buffer->bytes = bytes;
  buffer->inUse = true;
  buffer->onHost = buffer->onDevice = false;
  return true;
}

static void releaseMemory(void *user, void *memory) {
  DeviceBuffer *buffer = nibbleCudaFindBuffer(user, memory);
  if (!buffer)
    return;
  // Kernels that use the twin come before those of its next use.
  buffer->inUse = buffer->onHost = buffer->onDevice = false;
}

static void endMemory(void *user, void *memory) {
  struct NibbleDeviceContext *c = user;
  NibbleError ignored;
  bool enter = !c->entered;
  if (enter && nibbleCudaEnter(c->device, &ignored) != NIBBLE_OK)
    return;
  nibbleCudaRemoveBuffer(c, memory);
  if (enter)
    nibbleCudaLeave(c->device);
}

//===----------------------------------------------------------------------===//
// Contexts
//===----------------------------------------------------------------------===//

static void freeContext(nibble_context *context) {
  struct NibbleDeviceContext *c = context->device;
  NibbleError ignored;
  if (nibbleCudaEnter(c->device, &ignored) == NIBBLE_OK) {
    if (c->stream)
      c->device->driver->streamSynchronize(c->stream);
    nibbleCudaFreeBuffers(c);
    if (c->stream)
      c->device->driver->streamDestroy(c->stream);
    nibbleCudaLeave(c->device);
  }
  free(c->parameters);
  free(c->values);
  free(c);
  context->device = NULL;
}

static bool allocateTables(nibble_context *context) {
  const nibble_model_descriptor *d = context->model->descriptor;
  struct NibbleDeviceContext *c = context->device;
  size_t most = 1;
  for (uint64_t i = 0; i != d->device->kernel_count; ++i) {
    size_t length = strlen(d->device->kernels[i].parameters);
    most = length > most ? length : most;
  }
  c->parameters = calloc(most, sizeof(void *));
  c->values = calloc(most, sizeof(int64_t));
  c->spare = calloc(d->input_count + 1, sizeof(DeviceBuffer));
  return c->parameters && c->values && c->spare;
}

static nibble_status createContext(nibble_context *context, int32_t index,
                                   NibbleError *error) {
  struct NibbleDevice *device;
  // A model does not change for those who use it, but it learns of devices.
  nibble_status status = nibbleCudaOpenDevice((nibble_model *)context->model,
                                              index, &device, error);
  if (status != NIBBLE_OK)
    return status;
  struct NibbleDeviceContext *c = calloc(1, sizeof(*c));
  if (!c)
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY, "out of memory");
  context->device = c;
  c->device = device;
  c->watcher = (PoolWatcher){
      .user = c, .use = useMemory, .release = releaseMemory, .end = endMemory};
  context->pool.watcher = &c->watcher;
  if (!allocateTables(context))
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY, "out of memory");
  status = nibbleCudaEnter(device, error);
  if (status != NIBBLE_OK)
    return status;
  status = nibbleCudaCheck(
      device->driver,
      device->driver->streamCreate(&c->stream, CudaStreamNonBlocking),
      "can't make a stream", error);
  nibbleCudaLeave(device);
  return status;
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

static nibble_status beginRun(nibble_context *context) {
  struct NibbleDeviceContext *c = context->device;
  nibble_status status = nibbleCudaEnter(c->device, &context->error);
  if (status != NIBBLE_OK)
    return status;
  c->entered = true;
  return nibbleCudaAddInputs(context);
}

static nibble_status synchronize(nibble_context *context) {
  struct NibbleDeviceContext *c = context->device;
  return nibbleCudaCheck(c->device->driver,
                         c->device->driver->streamSynchronize(c->stream),
                         "a kernel failed", &context->error);
}

static nibble_status endRun(nibble_context *context, nibble_status status) {
  struct NibbleDeviceContext *c = context->device;
  if (!c->entered)
    return status;
  // What an earlier error says counts.
  if (status == NIBBLE_OK)
    status = synchronize(context);
  else
    c->device->driver->streamSynchronize(c->stream);
  nibbleCudaRemoveInputs(c, context->model->descriptor->input_count);
  nibbleCudaLeave(c->device);
  c->entered = false;
  return status;
}

static nibble_status useOnHost(nibble_context *context, const void *address,
                               int32_t access) {
  return nibbleCudaUseOnHost(context, address, access);
}

static nibble_status track(nibble_context *context, const void *address,
                           uint64_t bytes) {
  DeviceBuffer *buffer = nibbleCudaAddBuffer(context->device, address, bytes);
  if (!buffer)
    return nibbleSetError(&context->error, NIBBLE_OUT_OF_MEMORY,
                          "out of memory");
  buffer->tracked = buffer->onHost = true;
  return NIBBLE_OK;
}

static void forget(nibble_context *context, const void *address) {
  if (address)
    endMemory(context->device, (void *)(uintptr_t)address);
}

const struct nibble_device_functions nibble_rt_cuda = {
    .createContext = createContext,
    .freeContext = freeContext,
    .freeModel = nibbleCudaFreeModel,
    .beginRun = beginRun,
    .endRun = endRun,
    .synchronize = synchronize,
    .useOnHost = useOnHost,
    .track = track,
    .forget = forget,
};

//===----------------------------------------------------------------------===//
// What compiled code calls
//===----------------------------------------------------------------------===//

/// Where the device has what the host has at `address`.
static nibble_status translate(nibble_context *context, int64_t address,
                               char access, int64_t *result) {
  struct NibbleDeviceContext *c = context->device;
  const char *host = (const char *)(uintptr_t)address;
  uint64_t offset = (uint64_t)(host - context->model->weights);
  if (offset < context->model->descriptor->device->weight_bytes) {
    *result = (int64_t)(c->device->weights + offset);
    return NIBBLE_OK;
  }
  if (offset < context->model->descriptor->weight_bytes)
    return nibbleSetError(&context->error, NIBBLE_INVALID_MODEL,
                          "a kernel reads a weight that is not on the GPU");
  DeviceBuffer *buffer = nibbleCudaFindBuffer(c, host);
  if (!buffer) {
    // Of a tensor without elements; no kernel goes there.
    *result = 0;
    return NIBBLE_OK;
  }
  nibble_status status = nibbleCudaUseOnDevice(context, buffer, access != 'r');
  *result = (int64_t)(buffer->device + (uint64_t)(host - buffer->host));
  return status;
}

static nibble_status launch(nibble_context *context, int32_t index,
                            const int64_t *words) {
  const nibble_device_kernel *kernel =
      &context->model->descriptor->device->kernels[index];
  struct NibbleDeviceContext *c = context->device;
  for (int i = 0; i != 3; ++i) {
    if (words[i] == 0)
      return NIBBLE_OK; // Nothing to compute.
    if (words[i] < 0 || words[i] > (i == 0 ? INT_MAX : 65535))
      return nibbleSetError(&context->error, NIBBLE_RUN_FAILED,
                            "kernel '%s' would need a grid of %lld x %lld x "
                            "%lld blocks",
                            kernel->name, (long long)words[0],
                            (long long)words[1], (long long)words[2]);
  }
  size_t count = strlen(kernel->parameters);
  for (size_t i = 0; i != count; ++i) {
    char access = kernel->parameters[i];
    c->values[i] = words[6 + i];
    c->parameters[i] = &c->values[i];
    if (access == '-')
      continue;
    nibble_status status =
        translate(context, words[6 + i], access, &c->values[i]);
    if (status != NIBBLE_OK)
      return status;
  }
  const CudaDriver *driver = c->device->driver;
  CudaResult result = driver->launch(
      c->device->functions[index], (unsigned)words[0], (unsigned)words[1],
      (unsigned)words[2], (unsigned)words[3], (unsigned)words[4],
      (unsigned)words[5], (unsigned)kernel->shared_bytes, c->stream,
      c->parameters, NULL);
  if (result == CudaSuccess)
    return NIBBLE_OK;
  char what[160];
  snprintf(what, sizeof(what), "can't run the kernel '%s'", kernel->name);
  return nibbleCudaCheck(driver, result, what, &context->error);
}

void nibble_rt_launch(int32_t kernel, const int64_t *words) {
  nibble_context *context = nibbleCurrentContext;
  if (!context || !context->device)
    nibble_rt_fail("a kernel is only there in a run");
  nibble_status status = launch(context, kernel, words);
  if (status != NIBBLE_OK)
    nibbleFailRun(status);
}

void nibble_rt_use_on_host(int64_t address, int32_t access) {
  nibble_context *context = nibbleCurrentContext;
  if (!context)
    return;
  nibble_status status =
      nibbleUseOnHost(context, (const void *)(uintptr_t)address, access);
  if (status != NIBBLE_OK)
    nibbleFailRun(status);
}
