//===- ONNXMLOps.cpp - Operators of classical machine learning ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyUtils.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXMLOps.cpp.inc"

void ONNXDialect::registerMLOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXMLOps.cpp.inc"
      >();
}

LogicalResult NormalizerOp::verify() {
  return verifyChoice(*this, "norm", getNorm(), {"MAX", "L1", "L2"});
}

LogicalResult TfIdfVectorizerOp::verify() {
  if (failed(verifyChoice(*this, "mode", getMode(), {"TF", "IDF", "TFIDF"})) ||
      failed(verifyAtLeast(*this, "min_gram_length", getMinGramLength(), 1)) ||
      failed(verifyAtLeast(*this, "max_gram_length", getMaxGramLength(),
                           getMinGramLength())) ||
      failed(verifyAtLeast(*this, "max_skip_count", getMaxSkipCount(), 0)))
    return failure();
  if (static_cast<bool>(getPoolInt64s()) == static_cast<bool>(getPoolStrings()))
    return emitOpError("expected one of pool_int64s and pool_strings");
  int64_t pool =
      getPoolInt64s() ? getPoolInt64s()->size() : getPoolStrings()->size();
  int64_t start = 0, grams = 0;
  for (auto [i, next] : llvm::enumerate(getNgramCounts())) {
    int64_t end =
        i + 1 < getNgramCounts().size() ? getNgramCounts()[i + 1] : pool;
    if (next != start && i == 0)
      return emitOpError() << "ngram_counts starts at " << next
                           << ", expected 0";
    int64_t length = i + 1;
    if (end < next || end > pool || (end - next) % length != 0)
      return emitOpError() << "ngram_counts gives " << end - next
                           << " elements to n-grams of length " << length
                           << ", expected a multiple of it, in a pool of "
                           << pool;
    grams += (end - next) / length;
  }
  if (static_cast<int64_t>(getNgramIndexes().size()) != grams)
    return emitOpError() << "ngram_indexes has " << getNgramIndexes().size()
                         << " elements, expected " << grams;
  if (getWeights() && getWeights()->size() != getNgramIndexes().size())
    return emitOpError() << "weights has " << getWeights()->size()
                         << " elements, expected " << grams;
  return success();
}
