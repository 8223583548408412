//===- DecomposeTransformers.cpp - Attention of com.microsoft -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What ONNX Runtime's kernels for the CPU compute, with standard operators:
//
//   MultiHeadAttention  Attention with a mask
//   Attention           MatMul, Split, Attention
//
//===----------------------------------------------------------------------===//

#include "TransformerWriter.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {

class TransformerDecomposer : TransformerWriter {
public:
  using TransformerWriter::TransformerWriter;

  Decomposition decompose();

private:
  /// Queries, keys and values.
  struct Projected {
    Value q, k, v;
  };

  //===--------------------------------------------------------------------===//
  // Building
  //===--------------------------------------------------------------------===//

  /// Scores that are added to the keys where `keep` is false.
  Value hideUnless(Value keep, float filter) {
    return emit("Where", {keep, scalar(0, in(0)), scalar(filter, in(0))});
  }
  /// (batch, ...) truth values of an integer mask, of four dimensions.
  Value expandMask(Value mask, ArrayRef<int64_t> newAxes) {
    auto zero = onnx::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(RankedTensorType::get({}, b.getI32Type()), 0));
    return unsqueeze(emit("Greater", {mask, zero}), newAxes);
  }
  /// Whether key j of batch entry b comes before `ends[b]` (not before it):
  /// (batch, 1, 1, keys).
  Value compareKeys(StringRef how, Value keys, Value ends) {
    return emit(how, {reshape(countTo(keys), {1, 1, 1, -1}),
                      reshape(toI64(ends), {-1, 1, 1, 1})});
  }
  Value addTo(Value x, Value y) {
    return has(x) && has(y) ? emit("Add", {x, y}) : has(x) ? x : y;
  }

  //===--------------------------------------------------------------------===//
  // Operators
  //===--------------------------------------------------------------------===//

  FailureOr<Projected> project(MicrosoftMultiHeadAttentionOp mha);
  FailureOr<Value> getMask(MicrosoftMultiHeadAttentionOp mha, Value keys);
  Decomposition decomposeMultiHead(MicrosoftMultiHeadAttentionOp mha);
  Value getMask(MicrosoftAttentionOp attention, Value past, Value keys);
  Decomposition decomposeAttention(MicrosoftAttentionOp attention);

  Decomposition decomposeRotary(MicrosoftRotaryEmbeddingOp rotary);
  Decomposition decomposeRMSNorm();
  Decomposition decomposeEmbedNorm(MicrosoftEmbedLayerNormalizationOp embed);
};

} // namespace

FailureOr<int64_t> TransformerWriter::getPart(StringRef what, Value x,
                                              int64_t parts) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t size = type.getShape().back();
  if (!ShapedType::isDynamic(size) && size % parts == 0)
    return size / parts;
  return op->emitOpError() << what << " has type " << type
                           << ", expected a last dimension that is known and a "
                              "multiple of "
                           << parts << " heads";
}

//===----------------------------------------------------------------------===//
// MultiHeadAttention
//===----------------------------------------------------------------------===//

/// Queries, keys and values apart, with their bias.
FailureOr<TransformerDecomposer::Projected>
TransformerDecomposer::project(MicrosoftMultiHeadAttentionOp mha) {
  int64_t heads = mha.getNumHeads();
  Projected x{mha.getQuery(), mha.getKey(), mha.getValue()};
  // Of (batch, length, heads, parts, size) the parts.
  auto unpack = [&](Value packed, int64_t count) {
    SmallVector<Value> parts = split(packed, SmallVector<int64_t>(count, 1), 3);
    for (Value &part : parts)
      part = reshape(part, {0, 0, -1});
    return parts;
  };
  auto query = cast<RankedTensorType>(mha.getQuery().getType());
  auto key = dyn_cast<RankedTensorType>(mha.getKey().getType());
  FailureOr<int64_t> size =
      getPart("query", mha.getQuery(), query.getRank() == 5 ? 1 : heads);
  if (failed(size))
    return failure();
  int64_t width = heads * *size, valueWidth = width;
  if (query.getRank() == 5) {
    auto parts = unpack(x.q, 3);
    x = {parts[0], parts[1], parts[2]};
  } else if (key.getRank() == 5) {
    auto parts = unpack(x.k, 2);
    x.k = parts[0];
    x.v = parts[1];
  } else if (key.getRank() == 4) {
    // Keys and values of another step, which have had their bias.
    if (has(mha.getBias())) {
      Value part = split(mha.getBias(), {width, 2 * width}, 0)[0];
      x.q = emit("Add", {x.q, part});
    }
    x.q = splitHeads(x.q, heads, *size);
    return x;
  } else {
    FailureOr<int64_t> valueSize = getPart("value", mha.getValue(), heads);
    if (failed(valueSize))
      return failure();
    valueWidth = heads * *valueSize;
  }
  if (has(mha.getBias())) {
    auto parts = split(mha.getBias(), {width, width, valueWidth}, 0);
    x.q = emit("Add", {x.q, parts[0]});
    x.k = emit("Add", {x.k, parts[1]});
    x.v = emit("Add", {x.v, parts[2]});
  }
  return x;
}

