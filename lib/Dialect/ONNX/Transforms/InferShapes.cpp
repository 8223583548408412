//===- InferShapes.cpp - Shape inference over a module --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ResolveBranches.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXINFERSHAPESPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

/// Rounds after which inference gives up; each one makes at least one type more
/// precise or folds an operation, and a few are the rule.
static constexpr unsigned kMaxRounds = 64;

namespace {
class InferShapesPass
    : public onnx::impl::ONNXInferShapesPassBase<InferShapesPass> {
public:
  using Base::Base;

  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal() && failed(inferFunction(func)))
        return signalPassFailure();
  }

private:
  LogicalResult inferFunction(func::FuncOp func);
  bool foldConstants(func::FuncOp func, InferState &state);
};
} // namespace

/// What is known from both types; null if they contradict each other.
static TensorType mergeTypes(TensorType a, TensorType b) {
  Type element = isa<UnknownType>(a.getElementType()) ? b.getElementType()
                                                      : a.getElementType();
  if (!isa<UnknownType>(b.getElementType()) && b.getElementType() != element)
    return {};
  if (!a.hasRank())
    std::swap(a, b);
  if (!a.hasRank())
    return UnrankedTensorType::get(element);
  SmallVector<int64_t> shape = llvm::to_vector(a.getShape());
  if (b.hasRank()) {
    if (failed(verifyCompatibleShape(a, b)))
      return {};
    for (auto [size, other] : llvm::zip_equal(shape, b.getShape()))
      size = ShapedType::isDynamic(size) ? other : size;
  }
  return RankedTensorType::get(shape, element);
}

/// Joins the declared result types with those of the returned values.
static LogicalResult refineFunctionType(func::FuncOp func) {
  Operation *terminator = func.getBody().front().getTerminator();
  SmallVector<Type> results;
  for (auto [i, operand, declared] :
       llvm::enumerate(terminator->getOperands(), func.getResultTypes())) {
    TensorType type = getTensorPart(operand.getType());
    TensorType expected = getTensorPart(declared);
    if (!type || !expected) {
      results.push_back(operand.getType());
      continue;
    }
    TensorType merged = mergeTypes(type, expected);
    if (!merged) {
      auto name =
          func.getResultAttrOfType<StringAttr>(i, ONNXDialect::kNameAttr);
      return emitError(operand.getLoc())
             << "output "
             << (name ? "'" + name.getValue() + "'" : "#" + Twine(i))
             << " is inferred as " << type << ", but the model declares "
             << expected;
    }
    if (isa<OpResult>(operand) && type == operand.getType())
      operand.setType(merged);
    results.push_back(operand.getType());
  }
  SmallVector<Type> arguments =
      llvm::to_vector(func.getBody().getArgumentTypes());
  func.setType(FunctionType::get(func.getContext(), arguments, results));
  return success();
}

/// A dense attribute of the known integers `contents`.
static DenseElementsAttr makeElements(RankedTensorType type,
                                      const Shape &contents) {
  unsigned width = type.getElementTypeBitWidth();
  SmallVector<APInt> values;
  for (const Dim &value : contents)
    values.push_back(APInt(width, static_cast<uint64_t>(value.getConstant()),
                           /*isSigned=*/true, /*implicitTrunc=*/true));
  return DenseElementsAttr::get(type, values);
}

/// The constant that `op`, whose type is static, computes; null if it depends
/// on the inputs or is too large.
static ElementsAttr getConstantResult(Operation *op, RankedTensorType type,
                                      InferState &state) {
  if (type.getElementType().isIntOrIndex()) {
    std::optional<Shape> contents = state.getContents(op->getResult(0));
    if (contents && llvm::all_of(*contents, [](const Dim &value) {
          return value.isConstant();
        }))
      return makeElements(type, *contents);
  }
  SmallVector<Attribute> operands;
  for (Value operand : op->getOperands()) {
    auto constant = operand.getDefiningOp<ConstantOp>();
    if (!constant && !isa<NoneType>(operand.getType()))
      return {};
    operands.push_back(constant ? constant.getElements() : Attribute());
  }
  SmallVector<OpFoldResult> results;
  if (failed(op->fold(operands, results)) || results.size() != 1)
    return {};
  auto elements = dyn_cast_if_present<ElementsAttr>(
      dyn_cast_if_present<Attribute>(results[0]));
  return elements && elements.getShapedType() == type ? elements
                                                      : ElementsAttr();
}

