//===- QuadDot.cpp - Exact sums of products of bytes ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/IntegerKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

static constexpr int64_t lanes = KernelBuilder::lanes;
static constexpr int64_t quadBytes = 4 * lanes;

QuadDot::QuadDot(KernelBuilder &kernel) : kb(kernel) {
  const CpuTarget &target = kb.target;
  width = target.avx512 ? 512 : target.fma ? 256 : 128;
  // 64 bytes, or as many words of 16 bits.
  parts = target.vnni ? quadBytes * 8 / width : quadBytes * 16 / width;
}

/// Words of 16 bits, cut into registers.
QuadDot::Side QuadDot::extend(Value bytes, bool isUnsigned) {
  Side side;
  int64_t words = width / 16;
  for (int64_t i = 0; i < parts; ++i) {
    Value piece = vector::ExtractStridedSliceOp::create(
        kb.b, kb.loc, bytes, {i * words}, {words}, {1});
    Type type = kb.vectorType(kb.b.getI16Type(), words);
    if (isUnsigned)
      piece = arith::ExtUIOp::create(kb.b, kb.loc, type, piece);
    else
      piece = arith::ExtSIOp::create(kb.b, kb.loc, type, piece);
    side.push_back(piece);
  }
  return side;
}

QuadDot::Side QuadDot::fromBytes(Value bytes, bool isUnsigned) {
  if (!kb.target.vnni)
    return extend(bytes, isUnsigned);
  if (parts == 1)
    return {bytes};
  Side side;
  int64_t size = quadBytes / parts;
  for (int64_t i = 0; i < parts; ++i)
    side.push_back(vector::ExtractStridedSliceOp::create(
        kb.b, kb.loc, bytes, {i * size}, {size}, {1}));
  return side;
}

QuadDot::Side QuadDot::load(Value memref, Index at, bool isUnsigned) {
  return fromBytes(kb.loadVector(memref, at, quadBytes), isUnsigned);
}

QuadDot::Side QuadDot::broadcast(Value memref, Index at, bool isUnsigned) {
  OpBuilder &b = kb.b;
  Value quad = kb.loadVector(memref, at, 4);
  Type word = b.getI32Type();
  if (!kb.target.vnni) {
    // Extended before it is broadcast: once, not for every lane.
    Type type = kb.vectorType(b.getI16Type(), 4);
    quad = isUnsigned
               ? arith::ExtUIOp::create(b, kb.loc, type, quad).getResult()
               : arith::ExtSIOp::create(b, kb.loc, type, quad);
    word = b.getI64Type();
  }
  quad = vector::BitCastOp::create(b, kb.loc, kb.vectorType(word, 1), quad);
  quad = vector::ExtractOp::create(b, kb.loc, quad, 0);
  quad = kb.splat(quad, width / word.getIntOrFloatBitWidth());
  Type element = kb.target.vnni ? b.getI8Type() : b.getI16Type();
  VectorType type =
      kb.vectorType(element, width / element.getIntOrFloatBitWidth());
  quad = vector::BitCastOp::create(b, kb.loc, type, quad);
  return Side(parts, quad);
}

QuadDot::Side QuadDot::ones(bool isUnsigned) {
  auto type = kb.vectorType(kb.b.getI8Type(), quadBytes);
  Value bytes = arith::ConstantOp::create(
      kb.b, kb.loc, DenseElementsAttr::get(type, int8_t(1)));
  return fromBytes(bytes, isUnsigned);
}

Values QuadDot::zeros() {
  VectorType type = kb.vectorType(kb.b.getI32Type(), width / 32);
  Value zero = arith::ConstantOp::create(kb.b, kb.loc, kb.b.getZeroAttr(type));
  return Values(parts, zero);
}

static Value callX86(KernelBuilder &kb, const Twine &name, Type type,
                     ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(kb.b, kb.loc, type,
                                       kb.b.getStringAttr("llvm.x86." + name),
                                       operands)
      .getResult(0);
}

/// `pmaddwd`: products of words, added in pairs.
Value QuadDot::multiplyAdd(Value x, Value w) {
  const char *name = width == 512   ? "avx512.pmaddw.d.512"
                     : width == 256 ? "avx2.pmadd.wd"
                                    : "sse2.pmadd.wd";
  return callX86(kb, name, kb.vectorType(kb.b.getI32Type(), width / 32),
                 {x, w});
}

Values QuadDot::add(ValueRange acc, const Side &x, const Side &w) {
  Values result;
  for (int64_t i = 0; i < parts; ++i) {
    if (kb.target.vnni)
      result.push_back(callX86(kb, "avx512.vpdpbusd." + Twine(width),
                               acc[i].getType(), {acc[i], x[i], w[i]}));
    else
      result.push_back(
          arith::AddIOp::create(kb.b, kb.loc, acc[i], multiplyAdd(x[i], w[i])));
  }
  return result;
}

/// Registers side by side.
static Value concatenate(KernelBuilder &kb, Values values) {
  while (values.size() > 1) {
    Values joined;
    for (size_t i = 0; i < values.size(); i += 2) {
      int64_t size = cast<VectorType>(values[i].getType()).getNumElements();
      auto all = llvm::to_vector(llvm::seq<int64_t>(0, 2 * size));
      joined.push_back(vector::ShuffleOp::create(kb.b, kb.loc, values[i],
                                                 values[i + 1], all));
    }
    values = joined;
  }
  return values[0];
}

Value QuadDot::multiplyWords(Value x, Value w) {
  // The upper word of a pair is zero, or the sign of the lower one: with a
  // zero beside it in `x` it adds nothing.
  Values products;
  int64_t size = width / 32;
  VectorType words = kb.vectorType(kb.b.getI16Type(), width / 16);
  for (int64_t i = 0; i < lanes; i += size) {
    auto part = [&](Value value) -> Value {
      if (size < lanes)
        value = vector::ExtractStridedSliceOp::create(kb.b, kb.loc, value, {i},
                                                      {size}, {1});
      return vector::BitCastOp::create(kb.b, kb.loc, words, value);
    };
    products.push_back(multiplyAdd(part(x), part(w)));
  }
  return concatenate(kb, products);
}

Value QuadDot::finish(ValueRange acc) {
  Value sums = concatenate(kb, Values(acc));
  if (kb.target.vnni)
    return sums;
  SmallVector<int64_t> even, odd;
  for (int64_t i = 0; i < lanes; ++i) {
    even.push_back(2 * i);
    odd.push_back(2 * i + 1);
  }
  auto pick = [&](ArrayRef<int64_t> lanesOf) {
    return vector::ShuffleOp::create(kb.b, kb.loc, sums, sums, lanesOf);
  };
  return arith::AddIOp::create(kb.b, kb.loc, pick(even), pick(odd));
}

} // namespace nibble::codegen
