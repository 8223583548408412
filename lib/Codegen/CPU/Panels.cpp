//===- Panels.cpp - Reading packed weights --------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Panels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

static constexpr int64_t lanes = KernelBuilder::lanes;
static constexpr int64_t panelWidth = KernelBuilder::panelWidth;

Index WeightFormat::groupLength(Index k) const {
  return group > 0 ? k.getKernel().index(group) : k;
}

Index WeightFormat::numGroups(Index k) const {
  return group > 0 ? ceilDiv(k, group) : k.getKernel().index(1);
}

std::string WeightFormat::getName() const {
  if (isFloat())
    return "f32";
  std::string name;
  llvm::raw_string_ostream os(name);
  os << "int" << bits << "_";
  if (group > 0)
    os << "g" << group << "_";
  os << scaleType;
  if (hasZeros)
    os << (floatZeros ? "_fz" : "_z");
  return name;
}

Values PanelReader::loadScales(Index panel, Index group, Index k) {
  Values scales;
  if (format.isFloat())
    return scales;
  KernelBuilder &kb = kernel;
  Index at = (panel * format.numGroups(k) + group) * panelWidth;
  for (int64_t v = first; v < first + numVectors; ++v) {
    Value scale = kb.toF32(kb.loadVector(operands.scales, at + v * lanes));
    scales.push_back(scale);
  }
  return scales;
}

Values PanelReader::loadZeros(Index panel, Index group, Index k) {
  Values zeros;
  if (!format.hasZeros)
    return zeros;
  KernelBuilder &kb = kernel;
  Index at = (panel * format.numGroups(k) + group) * panelWidth;
  for (int64_t v = first; v < first + numVectors; ++v) {
    Value zero = kb.loadVector(operands.zeros, at + v * lanes);
    if (format.floatZeros) {
      zeros.push_back(kb.toF32(zero));
      continue;
    }
    zero = arith::ExtUIOp::create(kb.b, kb.loc, kb.i32Vector(), zero);
    zeros.push_back(
        arith::SIToFPOp::create(kb.b, kb.loc, kb.f32Vector(), zero));
  }
  return zeros;
}

Values PanelReader::loadCodes(Index at, bool &dirty) {
  KernelBuilder &kb = kernel;
  OpBuilder &b = kb.b;
  Location loc = kb.loc;
  dirty = true;
  Values codes;

  if (format.bits > 4) {
    dirty = false;
    for (int64_t v = first; v < first + numVectors; ++v) {
      Value bytes = kb.loadVector(operands.codes, at + v * lanes);
      codes.push_back(arith::ExtUIOp::create(b, loc, kb.i32Vector(), bytes));
    }
    return codes;
  }

  if (format.bits == 4) {
    Value bytes = kb.loadVector(operands.codes, at);
    Value wide = arith::ExtUIOp::create(b, loc, kb.i32Vector(), bytes);
    for (int64_t v = first; v < first + numVectors; ++v)
      codes.push_back(
          v == 0 ? wide : arith::ShRUIOp::create(b, loc, wide, kb.splatI32(4)));
    return codes;
  }

  // Two bits: the 8 bytes are used twice, for channels 0 to 7 and 8 to 15 of
  // each vector, and shifted by lane.
  assert((format.bits == 2 || format.bits == 3) && "no such panel");
  Value bytes = kb.loadVector(operands.codes, at, 8);
  SmallVector<int64_t> twice;
  for (int64_t i = 0; i < lanes; ++i)
    twice.push_back(i % 8);
  bytes = vector::ShuffleOp::create(b, loc, bytes, bytes, twice);
  Value wide = arith::ExtUIOp::create(b, loc, kb.i32Vector(), bytes);
  Value high;
  if (format.bits == 3) {
    Value word = kb.loadVector(operands.codes, at + 8, 4);
    word = vector::BitCastOp::create(b, loc, kb.vectorType(b.getI32Type(), 1),
                                     word);
    word = vector::ExtractOp::create(b, loc, word, 0);
    high = kb.splat(word);
  }
  for (int64_t v = first; v < first + numVectors; ++v) {
    SmallVector<int32_t> shifts, bits;
    for (int32_t i = 0; i < lanes; ++i) {
      shifts.push_back(4 * v + (i < 8 ? 0 : 2));
      bits.push_back(int32_t(uint32_t(1) << (lanes * v + i)));
    }
    Value low = arith::ShRUIOp::create(b, loc, wide, kb.constantI32(shifts));
    if (format.bits == 3) {
      dirty = false;
      low = arith::AndIOp::create(b, loc, low, kb.splatI32(3));
      Value bit = arith::AndIOp::create(b, loc, high, kb.constantI32(bits));
      Value set = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, bit,
                                        kb.splatI32(0));
      Value with = arith::OrIOp::create(b, loc, low, kb.splatI32(4));
      low = arith::SelectOp::create(b, loc, set, with, low);
    }
    codes.push_back(low);
  }
  return codes;
}

