//===- ModelStatistics.cpp - Statistics that belong to a model ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "nibble/Dialect/Nibble/Transforms/Observation.h"
#include "nibble/Runtime/Hash.h"

using namespace mlir;

namespace nibble {
namespace {

/// Feeds what an attribute says to a hash. Of data in files that is the hash
/// of the bytes, not where they lie.
class Hasher {
public:
  Hasher() { nibbleHashBegin(&hash); }

  void add(StringRef text) {
    add(static_cast<uint64_t>(text.size()));
    nibbleHashAdd(&hash, text.data(), text.size());
  }
  void add(uint64_t number) { nibbleHashAdd(&hash, &number, sizeof(number)); }
  void add(Attribute attr) {
    if (auto mapped = dyn_cast<MappedAttr>(attr))
      return add(mapped.getHash());
    if (auto dense = dyn_cast<DenseElementsAttr>(attr);
        dense && dense.getElementType().isIntOrIndexOrFloat()) {
      ArrayRef<char> data = dense.getRawData();
      return add(StringRef(data.data(), data.size()));
    }
    std::string text;
    llvm::raw_string_ostream os(text);
    attr.print(os);
    add(StringRef(text));
  }
  uint64_t finish() const { return nibbleHashEnd(&hash); }

private:
  NibbleHash hash;
};

} // namespace

uint64_t hashModel(ModuleOp module) {
  Hasher hasher;
  DenseMap<Value, uint64_t> numbers;
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    // The entry's types and dimensions may have been fixed by the user.
    if (isa<ModuleOp, func::FuncOp>(op)) {
      for (Region &region : op->getRegions())
        for (BlockArgument argument : region.getArguments())
          numbers[argument] = numbers.size();
      return;
    }
    hasher.add(op->getName().getStringRef());
    for (Value operand : op->getOperands())
      hasher.add(numbers.lookup(operand));
    for (NamedAttribute attr : op->getAttrs()) {
      hasher.add(attr.getName().getValue());
      hasher.add(attr.getValue());
    }
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        numbers[argument] = numbers.size();
    for (Value result : op->getResults())
      numbers[result] = numbers.size();
  });
  return hasher.finish();
}

FailureOr<std::shared_ptr<const calibration::Statistics>>
loadStatistics(ModuleOp module, StringRef path, const Twine &reason) {
  Location loc = module.getLoc();
  if (path.empty())
    return emitError(loc) << reason
                          << " needs calibration data: run nibble-calibrate "
                             "and give its result with --calibration";
  auto statistics = calibration::Statistics::readShared(path);
  if (!statistics)
    return emitError(loc) << llvm::toString(statistics.takeError());
  auto hash = module->getAttrOfType<IntegerAttr>(modelHashAttrName);
  if (!hash)
    return emitError(loc) << "the module has no '" << modelHashAttrName
                          << "', so '" << path
                          << "' may be of another model: start from the ONNX "
                             "file";
  if (llvm::Error error =
          (*statistics)->checkModel(hash.getValue().getZExtValue()))
    return emitError(loc) << llvm::toString(std::move(error));
  return std::move(*statistics);
}

const calibration::LayerStatistics *
findLayer(const calibration::Statistics &statistics, ArrayAttr names) {
  for (Attribute name : names)
    if (const auto *found =
            statistics.findLayer(cast<StringAttr>(name).getValue()))
      return found;
  return nullptr;
}

} // namespace nibble
