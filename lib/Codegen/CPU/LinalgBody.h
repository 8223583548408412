//===- LinalgBody.h - The body of a linalg operation in vectors -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Emits the body of a linalg operation for one element or for 16 along one
// loop. What is the same for all 16 stays scalar, and positions that count up
// by one are kept as their first: so a load in the body, as gathers and
// resampling have it, is a vector load where neighbours are neighbours in
// memory, and a gather only where they are not.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CODEGEN_CPU_LINALGBODY_H
#define NIBBLE_LIB_CODEGEN_CPU_LINALGBODY_H

#include "nibble/Codegen/CPU/LinalgNest.h"

namespace nibble::codegen {

/// A point of the nest that code is emitted for: an index for each loop; of the
/// vectorized loop that of the first lane.
struct NestPoint {
  llvm::SmallVector<Index> indices;
  /// Lanes that exist, and their number; null: all.
  mlir::Value mask;
  mlir::Value count;
};

/// The steps between elements that whole vectors and shuffles can pick.
bool isShuffleStride(Index stride, int64_t &step);

class LinalgBody {
public:
  LinalgBody(KernelBuilder &kernel, const LinalgNest &nest)
      : kb(kernel), nest(nest), body(*linalg().getBlock()) {}

  /// Loop cut into vectors, -1 if none; it may be parallel or a reduction.
  int64_t vectorLoop = -1;
  bool vectorReduction = false;

  bool isVector() const { return vectorLoop >= 0; }
  /// How well the body's own loads suit vectors along a loop.
  int64_t scoreLoads(int64_t loop);

  /// The element of an operand at a point, or 16 of them where they differ.
  mlir::Value loadOperand(int64_t operand, const NestPoint &point);
  void storeResult(int64_t output, mlir::Value value, const NestPoint &point);
  /// Values that the body yields at `point`, on vectors if a loop is
  /// vectorized.
  Values compute(const NestPoint &point, mlir::ValueRange arguments);
  /// The one scalar of an output that a reduction in vectors goes to.
  mlir::Value loadScalar(const LinalgNest::Access &access, Index at);
  void storeScalar(mlir::Value value, const LinalgNest::Access &access,
                   Index at);
  Index address(const LinalgNest::Access &access, const NestPoint &point);

private:
  /// A value of the body in all lanes.
  struct Lanes {
    /// The same everywhere, or if `counts` that of the first lane, from which
    /// the others count up by one.
    mlir::Value scalar;
    mlir::Value vector;
    bool counts = false;
  };
  /// How a value differs from lane to lane.
  enum class Kind { Uniform, Counting, Varying };

  // Linalg operations are values: a copy of the handle is not const.
  mlir::linalg::LinalgOp linalg() const { return nest.op; }
  mlir::Value widen(mlir::Value value);
  mlir::Value widen(const Lanes &lanes);
  Lanes combine(mlir::Operation &op, llvm::ArrayRef<Lanes> operands);
  Lanes load(mlir::Operation &op, llvm::ArrayRef<Lanes> operands,
             const NestPoint &point);
  Kind kindOf(mlir::Value value, int64_t loop,
              llvm::DenseMap<mlir::Value, Kind> &known);
  mlir::Value loadVector(mlir::Value memref, Index at, mlir::VectorType type,
                         mlir::Value mask);
  mlir::Value loadStrided(mlir::Value flat, Index at, Index stride,
                          mlir::VectorType type, const NestPoint &point);
  mlir::Value allLanes(mlir::Value mask);
  mlir::Value fromMemory(mlir::Value value, bool isBool);
  mlir::Value toMemory(mlir::Value value, bool isBool);

  KernelBuilder &kb;
  const LinalgNest &nest;
  mlir::Block &body;
};

} // namespace nibble::codegen

#endif // NIBBLE_LIB_CODEGEN_CPU_LINALGBODY_H
