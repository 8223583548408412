//===- IntegerKernels.h - Kernels of the integer products -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products work on unsigned input codes X and signed weights W, four steps
// of the contraction at a time. Other signs are moved by 128, and zero points
// are taken off at the end:
//
//   sum (X - x0)(W - w0) = sum X W  -  x0 * sum (W - w0)  -  w0 * sum X
//
// Packed weights are [panels][quads][32 output channels][4 steps], on every
// CPU. The sums over (W - w0) come with them.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_INTEGERKERNELS_H
#define NIBBLE_CODEGEN_CPU_INTEGERKERNELS_H

#include "nibble/Codegen/CPU/KernelBuilder.h"

namespace nibble::codegen {

/// Exact sums of products of unsigned and signed bytes, four to a sum.
///
/// With AVX-512 VNNI one `vpdpbusd` does 16 sums. Elsewhere both sides are
/// extended to 16 bits and multiplied by `pmaddwd`, which can't overflow, into
/// two partial sums for each of the 16.
class QuadDot {
public:
  explicit QuadDot(KernelBuilder &kernel);

  /// One side of the products, ready to be used several times.
  using Side = Values;
  /// 16 quads in 64 bytes, `vector<64xi8>`.
  Side load(mlir::Value memref, Index at, bool isUnsigned);
  Side fromBytes(mlir::Value bytes, bool isUnsigned);
  /// One quad for all 16 sums.
  Side broadcast(mlir::Value memref, Index at, bool isUnsigned);
  /// Four ones for all 16 sums.
  Side ones(bool isUnsigned);

  /// Values that hold 16 sums.
  int64_t numParts() const { return parts; }
  Values zeros();
  /// `acc + x * w`; x is unsigned, w signed.
  Values add(mlir::ValueRange acc, const Side &x, const Side &w);
  /// The 16 sums as `vector<16xi32>`.
  mlir::Value finish(mlir::ValueRange acc);
  /// Products of `vector<16xi32>` whose elements fit 16 bits.
  mlir::Value multiplyWords(mlir::Value x, mlir::Value w);

private:
  Side extend(mlir::Value bytes, bool isUnsigned);
  mlir::Value multiplyAdd(mlir::Value x, mlir::Value w);

  KernelBuilder &kb;
  /// Bits of the registers that hold a part.
  int64_t width, parts;
};

/// How many values an operand has.
enum class Extent { None, One, Many };

/// What follows the sum of products: see `nibble.matmul_integer`.
struct IntegerSpec {
  enum class Bias { None, Integer, Float };
  enum class Result { Integer, Float, Codes };

  bool signedInput = false;
  Extent inputZero = Extent::None;
  Extent inputScale = Extent::None;
  Extent weightZeros = Extent::None;
  Extent weightScales = Extent::None;
  bool unsignedWeight = false;
  Bias bias = Bias::None;
  bool residual = false;
  Activation activation = Activation::None;
  Result result = Result::Integer;
  bool outputScale = false;
  bool outputZero = false;
  bool unsignedOutput = false;

  /// True if W has a zero point, so that the sums of X are needed.
  bool needsInputSums() const {
    return weightZeros != Extent::None || unsignedWeight;
  }
  /// True if the input has a zero point, so that the sums of W are needed.
  bool hasInputZero() const { return inputZero != Extent::None || signedInput; }
  /// A part of a symbol name.
  std::string getName() const;
};

/// Flat memrefs; absent ones are null.
struct IntegerOperands {
  mlir::Value weightZeros, weightSums, weightScales, inputZero, inputScale,
      bias, residual, outputScale, outputZero, out;
};

/// Emits what follows the sums. Terms that do not change are loaded once, by
/// the constructor.
class IntegerStage {
public:
  IntegerStage(KernelBuilder &kernel, const IntegerSpec &spec,
               const IntegerOperands &operands);

  /// Terms of 16 results that belong to output channels, in vectors.
  struct Channels {
    /// Added to the sums.
    mlir::Value start;
    mlir::Value sums, zeros, factor, bias;
  };
  /// Terms that belong to rows of the input, in vectors.
  struct Row {
    mlir::Value zero, scale;
    /// Null if the zero points of the weight have been taken off.
    mlir::Value inputSum;
  };
  /// Output channels `column` to `column + 15`; the sums and zeros of the
  /// weight start at `base`.
  Channels loadChannels(Index column, mlir::Value mask, Index base);
  /// One output channel; its sum of weights is loaded if `sums` is null.
  Channels loadChannel(Index channel, mlir::Value sums = {});
  Row loadRow(Index row);

  /// Stores 16 results at `at`.
  void store(mlir::Value sums, const Channels &channels, const Row &row,
             Index at, mlir::Value mask);

private:
  using Load = llvm::function_ref<mlir::Value(mlir::Value memref)>;
  Channels combine(Load load, Load loadWeight);
  mlir::Value toI32(mlir::Value codes, bool isUnsigned);
  mlir::Value scalarI32(mlir::Value memref, bool isUnsigned);
  /// The scale of the result can be part of `factor`.
  bool isLinear() const;