/// What is added to the scores, or none; `keys` is their number.
FailureOr<Value>
TransformerDecomposer::getMask(MicrosoftMultiHeadAttentionOp mha, Value keys) {
  Value mask = mha.getKeyPaddingMask(), keep;
  if (!has(mask))
    return mha.getAttentionBias();
  switch (rankOf(mask)) {
  case 1:
    keep = compareKeys("Less", keys, mask);
    break;
  case 2:
    keep = expandMask(mask, {1, 2});
    break;
  case 3:
    keep = expandMask(mask, {1});
    break;
  default:
    return op->emitOpError() << "key_padding_mask has type " << mask.getType()
                             << ", expected rank 1 to 3";
  }
  return addTo(hideUnless(keep, mha.getMaskFilterValue()),
               mha.getAttentionBias());
}

Decomposition
TransformerDecomposer::decomposeMultiHead(MicrosoftMultiHeadAttentionOp mha) {
  if (has(mha.getPastSequenceLength()) || has(mha.getCacheIndirection()))
    return op->emitOpError("has past_sequence_length or cache_indirection, "
                           "expected none: beam search in a shared buffer is "
                           "not supported");
  int64_t heads = mha.getNumHeads();
  FailureOr<Projected> x = project(mha);
  if (failed(x))
    return failure();
  // Ready keys and values are per head, all others side by side.
  bool perHead = x->k == mha.getKey() && rankOf(x->k) == 4;
  bool packed = rankOf(mha.getQuery()) == 5;
  Value keys = sizeOf(packed ? mha.getQuery() : mha.getKey(), perHead ? 2 : 1);
  if (has(mha.getPastKey()))
    keys = emit("Add", {keys, sizeOf(mha.getPastKey(), 2)});
  FailureOr<Value> mask = getMask(mha, keys);
  if (failed(mask))
    return failure();
  SmallVector<NamedAttribute> attrs = {
      attr("is_causal", int64_t(mha.getUnidirectional()))};
  if (mha.getScale() != 0)
    attrs.push_back(attr("scale", mha.getScale()));
  if (!perHead) {
    attrs.push_back(attr("q_num_heads", heads));
    attrs.push_back(attr("kv_num_heads", heads));
  }
  SmallVector<Value> results = emit(
      "Attention",
      {x->q, x->k, x->v, *mask, mha.getPastKey(), mha.getPastValue(), none()},
      getLayerAttributes({}, attrs),
      {unknown(), unknownIf(hasResult(1)), unknownIf(hasResult(2)),
       b.getNoneType()});
  if (perHead)
    results[0] = reshape(transpose(results[0], {0, 2, 1, 3}), {0, 0, -1});
  results[3] = Value();
  return std::optional(results);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// What is added to the scores, or none; `past` and `keys` count positions.
Value TransformerDecomposer::getMask(MicrosoftAttentionOp attention, Value past,
                                     Value keys) {
  Value mask = attention.getMaskIndex(), keep;
  if (!has(mask))
    return attention.getAttentionBias();
  auto type = cast<RankedTensorType>(mask.getType());
  if (type.getRank() == 1) {
    // Ends of the texts, then perhaps as many starts, which else are zeros.
    Value batch = sizeOf(attention.getInput(), 0);
    Value zero = emit(
        "ConstantOfShape", batch,
        b.getNamedAttr("value", DenseElementsAttr::get(
                                    RankedTensorType::get({1}, b.getI64Type()),
                                    int64_t(0))));
    Value two = concat({integers({2}), batch});
    Value limits = emit("Slice", {concat({toI64(mask), zero}), integers({0}),
                                  emit("Mul", {batch, integers({2})}),
                                  integers({0}), none()});
    limits = emit("Reshape", {limits, two});
    auto row = [&](int64_t i) {
      return emit("Gather", {limits, number(i)}, attr("axis", int64_t(0)));
    };
    keep = emit("And", {compareKeys("Less", keys, row(0)),
                        compareKeys("GreaterOrEqual", keys, row(1))});
  } else if (type.getRank() == 2) {
    keep = expandMask(mask, {1, 2});
  } else if (type.getRank() == 3) {
    keep = expandMask(mask, {1});
  } else {
    // Rows of the new positions out of a mask for the longest text.
    Value part =
        emit("Slice", {mask, concat({past, integers({0})}),
                       concat({keys, keys}), integers({2, 3}), none()});
    keep = expandMask(part, {});
  }
  return addTo(hideUnless(keep, attention.getMaskFilterValue()),
               attention.getAttentionBias());
}

Decomposition
TransformerDecomposer::decomposeAttention(MicrosoftAttentionOp attention) {
  if (attention.getDoRotary())
    return op->emitOpError("do_rotary is 1, expected 0: export the model with "
                           "RotaryEmbedding or GroupQueryAttention");
  if (has(attention.getPastSequenceLength()) ||
      attention.getPastPresentShareBuffer())
    return op->emitOpError("shares a buffer between past and present, which is "
                           "not supported; expected a past of the length that "
                           "it has");
  int64_t heads = attention.getNumHeads();
  SmallVector<int64_t> widths;
  if (auto sizes = attention.getQkvHiddenSizes()) {
    llvm::append_range(widths, *sizes);
  } else {
    FailureOr<int64_t> size =
        getPart("weights", attention.getWeights(), 3 * heads);
    if (failed(size))
      return failure();
    widths.assign(3, *size * heads);
  }
  Value product = emitLayer("MatMul", {in(0), in(1)});
  SmallVector<Value> x = split(addTo(product, in(2)), widths, 2);
  Value keys = sizeOf(in(0), 1), past = integers({0});
  Value pastKey = none(), pastValue = none();
  if (has(attention.getPast())) {
    past = sizeOf(attention.getPast(), 3);
    keys = emit("Add", {keys, past});
    auto parts = split(attention.getPast(), {1, 1}, 0);
    pastKey = emit("Squeeze", {parts[0], integers({0})});
    pastValue = emit("Squeeze", {parts[1], integers({0})});
  }
  SmallVector<NamedAttribute> attrs = {
      attr("is_causal", int64_t(attention.getUnidirectional())),
      attr("q_num_heads", heads), attr("kv_num_heads", heads)};
  if (attention.getScale() != 0)
    attrs.push_back(attr("scale", attention.getScale()));
  Type present = unknownIf(hasResult(1));
  SmallVector<Value> results =
      emit("Attention",
           {x[0], x[1], x[2], getMask(attention, past, keys), pastKey,
            pastValue, none()},
           attrs, {unknown(), present, present, b.getNoneType()});
  Value joined;
  if (hasResult(1))
    joined = concat({unsqueeze(results[1], {0}), unsqueeze(results[2], {0})});
  return std::optional(SmallVector<Value>{results[0], joined});
}

//===----------------------------------------------------------------------===//
// Positions and normalization
//===----------------------------------------------------------------------===//

Decomposition
TransformerDecomposer::decomposeRotary(MicrosoftRotaryEmbeddingOp rotary) {
  if (rotary.getScale() != 1.0f)
    return op->emitOpError() << "scale is " << rotary.getScale()
                             << ", expected 1: scale the caches";
  FailureOr<int64_t> half = getPart("cos_cache", rotary.getCosCache(), 1);
  if (failed(half))
    return failure();
  bool flat = rankOf(in(0)) == 3;
  int64_t heads = rotary.getNumHeads();
  if (flat && heads == 0) {
    FailureOr<int64_t> count = getPart("input", in(0), 2 * *half);
    if (failed(count))
      return failure();
    heads = *count;
  }
  Value positions = rotary.getPositionIds();
  if (rankOf(positions) == 1) {
    Value length = sizeOf(in(0), flat ? 1 : 2);
    positions = emit(
        "Add", {reshape(positions, {1, 1}), reshape(countTo(length), {1, -1})});
    positions = emit("Expand", {positions, concat({sizeOf(in(0), 0), length})});
  }
  SmallVector<NamedAttribute> attrs = {attr("rotary_embedding_dim", 2 * *half)};
  if (flat)
    attrs.push_back(attr("num_heads", heads));
  return std::optional(SmallVector<Value>{
      emitLayer("RotaryEmbedding",
                {in(0), rotary.getCosCache(), rotary.getSinCache(), positions},
                {"interleaved"}, attrs)});
}

Decomposition TransformerDecomposer::decomposeRMSNorm() {
  Value y = emitLayer("RMSNormalization", {in(0), in(1)},
                      {"axis", "epsilon", "stash_type"});
  Value inverse;
  if (!op->getResult(1).use_empty()) {
    int64_t rank = rankOf(in(0)), axis = getInt("axis", -1);
    SmallVector<int64_t> axes;
    for (int64_t i = axis < 0 ? axis + rank : axis; i < rank; ++i)
      axes.push_back(i);
    Value mean =
        emit("ReduceMean", {emit("Mul", {in(0), in(0)}), integers(axes)});
    Value epsilon = scalar(getReal("epsilon", 1e-5f), in(0));
    inverse = emit("Reciprocal", emit("Sqrt", emit("Add", {mean, epsilon})));
  }
  return std::optional(SmallVector<Value>{y, inverse});
}

Decomposition TransformerDecomposer::decomposeEmbedNorm(
    MicrosoftEmbedLayerNormalizationOp embed) {
  auto rows = [&](Value table, Value ids) {
    return emit("Gather", {table, ids}, attr("axis", int64_t(0)));
  };
  Value ids = embed.getInputIds();
  Value positions = embed.getPositionIds();
  if (!has(positions))
    positions = countTo(sizeOf(ids, 1));
  // The table of words is what a scheme names the layer for.
  Value sum = emitLayer("Gather", {embed.getWordEmbedding(), ids}, {},
                        attr("axis", int64_t(0)));
  sum = emit("Add", {sum, rows(embed.getPositionEmbedding(), positions)});
  if (has(embed.getSegmentEmbedding()))
    sum = emit("Add",
               {sum, rows(embed.getSegmentEmbedding(), embed.getSegmentIds())});
  Value y =
      emit("LayerNormalization", {sum, embed.getGamma(), embed.getBeta()},
           {attr("axis", int64_t(-1)), attr("epsilon", embed.getEpsilon())},
           {unknown(), b.getNoneType(), b.getNoneType()})[0];
  Value counts;
  if (!embed.getMaskIndex().use_empty()) {
    if (has(embed.getMask())) {
      Value ones = emit("Equal", {embed.getMask(), scalar(1, embed.getMask())});
      counts =
          emit("ReduceSum",
               {emit("Cast", ones, attr("to", int64_t(kI32))), integers({1})},
               attr("keepdims", int64_t(0)));
    } else {
      counts = emit("ConstantOfShape", sizeOf(ids, 0),
                    b.getNamedAttr(
                        "value", DenseElementsAttr::get(
                                     RankedTensorType::get({1}, b.getI32Type()),
                                     int32_t(0))));
    }
  }
  return std::optional(SmallVector<Value>{y, counts, sum});
}

Decomposition TransformerDecomposer::decompose() {
  return llvm::TypeSwitch<Operation *, Decomposition>(op)
      .Case([](MicrosoftGroupQueryAttentionOp gqa) {
        return decomposeGroupQuery(gqa);
      })
      .Case([&](MicrosoftMultiHeadAttentionOp mha) {
        return decomposeMultiHead(mha);
      })
      .Case([&](MicrosoftAttentionOp attention) {
        return decomposeAttention(attention);
      })
      .Case([&](MicrosoftRotaryEmbeddingOp rotary) {
        return decomposeRotary(rotary);
      })
      .Case<SimplifiedLayerNormalizationOp,
            MicrosoftSimplifiedLayerNormalizationOp>(
          [&](auto) { return decomposeRMSNorm(); })
      .Case([&](MicrosoftEmbedLayerNormalizationOp embed) {
        return decomposeEmbedNorm(embed);
      })
      .Default([](Operation *) -> Decomposition {
        return std::optional<SmallVector<Value>>();
      });
}

Decomposition onnx::decomposeTransformer(Operation *op) {
  return TransformerDecomposer(op).decompose();
}
