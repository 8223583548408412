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
#include "nibble/Quantizer/Codebook.h"
#include <numeric>

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
  os << stringifyCodebookKind(codebook);
  if (codebook == CodebookKind::Int)
    os << bits;
  os << "_";
  if (group > 0)
    os << "g" << group << "_";
  os << scaleType;
  if (hasZeros)
    os << (minimum ? "_m" : floatZeros ? "_fz" : "_z");
  if (second.type)
    os << "_" << (second.dynamic ? "d" : "i") << second.group << second.type
       << (second.offset ? "_o" : "") << (second.inPanels ? "_p" : "");
  return name;
}

ArrayRef<float> WeightFormat::getTable() const {
  return quantizer::getCodebookValues(codebook == CodebookKind::NF4
                                          ? quantizer::Codebook::NF4
                                          : quantizer::Codebook::FP4);
}

/// One of 16 floats by a tree of choices, bit by bit.
static Value chooseByBits(KernelBuilder &kb, ArrayRef<float> table,
                          Value codes) {
  Values values;
  for (float value : table)
    values.push_back(kb.splat(kb.f32(value)));
  for (int32_t bit = 1; values.size() > 1; bit *= 2) {
    Value masked = arith::AndIOp::create(kb.b, kb.loc, codes, kb.splatI32(bit));
    Value isSet = arith::CmpIOp::create(kb.b, kb.loc, arith::CmpIPredicate::ne,
                                        masked, kb.splatI32(0));
    for (size_t i = 0; i < values.size() / 2; ++i)
      values[i] = arith::SelectOp::create(kb.b, kb.loc, isSet,
                                          values[2 * i + 1], values[2 * i]);
    values.resize(values.size() / 2);
  }
  return values.front();
}

/// Permutations of AVX2 choose among eight floats by the low three bits.
static Value permuteHalves(KernelBuilder &kb, ArrayRef<float> table,
                           Value codes) {
  OpBuilder &b = kb.b;
  VectorType f32x8 = kb.vectorType(b.getF32Type(), 8);
  auto constant = [&](ArrayRef<float> values) -> Value {
    return arith::ConstantOp::create(b, kb.loc, f32x8,
                                     DenseElementsAttr::get(f32x8, values));
  };
  Value low = constant(table.take_front(8)),
        high = constant(table.drop_front(8));
  auto permute = [&](Value values, Value by) -> Value {
    return LLVM::CallIntrinsicOp::create(
               b, kb.loc, f32x8, b.getStringAttr("llvm.x86.avx2.permps"),
               ValueRange{values, by})
        .getResult(0);
  };
  Values halves;
  for (int64_t half = 0; half < 2; ++half) {
    Value part = vector::ExtractStridedSliceOp::create(
        b, kb.loc, codes, ArrayRef<int64_t>{8 * half}, ArrayRef<int64_t>{8},
        ArrayRef<int64_t>{1});
    // The fourth bit as the sign, which is what a choice looks at.
    Value sign = arith::ShLIOp::create(
        b, kb.loc, part,
        kb.splat(arith::ConstantIntOp::create(b, kb.loc, b.getI32Type(), 28),
                 8));
    Value zero =
        arith::ConstantOp::create(b, kb.loc, b.getZeroAttr(part.getType()));
    Value isHigh =
        arith::CmpIOp::create(b, kb.loc, arith::CmpIPredicate::slt, sign, zero);
    halves.push_back(arith::SelectOp::create(
        b, kb.loc, isHigh, permute(high, part), permute(low, part)));
  }
  auto all = llvm::to_vector(llvm::seq<int64_t>(0, lanes));
  return vector::ShuffleOp::create(b, kb.loc, halves[0], halves[1], all);
}

/// One instruction of AVX-512, which looks at the low four bits only.
static Value permute(KernelBuilder &kb, ArrayRef<float> table, Value codes) {
  return LLVM::CallIntrinsicOp::create(
             kb.b, kb.loc, kb.f32Vector(),
             kb.b.getStringAttr("llvm.x86.avx512.permvar.sf.512"),
             ValueRange{kb.constantF32(table), codes})
      .getResult(0);
}

