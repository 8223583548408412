//===- Device.h -*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A model with kernels for a device names a table of these functions; others
// reach none of them, and their binaries do not hold them.
//
// A buffer of the host that a kernel uses has a twin on the device. Which of
// the two is valid is known here alone: kernels and the host say what they are
// about to use, and copies are made when the other side has what is needed.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_DEVICE_H
#define NIBBLE_LIB_RUNTIME_DEVICE_H

#include "Internal.h"

/// What the host does with a buffer; bits.
enum { NibbleRead = 1, NibbleWrite = 2 };

struct nibble_device_functions {
  /// Choose the device, load kernels and weights unless another context has.
  nibble_status (*createContext)(nibble_context *context, int32_t device,
                                 NibbleError *error);
  void (*freeContext)(nibble_context *context);
  void (*freeModel)(nibble_model *model);
  /// Around a run whose inputs are checked. `endRun` takes and returns its
  /// status, and the text of an error in the context.
  nibble_status (*beginRun)(nibble_context *context);
  nibble_status (*endRun)(nibble_context *context, nibble_status status);
  /// Wait for all kernels.
  nibble_status (*synchronize)(nibble_context *context);
  /// See nibble_rt_use_on_host; `address` that is in no buffer is the host's.
  nibble_status (*useOnHost)(nibble_context *context, const void *address,
                             int32_t access);
  /// A buffer that is not of the pool, valid on the host, and its end.
  nibble_status (*track)(nibble_context *context, const void *address,
                         uint64_t bytes);
  void (*forget)(nibble_context *context, const void *address);
};

static inline const struct nibble_device_functions *
nibbleDeviceFunctions(const nibble_context *context) {
  return context->device ? context->model->descriptor->device->functions : NULL;
}

// As above; without a device they do nothing.

static inline nibble_status
nibbleUseOnHost(nibble_context *context, const void *address, int32_t access) {
  const struct nibble_device_functions *f = nibbleDeviceFunctions(context);
  return f ? f->useOnHost(context, address, access) : NIBBLE_OK;
}

static inline nibble_status nibbleTrack(nibble_context *context,
                                        const void *address, uint64_t bytes) {
  const struct nibble_device_functions *f = nibbleDeviceFunctions(context);
  return f ? f->track(context, address, bytes) : NIBBLE_OK;
}

static inline void nibbleForget(nibble_context *context, const void *address) {
  const struct nibble_device_functions *f = nibbleDeviceFunctions(context);
  if (f)
    f->forget(context, address);
}

#endif // NIBBLE_LIB_RUNTIME_DEVICE_H
