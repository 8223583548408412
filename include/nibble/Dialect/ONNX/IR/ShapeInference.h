//===- ShapeInference.h - Shapes with symbolic dimensions -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Shape inference works on dimensions that are integers, products of symbols
// (the batch size N, or 12 N), or unknown, so that a Reshape of tensor<Nx3x4>
// by [N, -1] gives tensor<Nx12>. Small integer tensors are tracked the same
// way, element by element: the result of a Shape operator has known and
// symbolic elements.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_SHAPEINFERENCE_H
#define NIBBLE_DIALECT_ONNX_IR_SHAPEINFERENCE_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Operation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>
#include <string>
#include <vector>

namespace nibble::onnx {

/// A dimension, or an element of an integer tensor: unknown, or an integer
/// times a product of symbols.
class Dim {
public:
  /// Unknown; not equal to anything, itself included.
  Dim() = default;
  Dim(int64_t value) : known(true), factor(value) {}
  static Dim symbol(unsigned id);

  bool isKnown() const { return known; }
  bool isConstant() const { return known && symbols.empty(); }
  bool isConstant(int64_t value) const {
    return isConstant() && factor == value;
  }
  /// The integer of a constant.
  int64_t getConstant() const { return factor; }
  /// The factor of the product of `getSymbols`; a constant has none of these.
  int64_t getFactor() const { return factor; }
  llvm::ArrayRef<unsigned> getSymbols() const { return symbols; }
  /// As in a tensor type: the integer, or ShapedType::kDynamic.
  int64_t toStatic() const;

  bool operator==(const Dim &other) const;
  bool operator!=(const Dim &other) const { return !(*this == other); }
  Dim operator*(const Dim &other) const;
  /// Known if both are constants or one is zero.
  Dim operator+(const Dim &other) const;
  Dim operator-(const Dim &other) const;
  /// The exact quotient; unknown if the division leaves a rest or a symbol
  /// cannot be cancelled.
  Dim exactDiv(const Dim &other) const;

private:
  bool known = false;
  int64_t factor = 0;
  llvm::SmallVector<unsigned, 2> symbols; // sorted, with multiplicity
};

using Shape = llvm::SmallVector<Dim, 4>;

/// The shape as in a tensor type.
llvm::SmallVector<int64_t> toStaticShape(llvm::ArrayRef<Dim> shape);
/// `[?, 3, 224]`, for messages.
std::string toString(llvm::ArrayRef<Dim> shape);
/// The number of elements.
Dim getNumElements(llvm::ArrayRef<Dim> shape);

/// What is known about the values of a function.
class InferState {
public:
  /// Integer tensors with more elements are not tracked.
  static constexpr int64_t kMaxContents = 1024;

  /// The shape of a ranked tensor; nothing if it has no rank yet. Of a sequence
  /// or optional: what all its tensors have in common.
  std::optional<Shape> getShape(mlir::Value value);
  /// The elements of a small integer or boolean tensor in row-major order.
  std::optional<Shape> getContents(mlir::Value value);

  void setShape(mlir::Value value, Shape shape);
  void setContents(mlir::Value value, Shape contents);
  /// Forgets the results of an operation that is about to be erased.
  void forget(mlir::Operation *op);
  Dim makeSymbol() { return Dim::symbol(nextSymbol++); }
  /// The symbol with this name; the same for every use of it.
  Dim getNamedSymbol(llvm::StringRef name);

private:
  llvm::DenseMap<mlir::Value, Shape> shapes;
  llvm::DenseMap<mlir::Value, Shape> contents;
  std::vector<std::pair<std::string, Dim>> named;
  unsigned nextSymbol = 0;
};

/// One operation's view of the state, and what it infers.
class InferContext {
public:
  InferContext(mlir::Operation *op, InferState &state);

  mlir::Operation *getOperation() const { return op; }
  InferState &getState() const { return state; }

  /// Whether operand `index` exists and is not `none`.
  bool hasOperand(unsigned index) const;
  /// Whether result `index` exists and is not `none`.
  bool hasResult(unsigned index) const;
  /// The shape of an operand; nothing if absent or without a rank.
  std::optional<Shape> getShape(unsigned operand) const;
  /// The element type of an operand; null if absent or not known.
  mlir::Type getElementType(unsigned operand) const;
  /// The elements of an integer operand as far as they are known.
  std::optional<Shape> getContents(unsigned operand) const;
  /// The elements of an integer operand if all are known integers.
  std::optional<llvm::SmallVector<int64_t>>
  getConstants(unsigned operand) const;
  /// `axis` counted from the start for a tensor of this rank; an error message
  /// and nothing if it is out of range.
  std::optional<int64_t> normalizeAxis(int64_t axis, int64_t rank) const;
  /// Checks a rank that the operator asks for.
  llvm::LogicalResult checkRank(llvm::StringRef what, llvm::ArrayRef<Dim> shape,
                                int64_t minimum, int64_t maximum) const;

  void setShape(unsigned result, Shape shape);
  /// A shape of which only the rank is known.
  void setRank(unsigned result, int64_t rank);
  void setElementType(unsigned result, mlir::Type type);
  /// The result is a sequence or optional as `like` is, of tensors of the shape
  /// and element type that are set besides.
  void setContainer(unsigned result, mlir::Type like);
  void setContents(unsigned result, Shape contents);

  /// What was inferred for a result.
  const std::optional<Shape> &getResultShape(unsigned result) const {
    return shapes[result];
  }
  mlir::Type getResultElementType(unsigned result) const {
    return elementTypes[result];
  }
  mlir::Type getResultContainer(unsigned result) const {
    return containers[result];
  }

  /// An error at the operation that names the layer.
  mlir::InFlightDiagnostic emitError() const;

private:
  mlir::Operation *op;
  InferState &state;
  llvm::SmallVector<std::optional<Shape>, 2> shapes;
  llvm::SmallVector<mlir::Type, 2> elementTypes, containers;
};

/// Joins two shapes by NumPy's rules into `result`; false if they do not fit.
/// An unknown size against a known one above 1 is taken to be that one.
bool broadcastShapes(llvm::ArrayRef<Dim> a, llvm::ArrayRef<Dim> b,
                     Shape &result);

/// Gives the dimensions of a function's arguments the symbols of their names
/// (`onnx.dim_names`).
void nameArgumentDims(mlir::FunctionOpInterface function, InferState &state);

/// Infers the results of `op` and refines their types in place; sets `changed`
/// if a type became more precise. Its regions have been inferred before.
llvm::LogicalResult inferResultTypes(mlir::Operation *op, InferState &state,
                                     bool &changed);

/// The same for all operations of a block, in order, with their regions.
llvm::LogicalResult inferBlockTypes(mlir::Block &block, InferState &state,
                                    bool &changed);

/// The same for the regions of `op`: gives the arguments of a loop's body their
/// types first.
llvm::LogicalResult inferRegionTypes(mlir::Operation *op, InferState &state,
                                     bool &changed);

/// Works out the elements of the small integer results of `op`, where it is an
/// operator that computes with shapes.
void inferContents(mlir::Operation *op, InferState &state);

} // namespace nibble::onnx

#endif // NIBBLE_DIALECT_ONNX_IR_SHAPEINFERENCE_H
