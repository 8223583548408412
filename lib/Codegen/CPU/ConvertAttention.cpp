//===- ConvertAttention.cpp - nibble.attention to its kernel --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelCalls.h"
#include "nibble/Codegen/CPU/AttentionKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

/// Windows larger than any number of keys mean the same as this one.
constexpr int64_t maxWindow = int64_t(1) << 40;

/// Collects what the kernel gets: flat memory first, then numbers.
class AttentionCall {
public:
  AttentionCall(AttentionOp op, KernelCalls &calls)
      : op(op), calls(calls), b(op), kb(b, op.getLoc(), calls.target) {}

  void convert();

private:
  void addMemory(Value memref, bool byToken, bool isMask = false);
  Value getScale(Type acc, Index width);
  static HeadMemory takeMemory(KernelBuilder &kernel, Value memory,
                               ValueRange::iterator &numbers) {
    HeadMemory result{memory, {}, {}, {}};
    for (Index *stride : {&result.batch, &result.head, &result.token})
      *stride = kernel.index(*numbers++);
    return result;
  }
  static AttentionArguments takeArguments(KernelBuilder &kernel,
                                          const AttentionSpec &spec,
                                          ValueRange arguments);

  AttentionOp op;
  KernelCalls &calls;
  OpBuilder b;
  KernelBuilder kb;
  SmallVector<Value> memories, numbers;
};

} // namespace

/// All memory comes as `memref<?xT, strided<[1], offset: ?>>`, so that every
/// call of a kernel has the same types.
void AttentionCall::addMemory(Value memref, bool byToken, bool isMask) {
  Value flat;
  Index offset;
  SmallVector<Index> strides;
  flattenStrided(kb, memref, flat, offset, strides);
  flat = viewBytes(kb, flat);
  auto type = cast<MemRefType>(flat.getType());
  auto layout = StridedLayoutAttr::get(b.getContext(), ShapedType::kDynamic,
                                       ArrayRef<int64_t>{1});
  type = MemRefType::get({ShapedType::kDynamic}, type.getElementType(), layout);
  memories.push_back(b.createOrFold<memref::CastOp>(op.getLoc(), type, flat));
  if (strides.size() != 4)
    return;
  SmallVector<int64_t, 3> dims = {0, AttentionOp::getHeadDim(byToken),
                                  AttentionOp::getTokenDim(byToken)};
  for (int64_t dim : dims) {
    Index stride = strides[dim];
    if (isMask) {
      Value one = kb.eq(kb.dim(memref, dim), 1);
      stride = kb.index(b.createOrFold<arith::SelectOp>(
          op.getLoc(), one, kb.index(0), Value(stride)));
    }
    numbers.push_back(stride);
  }
}

Value AttentionCall::getScale(Type acc, Index width) {
  Location loc = op.getLoc();
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(acc, value));
  };
  if (auto scale = op.getScale())
    return constant(scale->convertToDouble());
  if (auto known = getConstantIntValue(OpFoldResult(Value(width))))
    return constant(1 / std::sqrt(static_cast<double>(*known)));
  Value number =
      arith::IndexCastOp::create(b, loc, b.getI64Type(), Value(width));
  number = arith::SIToFPOp::create(b, loc, acc, number);
  return arith::DivFOp::create(b, loc, constant(1),
                               math::SqrtOp::create(b, loc, number));
}

AttentionArguments AttentionCall::takeArguments(KernelBuilder &kernel,
                                                const AttentionSpec &spec,
                                                ValueRange arguments) {
  auto memory = arguments.begin();
  bool hasMask = static_cast<bool>(spec.maskElement);
  bool hasLengths = static_cast<bool>(spec.lengthElement);
  auto number = memory + (4 + hasMask + hasLengths);
  AttentionArguments args;
  for (HeadMemory *operand : {&args.query, &args.key, &args.value, &args.out})
    *operand = takeMemory(kernel, *memory++, number);
  if (hasMask)
    args.mask = takeMemory(kernel, *memory++, number);
  if (hasLengths)
    args.lengths = *memory++;
  for (Index *size : {&args.batch, &args.kvHeads, &args.group, &args.queries,
                      &args.keys, &args.width, &args.valueWidth, &args.past,
                      &args.maskKeys, &args.left, &args.reach})
    *size = kernel.index(*number++);
  args.scale = *number++;
  args.softcap = *number++;
  // What is known is part of the kernel's name.
  auto fix = [&](Index &size, int64_t known) {
    if (!ShapedType::isDynamic(known))
      size = kernel.index(known);
  };
  fix(args.width, spec.width);
  fix(args.valueWidth, spec.valueWidth);
  fix(args.group, spec.group);
  return args;
}

