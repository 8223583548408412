//===- SortGroups.cpp - The pass nibble-sort-groups -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Quantizer/Packing.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLESORTGROUPSPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// The columns of a weight in the order of their groups.
struct Order {
  /// Old column at each new one; -1 for one that only fills a group.
  std::vector<int32_t> columns;
  /// Old group of each new one.
  std::vector<int64_t> groups;
  /// Columns of a new group.
  int64_t length;
};

/// Groups that are full keep their length. Others are cut into short ones, so
/// that little is filled up.
Order getOrder(ArrayRef<int64_t> groupOf, int64_t numGroups, int64_t length) {
  constexpr int64_t shortLength = 16;
  std::vector<std::vector<int32_t>> members(numGroups);
  for (auto [column, group] : llvm::enumerate(groupOf))
    members[group].push_back(column);
  int64_t left = groupOf.size();
  bool isFull = true;
  for (const std::vector<int32_t> &group : members) {
    isFull &= int64_t(group.size()) == std::min(length, left);
    left -= group.size();
  }
  Order order;
  order.length = isFull ? length : std::min(length, shortLength);
  for (auto [index, group] : llvm::enumerate(members))
    for (size_t begin = 0; begin < group.size(); begin += order.length) {
      size_t end = std::min<size_t>(begin + order.length, group.size());
      order.groups.push_back(index);
      order.columns.insert(order.columns.end(), group.begin() + begin,
                           group.begin() + end);
      if (!isFull)
        order.columns.resize(order.groups.size() * order.length, -1);
    }
  return order;
}

ArrayRef<uint8_t> asUnsigned(ArrayRef<char> bytes) {
  return {reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()};
}

