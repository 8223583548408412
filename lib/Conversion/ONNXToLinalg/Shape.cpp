//===- Shape.cpp - Constants and what only looks at shapes
//--------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// Packed codes as one byte each.
static ElementsAttr unpackCodes(Location loc, ElementsAttr attr,
                                RankedTensorType type) {
  auto data = ConstantData::get(attr, [&] { return emitError(loc); });
  if (failed(data))
    return {};
  if (data->isSplat()) {
    char code;
    data->readCodes(0, code);
    return DenseElementsAttr::getFromRawBuffer(type, code);
  }
  auto codes =
      createBlobAttr(loc, type, "codes", [&](MutableArrayRef<char> out) {
        data->readCodes(0, out);
      });
  return failed(codes) ? ElementsAttr() : *codes;
}

/// The same bytes with signless elements, codes of any width as bytes.
static ElementsAttr toSignless(Location loc, ElementsAttr attr,
                               RankedTensorType type) {
  if (attr.getShapedType() == type)
    return attr;
  Type from = attr.getShapedType().getElementType();
  if (isCoded(from) &&
      (isa<DenseElementsAttr>(attr) || from.getIntOrFloatBitWidth() < 8))
    return unpackCodes(loc, attr, type);
  if (auto dense = dyn_cast<DenseElementsAttr>(attr))
    return dense.bitcast(type.getElementType());
  if (auto mapped = dyn_cast<MappedAttr>(attr))
    return MappedAttr::get(attr.getContext(), type, mapped.getFile(),
                           mapped.getOffset(), mapped.getLength(),
                           mapped.getHash());
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr))
    return DenseResourceElementsAttr::get(type, resource.getRawHandle());
  return {};
}

static LogicalResult lowerConstant(OpLowering &l) {
  auto value = l.op->getAttrOfType<ElementsAttr>("value");
  if (!value)
    return l.fail("has no tensor value");
  auto type = l.outType();
  if (!isa<RankedTensorType>(value.getShapedType()) ||
      value.getShapedType().getShape() != type.getShape())
    return l.fail("the value does not have the type of the result");
  ElementsAttr attr = toSignless(l.loc, value, type);
  if (!attr || attr.getShapedType() != type)
    return l.fail("the value is of a kind that is not supported");
  if (isa<DenseElementsAttr>(attr))
    return l.done(arith::ConstantOp::create(l.b, l.loc, cast<TypedAttr>(attr))
                      .getResult());
  auto constant = nibble::ConstantOp::create(l.b, l.loc, attr);
  if (Attribute name = l.op->getAttr("onnx.name"))
    constant->setAttr("onnx.name", name);
  return l.done(constant.getResult());
}

static LogicalResult lowerConstantOfShape(OpLowering &l) {
  auto type = l.outType();
  Type elem = type.getElementType();
  Value scalar = l.scalars().integer(elem, 0);
  if (auto value = l.op->getAttrOfType<DenseElementsAttr>("value")) {
    auto attr = cast<DenseElementsAttr>(toSignless(
        l.loc, value, RankedTensorType::get(value.getType().getShape(), elem)));
    scalar = arith::ConstantOp::create(
        l.b, l.loc, cast<TypedAttr>(*attr.value_begin<Attribute>()));
  }
  return l.done(l.filled(l.indexElements(l.in(0)), scalar));
}

//===----------------------------------------------------------------------===//
// Shapes as values
//===----------------------------------------------------------------------===//

static LogicalResult lowerShape(OpLowering &l) {
  int64_t rank = l.inRank(0);
  auto clamp = [&](int64_t v) {
    return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank);
  };
  int64_t start = clamp(l.getInt("start", 0));
  int64_t end = std::max(clamp(l.getInt("end", rank)), start);
  SmallVector<OpFoldResult> sizes = l.sizes(l.in(0));
  auto type = RankedTensorType::get({end - start}, l.outElem());
  return l.done(l.fromIndices(ArrayRef(sizes).slice(start, end - start), type));
}

static LogicalResult lowerSize(OpLowering &l) {
  return l.done(l.fromIndices(l.product(l.sizes(l.in(0))), l.outType()));
}

//===----------------------------------------------------------------------===//
// Reshapes
//===----------------------------------------------------------------------===//

