//===- BuildGradient.cpp - Derivatives of a function's result -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Gradients.h"
#include "mlir/Pass/PassManager.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"

namespace nibble::onnx {
#define GEN_PASS_DEF_ONNXBUILDGRADIENTPASS
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"
} // namespace nibble::onnx

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

namespace {
struct ONNXBuildGradientPass
    : public nibble::onnx::impl::ONNXBuildGradientPassBase<
          ONNXBuildGradientPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto target = module.lookupSymbol<func::FuncOp>(function);
    if (!target || target.isExternal()) {
      module.emitError("onnx-build-gradient: there is no function '")
          << function << "' with a body";
      return signalPassFailure();
    }
    if (failed(check(target)) || failed(expand(module, target)) ||
        failed(differentiate(target)))
      return signalPassFailure();
    OpPassManager infer(ModuleOp::getOperationName());
    infer.addPass(createONNXInferShapesPass());
    if (failed(runPipeline(infer, module)))
      return signalPassFailure();
  }

private:
  LogicalResult check(func::FuncOp target) {
    if (!areRanksKnown(target))
      return target.emitError("ranks are not known: run onnx-infer-shapes "
                              "first");
    if (result >= target.getNumResults() ||
        !isReal(target.getFunctionType().getResult(result)))
      return target.emitError("expected result ")
             << result.getValue() << " to be a tensor of floats";
    for (unsigned i : arguments)
      if (i >= target.getNumArguments() ||
          !isReal(target.getArgument(i).getType()))
        return target.emitError("expected argument ")
               << i << " to be a tensor of floats";
    return success();
  }

  static bool isReal(Type type) {
    auto tensor = dyn_cast<TensorType>(type);
    return tensor && isa<FloatType>(tensor.getElementType());
  }

  /// Attention has no rule of its own.
  LogicalResult expand(ModuleOp module, func::FuncOp target) {
    SmallVector<AttentionOp> attentions;
    target.walk([&](AttentionOp op) { attentions.push_back(op); });
    for (AttentionOp op : attentions)
      if (failed(expandAttention(op)))
        return failure();
    if (attentions.empty())
      return success();
    OpPassManager infer(ModuleOp::getOperationName());
    infer.addPass(createONNXInferShapesPass());
    return runPipeline(infer, module);
  }

  /// Values of floats that depend on the arguments.
  DenseSet<Value> findActive(func::FuncOp target) {
    DenseSet<Value> active;
    for (unsigned i : arguments)
      active.insert(target.getArgument(i));
    for (Operation &op : target.getBody().front())
      if (llvm::any_of(op.getOperands(),
                       [&](Value x) { return active.contains(x); }))
        for (Value value : op.getResults())
          if (isReal(value.getType()))
            active.insert(value);
    return active;
  }

  LogicalResult differentiate(func::FuncOp target) {
    Block &body = target.getBody().front();
    Operation *end = body.getTerminator();
    DenseSet<Value> active = findActive(target);
    OpBuilder b(end);
    DenseMap<Value, Value> cotangents;
    auto fill = [&](Value like, double number) -> Value {
      Type unknown = getUnknownTensorType(b.getContext());
      auto type = cast<TensorType>(like.getType());
      auto one = RankedTensorType::get({1}, type.getElementType());
      Value shape = ShapeOp::create(b, target.getLoc(), unknown, like);
      return ConstantOfShapeOp::create(
          b, target.getLoc(), unknown, shape,
          DenseElementsAttr::get(
              one, b.getFloatAttr(type.getElementType(), number)));
    };
    // With more than one element the sum of all is differentiated.
    Value root = end->getOperand(result);
    cotangents[root] = fill(root, 1.0);

    auto forward = llvm::to_vector(llvm::make_pointer_range(
        llvm::make_range(body.begin(), Block::iterator(end))));
    for (Operation *op : llvm::reverse(forward)) {
      SmallVector<Value> given;
      for (Value value : op->getResults())
        given.push_back(cotangents.lookup(value));
      SmallVector<bool> wanted;
      for (Value operand : op->getOperands())
        wanted.push_back(active.contains(operand));
      if (llvm::none_of(given, [](Value g) { return bool(g); }) ||
          llvm::none_of(wanted, [](bool w) { return w; }))
        continue;
      auto found = GradientWriter(op, end, given, wanted).write();
      if (failed(found))
        return failure();
      ++numDifferentiated;
      for (auto [operand, g] : llvm::zip_equal(op->getOperands(), *found)) {
        if (!g)
          continue;
        Value &sum = cotangents[operand];
        Type unknown = getUnknownTensorType(b.getContext());
        sum = sum ? AddOp::create(b, op->getLoc(), unknown, sum, g) : g;
      }
    }

    SmallVector<Value> results(end->getOperands());
    for (unsigned i : arguments) {
      Value argument = target.getArgument(i);
      Value g = cotangents.lookup(argument);
      results.push_back(g ? g : fill(argument, 0.0));
    }
    addResults(target, end, results);
    return success();
  }

  /// The gradients are results after those that were there.
  void addResults(func::FuncOp target, Operation *end, ValueRange results) {
    unsigned before = target.getNumResults();
    end->setOperands(results);
    target.setType(FunctionType::get(
        target.getContext(), target.getArgumentTypes(), results.getTypes()));
    Builder b(target.getContext());
    auto getName = [](DictionaryAttr attrs) {
      auto name = attrs ? attrs.getAs<StringAttr>(ONNXDialect::kNameAttr)
                        : StringAttr();
      return name ? name.getValue() : StringRef();
    };
    for (auto [k, i] : llvm::enumerate(arguments)) {
      StringRef name = getName(target.getArgAttrDict(i));
      if (!name.empty())
        target.setResultAttr(before + k, ONNXDialect::kNameAttr,
                             b.getStringAttr(name + ".gradient"));
    }
  }
};
} // namespace