/// Replaces results that are constant, and removes what computed them.
bool InferShapesPass::foldConstants(func::FuncOp func, InferState &state) {
  bool changed = false;
  func.walk([&](Operation *op) {
    if (!isa<ONNXOpInterface>(op) || isa<ConstantOp>(op) ||
        op->getNumRegions() != 0 || op->getNumResults() != 1 || op->use_empty())
      return;
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!type || !type.hasStaticShape() ||
        isa<UnknownType>(type.getElementType()))
      return;
    ElementsAttr value = getConstantResult(op, type, state);
    if (!value)
      return;
    OpBuilder builder(op);
    auto constant = ConstantOp::create(builder, op->getLoc(), value);
    // A weight in another shape keeps its name.
    auto source = op->getOperand(0).getDefiningOp<ConstantOp>();
    if (source && isa<ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp>(op))
      constant->setDiscardableAttrs(source->getDiscardableAttrDictionary());
    op->getResult(0).replaceAllUsesWith(constant);
    ++numFolded;
    changed = true;
  });
  func.walk<WalkOrder::PostOrder, ReverseIterator>([&](Operation *op) {
    if (isa<ONNXOpInterface>(op) && isOpTriviallyDead(op)) {
      op->walk([&](Operation *nested) { state.forget(nested); });
      op->erase();
    }
  });
  return changed;
}

/// Reports the first result about which too little is known.
static LogicalResult checkComplete(func::FuncOp func) {
  WalkResult result = func.walk([&](Operation *op) -> WalkResult {
    for (OpResult value : op->getResults()) {
      auto type = dyn_cast<TensorType>(value.getType());
      if (!type)
        continue;
      bool isTyped = !isa<UnknownType>(type.getElementType());
      if (type.hasRank() && isTyped)
        continue;
      InFlightDiagnostic diagnostic = op->emitOpError();
      if (auto name = op->getAttrOfType<StringAttr>(ONNXDialect::kNameAttr))
        diagnostic << "(layer '" << name.getValue() << "') ";
      diagnostic << "the " << (isTyped ? "rank" : "element type")
                 << " of result #" << value.getResultNumber()
                 << " cannot be inferred";
      Diagnostic &note = diagnostic.attachNote() << "operand types are ";
      llvm::interleaveComma(op->getOperandTypes(), note);
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

LogicalResult InferShapesPass::inferFunction(func::FuncOp func) {
  for (BlockArgument argument : func.getArguments()) {
    TensorType type = getTensorPart(argument.getType());
    if (!type || (type.hasRank() && !isa<UnknownType>(type.getElementType())))
      continue;
    auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                  ONNXDialect::kNameAttr);
    return func.emitError()
           << "input "
           << (name ? "'" + name.getValue() + "'"
                    : "#" + Twine(argument.getArgNumber()))
           << " has type " << argument.getType()
           << ", expected one with an element type and a rank: declare them in "
              "the model";
  }

  InferState state;
  nameArgumentDims(func, state);
  for (unsigned round = 0; round < kMaxRounds; ++round) {
    bool changed = false;
    if (failed(inferBlockTypes(func.getBody().front(), state, changed)) ||
        failed(refineFunctionType(func)))
      return failure();
    changed |= foldConstants(func, state);
    if (!changed && !resolveSqueezeBranch(func, state))
      break;
  }
  return checkComplete(func);
}
