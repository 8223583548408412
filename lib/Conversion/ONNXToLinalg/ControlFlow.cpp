//===- ControlFlow.cpp - If, Loop and Scan as scf -------------------------===//
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
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

namespace {
/// Counts how many values of a loop are carried; the rest are scan outputs.
constexpr StringLiteral carriedAttr = "nibble.carried";
/// The body yields a condition first.
constexpr StringLiteral decidesAttr = "nibble.body_decides";

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

/// What Loop and Scan share: an scf.while over the count, the condition, the
/// carried values and the scan outputs so far.
class RepeatPattern : public ControlFlowPattern {
public:
  using ControlFlowPattern::ControlFlowPattern;

protected:
  struct Repeat {
    scf::WhileOp loop;
    /// The block that the body is to be moved to the end of.
    Block *after;
  };

  /// The scan outputs (results after the first `carried`) start empty; they
  /// are stacked along a new first dimension.
  Repeat buildWhile(OpLowering &l, ArrayRef<Type> resultTypes,
                    ArrayRef<Value> carried, Value cond, Value limit,
                    bool bodyDecides,
                    ConversionPatternRewriter &rewriter) const {
    Type index = rewriter.getIndexType(), i1 = rewriter.getI1Type();
    SmallVector<Value> init{l.value(l.index(0)), cond};
    SmallVector<Type> stateTypes{index, i1};
    for (auto [i, type] : llvm::enumerate(resultTypes)) {
      auto tensor = cast<RankedTensorType>(type);
      if (i < carried.size()) {
        init.push_back(l.castTo(carried[i], tensor));
        stateTypes.push_back(tensor);
        continue;
      }
      SmallVector<int64_t> shape(tensor.getShape());
      SmallVector<OpFoldResult> sizes{l.value(l.index(0))};
      shape[0] = ShapedType::kDynamic;
      for (int64_t n : llvm::drop_begin(shape))
        sizes.push_back(l.index(ShapedType::isDynamic(n) ? 0 : n));
      auto grown = RankedTensorType::get(shape, tensor.getElementType());
      Value none = l.empty(sizes, tensor.getElementType());
      init.push_back(
          none.getType() == grown
              ? none
              : Value(tensor::CastOp::create(rewriter, l.loc, grown, none)));
      stateTypes.push_back(grown);
    }

    auto loop = scf::WhileOp::create(rewriter, l.loc, stateTypes, init);
    loop->setAttr(carriedAttr, rewriter.getI64IntegerAttr(carried.size()));
    if (bodyDecides)
      loop->setAttr(decidesAttr, rewriter.getUnitAttr());
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
    return {loop, after};
  }

  /// The type that a body's argument has after conversion, null if none.
  RankedTensorType argumentType(BlockArgument argument) const {
    return dyn_cast_or_null<RankedTensorType>(
        getTypeConverter()->convertType(argument.getType()));
  }

  bool hasArgumentTypes(Block &body) const {
    return llvm::all_of(body.getArguments(),
                        [&](BlockArgument a) { return argumentType(a); });
  }
};

class LowerLoop : public RepeatPattern {
public:
  LowerLoop(const TypeConverter &types, MLIRContext *ctx, LoweringState &state)
      : RepeatPattern("onnx.Loop", types, ctx, state) {}

  LogicalResult
  matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                  ConversionPatternRewriter &rewriter) const override {
    OpLowering l(op, operands, rewriter, *getTypeConverter(), state);
    auto types = resultTypes(l);
    if (failed(types))
      return failure();
    Block &body = op->getRegion(0).front();
    ArrayRef<Value> carried = operands.drop_front(2);
    if (body.getNumArguments() != carried.size() + 2)
      return l.fail("the body does not take what the loop carries");
    if (!hasArgumentTypes(body))
      return l.fail("a value that the loop carries has no supported type");

    Value cond = l.has(1) ? l.scalarOf(l.in(1))
                          : l.scalars().integer(rewriter.getI1Type(), 1);
    Value limit = l.has(0) ? l.scalars().toIndex(l.scalarOf(l.in(0))) : Value();
    Repeat repeat = buildWhile(l, *types, carried, cond, limit,
                               /*bodyDecides=*/true, rewriter);
    Value count = l.scalars().fromIndex(repeat.after->getArgument(0),
                                        rewriter.getI64Type());
    Value scalars[] = {count, repeat.after->getArgument(1)};
    SmallVector<Value> arguments;
    for (auto [i, argument] : llvm::enumerate(body.getArguments())) {
      auto type = argumentType(argument);
      if (i >= 2) {
        arguments.push_back(l.castTo(repeat.after->getArgument(i), type));
        continue;
      }
      // Rank 1 is allowed for both, with one element.
      auto one = RankedTensorType::get(SmallVector<int64_t>(type.getRank(), 1),
                                       type.getElementType());
      arguments.push_back(l.fromElements(scalars[i], one));
    }
    rewriter.inlineBlockBefore(&body, repeat.after, repeat.after->end(),
                               arguments);
    rewriter.setInsertionPointAfter(repeat.loop);
    SmallVector<Value> results;
    for (auto [value, type] :
         llvm::zip_equal(repeat.loop.getResults().drop_front(2), *types))
      results.push_back(l.castTo(value, cast<RankedTensorType>(type)));
    rewriter.replaceOp(op, results);
    return success();
  }
};

