//===- AttentionEmitter.h - What both ways of attention share ---*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CODEGEN_CPU_ATTENTIONEMITTER_H
#define NIBBLE_LIB_CODEGEN_CPU_ATTENTIONEMITTER_H

#include "nibble/Codegen/CPU/AttentionKernel.h"

namespace nibble::codegen {

/// Numbers, masks and bounds of an attention; the two ways derive from it.
class AttentionEmitter {
public:
  AttentionEmitter(KernelBuilder &kernel, const AttentionSpec &spec,
                   const AttentionArguments &arguments);

protected:
  static constexpr int64_t lanes = KernelBuilder::lanes;
  /// Columns whose scratch is still taken from the stack.
  static constexpr int64_t maxStackWidth = 512;

  /// One head of keys of one batch, and where its queries may look.
  struct Pair {
    Index batch, head;
    /// Position of query 0, and the number of keys that exist.
    Index offset, valid;
  };
  Pair getPair(Index number);
  /// Keys [begin, end) that some of the queries [first, last] see.
  Index firstSeen(const Pair &pair, Index first);
  Index endOfSeen(const Pair &pair, Index last);
  /// Row of the problem to the address of its query, result or mask row.
  Index rowAt(const HeadMemory &memory, const Pair &pair, Index row);
  /// Address of key or value `token`.
  Index tokenAt(const HeadMemory &memory, const Pair &pair, Index token) {
    return pair.batch * memory.batch + pair.head * memory.head +
           token * memory.token;
  }
  /// Notes in `last` and `first` (if there is a left window) which keys a row
  /// sees, at position `at`.
  void storeBounds(const Pair &pair, Index row, Index at);
  void allocateBounds(int64_t rows);

  // Numbers.
  mlir::Value constant(double value);
  mlir::Value constants(double value);
  mlir::Value minusInfinity() {
    return constants(-std::numeric_limits<double>::infinity());
  }
  /// To the type in which sums are formed, from f16, bf16, f32 or f64.
  mlir::Value widen(mlir::Value x);
  mlir::Value loadWide(mlir::Value memory, Index at, mlir::Value mask = {});
  void storeNarrow(mlir::Value x, mlir::Value memory, Index at,
                   mlir::Value mask);
  mlir::Value toI32(Index x);
  /// What masks add to 16 scores: 0 or minus infinity where they are i1.
  mlir::Value loadMask(Index at, mlir::Value exists);
  mlir::Value loadMaskColumn(Index at);
  mlir::Value capScore(mlir::Value x);
  /// 0 for minus infinity, so that differences to it are numbers.
  mlir::Value asReference(mlir::Value maximum);
  mlir::Value divide(mlir::Value x, mlir::Value y);
  /// 1 / x, and 0 for 0.
  mlir::Value reciprocal(mlir::Value x);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value sle(mlir::Value x, mlir::Value y);

  /// Scratch of a task, on the stack if `atMost` numbers are known to be
  /// enough; `freeScratch` frees what is not.
  mlir::Value takeScratch(Index count, int64_t atMost);
  void freeScratch();
  /// Numbers that `count` rows of a width take, rounded up to whole vectors.
  static int64_t padded(int64_t width) {
    return llvm::alignTo(width, KernelBuilder::lanes);
  }
  Index padded(Index width) { return ceilDiv(width, lanes) * lanes; }
  /// The most numbers of `rows` rows on the stack, -1 if it is not known.
  static int64_t stackSize(int64_t rows, int64_t width) {
    return mlir::ShapedType::isDynamic(width) || width > maxStackWidth
               ? -1
               : rows * padded(width);
  }

  KernelBuilder &kb;
  const AttentionSpec &spec;
  const AttentionArguments &args;
  mlir::Type acc;
  mlir::VectorType accVector;
  Index pairs, rows;
  mlir::Value last, first;

private:
  Values onHeap;
};

/// Up to this many rows of a head of keys go the way of few rows.
constexpr int64_t maxFewRows = 12;
void emitFewRowsAttention(KernelBuilder &kernel, const AttentionSpec &spec,
                          const AttentionArguments &arguments);
void emitManyRowsAttention(KernelBuilder &kernel, const AttentionSpec &spec,
                           const AttentionArguments &arguments);

} // namespace nibble::codegen

#endif // NIBBLE_LIB_CODEGEN_CPU_ATTENTIONEMITTER_H
