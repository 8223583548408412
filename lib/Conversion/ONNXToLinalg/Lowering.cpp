//===- Lowering.cpp - The operator and its sizes --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

Type computeType(Type elem) {
  if (elem.isF16() || elem.isBF16())
    return Float32Type::get(elem.getContext());
  return elem;
}

AffineMap mapWithoutDims(MLIRContext *ctx, int64_t rank,
                         ArrayRef<int64_t> axes) {
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < rank; ++d)
    if (!llvm::is_contained(axes, d))
      exprs.push_back(getAffineDimExpr(d, ctx));
  return AffineMap::get(rank, 0, exprs, ctx);
}

SmallVector<int64_t> normalizeAxes(ArrayRef<int64_t> axes, int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t axis : axes)
    result.push_back(axis < 0 ? axis + rank : axis);
  llvm::sort(result);
  return result;
}

//===----------------------------------------------------------------------===//
// The operator
//===----------------------------------------------------------------------===//

bool OpLowering::has(unsigned i) const {
  return i < op->getNumOperands() &&
         !isa<NoneType>(op->getOperand(i).getType());
}

bool OpLowering::hasResult(unsigned i) const {
  return i < op->getNumResults() && !isa<NoneType>(op->getResult(i).getType());
}

RankedTensorType OpLowering::outType(unsigned i) const {
  return cast<RankedTensorType>(types.convertType(op->getResult(i).getType()));
}

Type OpLowering::inONNXElem(unsigned i) const {
  return cast<ShapedType>(op->getOperand(i).getType()).getElementType();
}

Type OpLowering::outONNXElem(unsigned i) const {
  return cast<ShapedType>(op->getResult(i).getType()).getElementType();
}

static bool isUnsignedElem(Type elem) {
  return elem.isUnsignedInteger() || elem.isInteger(1);
}

bool OpLowering::inUnsigned(unsigned i) const {
  return isUnsignedElem(inONNXElem(i));
}

bool OpLowering::outUnsigned(unsigned i) const {
  return isUnsignedElem(outONNXElem(i));
}

bool OpLowering::hasAttr(StringRef name) const {
  return static_cast<bool>(op->getAttr(name));
}

int64_t OpLowering::getInt(StringRef name, int64_t fallback) const {
  if (auto attr = op->getAttrOfType<IntegerAttr>(name))
    return attr.getValue().getSExtValue();
  return fallback;
}

double OpLowering::getFloat(StringRef name, double fallback) const {
  if (auto attr = op->getAttrOfType<FloatAttr>(name))
    return attr.getValueAsDouble();
  return fallback;
}

StringRef OpLowering::getString(StringRef name, StringRef fallback) const {
  if (auto attr = op->getAttrOfType<StringAttr>(name))
    return attr.getValue();
  return fallback;
}

SmallVector<int64_t> OpLowering::getInts(StringRef name,
                                         ArrayRef<int64_t> fallback) const {
  if (auto attr = op->getAttrOfType<DenseI64ArrayAttr>(name))
    return llvm::to_vector(attr.asArrayRef());
  if (auto attr = op->getAttrOfType<ArrayAttr>(name)) {
    SmallVector<int64_t> values;
    for (auto element : attr.getAsRange<IntegerAttr>())
      values.push_back(element.getInt());
    return values;
  }
  return llvm::to_vector(fallback);
}

int64_t OpLowering::getAxis(StringRef name, int64_t fallback,
                            int64_t rank) const {
  int64_t axis = getInt(name, fallback);
  return axis < 0 ? axis + rank : axis;
}

Attribute OpLowering::constantOf(unsigned i) const {
  Attribute attr;
  for (Value v : {op->getOperand(i), operands[i]}) {
    if (Operation *def = v.getDefiningOp()) {
      if (matchPattern(v, m_Constant(&attr)))
        return attr;
      if (auto elements = def->getAttrOfType<ElementsAttr>("value");
          elements && def->getNumOperands() == 0)
        return elements;
    }
  }
  return {};
}

