//===- ControlFlow.cpp - If and Loop as scf
//-----------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Subgraphs move into scf.if and scf.while; the operators in them are lowered
// where they are. Values that cross an edge get the type that the operator's
// result has, as branches and iterations may differ in static sizes.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

namespace {
/// Counts how many values of a loop are carried; the rest are scan outputs.
constexpr StringLiteral carriedAttr = "nibble.carried";

class ControlFlowPattern : public ConversionPattern {
public:
  ControlFlowPattern(StringRef name, const TypeConverter &types,
                     MLIRContext *ctx, LoweringState &state)
      : ConversionPattern(types, name, /*benefit=*/2, ctx), state(state) {}

protected:
  /// The converted types of the results, or failure with a reason.
  FailureOr<SmallVector<Type>> resultTypes(OpLowering &l) const {
    SmallVector<Type> converted;
    for (Type type : l.op->getResultTypes()) {
      Type to = isa<RankedTensorType>(type)
                    ? getTypeConverter()->convertType(type)
                    : Type();
      if (!to)
        return l.fail(
            llvm::formatv("a result of type {0} is not supported", type));
      converted.push_back(to);
    }
    return converted;
  }

  LoweringState &state;
};

class LowerIf : public ControlFlowPattern {
public:
  LowerIf(const TypeConverter &types, MLIRContext *ctx, LoweringState &state)
      : ControlFlowPattern("onnx.If", types, ctx, state) {}

  LogicalResult
  matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                  ConversionPatternRewriter &rewriter) const override {
    OpLowering l(op, operands, rewriter, *getTypeConverter(), state);
    auto types = resultTypes(l);
    if (failed(types))
      return failure();
    Value cond = l.scalarOf(l.in(0));
    auto branch = scf::IfOp::create(rewriter, l.loc, *types, cond,
                                    /*addThenBlock=*/false,
                                    /*addElseBlock=*/false);
    rewriter.inlineRegionBefore(op->getRegion(0), branch.getThenRegion(),
                                branch.getThenRegion().end());
    rewriter.inlineRegionBefore(op->getRegion(1), branch.getElseRegion(),
                                branch.getElseRegion().end());
    rewriter.replaceOp(op, branch.getResults());
    return success();
  }
};

class LowerLoop : public ControlFlowPattern {
public:
  LowerLoop(const TypeConverter &types, MLIRContext *ctx, LoweringState &state)
      : ControlFlowPattern("onnx.Loop", types, ctx, state) {}

  LogicalResult
  matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                  ConversionPatternRewriter &rewriter) const override {
    OpLowering l(op, operands, rewriter, *getTypeConverter(), state);
    auto types = resultTypes(l);
    if (failed(types))
      return failure();
    Block &body = op->getRegion(0).front();
    int64_t carried = op->getNumOperands() - 2;
    if (static_cast<int64_t>(body.getNumArguments()) != carried + 2)
      return l.fail("the body does not take what the loop carries");

    // Count, condition, carried values, scan outputs so far (none).
    Type index = rewriter.getIndexType(), i1 = rewriter.getI1Type();
    SmallVector<Value> init{l.value(l.index(0)),
                            l.has(1) ? l.scalarOf(l.in(1))
                                     : l.scalars().integer(i1, 1)};
    SmallVector<Type> stateTypes{index, i1};
    for (auto [i, type] : llvm::enumerate(*types)) {
      auto tensor = cast<RankedTensorType>(type);
      if (static_cast<int64_t>(i) < carried) {
        init.push_back(l.castTo(l.in(i + 2), tensor));
        stateTypes.push_back(tensor);
        continue;
      }
      SmallVector<int64_t> shape(tensor.getShape());
      SmallVector<OpFoldResult> sizes;
      shape[0] = ShapedType::kDynamic;
      sizes.push_back(l.value(l.index(0)));
      for (int64_t n : llvm::drop_begin(shape))
        sizes.push_back(l.index(ShapedType::isDynamic(n) ? 0 : n));
      auto grown = RankedTensorType::get(shape, tensor.getElementType());
      Value none = l.empty(sizes, tensor.getElementType());
      init.push_back(
          none.getType() == grown
              ? none
              : tensor::CastOp::create(rewriter, l.loc, grown, none));
      stateTypes.push_back(grown);
    }
    Value limit = l.has(0) ? l.scalars().toIndex(l.scalarOf(l.in(0))) : Value();

    auto loop = scf::WhileOp::create(rewriter, l.loc, stateTypes, init);
    loop->setAttr(carriedAttr, rewriter.getI64IntegerAttr(carried));
    SmallVector<Location> locs(stateTypes.size(), l.loc);
    Block *before =
        rewriter.createBlock(&loop.getBefore(), {}, stateTypes, locs);
    Scalars s{rewriter, l.loc};
    Value goesOn = before->getArgument(1);
    if (limit)
      goesOn = arith::AndIOp::create(rewriter, l.loc, goesOn,
                                     s.lt(before->getArgument(0), limit));
    scf::ConditionOp::create(rewriter, l.loc, goesOn, before->getArguments());

    Block *after = rewriter.createBlock(&loop.getAfter(), {}, stateTypes, locs);
    SmallVector<Value> arguments;
    Value count = s.fromIndex(after->getArgument(0), rewriter.getI64Type());
    Value scalars[] = {count, after->getArgument(1)};
    for (auto [i, argument] : llvm::enumerate(body.getArguments())) {
      auto type = dyn_cast_or_null<RankedTensorType>(
          getTypeConverter()->convertType(argument.getType()));
      if (!type)
        return l.fail("a value that the loop carries has no supported type");
      if (i >= 2) {
        arguments.push_back(l.castTo(after->getArgument(i), type));
        continue;
      }
      // Rank 1 is allowed for both, with one element.
      auto one = RankedTensorType::get(SmallVector<int64_t>(type.getRank(), 1),
                                       type.getElementType());
      arguments.push_back(l.fromElements(scalars[i], one));
    }
    rewriter.inlineBlockBefore(&body, after, after->end(), arguments);
    rewriter.setInsertionPointAfter(loop);
    SmallVector<Value> results;
    for (auto [value, type] :
         llvm::zip_equal(loop.getResults().drop_front(2), *types))
      results.push_back(l.castTo(value, cast<RankedTensorType>(type)));
    rewriter.replaceOp(op, results);
    return success();
  }
};