Value PanelReader::toFloat(Value codes, bool dirty) {
  KernelBuilder &kb = kernel;
  int64_t bias = format.hasZeros ? 0 : int64_t(1) << (format.bits - 1);
  if (kb.target.avx512 && format.bits <= 4) {
    // A permutation looks only at the low four bits of its indices: one
    // instruction masks, converts and subtracts the implied zero.
    SmallVector<float> table;
    for (int64_t i = 0; i < lanes; ++i)
      table.push_back(float((i & ((1 << format.bits) - 1)) - bias));
    return LLVM::CallIntrinsicOp::create(
               kb.b, kb.loc, kb.f32Vector(),
               kb.b.getStringAttr("llvm.x86.avx512.permvar.sf.512"),
               ValueRange{kb.constantF32(table), codes})
        .getResult(0);
  }
  if (dirty)
    codes = arith::AndIOp::create(kb.b, kb.loc, codes,
                                  kb.splatI32((1 << format.bits) - 1));
  if (bias)
    codes = arith::SubIOp::create(kb.b, kb.loc, codes, kb.splatI32(bias));
  return arith::SIToFPOp::create(kb.b, kb.loc, kb.f32Vector(), codes);
}

Values PanelReader::loadStep(Index at, ValueRange zeros) {
  KernelBuilder &kb = kernel;
  Values result;
  if (format.isFloat()) {
    for (int64_t v = first; v < first + numVectors; ++v)
      result.push_back(kb.loadVector(operands.codes, at + v * lanes));
    return result;
  }
  bool dirty;
  Values codes = loadCodes(at, dirty);
  for (auto [v, code] : llvm::enumerate(codes)) {
    Value value = toFloat(code, dirty);
    if (!zeros.empty())
      value = kb.fsub(value, zeros[v]);
    result.push_back(value);
  }
  return result;
}

Values PanelReader::loadScaled(Index at, ValueRange scales, ValueRange zeros) {
  Values weights = loadStep(at, zeros);
  if (!scales.empty())
    for (auto [weight, scale] : llvm::zip_equal(weights, scales))
      weight = kernel.fmul(weight, scale);
  return weights;
}

void emitUnpackPanel(KernelBuilder &kb, const WeightFormat &format,
                     const WeightOperands &operands, Index panel, Index begin,
                     Index end, Index k, Value scratch) {
  PanelReader reader(kb, format, operands, 0, panelWidth / lanes);
  Index length = format.groupLength(k);
  kb.forLoop(begin / length, ceilDiv(end, length), 1, [&](Index group) {
    Values scales = reader.loadScales(panel, group, k);
    Values zeros = reader.loadZeros(panel, group, k);
    Index lo = max(begin, group * length);
    Index hi = min(end, (group + 1) * length);
    kb.forUnrolled(lo, hi, 4, {}, [&](Index step, int64_t count, ValueRange) {
      for (int64_t i = 0; i < count; ++i) {
        Values weights = reader.loadScaled(reader.codesAt(panel, step + i, k),
                                           scales, zeros);
        for (auto [v, weight] : llvm::enumerate(weights))
          kb.storeVector(weight, scratch,
                         (step - begin + i) * panelWidth + v * lanes);
      }
      return Values();
    });
  });
}

} // namespace nibble::codegen
