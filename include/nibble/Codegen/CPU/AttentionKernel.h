//===- AttentionKernel.h - Attention with an online softmax -----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernel of `nibble.attention`. Queries that share a head of keys are rows
// of one problem, in the order of their positions: row r is query r / group of
// head r % group. Keys are visited in blocks; a running maximum and sum of each
// row make the softmax (Milakov and Gimelshein, "Online normalizer calculation
// for softmax", arXiv 1805.02867), so that no more than a block of scores
// exists. Blocks that no row of a task sees are not visited.
//
// Two ways through it:
//
// * Many rows: a vector holds one number of 16 rows. Scores are products of
//   keys, broadcast, with the transposed queries, and results are products of
//   values, broadcast, with the weights: neither keys nor values are
//   rearranged, and the softmax needs nothing across the lanes of a vector.
// * Few rows (a step of generation): a vector holds 16 columns of one row. Each
//   task takes a part of the keys of one head; the parts are merged at the end
//   (as Flash-Decoding does).
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_ATTENTIONKERNEL_H
#define NIBBLE_CODEGEN_CPU_ATTENTIONKERNEL_H

#include "nibble/Codegen/CPU/KernelBuilder.h"

namespace nibble::codegen {

/// What two attentions must have in common to share a kernel.
struct AttentionSpec {
  /// Elements of queries, keys and the result; of values; of the mask (i1: seen
  /// or hidden, null: there is none); of lengths (null: there are none).
  mlir::Type element, valueElement, maskElement, lengthElement;
  /// Sizes, or `ShapedType::kDynamic`.
  int64_t width, valueWidth, group;
  /// The mask has one number for all keys of a query, or one row for all
  /// queries and heads of a batch.
  bool maskColumn = false, maskRow = false;
  /// Whether the windows bound what is seen, and scores are capped.
  bool left = false, reach = false, softcap = false;

  std::string getName() const;
};

/// An operand in memory: `memory[b * batch + h * head + t * token + d]`.
struct HeadMemory {
  mlir::Value memory;
  Index batch, head, token;
};

struct AttentionArguments {
  HeadMemory query, key, value, out;
  /// `head` is the stride of query heads; strides are 0 where it is repeated.
  HeadMemory mask;
  mlir::Value lengths;
  Index batch, kvHeads, group, queries, keys, width, valueWidth;
  /// Keys before the first query, keys that the mask covers, and the windows.
  Index past, maskKeys, left, reach;
  /// Factor and bound of scores, f32 (f64 for elements of that type).
  mlir::Value scale, softcap;
};

void emitAttention(KernelBuilder &kernel, const AttentionSpec &spec,
                   const AttentionArguments &arguments);

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_ATTENTIONKERNEL_H