/// The end of a subgraph whose operator has been replaced.
class LowerYield : public ControlFlowPattern {
public:
  LowerYield(const TypeConverter &types, MLIRContext *ctx, LoweringState &state)
      : ControlFlowPattern("onnx.Yield", types, ctx, state) {}

  LogicalResult
  matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                  ConversionPatternRewriter &rewriter) const override {
    OpLowering l(op, operands, rewriter, *getTypeConverter(), state);
    Operation *parent = op->getParentOp();
    SmallVector<Value> values;
    if (isa<scf::IfOp>(parent)) {
      for (auto [value, type] :
           llvm::zip_equal(operands, parent->getResultTypes()))
        values.push_back(l.castTo(value, cast<RankedTensorType>(type)));
      rewriter.replaceOpWithNewOp<scf::YieldOp>(op, values);
      return success();
    }
    auto loop = dyn_cast<scf::WhileOp>(parent);
    if (!loop)
      return l.fail("ends a subgraph of an operator that is not supported");
    int64_t carried = loop->getAttrOfType<IntegerAttr>(carriedAttr).getInt();
    Block *after = loop.getAfterBody();
    values = {l.value(l.add(after->getArgument(0), l.index(1))),
              l.scalarOf(operands[0])};
    for (auto [i, value] : llvm::enumerate(operands.drop_front())) {
      Value old = after->getArgument(i + 2);
      auto type = cast<RankedTensorType>(old.getType());
      if (static_cast<int64_t>(i) < carried)
        values.push_back(l.castTo(value, type));
      else
        values.push_back(append(l, old, l.unsqueeze(value, 0), type));
    }
    rewriter.replaceOpWithNewOp<scf::YieldOp>(op, values);
    return success();
  }

private:
  /// Stacks one more scan output; the first decides sizes that were unknown.
  static Value append(OpLowering &l, Value stacked, Value next,
                      RankedTensorType type) {
    SmallVector<OpFoldResult> sizes = l.sizes(next), offsets;
    OpFoldResult count = l.size(stacked, 0);
    sizes[0] = l.add(count, l.index(1));
    Value grown = l.empty(sizes, type.getElementType());
    offsets.assign(sizes.size(), l.index(0));
    SmallVector<OpFoldResult> oldSizes(sizes);
    oldSizes[0] = count;
    Value old = l.slice(stacked, offsets, oldSizes);
    grown = l.insert(old, grown, offsets);
    offsets[0] = count;
    grown = l.insert(next, grown, offsets);
    return grown.getType() == type
               ? grown
               : Value(tensor::CastOp::create(l.b, l.loc, type, grown));
  }
};
} // namespace

void populateControlFlowPatterns(RewritePatternSet &patterns,
                                 const TypeConverter &types,
                                 LoweringState &state) {
  patterns.add<LowerIf, LowerLoop, LowerYield>(types, patterns.getContext(),
                                               state);
}

} // namespace nibble::onnx_to_linalg
