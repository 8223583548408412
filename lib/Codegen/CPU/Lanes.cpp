//===- Lanes.cpp - Between the lanes of vectors ---------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

static constexpr int64_t lanes = KernelBuilder::lanes;

/// Bit `bit` of the lane number and the choice between a and b change places:
/// a gets what both have in lanes without the bit, b what they have in lanes
/// with it.
static std::pair<Value, Value> exchange(KernelBuilder &kb, Value a, Value b,
                                        int64_t bit) {
  SmallVector<int64_t> without, with;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    bool second = lane & bit;
    without.push_back(second ? lanes + lane - bit : lane);
    with.push_back(second ? lanes + lane : lane + bit);
  }
  return {vector::ShuffleOp::create(kb.b, kb.loc, a, b, without),
          vector::ShuffleOp::create(kb.b, kb.loc, a, b, with)};
}

Values transposeLanes(KernelBuilder &kb, Values rows) {
  for (int64_t bit = 1; bit < lanes; bit *= 2)
    for (int64_t i = 0; i < lanes; ++i)
      if (!(i & bit))
        std::tie(rows[i], rows[i | bit]) =
            exchange(kb, rows[i], rows[i | bit], bit);
  return rows;
}

Value roundPairs(KernelBuilder &kb, Value even, Value odd) {
  auto type = kb.vectorType(kb.b.getBF16Type());
  even = arith::TruncFOp::create(kb.b, kb.loc, type, even);
  odd = arith::TruncFOp::create(kb.b, kb.loc, type, odd);
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < lanes; ++i)
    llvm::append_range(order, ArrayRef<int64_t>{i, lanes + i});
  return vector::ShuffleOp::create(kb.b, kb.loc, even, odd, order);
}

Value sumLanes(KernelBuilder &kb, Values vectors) {
  for (int64_t bit = 1; bit < lanes; bit *= 2) {
    Values sums;
    for (size_t i = 0; i < vectors.size(); i += 2) {
      auto [a, b] = exchange(kb, vectors[i], vectors[i + 1], bit);
      sums.push_back(kb.fadd(a, b));
    }
    vectors = std::move(sums);
  }
  return vectors.front();
}

Value larger(KernelBuilder &kb, Value x, Value y) {
  Value above =
      arith::CmpFOp::create(kb.b, kb.loc, arith::CmpFPredicate::OGT, x, y);
  return arith::SelectOp::create(kb.b, kb.loc, above, x, y);
}

Value emitExpNonPositive(KernelBuilder &kb, Value x) {
  if (!getElementTypeOrSelf(x.getType()).isF32())
    return math::ExpOp::create(kb.b, kb.loc, x);
  OpBuilder &b = kb.b;
  Location loc = kb.loc;
  auto constant = [&](float value) {
    return kb.constantF32(SmallVector<float>(lanes, value));
  };
  // x log2(e) = n + f with n an integer and |f| <= 1/2. Adding 1.5 * 2^23
  // rounds to an integer, which the low bits then hold. At -127 the factor 2^n
  // below becomes 0.
  constexpr float round = 12582912.0f, log2e = 1.44269504f,
                  log2eRest = 1.92596303e-8f;
  Value low = constant(-88.02969f);
  Value below =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, low);
  x = arith::SelectOp::create(b, loc, below, low, x);
  Value rounded = kb.fma(x, constant(log2e), constant(round));
  Value n = kb.fsub(rounded, constant(round));
  Value f = kb.fma(x, constant(log2e), arith::NegFOp::create(b, loc, n));
  f = kb.fma(x, constant(log2eRest), f);
  // 2^f: least relative error among polynomials of degree 5 with p(0) = 1.
  const float coefficients[] = {1.3264726e-3f, 9.6715130e-3f, 5.5507336e-2f,
                                0.24022242f,   0.69314700f,   1.0f};
  Value p = constant(coefficients[0]);
  for (float c : ArrayRef(coefficients).drop_front())
    p = kb.fma(p, f, constant(c));
  // 2^n: n and the bias in the place of the exponent.
  Value bits = arith::BitcastOp::create(b, loc, kb.i32Vector(), rounded);
  bits = arith::ShLIOp::create(b, loc, bits, kb.splatI32(23));
  bits = arith::AddIOp::create(b, loc, bits, kb.splatI32(127 << 23));
  return kb.fmul(p, arith::BitcastOp::create(b, loc, kb.f32Vector(), bits));
}

} // namespace nibble::codegen
