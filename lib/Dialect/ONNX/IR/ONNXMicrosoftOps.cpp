//===- ONNXMicrosoftOps.cpp - Operators of com.microsoft ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyUtils.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXMicrosoftOps.cpp.inc"

void ONNXDialect::registerMicrosoftOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXMicrosoftOps.cpp.inc"
      >();
}

/// The number of elements of `value` if its shape is known and it has another
/// number than `expected`.
static std::optional<int64_t> getOtherCount(Value value, int64_t expected) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape() || type.getNumElements() == expected)
    return std::nullopt;
  return type.getNumElements();
}

LogicalResult MicrosoftMatMulNBitsOp::verify() {
  int64_t bits = getBits(), block = getBlockSize(), n = getN(), k = getK();
  if (failed(verifyAtLeast(*this, "N", n, 1)) ||
      failed(verifyAtLeast(*this, "K", k, 1)))
    return failure();
  if (bits != 2 && bits != 4 && bits != 8)
    return emitOpError() << "bits is " << bits << ", expected 2, 4 or 8";
  if (block < 16 || !llvm::isPowerOf2_64(block) || block > (1 << 30))
    return emitOpError() << "block_size is " << block
                         << ", expected a power of two of at least 16";
  if (getWeightPrepacked() != 0)
    return emitOpError() << "weight_prepacked is " << getWeightPrepacked()
                         << ", expected 0: the order of prepacked weights "
                            "belongs to one version of ONNX Runtime";
  int64_t blocks = llvm::divideCeil(k, block), count = 0;
  if (llvm::MulOverflow(n, blocks * (block * bits / 8), count))
    return emitOpError() << "a weight of " << n << " rows of " << k
                         << " is too large";
  auto check = [&](StringRef what, Value value,
                   int64_t expected) -> LogicalResult {
    if (std::optional<int64_t> got = getOtherCount(value, expected))
      return emitOpError() << what << " has " << *got << " elements, expected "
                           << expected << " for N = " << n << ", K = " << k
                           << ", block_size = " << block << " and " << bits
                           << " bits";
    return success();
  };
  if (failed(check("B", getB(), count)) ||
      failed(check("scales", getScales(), n * blocks)) ||
      failed(check("bias", getBias(), n)))
    return failure();
  if (auto type = dyn_cast<RankedTensorType>(getZeroPoints().getType())) {
    Type element = type.getElementType();
    bool packed = element.isUnsignedInteger(8);
    if (!packed && !isa<FloatType, UnknownType>(element))
      return emitOpError() << "zero_points have type " << type
                           << ", expected packed codes of ui8 or floats";
    int64_t perRow = packed ? llvm::divideCeil(blocks * bits, 8) : blocks;
    if (failed(check("zero_points", getZeroPoints(), n * perRow)))
      return failure();
  }
  // The index may be padded to whole blocks.
  if (auto type = dyn_cast<RankedTensorType>(getGIdx().getType()))
    if (type.hasStaticShape() && type.getNumElements() < k)
      return emitOpError() << "g_idx has " << type.getNumElements()
                           << " elements, expected at least K = " << k;
  return success();
}

LogicalResult MicrosoftMatMulBnb4Op::verify() {
  int64_t block = getBlockSize(), n = getN(), k = getK(), count = 0;
  if (failed(verifyAtLeast(*this, "N", n, 1)) ||
      failed(verifyAtLeast(*this, "K", k, 1)))
    return failure();
  if (block < 16 || !llvm::isPowerOf2_64(block) || block > (1 << 30))
    return emitOpError() << "block_size is " << block
                         << ", expected a power of two of at least 16";
  if (getQuantType() != 0 && getQuantType() != 1)
    return emitOpError() << "quant_type is " << getQuantType()
                         << ", expected 0 (FP4) or 1 (NF4)";
  if (llvm::MulOverflow(n, k, count))
    return emitOpError() << "a weight of " << n << " rows of " << k
                         << " is too large";
  auto check = [&](StringRef what, Value value,
                   int64_t expected) -> LogicalResult {
    if (std::optional<int64_t> got = getOtherCount(value, expected))
      return emitOpError() << what << " has " << *got << " elements, expected "
                           << expected << " for N = " << n << ", K = " << k
                           << " and block_size = " << block;
    return success();
  };
  if (failed(check("B", getB(), count / 2 + count % 2)))
    return failure();
  return check("absmax", getAbsmax(), llvm::divideCeil(count, block));
}

LogicalResult MicrosoftQLinearConcatOp::verify() {
  size_t count = getInputs().size();
  if (count == 0 || count % 3 != 0)
    return emitOpError() << "has " << count
                         << " values after the zero point of Y, expected "
                            "triples of a tensor, its scale and its zero point";
  return success();
}