std::optional<ConstantData> OpLowering::constData(unsigned i) const {
  Attribute attr = has(i) ? constantOf(i) : Attribute();
  if (!attr)
    return std::nullopt;
  auto data = ConstantData::get(attr, [&] { return op->emitError(); });
  if (mlir::failed(data))
    return std::nullopt;
  return *data;
}

std::optional<SmallVector<int64_t>> OpLowering::constInts(unsigned i) const {
  std::optional<ConstantData> data = constData(i);
  if (!data)
    return std::nullopt;
  SmallVector<int64_t> values(data->getNumElements());
  if (mlir::failed(data->readIntegers(0, values)))
    return std::nullopt;
  return values;
}

std::optional<SmallVector<double>> OpLowering::constFloats(unsigned i) const {
  std::optional<ConstantData> data = constData(i);
  if (!data)
    return std::nullopt;
  SmallVector<float> values(data->getNumElements());
  if (mlir::failed(data->readFloats(0, values)))
    return std::nullopt;
  return SmallVector<double>(values.begin(), values.end());
}

StringRef OpLowering::layerName() const {
  if (auto name = op->getAttrOfType<StringAttr>("onnx.name"))
    return name.getValue();
  return op->getName().getStringRef();
}

LogicalResult OpLowering::fail(const Twine &reason) {
  state.failures.insert({op, reason.str()});
  return failure();
}

//===----------------------------------------------------------------------===//
// Index arithmetic
//===----------------------------------------------------------------------===//

Value OpLowering::value(OpFoldResult x) {
  return getValueOrCreateConstantIndexOp(b, loc, x);
}

OpFoldResult OpLowering::add(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return index(*cx + *cy);
  if (cx && *cx == 0)
    return y;
  if (cy && *cy == 0)
    return x;
  return arith::AddIOp::create(b, loc, value(x), value(y)).getResult();
}

OpFoldResult OpLowering::sub(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return index(*cx - *cy);
  if (cy && *cy == 0)
    return x;
  if (knownEqual(x, y))
    return index(0);
  // (a + b) - a, as when a new part follows a past one.
  if (auto v = dyn_cast<Value>(x))
    if (auto sum = v.getDefiningOp<arith::AddIOp>()) {
      if (knownEqual(sum.getLhs(), y))
        return sum.getRhs();
      if (knownEqual(sum.getRhs(), y))
        return sum.getLhs();
    }
  return arith::SubIOp::create(b, loc, value(x), value(y)).getResult();
}

OpFoldResult OpLowering::mul(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return index(*cx * *cy);
  if ((cx && *cx == 0) || (cy && *cy == 0))
    return index(0);
  if (cx && *cx == 1)
    return y;
  if (cy && *cy == 1)
    return x;
  return arith::MulIOp::create(b, loc, value(x), value(y)).getResult();
}

OpFoldResult OpLowering::floorDiv(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy && *cy > 0)
    return index(llvm::divideFloorSigned(*cx, *cy));
  if (cy && *cy == 1)
    return x;
  // (a * c) / c.
  if (auto v = dyn_cast<Value>(x))
    if (auto factors = v.getDefiningOp<arith::MulIOp>()) {
      if (cy && knownEqual(factors.getRhs(), y))
        return factors.getLhs();
      if (cy && knownEqual(factors.getLhs(), y))
        return factors.getRhs();
    }
  return arith::FloorDivSIOp::create(b, loc, value(x), value(y)).getResult();
}

OpFoldResult OpLowering::ceilDiv(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy && *cy > 0)
    return index(llvm::divideCeilSigned(*cx, *cy));
  if (cy && *cy == 1)
    return x;
  return arith::CeilDivSIOp::create(b, loc, value(x), value(y)).getResult();
}

OpFoldResult OpLowering::max(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return index(std::max(*cx, *cy));
  return arith::MaxSIOp::create(b, loc, value(x), value(y)).getResult();
}

OpFoldResult OpLowering::min(OpFoldResult x, OpFoldResult y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return index(std::min(*cx, *cy));
  if (knownEqual(x, y))
    return x;
  return arith::MinSIOp::create(b, loc, value(x), value(y)).getResult();
}

