//===- FakeCuda.c - A driver without a GPU -*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The functions of the CUDA driver that the runtime calls, on memory of the
// host, for tests on machines without a GPU. Calls, wrong arguments and what is
// never given back go to the file FAKE_CUDA_LOG. Others of its variables:
//
//   FAKE_CUDA_KERNELS=X.so   kernels translated by host-kernels.py, which run
//                            then; without them what they write stays zero
//   FAKE_CUDA_CHIP=90        the compute capability
//   FAKE_CUDA_DRIVER=13000   newest CUDA that it serves
//   FAKE_CUDA_DEVICES=1      GPUs
//   FAKE_CUDA_MEMORY=BYTES   of each GPU
//   FAKE_CUDA_FAIL=NAME:N:R  the N-th call of NAME, or all for 0, give the
//   result R
//
// Values are those of cuda.h: this file does not use the runtime's own.
//
//===----------------------------------------------------------------------===//

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  Success = 0,
  InvalidValue = 1,
  OutOfMemory = 2,
  NoDevice = 100,
  InvalidDevice = 101,
  InvalidImage = 200,
  InvalidContext = 201,
  NotFound = 500,
  IllegalAddress = 700
};

/// Allocations and functions at a time.
enum { Most = 4096 };

typedef void (*Kernel)(void **parameters);

typedef struct Block {
  char *memory;
  size_t bytes;
} Block;

typedef struct Function {
  char name[128];
  Kernel run; ///< or NULL
  int waits;  ///< its threads wait for each other
} Function;

static Block blocks[Most];
static Function functions[Most];
static int functionCount;

static void *hostKernels;
static size_t used;
static atomic_int pinned, modules, streams, events, contexts;
static _Thread_local int depth;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *output;

static long setting(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text ? atol(text) : otherwise;
}

static void note(const char *format, ...) {
  static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&writing);
  if (!output) {
    const char *path = getenv("FAKE_CUDA_LOG");
    output = fopen(path ? path : "/dev/null", "a");
    if (!output)
      abort();
  }
  va_list arguments;
  va_start(arguments, format);
  vfprintf(output, format, arguments);
  va_end(arguments);
  fflush(output);
  pthread_mutex_unlock(&writing);
}

/// The result that the environment asks for, or success.
static int begin(const char *name) {
  static char counted[64][64];
  static int counts[64];
  int i = 0;
  while (i != 63 && counted[i][0] && strcmp(counted[i], name) != 0)
    ++i;
  snprintf(counted[i], sizeof(counted[i]), "%s", name);
  ++counts[i];
  const char *fail = getenv("FAKE_CUDA_FAIL");
  size_t length = strlen(name);
  int number, result;
  if (!fail || strncmp(fail, name, length) != 0 || fail[length] != ':' ||
      sscanf(fail + length + 1, "%d:%d", &number, &result) != 2 ||
      (number != 0 && number != counts[i]))
    return Success;
  note("%s fails with %d\n", name, result);
  return result;
}

#define BEGIN(name)                                                            \
  do {                                                                         \
    int planned = begin(name);                                                 \
    if (planned)                                                               \
      return planned;                                                          \
  } while (0)
#define NEED_CONTEXT(name)                                                     \
  do {                                                                         \
    BEGIN(name);                                                               \
    if (depth == 0) {                                                          \
      note("error: %s without a current context\n", name);                     \
      return InvalidContext;                                                   \
    }                                                                          \
  } while (0)

__attribute__((destructor)) static void finish(void) {
  int leaked = 0;
  for (int i = 0; i != Most; ++i)
    leaked += blocks[i].memory != NULL;
  note("left: %d allocations, %d pinned, %d modules, %d streams, %d events, "
       "%d contexts, depth %d\n",
       leaked, pinned, modules, streams, events, contexts, depth);
}

/// The block that holds [address, address + bytes), or NULL.
static Block *findLocked(uint64_t address, size_t bytes) {
  for (int i = 0; i != Most; ++i) {
    uint64_t first = (uint64_t)(uintptr_t)blocks[i].memory;
    if (blocks[i].memory && address >= first &&
        address + bytes <= first + blocks[i].bytes)
      return &blocks[i];
  }
  return NULL;
}

static Block *find(uint64_t address, size_t bytes) {
  pthread_mutex_lock(&lock);
  Block *block = findLocked(address, bytes);
  pthread_mutex_unlock(&lock);
  return block;
}

int cuInit(unsigned flags) {
  BEGIN("cuInit");
  note("cuInit\n");
  return flags == 0 ? Success : InvalidValue;
}

int cuDriverGetVersion(int *version) {
  *version = (int)setting("FAKE_CUDA_DRIVER", 13000);
  return Success;
}