  KernelBuilder &kb;
  const IntegerSpec &spec;
  const IntegerOperands &operands;
  /// Vectors of equal values; null where there are none or many.
  mlir::Value inputZero, inputScale, weightZero, weightScale, outputInverse,
      outputZero;
};

/// The unsigned code, an i32, that stands for zero in row `row` of the input.
mlir::Value loadZeroCode(KernelBuilder &kernel, bool isSigned, Extent extent,
                         mlir::Value zeros, Index row);

/// `out[b, m, n]` of `batch` products of [m, k] and [k, n]. The input has
/// unsigned codes in rows of `quads` * 4 bytes: see `emitPrepareRows`.
struct IntegerMatMulArguments {
  mlir::Value input, weight;
  /// Sums over the rows of the input, if the spec needs them.
  mlir::Value inputSums;
  IntegerOperands operands;
  /// `weightQuads` are the quads that a packed panel holds.
  Index batch, m, n, quads, inputStride, weightQuads;
};

void emitIntegerMatMul(KernelBuilder &kernel, const IntegerSpec &spec,
                       const IntegerMatMulArguments &arguments);

/// A convolution; 1-D and 2-D ones have leading ones.
struct IntegerConvSpec {
  IntegerSpec stage;
  llvm::SmallVector<int64_t, 3> kernel, strides, dilations;
  /// Rows of the output have at most 8 positions: a vector holds two of them.
  bool narrow = false;

  /// A part of a symbol name.
  std::string getName() const;
};

struct IntegerConvArguments {
  /// Quads of unsigned codes, [batch][groups][groupQuads][paddedSize]: see
  /// `emitPrepareQuads`. 16 vectors of them follow that may be read.
  mlir::Value input;
  mlir::Value weight;
  IntegerOperands operands;
  /// Output channels and quads of input channels of a group.
  Index batch, groups, groupQuads, groupOut, weightQuads;
  llvm::SmallVector<Index, 3> outSize, paddedSize;
};

void emitIntegerConv(KernelBuilder &kernel, const IntegerConvSpec &spec,
                     const IntegerConvArguments &arguments);

/// Convolution with few channels in a group, from the codes as they are and
/// weights in rows. Each task pads the planes that it needs in a buffer.
struct IntegerPlanesArguments {
  mlir::Value input, weight;
  IntegerOperands operands;
  Index batch, groups, groupIn, groupOut;
  llvm::SmallVector<Index, 3> inSize, outSize, paddedSize;
};

void emitIntegerPlanesConv(KernelBuilder &kernel, const IntegerConvSpec &spec,
                           llvm::ArrayRef<int64_t> padBegin, int64_t groupIn,
                           const IntegerPlanesArguments &arguments);

/// Puts four channels of codes side by side, as unsigned codes, and pads them
/// with the code of zero. A group starts a quad; channels that do not exist
/// are 0.
struct PrepareQuadsSpec {
  /// From signed to unsigned codes.
  bool flip = false;
  Extent zero = Extent::None;
  llvm::SmallVector<int64_t, 3> padBegin;

  std::string getName() const;
};

struct PrepareQuadsArguments {
  mlir::Value input, zero, out;
  Index batch, groups, groupIn, groupQuads;
  llvm::SmallVector<Index, 3> inSize, paddedSize;
};

void emitPrepareQuads(KernelBuilder &kernel, const PrepareQuadsSpec &spec,
                      const PrepareQuadsArguments &arguments);

/// Copies rows of codes, [rows, k], to rows of `stride` bytes that are filled
/// up with zeros.
struct PrepareRowsSpec {
  /// From signed to unsigned codes.
  bool flip = false;
  /// Also sums each row.
  bool sums = false;

  std::string getName() const;
};

struct PrepareRowsArguments {
  mlir::Value input, out, outSums;
  Index rows, k, stride;
};

void emitPrepareRows(KernelBuilder &kernel, const PrepareRowsSpec &spec,
                     const PrepareRowsArguments &arguments);

/// Quantizes `rows` rows of `k` floats, a scale and a zero point for each: see
/// `nibble.quantize_dynamic`. Rows are read once from memory; long ones are cut
/// in pieces that threads share.
struct QuantizeDynamicArguments {
  mlir::Value input, codes, scales, zeros;
  Index rows, k;
};

void emitQuantizeDynamic(KernelBuilder &kernel,
                         const QuantizeDynamicArguments &arguments);

/// Packs weights [batch, k, n], or [batch, n, k] if `transposed`.
struct PackWeightSpec {
  bool transposed = false;
  bool isUnsigned = false;
  /// Also computes the sums over (w - zero).
  bool sums = false;
  Extent zeros = Extent::None;

  std::string getName() const;
};

struct PackWeightArguments {
  mlir::Value weight, zeros, out, outSums;
  /// `quads` are those of `k`, `weightQuads` those that a panel holds.
  Index batch, n, k, quads, weightQuads;
};

void emitPackWeight(KernelBuilder &kernel, const PackWeightSpec &spec,
                    const PackWeightArguments &arguments);

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_INTEGERKERNELS_H
