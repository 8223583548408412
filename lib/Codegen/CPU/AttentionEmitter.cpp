//===- AttentionEmitter.cpp - What both ways of attention share -----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionEmitter.h"

#include "Lanes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

AttentionEmitter::AttentionEmitter(KernelBuilder &kernel,
                                   const AttentionSpec &spec,
                                   const AttentionArguments &arguments)
    : kb(kernel), spec(spec), args(arguments),
      acc(spec.element.isF64() ? spec.element : kernel.b.getF32Type()),
      accVector(kernel.vectorType(acc)),
      pairs(arguments.batch * arguments.kvHeads),
      rows(arguments.group * arguments.queries) {}

//===----------------------------------------------------------------------===//
// Who sees what
//===----------------------------------------------------------------------===//

AttentionEmitter::Pair AttentionEmitter::getPair(Index number) {
  Pair pair;
  pair.batch = number / args.kvHeads;
  pair.head = number % args.kvHeads;
  pair.valid = args.keys;
  pair.offset = args.past;
  if (args.lengths) {
    Index length = kb.index(kb.b.createOrFold<arith::IndexCastOp>(
        kb.loc, kb.b.getIndexType(), kb.load(args.lengths, pair.batch)));
    pair.valid = min(pair.valid, length);
    pair.offset = length - args.queries;
  }
  if (spec.maskElement && !spec.maskColumn)
    pair.valid = min(pair.valid, args.maskKeys);
  return pair;
}

Index AttentionEmitter::firstSeen(const Pair &pair, Index query) {
  if (!spec.left)
    return kb.index(0);
  return max(query + pair.offset - args.left, 0);
}

Index AttentionEmitter::endOfSeen(const Pair &pair, Index query) {
  if (!spec.reach)
    return pair.valid;
  return min(pair.valid, query + pair.offset + args.reach + 1);
}

Index AttentionEmitter::rowAt(const HeadMemory &memory, const Pair &pair,
                              Index row) {
  return pair.batch * memory.batch +
         (pair.head * args.group + row % args.group) * memory.head +
         row / args.group * memory.token;
}

void AttentionEmitter::allocateBounds(int64_t count) {
  last = kb.scratch(count, kb.b.getI32Type());
  if (spec.left)
    first = kb.scratch(count, kb.b.getI32Type());
}

