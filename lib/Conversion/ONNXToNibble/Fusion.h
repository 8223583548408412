//===- Fusion.h - Operations that take in their users -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_FUSION_H
#define NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_FUSION_H

#include "mlir/IR/PatternMatch.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

namespace nibble {

/// `op` with changed operands in the place of `user`, whose layer it takes in.
template <typename OpTy>
OpTy moveTo(mlir::PatternRewriter &rewriter, OpTy op, mlir::Operation *user) {
  rewriter.setInsertionPoint(user);
  auto fused = mlir::cast<OpTy>(rewriter.clone(*op));
  fused->setLoc(rewriter.getFusedLoc({op.getLoc(), user->getLoc()}));
  llvm::SmallVector<mlir::Attribute> layers(op.getLayers().getValue());
  if (auto name = user->getAttrOfType<mlir::StringAttr>(
          NibbleDialect::getLayerNameAttr()))
    layers.push_back(name);
  fused.setLayersAttr(rewriter.getArrayAttr(layers));
  return fused;
}

} // namespace nibble

#endif // NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_FUSION_H
