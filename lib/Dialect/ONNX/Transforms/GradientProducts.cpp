//===- GradientProducts.cpp - Derivatives of products and normalizations -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Gradients.h"
#include "llvm/ADT/Sequence.h"
#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

Value GradientWriter::flip(Value x, int64_t rank) {
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(perm[rank - 2], perm[rank - 1]);
  return transpose(x, perm);
}

bool GradientWriter::writeMatMul() {
  Value a = in(0), c = in(1);
  int64_t rankA = rankOf(a), rankC = rankOf(c);
  if (rankA < 2 || rankC < 2)
    return refuse("an operand of it is a vector");
  RankedTensorType typeA = typeOf(a), typeC = typeOf(c);
  // Rows of all matrices under one another: one product with a weight.
  bool oneWeight = rankC == 2 && rankA > 2;
  int64_t n = typeC.getDimSize(rankC - 1), k = typeA.getDimSize(rankA - 1);
  if (isActive(0)) {
    Value product = emit("MatMul", {g(), flip(c, rankC)});
    result[0] = oneWeight ? product : sumTo(product, out(), a);
  }
  if (!isActive(1))
    return true;
  if (oneWeight) {
    if (ShapedType::isDynamic(n) || ShapedType::isDynamic(k))
      return refuse("the sizes of its second operand are not known");
    result[1] =
        emit("MatMul", {flip(reshape(a, {-1, k}), 2), reshape(g(), {-1, n})});
    return true;
  }
  result[1] = sumTo(emit("MatMul", {flip(a, rankA), g()}), out(), c);
  return true;
}

