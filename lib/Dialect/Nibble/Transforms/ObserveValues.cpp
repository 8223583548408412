//===- ObserveValues.cpp - Show values to calibration ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Matchers.h"
#include "nibble/Dialect/Nibble/Transforms/Observation.h"
#include "nibble/Dialect/Nibble/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEOBSERVETENSORSPASS
#define GEN_PASS_DEF_NIBBLEOBSERVELAYERSPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

constexpr StringLiteral observedAttrName = "nibble.observed";
constexpr StringLiteral nameAttrName = "onnx.name";

/// Whether the elements are floats that the runtime can hand out.
bool isObservable(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<Float16Type, BFloat16Type, Float32Type, Float64Type>(
                       tensor.getElementType());
}

/// "Conv" of onnx.Conv.
StringRef getOperatorType(Operation *op) {
  return op->getName().getStringRef().rsplit('.').second;
}

int64_t getFirstFreeId(ModuleOp module) {
  int64_t id = 0;
  module.walk(
      [&](ObserveOp op) { id = std::max<int64_t>(id, op.getId() + 1); });
  return id;
}

void createObserve(OpBuilder &b, Location loc, Value value, int64_t id,
                   StringRef name, DictionaryAttr what) {
  auto op = ObserveOp::create(b, loc, value, id);
  op->setAttr(nameAttrName, b.getStringAttr(name));
  op->setAttr(observedAttrName, what);
}

DictionaryAttr describeTensor(Builder &b, StringRef operatorType) {
  return b.getDictionaryAttr(
      {b.getNamedAttr("operator", b.getStringAttr(operatorType))});
}

DictionaryAttr describeLayer(Builder &b, QuantizableOpInterface op) {
  SmallVector<NamedAttribute> attrs = {
      b.getNamedAttr("layer", b.getUnitAttr()),
      b.getNamedAttr("operator", b.getStringAttr(op.getOperatorType()))};
  if (auto conv = dyn_cast<ConvOp>(op.getOperation())) {
    attrs.push_back(b.getNamedAttr(
        "kernel", b.getDenseI64ArrayAttr(conv.getWeightShape().drop_front(2))));
    attrs.push_back(
        b.getNamedAttr("strides", b.getDenseI64ArrayAttr(conv.getStrides())));
    attrs.push_back(b.getNamedAttr(
        "dilations", b.getDenseI64ArrayAttr(conv.getDilations())));
    attrs.push_back(
        b.getNamedAttr("pads", b.getDenseI64ArrayAttr(conv.getPads())));
    attrs.push_back(
        b.getNamedAttr("groups", b.getI64IntegerAttr(conv.getGroup())));
  }
  return b.getDictionaryAttr(attrs);
}

struct NibbleObserveTensorsPass
    : public impl::NibbleObserveTensorsPassBase<NibbleObserveTensorsPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    TensorNames names(module);
    int64_t id = getFirstFreeId(module);
    auto observe = [&](OpBuilder &b, Value value, StringRef operatorType) {
      StringRef name = names.get(value);
      if (name.empty() || !isObservable(value.getType()))
        return;
      createObserve(b, value.getLoc(), value, id++, name,
                    describeTensor(b, operatorType));
      ++numTensors;
    };
    for (auto function : module.getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      SmallVector<Operation *> makers;
      function.getBody().walk<WalkOrder::PreOrder>(
          [&](Operation *op) { makers.push_back(op); });
      OpBuilder b(&getContext());
      b.setInsertionPointToStart(&function.front());
      for (BlockArgument argument : function.getArguments())
        observe(b, argument, "input");
      for (Operation *op : makers) {
        b.setInsertionPointAfter(op);
        for (Value result : op->getResults())
          observe(b, result, getOperatorType(op));
      }
    }
  }
};

struct NibbleObserveLayersPass
    : public impl::NibbleObserveLayersPassBase<NibbleObserveLayersPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    int64_t id = getFirstFreeId(module);
    StringSet<llvm::MallocAllocator> seen;
    module.walk([&](QuantizableOpInterface op) {
      Value input = op.getActivationInput();
      if (!input || !isObservable(input.getType()) ||
          !seen.insert(op.getLayerName()).second)
        return;
      OpBuilder b(op);
      createObserve(b, op.getLoc(), input, id++, op.getLayerName(),
                    describeLayer(b, op));
      ++numLayers;
    });
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

TensorNames::TensorNames(ModuleOp module) {
  llvm::StringMap<unsigned> given;
  auto add = [&](Value value, std::string name) {
    if (name.empty())
      return;
    unsigned number = ++given[name];
    if (number > 1)
      name += "~" + std::to_string(number);
    names[value] = std::move(name);
  };
  for (auto function : module.getOps<func::FuncOp>())
    for (BlockArgument argument : function.getArguments())
      if (auto name = function.getArgAttrOfType<StringAttr>(
              argument.getArgNumber(), nameAttrName))
        add(argument, name.str());
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    auto name = op->getAttrOfType<StringAttr>(nameAttrName);
    if (!name || op->hasTrait<OpTrait::ConstantLike>())
      return;
    for (OpResult result : op->getResults()) {
      unsigned index = result.getResultNumber();
      add(result,
          index ? (name.getValue() + "#" + Twine(index)).str() : name.str());
    }
  });
}

StringRef TensorNames::get(Value value) const {
  auto found = names.find(value);
  return found == names.end() ? StringRef() : StringRef(found->second);
}

//===----------------------------------------------------------------------===//
// For the collector
//===----------------------------------------------------------------------===//

LogicalResult addObservations(ModuleOp module,
                              calibration::Collector &collector) {
  SmallVector<ObserveOp> ops;
  module.walk([&](ObserveOp op) { ops.push_back(op); });
  llvm::sort(ops,
             [](ObserveOp a, ObserveOp b) { return a.getId() < b.getId(); });
  for (ObserveOp op : ops) {
    auto name = op->getAttrOfType<StringAttr>(nameAttrName);
    auto what = op->getAttrOfType<DictionaryAttr>(observedAttrName);
    auto type = what ? what.getAs<StringAttr>("operator") : StringAttr();
    if (!name || !type)
      return op.emitError("expected '")
             << nameAttrName << "' and '" << observedAttrName
             << "', as nibble-observe-tensors and nibble-observe-layers add "
                "them";
    calibration::ObservedValue value;
    value.id = op.getId();
    value.name = name.str();
    value.operatorType = type.str();
    value.isLayer = what.contains("layer");
    auto numbers = [&](StringRef key) {
      auto attr = what.getAs<DenseI64ArrayAttr>(key);
      return attr ? attr.asArrayRef() : ArrayRef<int64_t>();
    };
    if (what.contains("kernel")) {
      value.channelAxis = 1;
      value.window.emplace();
      llvm::append_range(value.window->kernel, numbers("kernel"));
      llvm::append_range(value.window->strides, numbers("strides"));
      llvm::append_range(value.window->dilations, numbers("dilations"));
      llvm::append_range(value.window->pads, numbers("pads"));
      if (auto groups = what.getAs<IntegerAttr>("groups"))
        value.window->groups = groups.getInt();
    }
    collector.add(value);
  }
  return success();
}

} // namespace nibble
