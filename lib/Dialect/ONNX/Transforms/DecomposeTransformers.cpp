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
//   GroupQueryAttention  RotaryEmbedding, TensorScatter, Attention
//   MultiHeadAttention   Attention with a mask
//   Attention            MatMul, Split, Attention
//
//===----------------------------------------------------------------------===//

#include "OperatorWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {

/// Numbers of element types in ONNX.
enum { kI32 = 6, kI64 = 7 };

class TransformerDecomposer : OperatorWriter {
public:
  using OperatorWriter::OperatorWriter;

  Decomposition decompose();

private:
  /// Queries, keys and values.
  struct Projected {
    Value q, k, v;
  };
  /// Where the new positions of a GroupQueryAttention stand: one number for
  /// each batch entry.
  struct Places {
    /// Positions before the new ones, null: none.
    Value start;
    /// Positions that are valid after this step, null: all.
    Value lengths;
  };

  //===--------------------------------------------------------------------===//
  // Building
  //===--------------------------------------------------------------------===//

  Type unknown() { return getUnknownTensorType(b.getContext()); }
  /// The type of a result that is only wanted where `given` is.
  Type unknownIf(bool given) { return given ? unknown() : b.getNoneType(); }
  bool hasResult(unsigned i) { return !isa<NoneType>(op->getResultTypes()[i]); }
  Value number(int64_t value) {
    auto type = RankedTensorType::get({}, b.getI64Type());
    return onnx::ConstantOp::create(
        b, loc, DenseElementsAttr::get(type, ArrayRef<int64_t>{value}));
  }
  /// One dimension of `x`, as a vector of one element.
  Value sizeOf(Value x, int64_t dim) {
    return emit("Shape", x, {attr("start", dim), attr("end", dim + 1)});
  }
  Value toI64(Value x) { return emit("Cast", x, attr("to", int64_t(kI64))); }
  Value reshape(Value x, ArrayRef<int64_t> shape) {
    return emit("Reshape", {x, integers(shape)});
  }
  Value concat(ValueRange parts, int64_t axis = 0) {
    return emit("Concat", parts, attr("axis", axis));
  }
  Value unsqueeze(Value x, ArrayRef<int64_t> axes) {
    return emit("Unsqueeze", {x, integers(axes)});
  }
  SmallVector<Value> split(Value x, ArrayRef<int64_t> sizes, int64_t axis) {
    return emit("Split", {x, integers(sizes)}, attr("axis", axis),
                SmallVector<Type>(sizes.size(), unknown()));
  }
  /// 0, 1, ... to the number in the vector `limit` of one element.
  Value countTo(Value limit) {
    return emit("Range", {number(0), reshape(limit, {}), number(1)});
  }
  /// (batch, length, heads * size) as (batch, heads, length, size), and back.
  Value splitHeads(Value x, int64_t heads, int64_t size) {
    return transpose(reshape(x, {0, 0, heads, size}), {0, 2, 1, 3});
  }
  Value joinHeads(Value x, int64_t width) {
    return reshape(transpose(x, {0, 2, 1, 3}), {0, 0, width});
  }

  /// The known size of the last dimension divided by `parts`; failure after a
  /// message if it is not known or cannot be divided.
  FailureOr<int64_t> getPart(StringRef what, Value x, int64_t parts);

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