struct NibbleSortGroupsPass
    : public impl::NibbleSortGroupsPassBase<NibbleSortGroupsPass> {
  using Base::Base;

  void runOnOperation() override {
    WalkResult result = getOperation()->walk([&](MatMulOp op) -> WalkResult {
      return op.getGroupIndex() ? sort(op) : success();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

private:
  LogicalResult sort(MatMulOp op) {
    SchemeAttr scheme = op.getSchemeAttr();
    FailureOr<ConstantData> index = ConstantData::get(op.getGroupIndex());
    if (scheme.getPacking() != Packing::Rows || failed(index) ||
        !op.getResult())
      return op.emitOpError("expected a constant group_index of a weight in "
                            "rows packing, on tensors");
    if (scheme.getSecondType())
      return op.emitOpError("expected one level of scales with a group_index, "
                            "got ")
             << scheme;
    int64_t n = op.getN(), k = op.getK(), numGroups = scheme.getNumGroups(k);
    std::vector<int64_t> groupOf(k);
    if (failed(index->expanded().readIntegers(0, groupOf)))
      return op.emitOpError("cannot read the group_index");
    for (int64_t group : groupOf)
      if (group < 0 || group >= numGroups)
        return op.emitOpError("expected a group_index in [0, ")
               << numGroups - 1 << "], got " << group;
    Order order = getOrder(groupOf, numGroups, scheme.getGroupLength(k));
    int64_t newK = order.columns.size();
    auto sorted = SchemeAttr::get(
        op.getContext(), scheme.getCodebook(), scheme.getBits(),
        scheme.getTable(), order.length, scheme.getScaleType(), Type(), 0,
        false, false, scheme.getZero(), /*groupIndex=*/false, 0, Packing::Rows);

    FailureOr<Value> codes =
        remake(op.getWeight(), sorted.getCodesShape(n, newK),
               [&](const ConstantData &data, MutableArrayRef<char> out) {
                 std::vector<uint8_t> all(n * k), moved(n * newK);
                 bool isSigned = scheme.isSignedCodes();
                 quantizer::unpackRows(asUnsigned(data.getBytes()), n, k,
                                       scheme.getBits(), isSigned, all);
                 for (int64_t row = 0; row < n; ++row)
                   for (int64_t c = 0; c < newK; ++c)
                     if (order.columns[c] >= 0)
                       moved[row * newK + c] = all[row * k + order.columns[c]];
                 quantizer::packRows(
                     moved, n, newK, scheme.getBits(), isSigned,
                     {reinterpret_cast<uint8_t *>(out.data()), out.size()});
               });
    auto repeat = [&](const ConstantData &data, MutableArrayRef<char> out) {
      size_t width = data.getStorageBits() / 8, count = order.groups.size();
      for (int64_t row = 0; row < n; ++row)
        for (size_t g = 0; g < count; ++g)
          std::memcpy(
              &out[(row * count + g) * width],
              &data.getBytes()[(row * numGroups + order.groups[g]) * width],
              width);
    };
    SmallVector<int64_t> shape = sorted.getScalesShape(n, newK);
    FailureOr<Value> scales = remake(op.getScales(), shape, repeat);
    FailureOr<Value> zeros = Value();
    if (op.getZeros())
      zeros = remake(op.getZeros(), shape, repeat);
    if (failed(codes) || failed(scales) || failed(zeros))
      return failure();
    FailureOr<Value> input = gatherColumns(op, order);
    if (failed(input))
      return failure();
    op.getInputMutable().assign(*input);
    op.setK(newK);
    op.setQuantizedWeight({*codes, *scales, *zeros, Value(), Value()}, sorted);
    ++numSorted;
    return success();
  }

  /// Another constant made of the one that `value` is.
  static FailureOr<Value>
  remake(Value value, ArrayRef<int64_t> shape,
         function_ref<void(const ConstantData &, MutableArrayRef<char>)> fill) {
    auto source = value.getDefiningOp<ConstantOp>();
    FailureOr<ConstantData> data = ConstantData::get(value);
    if (!source || failed(data))
      return emitError(value.getLoc())
             << "expected a constant weight with a group_index";
    ConstantData elements = data->expanded();
    auto type = RankedTensorType::get(
        shape, cast<ShapedType>(value.getType()).getElementType());
    FailureOr<ElementsAttr> result =
        createBlobAttr(value.getLoc(), type, source.getName(),
                       [&](MutableArrayRef<char> out) { fill(elements, out); });
    if (failed(result))
      return failure();
    OpBuilder b(source);
    auto op = ConstantOp::create(b, value.getLoc(), *result);
    op->setDiscardableAttrs(source->getDiscardableAttrDictionary());
    return op.getResult();
  }

  /// The input with its columns in the new order, zero where there is none.
  static FailureOr<Value> gatherColumns(MatMulOp op, const Order &order) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    int64_t newK = order.columns.size();
    FailureOr<ElementsAttr> columns = createBlobAttr(
        loc, RankedTensorType::get({newK}, b.getI32Type()), "columns",
        [&](MutableArrayRef<char> out) {
          std::memcpy(out.data(), order.columns.data(), out.size());
        });
    if (failed(columns))
      return failure();
    Value index = ConstantOp::create(b, loc, *columns);
    Value input = op.getInput();
    auto type = cast<RankedTensorType>(input.getType());
    int64_t rank = type.getRank();
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, input);
    sizes.back() = b.getIndexAttr(newK);
    Value init = tensor::EmptyOp::create(b, loc, sizes, type.getElementType());
    AffineMap last = AffineMap::get(
        rank, 0, getAffineDimExpr(rank - 1, b.getContext()), b.getContext());
    SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
    auto generic = linalg::GenericOp::create(
        b, loc, init.getType(), index, init,
        ArrayRef<AffineMap>{last, b.getMultiDimIdentityMap(rank)}, loops,
        [&](OpBuilder &b, Location loc, ValueRange args) {
          SmallVector<Value> at;
          for (int64_t d = 0; d < rank - 1; ++d)
            at.push_back(linalg::IndexOp::create(b, loc, d));
          Value zero = arith::ConstantIntOp::create(b, loc, b.getI32Type(), 0);
          Value exists = arith::CmpIOp::create(
              b, loc, arith::CmpIPredicate::sge, args[0], zero);
          Value column = arith::MaxSIOp::create(b, loc, args[0], zero);
          at.push_back(
              arith::IndexCastOp::create(b, loc, b.getIndexType(), column));
          Value x = tensor::ExtractOp::create(b, loc, input, at);
          Value none = arith::ConstantOp::create(
              b, loc, b.getZeroAttr(type.getElementType()));
          linalg::YieldOp::create(
              b, loc,
              arith::SelectOp::create(b, loc, exists, x, none).getResult());
        });
    return generic.getResult(0);
  }
};

} // namespace
} // namespace nibble
