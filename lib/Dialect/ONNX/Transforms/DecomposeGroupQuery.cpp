//===- DecomposeGroupQuery.cpp - GroupQueryAttention ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// GroupQueryAttention as ONNX Runtime's kernel for the CPU computes it: a
// RotaryEmbedding, a TensorScatter of the new keys and values into the past,
// and Attention with the lengths of the texts.
//
// A cache is a buffer of P positions. A full one holds position i in row i, and
// grows if it is too short. A windowed one never grows: of a text of T tokens
// its first L(T) rows hold the last L(T) positions,
//
//   L(T) = T - G * ceil((T - P) / G) for T > P, else T;  G = P - window + 1
//
// so that whole runs of G positions are dropped at once.
//
//===----------------------------------------------------------------------===//

#include "TransformerWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {
class GroupQueryDecomposer : TransformerWriter {
public:
  GroupQueryDecomposer(MicrosoftGroupQueryAttentionOp gqa)
      : TransformerWriter(gqa), gqa(gqa) {}

  Decomposition run();

private:
  LogicalResult check();
  LogicalResult project();
  void findPlaces();
  void findRows();
  Value keptRows(Value tokens, Value capacity);
  LogicalResult rotate();
  void refinePast(Value past);
  Value zeros(Value past, Value rows);
  Value writeCache(Value past, Value fresh);
  Value dropRows(Value buffer, Value past);
  SmallVector<NamedAttribute> getAttributes();
  Value applySink(Value y, Value scores);

  bool hasPast() { return has(gqa.getPastKey()); }
  bool isWindowed() { return gqa.getSlidingWindowCache() != 0; }

  MicrosoftGroupQueryAttentionOp gqa;
  int64_t heads = 0, kvHeads = 0, size = 0;
  Value q, k, v;

  // With a past; vectors, of one element or of one for each text.
  /// New tokens, largest number of tokens of a text, and whether all are new.
  Value length, total, isPrompt;
  /// Tokens of each text, and of these the ones before the new ones.
  Value valid, before;
  /// Row of the cache for the first new position, and rows that are seen.
  Value start, seen;
};
} // namespace

/// What ONNX Runtime has kernels for, and Nibble does not.
LogicalResult GroupQueryDecomposer::check() {
  for (StringRef name : {"k_quant_type", "v_quant_type"}) {
    auto kind = op->getAttrOfType<StringAttr>(name);
    if (kind && kind.getValue() != "NONE")
      return op->emitOpError()
             << name << " is '" << kind.getValue()
             << "', expected NONE: quantized caches are not supported, build "
                "the model with a float one";
  }
  if (isWindowed() && (!hasPast() || gqa.getLocalWindowSize() < 1))
    return op->emitOpError("sliding_window_cache is 1, which needs past_key "
                           "and a local_window_size of at least 1");
  if (isWindowed() && has(gqa.getAttentionBias()))
    return op->emitOpError("has attention_bias, expected none with "
                           "sliding_window_cache");
  return success();
}