Value emitTableValues(KernelBuilder &kb, const WeightFormat &format,
                      Value codes) {
  ArrayRef<float> table = format.getTable();
  if (!isa<VectorType>(codes.getType())) {
    Value mask =
        arith::ConstantIntOp::create(kb.b, kb.loc, codes.getType(), 15);
    return kb.lookUp(("nibble_" + stringifyCodebookKind(format.codebook)).str(),
                     table, arith::AndIOp::create(kb.b, kb.loc, codes, mask));
  }
  if (kb.target.avx512)
    return permute(kb, table, codes);
  return kb.target.fma ? permuteHalves(kb, table, codes)
                       : chooseByBits(kb, table, codes);
}

Value emitSecondLevel(KernelBuilder &kb, const WeightFormat &format,
                      Value codes, int64_t row,
                      function_ref<Value(int64_t)> loadRow) {
  OpBuilder &b = kb.b;
  bool isVector = isa<VectorType>(codes.getType());
  Type wide = isVector ? Type(kb.i32Vector()) : b.getI32Type();
  Type floats = isVector ? Type(kb.f32Vector()) : b.getF32Type();
  Value value;
  if (format.second.dynamic) {
    Value index = arith::ExtUIOp::create(b, kb.loc, wide, codes);
    value = kb.lookUp("nibble_dynamic_map", quantizer::getDynamicMap(), index);
  } else {
    value = arith::SIToFPOp::create(
        b, kb.loc, floats, arith::ExtSIOp::create(b, kb.loc, wide, codes));
  }
  value = kb.fmul(value, kb.toF32(loadRow(row)));
  if (format.second.offset)
    value = kb.fadd(value, kb.toF32(loadRow(row + 1)));
  return value;
}

Values PanelReader::loadEncoded(Value values, int64_t row, Index panel,
                                Index group, Index k) {
  KernelBuilder &kb = kernel;
  OpBuilder &b = kb.b;
  Index groups = format.numGroups(k);
  Index at = (panel * groups + group) * panelWidth;
  int64_t length = format.second.group;
  Index rowSize = kb.dim(operands.second, 0) / format.numSecondRows();
  Values result;
  for (int64_t v = first; v < first + numVectors; ++v) {
    auto loadRow = [&](int64_t r) -> Value {
      Index begin = rowSize * r;
      if (format.second.inPanels) {
        Index index = panel * (groups / length) + group / length;
        return kb.loadVector(operands.second,
                             begin + index * panelWidth + v * lanes);
      }
      // Number of the scale, row by row; rows that fill up the last panel use
      // what the last one does.
      Index number = (panel * panelWidth + v * lanes) * groups + group;
      auto toI32 = [&](Index index) -> Value {
        return kb.splat(arith::IndexCastOp::create(b, kb.loc, b.getI32Type(),
                                                   Value(index)));
      };
      SmallVector<int32_t> lane(lanes);
      std::iota(lane.begin(), lane.end(), 0);
      Value step =
          arith::MulIOp::create(b, kb.loc, kb.constantI32(lane), toI32(groups));
      Value numbers = arith::AddIOp::create(b, kb.loc, toI32(number), step);
      Value offsets =
          arith::DivUIOp::create(b, kb.loc, numbers, kb.splatI32(length));
      offsets = arith::MinUIOp::create(b, kb.loc, offsets, toI32(rowSize - 1));
      return kb.gather(operands.second, begin, offsets);
    };
    result.push_back(emitSecondLevel(
        kb, format, kb.loadVector(values, at + v * lanes), row, loadRow));
  }
  return result;
}

