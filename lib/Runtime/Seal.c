//===- Seal.c - Is a model's file as the compiler left it? ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Seal.h"
#include "Internal.h"
#include "nibble/Runtime/Hash.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool readAt(int file, void *to, size_t size, uint64_t offset) {
  return pread(file, to, size, (off_t)offset) == (ssize_t)size;
}

/// Add [begin, end) of the file to a sum.
static bool addRange(NibbleHash *hash, int file, uint64_t begin, uint64_t end) {
  enum { Piece = 1 << 18 };
  unsigned char *piece = malloc(Piece);
  bool good = piece != NULL;
  while (good && begin < end) {
    size_t count = end - begin < Piece ? (size_t)(end - begin) : Piece;
    good = readAt(file, piece, count, begin);
    if (good)
      nibbleHashAdd(hash, piece, count);
    begin += count;
  }
  free(piece);
  return good;
}

/// Where the last segment and the table of sections end in the file; 0 if this
/// is no ELF file of the kind that we make, about which the system's loader has
/// its own messages.
static uint64_t findEnd(int file) {
  Elf64_Ehdr header;
  uint64_t end = 0;
  if (!readAt(file, &header, sizeof(header), 0) ||
      memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_phentsize != sizeof(Elf64_Phdr))
    return 0;
  for (unsigned i = 0; i != header.e_phnum; ++i) {
    Elf64_Phdr segment;
    uint64_t at = header.e_phoff + i * sizeof(segment), last;
    if (at < header.e_phoff || !readAt(file, &segment, sizeof(segment), at))
      return UINT64_MAX;
    if (segment.p_filesz == 0)
      continue;
    if (__builtin_add_overflow(segment.p_offset, segment.p_filesz, &last))
      return UINT64_MAX;
    end = last > end ? last : end;
  }
  uint64_t sections = (uint64_t)header.e_shnum * header.e_shentsize;
  if (__builtin_add_overflow(header.e_shoff, sections, &sections))
    return UINT64_MAX;
  return sections > end ? sections : end;
}

static nibble_status damaged(const char *path, const char *part,
                             NibbleError *error) {
  return nibbleSetError(error, NIBBLE_INVALID_MODEL,
                        "'%s' is damaged: its %s not what the compiler wrote; "
                        "copy or compile it again",
                        path, part);
}

/// Check the seal of a file whose ELF part ends at `end`.
static nibble_status checkSums(const char *path, int file, uint64_t size,
                               uint64_t end, bool weights, NibbleError *error) {
  nibble_file_seal seal;
  if (size == end)
    return NIBBLE_OK;
  if (size < sizeof(seal) ||
      !readAt(file, &seal, sizeof(seal), size - sizeof(seal)) ||
      memcmp(seal.magic, NIBBLE_SEAL_MAGIC, sizeof(seal.magic)) != 0)
    return damaged(path, "end is", error);
  if (seal.bytes != size - sizeof(seal) || seal.weights_offset > seal.bytes ||
      seal.weights_bytes > seal.bytes - seal.weights_offset)
    return damaged(path, "length is", error);
  uint64_t weightsEnd = seal.weights_offset + seal.weights_bytes;
  NibbleHash hash;
  nibbleHashBegin(&hash);
  bool good = addRange(&hash, file, 0, seal.weights_offset) &&
              addRange(&hash, file, weightsEnd, seal.bytes);
  if (good && nibbleHashEnd(&hash) != seal.hash)
    return damaged(path, "code is", error);
  if (good && weights) {
    nibbleHashBegin(&hash);
    good = addRange(&hash, file, seal.weights_offset, weightsEnd);
    if (good && nibbleHashEnd(&hash) != seal.weights_hash)
      return damaged(path, "weights are", error);
  }
  if (good)
    return NIBBLE_OK;
  return nibbleSetError(error, NIBBLE_IO_ERROR, "can't read '%s': %s", path,
                        strerror(errno));
}

nibble_status nibbleCheckSeal(const char *path, bool weights,
                              NibbleError *error) {
  // Not blocking: a pipe has no writer that would let the call return.
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) {
    int reason = errno;
    if (file >= 0)
      close(file);
    return nibbleSetError(error, NIBBLE_IO_ERROR, "can't read '%s': %s", path,
                          strerror(reason));
  }
  nibble_status result = NIBBLE_OK;
  uint64_t size = (uint64_t)status.st_size;
  uint64_t end = S_ISREG(status.st_mode) ? findEnd(file) : 0;
  if (!S_ISREG(status.st_mode))
    result = nibbleSetError(error, NIBBLE_INVALID_MODEL,
                            "can't load '%s': it is not a regular file", path);
  else if (end > size)
    result = nibbleSetError(error, NIBBLE_INVALID_MODEL,
                            "'%s' is cut off: its %llu bytes do not hold all "
                            "that its header lists; copy or compile it again",
                            path, (unsigned long long)size);
  else if (end)
    result = checkSums(path, file, size, end, weights, error);
  close(file);
  return result;
}

//===----------------------------------------------------------------------===//
// All of a model
//===----------------------------------------------------------------------===//

static nibble_status verifySidecar(const nibble_model_descriptor *descriptor,
                                   NibbleError *error) {
  char path[PATH_MAX];
  int file = -1;
  if (nibbleFindSidecar(descriptor, path, sizeof(path)))
    file = open(path, O_RDONLY | O_CLOEXEC);
  NibbleHash hash;
  nibbleHashBegin(&hash);
  bool good =
      file >= 0 && addRange(&hash, file, NIBBLE_SIDECAR_OFFSET,
                            NIBBLE_SIDECAR_OFFSET + descriptor->weight_bytes);
  int reason = errno;
  if (file >= 0)
    close(file);
  if (!good)
    return nibbleSetError(error, NIBBLE_IO_ERROR,
                          "can't read the weights file of model '%s': %s",
                          descriptor->name, strerror(reason));
  if (nibbleHashEnd(&hash) != descriptor->sidecar_hash)
    return damaged(path, "weights are", error);
  return NIBBLE_OK;
}

nibble_status nibbleVerifyModel(const nibble_model_descriptor *descriptor,
                                NibbleError *error) {
  char path[PATH_MAX];
  if (!nibbleFindBinary(descriptor, path, sizeof(path)))
    return nibbleSetError(error, NIBBLE_IO_ERROR,
                          "model '%s': can't tell which file it was read from",
                          descriptor->name);
  nibble_status status = nibbleCheckSeal(path, true, error);
  if (status == NIBBLE_OK && descriptor->sidecar)
    status = verifySidecar(descriptor, error);
  return status;
}
