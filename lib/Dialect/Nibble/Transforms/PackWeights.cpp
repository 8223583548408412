//===- PackWeights.cpp - Weights in the order of the kernels --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"

#include "IntegerWeightPacker.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Quantizer/Packing.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEPACKWEIGHTSPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

ArrayRef<uint8_t> asUnsigned(ArrayRef<char> bytes) {
  return {reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()};
}
MutableArrayRef<uint8_t> asUnsigned(MutableArrayRef<char> bytes) {
  return {reinterpret_cast<uint8_t *>(bytes.data()), bytes.size()};
}

using FillFn =
    llvm::function_ref<void(const ConstantData &, MutableArrayRef<uint8_t>)>;

struct NibblePackWeightsPass
    : public impl::NibblePackWeightsPassBase<NibblePackWeightsPass> {
  using Base::Base;

  void runOnOperation() override {
    packed.clear();
    WalkResult result =
        getOperation()->walk([&](QuantizableOpInterface op) -> WalkResult {
          if (auto matmul = dyn_cast<MatMulOp>(*op))
            return pack(matmul, op);
          if (auto conv = dyn_cast<ConvOp>(*op); conv && conv.getGroup() == 1)
            return pack(conv, op);
          return success();
        });
    IntegerWeightPacker integers;
    auto packInteger = [&](auto op) -> WalkResult {
      FailureOr<bool> done = integers.pack(op);
      if (succeeded(done))
        numPacked += *done;
      return failed(done) ? WalkResult::interrupt() : WalkResult::advance();
    };
    if (result.wasInterrupted() ||
        getOperation()
            ->walk([&](MatMulIntegerOp op) { return packInteger(op); })
            .wasInterrupted() ||
        getOperation()
            ->walk([&](ConvIntegerOp op) { return packInteger(op); })
            .wasInterrupted() ||
        getOperation()
            ->walk([&](MatMulOutliersOp op) { return packInteger(op); })
            .wasInterrupted())
      return signalPassFailure();
    getOperation()->walk([&](GatherOp op) { share(op); });
    // The constants in their old order have no users any more.
    getOperation()->walk([](ConstantOp op) {
      if (op->use_empty())
        op->erase();
    });
  }

private:
  template <typename OpTy>
  LogicalResult pack(OpTy op, QuantizableOpInterface quantizable) {
    if (op.getPackedFloat() ||
        !op.getWeight().template getDefiningOp<ConstantOp>())
      return success();
    WeightView view = op.getWeightView();
    if (SchemeAttr scheme = op.getSchemeAttr()) {
      if (scheme.getPacking() != Packing::Rows)
        return success();
      return packQuantized(quantizable, scheme, view);
    }
    return packFloat(op, view);
  }

  LogicalResult packQuantized(QuantizableOpInterface op, SchemeAttr scheme,
                              const WeightView &view) {
    QuantizedWeightValues old = op.getQuantizedWeight();
    int64_t rows = view.rows, columns = view.columns;
    SchemeAttr panels = scheme.withPacking(Packing::Panel);
    auto packCodes = [&](const ConstantData &data,
                         MutableArrayRef<uint8_t> out) {
      quantizer::packPanelsFromRows(asUnsigned(data.getBytes()), rows, columns,
                                    scheme.getBits(), scheme.isSignedCodes(),
                                    out);
    };
    auto packGroups = [&](const ConstantData &data,
                          MutableArrayRef<uint8_t> out) {
      quantizer::packGroupPanels(asUnsigned(data.getBytes()), rows,
                                 scheme.getNumGroups(columns),
                                 data.getStorageBits() / 8, out);
    };
    SmallVector<int64_t> groupShape = panels.getScalesShape(rows, columns);
    SmallVector<int64_t> secondShape;
    auto packSecond = [&](const ConstantData &data,
                          MutableArrayRef<uint8_t> out) {
      ArrayRef<uint8_t> bytes = asUnsigned(data.getBytes());
      size_t size = bytes.size() / secondShape[0];
      size_t newSize = out.size() / secondShape[0];
      for (int64_t i = 0; i < secondShape[0]; ++i)
        quantizer::packGroupPanels(bytes.slice(i * size, size), rows,
                                   secondShape[2], data.getStorageBits() / 8,
                                   out.slice(i * newSize, newSize));
    };
    FailureOr<Value> newCodes =
        repack(old.codes, panels.getCodesShape(rows, columns), scheme, view,
               packCodes);
    FailureOr<Value> newScales =
        repack(old.scales, groupShape, scheme, view, packGroups);
    FailureOr<Value> newZeros = Value(), newSecond = old.second;
    if (old.zeros)
      newZeros = repack(old.zeros, groupShape, scheme, view, packGroups);
    if (old.second) {
      secondShape = panels.getSecondShape(rows, columns);
      // Where its groups do not end with rows it keeps its order.
      if (secondShape.size() > 2)
        newSecond = repack(old.second, secondShape, scheme, view, packSecond);
      else
        packed[getKey(old.second, scheme, view)] = old.second;
    }
    if (failed(newCodes) || failed(newScales) || failed(newZeros) ||
        failed(newSecond))
      return failure();
    op.setQuantizedWeight(
        {*newCodes, *newScales, *newZeros, old.groupIndex, *newSecond}, panels);
    ++numPacked;
    return success();
  }

  template <typename OpTy>
  LogicalResult packFloat(OpTy op, const WeightView &view) {
    Value weight = op.getWeight();
    auto type = cast<RankedTensorType>(weight.getType());
    if (!type.getElementType().isF32())
      return success();
    auto packRows = [&](const ConstantData &data,
                        MutableArrayRef<uint8_t> out) {
      quantizer::WeightView source{data.getBytes().data(), view.rows,
                                   view.columns, view.rowStride,
                                   view.columnStride};
      quantizer::packFloatPanels(
          source, {reinterpret_cast<float *>(out.data()), out.size() / 4});
    };
    int64_t panels = quantizer::getNumPanels(view.rows);
    FailureOr<Value> result = repack(weight, {panels, view.columns, panelRows},
                                     SchemeAttr(), view, packRows);
    if (failed(result))
      return failure();
    op.getWeightMutable().assign(*result);
    op.setPackedFloat(true);
    ++numPacked;
    return success();
  }

  /// A table that a product reads as well, with the same scheme, is read where
  /// the product has it: a language model's embedding is most of its weights.
  void share(GatherOp op) {
    WeightView view = op.getWeightView();
    SchemeAttr scheme = op.getSchemeAttr();
    auto find = [&](Value value) {
      return value ? packed.lookup(getKey(value, scheme, view)) : Value();
    };
    QuantizedWeightValues old = op.getQuantizedWeight();
    Value weight = find(old.codes), scales = find(old.scales);
    Value zeros = find(old.zeros), second = find(old.second);
    if (!weight || bool(scales) != bool(old.scales) ||
        bool(zeros) != bool(old.zeros) || bool(second) != bool(old.second))
      return;
    ++numShared;
    if (!scheme)
      return op.getWeightMutable().assign(weight);
    op.setQuantizedWeight({weight, scales, zeros, old.groupIndex, second},
                          scheme.withPacking(Packing::Panel));
  }

  /// What decides the order of a packed constant. Codes are in rows, whatever
  /// the order of the float weight was.
  using Key = std::tuple<Value, Attribute, int64_t, int64_t>;
  static Key getKey(Value value, SchemeAttr scheme, const WeightView &view) {
    return {value, scheme, view.rows, scheme ? 0 : view.rowStride};
  }

  /// The constant that `value` is, in another order and shape; made once for
  /// all users that see its rows the same way.
  FailureOr<Value> repack(Value value, ArrayRef<int64_t> shape,
                          SchemeAttr scheme, const WeightView &view,
                          FillFn fill) {
    Key key = getKey(value, scheme, view);
    if (Value known = packed.lookup(key))
      return known;
    auto source = value.getDefiningOp<ConstantOp>();
    if (!source)
      return emitError(value.getLoc())
             << "expected a constant to pack, got " << value.getType();
    FailureOr<ConstantData> data = ConstantData::get(
        source.getValue(), [&] { return source.emitError(); });
    if (failed(data))
      return failure();
    ConstantData elements = data->expanded();
    auto type = RankedTensorType::get(
        shape, cast<ShapedType>(value.getType()).getElementType());
    FailureOr<ElementsAttr> result = createBlobAttr(
        value.getLoc(), type, source.getName(),
        [&](MutableArrayRef<char> out) { fill(elements, asUnsigned(out)); });
    if (failed(result))
      return failure();
    OpBuilder b(source);
    auto op = ConstantOp::create(b, value.getLoc(), *result);
    op->setDiscardableAttrs(source->getDiscardableAttrDictionary());
    packed[key] = op.getResult();
    return op.getResult();
  }

  DenseMap<Key, Value> packed;
};

} // namespace
} // namespace nibble
