//===- RunExec.h - Running a model that is a program ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_RUNEXEC_H
#define NIBBLE_LIB_RUNTIME_RUNEXEC_H

#include "nibble/Runtime/ModelDescriptor.h"

#include <stdbool.h>

/// Whether the file is a program made by nibble-compile, which exports
/// NIBBLE_SHARED_MODEL_SYMBOL. Such a file can't be loaded, only started.
bool nibbleIsModelProgram(const char *path);

#endif // NIBBLE_LIB_RUNTIME_RUNEXEC_H
