//===- MaskAnalysis.h - What a mask is, element by element ------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A mask of attention is a tensor of which an element tells whether a query
// sees a key. Exporters compute it from Range, comparisons, Trilu, Where and
// operators that move elements. This evaluates such a tensor at a symbolic
// position: `Range(0, s) + p` at [i] is i + p, and `Less` of two such values an
// inequality between positions.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_MASKANALYSIS_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_MASKANALYSIS_H

#include "SizeAnalysis.h"

namespace nibble::onnx {

/// A conjunction of inequalities between positions.
struct Condition {
  /// Whether it is false everywhere.
  bool never = false;
  /// Each is at most zero where the condition holds.
  llvm::SmallVector<SizeExpr, 2> atMostZero;

  bool isAlways() const { return !never && atMostZero.empty(); }
};

/// A tensor that is 0 where `visible` holds, else the number `hidden`.
struct TwoValued {
  Condition visible;
  double hidden = 0;
};

class MaskAnalysis {
public:
  /// Positions in a tensor of scores.
  static SizeExpr query() {
    return SizeExpr::unknown(SizeExpr::kFirstPosition + 2);
  }
  static SizeExpr key() {
    return SizeExpr::unknown(SizeExpr::kFirstPosition + 3);
  }

  /// Masks of scores with so many queries and keys.
  MaskAnalysis(SizeAnalysis &sizes, SizeExpr queries, SizeExpr keys)
      : sizes(sizes), lastQuery(queries - SizeExpr(1)),
        lastKey(keys - SizeExpr(1)) {}

  /// When the truth value at [batch, head, query, key] is true; nothing if that
  /// is not only a matter of positions. `mask` broadcasts to the scores.
  std::optional<Condition> getCondition(mlir::Value mask) {
    return condition(mask, positionsIn(mask));
  }
  /// The same for a tensor of numbers of which there are two, one of them 0.
  std::optional<TwoValued> getTwoValued(mlir::Value mask) {
    return twoValued(mask, positionsIn(mask));
  }

private:
  using Position = llvm::SmallVector<SizeExpr, 4>;
  /// An element of a tensor.
  struct Element {
    mlir::Value tensor;
    Position position;
  };

  Position positionsIn(mlir::Value mask);
  static Position broadcastFrom(mlir::Value operand,
                                llvm::ArrayRef<SizeExpr> position);

  std::optional<SizeExpr> integer(mlir::Value v, const Position &at);
  std::optional<Condition> condition(mlir::Value v, const Position &at);
  std::optional<TwoValued> twoValued(mlir::Value v, const Position &at);

  /// The element that an operator which only moves elements puts at `at`.
  std::optional<Element> moved(mlir::Operation *op, const Position &at);
  std::optional<Element> reshaped(mlir::Operation *op, const Position &at);
  std::optional<Element> sliced(mlir::Operation *op, const Position &at);
  std::optional<Element> gathered(mlir::Operation *op, const Position &at);
  std::optional<Element> joined(mlir::Operation *op, const Position &at);

  std::optional<SizeExpr> joinedRamp(mlir::Operation *op, const Position &at);

  std::optional<Condition> compared(mlir::Operation *op, const Position &at);
  std::optional<Condition> table(mlir::Value v, const Position &at, double seen,
                                 double unseen);
  /// Where Trilu keeps what it reads.
  std::optional<Condition> kept(mlir::Operation *trilu, const Position &at);
  std::optional<TwoValued> chosen(mlir::Operation *where, const Position &at);
  std::optional<TwoValued> product(mlir::Operation *mul, const Position &at);

  Condition atMost(SizeExpr bound);
  Condition both(Condition a, const Condition &b);
  std::optional<Condition> either(const Condition &a, const Condition &b);
  std::optional<Condition> negated(const Condition &a);

  SizeAnalysis &sizes;
  SizeExpr lastQuery, lastKey;
};

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_MASKANALYSIS_H