OpFoldResult OpLowering::product(ArrayRef<OpFoldResult> factors) {
  OpFoldResult result = index(1);
  for (OpFoldResult factor : factors)
    result = mul(result, factor);
  return result;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

SmallVector<OpFoldResult> OpLowering::sizes(Value tensor) {
  SmallVector<OpFoldResult> result;
  for (int64_t d = 0, e = cast<RankedTensorType>(tensor.getType()).getRank();
       d < e; ++d)
    result.push_back(size(tensor, d));
  return result;
}

/// The name that ONNX gives a dimension of a function argument.
static StringRef dimName(BlockArgument arg, int64_t dim) {
  auto func = dyn_cast<func::FuncOp>(arg.getOwner()->getParentOp());
  if (!func || !arg.getOwner()->isEntryBlock())
    return "";
  auto names =
      func.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(), "onnx.dim_names");
  if (!names || dim >= static_cast<int64_t>(names.size()))
    return "";
  auto name = dyn_cast<StringAttr>(names[dim]);
  return name ? name.getValue() : "";
}

OpFoldResult OpLowering::size(Value tensor, int64_t dim) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (!type.isDynamicDim(dim))
    return index(type.getDimSize(dim));

  // Look through what shows its sizes: equal sizes become equal values.
  if (Operation *def = tensor.getDefiningOp()) {
    if (auto cast = dyn_cast<tensor::CastOp>(def))
      return size(cast.getSource(), dim);
    if (auto made = dyn_cast<tensor::EmptyOp>(def))
      return made.getMixedSizes()[dim];
    if (auto dest = dyn_cast<DestinationStyleOpInterface>(def))
      return size(dest.getTiedOpOperand(cast<OpResult>(tensor))->get(), dim);
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(def))
      return expand.getMixedOutputShape()[dim];
    // What is not an operator any more has operands that may not be lowered
    // values yet.
    auto sizeOf = [&](Value operand, int64_t d) {
      Value lowered = rewriter.getRemappedValue(operand);
      return size(lowered ? lowered : operand, d);
    };
    if (auto product = dyn_cast<nibble::MatMulOp>(def);
        product && dim < type.getRank() - 1)
      return sizeOf(product.getInput(), dim);
    if (auto conv = dyn_cast<nibble::ConvOp>(def); conv && dim == 0)
      return sizeOf(conv.getInput(), dim);
    if (auto attention = dyn_cast<nibble::AttentionOp>(def)) {
      bool swapped =
          attention.getResultByToken() != attention.getQueryByToken();
      if (dim == 3)
        return sizeOf(attention.getValue(), 3);
      return sizeOf(attention.getQuery(), swapped && dim > 0 ? 3 - dim : dim);
    }
    if (auto gather = dyn_cast<nibble::GatherOp>(def);
        gather && dim < type.getRank() - 1)
      return sizeOf(gather.getIndices(), dim);
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(def)) {
      SmallVector<OpFoldResult> factors;
      ReassociationIndices joined = collapse.getReassociationIndices()[dim];
      for (int64_t d : joined)
        factors.push_back(size(collapse.getSrc(), d));
      return product(factors);
    }
    if (auto append = dyn_cast<nibble::AppendCacheOp>(def)) {
      if (dim != static_cast<int64_t>(append.getAxis()))
        return size(append.getPast(), dim);
      if (Value known = state.dims.lookup({tensor, dim}))
        return known;
      OpFoldResult past = size(append.getPast(), dim);
      OpFoldResult fresh = size(append.getFresh(), dim);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointAfterValue(tensor);
      Value sum = value(add(past, fresh));
      state.dims[{tensor, dim}] = sum;
      return sum;
    }
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(def))
      if (slice.getSourceType().getRank() == type.getRank())
        return slice.getMixedSizes()[dim];
  }

  if (Value known = state.dims.lookup({tensor, dim}))
    return known;
  OpBuilder::InsertionGuard guard(b);
  // Arguments that name a dimension alike have the same size there.
  if (auto arg = dyn_cast<BlockArgument>(tensor))
    if (OpFoldResult first = sizeOfFirstNamed(arg, dim)) {
      Value firstValue = cast<Value>(first);
      b.setInsertionPointAfterValue(firstValue);
      Value own = tensor::DimOp::create(b, loc, tensor, dim);
      Value same = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                         firstValue, own);
      cf::AssertOp::create(b, loc, same,
                           ("dimension '" + dimName(arg, dim) +
                            "' has different sizes in the inputs")
                               .str());
      state.dims[{tensor, dim}] = firstValue;
      return first;
    }
  b.setInsertionPointAfterValue(tensor);
  Value made = tensor::DimOp::create(b, loc, tensor, dim);
  state.dims[{tensor, dim}] = made;
  return made;
}

