//===- NibbleOutlierOps.cpp - Columns that stay wide ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verification.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::verification;

LogicalResult QuantizeOutliersOp::verify() {
  bool onMemRefs = isa<MemRefType>(getInput().getType());
  Value outs[] = {getCodesOut(), getScalesOut(), getColumnsOut(),
                  getCountOut()};
  if (llvm::any_of(
          outs,
          [&](Value out) { return static_cast<bool>(out) != onMemRefs; }) ||
      getNumResults() != (onMemRefs ? 0u : 4u))
    return emitOpError("expected codes, scales, columns and count as ")
           << (onMemRefs ? "outs and no results with a memref"
                         : "results and no outs with a tensor");
  SmallVector<Value> results = onMemRefs ? SmallVector<Value>(ArrayRef(outs))
                                         : SmallVector<Value>(getResults());
  ArrayRef<int64_t> input = getShaped(getInput()).getShape();
  if (input.empty())
    return emitOpError("expected an input of rank 1 or more, got a scalar");
  double threshold = getThreshold().convertToDouble();
  if (!(threshold >= 0))
    return emitOpError("expected a threshold of 0 (none) or more, got ")
           << threshold;
  Type f32 = Float32Type::get(getContext());
  Type i8 = IntegerType::get(getContext(), 8);
  Type i32 = IntegerType::get(getContext(), 32);
  if (failed(verifyElement(*this, "an input", getInput(), f32)) ||
      failed(verifyElement(*this, "codes", results[0], i8)) ||
      failed(verifyShape(*this, "codes", results[0], input)) ||
      failed(verifyElement(*this, "scales", results[1], f32)) ||
      failed(verifyShape(*this, "scales", results[1], input.drop_back())) ||
      failed(verifyElement(*this, "columns", results[2], i32)) ||
      failed(verifyShape(*this, "columns", results[2], input.take_back())) ||
      failed(verifyElement(*this, "count", results[3], i32)))
    return failure();
  return verifyShape(*this, "count", results[3], {1});
}

LogicalResult MatMulOutliersOp::verify() {
  int64_t n = getN(), k = getK();
  SmallVector<int64_t> output;
  if (failed(verifyProduct(*this, output)))
    return failure();
  Value result = getOutput(*this);
  Type f32 = Float32Type::get(getContext());
  Type i8 = IntegerType::get(getContext(), 8);
  Type i32 = IntegerType::get(getContext(), 32);
  if (failed(verifyElement(*this, "an input", getInput(), f32)) ||
      failed(verifyElement(*this, "columns", getColumns(), i32)) ||
      failed(verifyShape(*this, "columns", getColumns(), {k})) ||
      failed(verifyElement(*this, "count", getCount(), i32)) ||
      failed(verifyShape(*this, "count", getCount(), {1})) ||
      failed(verifyElement(*this, "a weight", getWeight(), i8)) ||
      failed(verifyElement(*this, "weight scales", getWeightScales(), f32)) ||
      failed(verifyShape(*this, "weight scales", getWeightScales(), {n})) ||
      failed(verifyElement(*this, "a result", result, f32)) ||
      failed(verifyShape(*this, "a result", result, output)))
    return failure();
  if (Value residual = getResidual())
    if (failed(verifyElement(*this, "residual", residual, f32)) ||
        failed(verifyShape(*this, "residual", residual,
                           getShaped(result).getShape())))
      return failure();
  if (getPacked())
    return verifyShape(*this, "a packed weight", getWeight(),
                       getPackedIntegerShape(n, k));
  if (getTransposeWeight())
    return verifyShape(*this, "a weight", getWeight(), {n, k});
  return verifyShape(*this, "a weight", getWeight(), {k, n});
}
