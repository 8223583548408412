//===- OutlinePiece.h - A part of a model as a function -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_OUTLINEPIECE_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_OUTLINEPIECE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "nibble/Dialect/Nibble/Transforms/BlockAnalysis.h"
#include <string>

namespace nibble {

/// What lies between two cuts, as a module of one function `main_graph` that
/// takes and returns tensors. Its constants of floats are arguments, so that
/// pieces that differ in weights only are the same code.
struct Piece {
  /// Where an argument comes from: exactly one of the two.
  struct Argument {
    /// A value that is carried.
    mlir::Value state;
    /// An operation that reads a constant: the operand. If `packed` is set it
    /// is the weight of a layer, and the argument is a float32 tensor
    /// [panels, columns, 32] (quantizer::packFloatPanels).
    mlir::OpOperand *constant = nullptr;
    bool packed = false;
  };

  mlir::OwningOpRef<mlir::ModuleOp> module;
  llvm::SmallVector<Argument> arguments;
  /// Carried values that it computes, in the order of the results.
  llvm::SmallVector<mlir::Value> results;
  /// Checks that fail say "#N": their messages, by number.
  llvm::SmallVector<std::string> messages;
  /// The same for pieces that are the same code.
  std::string text;
};

/// Outlines the operations between two cuts of `analysis`. With
/// `withInputChecks` it also makes the checks that depend on the inputs of the
/// model alone: once is enough. Without a module if there is nothing to do.
Piece outlinePiece(const BlockAnalysis &analysis,
                   const BlockAnalysis::Cut &from, const BlockAnalysis::Cut &to,
                   bool withInputChecks);

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_OUTLINEPIECE_H
