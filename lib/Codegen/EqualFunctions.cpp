//===- EqualFunctions.cpp -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/EqualFunctions.h"

#include "mlir/IR/OperationSupport.h"

using namespace mlir;

namespace nibble::codegen {

/// What functions of equal code have in common; cheap, and seldom shared by
/// others.
static llvm::hash_code hashBody(FunctionOpInterface function) {
  llvm::hash_code hash = hash_value(function.getFunctionType());
  function.getFunctionBody().walk([&](Operation *op) {
    hash = llvm::hash_combine(hash, op->getName(), op->hashProperties(),
                              llvm::hash_combine_range(op->getResultTypes()));
  });
  return hash;
}

static bool isEqual(FunctionOpInterface a, FunctionOpInterface b) {
  return a->getName() == b->getName() &&
         a.getFunctionType() == b.getFunctionType() &&
         OperationEquivalence::isRegionEquivalentTo(
             &a.getFunctionBody(), &b.getFunctionBody(),
             OperationEquivalence::IgnoreLocations |
                 OperationEquivalence::IgnoreDiscardableAttrs);
}

FunctionOpInterface EqualFunctions::insert(FunctionOpInterface function) {
  SmallVector<FunctionOpInterface> &candidates = known[hashBody(function)];
  for (FunctionOpInterface candidate : candidates)
    if (isEqual(candidate, function))
      return candidate;
  candidates.push_back(function);
  return function;
}

} // namespace nibble::codegen
