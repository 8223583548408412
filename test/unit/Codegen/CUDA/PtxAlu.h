//===- PtxAlu.h - Arithmetic of PTX on one lane -------------------*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_CODEGENCUDA_PTXALU_H
#define NIBBLE_TEST_CODEGENCUDA_PTXALU_H

#include "PtxMachine.h"
#include <optional>

namespace nibble::test {

enum class PtxOp : uint8_t {
  // Without a warp.
  Mov,
  Add,
  Sub,
  Mul,
  Mad,
  Fma,
  Div,
  Rem,
  Min,
  Max,
  Neg,
  Abs,
  And,
  Or,
  Xor,
  Not,
  Shl,
  Shr,
  Shf,
  Lop3,
  Prmt,
  Bfe,
  Setp,
  Selp,
  Cvt,
  Ex2,
  Lg2,
  Rcp,
  Rsqrt,
  Sqrt,
  Cvta,
  // The rest.
  Ld,
  St,
  Bra,
  Ret,
  Bar,
  Shfl,
  Mma,
  Ldmatrix,
  Cp,
  Fence,
  Unknown
};

/// A type like `f16x2`.
struct PtxType {
  enum Kind : uint8_t { Bits, Unsigned, Signed, Float, BFloat, Pred };
  Kind kind = Bits;
  unsigned bits = 32;
  /// Two halves.
  bool pair = false;

  static std::optional<PtxType> parse(llvm::StringRef word);
  bool isFloat() const { return kind == Float || kind == BFloat; }
};

/// What the interpreter needs of an instruction each time.
struct PtxDecoded {
  PtxOp op = PtxOp::Unknown;
  PtxType type, source;
  /// Elements of a vector access.
  unsigned count = 1;
  const PtxInstruction *instruction = nullptr;

  static PtxDecoded decode(const PtxInstruction &instruction);
};

/// The result of an instruction before `Cvta` in the list, but moves of
/// vectors and comparisons with two results.
uint64_t evaluate(const PtxDecoded &decoded, uint64_t a, uint64_t b,
                  uint64_t c);

double toDouble(uint64_t bits, PtxType type);
uint64_t fromDouble(double value, PtxType type);

} // namespace nibble::test

#endif // NIBBLE_TEST_CODEGENCUDA_PTXALU_H
