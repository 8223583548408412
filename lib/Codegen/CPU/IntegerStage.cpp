//===- IntegerStage.cpp - What follows an integer product -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/IntegerKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

std::string IntegerSpec::getName() const {
  std::string name = signedInput ? "_s8" : "_u8";
  name += unsignedWeight ? "u8" : "s8";
  auto add = [&](const char *text, Extent extent) {
    if (extent != Extent::None)
      name += (text + Twine(extent == Extent::One ? "1" : "n")).str();
  };
  add("_xz", inputZero);
  add("_wz", weightZeros);
  add("_xs", inputScale);
  add("_ws", weightScales);
  if (bias != Bias::None)
    name += bias == Bias::Integer ? "_ibias" : "_bias";
  if (residual)
    name += "_residual";
  if (activation != Activation::None)
    name += "_" + stringifyActivation(activation).str();
  if (result == Result::Integer)
    return name + "_i32";
  if (result == Result::Float)
    return name + "_f32";
  if (outputScale)
    name += "_ys";
  if (outputZero)
    name += "_yz";
  return name + (unsignedOutput ? "_to_u8" : "_to_s8");
}

bool IntegerStage::isLinear() const {
  return !spec.residual && spec.bias != IntegerSpec::Bias::Float &&
         (spec.activation == Activation::None ||
          spec.activation == Activation::Relu);
}

Value IntegerStage::toI32(Value codes, bool isUnsigned) {
  Type type = kb.i32Vector();
  if (isUnsigned)
    return arith::ExtUIOp::create(kb.b, kb.loc, type, codes);
  return arith::ExtSIOp::create(kb.b, kb.loc, type, codes);
}

static Value addI(KernelBuilder &kb, Value x, Value y) {
  return arith::AddIOp::create(kb.b, kb.loc, x, y);
}
static Value subI(KernelBuilder &kb, Value x, Value y) {
  return arith::SubIOp::create(kb.b, kb.loc, x, y);
}
static Value mulI(KernelBuilder &kb, Value x, Value y) {
  return arith::MulIOp::create(kb.b, kb.loc, x, y);
}

IntegerStage::IntegerStage(KernelBuilder &kernel, const IntegerSpec &spec,
                           const IntegerOperands &operands)
    : kb(kernel), spec(spec), operands(operands) {
  Index first = kb.index(0);
  auto splat = [&](Value memref) { return kb.loadSplat(memref, first); };
  // Zero points of X and W, which may be moved by 128.
  if (spec.inputZero == Extent::One) {
    inputZero = toI32(splat(operands.inputZero), !spec.signedInput);
    if (spec.signedInput)
      inputZero = addI(kb, inputZero, kb.splatI32(128));
  } else if (spec.inputZero == Extent::None && spec.signedInput) {
    inputZero = kb.splatI32(128);
  }
  if (spec.weightZeros == Extent::One) {
    weightZero = toI32(splat(operands.weightZeros), spec.unsignedWeight);
    if (spec.unsignedWeight)
      weightZero = subI(kb, weightZero, kb.splatI32(128));
  } else if (spec.weightZeros == Extent::None && spec.unsignedWeight) {
    weightZero = kb.splatI32(-128);
  }
  if (spec.inputScale == Extent::One)
    inputScale = splat(operands.inputScale);
  if (spec.weightScales == Extent::One)
    weightScale = splat(operands.weightScales);
  if (spec.outputScale) {
    Value one = kb.splat(kb.f32(1.0));
    outputInverse =
        arith::DivFOp::create(kb.b, kb.loc, one, splat(operands.outputScale));
  }
  if (spec.outputZero)
    outputZero = toI32(splat(operands.outputZero), spec.unsignedOutput);
}

IntegerStage::Channels IntegerStage::combine(Load load, Load loadWeight) {
  Channels c;
  if (spec.bias == IntegerSpec::Bias::Integer)
    c.start = load(operands.bias);
  if (spec.bias == IntegerSpec::Bias::Float)
    c.bias = load(operands.bias);
  if (spec.hasInputZero()) {
    c.sums = loadWeight(operands.weightSums);
    if (inputZero) {
      Value part = mulI(kb, inputZero, c.sums);
      c.start = subI(kb, c.start ? c.start : kb.splatI32(0), part);
    }
  }
  c.zeros = weightZero;
  if (spec.weightZeros == Extent::Many) {
    c.zeros = toI32(loadWeight(operands.weightZeros), spec.unsignedWeight);
    if (spec.unsignedWeight)
      c.zeros = subI(kb, c.zeros, kb.splatI32(128));
  }
  c.factor = inputScale;
  Value scale = spec.weightScales == Extent::Many ? load(operands.weightScales)
                                                  : weightScale;
  if (scale)
    c.factor = c.factor ? kb.fmul(c.factor, scale) : scale;
  if (outputInverse && isLinear())
    c.factor = c.factor ? kb.fmul(c.factor, outputInverse) : outputInverse;
  return c;
}

