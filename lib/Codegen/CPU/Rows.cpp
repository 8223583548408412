//===- Rows.cpp - Reading codes in rows -----------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Rows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

static constexpr int64_t lanes = KernelBuilder::lanes;

namespace {

class RowEmitter {
public:
  RowEmitter(KernelBuilder &kernel, const WeightFormat &format,
             const WeightOperands &operands, Index row, int64_t width)
      : kb(kernel), format(format), operands(operands), row(row), width(width),
        rowBytes(llvm::divideCeil(width * format.bits, 8)) {}

  void emit(Value out, Index at);

private:
  Value constant(Value like, int64_t value);
  /// Code bits, the lowest `bits` of an i32 or of a vector of them, to a float.
  Value toFloat(Value bits, Value scale, Value zero);
  Value loadSixteen(Index position);
  Value loadOne(Index position);

  KernelBuilder &kb;
  const WeightFormat &format;
  WeightOperands operands;
  Index row;
  int64_t width, rowBytes;
};

Value RowEmitter::constant(Value like, int64_t value) {
  Type type = like.getType();
  if (auto vector = dyn_cast<VectorType>(type))
    return kb.splatI32(value);
  return arith::ConstantIntOp::create(kb.b, kb.loc, type, value);
}

Value RowEmitter::toFloat(Value bits, Value scale, Value zero) {
  OpBuilder &b = kb.b;
  Location loc = kb.loc;
  if (format.hasZeros) {
    bits = arith::AndIOp::create(b, loc, bits,
                                 constant(bits, (1 << format.bits) - 1));
  } else {
    Value shift = constant(bits, 32 - format.bits);
    bits = arith::ShLIOp::create(b, loc, bits, shift);
    bits = arith::ShRSIOp::create(b, loc, bits, shift);
  }
  Type type = b.getF32Type();
  if (auto vector = dyn_cast<VectorType>(bits.getType())) {
    type = kb.f32Vector();
    scale = kb.splat(scale);
    zero = zero ? kb.splat(zero) : zero;
  }
  Value x = arith::SIToFPOp::create(b, loc, type, bits);
  if (zero)
    x = kb.fsub(x, zero);
  return kb.fmul(x, scale);
}

/// Sixteen codes start at a byte; each lies in at most two bytes.
Value RowEmitter::loadSixteen(Index position) {
  int64_t numBytes = 2 * format.bits;
  Index at = row * rowBytes + position / 8 * format.bits;
  Value bytes = kb.loadVector(operands.codes, at, numBytes);
  SmallVector<int64_t> low, high;
  SmallVector<int32_t> shifts;
  for (int64_t i = 0; i < lanes; ++i) {
    int64_t byte = i * format.bits / 8;
    low.push_back(byte);
    high.push_back(std::min(byte + 1, numBytes - 1));
    shifts.push_back(i * format.bits % 8);
  }
  auto pick = [&](ArrayRef<int64_t> lanesOf) -> Value {
    Value picked =
        vector::ShuffleOp::create(kb.b, kb.loc, bytes, bytes, lanesOf);
    return arith::ExtUIOp::create(kb.b, kb.loc, kb.i32Vector(), picked);
  };
  Value word = pick(low);
  if (8 % format.bits != 0) {
    Value upper =
        arith::ShLIOp::create(kb.b, kb.loc, pick(high), kb.splatI32(8));
    word = arith::OrIOp::create(kb.b, kb.loc, word, upper);
  }
  return arith::ShRUIOp::create(kb.b, kb.loc, word, kb.constantI32(shifts));
}

Value RowEmitter::loadOne(Index position) {
  OpBuilder &b = kb.b;
  Type i32 = b.getI32Type();
  Index bit = position * format.bits;
  Index byte = bit / 8;
  auto load = [&](Index at) -> Value {
    Value value = kb.load(operands.codes, row * rowBytes + at);
    return arith::ExtUIOp::create(b, kb.loc, i32, value);
  };
  Value upper = load(min(byte + 1, rowBytes - 1));
  Value eight = arith::ConstantIntOp::create(b, kb.loc, i32, 8);
  upper = arith::ShLIOp::create(b, kb.loc, upper, eight);
  Value word = arith::OrIOp::create(b, kb.loc, load(byte), upper);
  Value shift = arith::IndexCastOp::create(b, kb.loc, i32, bit % kb.index(8));
  return arith::ShRUIOp::create(b, kb.loc, word, shift);
}

void RowEmitter::emit(Value out, Index at) {
  OpBuilder &b = kb.b;
  Index k = kb.index(width);
  if (format.isFloat()) {
    Index middle = k / lanes * kb.index(lanes);
    kb.forLoop(kb.index(0), middle, lanes, [&](Index i) {
      kb.storeVector(kb.loadVector(operands.codes, row * width + i), out,
                     at + i);
    });
    kb.forLoop(middle, k, 1, [&](Index i) {
      kb.store(kb.load(operands.codes, row * width + i), out, at + i);
    });
    return;
  }

  Index length = format.groupLength(k);
  Index groups = format.numGroups(k);
  kb.forLoop(kb.index(0), groups, 1, [&](Index group) {
    Value scale = kb.toF32(kb.load(operands.scales, row * groups + group));
    Value zero;
    if (format.hasZeros) {
      zero = kb.load(operands.zeros, row * groups + group);
      if (format.floatZeros) {
        zero = kb.toF32(zero);
      } else {
        zero = arith::ExtUIOp::create(b, kb.loc, b.getI32Type(), zero);
        zero = arith::SIToFPOp::create(b, kb.loc, b.getF32Type(), zero);
      }
    }
    Index begin = group * length;
    Index end = min(begin + length, k);
    Index middle = begin;
    if (format.group % lanes == 0) {
      middle = begin + (end - begin) / lanes * lanes;
      kb.forLoop(begin, middle, lanes, [&](Index i) {
        kb.storeVector(toFloat(loadSixteen(i), scale, zero), out, at + i);
      });
    }
    kb.forLoop(middle, end, 1, [&](Index i) {
      kb.store(toFloat(loadOne(i), scale, zero), out, at + i);
    });
  });
}

} // namespace

void emitUnpackRow(KernelBuilder &kernel, const WeightFormat &format,
                   const WeightOperands &operands, Index row, int64_t width,
                   Value out, Index at) {
  RowEmitter(kernel, format, operands, row, width).emit(out, at);
}

} // namespace nibble::codegen