int cuGetErrorName(int result, const char **name) {
  static const struct {
    int result;
    const char *name;
  } names[] = {{InvalidValue, "CUDA_ERROR_INVALID_VALUE"},
               {OutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
               {NoDevice, "CUDA_ERROR_NO_DEVICE"},
               {InvalidDevice, "CUDA_ERROR_INVALID_DEVICE"},
               {InvalidImage, "CUDA_ERROR_INVALID_IMAGE"},
               {InvalidContext, "CUDA_ERROR_INVALID_CONTEXT"},
               {NotFound, "CUDA_ERROR_NOT_FOUND"},
               {IllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS"}};
  for (size_t i = 0; i != sizeof(names) / sizeof(names[0]); ++i)
    if (names[i].result == result) {
      *name = names[i].name;
      return Success;
    }
  *name = NULL;
  return InvalidValue;
}

int cuGetErrorString(int result, const char **text) {
  *text = result == IllegalAddress ? "an illegal memory access was encountered"
                                   : "a text of the driver";
  return Success;
}

int cuDeviceGetCount(int *count) {
  BEGIN("cuDeviceGetCount");
  *count = (int)setting("FAKE_CUDA_DEVICES", 1);
  return *count ? Success : NoDevice;
}

int cuDeviceGet(int *device, int index) {
  *device = index;
  return index < setting("FAKE_CUDA_DEVICES", 1) ? Success : InvalidDevice;
}

int cuDeviceGetName(char *name, int size, int device) {
  snprintf(name, (size_t)size, "Fake GPU");
  return Success;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  long chip = setting("FAKE_CUDA_CHIP", 90);
  *value = attribute == 75   ? (int)(chip / 10)
           : attribute == 76 ? (int)(chip % 10)
           : attribute == 97 ? 232448
                             : 0;
  return Success;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
  BEGIN("cuDevicePrimaryCtxRetain");
  note("cuDevicePrimaryCtxRetain %d\n", device);
  *context = &contexts;
  ++contexts;
  return Success;
}
int cuDevicePrimaryCtxRelease_v2(int device) {
  --contexts;
  return Success;
}
int cuCtxPushCurrent_v2(void *context) {
  BEGIN("cuCtxPushCurrent_v2");
  if (context != &contexts)
    return InvalidContext;
  ++depth;
  return Success;
}
int cuCtxPopCurrent_v2(void **context) {
  *context = &contexts;
  if (depth == 0)
    return InvalidContext;
  --depth;
  return Success;
}

int cuModuleLoadData(void **module, const void *image) {
  NEED_CONTEXT("cuModuleLoadData");
  int isCubin = memcmp(image, "\177ELF", 4) == 0;
  if (!isCubin && !strstr(image, ".version"))
    return InvalidImage;
  note("cuModuleLoadData %s\n", isCubin ? "cubin" : "PTX");

  *module = &modules;
  ++modules;
  return Success;
}
int cuModuleUnload(void *module) {
  NEED_CONTEXT("cuModuleUnload");
  --modules;
  return Success;
}
/// The kernel as the host runs it, if there are such.
static int findOnHost(Function *function) {
  const char *path = getenv("FAKE_CUDA_KERNELS");
  if (!path)
    return Success;
  if (!hostKernels)
    hostKernels = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  char symbol[256];
  snprintf(symbol, sizeof(symbol), "emu_run_%s", function->name);
  function->run = hostKernels ? (Kernel)dlsym(hostKernels, symbol) : NULL;
  snprintf(symbol, sizeof(symbol), "emu_waits_%s", function->name);
  int *waits = hostKernels ? dlsym(hostKernels, symbol) : NULL;
  if (!function->run || !waits) {
    note("error: %s has no kernel %s (%s)\n", path, function->name,
         hostKernels ? "no symbol" : dlerror());
    return NotFound;
  }
  function->waits = *waits;
  return Success;
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
  NEED_CONTEXT("cuModuleGetFunction");
  if (functionCount == Most)
    return NotFound;
  Function *result = &functions[functionCount++];
  snprintf(result->name, sizeof(result->name), "%s", name);
  if (findOnHost(result) != Success)
    return NotFound;
  *function = result;
  return Success;
}
int cuFuncSetAttribute(void *function, int attribute, int value) {
  NEED_CONTEXT("cuFuncSetAttribute");
  note("cuFuncSetAttribute %s %d %d\n", ((Function *)function)->name, attribute,
       value);
  return Success;
}

int cuMemGetInfo_v2(size_t *free, size_t *total) {
  NEED_CONTEXT("cuMemGetInfo_v2");
  *total = (size_t)setting("FAKE_CUDA_MEMORY", 1L << 30);
  *free = *total - used;
  return Success;
}
static int allocate(uint64_t *pointer, size_t bytes) {
  if (bytes == 0)
    return InvalidValue;
  if (used + bytes > (size_t)setting("FAKE_CUDA_MEMORY", 1L << 30))
    return OutOfMemory;
  for (int i = 0; i != Most; ++i) {
    if (blocks[i].memory)
      continue;
    blocks[i] = (Block){calloc(1, bytes), bytes};
    used += bytes;
    note("cuMemAlloc_v2 %zu\n", bytes);
    *pointer = (uint64_t)(uintptr_t)blocks[i].memory;
    return Success;
  }
  return OutOfMemory;
}
int cuMemAlloc_v2(uint64_t *pointer, size_t bytes) {
  NEED_CONTEXT("cuMemAlloc_v2");
  pthread_mutex_lock(&lock);
  int result = allocate(pointer, bytes);
  pthread_mutex_unlock(&lock);
  return result;
}
static int release(uint64_t pointer) {
  Block *block = findLocked(pointer, 0);
  if (!block || (uint64_t)(uintptr_t)block->memory != pointer) {
    note("error: cuMemFree_v2 of what was not allocated\n");
    return InvalidValue;
  }
  note("cuMemFree_v2 %zu\n", block->bytes);
  used -= block->bytes;
  free(block->memory);
  block->memory = NULL;
  return Success;
}
int cuMemFree_v2(uint64_t pointer) {
  NEED_CONTEXT("cuMemFree_v2");
  pthread_mutex_lock(&lock);
  int result = release(pointer);
  pthread_mutex_unlock(&lock);
  return result;
}
int cuMemAllocHost_v2(void **pointer, size_t bytes) {
  NEED_CONTEXT("cuMemAllocHost_v2");
  *pointer = malloc(bytes);
  ++pinned;
  return Success;
}
int cuMemFreeHost(void *pointer) {
  NEED_CONTEXT("cuMemFreeHost");
  free(pointer);
  --pinned;
  return Success;
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes,
                         void *stream) {
  NEED_CONTEXT("cuMemcpyHtoDAsync_v2");
  if (!find(to, bytes)) {
    note("error: cuMemcpyHtoDAsync_v2 beyond an allocation\n");
    return InvalidValue;
  }
  note("cuMemcpyHtoDAsync_v2 %zu\n", bytes);
  memcpy((void *)(uintptr_t)to, from, bytes);
  return Success;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
  NEED_CONTEXT("cuMemcpyDtoHAsync_v2");
  if (!find(from, bytes)) {
    note("error: cuMemcpyDtoHAsync_v2 beyond an allocation\n");
    return InvalidValue;
  }
  note("cuMemcpyDtoHAsync_v2 %zu\n", bytes);
  memcpy(to, (void *)(uintptr_t)from, bytes);
  return Success;
}

int cuStreamCreate(void **stream, unsigned flags) {
  NEED_CONTEXT("cuStreamCreate");
  *stream = &streams;
  ++streams;
  return Success;
}
int cuStreamDestroy_v2(void *stream) {
  NEED_CONTEXT("cuStreamDestroy_v2");
  --streams;
  return Success;
}
int cuStreamSynchronize(void *stream) {
  NEED_CONTEXT("cuStreamSynchronize");
  note("cuStreamSynchronize\n");
  return Success;
}
int cuEventCreate(void **event, unsigned flags) {
  NEED_CONTEXT("cuEventCreate");
  *event = &events;
  ++events;
  return Success;
}
int cuEventRecord(void *event, void *stream) { return Success; }
int cuEventSynchronize(void *event) { return Success; }
int cuEventDestroy_v2(void *event) {
  --events;
  return Success;
}

int cuLaunchKernel(void *function, unsigned gridX, unsigned gridY,
                   unsigned gridZ, unsigned blockX, unsigned blockY,
                   unsigned blockZ, unsigned sharedBytes, void *stream,
                   void **parameters, void **extra) {
  NEED_CONTEXT("cuLaunchKernel");
  note("cuLaunchKernel %s grid %ux%ux%u block %ux%ux%u shared %u\n",
       ((Function *)function)->name, gridX, gridY, gridZ, blockX, blockY,
       blockZ, sharedBytes);
  if (!gridX || !gridY || !gridZ || !blockX || !blockY || !blockZ)
    return InvalidValue;
  const Function *kernel = function;
  if (!kernel->run)
    return Success;
  int (*run)(Kernel, int, const unsigned *, const unsigned *, void **) =
      dlsym(hostKernels, "emu_launch");
  const unsigned grid[] = {gridX, gridY, gridZ};
  const unsigned block[] = {blockX, blockY, blockZ};
  if (run && run(kernel->run, kernel->waits, grid, block, parameters))
    return Success;
  note("error: threads of %s wait in vain\n", kernel->name);
  return IllegalAddress;
}
