//===- Passes.h - Passes before emission ------------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TARGET_PASSES_H
#define NIBBLE_TARGET_PASSES_H

#include "mlir/Pass/Pass.h"

namespace nibble::target {

#define GEN_PASS_DECL
#include "nibble/Target/Target.h.inc"

#define GEN_PASS_REGISTRATION
#include "nibble/Target/Target.h.inc"

} // namespace nibble::target

#endif // NIBBLE_TARGET_PASSES_H
