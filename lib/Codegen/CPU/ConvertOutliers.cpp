//===- ConvertOutliers.cpp - Outlier columns to kernels -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelCalls.h"
#include "nibble/Codegen/CPU/OutlierKernels.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/bit.h"

using namespace mlir;

namespace nibble::codegen {

void convertInteger(QuantizeOutliersOp op, KernelCalls &calls) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  KernelBuilder k(b, loc, calls.target);
  Value input = op.getInput();
  int64_t rank = cast<ShapedType>(input.getType()).getRank();
  float threshold = op.getThreshold().convertToFloat();
  std::string name = "nibble_quantize_outliers_";
  name += threshold > 0 ? llvm::utohexstr(llvm::bit_cast<uint32_t>(threshold),
                                          /*LowerCase=*/true)
                        : "off";
  calls.call(b, loc, name,
             {input, op.getCodesOut(), op.getScalesOut(), op.getColumnsOut(),
              op.getCountOut()},
             {leadingSize(k, input, 1), k.dim(input, rank - 1)},
             [&](KernelBuilder &kernel, ValueRange arguments) {
               QuantizeOutliersArguments args;
               args.input = arguments[0];
               args.codes = arguments[1];
               args.scales = arguments[2];
               args.columns = arguments[3];
               args.count = arguments[4];
               args.rows = kernel.index(arguments[5]);
               args.k = kernel.index(arguments[6]);
               emitQuantizeOutliers(kernel, threshold, args);
             });
  op.erase();
}

LogicalResult convertOutliers(MatMulOutliersOp op, KernelCalls &calls) {
  if (!op.getPacked())
    return op.emitOpError("the weight is not packed; run nibble-pack-weights "
                          "first (it must be a constant)");
  OpBuilder b(op);
  Location loc = op.getLoc();
  KernelBuilder k(b, loc, calls.target);
  bool residual = bool(op.getResidual());
  calls.call(
      b, loc,
      residual ? "nibble_matmul_outliers_residual" : "nibble_matmul_outliers",
      {op.getInput(), op.getColumns(), op.getCount(), op.getWeight(),
       op.getWeightScales(), op.getResidual(), op.getOuts()},
      {leadingSize(k, op.getInput(), 1), k.index(op.getN()), k.index(op.getK()),
       k.index(cast<ShapedType>(op.getWeight().getType()).getDimSize(1))},
      [&](KernelBuilder &kernel, ValueRange arguments) {
        auto it = arguments.begin();
        MatMulOutliersArguments args;
        args.input = *it++;
        args.columns = *it++;
        args.count = *it++;
        args.weight = *it++;
        args.weightScales = *it++;
        if (residual)
          args.residual = *it++;
        args.out = *it++;
        for (Index *size : {&args.m, &args.n, &args.k, &args.weightQuads})
          *size = kernel.index(*it++);
        emitMatMulOutliers(kernel, args);
      });
  op.erase();
  return success();
}

} // namespace nibble::codegen
