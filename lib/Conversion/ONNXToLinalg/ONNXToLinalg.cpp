//===- ONNXToLinalg.cpp - The pass convert-onnx-to-linalg -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Conversion/ONNXToLinalg/ONNXToLinalg.h"
#include "Lowering.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Func/Transforms/FuncConversions.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "llvm/ADT/StringSwitch.h"

namespace nibble {
#define GEN_PASS_DEF_CONVERTONNXTOLINALG
#include "nibble/Conversion/ONNXToLinalg/ONNXToLinalg.h.inc"
} // namespace nibble

using namespace mlir;
using namespace nibble::onnx_to_linalg;

namespace {

/// The number that TensorProto.DataType gives an element type that compiled
/// code has, 0 for others.
int64_t onnxElementType(Type elem) {
  return elem.isIntOrFloat() ? nibble::onnx::getONNXType(elem) : 0;
}

/// Operators that move elements or look at shapes, whatever the elements are.
bool movesElements(Operation *op) {
  return llvm::StringSwitch<bool>(op->getName().stripDialect())
      .Cases({"Constant", "ConstantOfShape", "Identity", "Shape", "Size"}, true)
      .Cases({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"}, true)
      .Cases({"Concat", "Split", "Slice", "Gather", "GatherElements"}, true)
      .Cases({"GatherND", "Expand", "Tile", "Where", "Pad", "Compress"}, true)
      .Cases({"DepthToSpace", "SpaceToDepth", "ReverseSequence"}, true)
      .Cases({"Cast", "CastLike", "BitCast"}, true)
      .Cases({"QuantizeLinear", "DequantizeLinear"}, true)
      .Default(false);
}

/// Signless integers and floats pass, unsigned integers lose their sign; codes
/// become bytes.
class ElementTypeConverter : public TypeConverter {
public:
  ElementTypeConverter() {
    addConversion([](Type type) { return type; });
    addConversion([](RankedTensorType type) -> std::optional<Type> {
      Type elem = type.getElementType();
      if (onnxElementType(elem) == 0 && !elem.isIntOrIndex())
        return Type();
      if (isCoded(elem))
        elem = IntegerType::get(type.getContext(), 8);
      else if (auto integer = dyn_cast<IntegerType>(elem))
        elem = IntegerType::get(type.getContext(), integer.getWidth());
      return type.clone(elem);
    });
    addConversion(
        [](UnrankedTensorType type) -> std::optional<Type> { return Type(); });
  }
};

bool isONNX(Operation *op) {
  return op->getName().getDialectNamespace() == "onnx";
}

bool isNoValue(Operation *op) {
  return op->getName().getStringRef() == "onnx.NoValue";
}

/// One pattern for all operators: the table has the rest.
class LowerOperator : public ConversionPattern {
public:
  LowerOperator(const TypeConverter &types, MLIRContext *ctx,
                const LowerTable &table, LoweringState &state)
      : ConversionPattern(types, MatchAnyOpTypeTag(), /*benefit=*/1, ctx),
        table(table), state(state) {}

  LogicalResult
  matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                  ConversionPatternRewriter &rewriter) const override {
    // Operators with subgraphs have patterns of their own.
    if (!isONNX(op) || isNoValue(op) || state.failures.contains(op) ||
        op->hasTrait<OpTrait::IsTerminator>())
      return failure();
    OpLowering lowering(op, operands, rewriter, *getTypeConverter(), state);
    if (succeeded(lower(lowering))) {
      rewriter.replaceOp(op, lowering.results);
      return success();
    }
    // What was built is rolled back, so nothing may refer to it.
    state.forgetValues();
    return failure();
  }

private:
  LogicalResult lower(OpLowering &l) const {
    auto entry = table.find(l.op->getName().getStringRef());
    if (entry == table.end())
      return l.failed() ? failure() : l.fail("no lowering for this operator");
    for (Type type :
         llvm::concat<Type>(SmallVector<Type>(l.op->getOperandTypes()),
                            SmallVector<Type>(l.op->getResultTypes()))) {
      if (isa<NoneType>(type))
        continue;
      if (!isa<RankedTensorType>(type))
        return l.fail(llvm::formatv("needs a known rank, has {0}", type));
      if (!getTypeConverter()->convertType(type))
        return l.fail(llvm::formatv("type {0} is not supported", type));
      if (isCoded(getElementTypeOrSelf(type)) && !movesElements(l.op))
        return l.fail(
            llvm::formatv("elements of type {0} can only be moved and "
                          "converted: convert them with Cast before",
                          getElementTypeOrSelf(type)));
    }
    if (failed(entry->second(l)))
      return l.failed() ? failure() : l.fail("not supported in this form");
    if (l.failed())
      return failure();
    return fitResults(l);
  }

  /// Gives every result the type that shape inference found.
  LogicalResult fitResults(OpLowering &l) const {
    l.results.resize(l.op->getNumResults());
    for (auto [i, result] : llvm::enumerate(l.results)) {
      if (!l.hasResult(i)) {
        result = Value();
        if (l.op->getResult(i).use_empty())
          continue;
        return l.fail("an output that is absent is used");
      }
      auto type = l.outType(i);
      if (!result)
        return l.fail("output " + Twine(i) + " is not supported");
      auto made = cast<RankedTensorType>(result.getType());
      if (made.getElementType() != type.getElementType() ||
          failed(verifyCompatibleShape(made, type)))
        return l.fail(llvm::formatv("the lowering gives {0} where {1} is "
                                    "expected",
                                    made, type));
      result = l.castTo(result, type);
    }
    return success();
  }

  const LowerTable &table;
  LoweringState &state;
};

/// Bytes that were signed, unsigned or signless are all signless now.
struct DropSignCast : OpConversionPattern<UnrealizedConversionCastOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(UnrealizedConversionCastOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (op->getNumOperands() != 1 || op->getNumResults() != 1 ||
        getTypeConverter()->convertType(op.getType(0)) !=
            adaptor.getInputs()[0].getType())
      return failure();
    rewriter.replaceOp(op, adaptor.getInputs()[0]);
    return success();
  }
};

class ConvertONNXToLinalg
    : public nibble::impl::ConvertONNXToLinalgBase<ConvertONNXToLinalg> {
public:
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    addElementwise(table);
    addActivations(table);
    addShape(table);
    addMovement(table);
    addIndexing(table);
    addCaches(table);
    addReductions(table);
    addNormalization(table);
    addPooling(table);
    addMatMul(table);
    addConvolution(table);
    addResize(table);
    addAttention(table);
    addQuantization(table);
    addCasts(table);
    addRecurrent(table);
    addWindows(table);
    addTraining(table);
    addSorting(table);
    addSignal(table);
    addSampling(table);
    addRandom(table);
    addMixers(table);
    addMachineLearning(table);
    return success();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    MLIRContext *ctx = &getContext();
    ElementTypeConverter types;
    LoweringState state;
    for (auto func : module.getOps<func::FuncOp>())
      if (failed(noteElementTypes(func, types)))
        return signalPassFailure();

    ConversionTarget target(*ctx);
    target.addLegalDialect<arith::ArithDialect, cf::ControlFlowDialect,
                           linalg::LinalgDialect, math::MathDialect,
                           scf::SCFDialect, tensor::TensorDialect,
                           nibble::NibbleDialect>();
    target.addDynamicallyLegalOp<func::FuncOp>([&](func::FuncOp func) {
      return types.isSignatureLegal(func.getFunctionType()) &&
             types.isLegal(&func.getBody());
    });
    target.addDynamicallyLegalOp<func::ReturnOp>(
        [&](func::ReturnOp op) { return types.isLegal(op); });

    RewritePatternSet patterns(ctx);
    patterns.add<LowerOperator>(types, ctx, table, state);
    patterns.add<DropSignCast>(types, ctx);
    target.addIllegalOp<UnrealizedConversionCastOp>();
    populateControlFlowPatterns(patterns, types, state);
    populateFunctionOpInterfaceTypeConversionPattern<func::FuncOp>(patterns,
                                                                   types);
    populateReturnOpTypeConversionPattern(patterns, types);

    int64_t before = 0;
    module.walk([&](Operation *op) { before += isONNX(op) && !isNoValue(op); });
    // Operators are of unknown legality: those that fail stay, so that all of
    // them can be reported together.
    // Casts around them would only add a second, obscure message.
    ConversionConfig config;
    config.buildMaterializations = false;
    bool converted = succeeded(
        applyPartialConversion(module, target, std::move(patterns), config));
    if (failed(reportFailures(state)) || !converted)
      return signalPassFailure();
    numLowered += before;
    module.walk([](Operation *op) {
      if (isNoValue(op) && op->use_empty())
        op->erase();
    });
  }

private:
  /// Records what signless types no longer tell.
  LogicalResult noteElementTypes(func::FuncOp func,
                                 const TypeConverter &types) {
    auto number = [&](Type type) -> Attribute {
      auto tensor = dyn_cast<RankedTensorType>(type);
      int64_t n = tensor ? onnxElementType(tensor.getElementType()) : 0;
      return n == 0 || !types.convertType(type)
                 ? Attribute()
                 : IntegerAttr::get(IntegerType::get(&getContext(), 64), n);
    };
    auto unsupported = [&](StringRef what, unsigned i, Attribute name,
                           Type type) {
      auto str = dyn_cast_or_null<StringAttr>(name);
      return func.emitError()
             << what << " " << i
             << (str ? " '" + str.getValue().str() + "'" : "") << " has type "
             << type << ", which a compiled model cannot take or give";
    };
    for (auto [i, type] : llvm::enumerate(func.getArgumentTypes())) {
      Attribute n = number(type);
      if (!n)
        return unsupported("input", i, func.getArgAttr(i, "onnx.name"), type);
      if (!func.getArgAttr(i, "onnx.elem_type"))
        func.setArgAttr(i, "onnx.elem_type", n);
    }
    for (auto [i, type] : llvm::enumerate(func.getResultTypes())) {
      Attribute n = number(type);
      if (!n)
        return unsupported("output", i, func.getResultAttr(i, "onnx.name"),
                           type);
      if (!func.getResultAttr(i, "onnx.elem_type"))
        func.setResultAttr(i, "onnx.elem_type", n);
    }
    return success();
  }

  /// One message with every operator that stayed.
  LogicalResult reportFailures(LoweringState &state) {
    SmallVector<Operation *> left;
    getOperation().walk([&](Operation *op) {
      if (isONNX(op) && !isNoValue(op))
        left.push_back(op);
    });
    if (left.empty())
      return success();
    InFlightDiagnostic diag = left.front()->emitError()
                              << left.size()
                              << (left.size() == 1 ? " operator" : " operators")
                              << " cannot be compiled:";
    for (Operation *op : left) {
      auto name = op->getAttrOfType<StringAttr>("onnx.name");
      auto reason = state.failures.find(op);
      diag << "\n  " << op->getName().stripDialect()
           << (name ? " '" + name.getValue().str() + "'" : "") << ": "
           << (reason == state.failures.end() ? "depends on one of the others"
                                              : reason->second);
    }
    return failure();
  }

  LowerTable table;
};

} // namespace
