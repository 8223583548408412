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
             const WeightOperands &operands, Index row, Index width,
             bool panels)
      : kb(kernel), format(format), operands(operands), row(row), width(width),
        rowBytes(ceilDiv(width * format.bits, 8)), panels(panels) {
    if (panels) {
      panel = row / KernelBuilder::panelWidth;
      channel = row % kernel.index(KernelBuilder::panelWidth);
    }
  }

  void emit(Value out, Index at);
  Value loadElement(Index position);

private:
  Value constant(Value like, int64_t value);
  /// Code bits, the lowest `bits` of an i32 or of a vector of them, to a float.
  Value toFloat(Value bits, Value scale, Value zero);
  Value loadSixteen(Index position);
  Value loadOne(Index position);
  Value loadOneOfPanel(Index position);
  Value loadFloat(Index position);
  std::pair<Value, Value> loadGroup(Index group, Index groups);
  /// Where the scale and the zero point of a group are.
  Index groupAt(Index group, Index groups);
  /// A scale or float zero point from its code.
  Value loadEncoded(Value values, int64_t firstRow, Index group, Index groups);

  KernelBuilder &kb;
  const WeightFormat &format;
  WeightOperands operands;
  Index row;
  Index width, rowBytes;
  bool panels;
  /// The panel of the row, and its place in there.
  Index panel, channel;
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
  bool isVector = isa<VectorType>(bits.getType());
  if (isVector) {
    scale = kb.splat(scale);
    zero = zero ? kb.splat(zero) : zero;
  }
  if (format.codebook != CodebookKind::Int)
    return kb.fmul(emitTableValues(kb, format, bits), scale);
  if (format.hasZeros || panels) {
    bits = arith::AndIOp::create(b, loc, bits,
                                 constant(bits, (1 << format.bits) - 1));
    if (!format.hasZeros)
      bits = arith::SubIOp::create(b, loc, bits,
                                   constant(bits, 1 << (format.bits - 1)));
  } else {
    Value shift = constant(bits, 32 - format.bits);
    bits = arith::ShLIOp::create(b, loc, bits, shift);
    bits = arith::ShRSIOp::create(b, loc, bits, shift);
  }
  Type type = isVector ? Type(kb.f32Vector()) : b.getF32Type();
  Value x = arith::SIToFPOp::create(b, loc, type, bits);
  if (format.minimum)
    return kb.fma(x, scale, zero);
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

Value RowEmitter::loadOneOfPanel(Index position) {
  OpBuilder &b = kb.b;
  Type i32 = b.getI32Type();
  Index step = (panel * width + position) * format.stepSize();
  auto load = [&](Index at) -> Value {
    return arith::ExtUIOp::create(b, kb.loc, i32,
                                  kb.load(operands.codes, step + at));
  };
  auto shift = [&](Value bits, Index by) -> Value {
    Value amount = arith::IndexCastOp::create(b, kb.loc, i32, by);
    return arith::ShRUIOp::create(b, kb.loc, bits, amount);
  };
  if (format.bits > 6)
    return load(channel);
  auto mask = [&](Value bits, int64_t value) -> Value {
    return arith::AndIOp::create(b, kb.loc, bits, constant(bits, value));
  };
  // `bits` bits of the channel, in bytes that hold those of channels which are
  // `distance` apart.
  auto loadPart = [&](Index from, int64_t distance, int64_t bits) -> Value {
    return shift(load(channel % kb.index(distance) + from),
                 channel / distance * bits);
  };
  auto loadBit = [&](Index from) -> Value {
    return mask(shift(load(channel / 8 + from), channel % kb.index(8)), 1);
  };
  auto combine = [&](Value low, Value high, int64_t by) -> Value {
    high = arith::ShLIOp::create(b, kb.loc, high, constant(high, by));
    return arith::OrIOp::create(b, kb.loc, low, high);
  };
  Index begin = kb.index(0);
  Value code = format.bits < 4 ? loadPart(begin, 8, 2) : loadPart(begin, 16, 4);
  if (format.bits == 3)
    return combine(mask(code, 3), loadBit(kb.index(8)), 2);
  if (format.bits == 5)
    return combine(mask(code, 15), loadBit(kb.index(16)), 4);
  if (format.bits == 6)
    return combine(mask(code, 15), mask(loadPart(kb.index(16), 8, 2), 3), 4);
  return code;
}

