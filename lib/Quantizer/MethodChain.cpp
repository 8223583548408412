//===- MethodChain.cpp - Methods one after the other ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/MethodChain.h"
#include "nibble/Support/Suggest.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace nibble::quantizer;
using llvm::StringRef;

static llvm::Error supportAWQ(const QuantizationScheme &scheme) {
  if (scheme.dynamicActivations || scheme.outlierThreshold)
    return llvm::createStringError(
        "awq looks at errors of weights alone, and activations are quantized "
        "too: use smoothquant");
  return llvm::Error::success();
}

static llvm::Error supportSmoothQuant(const QuantizationScheme &scheme) {
  if (scheme.outlierThreshold)
    return llvm::createStringError(
        "smoothquant makes activations without outliers, and LLM.int8 looks "
        "for them: use W8A8-dynamic");
  return llvm::Error::success();
}

/// By name. Both choose scales of input channels.
static constexpr PreparingMethod preparingMethods[] = {
    {"awq", "scales that make columns with large activations fine, and limits",
     supportAWQ},
    {"smoothquant", "scales that take outliers of activations into the weight",
     supportSmoothQuant}};

llvm::ArrayRef<PreparingMethod> nibble::quantizer::getPreparingMethods() {
  return preparingMethods;
}

const PreparingMethod *
nibble::quantizer::lookupPreparingMethod(StringRef name) {
  for (const PreparingMethod &method : preparingMethods)
    if (method.name == name)
      return &method;
  return nullptr;
}

static llvm::Error makeUnknown(StringRef name) {
  llvm::SmallVector<StringRef> names;
  for (const Method *method : getMethods())
    names.push_back(method->name);
  for (const PreparingMethod &method : preparingMethods)
    names.push_back(method.name);
  llvm::sort(names);
  return llvm::createStringError(
      "unknown method '" + name + "': expected one of " +
      llvm::join(names, ", ") + nibble::suggestNearest(name, names));
}

llvm::Expected<MethodChain>
MethodChain::parse(llvm::ArrayRef<StringRef> names) {
  MethodChain chain;
  for (auto [i, name] : llvm::enumerate(names)) {
    bool isLast = i + 1 == names.size();
    if (lookupPreparingMethod(name)) {
      if (!chain.prepare.empty())
        return llvm::createStringError(
            "methods '" + chain.prepare.back() + "' and '" + name +
            "' both choose scales of input channels: keep one of them");
      chain.prepare.push_back(name.str());
    } else if (isLast) {
      chain.method = name.str();
    } else if (lookupMethod(name)) {
      return llvm::createStringError(
          "method '" + name + "' chooses codes and has to come last: '" +
          names[i + 1] + "' behind it would find none to change");
    } else {
      return makeUnknown(name);
    }
  }
  if (chain.method.empty() || names.empty())
    return llvm::createStringError("expected the name of a method");
  return std::move(chain);
}

llvm::Expected<MethodChain> MethodChain::parse(StringRef text) {
  llvm::SmallVector<StringRef> names;
  text.split(names, ',');
  for (StringRef &name : names)
    name = name.trim();
  return parse(llvm::ArrayRef<StringRef>(names));
}

llvm::Error MethodChain::verify() const {
  return lookupMethod(method) ? llvm::Error::success() : makeUnknown(method);
}

std::string MethodChain::str() const {
  std::string text = llvm::join(prepare, ",");
  if (prepare.empty())
    return method;
  return method == "rtn" ? text : text + "," + method;
}

llvm::Error MethodChain::supports(const QuantizationScheme &scheme) const {
  for (const std::string &name : prepare)
    if (llvm::Error error = lookupPreparingMethod(name)->supports(scheme))
      return error;
  return llvm::Error::success();
}