OpFoldResult OpLowering::sizeOfFirstNamed(BlockArgument arg, int64_t dim) {
  StringRef name = dimName(arg, dim);
  if (name.empty())
    return {};
  for (BlockArgument other : arg.getOwner()->getArguments()) {
    auto type = dyn_cast<RankedTensorType>(other.getType());
    if (!type)
      continue;
    for (int64_t d = 0; d < type.getRank(); ++d) {
      if (other == arg && d == dim)
        return {};
      if (type.isDynamicDim(d) && dimName(other, d) == name)
        return size(other, d);
    }
  }
  return {};
}

OpFoldResult OpLowering::liftIndex(Value integer, unsigned depth) {
  if (auto c = getConstantIntValue(integer))
    return index(*c);
  Operation *def = integer.getDefiningOp();
  if (auto cast = dyn_cast_or_null<arith::IndexCastOp>(def);
      cast && cast.getIn().getType().isIndex())
    return cast.getIn();
  if (def && depth < 8) {
    auto operand = [&](unsigned i) {
      return liftIndex(def->getOperand(i), depth + 1);
    };
    if (isa<arith::AddIOp>(def))
      return add(operand(0), operand(1));
    if (isa<arith::SubIOp>(def))
      return sub(operand(0), operand(1));
    if (isa<arith::MulIOp>(def))
      return mul(operand(0), operand(1));
    if (isa<arith::ExtSIOp, arith::TruncIOp>(def))
      return operand(0);
    // Truncation and flooring agree on sizes, which are not negative.
    if (isa<arith::DivSIOp>(def))
      return arith::DivSIOp::create(b, loc, value(operand(0)),
                                    value(operand(1)))
          .getResult();
  }
  return scalars().toIndex(integer);
}

std::optional<SmallVector<Value>> OpLowering::knownElements(Value tensor) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  constexpr int64_t maxElements = 16;
  if (!type || type.getRank() > 1 || !type.hasStaticShape() ||
      type.getNumElements() > maxElements ||
      !isa<IntegerType>(type.getElementType()))
    return std::nullopt;
  while (auto cast = tensor.getDefiningOp<tensor::CastOp>())
    tensor = cast.getSource();
  if (auto made = tensor.getDefiningOp<tensor::FromElementsOp>())
    return SmallVector<Value>(made.getElements());
  DenseIntElementsAttr attr;
  if (!matchPattern(tensor, m_Constant(&attr)))
    return std::nullopt;
  SmallVector<Value> elements;
  for (APInt v : attr.getValues<APInt>())
    elements.push_back(
        scalars().integer(type.getElementType(), v.getSExtValue()));
  return elements;
}

SmallVector<OpFoldResult> OpLowering::indexElements(Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  int64_t count = type.getNumElements();
  SmallVector<OpFoldResult> result;
  DenseElementsAttr attr;
  if (matchPattern(tensor, m_Constant(&attr))) {
    for (APInt v : attr.getValues<APInt>())
      result.push_back(index(v.getSExtValue()));
    return result;
  }
  while (auto cast = tensor.getDefiningOp<tensor::CastOp>())
    tensor = cast.getSource();
  if (auto made = tensor.getDefiningOp<tensor::FromElementsOp>()) {
    for (Value element : made.getElements())
      result.push_back(liftIndex(element));
    return result;
  }
  for (int64_t i = 0; i < count; ++i) {
    SmallVector<Value> position;
    if (type.getRank() == 1)
      position.push_back(value(index(i)));
    Value element = tensor::ExtractOp::create(b, loc, tensor, position);
    result.push_back(scalars().toIndex(element));
  }
  return result;
}

