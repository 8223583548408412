//===- Model.c - Opening a model ------------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"
#include "Internal.h"
#include "Seal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool nibbleFindBinary(const nibble_model_descriptor *descriptor, char *path,
                      size_t size) {
  Dl_info info;
  struct link_map *map = NULL;
  // The loader has no name for the program itself, only what it was called by.
  if (dladdr1(descriptor, &info, (void **)&map, RTLD_DL_LINKMAP) && map &&
      map->l_name[0]) {
    size_t length = strlen(map->l_name);
    if (length >= size)
      return false;
    memcpy(path, map->l_name, length + 1);
    return true;
  }
  ssize_t length = readlink("/proc/self/exe", path, size);
  if (length < 0 || (size_t)length >= size)
    return false;
  path[length] = '\0';
  return true;
}

bool nibbleFindSidecar(const nibble_model_descriptor *descriptor, char *path,
                       size_t size) {
  if (!nibbleFindBinary(descriptor, path, size))
    return false;
  const char *slash = strrchr(path, '/');
  size_t length = slash ? (size_t)(slash + 1 - path) : 0;
  size_t nameLength = strlen(descriptor->sidecar);
  if (length + nameLength >= size)
    return false;
  memcpy(path + length, descriptor->sidecar, nameLength + 1);
  return true;
}

static nibble_status checkSidecar(const nibble_model_descriptor *descriptor,
                                  const char *path, int file,
                                  NibbleError *error) {
  struct stat status;
  nibble_sidecar_header header;
  if (fstat(file, &status) != 0)
    return nibbleSetError(error, NIBBLE_IO_ERROR, "weights file '%s': %s", path,
                          strerror(errno));
  if (pread(file, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
      memcmp(header.magic, NIBBLE_SIDECAR_MAGIC, sizeof(header.magic)) != 0)
    return nibbleSetError(error, NIBBLE_INVALID_MODEL,
                          "'%s' is not a weights file of Nibble", path);
  if (header.version != NIBBLE_SIDECAR_VERSION)
    return nibbleSetError(error, NIBBLE_INVALID_MODEL,
                          "weights file '%s' has version %u, expected %u", path,
                          header.version, NIBBLE_SIDECAR_VERSION);
  uint64_t expected = NIBBLE_SIDECAR_OFFSET + descriptor->weight_bytes;
  if (header.hash != descriptor->sidecar_hash ||
      header.bytes != descriptor->weight_bytes)
    return nibbleSetError(
        error, NIBBLE_INVALID_MODEL,
        "weights file '%s' does not belong to model '%s': expected %llu bytes "
        "with hash %016llx, got %llu bytes with hash %016llx",
        path, descriptor->name, (unsigned long long)descriptor->weight_bytes,
        (unsigned long long)descriptor->sidecar_hash,
        (unsigned long long)header.bytes, (unsigned long long)header.hash);
  if ((uint64_t)status.st_size != expected)
    return nibbleSetError(
        error, NIBBLE_INVALID_MODEL,
        "weights file '%s' has %llu bytes, expected %llu: it is %s", path,
        (unsigned long long)status.st_size, (unsigned long long)expected,
        (uint64_t)status.st_size < expected ? "cut off" : "too long");
  return NIBBLE_OK;
}

static nibble_status mapSidecar(nibble_model *model, NibbleError *error) {
  const nibble_model_descriptor *descriptor = model->descriptor;
  char path[PATH_MAX];
  if (!nibbleFindSidecar(descriptor, path, sizeof(path)))
    return nibbleSetError(error, NIBBLE_IO_ERROR,
                          "model '%s': can't tell where its weights file '%s' "
                          "lies",
                          descriptor->name, descriptor->sidecar);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return nibbleSetError(error, NIBBLE_IO_ERROR,
                          "model '%s' needs its weights file '%s' beside it: "
                          "%s",
                          descriptor->name, path, strerror(errno));
  nibble_status status = checkSidecar(descriptor, path, file, error);
  if (status == NIBBLE_OK) {
    model->mappingBytes = NIBBLE_SIDECAR_OFFSET + descriptor->weight_bytes;
    model->mapping =
        mmap(NULL, model->mappingBytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (model->mapping == MAP_FAILED) {
      model->mapping = NULL;
      status = nibbleSetError(error, NIBBLE_IO_ERROR,
                              "can't map weights file '%s': %s", path,
                              strerror(errno));
    } else {
      model->weights = (const char *)model->mapping + NIBBLE_SIDECAR_OFFSET;
    }
  }
  close(file);
  return status;
}

nibble_status nibbleOpenModel(const nibble_model_descriptor *descriptor,
                              nibble_model **result, NibbleError *error) {
  if (descriptor->magic != NIBBLE_DESCRIPTOR_MAGIC)
    return nibbleSetError(error, NIBBLE_INVALID_MODEL,
                          "this is not the descriptor of a model");
  if (descriptor->abi != NIBBLE_DESCRIPTOR_ABI)
    return nibbleSetError(
        error, NIBBLE_INVALID_MODEL,
        "the model was compiled for version %u of the binary interface, and "
        "this runtime has version %u: compile it again",
        descriptor->abi, NIBBLE_DESCRIPTOR_ABI);
  nibble_status status =
      nibbleCheckCpu(descriptor->name, descriptor->target, descriptor->features,
                     descriptor->feature_count, error);
  if (status != NIBBLE_OK)
    return status;
  nibble_model *model = calloc(1, sizeof(*model));
  if (!model)
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY, "out of memory");
  model->functions = &nibble_rt_functions;
  model->descriptor = descriptor;
  model->weights = descriptor->weights;
  if (descriptor->sidecar) {
    status = mapSidecar(model, error);
    if (status != NIBBLE_OK) {
      nibbleFreeModel(model);
      return status;
    }
  }
  *result = model;
  return NIBBLE_OK;
}

void nibbleFreeModel(nibble_model *model) {
  if (model->devices)
    model->descriptor->device->functions->freeModel(model);
  if (model->mapping)
    munmap(model->mapping, model->mappingBytes);
  free(model);
}