/// The size that -1 stands for: the source's elements over the other sizes.
/// Equal factors on both sides cancel, so that sizes stay recognizable.
static OpFoldResult inferSize(OpLowering &l, SmallVector<OpFoldResult> source,
                              ArrayRef<OpFoldResult> others) {
  SmallVector<OpFoldResult> divisors;
  for (OpFoldResult other : others) {
    auto *same = llvm::find_if(
        source, [&](OpFoldResult s) { return l.knownEqual(s, other); });
    if (same != source.end() && getConstantIntValue(other) != 0)
      source.erase(same);
    else
      divisors.push_back(other);
  }
  // Static factors divide among themselves where they can.
  int64_t top = 1, bottom = 1;
  SmallVector<OpFoldResult> topRest, bottomRest;
  for (OpFoldResult s : source)
    if (auto c = getConstantIntValue(s))
      top *= *c;
    else
      topRest.push_back(s);
  for (OpFoldResult d : divisors)
    if (auto c = getConstantIntValue(d))
      bottom *= *c;
    else
      bottomRest.push_back(d);
  if (bottom != 0 && top % bottom == 0) {
    top /= bottom;
    bottom = 1;
  }
  topRest.push_back(l.index(top));
  bottomRest.push_back(l.index(bottom));
  OpFoldResult product = l.product(bottomRest);
  // An empty tensor leaves nothing to divide.
  if (getConstantIntValue(product) == 0)
    return l.index(0);
  if (!getConstantIntValue(product))
    product = l.max(product, l.index(1));
  return l.floorDiv(l.product(topRest), product);
}

/// Whether a value is made of sizes, and so can be neither -1 nor a 0 that
/// means "copy".
static bool isSizeLike(Value v, unsigned depth = 0) {
  if (v.getDefiningOp<tensor::DimOp>())
    return true;
  if (auto c = getConstantIntValue(v))
    return *c > 0;
  Operation *def = v.getDefiningOp();
  return depth < 6 && isa_and_nonnull<arith::AddIOp, arith::MulIOp>(def) &&
         isSizeLike(def->getOperand(0), depth + 1) &&
         isSizeLike(def->getOperand(1), depth + 1);
}

static LogicalResult lowerReshape(OpLowering &l) {
  Value data = l.in(0);
  if (!l.inType(1).hasStaticShape())
    return l.fail("the length of the shape operand is not known");
  bool allowZero = l.getInt("allowzero", 0) != 0;
  auto constants = l.constInts(1);
  SmallVector<OpFoldResult> wanted;
  if (constants)
    for (int64_t c : *constants)
      wanted.push_back(l.index(c));
  else
    wanted = l.indexElements(l.in(1));

  // Static result sizes are the truth where the operand is computed; a -1 or
  // 0 that only shows at run time is resolved there.
  auto type = l.outType();
  if (static_cast<int64_t>(wanted.size()) != type.getRank())
    return l.fail("the shape operand and the result have different ranks");
  SmallVector<OpFoldResult> sizes(wanted.size());
  SmallVector<OpFoldResult> source = l.sizes(data);
  int64_t inferred = -1;
  SmallVector<int64_t> unknown;
  for (auto [d, want] : llvm::enumerate(wanted)) {
    auto c = getConstantIntValue(want);
    if (c == -1) {
      inferred = d;
    } else if (c == 0 && !allowZero) {
      if (d >= source.size())
        return l.fail("a 0 in the shape has no dimension to copy");
      sizes[d] = source[d];
    } else if (c) {
      sizes[d] = want;
    } else if (!type.isDynamicDim(d)) {
      sizes[d] = l.index(type.getDimSize(d));
    } else {
      sizes[d] = want;
      if (!isSizeLike(cast<Value>(want)))
        unknown.push_back(d);
    }
  }
  if (!unknown.empty()) {
    Scalars s = l.scalars();
    for (int64_t d : unknown) {
      Value v = l.value(wanted[d]);
      if (!allowZero && d < static_cast<int64_t>(source.size())) {
        Value isZero = s.eq(v, l.value(l.index(0)));
        v = s.select(isZero, l.value(source[d]), v);
      }
      sizes[d] = v;
    }
    if (inferred < 0) {
      // Any of them may be -1: then it takes what the others leave.
      Value minusOne = l.value(l.index(-1));
      OpFoldResult others = l.index(1);
      for (OpFoldResult size : sizes) {
        if (auto c = getConstantIntValue(size)) {
          others = l.mul(others, size);
          continue;
        }
        Value v = cast<Value>(size);
        Value factor = s.select(s.eq(v, minusOne), l.value(l.index(1)), v);
        others = l.mul(others, factor);
      }
      OpFoldResult rest =
          l.floorDiv(l.product(source), l.max(others, l.index(1)));
      for (int64_t d : unknown) {
        Value v = cast<Value>(sizes[d]);
        sizes[d] = s.select(s.eq(v, minusOne), l.value(rest), v);
      }
    }
  }
  if (inferred >= 0) {
    SmallVector<OpFoldResult> others;
    for (auto [d, size] : llvm::enumerate(sizes))
      if (static_cast<int64_t>(d) != inferred)
        others.push_back(size);
    sizes[inferred] = inferSize(l, source, others);
  }
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (!type.isDynamicDim(d) && !getConstantIntValue(sizes[d]))
      sizes[d] = l.index(type.getDimSize(d));
  return l.done(l.reshape(data, sizes));
}

