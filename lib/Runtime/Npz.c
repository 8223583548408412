//===- Npz.c - Members of zip files ---------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorFile.h"

#include <stdlib.h>
#include <string.h>

/// Fields are little-endian and unaligned.
static uint64_t field(const unsigned char *p, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned i = bytes; i-- > 0;)
    value = value << 8 | p[i];
  return value;
}

typedef NibbleZipMember Member;

enum { EndSize = 22, End64LocatorSize = 20, CentralSize = 46, LocalSize = 30 };

/// The central directory: [*begin, *begin + *size).
static bool findDirectory(const unsigned char *data, size_t fileSize,
                          uint64_t *begin, uint64_t *size, uint64_t *count) {
  if (fileSize < EndSize)
    return false;
  // The end record is followed by a comment of up to 64 KB.
  size_t lowest = fileSize > 65535 + EndSize ? fileSize - 65535 - EndSize : 0;
  size_t at = fileSize - EndSize;
  while (memcmp(data + at, "PK\5\6", 4) != 0) {
    if (at == lowest)
      return false;
    --at;
  }
  *count = field(data + at + 10, 2);
  *size = field(data + at + 12, 4);
  *begin = field(data + at + 16, 4);
  // Archives above 4 GB have a second record, and a pointer to it before this.
  if (at >= End64LocatorSize &&
      memcmp(data + at - End64LocatorSize, "PK\6\7", 4) == 0) {
    uint64_t end64 = field(data + at - End64LocatorSize + 8, 8);
    if (fileSize < 56 || end64 > fileSize - 56 ||
        memcmp(data + end64, "PK\6\6", 4) != 0)
      return false;
    *count = field(data + end64 + 32, 8);
    *size = field(data + end64 + 40, 8);
    *begin = field(data + end64 + 48, 8);
  }
  return *begin <= fileSize && *size <= fileSize - *begin;
}

/// Sizes that do not fit 32 bits lie in an extra field, in this order.
static bool readZip64(const unsigned char *extra, size_t length, Member *m) {
  while (length >= 4) {
    size_t size = field(extra + 2, 2);
    if (size > length - 4)
      return false;
    if (field(extra, 2) == 1) {
      uint64_t *fields[] = {&m->size, &m->compressed, &m->header};
      const unsigned char *p = extra + 4;
      for (int i = 0; i != 3; ++i)
        if (*fields[i] == 0xffffffffu) {
          if (p + 8 > extra + 4 + size)
            return false;
          *fields[i] = field(p, 8);
          p += 8;
        }
      return true;
    }
    extra += 4 + size;
    length -= 4 + size;
  }
  return true;
}

/// Read one entry of the directory; returns its length, 0 if it is broken.
static size_t readEntry(const unsigned char *p, size_t left, Member *m) {
  if (left < CentralSize || memcmp(p, "PK\1\2", 4) != 0)
    return 0;
  size_t extra = field(p + 30, 2), comment = field(p + 32, 2);
  *m = (Member){.name = (const char *)p + CentralSize,
                .nameLength = field(p + 28, 2),
                .flags = (unsigned)field(p + 8, 2),
                .method = (unsigned)field(p + 10, 2),
                .crc = (uint32_t)field(p + 16, 4),
                .compressed = field(p + 20, 4),
                .size = field(p + 24, 4),
                .header = field(p + 42, 4)};
  size_t length = CentralSize + m->nameLength + extra + comment;
  if (length > left || !readZip64(p + CentralSize + m->nameLength, extra, m))
    return 0;
  return length;
}

static bool isCalled(const Member *m, const char *name) {
  size_t length = strlen(name);
  return m->nameLength == length + 4 && memcmp(m->name, name, length) == 0 &&
         memcmp(m->name + length, ".npy", 4) == 0;
}

/// The name of a member, cut at `size`.
static const char *nameText(const Member *m, char *text, size_t size) {
  size_t length = m->nameLength < size - 1 ? m->nameLength : size - 1;
  memcpy(text, m->name, length);
  text[length] = '\0';
  return text;
}

