//===- Cuda.h -*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Models on NVIDIA GPUs. A device of a model has the kernels and the weights,
// for all contexts; a context has a stream, in which all of its work happens in
// order, and the twins of its buffers.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_CUDA_H
#define NIBBLE_LIB_RUNTIME_CUDA_H

#include "CudaDriver.h"
#include "Device.h"

struct NibbleDevice {
  struct NibbleDevice *next; ///< of the same model
  const CudaDriver *driver;
  int32_t index; ///< as the user counts
  CudaOrdinal ordinal;
  CudaContext context; ///< the primary one, shared with other libraries
  CudaModule module;
  CudaFunction *functions; ///< by the descriptor's kernels
  CudaPointer weights;
  char name[96];
};

/// A buffer of the host and its twin.
typedef struct DeviceBuffer {
  const char *host;
  uint64_t bytes;     ///< that are used
  uint64_t capacity;  ///< of the twin
  CudaPointer device; ///< 0: has no twin
  bool inUse;         ///< else: the twin is kept for the next use
  bool temporary;     ///< an input of this run
  bool tracked;       ///< not of the pool, and no caller writes to it
  bool onHost, onDevice;
} DeviceBuffer;

struct NibbleDeviceContext {
  struct NibbleDevice *device;
  CudaStream stream;
  DeviceBuffer *buffers; ///< by address of the host
  size_t count, room;
  uint64_t bytes; ///< of the twins
  bool entered;   ///< a run is under way
  /// Twins of inputs whose run has ended, for the next one.
  DeviceBuffer *spare;
  size_t spareCount;
  PoolWatcher watcher;
  void **parameters; ///< of a launch, as many as any kernel takes
  int64_t *values;
};

/// The device `index` of the model with kernels and weights, loaded once.
nibble_status nibbleCudaOpenDevice(nibble_model *model, int32_t index,
                                   struct NibbleDevice **device,
                                   NibbleError *error);
void nibbleCudaFreeModel(nibble_model *model);

/// The context of the driver becomes current, and what was so before.
nibble_status nibbleCudaEnter(struct NibbleDevice *device, NibbleError *error);
void nibbleCudaLeave(struct NibbleDevice *device);

// Buffers. The context of the driver is current.

/// A new buffer at `host`, in use and valid nowhere. NULL: out of memory.
DeviceBuffer *nibbleCudaAddBuffer(struct NibbleDeviceContext *context,
                                  const void *host, uint64_t bytes);
void nibbleCudaRemoveBuffer(struct NibbleDeviceContext *context,
                            const void *host);
DeviceBuffer *nibbleCudaFindBuffer(struct NibbleDeviceContext *context,
                                   const void *address);
/// Inputs of a run, until the second is called; up to `most` twins are kept.
nibble_status nibbleCudaAddInputs(nibble_context *context);
void nibbleCudaRemoveInputs(struct NibbleDeviceContext *context, size_t most);
/// Make the twin ready for a kernel: it exists, and holds what the host has.
nibble_status nibbleCudaUseOnDevice(nibble_context *context,
                                    DeviceBuffer *buffer, bool write);
nibble_status nibbleCudaUseOnHost(nibble_context *context, const void *address,
                                  int32_t access);
void nibbleCudaFreeBuffers(struct NibbleDeviceContext *context);

/// Free and total memory of the current device, 0 if it does not say.
void nibbleCudaMemory(const CudaDriver *driver, uint64_t *free,
                      uint64_t *total);

#endif // NIBBLE_LIB_RUNTIME_CUDA_H
