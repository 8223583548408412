//===- Seal.h - Is a model's file as the compiler left it? ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_SEAL_H
#define NIBBLE_LIB_RUNTIME_SEAL_H

#include "Error.h"
#include "nibble/Runtime/ModelDescriptor.h"

#include <stdbool.h>

/// Check the file of a shared object or executable before the system loads it:
/// a segment behind the end of the file would end the process at its first use,
/// a damaged one anywhere. Compares the code with its checksum, and with
/// `weights` the embedded weights, too, which takes as long as reading them. A
/// file without a seal (another program's, or one that `strip` rewrote) is
/// only checked for its length.
nibble_status nibbleCheckSeal(const char *path, bool weights,
                              NibbleError *error);

/// The file that holds `descriptor`; false if the system does not tell.
bool nibbleFindBinary(const nibble_model_descriptor *descriptor, char *path,
                      size_t size);

/// Path of the sidecar, beside the binary.
bool nibbleFindSidecar(const nibble_model_descriptor *descriptor, char *path,
                       size_t size);

#endif // NIBBLE_LIB_RUNTIME_SEAL_H
