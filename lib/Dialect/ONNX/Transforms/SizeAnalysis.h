//===- SizeAnalysis.h - Sizes as sums of symbols ----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shape inference knows products of symbols. A language model's sizes are sums
// (keys = past + new), so this goes one step further: what inference could not
// name (a Concat of unknown sizes, a Range, a Reshape by a computed shape) is
// written in terms of what it could.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_SIZEANALYSIS_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_SIZEANALYSIS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include "llvm/ADT/DenseSet.h"
#include <map>

namespace nibble::onnx {

/// A polynomial with integer coefficients in unknowns that are never negative:
/// sizes of tensors, and positions in them.
class SizeExpr {
public:
  SizeExpr(int64_t constant = 0) { add({}, constant); }
  /// The unknown with this number, which a symbol of shape inference has, or
  /// one from kFirstPosition on.
  static SizeExpr unknown(unsigned id);
  /// Numbers from here on stand for positions along dimensions.
  static constexpr unsigned kFirstPosition = 1u << 31;

  SizeExpr operator+(const SizeExpr &other) const;
  SizeExpr operator-(const SizeExpr &other) const;
  SizeExpr operator*(const SizeExpr &other) const;
  bool operator==(const SizeExpr &other) const { return terms == other.terms; }
  bool operator!=(const SizeExpr &other) const { return terms != other.terms; }

  std::optional<int64_t> getConstant() const;
  /// The coefficient of an unknown where it stands alone.
  int64_t getCoefficient(unsigned id) const;
  /// Whether it is at least zero whatever the unknowns are.
  bool isNeverNegative() const;
  bool isNeverPositive() const;

private:
  using Product = std::vector<unsigned>;
  void add(const Product &product, int64_t coefficient);

  std::map<Product, int64_t> terms;
};

/// The sizes in one function. Valid until the function changes; values that
/// are new since then have no sizes.
class SizeAnalysis {
public:
  explicit SizeAnalysis(mlir::func::FuncOp func);

  /// The size of a dimension of a tensor whose rank is known.
  SizeExpr getDim(mlir::Value value, int64_t dim);
  /// An element, counted in row-major order, of a tensor of integers.
  std::optional<SizeExpr> getElement(mlir::Value value, int64_t index);
  /// Whether two dimensions have the same size in every run.
  bool isSameDim(mlir::Value a, int64_t dimA, mlir::Value b, int64_t dimB) {
    return getDim(a, dimA) == getDim(b, dimB);
  }

private:
  SizeExpr expand(const Dim &dim);
  void nameSums(mlir::func::FuncOp func);
  void define(mlir::Operation *op);
  std::optional<SizeExpr> computeDim(mlir::Operation *op, int64_t dim);
  std::optional<SizeExpr> computeElement(mlir::Operation *op, int64_t index);
  std::optional<bool> computeTruth(mlir::Value value, int64_t index);

  InferState state;
  llvm::DenseMap<unsigned, SizeExpr> definitions;
  llvm::DenseSet<unsigned> seen;
};

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_SIZEANALYSIS_H