Values PanelReader::loadScales(Index panel, Index group, Index k) {
  Values scales;
  if (format.isFloat())
    return scales;
  if (format.second.type)
    return loadEncoded(operands.scales, 0, panel, group, k);
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
  bool isFloat = format.floatZeros || format.minimum;
  if (isFloat && format.second.type)
    return loadEncoded(operands.zeros, format.secondRowOfZeros(), panel, group,
                       k);
  KernelBuilder &kb = kernel;
  Index at = (panel * format.numGroups(k) + group) * panelWidth;
  for (int64_t v = first; v < first + numVectors; ++v) {
    Value zero = kb.loadVector(operands.zeros, at + v * lanes);
    if (isFloat) {
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

  if (format.bits > 6) {
    dirty = false;
    for (int64_t v = first; v < first + numVectors; ++v) {
      Value bytes = kb.loadVector(operands.codes, at + v * lanes);
      codes.push_back(arith::ExtUIOp::create(b, loc, kb.i32Vector(), bytes));
    }
    return codes;
  }

  // Two bits: the 8 bytes are used twice, for channels 0 to 7 and 8 to 15 of
  // each vector, and shifted by lane.
  auto loadPairs = [&](Index from) {
    Value bytes = kb.loadVector(operands.codes, from, 8);
    SmallVector<int64_t> twice;
    for (int64_t i = 0; i < lanes; ++i)
      twice.push_back(i % 8);
    bytes = vector::ShuffleOp::create(b, loc, bytes, bytes, twice);
    Value wide = arith::ExtUIOp::create(b, loc, kb.i32Vector(), bytes);
    Values pairs;
    for (int64_t v = first; v < first + numVectors; ++v) {
      SmallVector<int32_t> shifts;
      for (int32_t i = 0; i < lanes; ++i)
        shifts.push_back(4 * v + (i < 8 ? 0 : 2));
      pairs.push_back(
          arith::ShRUIOp::create(b, loc, wide, kb.constantI32(shifts)));
    }
    return pairs;
  };
  auto loadNibbles = [&] {
    Value bytes = kb.loadVector(operands.codes, at);
    Value wide = arith::ExtUIOp::create(b, loc, kb.i32Vector(), bytes);
    Values nibbles;
    for (int64_t v = first; v < first + numVectors; ++v)
      nibbles.push_back(
          v == 0 ? wide : arith::ShRUIOp::create(b, loc, wide, kb.splatI32(4)));
    return nibbles;
  };
  auto mask = [&](Values &values, int32_t bits) {
    for (Value &value : values)
      value = arith::AndIOp::create(b, loc, value, kb.splatI32(bits));
  };
  // Sets `bit` where the word at `from` has that of the channel.
  auto addWord = [&](Values &values, Index from, int32_t bit) {
    Value word = kb.loadVector(operands.codes, from, 4);
    word = vector::BitCastOp::create(b, loc, kb.vectorType(b.getI32Type(), 1),
                                     word);
    word = kb.splat(vector::ExtractOp::create(b, loc, word, 0));
    for (auto [v, value] : llvm::enumerate(values)) {
      SmallVector<int32_t> bits;
      for (int32_t i = 0; i < lanes; ++i)
        bits.push_back(int32_t(uint32_t(1) << (lanes * (first + v) + i)));
      Value own = arith::AndIOp::create(b, loc, word, kb.constantI32(bits));
      Value set = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, own,
                                        kb.splatI32(0));
      Value with = arith::OrIOp::create(b, loc, value, kb.splatI32(bit));
      value = arith::SelectOp::create(b, loc, set, with, value);
    }
  };

  codes = format.bits < 4 ? loadPairs(at) : loadNibbles();
  if (format.bits == 2 || format.bits == 4)
    return codes;
  dirty = false;
  mask(codes, format.bits == 3 ? 3 : 15);
  if (format.bits == 3)
    addWord(codes, at + 8, 4);
  if (format.bits == 5)
    addWord(codes, at + 16, 16);
  if (format.bits == 6) {
    Values high = loadPairs(at + 16);
    mask(high, 3);
    for (auto [code, pair] : llvm::zip_equal(codes, high)) {
      Value shifted = arith::ShLIOp::create(b, loc, pair, kb.splatI32(4));
      code = arith::OrIOp::create(b, loc, code, shifted);
    }
  }
  return codes;
}

Value PanelReader::toFloat(Value codes, bool dirty) {
  KernelBuilder &kb = kernel;
  if (format.codebook != CodebookKind::Int)
    return emitTableValues(kb, format, codes);
  int64_t bias = format.hasZeros ? 0 : int64_t(1) << (format.bits - 1);
  if (kb.target.avx512 && format.bits <= 4) {
    // A permutation looks only at the low four bits of its indices: one
    // instruction masks, converts and subtracts the implied zero.
    SmallVector<float> table;
    for (int64_t i = 0; i < lanes; ++i)
      table.push_back(float((i & ((1 << format.bits) - 1)) - bias));
    return permute(kb, table, codes);
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
  Values weights = loadStep(at, format.minimum ? ValueRange() : zeros);
  for (size_t v = 0; v < scales.size(); ++v)
    weights[v] = format.minimum ? kernel.fma(weights[v], scales[v], zeros[v])
                                : kernel.fmul(weights[v], scales[v]);
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
