//===- Npy.c - NumPy files ------------------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Check.h"
#include "TensorFile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void nibbleFreeArray(NibbleArray *array) {
  free(array->data);
  array->data = NULL;
}

nibble_status nibbleReadFile(const char *path, unsigned char **data,
                             size_t *size, NibbleError *error) {
  FILE *file = fopen(path, "rb");
  if (!file)
    return nibbleSetError(error, NIBBLE_IO_ERROR, "can't read '%s': %s", path,
                          strerror(errno));
  size_t capacity = 1 << 16;
  *size = 0;
  *data = malloc(capacity);
  while (*data) {
    size_t count = fread(*data + *size, 1, capacity - *size, file);
    *size += count;
    if (*size != capacity)
      break;
    capacity *= 2;
    unsigned char *larger = realloc(*data, capacity);
    if (!larger)
      free(*data);
    *data = larger;
  }
  bool failed = ferror(file);
  int reason = errno;
  fclose(file);
  if (!*data)
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY,
                          "'%s': out of memory: %zu bytes", path, capacity);
  if (failed) {
    free(*data);
    return nibbleSetError(error, NIBBLE_IO_ERROR, "can't read '%s': %s", path,
                          strerror(reason));
  }
  return NIBBLE_OK;
}

nibble_status nibbleSizeArray(const char *name, NibbleArray *array,
                              size_t elementSize, NibbleError *error) {
  array->bytes = elementSize;
  for (int32_t i = 0; i != array->rank; ++i)
    if (array->dims[i] < 0 ||
        __builtin_mul_overflow(array->bytes, (uint64_t)array->dims[i],
                               &array->bytes) ||
        array->bytes > (uint64_t)INT64_MAX)
      return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "'%s': the shape is impossible", name);
  return NIBBLE_OK;
}

nibble_status nibbleAllocateArray(const char *name, NibbleArray *array,
                                  NibbleError *error) {
  array->data = malloc(array->bytes ? array->bytes : 1);
  if (!array->data)
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY,
                          "'%s': out of memory: %llu bytes", name,
                          (unsigned long long)array->bytes);
  return NIBBLE_OK;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// NumPy's kinds of elements, with sizes, and our types.
static const struct {
  char kind;
  uint8_t size;
  uint8_t dtype;
} npyTypes[] = {
    {'f', 4, NIBBLE_FLOAT},     {'f', 8, NIBBLE_DOUBLE},
    {'f', 2, NIBBLE_FLOAT16},   {'i', 1, NIBBLE_INT8},
    {'i', 2, NIBBLE_INT16},     {'i', 4, NIBBLE_INT32},
    {'i', 8, NIBBLE_INT64},     {'u', 1, NIBBLE_UINT8},
    {'u', 2, NIBBLE_UINT16},    {'u', 4, NIBBLE_UINT32},
    {'u', 8, NIBBLE_UINT64},    {'b', 1, NIBBLE_BOOL},
    {'V', 1, NIBBLE_UNDEFINED}, {'V', 2, NIBBLE_UNDEFINED},
};

/// The text behind `key` and its colon in the header's dictionary, or NULL.
static const char *findValue(const char *header, const char *key) {
  size_t length = strlen(key);
  for (const char *p = header; (p = strstr(p, key)); p += length) {
    if (p == header || (p[-1] != '\'' && p[-1] != '"') || p[length] != p[-1])
      continue;
    p += length + 1;
    p += strspn(p, " ");
    if (*p != ':')
      return NULL;
    return p + 1 + strspn(p + 1, " ");
  }
  return NULL;
}

static bool parseShape(const char *p, NibbleArray *array) {
  if (!p || *p != '(')
    return false;
  ++p;
  for (array->rank = 0;; ++array->rank) {
    p += strspn(p, " ,");
    if (*p == ')')
      return true;
    if (*p < '0' || *p > '9' || array->rank == NibbleMaxFileRank)
      return false;
    char *end;
    errno = 0;
    array->dims[array->rank] = strtoll(p, &end, 10);
    if (errno)
      return false;
    p = end;
    if (*p == 'L') // Written by Python 2.
      ++p;
  }
}

/// Reorder from Fortran to C order: the first index runs fastest in `from`.
static void fromFortran(const NibbleArray *array, const unsigned char *from,
                        size_t size) {
  unsigned char *to = array->data;
  int64_t index[NibbleMaxFileRank] = {0};
  uint64_t count = array->bytes / size;
  for (uint64_t i = 0; i != count; ++i) {
    uint64_t offset = 0;
    for (int32_t d = array->rank; d-- > 0;)
      offset = offset * (uint64_t)array->dims[d] + (uint64_t)index[d];
    memcpy(to + i * size, from + offset * size, size);
    for (int32_t d = array->rank; d-- > 0;) {
      if (++index[d] != array->dims[d])
        break;
      index[d] = 0;
    }
  }
}

static nibble_status parseHeader(const char *name, const char *header,
                                 NibbleArray *array, size_t *elementSize,
                                 bool *fortran, NibbleError *error) {
  const char *descr = findValue(header, "descr");
  const char *order = findValue(header, "fortran_order");
  if (!descr || !order || !parseShape(findValue(header, "shape"), array))
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s': broken .npy header", name);
  *fortran = strncmp(order, "True", 4) == 0;
  char type[8] = "";
  if (*descr == '\'' || *descr == '"') {
    size_t length = strcspn(descr + 1, "'\"");
    if (length < sizeof(type))
      memcpy(type, descr + 1, length);
  }
  if (type[0] == '>')
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s': elements are big-endian ('%s'); save them "
                          "little-endian",
                          name, type);
  for (size_t i = 0; i != sizeof(npyTypes) / sizeof(npyTypes[0]); ++i)
    if (type[0] && type[1] == npyTypes[i].kind && type[3] == '\0' &&
        type[2] == '0' + npyTypes[i].size) {
      array->dtype = npyTypes[i].dtype;
      *elementSize = npyTypes[i].size;
      return NIBBLE_OK;
    }
  return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                        "'%s': elements of type %.20s are not supported", name,
                        type[0] ? type : descr);
}