/// Queries, keys and values side by side, each head normalized.
LogicalResult GroupQueryDecomposer::project() {
  heads = gqa.getNumHeads();
  kvHeads = gqa.getKvNumHeads();
  bool packed = !has(gqa.getKey());
  FailureOr<int64_t> width =
      getPart("query", gqa.getQuery(), packed ? heads + 2 * kvHeads : heads);
  if (failed(width))
    return failure();
  size = *width;
  q = gqa.getQuery();
  k = gqa.getKey();
  v = gqa.getValue();
  if (packed) {
    auto parts = split(q, {heads * size, kvHeads * size, kvHeads * size}, 2);
    q = parts[0];
    k = parts[1];
    v = parts[2];
  }
  if (!has(gqa.getQNormWeight()))
    return success();
  auto normalize = [&](Value y, int64_t count, Value weight) {
    Value perHead = reshape(y, {0, 0, count, size});
    Value normal = emit(
        "RMSNormalization", {perHead, weight},
        {attr("axis", int64_t(-1)), attr("epsilon", gqa.getQkNormEpsilon())});
    return reshape(normal, {0, 0, count * size});
  };
  q = normalize(q, heads, gqa.getQNormWeight());
  k = normalize(k, kvHeads, gqa.getKNormWeight());
  return success();
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

/// A prompt's positions count from 0, however short the texts are: what follows
/// a text is not seen by it, and overwritten by the next step. Later the new
/// positions are the last ones of each text.
void GroupQueryDecomposer::findPlaces() {
  length = sizeOf(gqa.getQuery(), 1);
  total = reshape(toI64(gqa.getTotalSequenceLength()), {1});
  isPrompt = emit("Equal", {total, length});
  valid = emit("Add", {reshape(toI64(gqa.getSeqlensK()), {-1}), number(1)});
  Value ends = emit("Where", {isPrompt, length, valid});
  before = emit("Sub", {ends, length});
  start = before;
  // Who sees all keys must not see those behind a short text.
  seen = gqa.getCausal() ? ends : valid;
  if (isWindowed())
    findRows();
}

/// Rows of a cache for `capacity` positions that hold something after `tokens`.
Value GroupQueryDecomposer::keptRows(Value tokens, Value capacity) {
  Value window = number(gqa.getLocalWindowSize()), one = number(1);
  Value run = emit("Add", {emit("Sub", {capacity, window}), one});
  // A cache that is too small is refused by `findRows`.
  run = emit("Max", {run, one});
  Value over =
      emit("Add", {emit("Sub", {tokens, capacity}), emit("Sub", {run, one})});
  Value runs = emit("Max", {emit("Div", {over, run}), number(0)});
  return emit("Sub", {tokens, emit("Mul", {runs, run})});
}

/// Rows instead of positions. A cache that is smaller than the window fails
/// when it is written: there is no such row.
void GroupQueryDecomposer::findRows() {
  Value capacity = sizeOf(gqa.getPastKey(), 2);
  Value fits =
      emit("GreaterOrEqual", {capacity, number(gqa.getLocalWindowSize())});
  start = keptRows(before, capacity);
  seen = emit("Add", {start, length});
  start = emit("Where", {fits, start, number(-1)});
}

/// Rotates queries and keys by their positions.
LogicalResult GroupQueryDecomposer::rotate() {
  if (!gqa.getDoRotary())
    return success();
  FailureOr<int64_t> half = getPart("cos_cache", gqa.getCosCache(), 1);
  if (failed(half))
    return failure();
  Value count = sizeOf(gqa.getQuery(), 1);
  Value row = reshape(countTo(count), {1, -1}), positions;
  auto everywhere = [&](Value x) {
    return emit("Expand", {x, concat({sizeOf(gqa.getQuery(), 0), count})});
  };
  if (Value ids = gqa.getPositionIds(); has(ids)) {
    // A prompt has all its positions from the first one.
    Value first = emit("Gather", {reshape(ids, {-1}), integers({0})});
    positions = everywhere(emit("Add", {first, row}));
    if (hasPast())
      positions = emit("Where", {isPrompt, positions, ids});
  } else if (hasPast()) {
    positions = emit("Add", {reshape(before, {-1, 1}), row});
  } else {
    positions = everywhere(row);
  }
  auto turn = [&](Value y, int64_t number) {
    return emit(
        "RotaryEmbedding", {y, gqa.getCosCache(), gqa.getSinCache(), positions},
        {attr("interleaved", int64_t(gqa.getRotaryInterleaved())),
         attr("num_heads", number), attr("rotary_embedding_dim", 2 * *half)});
  };
  q = turn(q, heads);
  k = turn(k, kvHeads);
  return success();
}

//===----------------------------------------------------------------------===//
// Caches
//===----------------------------------------------------------------------===//

/// Sizes that the model leaves open in the declaration of its input, but that
/// the operator knows.
void GroupQueryDecomposer::refinePast(Value past) {
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

/// Rows of zeros for a cache like `past`.
Value GroupQueryDecomposer::zeros(Value past, Value rows) {
  Value shape =
      concat({sizeOf(past, 0), integers({kvHeads}), rows, integers({size})});
  Type element = cast<RankedTensorType>(past.getType()).getElementType();
  auto zero = DenseElementsAttr::get(RankedTensorType::get({1}, element),
                                     b.getZeroAttr(element));
  return emit("ConstantOfShape", shape, b.getNamedAttr("value", zero));
}

/// The past with the new keys or values in their rows: longer if a full cache
/// has no room, and always if a windowed one is.
Value GroupQueryDecomposer::writeCache(Value past, Value fresh) {
  refinePast(past);
  Value missing = length;
  if (!isWindowed())
    missing =
        emit("Max", {emit("Sub", {total, sizeOf(past, 2)}), integers({0})});
  return emit("TensorScatter",
              {concat({past, zeros(past, missing)}, 2), fresh, start},
              attr("axis", int64_t(2)));
}

/// The last rows of what a windowed cache and the new positions are, in a cache
/// like `past`: the rows go around until the first one that stays is row 0.
Value GroupQueryDecomposer::dropRows(Value buffer, Value past) {
  Value capacity = sizeOf(past, 2);
  Value fresh = emit("Sub", {valid, before});
  Value end = emit("Add", {keptRows(before, capacity), fresh});
  Value dropped = emit("Sub", {end, keptRows(valid, capacity)});
  Value rows = emit("Add", {capacity, length});
  Value turned =
      emit("TensorScatter", {buffer, buffer, emit("Sub", {rows, dropped})},
           {attr("axis", int64_t(2)), attr("mode", "circular")});
  return emit("Slice",
              {turned, integers({0}), capacity, integers({2}), none()});
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

SmallVector<NamedAttribute> GroupQueryDecomposer::getAttributes() {
  SmallVector<NamedAttribute> attrs = {
      attr("is_causal", int64_t(gqa.getCausal()))};
  if (gqa.getScale() != 0)
    attrs.push_back(attr("scale", gqa.getScale()));
  if (gqa.getSoftcap() > 0)
    attrs.push_back(attr("softcap", gqa.getSoftcap()));
  if (gqa.getLocalWindowSize() > 0)
    attrs.push_back(
        attr("left_window_size", int64_t(gqa.getLocalWindowSize()) - 1));
  return attrs;
}

/// A score without a value takes part of the sum that divides the weights:
/// y * sum / (sum + exp(sink)) = y * sigmoid(log(sum) - sink).
Value GroupQueryDecomposer::applySink(Value y, Value scores) {
  Value logSum = emit("ReduceLogSumExp", {scores, integers({-1})});
  if (has(gqa.getHeadSink()))
    logSum =
        emit("Sub", {logSum, reshape(gqa.getHeadSink(), {1, heads, 1, 1})});
  return emit("Mul", {y, emit("Sigmoid", logSum)});
}

Decomposition GroupQueryDecomposer::run() {
  if (failed(check()) || failed(project()))
    return failure();
  if (hasPast())
    findPlaces();
  if (failed(rotate()))
    return failure();
  SmallVector<NamedAttribute> attrs = getAttributes();
  bool sink = gqa.getSmoothSoftmax() == 1 || has(gqa.getHeadSink());
  bool perHead = hasPast() || sink;
  if (sink)
    attrs.push_back(attr("qk_matmul_output_mode", int64_t(2)));
  if (perHead) {
    q = splitHeads(q, heads, size);
    k = splitHeads(k, kvHeads, size);
    v = splitHeads(v, kvHeads, size);
  } else {
    attrs.push_back(attr("q_num_heads", heads));
    attrs.push_back(attr("kv_num_heads", kvHeads));
  }
  if (hasPast()) {
    k = writeCache(gqa.getPastKey(), k);
    v = writeCache(gqa.getPastValue(), v);
  }
  auto present = [&](unsigned i) {
    return unknownIf(!hasPast() && hasResult(i));
  };
  SmallVector<Value> results =
      emit("Attention",
           {q, k, v, gqa.getAttentionBias(), none(), none(),
            hasPast() ? seen : none()},
           getLayerAttributes({}, attrs),
           {unknown(), present(1), present(2), unknownIf(sink)});
  if (sink)
    results[0] = applySink(results[0], results[3]);
  if (perHead)
    results[0] = joinHeads(results[0], heads * size);
  if (hasPast()) {
    results[1] = isWindowed() ? dropRows(k, gqa.getPastKey()) : k;
    results[2] = isWindowed() ? dropRows(v, gqa.getPastValue()) : v;
  }
  results[3] = Value();
  return std::optional(results);
}

Decomposition onnx::decomposeGroupQuery(MicrosoftGroupQueryAttentionOp op) {
  return GroupQueryDecomposer(op).run();
}
