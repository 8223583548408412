//===- RunFiles.c - Inputs and expected outputs from files ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RunFiles.h"

#include <stdlib.h>
#include <string.h>

static bool endsWith(const char *text, const char *suffix) {
  size_t n = strlen(text), m = strlen(suffix);
  return n >= m && strcmp(text + n - m, suffix) == 0;
}

/// Read one tensor; `name` chooses it in an .npz, where `*found` may be false.
static nibble_status readTensor(const char *path, const char *name, bool *found,
                                NibbleArray *array, NibbleError *error) {
  unsigned char *data;
  size_t size;
  *found = true;
  nibble_status status = nibbleReadFile(path, &data, &size, error);
  if (status != NIBBLE_OK)
    return status;
  if (endsWith(path, ".npz"))
    status = nibbleReadNpzMember(path, data, size, name, found, array, error);
  else if (endsWith(path, ".npy"))
    status = nibbleParseNpy(path, data, size, array, error);
  else if (endsWith(path, ".pb"))
    status = nibbleParseTensorProto(path, data, size, array, error);
  else
    status = nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "'%s': unknown kind of file, expected .npy, .npz "
                            "or .pb",
                            path);
  free(data);
  return status;
}

/// Take the type from the model where the file has none, as NumPy's for the
/// types of ml_dtypes, or where it has the codes as unsigned integers.
static void adoptType(const nibble_tensor_info *info, NibbleArray *array) {
  if (info->dtype < NIBBLE_BFLOAT16)
    return;
  size_t size = nibble_dtype_size(info->dtype);
  if (array->dtype != (size == 1 ? NIBBLE_UINT8 : NIBBLE_UINT16) &&
      array->dtype != NIBBLE_UNDEFINED)
    return;
  uint64_t bytes = size;
  for (int32_t i = 0; i != array->rank; ++i)
    bytes *= (uint64_t)array->dims[i];
  if (bytes == array->bytes)
    array->dtype = info->dtype;
}

static const nibble_tensor_info *infoAt(const TensorSet *set, size_t index) {
  return set->outputs ? nibble_model_output(set->model, index)
                      : nibble_model_input(set->model, index);
}

/// "'a' float32 [?, 3], 'b' ..." of all, or of those that are not given.
void nibbleListTensors(const TensorSet *set, bool missingOnly, char *text,
                       size_t size) {
  size_t length = 0;
  text[0] = '\0';
  for (size_t i = 0; i != set->count && length < size; ++i) {
    if (missingOnly && set->given[i])
      continue;
    const nibble_tensor_info *info = infoAt(set, i);
    char shape[256];
    int n =
        snprintf(text + length, size - length, "%s'%s' %s %s",
                 length ? ", " : "", info->name, nibble_dtype_name(info->dtype),
                 nibbleShapeText(info->dims, info->rank, shape, sizeof(shape)));
    length += n > 0 ? (size_t)n : 0;
  }
}

static nibble_status readNamed(TensorSet *set, const NamedFile *file,
                               NibbleError *error) {
  char all[NibbleErrorSize / 2];
  size_t index = 0;
  for (; index != set->count; ++index)
    if (strcmp(infoAt(set, index)->name, file->name) == 0)
      break;
  nibbleListTensors(set, false, all, sizeof(all));
  if (index == set->count)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "the model has no %s '%s'; it has %s", set->kind,
                          file->name, all);
  if (set->given[index])
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "%s '%s' is given twice", set->kind, file->name);
  bool found;
  NibbleArray *array = &set->arrays[index];
  nibble_status status =
      readTensor(file->file, file->name, &found, array, error);
  if (status == NIBBLE_OK && !found)
    status = readTensor(file->file, NULL, &found, array, error);
  if (status != NIBBLE_OK)
    return status;
  set->given[index] = true;
  adoptType(infoAt(set, index), array);
  return NIBBLE_OK;
}

/// A file without a name: the only tensor, or all that an .npz has.
static nibble_status readUnnamed(TensorSet *set, const char *path,
                                 NibbleError *error) {
  char all[NibbleErrorSize / 2];
  nibbleListTensors(set, false, all, sizeof(all));
  if (set->count == 1) {
    NamedFile file = {.name = (char *)infoAt(set, 0)->name, .file = path};
    return readNamed(set, &file, error);
  }
  if (!endsWith(path, ".npz"))
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s' needs a name, NAME=%s: the model has %zu %ss: "
                          "%s",
                          path, path, set->count, set->kind, all);
  bool any = false;
  for (size_t i = 0; i != set->count; ++i) {
    const nibble_tensor_info *info = infoAt(set, i);
    bool found;
    if (set->given[i])
      continue;
    nibble_status status =
        readTensor(path, info->name, &found, &set->arrays[i], error);
    if (status != NIBBLE_OK)
      return status;
    set->given[i] = found;
    any |= found;
    if (found)
      adoptType(info, &set->arrays[i]);
  }
  if (any)
    return NIBBLE_OK;
  return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                        "'%s' has no array that is called like an %s: %s", path,
                        set->kind, all);
}

nibble_status nibbleReadTensors(TensorSet *set, const NamedFile *files,
                                size_t count, NibbleError *error) {
  for (size_t i = 0; i != count; ++i) {
    nibble_status status = files[i].name
                               ? readNamed(set, &files[i], error)
                               : readUnnamed(set, files[i].file, error);
    if (status != NIBBLE_OK)
      return status;
  }
  return NIBBLE_OK;
}

nibble_status nibbleMakeRandom(TensorSet *set, NibbleError *error) {
  uint64_t state = 42;
  for (size_t i = 0; i != set->count; ++i) {
    const nibble_tensor_info *info = infoAt(set, i);
    NibbleArray *array = &set->arrays[i];
    if (info->rank > NibbleMaxFileRank)
      return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "input '%s' has too many dimensions for random "
                            "data",
                            info->name);
    array->dtype = info->dtype;
    array->rank = info->rank;
    for (int32_t d = 0; d != info->rank; ++d)
      array->dims[d] = info->dims[d] < 0 ? 1 : info->dims[d];
    nibble_status status = nibbleSizeArray(
        info->name, array, nibble_dtype_size(info->dtype), error);
    if (status == NIBBLE_OK)
      status = nibbleAllocateArray(info->name, array, error);
    if (status != NIBBLE_OK)
      return status;
    nibbleFillRandom(array->data, info->dtype, array->bytes, &state);
    set->given[i] = true;
  }
  return NIBBLE_OK;
}

nibble_status nibbleCreateSet(TensorSet *set, const nibble_model *model,
                              bool outputs, NibbleError *error) {
  *set = (TensorSet){
      .model = model, .outputs = outputs, .kind = outputs ? "output" : "input"};
  set->count = outputs ? nibble_model_output_count(model)
                       : nibble_model_input_count(model);
  set->arrays = calloc(set->count + 1, sizeof(NibbleArray));
  set->given = calloc(set->count + 1, sizeof(bool));
  if (set->arrays && set->given)
    return NIBBLE_OK;
  return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY, "out of memory");
}

void nibbleFreeSet(TensorSet *set) {
  for (size_t i = 0; set->arrays && i != set->count; ++i)
    nibbleFreeArray(&set->arrays[i]);
  free(set->arrays);
  free(set->given);
}
