//===- Error.h - Texts of errors ------------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_ERROR_H
#define NIBBLE_LIB_RUNTIME_ERROR_H

#include "nibble/Runtime/nibble.h"

enum { NibbleErrorSize = 1024 };

/// The text of an error, cut at the end of the buffer.
typedef struct NibbleError {
  char text[NibbleErrorSize];
} NibbleError;

/// Format the text and return `status`.
nibble_status nibbleSetError(NibbleError *error, nibble_status status,
                             const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/// "[2, ?, 3]", cut at `size`; returns `buffer`.
const char *nibbleShapeText(const int64_t *dims, int64_t rank, char *buffer,
                            size_t size);

#endif // NIBBLE_LIB_RUNTIME_ERROR_H