Value RowEmitter::loadFloat(Index position) {
  Index at = panels ? (panel * width + position) * format.stepSize() + channel
                    : row * width + position;
  return kb.load(operands.codes, at);
}

Index RowEmitter::groupAt(Index group, Index groups) {
  if (panels)
    return (panel * groups + group) * KernelBuilder::panelWidth + channel;
  return row * groups + group;
}

Value RowEmitter::loadEncoded(Value values, int64_t firstRow, Index group,
                              Index groups) {
  int64_t length = format.second.group;
  Index rowSize = kb.dim(operands.second, 0) / format.numSecondRows();
  Index place = (row * groups + group) / length;
  if (format.second.inPanels)
    place = (panel * (groups / length) + group / length) *
                KernelBuilder::panelWidth +
            channel;
  return emitSecondLevel(
      kb, format, kb.load(values, groupAt(group, groups)), firstRow,
      [&](int64_t r) { return kb.load(operands.second, rowSize * r + place); });
}

/// The scale of a group and its zero point, if there is one, as floats.
std::pair<Value, Value> RowEmitter::loadGroup(Index group, Index groups) {
  OpBuilder &b = kb.b;
  bool encoded = static_cast<bool>(format.second.type);
  bool isFloat = format.floatZeros || format.minimum;
  Value scale =
      encoded ? loadEncoded(operands.scales, 0, group, groups)
              : kb.toF32(kb.load(operands.scales, groupAt(group, groups)));
  Value zero;
  if (isFloat && encoded) {
    zero =
        loadEncoded(operands.zeros, format.secondRowOfZeros(), group, groups);
  } else if (format.hasZeros) {
    zero = kb.load(operands.zeros, groupAt(group, groups));
    if (isFloat) {
      zero = kb.toF32(zero);
    } else {
      zero = arith::ExtUIOp::create(b, kb.loc, b.getI32Type(), zero);
      zero = arith::SIToFPOp::create(b, kb.loc, b.getF32Type(), zero);
    }
  }
  return {scale, zero};
}

Value RowEmitter::loadElement(Index position) {
  if (format.isFloat())
    return loadFloat(position);
  Index k = width;
  auto [scale, zero] =
      loadGroup(position / format.groupLength(k), format.numGroups(k));
  return toFloat(panels ? loadOneOfPanel(position) : loadOne(position), scale,
                 zero);
}

void RowEmitter::emit(Value out, Index at) {
  OpBuilder &b = kb.b;
  Index k = width;
  if (format.isFloat()) {
    if (panels) {
      kb.forLoop(kb.index(0), k, 1,
                 [&](Index i) { kb.store(loadFloat(i), out, at + i); });
      return;
    }
    Index middle = k / lanes * kb.index(lanes);
    kb.forLoop(kb.index(0), middle, lanes, [&](Index i) {
      kb.storeVector(kb.loadVector(operands.codes, row * width + i), out,
                     at + i);
    });
    kb.forLoop(middle, k, 1,
               [&](Index i) { kb.store(loadFloat(i), out, at + i); });
    return;
  }

  Index length = format.groupLength(k);
  Index groups = format.numGroups(k);
  kb.forLoop(kb.index(0), groups, 1, [&](Index group) {
    auto [scale, zero] = loadGroup(group, groups);
    Index begin = group * length;
    Index end = min(begin + length, k);
    Index middle = begin;
    if (!panels && format.group % lanes == 0) {
      middle = begin + (end - begin) / lanes * lanes;
      kb.forLoop(begin, middle, lanes, [&](Index i) {
        kb.storeVector(toFloat(loadSixteen(i), scale, zero), out, at + i);
      });
    }
    kb.forLoop(middle, end, 1, [&](Index i) {
      Value bits = panels ? loadOneOfPanel(i) : loadOne(i);
      kb.store(toFloat(bits, scale, zero), out, at + i);
    });
  });
}

} // namespace

void emitUnpackRow(KernelBuilder &kernel, const WeightFormat &format,
                   const WeightOperands &operands, Index row, int64_t width,
                   Value out, Index at, bool panels) {
  RowEmitter(kernel, format, operands, row, kernel.index(width), panels)
      .emit(out, at);
}

Value emitUnpackElement(KernelBuilder &kernel, const WeightFormat &format,
                        const WeightOperands &operands, Index row,
                        Index position, Index width, bool panels) {
  return RowEmitter(kernel, format, operands, row, width, panels)
      .loadElement(position);
}

} // namespace nibble::codegen
