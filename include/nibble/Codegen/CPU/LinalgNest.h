//===- LinalgNest.h - A linalg operation as a loop nest ---------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every operand of a linalg operation on memrefs is read at an address that is
// linear in the loop indices. A nest knows the coefficients, so it can see
// which loops run through memory without a gap, which operands a loop does not
// touch, and which neighbouring loops are really one.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_LINALGNEST_H
#define NIBBLE_CODEGEN_CPU_LINALGNEST_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "nibble/Codegen/CPU/KernelBuilder.h"

namespace nibble::codegen {

struct LinalgNest {
  /// How one operand is reached: `flat[offset + sum of stride_d * index_d]`.
  struct Access {
    /// One-dimensional memref; null for a scalar operand.
    mlir::Value flat;
    mlir::Value scalar;
    Index offset;
    llvm::SmallVector<Index> strides;
    /// Elements are truth values; `flat` shows their bytes.
    bool isBool = false;
    /// Known to have fewer than 2^31 elements.
    bool isSmall = false;

    bool isInvariant(int64_t loop) const;
    bool isContiguous(int64_t loop) const;
  };

  /// Fails, without a message, if an address is not linear.
  static mlir::FailureOr<LinalgNest> create(KernelBuilder &kernel,
                                            mlir::linalg::LinalgOp op);

  int64_t numLoops() const { return sizes.size(); }
  bool isParallel(int64_t loop) const { return parallel[loop]; }
  bool hasReductions() const { return llvm::is_contained(parallel, false); }
  llvm::ArrayRef<Access> outputs() const {
    return llvm::ArrayRef<Access>(accesses).drop_front(numInputs);
  }

  mlir::linalg::LinalgOp op;
  llvm::SmallVector<Index> sizes;
  llvm::SmallVector<bool> parallel;
  llvm::SmallVector<Access> accesses;
  /// The loads in the body; their strides are those of the memref.
  llvm::DenseMap<mlir::Operation *, Access> bodyLoads;
  int64_t numInputs = 0;

private:
  void mergeLoops(KernelBuilder &kernel);
};

/// What can be said of the body of a linalg operation.
struct BodyInfo {
  explicit BodyInfo(mlir::linalg::LinalgOp op);
  /// Can be computed for 16 elements at a time.
  bool elementwise = true;
  /// May stop the run, or writes memory: must not run on other threads.
  bool serial = false;
  bool usesIndices = false;
  /// Rough cost of an element, in scalar operations.
  int64_t cost = 4;
};

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_LINALGNEST_H