  LogicalResult check(MicrosoftGroupQueryAttentionOp gqa);
  Places getPlaces(MicrosoftGroupQueryAttentionOp gqa);
  Value getPositions(MicrosoftGroupQueryAttentionOp gqa, Value start);
  void refinePast(Value past, int64_t kvHeads, int64_t size);
  Value writeCache(Value past, Value fresh, const Places &places, Value total,
                   int64_t kvHeads, int64_t size);
  Value applySink(Value y, Value scores, Value sink, int64_t heads);
  Decomposition decomposeGroupQuery(MicrosoftGroupQueryAttentionOp gqa);

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

FailureOr<int64_t> TransformerDecomposer::getPart(StringRef what, Value x,
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
// GroupQueryAttention
//===----------------------------------------------------------------------===//

/// What ONNX Runtime has kernels for, and Nibble does not.
LogicalResult TransformerDecomposer::check(MicrosoftGroupQueryAttentionOp gqa) {
  for (StringRef name : {"k_quant_type", "v_quant_type"}) {
    auto kind = op->getAttrOfType<StringAttr>(name);
    if (kind && kind.getValue() != "NONE")
      return op->emitOpError()
             << name << " is '" << kind.getValue()
             << "', expected NONE: quantized caches are not supported, build "
                "the model with a float one";
  }
  if (gqa.getSlidingWindowCache() != 0)
    return op->emitOpError("sliding_window_cache is 1, expected 0: caches that "
                           "drop positions are not supported, build the model "
                           "with one that keeps them");
  return success();
}

/// A prompt's positions count from 0, however short the texts are: what follows
/// a text is not seen by it, and overwritten by the next step. Later the new
/// positions are the last ones of each text.
TransformerDecomposer::Places
TransformerDecomposer::getPlaces(MicrosoftGroupQueryAttentionOp gqa) {
  if (!has(gqa.getPastKey()))
    return {};
  Value length = sizeOf(gqa.getQuery(), 1);
  Value total = reshape(toI64(gqa.getTotalSequenceLength()), {1});
  Value isPrompt = emit("Equal", {total, length});
  Value valid =
      emit("Add", {reshape(toI64(gqa.getSeqlensK()), {-1}), number(1)});
  Value lengths = emit("Where", {isPrompt, length, valid});
  Value start = emit("Sub", {lengths, length});
  // Who sees all keys must not see those behind a short text.
  return {start, gqa.getCausal() ? lengths : valid};
}

/// Positions of the new tokens, (batch, length).
Value TransformerDecomposer::getPositions(MicrosoftGroupQueryAttentionOp gqa,
                                          Value start) {
  if (has(gqa.getPositionIds()))
    return gqa.getPositionIds();
  Value length = sizeOf(gqa.getQuery(), 1);
  Value row = reshape(countTo(length), {1, -1});
  if (start)
    return emit("Add", {reshape(start, {-1, 1}), row});
  return emit("Expand", {row, concat({sizeOf(gqa.getQuery(), 0), length})});
}

/// Sizes that the model leaves open in the declaration of its input, but that
/// the operator knows.
void TransformerDecomposer::refinePast(Value past, int64_t kvHeads,
                                       int64_t size) {
  auto argument = dyn_cast<BlockArgument>(past);
  if (!argument)
    return;
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  auto type = cast<RankedTensorType>(past.getType());
  if (!function || type.getRank() != 4)
    return;
  unsigned number = argument.getArgNumber();
  SmallVector<int64_t> shape(type.getShape());
  auto names =
      function.getArgAttrOfType<ArrayAttr>(number, ONNXDialect::kDimNamesAttr);
  if (names && names.size() != 4)
    names = ArrayAttr();
  SmallVector<Attribute> left;
  if (names)
    llvm::append_range(left, names);
  for (auto [dim, known] : {std::pair(1, kvHeads), std::pair(3, size)}) {
    if (!type.isDynamicDim(dim))
      continue;
    shape[dim] = known;
    if (names)
      left[dim] = b.getStringAttr("");
  }
  argument.setType(type.clone(shape));
  SmallVector<Type> types(function.getArgumentTypes());
  types[number] = argument.getType();
  function.setType(
      FunctionType::get(b.getContext(), types, function.getResultTypes()));
  if (names)
    function.setArgAttr(number, ONNXDialect::kDimNamesAttr,
                        b.getArrayAttr(left));
}

/// The past, made longer if the new positions need it, with the new keys or
/// values in their places.
Value TransformerDecomposer::writeCache(Value past, Value fresh,
                                        const Places &places, Value total,
                                        int64_t kvHeads, int64_t size) {
  Value missing =
      emit("Max", {emit("Sub", {total, sizeOf(past, 2)}), integers({0})});
  Value shape =
      concat({sizeOf(past, 0), integers({kvHeads}), missing, integers({size})});
  Type element = cast<RankedTensorType>(past.getType()).getElementType();
  auto zero = DenseElementsAttr::get(RankedTensorType::get({1}, element),
                                     b.getZeroAttr(element));
  Value zeros = emit("ConstantOfShape", shape, b.getNamedAttr("value", zero));
  return emit("TensorScatter", {concat({past, zeros}, 2), fresh, places.start},
              attr("axis", int64_t(2)));
}

/// A score without a value takes part of the sum that divides the weights:
/// y * sum / (sum + exp(sink)) = y * sigmoid(log(sum) - sink).
Value TransformerDecomposer::applySink(Value y, Value scores, Value sink,
                                       int64_t heads) {
  Value logSum = emit("ReduceLogSumExp", {scores, integers({-1})});
  if (has(sink))
    logSum = emit("Sub", {logSum, reshape(sink, {1, heads, 1, 1})});
  return emit("Mul", {y, emit("Sigmoid", logSum)});
}

Decomposition
TransformerDecomposer::decomposeGroupQuery(MicrosoftGroupQueryAttentionOp gqa) {
  if (failed(check(gqa)))
    return failure();
  int64_t heads = gqa.getNumHeads(), kvHeads = gqa.getKvNumHeads();
  bool packed = !has(gqa.getKey());
  FailureOr<int64_t> size =
      getPart("query", gqa.getQuery(), packed ? heads + 2 * kvHeads : heads);
  if (failed(size))
    return failure();
  Projected x{gqa.getQuery(), gqa.getKey(), gqa.getValue()};
  if (packed) {
    auto parts =
        split(x.q, {heads * *size, kvHeads * *size, kvHeads * *size}, 2);
    x = {parts[0], parts[1], parts[2]};
  }
  if (has(gqa.getQNormWeight())) {
    auto normalize = [&](Value y, int64_t count, Value weight) {
      Value perHead = reshape(y, {0, 0, count, *size});
      Value normal = emit(
          "RMSNormalization", {perHead, weight},
          {attr("axis", int64_t(-1)), attr("epsilon", gqa.getQkNormEpsilon())});
      return reshape(normal, {0, 0, count * *size});
    };
    x.q = normalize(x.q, heads, gqa.getQNormWeight());
    x.k = normalize(x.k, kvHeads, gqa.getKNormWeight());
  }
  Places places = getPlaces(gqa);
  if (gqa.getDoRotary()) {
    Value positions = getPositions(gqa, places.start);
    FailureOr<int64_t> half = getPart("cos_cache", gqa.getCosCache(), 1);
    if (failed(half))
      return failure();
    auto rotate = [&](Value y, int64_t count) {
      return emit("RotaryEmbedding",
                  {y, gqa.getCosCache(), gqa.getSinCache(), positions},
                  {attr("interleaved", int64_t(gqa.getRotaryInterleaved())),
                   attr("num_heads", count),
                   attr("rotary_embedding_dim", 2 * *half)});
    };
    x.q = rotate(x.q, heads);
    x.k = rotate(x.k, kvHeads);
  }

  bool sink = gqa.getSmoothSoftmax() == 1 || has(gqa.getHeadSink());
  bool hasPast = has(gqa.getPastKey()), perHead = hasPast || sink;
  SmallVector<NamedAttribute> attrs = {
      attr("is_causal", int64_t(gqa.getCausal()))};
  if (gqa.getScale() != 0)
    attrs.push_back(attr("scale", gqa.getScale()));
  if (gqa.getSoftcap() > 0)
    attrs.push_back(attr("softcap", gqa.getSoftcap()));
  if (gqa.getLocalWindowSize() > 0)
    attrs.push_back(
        attr("left_window_size", int64_t(gqa.getLocalWindowSize()) - 1));
  if (sink)
    attrs.push_back(attr("qk_matmul_output_mode", int64_t(2)));
  if (perHead) {
    x.q = splitHeads(x.q, heads, *size);
    x.k = splitHeads(x.k, kvHeads, *size);
    x.v = splitHeads(x.v, kvHeads, *size);
  } else {
    attrs.push_back(attr("q_num_heads", heads));
    attrs.push_back(attr("kv_num_heads", kvHeads));
  }
  if (hasPast) {
    Value total = reshape(toI64(gqa.getTotalSequenceLength()), {1});
    refinePast(gqa.getPastKey(), kvHeads, *size);
    refinePast(gqa.getPastValue(), kvHeads, *size);
    x.k = writeCache(gqa.getPastKey(), x.k, places, total, kvHeads, *size);
    x.v = writeCache(gqa.getPastValue(), x.v, places, total, kvHeads, *size);
  }
  auto present = [&](unsigned i) {
    return unknownIf(!hasPast && hasResult(i));
  };
  SmallVector<Value> results =
      emit("Attention",
           {x.q, x.k, x.v, gqa.getAttentionBias(), none(), none(),
            hasPast ? places.lengths : none()},
           getLayerAttributes({}, attrs),
           {unknown(), present(1), present(2), unknownIf(sink)});
  if (sink)
    results[0] = applySink(results[0], results[3], gqa.getHeadSink(), heads);
  if (perHead)
    results[0] = joinHeads(results[0], heads * *size);
  if (hasPast) {
    results[1] = x.k;
    results[2] = x.v;
  }
  results[3] = Value();
  return std::optional(results);
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
      .Case([&](MicrosoftGroupQueryAttentionOp gqa) {
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