void AttentionEmitter::storeBounds(const Pair &pair, Index row, Index at) {
  Index query = row / args.group;
  kb.store(toI32(max(endOfSeen(pair, query) - 1, -1)), last, at);
  if (spec.left)
    kb.store(toI32(min(firstSeen(pair, query), args.keys)), first, at);
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

Value AttentionEmitter::constant(double value) {
  return arith::ConstantOp::create(kb.b, kb.loc, kb.b.getFloatAttr(acc, value));
}

Value AttentionEmitter::constants(double value) {
  return arith::ConstantOp::create(
      kb.b, kb.loc,
      DenseElementsAttr::get(accVector,
                             Attribute(kb.b.getFloatAttr(acc, value))));
}

Value AttentionEmitter::widen(Value x) {
  Type element = getElementTypeOrSelf(x.getType());
  if (element == acc)
    return x;
  auto like = [&](Type type) -> Type {
    auto vector = dyn_cast<VectorType>(x.getType());
    return vector ? Type(kb.vectorType(type, vector.getNumElements())) : type;
  };
  if (element.isF64())
    return arith::TruncFOp::create(kb.b, kb.loc, like(acc), x);
  x = kb.toF32(x);
  return acc.isF64() ? Value(arith::ExtFOp::create(kb.b, kb.loc, like(acc), x))
                     : x;
}

Value AttentionEmitter::loadWide(Value memory, Index at, Value mask) {
  return widen(mask ? kb.loadMasked(memory, at, mask)
                    : kb.loadVector(memory, at));
}

void AttentionEmitter::storeNarrow(Value x, Value memory, Index at,
                                   Value mask) {
  if (spec.element != acc)
    x = arith::TruncFOp::create(kb.b, kb.loc, kb.vectorType(spec.element), x);
  if (mask)
    kb.storeMasked(x, memory, at, mask);
  else
    kb.storeVector(x, memory, at);
}

Value AttentionEmitter::toI32(Index x) {
  return arith::IndexCastOp::create(kb.b, kb.loc, kb.b.getI32Type(), x);
}

Value AttentionEmitter::select(Value condition, Value x, Value y) {
  return arith::SelectOp::create(kb.b, kb.loc, condition, x, y);
}

Value AttentionEmitter::sle(Value x, Value y) {
  return arith::CmpIOp::create(kb.b, kb.loc, arith::CmpIPredicate::sle, x, y);
}

/// Truth values are bytes in memory.
static Value isTrue(KernelBuilder &kb, Value byte) {
  Value zero =
      arith::ConstantOp::create(kb.b, kb.loc, kb.b.getZeroAttr(byte.getType()));
  return arith::CmpIOp::create(kb.b, kb.loc, arith::CmpIPredicate::ne, byte,
                               zero);
}

Value AttentionEmitter::loadMask(Index at, Value exists) {
  if (!spec.maskElement.isInteger(1))
    return loadWide(args.mask.memory, at, exists);
  Value seen = isTrue(kb, kb.loadMasked(args.mask.memory, at, exists));
  return select(seen, constants(0), minusInfinity());
}

Value AttentionEmitter::loadMaskColumn(Index at) {
  Value x = kb.load(args.mask.memory, at);
  if (!spec.maskElement.isInteger(1))
    return widen(x);
  return select(isTrue(kb, x), constant(0),
                constant(-std::numeric_limits<double>::infinity()));
}

Value AttentionEmitter::capScore(Value x) {
  if (!spec.softcap)
    return x;
  Value cap = kb.splat(args.softcap);
  return kb.fmul(cap, math::TanhOp::create(kb.b, kb.loc, divide(x, cap)));
}

Value AttentionEmitter::divide(Value x, Value y) {
  return arith::DivFOp::create(kb.b, kb.loc, x, y);
}

Value AttentionEmitter::asReference(Value maximum) {
  Value none = arith::CmpFOp::create(kb.b, kb.loc, arith::CmpFPredicate::OEQ,
                                     maximum, minusInfinity());
  return select(none, constants(0), maximum);
}

Value AttentionEmitter::reciprocal(Value x) {
  Value none = arith::CmpFOp::create(kb.b, kb.loc, arith::CmpFPredicate::OEQ, x,
                                     constants(0));
  return select(none, constants(0), divide(constants(1), x));
}

//===----------------------------------------------------------------------===//
// Scratch
//===----------------------------------------------------------------------===//

Value AttentionEmitter::takeScratch(Index count, int64_t atMost) {
  if (atMost >= 0)
    return kb.scratch(std::max<int64_t>(atMost, 1), acc);
  auto type = MemRefType::get({ShapedType::kDynamic}, acc);
  onHeap.push_back(memref::AllocOp::create(
      kb.b, kb.loc, type, ValueRange{count}, kb.b.getI64IntegerAttr(64)));
  return onHeap.back();
}

void AttentionEmitter::freeScratch() {
  for (Value memory : onHeap)
    memref::DeallocOp::create(kb.b, kb.loc, memory);
  onHeap.clear();
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

std::string AttentionSpec::getName() const {
  std::string name;
  llvm::raw_string_ostream os(name);
  auto size = [&](int64_t value) {
    if (ShapedType::isDynamic(value))
      os << 'n';
    else
      os << value;
  };
  os << "nibble_attention_" << element << "_d";
  size(width);
  os << '_' << valueElement << "_d";
  size(valueWidth);
  os << "_group";
  size(group);
  if (maskElement)
    os << "_mask_" << maskElement << (maskColumn ? "_column" : "")
       << (maskRow ? "_row" : "");
  if (lengthElement)
    os << "_lengths_" << lengthElement;
  os << (left ? "_left" : "") << (reach ? "_reach" : "")
     << (softcap ? "_softcap" : "");
  return name;
}

void emitAttention(KernelBuilder &kernel, const AttentionSpec &spec,
                   const AttentionArguments &args) {
  kernel.ifThenElse(
      kernel.le(args.group * args.queries, kernel.index(maxFewRows)),
      [&] { emitFewRowsAttention(kernel, spec, args); },
      [&] { emitManyRowsAttention(kernel, spec, args); });
}

} // namespace nibble::codegen