static LogicalResult lowerFlatten(OpLowering &l) {
  int64_t axis = l.getAxis("axis", 1, l.inRank(0));
  SmallVector<OpFoldResult> sizes = l.sizes(l.in(0));
  return l.done(
      l.reshape(l.in(0), {l.product(ArrayRef(sizes).take_front(axis)),
                          l.product(ArrayRef(sizes).drop_front(axis))}));
}

static LogicalResult lowerSqueeze(OpLowering &l) {
  int64_t rank = l.inRank(0);
  SmallVector<int64_t> axes;
  if (l.has(1)) {
    auto constant = l.constInts(1);
    if (!constant)
      return l.fail("axes must be constant");
    axes = normalizeAxes(*constant, rank);
  } else {
    for (int64_t d = 0; d < rank; ++d)
      if (l.inType(0).getDimSize(d) == 1)
        axes.push_back(d);
    if (rank - static_cast<int64_t>(axes.size()) != l.outRank())
      return l.fail("without axes all sizes must be known");
  }
  SmallVector<OpFoldResult> sizes;
  for (int64_t d = 0; d < rank; ++d) {
    if (!llvm::is_contained(axes, d))
      sizes.push_back(l.size(l.in(0), d));
    else
      l.requireEqual(l.size(l.in(0), d), l.index(1),
                     "dimension " + Twine(d) + " to squeeze is not 1");
  }
  return l.done(l.reshape(l.in(0), sizes));
}

static LogicalResult lowerUnsqueeze(OpLowering &l) {
  auto axes = l.constInts(1);
  if (!axes)
    return l.fail("axes must be constant");
  int64_t rank = l.inRank(0) + axes->size();
  return l.done(l.unsqueeze(l.in(0), normalizeAxes(*axes, rank)));
}

//===----------------------------------------------------------------------===//
// Broadcasts and sequences
//===----------------------------------------------------------------------===//

