//===- CudaDriver.h -*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The part of the CUDA driver API (CUDA Toolkit documentation, "CUDA Driver
// API") that running a model takes. The driver is opened when a model needs
// it, so that programs start on machines without one; its header is not used,
// so that they are built without a toolkit.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_CUDADRIVER_H
#define NIBBLE_LIB_RUNTIME_CUDADRIVER_H

#include "Error.h"

// Types as the driver's ABI has them.
typedef int CudaResult;
typedef int CudaOrdinal;
typedef uint64_t CudaPointer;
typedef struct CudaContextHandle *CudaContext;
typedef struct CudaModuleHandle *CudaModule;
typedef struct CudaFunctionHandle *CudaFunction;
typedef struct CudaStreamHandle *CudaStream;
typedef struct CudaEventHandle *CudaEvent;

// Values of its enumerations.
enum {
  CudaSuccess = 0,
  CudaOutOfMemory = 2,
  CudaNoDevice = 100,
  CudaAttributeMajor = 75, ///< of the compute capability
  CudaAttributeMinor = 76,
  CudaAttributeSharedBytes = 97, ///< per block, for those who ask for it
  CudaFunctionSharedBytes = 8,   ///< dynamic, beyond 48 KiB
  CudaStreamNonBlocking = 1,
  CudaEventNoTiming = 2
};

/// X(field, symbol, parameters): names carry the version of the ABI.
#define CUDA_DRIVER_FUNCTIONS(X)                                               \
  X(init, "cuInit", (unsigned flags))                                          \
  X(driverVersion, "cuDriverGetVersion", (int *version))                       \
  X(errorName, "cuGetErrorName", (CudaResult result, const char **name))       \
  X(errorString, "cuGetErrorString", (CudaResult result, const char **text))   \
  X(deviceCount, "cuDeviceGetCount", (int *count))                             \
  X(deviceGet, "cuDeviceGet", (CudaOrdinal * device, int index))               \
  X(deviceName, "cuDeviceGetName", (char *name, int size, CudaOrdinal device)) \
  X(deviceAttribute, "cuDeviceGetAttribute",                                   \
    (int *value, int attribute, CudaOrdinal device))                           \
  X(contextRetain, "cuDevicePrimaryCtxRetain",                                 \
    (CudaContext * context, CudaOrdinal device))                               \
  X(contextRelease, "cuDevicePrimaryCtxRelease_v2", (CudaOrdinal device))      \
  X(contextPush, "cuCtxPushCurrent_v2", (CudaContext context))                 \
  X(contextPop, "cuCtxPopCurrent_v2", (CudaContext * context))                 \
  X(moduleLoad, "cuModuleLoadData", (CudaModule * module, const void *image))  \
  X(moduleUnload, "cuModuleUnload", (CudaModule module))                       \
  X(moduleFunction, "cuModuleGetFunction",                                     \
    (CudaFunction * function, CudaModule module, const char *name))            \
  X(functionAttribute, "cuFuncSetAttribute",                                   \
    (CudaFunction function, int attribute, int value))                         \
  X(memoryInfo, "cuMemGetInfo_v2", (size_t *free, size_t *total))              \
  X(allocate, "cuMemAlloc_v2", (CudaPointer * pointer, size_t bytes))          \
  X(release, "cuMemFree_v2", (CudaPointer pointer))                            \
  X(allocateHost, "cuMemAllocHost_v2", (void **pointer, size_t bytes))         \
  X(releaseHost, "cuMemFreeHost", (void *pointer))                             \
  X(toDevice, "cuMemcpyHtoDAsync_v2",                                          \
    (CudaPointer to, const void *from, size_t bytes, CudaStream stream))       \
  X(toHost, "cuMemcpyDtoHAsync_v2",                                            \
    (void *to, CudaPointer from, size_t bytes, CudaStream stream))             \
  X(streamCreate, "cuStreamCreate", (CudaStream * stream, unsigned flags))     \
  X(streamDestroy, "cuStreamDestroy_v2", (CudaStream stream))                  \
  X(streamSynchronize, "cuStreamSynchronize", (CudaStream stream))             \
  X(eventCreate, "cuEventCreate", (CudaEvent * event, unsigned flags))         \
  X(eventRecord, "cuEventRecord", (CudaEvent event, CudaStream stream))        \
  X(eventSynchronize, "cuEventSynchronize", (CudaEvent event))                 \
  X(eventDestroy, "cuEventDestroy_v2", (CudaEvent event))                      \
  X(launch, "cuLaunchKernel",                                                  \
    (CudaFunction function, unsigned gridX, unsigned gridY, unsigned gridZ,    \
     unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,  \
     CudaStream stream, void **parameters, void **extra))

typedef struct CudaDriver {
#define FIELD(field, symbol, parameters) CudaResult(*field) parameters;
  CUDA_DRIVER_FUNCTIONS(FIELD)
#undef FIELD
  int version; ///< newest CUDA that it serves: 12040 for 12.4
} CudaDriver;

/// The driver, opened and initialized at the first call. NULL and the reason in
/// `error` if there is none.
const CudaDriver *nibbleCudaDriver(NibbleError *error);

/// NIBBLE_OK, or the error "<what>: <name of the result> (<its text>)".
nibble_status nibbleCudaCheck(const CudaDriver *driver, CudaResult result,
                              const char *what, NibbleError *error);

#endif // NIBBLE_LIB_RUNTIME_CUDADRIVER_H
