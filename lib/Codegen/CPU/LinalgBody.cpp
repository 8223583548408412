//===- LinalgBody.cpp - The body of a linalg operation in vectors ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LinalgBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace nibble::codegen {

static constexpr int64_t lanes = KernelBuilder::lanes;

using Access = LinalgNest::Access;

static std::optional<int64_t> constantOf(Index index) {
  return getConstantIntValue(OpFoldResult(Value(index)));
}

bool isShuffleStride(Index stride, int64_t &step) {
  step = constantOf(stride).value_or(0);
  return step >= 2 && step <= 4;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Index LinalgBody::address(const Access &access, const NestPoint &point) {
  Index at = access.offset;
  for (int64_t loop = 0; loop < nest.numLoops(); ++loop)
    if (!access.isInvariant(loop) && constantOf(nest.sizes[loop]) != 1)
      at = at + access.strides[loop] * point.indices[loop];
  return at;
}

static Value splatConstant(KernelBuilder &kb, VectorType type, int64_t value) {
  Type element = type.getElementType();
  TypedAttr scalar = isa<FloatType>(element)
                         ? TypedAttr(kb.b.getFloatAttr(element, value))
                         : TypedAttr(kb.b.getIntegerAttr(element, value));
  return arith::ConstantOp::create(
      kb.b, kb.loc, DenseElementsAttr::get(type, Attribute(scalar)));
}

/// Truth values take a byte in memory and a bit in registers.
Value LinalgBody::fromMemory(Value value, bool isBool) {
  if (!isBool)
    return value;
  Value zero;
  if (auto type = dyn_cast<VectorType>(value.getType()))
    zero = splatConstant(kb, type, 0);
  else
    zero = arith::ConstantIntOp::create(kb.b, kb.loc, 0, 8);
  return arith::CmpIOp::create(kb.b, kb.loc, arith::CmpIPredicate::ne, value,
                               zero);
}

Value LinalgBody::toMemory(Value value, bool isBool) {
  if (!isBool)
    return value;
  Type byte = kb.b.getI8Type();
  if (isa<VectorType>(value.getType()))
    byte = kb.vectorType(byte);
  return arith::ExtUIOp::create(kb.b, kb.loc, byte, value);
}

Value LinalgBody::loadScalar(const Access &access, Index at) {
  return fromMemory(kb.load(access.flat, at), access.isBool);
}

void LinalgBody::storeScalar(Value value, const Access &access, Index at) {
  kb.store(toMemory(value, access.isBool), access.flat, at);
}

Value LinalgBody::allLanes(Value mask) {
  return mask ? mask : splatConstant(kb, kb.vectorType(kb.b.getI1Type()), 1);
}

Value LinalgBody::loadOperand(int64_t operand, const NestPoint &point) {
  const Access &access = nest.accesses[operand];
  if (access.scalar)
    return access.scalar;
  Index at = address(access, point);
  if (!isVector() || access.isInvariant(vectorLoop))
    return loadScalar(access, at);
  auto type =
      kb.vectorType(cast<MemRefType>(access.flat.getType()).getElementType());
  Value value = access.isContiguous(vectorLoop)
                    ? loadVector(access.flat, at, type, point.mask)
                    : loadStrided(access.flat, at, access.strides[vectorLoop],
                                  type, point);
  return fromMemory(value, access.isBool);
}

void LinalgBody::storeResult(int64_t output, Value value,
                             const NestPoint &point) {
  const Access &access = nest.outputs()[output];
  Index at = address(access, point);
  if (!isVector() || vectorReduction)
    return storeScalar(value, access, at);
  value = toMemory(widen(value), access.isBool);
  if (point.mask)
    kb.storeMasked(value, access.flat, at, point.mask);
  else
    kb.storeVector(value, access.flat, at);
}

Value LinalgBody::loadVector(Value memref, Index at, VectorType type,
                             Value mask) {
  if (!mask)
    return kb.loadVector(memref, at);
  // Ones where there is nothing: a division by them is harmless.
  return vector::MaskedLoadOp::create(kb.b, kb.loc, type, memref,
                                      ValueRange{at}, mask,
                                      splatConstant(kb, type, 1));
}

/// Every second to fourth element comes out of whole vectors by shuffles, which
/// is much faster than a gather.
Value LinalgBody::loadStrided(Value flat, Index at, Index stride,
                              VectorType type, const NestPoint &point) {
  OpBuilder &b = kb.b;
  int64_t few;
  if (isShuffleStride(stride, few)) {
    Index last = kb.index(lanes - 1);
    if (point.count)
      last = kb.index(point.count) - 1;
    Index elements = last * few + 1;
    Value result;
    for (int64_t part = 0; part < few; ++part) {
      Value loaded = loadVector(flat, at + part * lanes, type,
                                kb.maskBelow(elements - part * lanes));
      if (part == 0) {
        result = loaded;
        continue;
      }
      SmallVector<int64_t> picks;
      for (int64_t lane = 0; lane < lanes; ++lane) {
        int64_t source = lane * few;
        if (source / lanes == part)
          picks.push_back(lanes + source % lanes);
        else
          picks.push_back(part == 1 && source < lanes ? source : lane);
      }
      result = vector::ShuffleOp::create(b, kb.loc, result, loaded, picks);
    }
    return result;
  }

  std::optional<int64_t> step = constantOf(stride);
  // Offsets that are known to be small need half the registers.
  bool narrow = step && std::abs(*step) < (1 << 24);
  Value offsets =
      vector::StepOp::create(b, kb.loc, kb.vectorType(b.getIndexType()));
  Value factor = stride;
  if (narrow) {
    offsets = arith::IndexCastOp::create(b, kb.loc, kb.i32Vector(), offsets);
    factor = arith::ConstantIntOp::create(b, kb.loc, *step, 32);
  }
  offsets = arith::MulIOp::create(b, kb.loc, offsets, kb.splat(factor));
  return vector::GatherOp::create(b, kb.loc, type, flat, ValueRange{at},
                                  offsets, allLanes(point.mask),
                                  splatConstant(kb, type, 1));
}

//===----------------------------------------------------------------------===//
// Loads in the body
//===----------------------------------------------------------------------===//

LinalgBody::Kind LinalgBody::kindOf(Value value, int64_t loop,
                                    llvm::DenseMap<Value, Kind> &known) {
  if (auto found = known.find(value); found != known.end())
    return found->second;
  Kind kind = Kind::Uniform;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getOwner() == &body &&
        !nest.accesses[argument.getArgNumber()].isInvariant(loop))
      kind = Kind::Varying;
  } else if (Operation *op = value.getDefiningOp(); op->getBlock() == &body) {
    if (auto index = dyn_cast<linalg::IndexOp>(op)) {
      kind = static_cast<int64_t>(index.getDim()) == loop ? Kind::Counting
                                                          : Kind::Uniform;
    } else {
      SmallVector<Kind> kinds;
      for (Value operand : op->getOperands())
        kinds.push_back(kindOf(operand, loop, known));
      if (!llvm::all_of(kinds, [](Kind k) { return k == Kind::Uniform; }))
        kind = Kind::Varying;
      if (isa<arith::AddIOp>(op) && llvm::is_contained(kinds, Kind::Uniform) &&
          llvm::is_contained(kinds, Kind::Counting))
        kind = Kind::Counting;
      if (isa<arith::SubIOp>(op) && kinds[0] == Kind::Counting &&
          kinds[1] == Kind::Uniform)
        kind = Kind::Counting;
      if (isa<arith::IndexCastOp>(op))
        kind = kinds[0];
    }
  }
  known[value] = kind;
  return kind;
}

