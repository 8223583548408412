//===- CudaDevice.c -*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cuda.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Guards the lists of devices of all models.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum { StagingBytes = 8 << 20 };

nibble_status nibbleCudaEnter(struct NibbleDevice *device, NibbleError *error) {
  return nibbleCudaCheck(device->driver,
                         device->driver->contextPush(device->context),
                         "can't use the GPU", error);
}

void nibbleCudaLeave(struct NibbleDevice *device) {
  CudaContext context;
  device->driver->contextPop(&context);
}

void nibbleCudaMemory(const CudaDriver *driver, uint64_t *free,
                      uint64_t *total) {
  size_t available = 0, all = 0;
  if (driver->memoryInfo(&available, &all) != CudaSuccess)
    available = all = 0;
  *free = available;
  *total = all;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

static bool runsOn(const nibble_device_image *image, uint32_t chip) {
  if (image->exact)
    return image->chip == chip;
  // Machine code is for one major version; PTX for all that come later.
  return image->chip <= chip &&
         (image->kind == NIBBLE_IMAGE_PTX || image->chip / 10 == chip / 10);
}

/// Whether `a` is to be tried before `b`: code before PTX, newer before older.
static bool isBetter(const nibble_device_image *a,
                     const nibble_device_image *b) {
  if (!b || a->kind != b->kind)
    return !b || a->kind < b->kind;
  return a->chip != b->chip ? a->chip > b->chip : a->exact > b->exact;
}

/// The best image that this GPU and driver take, of this kind or one after it.
static const nibble_device_image *findImage(const nibble_device_code *code,
                                            uint32_t chip, int driver,
                                            uint32_t kind) {
  const nibble_device_image *best = NULL;
  for (uint64_t i = 0; i != code->image_count; ++i) {
    const nibble_device_image *image = &code->images[i];
    if (image->kind >= kind && runsOn(image, chip) &&
        image->driver <= (uint32_t)driver && isBetter(image, best))
      best = image;
  }
  return best;
}

/// Why no image can be used.
static nibble_status noImage(const nibble_model_descriptor *d, uint32_t chip,
                             const struct NibbleDevice *device,
                             NibbleError *error) {
  const nibble_device_code *code = d->device;
  uint32_t needed = 0;
  char chips[256] = "";
  size_t length = 0;
  for (uint64_t i = 0; i != code->image_count; ++i) {
    const nibble_device_image *image = &code->images[i];
    if (runsOn(image, chip) && (!needed || image->driver < needed))
      needed = image->driver;
    if (image->kind == NIBBLE_IMAGE_CUBIN && length < sizeof(chips))
      length += (size_t)snprintf(chips + length, sizeof(chips) - length, "%s%s",
                                 length ? ", " : "", image->name);
  }
  int version = device->driver->version;
  if (needed)
    return nibbleSetError(error, NIBBLE_DEVICE_ERROR,
                          "the NVIDIA driver is too old for model '%s': it "
                          "serves CUDA %d.%d, and the kernels need %u.%u: "
                          "update the driver",
                          d->name, version / 1000, version % 1000 / 10,
                          needed / 1000, needed % 1000 / 10);
  return nibbleSetError(error, NIBBLE_DEVICE_ERROR,
                        "model '%s' was compiled for %s, and GPU %d (%s) is "
                        "sm_%u: compile it with --chip=sm_%u",
                        d->name, chips, device->index, device->name, chip,
                        chip);
}

/// Machine code that the driver does not take after all is not the end, if
/// there is PTX.
static nibble_status loadModule(const nibble_model_descriptor *d, uint32_t chip,
                                struct NibbleDevice *device,
                                NibbleError *error) {
  const CudaDriver *driver = device->driver;
  const nibble_device_image *image =
      findImage(d->device, chip, driver->version, NIBBLE_IMAGE_CUBIN);
  if (!image)
    return noImage(d, chip, device, error);
  nibble_status status;
  do {
    char what[160];
    snprintf(what, sizeof(what), "can't load the kernels (%s for %s) on %s",
             image->kind == NIBBLE_IMAGE_PTX ? "PTX" : "cubin", image->name,
             device->name);
    status = nibbleCudaCheck(
        driver, driver->moduleLoad(&device->module, image->data), what, error);
    image = image->kind == NIBBLE_IMAGE_PTX
                ? NULL
                : findImage(d->device, chip, driver->version, NIBBLE_IMAGE_PTX);
  } while (status == NIBBLE_DEVICE_ERROR && image);
  return status;
}

/// Let `kernel` have the shared memory that it asks for.
static nibble_status giveShared(const nibble_device_kernel *kernel, int most,
                                CudaFunction function,
                                const struct NibbleDevice *device,
                                NibbleError *error) {
  if (kernel->shared_bytes > (uint64_t)most)
    return nibbleSetError(error, NIBBLE_DEVICE_ERROR,
                          "kernel '%s' needs %llu bytes of shared memory, "
                          "and %s has %d for a block",
                          kernel->name,
                          (unsigned long long)kernel->shared_bytes,
                          device->name, most);
  char what[160];
  snprintf(what, sizeof(what), "can't give shared memory to kernel '%s'",
           kernel->name);
  return nibbleCudaCheck(
      device->driver,
      device->driver->functionAttribute(function, CudaFunctionSharedBytes,
                                        (int)kernel->shared_bytes),
      what, error);
}

static nibble_status loadKernels(const nibble_model_descriptor *d,
                                 struct NibbleDevice *device,
                                 NibbleError *error) {
  const CudaDriver *driver = device->driver;
  const nibble_device_code *code = d->device;
  static const int attributes[] = {CudaAttributeMajor, CudaAttributeMinor,
                                   CudaAttributeSharedBytes};
  int values[3];
  CudaResult result = CudaSuccess;
  for (int i = 0; i != 3 && result == CudaSuccess; ++i)
    result =
        driver->deviceAttribute(&values[i], attributes[i], device->ordinal);
  nibble_status status = nibbleCudaCheck(
      driver, result, "can't read the properties of the GPU", error);
  if (status == NIBBLE_OK)
    status =
        loadModule(d, (uint32_t)(values[0] * 10 + values[1]), device, error);
  if (status != NIBBLE_OK)
    return status;
  device->functions = calloc(code->kernel_count + 1, sizeof(CudaFunction));
  if (!device->functions)
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY, "out of memory");
  for (uint64_t i = 0; status == NIBBLE_OK && i != code->kernel_count; ++i) {
    const nibble_device_kernel *kernel = &code->kernels[i];
    char what[160];
    snprintf(what, sizeof(what), "can't find the kernel '%s'", kernel->name);
    result = driver->moduleFunction(&device->functions[i], device->module,
                                    kernel->name);
    status = nibbleCudaCheck(driver, result, what, error);
    if (status == NIBBLE_OK && kernel->shared_bytes)
      status =
          giveShared(kernel, values[2], device->functions[i], device, error);
  }
  return status;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// Two pieces of memory that the device can read while the host fills the
/// other one.
typedef struct Staging {
  void *memory[2];
  CudaEvent done[2];
} Staging;

static void freeStaging(const CudaDriver *driver, Staging *staging) {
  for (int i = 0; i != 2; ++i) {
    if (staging->memory[i])
      driver->releaseHost(staging->memory[i]);
    if (staging->done[i])
      driver->eventDestroy(staging->done[i]);
  }
}

static CudaResult makeStaging(const CudaDriver *driver, Staging *staging) {
  CudaResult result = CudaSuccess;
  for (int i = 0; i != 2 && result == CudaSuccess; ++i) {
    result = driver->allocateHost(&staging->memory[i], StagingBytes);
    if (result == CudaSuccess)
      result = driver->eventCreate(&staging->done[i], CudaEventNoTiming);
  }
  return result;
}

/// Weights lie in a file that is mapped: read the next piece of it while the
/// one before is on its way.
static CudaResult copyWeights(const CudaDriver *driver, CudaPointer to,
                              const char *from, uint64_t bytes) {
  Staging staging = {{NULL, NULL}, {NULL, NULL}};
  CudaStream stream = NULL;
  CudaResult result = driver->streamCreate(&stream, CudaStreamNonBlocking);
  if (result == CudaSuccess)
    result = makeStaging(driver, &staging);
  for (uint64_t at = 0, piece = 0; result == CudaSuccess && at < bytes;
       ++piece) {
    int i = (int)(piece & 1);
    uint64_t size = bytes - at < StagingBytes ? bytes - at : StagingBytes;
    if (piece > 1)
      result = driver->eventSynchronize(staging.done[i]);
    memcpy(staging.memory[i], from + at, size);
    if (result == CudaSuccess)
      result = driver->toDevice(to + at, staging.memory[i], size, stream);
    if (result == CudaSuccess)
      result = driver->eventRecord(staging.done[i], stream);
    at += size;
  }
  if (stream) {
    CudaResult last = driver->streamSynchronize(stream);
    result = result == CudaSuccess ? last : result;
    driver->streamDestroy(stream);
  }
  freeStaging(driver, &staging);
  return result;
}

static nibble_status loadWeights(const nibble_model *model,
                                 struct NibbleDevice *device,
                                 NibbleError *error) {
  const CudaDriver *driver = device->driver;
  uint64_t bytes = model->descriptor->device->weight_bytes, free, total;
  if (!bytes)
    return NIBBLE_OK;
  nibbleCudaMemory(driver, &free, &total);
  CudaResult result = CudaOutOfMemory;
  if (!total || bytes <= free)
    result = driver->allocate(&device->weights, bytes);
  if (result == CudaOutOfMemory)
    return nibbleSetError(
        error, NIBBLE_OUT_OF_MEMORY,
        "out of memory on GPU %d (%s): the weights of model '%s' take %llu "
        "bytes, and %llu of %llu are free: %llu too few",
        device->index, device->name, model->descriptor->name,
        (unsigned long long)bytes, (unsigned long long)free,
        (unsigned long long)total,
        (unsigned long long)(bytes > free ? bytes - free : 0));
  if (result == CudaSuccess)
    result = copyWeights(driver, device->weights, model->weights, bytes);
  return nibbleCudaCheck(driver, result, "can't copy the weights to the GPU",
                         error);
}

//===----------------------------------------------------------------------===//
// Devices
//===----------------------------------------------------------------------===//

static void freeDevice(struct NibbleDevice *device) {
  const CudaDriver *driver = device->driver;
  if (device->context && driver->contextPush(device->context) == CudaSuccess) {
    if (device->weights)
      driver->release(device->weights);
    if (device->module)
      driver->moduleUnload(device->module);
    nibbleCudaLeave(device);
  }
  if (device->context)
    driver->contextRelease(device->ordinal);
  free(device->functions);
  free(device);
}

static nibble_status findDevice(struct NibbleDevice *device,
                                NibbleError *error) {
  const CudaDriver *driver = device->driver;
  int count = 0;
  CudaResult result = driver->deviceCount(&count);
  if (result == CudaNoDevice || (result == CudaSuccess && count == 0)) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    return nibbleSetError(error, NIBBLE_DEVICE_ERROR,
                          "no NVIDIA GPU is there%s%s%s",
                          visible ? ": CUDA_VISIBLE_DEVICES is '" : "",
                          visible ? visible : "", visible ? "'" : "");
  }
  if (result == CudaSuccess && (device->index < 0 || device->index >= count))
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "there is no GPU %d: expected 0 to %d", device->index,
                          count - 1);
  if (result == CudaSuccess)
    result = driver->deviceGet(&device->ordinal, device->index);
  if (result == CudaSuccess)
    result = driver->deviceName(device->name, (int)sizeof(device->name),
                                device->ordinal);
  if (result == CudaSuccess)
    result = driver->contextRetain(&device->context, device->ordinal);
  return nibbleCudaCheck(driver, result, "can't use the GPU", error);
}

