//===- AttentionForm.h - Attention from primitive operators -----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_ATTENTIONFORM_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_ATTENTIONFORM_H

#include "MaskAnalysis.h"
#include "Match.h"
#include <string>

namespace nibble::onnx {

/// A mask on the scores of an attention.
struct MaskPart {
  /// Numbers that are added, or truth values: true where a query sees a key.
  mlir::Value value;
  bool isCondition = false;
  /// What stands, for truth values, in the place of hidden scores.
  double hidden = 0;
};

/// Keys or values as they are before they are prepared for the product.
struct KeyOrValue {
  /// [batch, heads, length, size], or [batch, length, size].
  mlir::Value value;
  /// To be applied to `value` to get there; empty if nothing is.
  llvm::SmallVector<int64_t> perm;
  /// Query heads that share a head of `value`.
  int64_t group = 1;
  /// The operation that reads `value` on the way to the product.
  mlir::Operation *reader = nullptr;
};

/// softmax(scale * q k^T + masks) v as the operators that compute it.
struct AttentionForm {
  SoftmaxOp softmax;
  /// The product with the values.
  MatMulOp root;
  MatMulOp scoresOp;
  mlir::Value q;
  KeyOrValue k, v;
  double scale = 1, softcap = 0;
  llvm::SmallVector<MaskPart, 2> masks;
};

/// Matches the form around a Softmax. Fails silently if it does not look like
/// attention, else with the `reason` set.
std::optional<AttentionForm>
matchAttention(SoftmaxOp softmax, SizeAnalysis &sizes, std::string &reason);

/// What masks say about positions.
struct Visibility {
  bool causal = false;
  int64_t left = -1, right = -1;
  /// What is not a matter of positions.
  llvm::SmallVector<MaskPart, 2> rest;
};

/// Takes causal masks and windows out of the masks of a form. `offset` is the
/// number of keys before the first query that the operator assumes;
/// `isQueryForEachKey` says that there are as many queries as keys after them.
Visibility splitMasks(const AttentionForm &form, SizeAnalysis &sizes,
                      const SizeExpr &offset, bool isQueryForEachKey);

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_ATTENTIONFORM_H
