//===- Check.h - Checking the inputs of a run -----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_CHECK_H
#define NIBBLE_LIB_RUNTIME_CHECK_H

#include "Internal.h"

/// Match the tensors with the model's inputs, in `context->inputs`, and check
/// types, shapes, sizes and symbolic dimensions.
nibble_status nibbleCheckInputs(nibble_context *context,
                                const nibble_tensor *inputs, size_t count);

/// Bytes of a dense tensor; false if a dimension is negative or the product is
/// above what memory can hold.
bool nibbleByteSize(const int64_t *dims, int64_t rank, int32_t dtype,
                    uint64_t *bytes);

#endif // NIBBLE_LIB_RUNTIME_CHECK_H