Value OpLowering::fromIndices(ArrayRef<OpFoldResult> values,
                              RankedTensorType type) {
  SmallVector<Value> elements;
  Scalars s = scalars();
  for (OpFoldResult v : values) {
    if (auto c = getConstantIntValue(v))
      elements.push_back(s.integer(type.getElementType(), *c));
    else
      elements.push_back(s.fromIndex(cast<Value>(v), type.getElementType()));
  }
  return tensor::FromElementsOp::create(b, loc, type, elements);
}

bool OpLowering::knownEqual(OpFoldResult x, OpFoldResult y, unsigned depth) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx || cy)
    return cx && cy && *cx == *cy;
  auto vx = cast<Value>(x), vy = cast<Value>(y);
  if (vx == vy)
    return true;
  auto checked = [&](Value p, Value q) {
    auto it = state.equal.find({p, b.getInsertionBlock()});
    return it != state.equal.end() && llvm::is_contained(it->second, q);
  };
  if (checked(vx, vy) || checked(vy, vx))
    return true;
  // The same arithmetic on equal sizes.
  Operation *dx = vx.getDefiningOp(), *dy = vy.getDefiningOp();
  if (!dx || !dy || depth > 6 || dx->getName() != dy->getName() ||
      !isa<arith::ArithDialect>(dx->getDialect()) ||
      dx->getNumOperands() != dy->getNumOperands() ||
      dx->getNumOperands() == 0 || isa<arith::CmpIOp>(dx))
    return false;
  return llvm::all_of(llvm::zip_equal(dx->getOperands(), dy->getOperands()),
                      [&](auto pair) {
                        auto [p, q] = pair;
                        return p.getType().isIndex() && q.getType().isIndex() &&
                               knownEqual(p, q, depth + 1);
                      });
}

void OpLowering::require(Value cond, const Twine &message) {
  if (matchPattern(cond, m_One()))
    return;
  cf::AssertOp::create(b, loc, cond, (layerName() + ": " + message).str());
}

void OpLowering::requireIndices(Value indices, OpFoldResult bound,
                                bool allowNegative, const Twine &message) {
  if (auto c = getConstantIntValue(bound))
    if (!state.checkedIndices
             .insert({{indices, b.getInsertionBlock()}, {*c, allowNegative}})
             .second)
      return;
  Value limit = value(bound);
  int64_t rank = cast<RankedTensorType>(indices.getType()).getRank();
  // Wider than a bit, which reductions in vectors cannot hold.
  Type i32 = b.getI32Type();
  Value yes = scalars().integer(i32, 1);
  Value inside =
      reduce(indices, llvm::to_vector(llvm::seq<int64_t>(0, rank)), yes,
             [&](Scalars &s, ValueRange v) -> Value {
               Value i = s.toIndex(v[0]), zero = s.integer(i.getType(), 0);
               Value low = allowNegative ? s.sub(zero, limit) : zero;
               Value fits = arith::AndIOp::create(s.b, s.loc, s.le(low, i),
                                                  s.lt(i, limit));
               fits = arith::ExtUIOp::create(s.b, s.loc, i32, fits);
               return arith::AndIOp::create(s.b, s.loc, v[1], fits);
             });
  Value all = arith::TruncIOp::create(b, loc, b.getI1Type(), scalarOf(inside));
  require(all, message);
}

void OpLowering::requireEqual(OpFoldResult x, OpFoldResult y,
                              const Twine &message) {
  if (knownEqual(x, y))
    return;
  if (getConstantIntValue(x) && getConstantIntValue(y)) {
    (void)fail(message);
    return;
  }
  Value vx = value(x), vy = value(y);
  require(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, vx, vy),
          message);
  if (!getConstantIntValue(x) && !getConstantIntValue(y))
    state.equal[{vx, b.getInsertionBlock()}].push_back(vy);
}

} // namespace nibble::onnx_to_linalg