IntegerStage::Channels IntegerStage::loadChannels(Index column, Value mask,
                                                  Index base) {
  return combine(
      [&](Value memref) { return kb.loadMasked(memref, column, mask); },
      [&](Value memref) {
        // Zero points belong to all products of a batch, sums to one.
        bool shared = memref == operands.weightZeros;
        return kb.loadMasked(memref, shared ? column : base + column, mask);
      });
}

IntegerStage::Channels IntegerStage::loadChannel(Index channel, Value sums) {
  auto load = [&](Value memref) { return kb.loadSplat(memref, channel); };
  return combine(load, [&](Value memref) {
    return sums && memref == operands.weightSums ? sums : load(memref);
  });
}

IntegerStage::Row IntegerStage::loadRow(Index row) {
  Row result;
  if (spec.inputZero == Extent::Many) {
    result.zero =
        toI32(kb.loadSplat(operands.inputZero, row), !spec.signedInput);
    if (spec.signedInput)
      result.zero = addI(kb, result.zero, kb.splatI32(128));
  }
  if (spec.inputScale == Extent::Many)
    result.scale = kb.loadSplat(operands.inputScale, row);
  return result;
}

void IntegerStage::store(Value sums, const Channels &channels, const Row &row,
                         Index at, Value mask) {
  OpBuilder &b = kb.b;
  Location loc = kb.loc;
  Value v = sums;
  if (channels.start)
    v = addI(kb, v, channels.start);
  if (row.zero)
    v = subI(kb, v, mulI(kb, row.zero, channels.sums));
  if (channels.zeros && row.inputSum)
    v = subI(kb, v, mulI(kb, channels.zeros, row.inputSum));
  if (spec.result == IntegerSpec::Result::Integer)
    return kb.storeMasked(v, operands.out, at, mask);

  Value y = arith::SIToFPOp::create(b, loc, kb.f32Vector(), v);
  if (channels.factor)
    y = kb.fmul(y, channels.factor);
  if (row.scale)
    y = kb.fmul(y, row.scale);
  if (channels.bias)
    y = kb.fadd(y, channels.bias);
  if (spec.residual)
    y = kb.fadd(y, kb.loadMasked(operands.residual, at, mask));
  y = kb.emitActivation(spec.activation, y);
  if (spec.result == IntegerSpec::Result::Float)
    return kb.storeMasked(y, operands.out, at, mask);

  if (outputInverse && !isLinear())
    y = kb.fmul(y, outputInverse);
  // Saturation happens before the zero point is added: half a step more than
  // the range allows then rounds to its ends. A NaN gets the lowest code.
  int32_t lowest = spec.unsignedOutput ? 0 : -128;
  Value low = kb.splatI32(lowest), high = kb.splatI32(lowest + 255);
  if (outputZero) {
    low = subI(kb, low, outputZero);
    high = subI(kb, high, outputZero);
  }
  auto clamp = [&](Value bound, arith::CmpFPredicate inside) {
    bound = arith::SIToFPOp::create(b, loc, kb.f32Vector(), bound);
    Value keep = arith::CmpFOp::create(b, loc, inside, y, bound);
    y = arith::SelectOp::create(b, loc, keep, y, bound);
  };
  clamp(low, arith::CmpFPredicate::OGT);
  clamp(high, arith::CmpFPredicate::OLT);
  // Adding 1.5 * 2^23 leaves the number, rounded half to even, in the low bits.
  constexpr float magic = 12582912.0f;
  y = kb.fadd(y, kb.splat(kb.f32(magic)));
  Value code = arith::BitcastOp::create(b, loc, kb.i32Vector(), y);
  code = subI(kb, code, kb.splatI32(llvm::bit_cast<int32_t>(magic)));
  if (outputZero)
    code = addI(kb, code, outputZero);
  code = arith::TruncIOp::create(b, loc, kb.vectorType(b.getI8Type()), code);
  if (kb.target.avx512)
    return kb.storeMasked(code, operands.out, at, mask);
  // Without AVX-512 bytes under a mask are stored one by one.
  Value all =
      vector::ReductionOp::create(b, loc, vector::CombiningKind::AND, mask);
  kb.ifThenElse(
      all, [&] { kb.storeVector(code, operands.out, at); },
      [&] { kb.storeMasked(code, operands.out, at, mask); });
}

} // namespace nibble::codegen
