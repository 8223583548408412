//===- ONNXInterfaces.h - Interface of every ONNX operator ------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// What generic code needs to know about an operator. An importer asks by name:
//
//   OperationName name("onnx.Conv", context);   // dialect loaded
//   auto *iface = name.getInterface<ONNXOpInterface>();
//   if (!iface) ... the operator is unknown ...
//   OpSignature signature = iface->getSignature();
//   // operands: append `none` values up to signature.operands.fixed()
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXINTERFACES_H
#define NIBBLE_DIALECT_ONNX_IR_ONNXINTERFACES_H

#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/StringRef.h"

namespace nibble::onnx {

class InferContext;

/// How many operands or results an operator has.
struct Arity {
  /// Leading values that must be present.
  unsigned required;
  /// Values in the definition; a variadic one, always the last, counts as one.
  unsigned declared;
  /// The last declared value repeats, zero times or more.
  bool variadic;

  /// Values that an operation always has, if only as `none`.
  unsigned fixed() const { return declared - (variadic ? 1 : 0); }
  /// Whether an operation in the model may list `count` values (absent ones in
  /// the middle counted).
  bool accepts(unsigned count) const {
    return count >= required && (variadic || count <= declared);
  }
};

/// What the definition of an operator says about its values.
struct OpSignature {
  Arity operands;
  Arity results;
  /// Letters of the operands, ':', letters of the results; see ONNX_OpBase in
  /// ONNXBase.td.
  llvm::StringRef types;
  /// Names of the GRAPH attributes in the order of the regions, joined by ','.
  llvm::StringRef regions;

  /// The letter of operand or result `index`; '.' if nothing is said.
  char operandLetter(unsigned index) const;
  char resultLetter(unsigned index) const;
};

namespace detail {

/// Checks that element types agree as the signature says.
llvm::LogicalResult verifyONNXOp(mlir::Operation *op);

// Shape inference that several operators share (ShapeInference.h).
llvm::LogicalResult inferSameShape(InferContext &context);
llvm::LogicalResult inferSameRank(InferContext &context);
llvm::LogicalResult inferBroadcast(InferContext &context);
llvm::LogicalResult inferPRelu(InferContext &context);
llvm::LogicalResult inferReduce(InferContext &context);
llvm::LogicalResult inferArg(InferContext &context);
llvm::LogicalResult inferGlobalPool(InferContext &context);
llvm::LogicalResult inferRecurrent(InferContext &context);
llvm::LogicalResult inferPool(InferContext &context);
// The same, for the operands of these numbers.
llvm::LogicalResult inferBroadcastOf(InferContext &context,
                                     llvm::ArrayRef<unsigned> operands);
llvm::LogicalResult inferMatMulOf(InferContext &context, unsigned left,
                                  unsigned right);
llvm::LogicalResult inferConvOf(InferContext &context, unsigned input,
                                unsigned weight, int64_t group);
llvm::LogicalResult inferSignalWindow(InferContext &context);
llvm::LogicalResult inferRandom(InferContext &context);
llvm::LogicalResult inferRandomLike(InferContext &context);
llvm::LogicalResult inferOptimizer(InferContext &context);

} // namespace detail
} // namespace nibble::onnx

#include "nibble/Dialect/ONNX/IR/ONNXInterfaces.h.inc"

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXINTERFACES_H
