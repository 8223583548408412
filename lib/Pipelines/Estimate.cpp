//===- Estimate.cpp - Sizes and memory before any work -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/Estimate.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/Nibble/Transforms/WeightQuantization.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace nibble;

/// What the compiler takes without a model: LLVM, dialects, generated code.
static constexpr uint64_t compilerBytes = 150ull << 20;

/// Bytes of a tensor; unknown dimensions count as 1.
static uint64_t getBytes(RankedTensorType type, bool &hasUnknownDims) {
  uint64_t elements = 1;
  for (int64_t dim : type.getShape()) {
    if (ShapedType::isDynamic(dim))
      hasUnknownDims = true;
    else
      elements *= static_cast<uint64_t>(dim);
  }
  return elements * getStorageBits(type.getElementType()) / 8;
}

static void addCache(func::FuncOp entry, Estimate &result) {
  for (unsigned i = 0; i < entry.getNumArguments(); ++i) {
    auto name = entry.getArgAttrOfType<StringAttr>(
        i, NibbleDialect::getLayerNameAttr());
    auto type = dyn_cast<RankedTensorType>(entry.getArgumentTypes()[i]);
    bool dynamic = false;
    if (name && type && name.getValue().starts_with("past") &&
        !type.hasStaticShape())
      result.cacheBytesPerPosition += getBytes(type, dynamic);
  }
}

FailureOr<Estimate> nibble::estimate(ModuleOp module) {
  Estimate result;
  uint64_t largestLayer = 0, largest[2] = {0, 0};
  DenseMap<Attribute, uint64_t> compiled;
  bool isValid = true;
  module.walk([&](QuantizableOpInterface op) {
    ElementsAttr weight;
    if (!matchPattern(op.getWeightOperand().get(), m_Constant(&weight)))
      return;
    uint64_t before = getStorageBytes(weight.getShapedType());
    uint64_t after = before;
    FailureOr<std::optional<QuantizationRequest>> request =
        QuantizationRequest::get(op);
    isValid &= succeeded(request);
    if (succeeded(request) && *request) {
      SchemeAttr scheme = getSchemeAttr(op.getContext(), (*request)->scheme);
      WeightView view = op.getWeightView();
      after = static_cast<uint64_t>(scheme.getBitsPerWeight(view.columns) *
                                    view.columns * view.rows / 8);
    }
    // A weight that is used as float and as codes is there twice.
    uint64_t &bytes = compiled[weight];
    if (bytes == 0)
      result.numWeights += 1;
    if (after != before && bytes == 0)
      result.numQuantized += 1;
    bytes = std::max(bytes, after);
    largestLayer = std::max(largestLayer, before + after);
  });
  if (!isValid)
    return failure();

  module.walk([&](Operation *op) {
    ElementsAttr constant;
    if (matchPattern(op, m_Constant(&constant))) {
      uint64_t bytes = getStorageBytes(constant.getShapedType());
      auto found = compiled.find(constant);
      result.modelBytes += bytes;
      result.weightBytes += found == compiled.end() ? bytes : found->second;
      return;
    }
    for (Value value : op->getResults()) {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      if (!type)
        continue;
      uint64_t bytes = getBytes(type, result.hasUnknownDims);
      if (bytes > largest[0])
        std::swap(bytes, largest[0]);
      largest[1] = std::max(largest[1], bytes);
    }
  });
  for (auto function : module.getOps<func::FuncOp>())
    addCache(function, result);
  result.activationBytes = largest[0] + largest[1];
  result.compilePeakBytes = compilerBytes + largestLayer;
  result.runPeakBytes = result.weightBytes + result.activationBytes;
  return result;
}

static std::string formatBytes(uint64_t bytes) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (bytes < 1000)
    os << bytes << " B";
  else if (bytes < 1000 * 1000)
    os << llvm::format("%.1f kB", bytes / 1e3);
  else
    os << llvm::format("%.1f MB", bytes / 1e6);
  return text;
}

void Estimate::printText(llvm::raw_ostream &os) const {
  os << "weights:        " << numWeights << ", of which " << numQuantized
     << " are to be quantized\n"
     << "in the model:   " << formatBytes(modelBytes) << '\n'
     << "in the binary:  " << formatBytes(weightBytes) << '\n';
  if (cacheBytesPerPosition)
    os << "KV cache:       " << formatBytes(cacheBytesPerPosition)
       << " per position of a sequence\n";
  os << "compile peak:   about " << formatBytes(compilePeakBytes) << '\n'
     << "run:            about " << formatBytes(runPeakBytes)
     << ", weights mapped"
     << (hasUnknownDims ? "; dimensions that are not known count as 1" : "")
     << '\n';
}

void Estimate::printJSON(llvm::raw_ostream &os) const {
  llvm::json::OStream json(os, /*IndentSize=*/2);
  json.object([&] {
    json.attribute("weights", numWeights);
    json.attribute("quantized_weights", numQuantized);
    json.attribute("model_bytes", modelBytes);
    json.attribute("weight_bytes", weightBytes);
    json.attribute("cache_bytes_per_position", cacheBytesPerPosition);
    json.attribute("activation_bytes", activationBytes);
    json.attribute("compile_peak_bytes", compilePeakBytes);
    json.attribute("run_peak_bytes", runPeakBytes);
    json.attribute("unknown_dimensions", hasUnknownDims);
  });
  os << '\n';
}