void AttentionCall::convert() {
  Location loc = op.getLoc();
  Value query = op.getQuery(), key = op.getKey(), value = op.getValue();
  auto elementOf = [](Value memref) {
    return cast<MemRefType>(memref.getType()).getElementType();
  };
  AttentionSpec spec;
  spec.element = elementOf(query);
  spec.valueElement = elementOf(value);
  addMemory(query, op.getQueryByToken());
  addMemory(key, op.getKeyByToken());
  addMemory(value, op.getValueByToken());
  addMemory(op.getOuts(), op.getResultByToken());
  if (Value mask = op.getMask()) {
    spec.maskElement = elementOf(mask);
    ArrayRef<int64_t> shape = cast<MemRefType>(mask.getType()).getShape();
    spec.maskColumn = shape[3] == 1;
    spec.maskRow = !spec.maskColumn && shape[1] == 1 && shape[2] == 1;
    addMemory(mask, /*byToken=*/false, /*isMask=*/true);
  }
  if (Value lengths = op.getLengths()) {
    spec.lengthElement = elementOf(lengths);
    addMemory(lengths, /*byToken=*/false);
  }

  auto size = [&](Value memref, int64_t dim) { return kb.dim(memref, dim); };
  auto heads = [&](Value memref, bool byToken) {
    return size(memref, AttentionOp::getHeadDim(byToken));
  };
  auto tokens = [&](Value memref, bool byToken) {
    return size(memref, AttentionOp::getTokenDim(byToken));
  };
  Index kvHeads = heads(key, op.getKeyByToken());
  Index group = heads(query, op.getQueryByToken()) / max(kvHeads, 1);
  Index width = size(query, 3), valueWidth = size(value, 3);
  auto known = [](Index index) {
    return getConstantIntValue(OpFoldResult(Value(index)))
        .value_or(ShapedType::kDynamic);
  };
  spec.width = known(width);
  spec.valueWidth = known(valueWidth);
  spec.group = known(group);
  int64_t left = op.getLeftWindow(), reach = op.getReach();
  spec.left = left >= 0;
  spec.reach = reach >= 0;
  spec.softcap = !op.getSoftcap().isZero();
  Index zero = kb.index(0);
  auto window = [&](int64_t value) {
    return kb.index(std::clamp<int64_t>(value, 0, maxWindow));
  };
  for (Index number :
       {size(query, 0), kvHeads, group, tokens(query, op.getQueryByToken()),
        tokens(key, op.getKeyByToken()), width, valueWidth,
        op.getPast() ? kb.index(op.getPast()) : zero,
        op.getMask() ? size(op.getMask(), 3) : zero, window(left),
        window(reach)})
    numbers.push_back(number);
  Type acc = spec.element.isF64() ? spec.element : Type(b.getF32Type());
  numbers.push_back(getScale(acc, width));
  numbers.push_back(arith::ConstantOp::create(
      b, loc, b.getFloatAttr(acc, op.getSoftcap().convertToDouble())));

  // Flat memory is not to be made contiguous: it goes with the numbers.
  SmallVector<Value> all(memories);
  llvm::append_range(all, numbers);
  calls.call(b, loc, spec.getName(), {}, all,
             [&](KernelBuilder &kernel, ValueRange arguments) {
               emitAttention(kernel, spec,
                             takeArguments(kernel, spec, arguments));
             });
  op.erase();
}

void convertAttention(AttentionOp op, KernelCalls &calls) {
  AttentionCall(op, calls).convert();
}

} // namespace nibble::codegen
