//===- LinalgLoops.h - Vector loops for linalg ------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_LINALGLOOPS_H
#define NIBBLE_CODEGEN_CPU_LINALGLOOPS_H

#include "nibble/Codegen/CPU/LinalgNest.h"

namespace nibble::codegen {

/// Emits loops for `nest`.
///
/// One loop is cut into vectors of 16: a parallel one in which every output is
/// contiguous, or else a reduction in which the inputs are. With reductions,
/// a tile of several vectors by several steps of a second parallel loop is kept
/// in registers, so that a matrix product reuses what it loads. The remaining
/// parallel loops are shared by threads if there is enough work. Bodies that
/// can't be computed in vectors get scalar loops.
void emitLinalgLoops(KernelBuilder &kernel, const LinalgNest &nest);

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_LINALGLOOPS_H
