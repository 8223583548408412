//===- ONNXTransformerOps.cpp - Transformers of com.microsoft -------------===//
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
#include "nibble/Dialect/ONNX/IR/ONNXTransformerOps.cpp.inc"

void ONNXDialect::registerTransformerOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXTransformerOps.cpp.inc"
      >();
}

static bool isGiven(Value value) { return !isa<NoneType>(value.getType()); }

/// Checks that both values are there, or neither.
static LogicalResult verifyPair(Operation *op, StringRef names, Value a,
                                Value b) {
  if (isGiven(a) == isGiven(b))
    return success();
  return op->emitOpError() << "has one of " << names
                           << ", expected both or none";
}

/// Checks an operand's rank where it is known.
static LogicalResult verifyRank(Operation *op, StringRef name, Value value,
                                ArrayRef<int64_t> ranks, StringRef expected) {
  std::optional<int64_t> rank = getRank(value);
  if (!rank || llvm::is_contained(ranks, *rank))
    return success();
  return op->emitOpError() << name << " has type " << value.getType()
                           << ", expected rank " << expected;
}

/// Checks that an attribute is 0 or 1.
static LogicalResult verifyFlag(Operation *op, StringRef name, int64_t value) {
  if (value == 0 || value == 1)
    return success();
  return op->emitOpError() << name << " is " << value << ", expected 0 or 1";
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult MicrosoftGroupQueryAttentionOp::verify() {
  int64_t heads = getNumHeads(), kvHeads = getKvNumHeads();
  if (failed(verifyAtLeast(*this, "num_heads", heads, 1)) ||
      failed(verifyAtLeast(*this, "kv_num_heads", kvHeads, 1)))
    return failure();
  if (heads % kvHeads != 0)
    return emitOpError() << "num_heads is " << heads
                         << ", expected a multiple of kv_num_heads, "
                         << kvHeads;
  if (failed(verifyRank(*this, "query", getQuery(), 3, "3")) ||
      failed(verifyRank(*this, "key", getKey(), 3, "3")) ||
      failed(verifyRank(*this, "value", getValue(), 3, "3")) ||
      failed(verifyRank(*this, "past_key", getPastKey(), 4, "4")) ||
      failed(verifyRank(*this, "past_value", getPastValue(), 4, "4")) ||
      failed(verifyPair(*this, "key and value", getKey(), getValue())) ||
      failed(verifyPair(*this, "past_key and past_value", getPastKey(),
                        getPastValue())) ||
      failed(verifyPair(*this, "cos_cache and sin_cache", getCosCache(),
                        getSinCache())) ||
      failed(verifyPair(*this, "q_norm_weight and k_norm_weight",
                        getQNormWeight(), getKNormWeight())) ||
      failed(verifyFlag(*this, "causal", getCausal())) ||
      failed(verifyFlag(*this, "do_rotary", getDoRotary())))
    return failure();
  if (getDoRotary() && !isGiven(getCosCache()))
    return emitOpError("do_rotary is 1, which needs cos_cache and sin_cache");
  if (getLocalWindowSize() != -1 && getLocalWindowSize() < 1)
    return emitOpError() << "local_window_size is " << getLocalWindowSize()
                         << ", expected -1 or at least 1";
  if (getLocalWindowSize() != -1 && !getCausal())
    return emitOpError() << "local_window_size is " << getLocalWindowSize()
                         << ", expected -1 as causal is 0";
  return success();
}

LogicalResult MicrosoftMultiHeadAttentionOp::verify() {
  if (failed(verifyAtLeast(*this, "num_heads", getNumHeads(), 1)) ||
      failed(verifyFlag(*this, "unidirectional", getUnidirectional())) ||
      failed(verifyRank(*this, "query", getQuery(), {3, 5}, "3 or 5")) ||
      failed(verifyRank(*this, "key", getKey(), {3, 4, 5}, "3, 4 or 5")) ||
      failed(verifyRank(*this, "value", getValue(), {3, 4}, "3 or 4")) ||
      failed(verifyRank(*this, "past_key", getPastKey(), 4, "4")) ||
      failed(verifyRank(*this, "past_value", getPastValue(), 4, "4")) ||
      failed(verifyRank(*this, "attention_bias", getAttentionBias(), 4, "4")) ||
      failed(verifyPair(*this, "past_key and past_value", getPastKey(),
                        getPastValue())))
    return failure();
  std::optional<int64_t> query = getRank(getQuery()), key = getRank(getKey());
  if (query == 5 && (isGiven(getKey()) || isGiven(getValue())))
    return emitOpError() << "query has type " << getQuery().getType()
                         << ", which holds keys and values; expected no key "
                            "and no value";
  if (query == 3 && !isGiven(getKey()))
    return emitOpError("has no key, expected one with a query of rank 3");
  if (key == 5 && isGiven(getValue()))
    return emitOpError() << "key has type " << getKey().getType()
                         << ", which holds values; expected no value";
  if ((key == 3 || key == 4) && !isGiven(getValue()))
    return emitOpError() << "has no value, expected one with a key of rank "
                         << *key;
  return success();
}

LogicalResult MicrosoftAttentionOp::verify() {
  if (failed(verifyAtLeast(*this, "num_heads", getNumHeads(), 1)) ||
      failed(verifyFlag(*this, "unidirectional", getUnidirectional())) ||
      failed(verifyRank(*this, "input", getInput(), 3, "3")) ||
      failed(verifyRank(*this, "weights", getWeights(), 2, "2")) ||
      failed(verifyRank(*this, "past", getPast(), 5, "5")) ||
      failed(verifyRank(*this, "attention_bias", getAttentionBias(), 4, "4")) ||
      failed(verifyRank(*this, "mask_index", getMaskIndex(), {1, 2, 3, 4},
                        "1 to 4")))
    return failure();
  std::optional<ArrayRef<int64_t>> sizes = getQkvHiddenSizes();
  if (!sizes)
    return success();
  if (sizes->size() != 3 || (*sizes)[0] != (*sizes)[1])
    return emitOpError() << "qkv_hidden_sizes is [" << *sizes
                         << "], expected three sizes, the first two equal";
  for (int64_t size : *sizes)
    if (size < 1 || size % getNumHeads() != 0)
      return emitOpError() << "qkv_hidden_sizes is [" << *sizes
                           << "], expected multiples of num_heads, "
                           << getNumHeads();
  return success();
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

LogicalResult MicrosoftRotaryEmbeddingOp::verify() {
  if (failed(verifyRank(*this, "input", getInput(), {3, 4}, "3 or 4")) ||
      failed(verifyRank(*this, "position_ids", getPositionIds(), {1, 2},
                        "1 or 2")) ||
      failed(verifyRank(*this, "cos_cache", getCosCache(), 2, "2")) ||
      failed(verifyRank(*this, "sin_cache", getSinCache(), 2, "2")) ||
      failed(verifyAtLeast(*this, "num_heads", getNumHeads(), 0)))
    return failure();
  if (getRotaryEmbeddingDim() < 0 || getRotaryEmbeddingDim() % 2 != 0)
    return emitOpError() << "rotary_embedding_dim is "
                         << getRotaryEmbeddingDim()
                         << ", expected an even number";
  if (getRotaryEmbeddingDim() > 0 && getNumHeads() == 0 &&
      getRank(getInput()) == 3)
    return emitOpError() << "rotary_embedding_dim is "
                         << getRotaryEmbeddingDim()
                         << ", which needs num_heads for an input of rank 3";
  return success();
}

//===----------------------------------------------------------------------===//
// Normalization
//===----------------------------------------------------------------------===//

LogicalResult MicrosoftEmbedLayerNormalizationOp::verify() {
  if (failed(verifyPair(*this, "segment_ids and segment_embedding",
                        getSegmentIds(), getSegmentEmbedding())) ||
      failed(verifyRank(*this, "input_ids", getInputIds(), 2, "2")) ||
      failed(verifyRank(*this, "segment_ids", getSegmentIds(), 2, "2")) ||
      failed(verifyRank(*this, "mask", getMask(), 2, "2")) ||
      failed(verifyRank(*this, "position_ids", getPositionIds(), 2, "2")))
    return failure();
  return success(succeeded(verifyRank(*this, "word_embedding",
                                      getWordEmbedding(), 2, "2")) &&
                 succeeded(verifyRank(*this, "position_embedding",
                                      getPositionEmbedding(), 2, "2")) &&
                 succeeded(verifyRank(*this, "segment_embedding",
                                      getSegmentEmbedding(), 2, "2")));
}