nibble_status nibbleParseNpyHeader(const char *name, const unsigned char *data,
                                   size_t size, uint64_t fileSize,
                                   NibbleArray *array, size_t *begin,
                                   bool *fortran, NibbleError *error) {
  *array = (NibbleArray){0};
  *fortran = false;
  if (size < 10 || memcmp(data, "\x93NUMPY", 6) != 0)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s' is not an .npy file", name);
  if (data[6] < 1 || data[6] > 3)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s': version %d of .npy; expected 1 to 3", name,
                          data[6]);
  // Version 1 has two bytes of length, later ones four.
  size_t start = data[6] == 1 ? 10 : 12;
  size_t length = data[8] | (size_t)data[9] << 8;
  if (data[6] > 1 && size >= start)
    length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
  if (size < start || length > size - start)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s' is cut off in its header", name);
  char *header = malloc(length + 1);
  if (!header)
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY, "out of memory");
  memcpy(header, data + start, length);
  header[length] = '\0';
  size_t elementSize = 0;
  nibble_status status =
      parseHeader(name, header, array, &elementSize, fortran, error);
  free(header);
  if (status == NIBBLE_OK)
    status = nibbleSizeArray(name, array, elementSize, error);
  // Compared before memory is asked for: a broken shape may be any number.
  *begin = start + length;
  if (status == NIBBLE_OK && array->bytes != fileSize - *begin)
    status = nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "'%s' has %llu bytes of elements, expected %llu",
                            name, (unsigned long long)(fileSize - *begin),
                            (unsigned long long)array->bytes);
  return status;
}

nibble_status nibbleParseNpy(const char *name, const unsigned char *data,
                             size_t size, NibbleArray *array,
                             NibbleError *error) {
  size_t begin;
  bool fortran;
  nibble_status status = nibbleParseNpyHeader(name, data, size, size, array,
                                              &begin, &fortran, error);
  if (status == NIBBLE_OK)
    status = nibbleAllocateArray(name, array, error);
  if (status != NIBBLE_OK)
    return status;
  const unsigned char *elements = data + begin;
  if (fortran && array->rank > 1) {
    // Voids have no size of their own.
    uint64_t count = 1;
    for (int32_t i = 0; i != array->rank; ++i)
      count *= (uint64_t)array->dims[i];
    fromFortran(array, elements, count ? array->bytes / count : 1);
  } else
    memcpy(array->data, elements, array->bytes);
  return NIBBLE_OK;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

/// The header of version 1, padded so that elements start at a multiple of 64.
/// Returns its length.
static size_t formatHeader(const nibble_tensor *tensor, char *text,
                           size_t capacity) {
  char kind = 'V';
  for (size_t i = 0; i != sizeof(npyTypes) / sizeof(npyTypes[0]); ++i)
    if (npyTypes[i].dtype == tensor->dtype)
      kind = npyTypes[i].kind;
  size_t size = nibble_dtype_size(tensor->dtype);
  size_t n = (size_t)snprintf(
      text, capacity, "{'descr': '%c%c%zu', 'fortran_order': False, 'shape': (",
      size == 1 || kind == 'V' ? '|' : '<', kind, size);
  for (int32_t i = 0; i != tensor->rank && n < capacity; ++i)
    n += (size_t)snprintf(text + n, capacity - n,
                          i + 1 == tensor->rank && i > 0 ? "%lld" : "%lld, ",
                          (long long)tensor->dims[i]);
  if (n < capacity)
    n += (size_t)snprintf(text + n, capacity - n, "), }");
  while (n + 1 < capacity && (10 + n + 1) % 64)
    text[n++] = ' ';
  if (n < capacity)
    text[n++] = '\n';
  return n;
}

static mode_t currentUmask(void) {
  mode_t mask = umask(0);
  umask(mask);
  return mask;
}

nibble_status nibbleWriteNpy(const char *path, const nibble_tensor *tensor,
                             NibbleError *error) {
  char header[4096];
  size_t length = formatHeader(tensor, header, sizeof(header));
  size_t pathLength = strlen(path);
  char *temporary = malloc(pathLength + sizeof(".tmpXXXXXX"));
  if (!temporary)
    return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY, "out of memory");
  memcpy(temporary, path, pathLength);
  strcpy(temporary + pathLength, ".tmpXXXXXX");
  int descriptor = mkstemp(temporary);
  FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
  bool good = file != NULL;
  if (good) {
    const unsigned char start[] = {0x93,
                                   'N',
                                   'U',
                                   'M',
                                   'P',
                                   'Y',
                                   1,
                                   0,
                                   (unsigned char)(length & 0xff),
                                   (unsigned char)(length >> 8)};
    good = fwrite(start, 1, sizeof(start), file) == sizeof(start) &&
           fwrite(header, 1, length, file) == length &&
           fwrite(tensor->data, 1, tensor->bytes, file) == tensor->bytes;
    // mkstemp makes files that only their owner reads.
    good &= fchmod(descriptor, 0666 & ~currentUmask()) == 0;
    good &= fclose(file) == 0;
    good = good && rename(temporary, path) == 0;
  }
  int reason = errno;
  if (!good && descriptor >= 0)
    unlink(temporary);
  free(temporary);
  if (good)
    return NIBBLE_OK;
  return nibbleSetError(error, NIBBLE_IO_ERROR, "can't write '%s': %s", path,
                        strerror(reason));
}
