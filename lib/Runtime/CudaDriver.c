//===- CudaDriver.c -*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CudaDriver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
  const char *symbol;
  size_t offset;
} functions[] = {
#define ENTRY(field, symbol, parameters) {symbol, offsetof(CudaDriver, field)},
    CUDA_DRIVER_FUNCTIONS(ENTRY)
#undef ENTRY
};

static CudaDriver driver;
static bool opened;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

nibble_status nibbleCudaCheck(const CudaDriver *d, CudaResult result,
                              const char *what, NibbleError *error) {
  if (result == CudaSuccess)
    return NIBBLE_OK;
  const char *name = NULL, *text = NULL;
  d->errorName(result, &name);
  d->errorString(result, &text);
  char number[32];
  if (!name) {
    snprintf(number, sizeof(number), "CUDA error %d", result);
    name = number;
  }
  return nibbleSetError(error,
                        result == CudaOutOfMemory ? NIBBLE_OUT_OF_MEMORY
                                                  : NIBBLE_DEVICE_ERROR,
                        "%s: %s (%s)", what, name, text ? text : "no text");
}

static bool openDriver(NibbleError *error) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    nibbleSetError(error, NIBBLE_DEVICE_ERROR,
                   "this machine has no NVIDIA driver (%s): install one, or "
                   "compile the model with --target=cpu",
                   reason ? reason : "libcuda.so.1 can't be opened");
    return false;
  }
  for (size_t i = 0; i != sizeof(functions) / sizeof(functions[0]); ++i) {
    void *function = dlsym(library, functions[i].symbol);
    if (!function) {
      nibbleSetError(error, NIBBLE_DEVICE_ERROR,
                     "the NVIDIA driver is too old: it has no function %s; "
                     "models need one of CUDA 12.0 (525.60) or newer",
                     functions[i].symbol);
      dlclose(library);
      return false;
    }
    memcpy((char *)&driver + functions[i].offset, &function, sizeof(function));
  }
  // Not closed from here on: it has threads of its own.
  CudaResult result = driver.init(0);
  if (result == CudaSuccess)
    result = driver.driverVersion(&driver.version);
  return nibbleCudaCheck(&driver, result, "the NVIDIA driver does not start",
                         error) == NIBBLE_OK;
}

const CudaDriver *nibbleCudaDriver(NibbleError *error) {
  pthread_mutex_lock(&lock);
  if (!opened)
    opened = openDriver(error);
  pthread_mutex_unlock(&lock);
  return opened ? &driver : NULL;
}