class LowerScan : public RepeatPattern {
public:
  LowerScan(const TypeConverter &types, MLIRContext *ctx, LoweringState &state)
      : RepeatPattern("onnx.Scan", types, ctx, state) {}

  LogicalResult
  matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                  ConversionPatternRewriter &rewriter) const override {
    OpLowering l(op, operands, rewriter, *getTypeConverter(), state);
    auto types = resultTypes(l);
    if (failed(types))
      return failure();
    Block &body = op->getRegion(0).front();
    int64_t numScanned = l.getInt("num_scan_inputs", 0);
    if (numScanned < 1 || numScanned > static_cast<int64_t>(operands.size()) ||
        body.getNumArguments() != operands.size())
      return l.fail("the body does not take what the scan gives");
    if (!hasArgumentTypes(body))
      return l.fail("a value that the scan carries has no supported type");
    ArrayRef<Value> carried = operands.drop_back(numScanned);
    ArrayRef<Value> scanned = operands.take_back(numScanned);
    int64_t numOutputs = types->size() - carried.size();
    SmallVector<int64_t> inZeros(numScanned, 0), outZeros(numOutputs, 0);
    SmallVector<int64_t> inAxes = l.getInts("scan_input_axes", inZeros);
    SmallVector<int64_t> inReverse =
        l.getInts("scan_input_directions", inZeros);
    SmallVector<int64_t> outAxes = l.getInts("scan_output_axes", outZeros);
    SmallVector<int64_t> outReverse =
        l.getInts("scan_output_directions", outZeros);
    for (auto [input, axis] : llvm::zip_equal(scanned, inAxes))
      axis = axis < 0 ? axis + cast<RankedTensorType>(input.getType()).getRank()
                      : axis;

    OpFoldResult length = l.size(scanned[0], inAxes[0]);
    for (auto [input, axis] : llvm::zip_equal(scanned, inAxes))
      l.requireEqual(l.size(input, axis), length,
                     "the scanned inputs differ in length");
    // Scan outputs grow along dimension 0 and are turned afterwards.
    SmallVector<Type> grown(*types);
    SmallVector<SmallVector<int64_t>> turns(numOutputs);
    for (int64_t i = 0; i < numOutputs; ++i) {
      auto type = cast<RankedTensorType>((*types)[carried.size() + i]);
      int64_t rank = type.getRank();
      int64_t axis = outAxes[i] < 0 ? outAxes[i] + rank : outAxes[i];
      SmallVector<int64_t> shape(type.getShape());
      shape.erase(shape.begin() + axis);
      shape.insert(shape.begin(), ShapedType::kDynamic);
      grown[carried.size() + i] =
          RankedTensorType::get(shape, type.getElementType());
      turns[i] = llvm::to_vector(llvm::seq<int64_t>(1, rank));
      turns[i].insert(turns[i].begin() + axis, 0);
    }
    Value limit = l.value(length);
    Repeat repeat = buildWhile(
        l, grown, carried, l.scalars().integer(rewriter.getI1Type(), 1), limit,
        /*bodyDecides=*/false, rewriter);
    SmallVector<Value> arguments;
    for (auto [i, argument] : llvm::enumerate(body.getArguments())) {
      if (i < carried.size()) {
        arguments.push_back(
            l.castTo(repeat.after->getArgument(i + 2), argumentType(argument)));
        continue;
      }
      int64_t k = i - carried.size();
      OpFoldResult at = repeat.after->getArgument(0);
      if (inReverse[k])
        at = l.sub(l.sub(length, l.index(1)), at);
      Value part = l.slice(scanned[k], inAxes[k], at, l.index(1));
      SmallVector<OpFoldResult> sizes = l.sizes(part);
      sizes.erase(sizes.begin() + inAxes[k]);
      arguments.push_back(
          l.castTo(l.reshape(part, sizes), argumentType(argument)));
    }
    rewriter.inlineBlockBefore(&body, repeat.after, repeat.after->end(),
                               arguments);
    rewriter.setInsertionPointAfter(repeat.loop);
    SmallVector<Value> results;
    for (auto [i, value] :
         llvm::enumerate(repeat.loop.getResults().drop_front(2))) {
      Value result = value;
      if (int64_t k = i - carried.size(); i >= carried.size()) {
        if (outReverse[k])
          result = reversed(l, result, length);
        result = l.transpose(result, turns[k]);
      }
      results.push_back(l.castTo(result, cast<RankedTensorType>((*types)[i])));
    }
    rewriter.replaceOp(op, results);
    return success();
  }