static nibble_status openDevice(nibble_model *model, int32_t index,
                                struct NibbleDevice **result,
                                NibbleError *error) {
  for (struct NibbleDevice *known = model->devices; known; known = known->next)
    if (known->index == index) {
      *result = known;
      return NIBBLE_OK;
    }
  const CudaDriver *driver = nibbleCudaDriver(error);
  if (!driver)
    return NIBBLE_DEVICE_ERROR;
  struct NibbleDevice *device = calloc(1, sizeof(*device));
  if (!device)
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY, "out of memory");
  device->driver = driver;
  device->index = index;
  nibble_status status = findDevice(device, error);
  if (status == NIBBLE_OK)
    status = nibbleCudaEnter(device, error);
  if (status == NIBBLE_OK) {
    status = loadKernels(model->descriptor, device, error);
    if (status == NIBBLE_OK)
      status = loadWeights(model, device, error);
    nibbleCudaLeave(device);
  }
  if (status != NIBBLE_OK) {
    freeDevice(device);
    return status;
  }
  device->next = model->devices;
  model->devices = device;
  *result = device;
  return NIBBLE_OK;
}

nibble_status nibbleCudaOpenDevice(nibble_model *model, int32_t index,
                                   struct NibbleDevice **device,
                                   NibbleError *error) {
  pthread_mutex_lock(&lock);
  nibble_status status = openDevice(model, index, device, error);
  pthread_mutex_unlock(&lock);
  return status;
}

void nibbleCudaFreeModel(nibble_model *model) {
  while (model->devices) {
    struct NibbleDevice *device = model->devices;
    model->devices = device->next;
    freeDevice(device);
  }
}
