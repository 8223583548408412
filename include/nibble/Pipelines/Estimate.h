//===- Estimate.h - Sizes and memory before any work -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_PIPELINES_ESTIMATE_H
#define NIBBLE_PIPELINES_ESTIMATE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

namespace nibble {

/// What a compilation will give and need, in bytes. Computed from shapes and
/// schemes alone; no weight is read.
struct Estimate {
  /// Weights as they are in the model, and as they will be in the binary.
  uint64_t modelBytes = 0, weightBytes = 0;
  int64_t numWeights = 0, numQuantized = 0;
  /// Key/value cache: what one position of one sequence takes (inputs named
  /// `past...` with a dimension that grows). 0: no cache.
  uint64_t cacheBytesPerPosition = 0;
  /// The two largest activations. Dimensions that are not known count as 1.
  uint64_t activationBytes = 0;
  bool hasUnknownDims = false;
  /// Private memory of the compiler: the largest layer in float and as codes,
  /// plus what the compiler itself takes.
  uint64_t compilePeakBytes = 0;
  /// Memory of a run: mapped weights and activations, without the cache.
  uint64_t runPeakBytes = 0;

  void printText(llvm::raw_ostream &os) const;
  void printJSON(llvm::raw_ostream &os) const;
};

/// For a module after `nibble-assign-schemes`, whose requests it reads.
mlir::FailureOr<Estimate> estimate(mlir::ModuleOp module);

} // namespace nibble

#endif // NIBBLE_PIPELINES_ESTIMATE_H