/// Find the content of a member and check that it can be read.
static nibble_status locate(const char *path, const unsigned char *data,
                            size_t fileSize, Member *m, NibbleError *error) {
  char name[200];
  nameText(m, name, sizeof(name));
  m->begin = fileSize;
  if (fileSize >= LocalSize && m->header <= fileSize - LocalSize &&
      memcmp(data + m->header, "PK\3\4", 4) == 0)
    m->begin = m->header + LocalSize + field(data + m->header + 26, 2) +
               field(data + m->header + 28, 2);
  if (m->begin >= fileSize || m->compressed > fileSize - m->begin)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s': member '%s' is cut off", path, name);
  if (m->flags & 1 || (m->method != 0 && m->method != 8))
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s': member '%s' is %s; expected numpy.savez or "
                          "numpy.savez_compressed",
                          path, name,
                          m->flags & 1 ? "encrypted"
                                       : "compressed in an unknown way");
  // DEFLATE makes data at most 1032 times smaller: refuse what can't be true
  // before memory is asked for.
  if (m->method == 0 ? m->size != m->compressed
                     : m->size / 1032 > m->compressed)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s': member '%s' is damaged", path, name);
  return NIBBLE_OK;
}

static nibble_status extract(const char *path, const unsigned char *data,
                             size_t fileSize, Member *m, NibbleArray *array,
                             NibbleError *error) {
  nibble_status status = locate(path, data, fileSize, m, error);
  if (status != NIBBLE_OK)
    return status;
  char name[200];
  size_t length = strlen(nameText(m, name, sizeof(name)));
  const unsigned char *content = data + m->begin;
  bool possible = true;
  unsigned char *unpacked = NULL;
  if (m->method == 8) {
    unpacked = malloc(m->size ? m->size : 1);
    if (!unpacked)
      return nibbleSetError(error, NIBBLE_OUT_OF_MEMORY,
                            "'%s': out of memory: member '%s' needs %llu bytes",
                            path, name, (unsigned long long)m->size);
    possible =
        nibbleInflate(content, m->compressed, unpacked, m->size, NULL, NULL);
    content = unpacked;
  }
  if (!possible || nibbleCrc32(content, m->size) != m->crc) {
    status = nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "'%s': member '%s' is damaged", path, name);
  } else {
    char text[1024];
    size_t pathLength = strlen(path) < 700 ? strlen(path) : 700;
    memcpy(text, path, pathLength);
    text[pathLength] = ':';
    memcpy(text + pathLength + 1, name, length + 1);
    status = nibbleParseNpy(text, content, m->size, array, error);
  }
  free(unpacked);
  return status;
}

nibble_status nibbleReadNpzMember(const char *path, const unsigned char *data,
                                  size_t size, const char *name, bool *found,
                                  NibbleArray *array, NibbleError *error) {
  uint64_t begin, directorySize, count;
  *found = false;
  if (!findDirectory(data, size, &begin, &directorySize, &count))
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s' is not an .npz file, or is cut off", path);
  if (!name && count != 1)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s' has %llu arrays, and none is called like the "
                          "input; expected one array",
                          path, (unsigned long long)count);
  const unsigned char *p = data + begin;
  size_t left = directorySize;
  for (uint64_t i = 0; i != count; ++i) {
    Member member;
    size_t length = readEntry(p, left, &member);
    if (!length)
      return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "'%s': the list of its arrays is damaged", path);
    if (!name || isCalled(&member, name)) {
      *found = true;
      return extract(path, data, size, &member, array, error);
    }
    p += length;
    left -= length;
  }
  return NIBBLE_OK;
}

nibble_status nibbleLocateNpzMember(const char *path, const unsigned char *data,
                                    size_t size, uint64_t index, bool *found,
                                    NibbleZipMember *member,
                                    NibbleError *error) {
  uint64_t begin, left, count;
  *found = false;
  if (!findDirectory(data, size, &begin, &left, &count))
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s' is not an .npz file, or is cut off", path);
  if (index >= count)
    return NIBBLE_OK;
  const unsigned char *p = data + begin;
  for (uint64_t i = 0;; ++i) {
    size_t length = readEntry(p, left, member);
    if (!length)
      return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "'%s': the list of its arrays is damaged", path);
    if (i == index)
      break;
    p += length;
    left -= length;
  }
  *found = true;
  return locate(path, data, size, member, error);
}