int64_t LinalgBody::scoreLoads(int64_t loop) {
  int64_t result = 0;
  llvm::DenseMap<Value, Kind> known;
  for (Operation &op : body) {
    auto load = dyn_cast<memref::LoadOp>(op);
    if (!load)
      continue;
    bool last = false, others = false;
    int64_t rank = load.getIndices().size();
    for (auto [i, index] : llvm::enumerate(load.getIndices())) {
      Kind kind = kindOf(index, loop, known);
      if (kind == Kind::Counting && static_cast<int64_t>(i) == rank - 1)
        last = true;
      else if (kind != Kind::Uniform)
        others = true;
    }
    result += others ? -8 : last ? 4 : 0;
  }
  return result;
}

LinalgBody::Lanes LinalgBody::load(Operation &op, ArrayRef<Lanes> operands,
                                   const NestPoint &point) {
  OpBuilder &b = kb.b;
  const Access &access = nest.bodyLoads.lookup(&op);
  Index at = access.offset, step = kb.index(0);
  Value offsets;
  for (auto [lane, stride] :
       llvm::zip_equal(operands.drop_front(), access.strides)) {
    if (!lane.vector) {
      at = at + stride * kb.index(lane.scalar);
      if (lane.counts)
        step = step + stride;
      continue;
    }
    Value part = lane.vector;
    if (constantOf(stride) != 1)
      part = arith::MulIOp::create(b, kb.loc, part, kb.splat(stride));
    offsets =
        offsets ? Value(arith::AddIOp::create(b, kb.loc, offsets, part)) : part;
  }
  auto type =
      kb.vectorType(cast<MemRefType>(access.flat.getType()).getElementType());
  std::optional<int64_t> known = constantOf(step);
  if (!offsets && known == 0)
    return {loadScalar(access, at), {}, false};
  Value value;
  if (!offsets && known == 1) {
    value = loadVector(access.flat, at, type, point.mask);
  } else if (!offsets) {
    value = loadStrided(access.flat, at, step, type, point);
  } else {
    if (known != 0) {
      Value counted =
          vector::StepOp::create(b, kb.loc, kb.vectorType(b.getIndexType()));
      counted = arith::MulIOp::create(b, kb.loc, counted, kb.splat(step));
      offsets = arith::AddIOp::create(b, kb.loc, offsets, counted);
    }
    if (access.isSmall)
      offsets = arith::IndexCastOp::create(b, kb.loc, kb.i32Vector(), offsets);
    value = vector::GatherOp::create(
        b, kb.loc, type, access.flat, ValueRange{at}, offsets,
        allLanes(point.mask), splatConstant(kb, type, 1));
  }
  return {{}, fromMemory(value, access.isBool), false};
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value LinalgBody::widen(Value value) {
  if (!isVector() || isa<VectorType>(value.getType()))
    return value;
  return kb.splat(value);
}

Value LinalgBody::widen(const Lanes &lane) {
  if (lane.vector)
    return lane.vector;
  Value all = kb.splat(lane.scalar);
  if (!lane.counts)
    return all;
  OpBuilder &b = kb.b;
  Value step =
      vector::StepOp::create(b, kb.loc, kb.vectorType(b.getIndexType()));
  Type type = lane.scalar.getType();
  if (!type.isIndex())
    step = arith::IndexCastOp::create(b, kb.loc, kb.vectorType(type), step);
  return arith::AddIOp::create(b, kb.loc, all, step);
}

/// Lets a product and a sum become one operation, which rounds once.
static void allowContraction(Operation *op) {
  auto math = dyn_cast<arith::ArithFastMathInterface>(op);
  if (!math)
    return;
  arith::FastMathFlags flags = arith::FastMathFlags::contract;
  if (arith::FastMathFlagsAttr old = math.getFastMathFlagsAttr())
    flags = flags | old.getValue();
  op->setAttr(math.getFastMathAttrName(),
              arith::FastMathFlagsAttr::get(op->getContext(), flags));
}

LinalgBody::Lanes LinalgBody::combine(Operation &op, ArrayRef<Lanes> operands) {
  auto isUniform = [](const Lanes &l) { return !l.vector && !l.counts; };
  auto isCounting = [](const Lanes &l) { return !l.vector && l.counts; };
  bool counts = (isa<arith::AddIOp>(op) &&
                 ((isCounting(operands[0]) && isUniform(operands[1])) ||
                  (isUniform(operands[0]) && isCounting(operands[1])))) ||
                (isa<arith::SubIOp>(op) && isCounting(operands[0]) &&
                 isUniform(operands[1])) ||
                (isa<arith::IndexCastOp>(op) && isCounting(operands[0]));
  if (counts || llvm::all_of(operands, isUniform)) {
    IRMapping mapping;
    for (auto [operand, lane] : llvm::zip_equal(op.getOperands(), operands))
      mapping.map(operand, lane.scalar);
    Operation *one = kb.b.clone(op, mapping);
    allowContraction(one);
    return {one->getResult(0), {}, counts};
  }
  OperationState state(kb.loc, op.getName());
  for (const Lanes &lane : operands)
    state.operands.push_back(widen(lane));
  state.addAttributes(op.getAttrs());
  state.addTypes(kb.vectorType(op.getResult(0).getType()));
  Operation *wide = kb.b.create(state);
  allowContraction(wide);
  return {{}, wide->getResult(0), false};
}

Values LinalgBody::compute(const NestPoint &point, ValueRange arguments) {
  Values results;
  if (!isVector()) {
    IRMapping mapping;
    mapping.map(body.getArguments(), arguments);
    for (Operation &inner : body.without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner))
        mapping.map(index.getResult(), point.indices[index.getDim()]);
      else
        kb.b.clone(inner, mapping);
    }
    for (Value yielded : body.getTerminator()->getOperands())
      results.push_back(mapping.lookupOrDefault(yielded));
    return results;
  }
  llvm::DenseMap<Value, Lanes> values;
  auto lanesOf = [&](Value value) -> Lanes {
    auto found = values.find(value);
    return found == values.end() ? Lanes{value, {}, false} : found->second;
  };
  for (auto [argument, value] : llvm::zip_equal(body.getArguments(), arguments))
    values[argument] = isa<VectorType>(value.getType())
                           ? Lanes{{}, value, false}
                           : Lanes{value, {}, false};
  for (Operation &inner : body.without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      int64_t loop = index.getDim();
      values[index.getResult()] =
          Lanes{point.indices[loop], {}, loop == vectorLoop};
      continue;
    }
    SmallVector<Lanes> operands;
    for (Value operand : inner.getOperands())
      operands.push_back(lanesOf(operand));
    values[inner.getResult(0)] = isa<memref::LoadOp>(inner)
                                     ? load(inner, operands, point)
                                     : combine(inner, operands);
  }
  for (Value yielded : body.getTerminator()->getOperands())
    results.push_back(widen(lanesOf(yielded)));
  return results;
}

} // namespace nibble::codegen