private:
  static Value reversed(OpLowering &l, Value tensor, OpFoldResult length) {
    Value last = l.value(l.sub(length, l.index(1)));
    Type elem = cast<RankedTensorType>(tensor.getType()).getElementType();
    return l.generate(l.sizes(tensor), elem, [&](Scalars &s, ValueRange at) {
      SmallVector<Value> from(at);
      from[0] = s.sub(last, at[0]);
      return OpLowering::at(s, tensor, from);
    });
  }
};

/// Attention whose scores and weights pass through subgraphs.
class LowerFlexAttention : public ControlFlowPattern {
public:
  LowerFlexAttention(const TypeConverter &types, MLIRContext *ctx,
                     LoweringState &state)
      : ControlFlowPattern("onnx.ai.onnx.preview.FlexAttention", types, ctx,
                           state) {}

  LogicalResult
  matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                  ConversionPatternRewriter &rewriter) const override {
    OpLowering l(op, operands, rewriter, *getTypeConverter(), state);
    auto flex = cast<onnx::FlexAttentionOp>(op);
    Type elem = l.outElem(), acc = computeType(elem);
    if (std::optional<int64_t> number = flex.getSoftmaxPrecision())
      acc = onnx::getElementType(op->getContext(), *number);
    if (!isa_and_nonnull<FloatType>(acc))
      return l.fail("softmax_precision is not a type of floats");
    Type wide = computeType(acc);
    SmallVector<OpFoldResult> q = l.sizes(l.in(0)), k = l.sizes(l.in(1));
    l.requireEqual(q[0], k[0], "Q and K have different batch sizes");
    l.requireEqual(l.size(l.in(2), 1), k[1], "K and V have different heads");
    l.requireEqual(l.size(l.in(2), 2), k[2], "K and V differ in length");
    // Queries that share a head are rows of one product.
    OpFoldResult rows = l.mul(l.floorDiv(q[1], k[1]), q[2]);
    l.requireEqual(l.mul(k[1], rows), l.mul(q[1], q[2]),
                   "the heads of Q are no multiple of those of K");
    auto in = [&](unsigned i) { return l.castElements(l.in(i), wide); };
    Value queries = l.reshape(in(0), {q[0], k[1], rows, q[3]});
    Value keys = l.transpose(in(1), {0, 1, 3, 2});
    Value scores = matmulBroadcast(l, queries, keys, wide);
    Scalars s = l.scalars();
    Value scale = flex.getScale()
                      ? s.constant(wide, *flex.getScale())
                      : s.div(s.constant(wide, 1),
                              s.sqrt(s.fromIndex(l.value(q[3]), wide)));
    scores = l.map(scores, acc, [&](Scalars &t, ValueRange v) {
      return t.mul(v[0], t.cast(scale, v[0].getType(), false, false));
    });
    SmallVector<OpFoldResult> sizes{q[0], q[1], q[2], k[2]};
    scores = l.reshape(scores, sizes);
    scores = inlined(l, scores, flex.getScoreMod(), rewriter);
    Value weights = softmax(l, scores, 3, acc);
    weights = inlined(l, weights, flex.getProbMod(), rewriter);
    if (l.failed())
      return failure();
    weights = l.reshape(weights, {q[0], k[1], rows, k[2]});
    Value y = matmulBroadcast(l, l.castElements(weights, wide), in(2), wide);
    SmallVector<OpFoldResult> outSizes{q[0], q[1], q[2], l.size(l.in(2), 3)};
    y = l.reshape(l.castElements(y, elem), outSizes);
    rewriter.replaceOp(op, l.castTo(y, l.outType()));
    return success();
  }

private:
  /// The value that a subgraph makes of `x`, moved before the operator.
  static Value inlined(OpLowering &l, Value x, Region &region,
                       ConversionPatternRewriter &rewriter) {
    if (region.empty())
      return x;
    Block &body = region.front();
    auto argument = dyn_cast<RankedTensorType>(body.getArgument(0).getType());
    Operation *yield = body.getTerminator();
    Value result = yield->getOperand(0);
    auto type = dyn_cast<RankedTensorType>(result.getType());
    auto given = cast<RankedTensorType>(x.getType());
    if (!argument || !type || type.getRank() != 4 ||
        argument.getElementType() != given.getElementType() ||
        type.getElementType() != given.getElementType()) {
      (void)l.fail("a subgraph does not take and give the scores");
      return x;
    }
    rewriter.eraseOp(yield);
    rewriter.inlineBlockBefore(&body, l.op, l.castTo(x, argument));
    rewriter.setInsertionPoint(l.op);
    return result;
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
    bool decides = loop->hasAttr(decidesAttr);
    values = {l.value(l.add(after->getArgument(0), l.index(1))),
              decides ? l.scalarOf(operands[0]) : after->getArgument(1)};
    for (auto [i, value] : llvm::enumerate(operands.drop_front(decides))) {
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
  patterns.add<LowerFlexAttention, LowerIf, LowerLoop, LowerScan, LowerYield>(
      types, patterns.getContext(), state);
}

} // namespace nibble::onnx_to_linalg
