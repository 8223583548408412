//===- PlaceWeights.cpp - Offsets of weights in the binary ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Builders.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Target/ModelInfo.h"
#include "nibble/Target/Passes.h"
#include "nibble/Target/WeightLayout.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::target;

namespace nibble::target {
#define GEN_PASS_DEF_NIBBLEPLACEWEIGHTS
#include "nibble/Target/Target.h.inc"
} // namespace nibble::target

static constexpr llvm::StringLiteral weightsName = "nibble.weights";
static constexpr llvm::StringLiteral onDeviceName = "nibble.on_device";
static constexpr llvm::StringLiteral deviceBytesName =
    "nibble.device_weight_bytes";

/// Bytes that a weight takes in memory, where every element has bytes of its
/// own; 0 if its data has another form.
static uint64_t memoryBytes(ShapedType type) {
  unsigned bits = getStorageBits(type.getElementType());
  return bits % 8 == 0 ? getStorageBytes(type) : 0;
}

namespace {
struct PlaceWeights
    : public nibble::target::impl::NibblePlaceWeightsBase<PlaceWeights> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    func::FuncOp entry;
    for (auto function : module.getOps<func::FuncOp>()) {
      if (!function->hasAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName()))
        continue;
      if (entry) {
        function.emitError("a second function with llvm.emit_c_interface; "
                           "expected one entry");
        return signalPassFailure();
      }
      entry = function;
    }
    if (!entry || entry.isExternal()) {
      module.emitError("expected an entry function with llvm.emit_c_interface "
                       "and a body");
      return signalPassFailure();
    }
    FailureOr<ModelInfo> info = ModelInfo::get(entry);
    if (failed(info))
      return signalPassFailure();
    info->attachTo(module);

    OpBuilder builder(entry.getBody());
    auto blockType =
        MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
    if (failed(
            entry.insertArgument(0, blockType,
                                 builder.getDictionaryAttr(builder.getNamedAttr(
                                     weightsName, builder.getUnitAttr())),
                                 entry.getLoc())))
      return signalPassFailure();
    Value block = entry.getArgument(0);

    uint64_t size = 0;
    llvm::DenseMap<Attribute, uint64_t> offsets;
    SmallVector<Attribute> layout;
    SmallVector<WeightOp> weights;
    module.walk([&](WeightOp op) { weights.push_back(op); });
    // What kernels read goes to the device in one piece. An equal weight of the
    // host may come earlier in the code.
    llvm::DenseSet<Attribute> onDevice;
    for (WeightOp op : weights)
      if (op->hasAttr(onDeviceName))
        onDevice.insert(op.getValue());
    auto isOnDevice = [&](WeightOp op) {
      return onDevice.contains(op.getValue());
    };
    std::stable_partition(weights.begin(), weights.end(), isOnDevice);
    uint64_t deviceSize = 0;
    for (WeightOp op : weights) {
      if (op->getParentOfType<func::FuncOp>() != entry) {
        op.emitOpError("expected in the entry function '")
            << entry.getName() << "' only";
        return signalPassFailure();
      }
      auto value = dyn_cast<ElementsAttr>(op.getValue());
      uint64_t bytes = value ? memoryBytes(value.getShapedType()) : 0;
      if (!bytes || bytes != getStorageBytes(op.getType())) {
        op.emitOpError("expected a value with the bytes of ")
            << op.getType() << ", got "
            << (value ? Type(value.getShapedType()) : Type());
        return signalPassFailure();
      }
      auto [it, isNew] = offsets.try_emplace(
          op.getValue(), llvm::alignTo(size, weightAlignment));
      if (isNew) {
        size = it->second + bytes;
        layout.push_back(builder.getDictionaryAttr(
            {builder.getNamedAttr("value", op.getValue()),
             builder.getNamedAttr("offset",
                                  builder.getI64IntegerAttr(it->second))}));
        ++numWeights;
      } else {
        ++numShared;
      }
      OpBuilder at(op);
      Value offset =
          arith::ConstantIndexOp::create(at, op.getLoc(), it->second);
      Value view = memref::ViewOp::create(at, op.getLoc(), op.getType(), block,
                                          offset, ValueRange());
      if (isOnDevice(op))
        deviceSize = size;
      op.replaceAllUsesWith(view);
      op.erase();
    }
    if (deviceSize)
      module->setAttr(deviceBytesName, builder.getI64IntegerAttr(deviceSize));
    numBytes += size;
    module->setAttr(weightsName, builder.getArrayAttr(layout));
  }
};
} // namespace

/// Hand the bytes of a constant to the sink; a splat is repeated.
static LogicalResult produceConstant(Attribute value, ModuleOp module,
                                     ByteSink sink) {
  FailureOr<ConstantData> data =
      ConstantData::get(value, [&] { return module.emitError(); });
  if (failed(data))
    return failure();
  if (!data->isSplat()) {
    sink(data->getBytes());
    return success();
  }
  ArrayRef<char> element = data->getBytes();
  constexpr size_t pieceSize = 1 << 16;
  std::vector<char> piece;
  while (piece.size() + element.size() <= pieceSize || piece.empty())
    piece.insert(piece.end(), element.begin(), element.end());
  uint64_t left = data->getNumElements() * element.size();
  while (left) {
    uint64_t count = std::min<uint64_t>(left, piece.size());
    sink(ArrayRef<char>(piece).take_front(count));
    left -= count;
  }
  return success();
}

FailureOr<WeightLayout> WeightLayout::fromModule(ModuleOp module) {
  WeightLayout layout;
  auto list = module->getAttrOfType<ArrayAttr>(weightsName);
  if (!list)
    return layout;
  for (Attribute element : list) {
    auto dict = dyn_cast<DictionaryAttr>(element);
    auto value = dict ? dict.getAs<ElementsAttr>("value") : ElementsAttr();
    auto offset = dict ? dict.getAs<IntegerAttr>("offset") : IntegerAttr();
    uint64_t bytes = value ? memoryBytes(value.getShapedType()) : 0;
    if (!offset || !bytes)
      return module.emitError()
             << "'" << weightsName << "' expects elements {value, offset}";
    WeightBlob &blob = layout.blobs.emplace_back();
    blob.offset = offset.getValue().getZExtValue();
    blob.size = bytes;
    blob.produce = [value, module](ByteSink sink) {
      return produceConstant(value, module, sink);
    };
    layout.size = std::max(layout.size, blob.offset + blob.size);
  }
  return layout;
}