/// Broadcasting works both ways: a 1 in the shape keeps the input's size. An
/// input size known only at run time may turn out to be 1, so its index is
/// chosen there.
static LogicalResult lowerExpand(OpLowering &l) {
  Value data = l.in(0);
  if (!l.inType(1).hasStaticShape())
    return l.fail("the length of the shape operand is not known");
  SmallVector<OpFoldResult> wanted = l.indexElements(l.in(1));
  int64_t inRank = l.inRank(0), rank = l.outRank();
  auto wantedAt = [&](int64_t d) -> OpFoldResult {
    int64_t i = d - (rank - static_cast<int64_t>(wanted.size()));
    return i < 0 ? l.index(1) : wanted[i];
  };
  SmallVector<OpFoldResult> sizes;
  bool chooseAtRunTime = false;
  Scalars s = l.scalars();
  for (int64_t d = 0; d < rank; ++d) {
    int64_t dim = d - (rank - inRank);
    OpFoldResult want = wantedAt(d);
    OpFoldResult have = dim < 0 ? l.index(1) : l.size(data, dim);
    auto cw = getConstantIntValue(want), ch = getConstantIntValue(have);
    if (ch == 1 || l.knownEqual(want, have)) {
      sizes.push_back(want);
      continue;
    }
    if (cw == 1) {
      sizes.push_back(have);
      continue;
    }
    Value haveOne = s.eq(l.value(have), l.value(l.index(1)));
    Value wantOne = s.eq(l.value(want), l.value(l.index(1)));
    Value same = s.eq(l.value(have), l.value(want));
    Value either = arith::OrIOp::create(l.b, l.loc, haveOne, wantOne);
    l.require(arith::OrIOp::create(l.b, l.loc, same, either),
              "dimension " + Twine(d) + " cannot be broadcast to the shape");
    if (ch) {
      sizes.push_back(have);
      continue;
    }
    chooseAtRunTime = true;
    sizes.push_back(s.select(haveOne, l.value(want), l.value(have)));
  }
  if (!chooseAtRunTime)
    return l.done(l.broadcastTo(data, sizes));
  SmallVector<OpFoldResult> have = l.sizes(data);
  for (OpFoldResult &h : have)
    h = l.value(h);
  return l.done(
      l.generate(sizes, l.outElem(), [&](Scalars &inner, ValueRange position) {
        SmallVector<Value> from;
        for (int64_t dim = 0; dim < inRank; ++dim) {
          Value n = cast<Value>(have[dim]);
          Value one = inner.integer(n.getType(), 1);
          Value zero = inner.integer(n.getType(), 0);
          from.push_back(inner.select(inner.eq(n, one), zero,
                                      position[dim + rank - inRank]));
        }
        return OpLowering::at(inner, data, from);
      }));
}

/// start, start + delta, ... below limit; computed as start + i * delta.
static LogicalResult lowerRange(OpLowering &l) {
  Type elem = l.outElem();
  Scalars s = l.scalars();
  Value start = l.scalarOf(l.in(0)), limit = l.scalarOf(l.in(1));
  Value delta = l.scalarOf(l.in(2));
  Value count;
  if (isa<FloatType>(elem)) {
    Type wide = computeType(elem);
    Value span = s.sub(s.cast(limit, wide, false, false),
                       s.cast(start, wide, false, false));
    Value steps = s.ceil(s.div(span, s.cast(delta, wide, false, false)));
    count = s.toIndex(s.cast(steps, l.b.getI64Type(), false, false));
  } else {
    Value span = s.sub(s.toIndex(limit), s.toIndex(start));
    Value step = s.toIndex(delta);
    Value zero = s.integer(step.getType(), 0);
    l.require(s.logicalNot(s.eq(step, zero)), "delta must not be 0");
    count = arith::CeilDivSIOp::create(l.b, l.loc, span, step);
  }
  OpFoldResult size = l.max(count, l.index(0));
  if (!l.outType().isDynamicDim(0))
    size = l.index(l.outType().getDimSize(0));
  return l.done(l.generate(size, elem, [&](Scalars &inner, ValueRange i) {
    Type wide = computeType(elem);
    Value offset = inner.mul(inner.fromIndex(i[0], wide),
                             inner.cast(delta, wide, false, false));
    Value sum = inner.add(inner.cast(start, wide, false, false), offset);
    return inner.cast(sum, elem, false, false);
  }));
}

static LogicalResult lowerEyeLike(OpLowering &l) {
  int64_t k = l.getInt("k", 0);
  Type elem = l.outElem();
  return l.done(
      l.generate(l.sizes(l.in(0)), elem, [&](Scalars &s, ValueRange position) {
        Value shifted = s.add(position[0], s.integer(position[0].getType(), k));
        return s.select(s.eq(shifted, position[1]), s.constant(elem, 1),
                        s.constant(elem, 0));
      }));
}

void addShape(LowerTable &table) {
  table["onnx.Constant"] = lowerConstant;
  table["onnx.ConstantOfShape"] = lowerConstantOfShape;
  table["onnx.Shape"] = lowerShape;
  table["onnx.Size"] = lowerSize;
  table["onnx.Reshape"] = lowerReshape;
  table["onnx.Flatten"] = lowerFlatten;
  table["onnx.Squeeze"] = lowerSqueeze;
  table["onnx.Unsqueeze"] = lowerUnsqueeze;
  table["onnx.Expand"] = lowerExpand;
  table["onnx.Range"] = lowerRange;
  table["onnx.EyeLike"] = lowerEyeLike;
}

} // namespace nibble::onnx_to_linalg
