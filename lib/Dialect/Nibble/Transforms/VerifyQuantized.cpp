//===- VerifyQuantized.cpp - No float copy of a quantized weight ----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/Passes.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"

namespace nibble {
#define GEN_PASS_DEF_NIBBLEVERIFYQUANTIZEDPASS
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"
} // namespace nibble

using namespace mlir;

namespace nibble {
namespace {

/// The layer that a leftover dequantization belongs to, as users know it.
std::string getLayerOf(DequantizeOp op) {
  for (Operation *user : op->getUsers())
    if (auto quantizable = dyn_cast<QuantizableOpInterface>(user))
      if (!quantizable.getLayerName().empty())
        return quantizable.getLayerName().str();
  if (auto name =
          op->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr()))
    return name.str();
  return "(unnamed)";
}

struct NibbleVerifyQuantizedPass
    : public impl::NibbleVerifyQuantizedPassBase<NibbleVerifyQuantizedPass> {
  using Base::Base;

  void runOnOperation() override {
    markAllAnalysesPreserved();
    getOperation()->walk([&](DequantizeOp op) {
      if (op.getScheme().getPacking() == Packing::Plain || op->use_empty())
        return;
      report(op);
    });
    getOperation()->walk([&](QuantizableOpInterface op) {
      if (op->hasAttr(requestAttrName))
        reportRequest(op);
    });
  }

private:
  /// A method that is misspelt or whose plugin is not loaded: without this the
  /// layer would silently stay float.
  void reportRequest(QuantizableOpInterface op) {
    auto request = dyn_cast<DictionaryAttr>(op->getAttr(requestAttrName));
    Attribute method = request ? request.get("method") : Attribute();
    emitError(op.getLoc()) << "layer \"" << op.getLayerName()
                           << "\": no pass quantized it with the method "
                           << (method ? method : op->getAttr(requestAttrName))
                           << "; run the pass of the method, or choose another";
    signalPassFailure();
  }

  void report(DequantizeOp op) {
    auto type = cast<RankedTensorType>(op.getOutput().getType());
    uint64_t bytes =
        type.getNumElements() * (type.getElementTypeBitWidth() / 8);
    Operation *user = *op->user_begin();
    {
      InFlightDiagnostic diag =
          allowUnfused ? emitRemark(op.getLoc()) : emitError(op.getLoc());
      diag << "layer \"" << getLayerOf(op) << "\": the quantized weight is read"
           << " as float by '" << user->getName() << "', a copy of " << bytes
           << " bytes at run time";
      if (!allowUnfused)
        diag << "; keep this layer float with a 'skip' rule, or pass "
                "--allow-unfused";
      diag.attachNote(user->getLoc()) << "read here";
    }
    if (!allowUnfused)
      signalPassFailure();
  }
};

} // namespace
} // namespace nibble
