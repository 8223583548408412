//===- TensorFile.h - Tensors in files ------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Readers and writers of nibble-run and of compiled programs. They take any
// bytes: what is wrong with a file becomes the text of an error.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_TENSORFILE_H
#define NIBBLE_LIB_RUNTIME_TENSORFILE_H

#include "Error.h"

#include <stdbool.h>

enum { NibbleMaxFileRank = 32 };

/// A dense tensor in C order with memory of its own.
typedef struct NibbleArray {
  int32_t dtype; ///< nibble_dtype, or NIBBLE_UNDEFINED for bytes without a type
  int32_t rank;
  int64_t dims[NibbleMaxFileRank];
  void *data;
  uint64_t bytes;
} NibbleArray;

void nibbleFreeArray(NibbleArray *array);

/// Read a whole file; free() it.
nibble_status nibbleReadFile(const char *path, unsigned char **data,
                             size_t *size, NibbleError *error);

/// NumPy's .npy, versions 1 to 3, little endian, C or Fortran order. Elements
/// of type void ("V2", as packages for bfloat16 write) have no type. `name`
/// stands for the file in messages. Source: numpy/lib/format, NEP 1.
nibble_status nibbleParseNpy(const char *name, const unsigned char *data,
                             size_t size, NibbleArray *array,
                             NibbleError *error);
/// The type and shape of an .npy file of `fileSize` bytes that begins with
/// `data`, and where its elements begin; `array` gets no memory.
nibble_status nibbleParseNpyHeader(const char *name, const unsigned char *data,
                                   size_t size, uint64_t fileSize,
                                   NibbleArray *array, size_t *begin,
                                   bool *fortran, NibbleError *error);
/// Write version 1, under a temporary name that is then renamed.
nibble_status nibbleWriteNpy(const char *path, const nibble_tensor *tensor,
                             NibbleError *error);

/// A member of a zip file.
typedef struct NibbleZipMember {
  const char *name; ///< not terminated
  size_t nameLength;
  unsigned flags, method; ///< method 0: as it is, 8: DEFLATE
  uint32_t crc;
  uint64_t compressed, size, header;
  uint64_t begin; ///< of the content; set by nibbleLocateNpzMember
} NibbleZipMember;

/// Member `index` of an .npz archive that lies in memory; `*found` is false
/// behind the last one. Checks that it is one that can be read.
nibble_status nibbleLocateNpzMember(const char *path, const unsigned char *data,
                                    size_t size, uint64_t index, bool *found,
                                    NibbleZipMember *member,
                                    NibbleError *error);

/// The member `name` of an .npz archive (a zip file whose members are called
/// NAME.npy); NULL takes the only one. `*found` is false if there is none of
/// this name, which is no error. Source: PKWARE's APPNOTE.
nibble_status nibbleReadNpzMember(const char *path, const unsigned char *data,
                                  size_t size, const char *name, bool *found,
                                  NibbleArray *array, NibbleError *error);

/// A serialized onnx.TensorProto: raw or typed data, no external data.
nibble_status nibbleParseTensorProto(const char *name,
                                     const unsigned char *data, size_t size,
                                     NibbleArray *array, NibbleError *error);

/// Decompress a DEFLATE stream to exactly `size` bytes; false if it is damaged
/// or of another size. After each block `done`, if it is not NULL, is told how
/// many bytes were read and written. Source: RFC 1951.
bool nibbleInflate(const unsigned char *from, size_t fromSize,
                   unsigned char *to, size_t size,
                   void (*done)(void *user, size_t read, size_t written),
                   void *user);

/// CRC-32 as in zip files.
uint32_t nibbleCrc32(const unsigned char *data, size_t size);

/// Set `array->bytes` from the dims; an error if they are impossible.
nibble_status nibbleSizeArray(const char *name, NibbleArray *array,
                              size_t elementSize, NibbleError *error);
/// Allocate `array->bytes` of data.
nibble_status nibbleAllocateArray(const char *name, NibbleArray *array,
                                  NibbleError *error);

#endif // NIBBLE_LIB_RUNTIME_TENSORFILE_H