bool GradientWriter::writeGemm() {
  bool transA = getInt("transA", 0), transB = getInt("transB", 0);
  float alpha = getReal("alpha", 1.0f), beta = getReal("beta", 1.0f);
  auto product = [&](Value x, bool tx, Value y, bool ty) {
    Value value = emit("MatMul", {tx ? flip(x, 2) : x, ty ? flip(y, 2) : y});
    return alpha == 1.0f ? value : mul(value, alpha);
  };
  if (isActive(0))
    result[0] = transA ? product(in(1), transB, g(), true)
                       : product(g(), false, in(1), !transB);
  if (isActive(1))
    result[1] = transB ? product(g(), true, in(0), transA)
                       : product(in(0), !transA, g(), false);
  if (isActive(2))
    result[2] = sumTo(beta == 1.0f ? g() : mul(g(), beta), out(), in(2));
  return true;
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

bool GradientWriter::writeConv() {
  RankedTensorType x = typeOf(in(0)), w = typeOf(in(1)), y = typeOf(out());
  int64_t spatial = x.getRank() - 2;
  auto autoPad = op->getAttrOfType<StringAttr>("auto_pad");
  if (!x.hasStaticShape() || !w.hasStaticShape() || !y.hasStaticShape() ||
      (autoPad && autoPad.getValue() != "NOTSET"))
    return refuse("its sizes are not known or its padding is not explicit");
  auto list = [&](StringRef name, int64_t size, int64_t fallback) {
    auto value = op->getAttrOfType<DenseI64ArrayAttr>(name);
    return value ? llvm::to_vector(value.asArrayRef())
                 : SmallVector<int64_t>(size, fallback);
  };
  SmallVector<int64_t> strides = list("strides", spatial, 1),
                       dilations = list("dilations", spatial, 1),
                       pads = list("pads", 2 * spatial, 0);
  int64_t groups = getInt("group", 1);
  if (isActive(0)) {
    // What strides leave over at the end belongs to the input.
    SmallVector<int64_t> rest;
    for (int64_t d = 0; d < spatial; ++d) {
      int64_t window = dilations[d] * (w.getDimSize(d + 2) - 1) + 1;
      rest.push_back(x.getDimSize(d + 2) + pads[d] + pads[spatial + d] -
                     window - (y.getDimSize(d + 2) - 1) * strides[d]);
    }
    result[0] = emit("ConvTranspose", {g(), in(1), none()},
                     {attr("strides", strides), attr("dilations", dilations),
                      attr("pads", pads), attr("group", groups),
                      attr("output_padding", rest)});
  }
  if (isActive(2)) {
    auto axes = llvm::to_vector(llvm::seq<int64_t>(2, x.getRank()));
    axes.push_back(0);
    result[2] = sum(g(), axes, /*keep=*/false);
  }
  if (!isActive(1))
    return true;
  // Samples and channels change places: the output is the window.
  auto swapped = llvm::to_vector(llvm::seq<int64_t>(0, x.getRank()));
  std::swap(swapped[0], swapped[1]);
  int64_t channels = w.getDimSize(1), filters = w.getDimSize(0) / groups;
  SmallVector<Value> inputs = {in(0)}, outputs = {g()}, weights;
  if (groups > 1) {
    inputs = split(in(0), SmallVector<int64_t>(groups, channels), 1);
    outputs = split(g(), SmallVector<int64_t>(groups, filters), 1);
  }
  SmallVector<int64_t> begins(spatial, 0), axes;
  for (int64_t d = 0; d < spatial; ++d)
    axes.push_back(d + 2);
  for (auto [input, output] : llvm::zip_equal(inputs, outputs)) {
    Value dw = emit(
        "Conv", {transpose(input, swapped), transpose(output, swapped), none()},
        {attr("strides", dilations), attr("dilations", strides),
         attr("pads", pads)});
    // Input that no window reached.
    dw = emit("Slice",
              {dw, integers(begins), integers(w.getShape().drop_front(2)),
               integers(axes), none()});
    weights.push_back(transpose(dw, swapped));
  }
  result[1] = groups > 1 ? concat(weights, 0) : weights.front();
  return true;
}

bool GradientWriter::writeBatchNormalization() {
  if (isActive(1) || isActive(2) || isActive(3) || isActive(4))
    return refuse("its statistics or parameters depend on a variable");
  SmallVector<int64_t> shape(rankOf(in(0)) - 1, 1);
  shape[0] = -1;
  Value deviation = emit(
      "Sqrt", emit("Add", {in(4), scalar(getReal("epsilon", 1e-5f), in(4))}));
  result[0] = mul(g(), reshape(div(in(1), deviation), shape));
  return true;
}

bool GradientWriter::writePool() {
  int64_t rank = rankOf(in(0));
  auto axes = llvm::to_vector(llvm::seq<int64_t>(2, rank));
  Type element = typeOf(in(0)).getElementType();
  Value count = emit("Div", {emit("Size", in(0)), emit("Size", out())});
  count = emit("Cast", count, attr("to", getONNXType(element)));
  result[0] = expandLike(div(g(), count), in(0));
  return true;
}

bool GradientWriter::writeProduct(StringRef name) {
  if (name == "MatMul")
    return writeMatMul();
  if (name == "Gemm")
    return writeGemm();
  if (name == "Conv")
    return writeConv();
  if (name == "GlobalAveragePool")
    return writePool();
  if (name != "RotaryEmbedding")
    return false;
  if (isActive(1) || isActive(2))
    return refuse("its angles depend on a variable");
  // A rotation by the opposite angles.
  SmallVector<NamedAttribute> attrs = getLayerAttributes(
      {"interleaved", "num_heads", "rotary_embedding_dim"}, {});
  result[0] =
      emit("RotaryEmbedding", {g(), in(1), emit("Neg", in(2)), in(3)}, attrs);
  return true;
}

//===----------------------------------------------------------------------===//
// Normalization
//===----------------------------------------------------------------------===//

bool GradientWriter::writeNormalization(StringRef name) {
  if (name == "BatchNormalization")
    return writeBatchNormalization();
  bool centered = name == "LayerNormalization";
  if (!centered && name != "RMSNormalization")
    return false;
  int64_t rank = rankOf(in(0));
  auto axes = llvm::to_vector(
      llvm::seq<int64_t>(fromFront(getInt("axis", -1), rank), rank));
  Value x = in(0);
  if (centered)
    x = sub(x, mean(x, axes));
  Value variance = add(mean(mul(x, x), axes), getReal("epsilon", 1e-5f));
  Value inverse = emit("Reciprocal", emit("Sqrt", variance));
  Value normal = mul(x, inverse);
  if (isActive(0)) {
    Value wide = mul(g(), in(1));
    Value dx = sub(wide, mul(normal, mean(mul(wide, normal), axes)));
    if (centered)
      dx = sub(dx, mean(wide, axes));
    result[0] = mul(dx, inverse);
  }
  if (isActive(1))
    result[1] = sumTo(mul(g(), normal), out(), in(1));
  if (isActive(2))
    result[2] = sumTo(g(), out(), in(2));
  return true;
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

namespace {
class AttentionWriter : TransformerWriter {
public:
  explicit AttentionWriter(AttentionOp op)
      : TransformerWriter(op.getOperation()), attention(op) {}

  LogicalResult write();

private:
  LogicalResult refuse(const Twine &reason) {
    auto name = op->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr);
    return op->emitError("Attention")
           << (name ? " '" + name.getValue().str() + "'" : "")
           << " can't be written as products: " << reason;
  }
  /// (batch, heads, length, size); `size` is that of a head.
  Value toHeads(Value x, std::optional<int64_t> heads, int64_t &size,
                int64_t &count) {
    RankedTensorType type = getRanked(x);
    if (type.getRank() == 4) {
      size = type.getDimSize(3);
      count = type.getDimSize(1);
      return x;
    }
    count = heads.value_or(0);
    size = count > 0 ? type.getDimSize(2) / count : 0;
    return splitHeads(x, count, size);
  }
  Value hide(Value scores, Value seen) {
    double infinity = -std::numeric_limits<double>::infinity();
    return emit("Where", {seen, scores, scalar(infinity, attention.getQ())});
  }

  AttentionOp attention;
};
} // namespace

LogicalResult AttentionWriter::write() {
  Value mask = attention.getAttnMask();
  if (attention.getLeftWindowSize() >= 0 || attention.getRightWindowSize() >= 0)
    return refuse("it has a window");
  if (has(attention.getNonpadKvSeqlen()))
    return refuse("its keys have lengths of their own");
  if (hasResult(3))
    return refuse("its scores are a result");
  int64_t size = 0, valueSize = 0, heads = 0, keyHeads = 0, valueHeads = 0;
  Value q = toHeads(attention.getQ(), attention.getQNumHeads(), size, heads);
  Value k =
      toHeads(attention.getK(), attention.getKvNumHeads(), size, keyHeads);
  Value v = toHeads(attention.getV(), attention.getKvNumHeads(), valueSize,
                    valueHeads);
  if (heads <= 0 || keyHeads <= 0 || size <= 0 || valueSize <= 0)
    return refuse("its heads are not known");
  bool past = has(attention.getPastKey());
  Value newLength = sizeOf(q, 2), allLength = sizeOf(k, 2);
  if (past) {
    k = concat({attention.getPastKey(), k}, 2);
    v = concat({attention.getPastValue(), v}, 2);
    allLength = emit("Add", {allLength, sizeOf(attention.getPastKey(), 2)});
  }
  // Heads that share a key are rows of one product.
  Value batch = sizeOf(q, 0);
  auto shape = [&](int64_t middle, Value rows, int64_t last) {
    return concat({batch, integers({middle}), rows, integers({last})});
  };
  Value minus = integers({-1});
  double scale = 1.0 / std::sqrt(double(size));
  if (auto given = op->getAttrOfType<FloatAttr>("scale"))
    scale = given.getValueAsDouble();
  Value scaled = emit("Mul", {q, scalar(scale, attention.getQ())});
  Value rows = emit("Reshape", {scaled, shape(keyHeads, minus, size)});
  Value scores = emit("MatMul", {rows, transpose(k, {0, 1, 3, 2})});
  scores =
      emit("Reshape",
           {scores, concat({batch, integers({heads}), newLength, allLength})});
  if (float cap = getReal("softcap", 0.0f)) {
    Value limit = scalar(cap, attention.getQ());
    scores = emit("Mul", {emit("Tanh", emit("Div", {scores, limit})), limit});
  }
  if (attention.getIsCausal()) {
    // The first new token sees the past and itself.
    Value first = past ? sizeOf(attention.getPastKey(), 2) : integers({0});
    Value at = emit("Add", {countTo(newLength), first});
    scores = hide(scores, emit("GreaterOrEqual",
                               {unsqueeze(at, {1}), countTo(allLength)}));
  }
  if (has(mask)) {
    bool boolean = getRanked(mask).getElementType().isInteger(1);
    scores = boolean ? hide(scores, mask) : emit("Add", {scores, mask});
  }
  Value weights = emit("Softmax", scores, attr("axis", int64_t(-1)));
  weights =
      emit("Reshape",
           {weights, concat({batch, integers({keyHeads}), minus, allLength})});
  Value y = emit("MatMul", {weights, v});
  y = emit("Reshape", {y, shape(heads, newLength, valueSize)});
  if (getRanked(attention.getQ()).getRank() == 3)
    y = joinHeads(y, heads * valueSize);
  attention.getY().replaceAllUsesWith(y);
  y.setType(attention.getY().getType());
  for (auto [i, present] : llvm::enumerate(ValueRange{k, v}))
    if (hasResult(i + 1)) {
      Value old = op->getResult(i + 1);
      old.replaceAllUsesWith(past || present.getType() == old.getType()
                                 ? present
                                 : emit("Identity", present));
    }
  op->erase();
  return success();
}

LogicalResult nibble::onnx::expandAttention(AttentionOp op) {
  return AttentionWriter(op).write();
}
