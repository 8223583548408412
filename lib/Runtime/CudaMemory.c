//===- CudaMemory.c -*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Check.h"
#include "Cuda.h"

#include <stdlib.h>
#include <string.h>

//===----------------------------------------------------------------------===//
// The list of buffers
//===----------------------------------------------------------------------===//

/// Number of buffers that begin at or before `address`.
static size_t upperBound(const struct NibbleDeviceContext *c,
                         const char *address) {
  size_t low = 0, high = c->count;
  while (low != high) {
    size_t middle = low + (high - low) / 2;
    if (c->buffers[middle].host <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

DeviceBuffer *nibbleCudaFindBuffer(struct NibbleDeviceContext *c,
                                   const void *address) {
  size_t end = upperBound(c, address);
  if (end == 0)
    return NULL;
  DeviceBuffer *buffer = &c->buffers[end - 1];
  uint64_t offset = (uint64_t)((const char *)address - buffer->host);
  // An empty view may point to the end of its buffer.
  return offset < buffer->bytes || offset == 0 ? buffer : NULL;
}

DeviceBuffer *nibbleCudaAddBuffer(struct NibbleDeviceContext *c,
                                  const void *host, uint64_t bytes) {
  if (c->count == c->room) {
    size_t room = c->room ? 2 * c->room : 64;
    DeviceBuffer *larger = realloc(c->buffers, room * sizeof(DeviceBuffer));
    if (!larger)
      return NULL;
    c->buffers = larger;
    c->room = room;
  }
  size_t at = upperBound(c, host);
  memmove(&c->buffers[at + 1], &c->buffers[at],
          (c->count - at) * sizeof(DeviceBuffer));
  ++c->count;
  c->buffers[at] = (DeviceBuffer){
      .host = host, .bytes = bytes, .capacity = bytes, .inUse = true};
  return &c->buffers[at];
}

static void freeTwin(struct NibbleDeviceContext *c, DeviceBuffer *buffer) {
  if (!buffer->device)
    return;
  c->device->driver->release(buffer->device);
  c->bytes -= buffer->capacity;
  buffer->device = 0;
  buffer->onDevice = false;
}

void nibbleCudaRemoveBuffer(struct NibbleDeviceContext *c, const void *host) {
  DeviceBuffer *buffer = nibbleCudaFindBuffer(c, host);
  if (!buffer || buffer->host != host)
    return;
  freeTwin(c, buffer);
  size_t at = (size_t)(buffer - c->buffers);
  --c->count;
  memmove(buffer, buffer + 1, (c->count - at) * sizeof(DeviceBuffer));
}

void nibbleCudaFreeBuffers(struct NibbleDeviceContext *c) {
  for (size_t i = 0; i != c->count; ++i)
    freeTwin(c, &c->buffers[i]);
  for (size_t i = 0; i != c->spareCount; ++i)
    freeTwin(c, &c->spare[i]);
  free(c->buffers);
  free(c->spare);
}

//===----------------------------------------------------------------------===//
// Memory of the device
//===----------------------------------------------------------------------===//

/// Give back what no buffer in use has. Nothing may run that still reads it.
static bool freeUnused(struct NibbleDeviceContext *c) {
  uint64_t before = c->bytes;
  c->device->driver->streamSynchronize(c->stream);
  for (size_t i = 0; i != c->count; ++i)
    if (!c->buffers[i].inUse)
      freeTwin(c, &c->buffers[i]);
  for (size_t i = 0; i != c->spareCount; ++i)
    freeTwin(c, &c->spare[i]);
  c->spareCount = 0;
  return c->bytes != before;
}

static nibble_status makeTwin(nibble_context *context, DeviceBuffer *buffer) {
  struct NibbleDeviceContext *c = context->device;
  const CudaDriver *driver = c->device->driver;
  CudaResult result = driver->allocate(&buffer->device, buffer->capacity);
  if (result == CudaOutOfMemory && freeUnused(c))
    result = driver->allocate(&buffer->device, buffer->capacity);
  if (result == CudaSuccess) {
    c->bytes += buffer->capacity;
    return NIBBLE_OK;
  }
  buffer->device = 0;
  if (result != CudaOutOfMemory)
    return nibbleCudaCheck(driver, result, "can't get memory of the GPU",
                           &context->error);
  uint64_t free, total;
  nibbleCudaMemory(driver, &free, &total);
  return nibbleSetError(
      &context->error, NIBBLE_OUT_OF_MEMORY,
      "out of memory on GPU %d (%s): a value needs %llu bytes, %llu of %llu "
      "are free, and the context holds %llu",
      c->device->index, c->device->name, (unsigned long long)buffer->capacity,
      (unsigned long long)free, (unsigned long long)total,
      (unsigned long long)c->bytes);
}

nibble_status nibbleCudaUseOnDevice(nibble_context *context,
                                    DeviceBuffer *buffer, bool write) {
  struct NibbleDeviceContext *c = context->device;
  nibble_status status = NIBBLE_OK;
  if (!buffer->device)
    status = makeTwin(context, buffer);
  if (status == NIBBLE_OK && buffer->onHost && !buffer->onDevice) {
    const CudaDriver *driver = c->device->driver;
    status = nibbleCudaCheck(driver,
                             driver->toDevice(buffer->device, buffer->host,
                                              buffer->bytes, c->stream),
                             "can't copy to the GPU", &context->error);
    buffer->onDevice = status == NIBBLE_OK;
  }
  if (write && status == NIBBLE_OK) {
    buffer->onDevice = true;
    buffer->onHost = false;
  }
  return status;
}

nibble_status nibbleCudaUseOnHost(nibble_context *context, const void *address,
                                  int32_t access) {
  struct NibbleDeviceContext *c = context->device;
  DeviceBuffer *buffer = nibbleCudaFindBuffer(c, address);
  if (!buffer)
    return NIBBLE_OK;
  if ((access & NibbleRead) && buffer->onDevice && !buffer->onHost) {
    const CudaDriver *driver = c->device->driver;
    nibble_status status = NIBBLE_OK;
    if (!c->entered)
      status = nibbleCudaEnter(c->device, &context->error);
    if (status != NIBBLE_OK)
      return status;
    CudaResult result =
        driver->toHost((void *)(uintptr_t)buffer->host, buffer->device,
                       buffer->bytes, c->stream);
    if (result == CudaSuccess)
      result = driver->streamSynchronize(c->stream);
    if (!c->entered)
      nibbleCudaLeave(c->device);
    status = nibbleCudaCheck(driver, result, "can't copy from the GPU",
                             &context->error);
    if (status != NIBBLE_OK)
      return status;
    buffer->onHost = true;
  }
  if (access & NibbleWrite) {
    buffer->onHost = true;
    buffer->onDevice = false;
  }
  return NIBBLE_OK;
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

/// A twin of an earlier run that is large enough.
static void takeSpare(struct NibbleDeviceContext *c, DeviceBuffer *buffer) {
  for (size_t i = 0; i != c->spareCount; ++i) {
    if (c->spare[i].capacity < buffer->bytes)
      continue;
    buffer->device = c->spare[i].device;
    buffer->capacity = c->spare[i].capacity;
    c->spare[i] = c->spare[--c->spareCount];
    return;
  }
}

/// One input. Callers may give the same memory for several of them, or parts of
/// one buffer.
static bool addInput(struct NibbleDeviceContext *c, const char *host,
                     uint64_t bytes) {
  const char *end = host + bytes;
  // A buffer that begins inside of this one becomes a part of it.
  for (size_t i = upperBound(c, host);
       i != c->count && c->buffers[i].host < end;) {
    if (!c->buffers[i].temporary)
      return true;
    if (c->buffers[i].host + c->buffers[i].bytes > end)
      end = c->buffers[i].host + c->buffers[i].bytes;
    nibbleCudaRemoveBuffer(c, c->buffers[i].host);
  }
  DeviceBuffer *buffer = nibbleCudaFindBuffer(c, host);
  if (buffer) {
    uint64_t needed = (uint64_t)(end - buffer->host);
    if (buffer->temporary && needed > buffer->bytes) {
      freeTwin(c, buffer);
      buffer->bytes = buffer->capacity = needed;
    }
    // An output of the run before: its caller may have changed it.
    if (!buffer->tracked && buffer->onHost)
      buffer->onDevice = false;
    return true;
  }
  buffer = nibbleCudaAddBuffer(c, host, (uint64_t)(end - host));
  if (!buffer)
    return false;
  buffer->temporary = buffer->onHost = true;
  takeSpare(c, buffer);
  return true;
}

nibble_status nibbleCudaAddInputs(nibble_context *context) {
  struct NibbleDeviceContext *c = context->device;
  for (uint64_t i = 0; i != context->model->descriptor->input_count; ++i) {
    const nibble_tensor *input = context->inputs[i];
    uint64_t bytes = 0;
    (void)nibbleByteSize(input->dims, input->rank, input->dtype, &bytes);
    if (bytes && !addInput(c, input->data, bytes))
      return nibbleSetError(&context->error, NIBBLE_OUT_OF_MEMORY,
                            "out of memory");
  }
  return NIBBLE_OK;
}

void nibbleCudaRemoveInputs(struct NibbleDeviceContext *c, size_t most) {
  size_t kept = 0;
  for (size_t i = 0; i != c->count; ++i) {
    DeviceBuffer *buffer = &c->buffers[i];
    if (!buffer->temporary) {
      c->buffers[kept++] = *buffer;
      continue;
    }
    if (buffer->device && c->spareCount < most)
      c->spare[c->spareCount++] = *buffer;
    else
      freeTwin(c, buffer);
  }
  c->count = kept;
}
