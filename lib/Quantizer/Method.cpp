//===- Method.cpp - The table of quantization methods ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Method.h"
#include "nibble/Quantizer/DoubleQuantization.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace nibble::quantizer;
using llvm::StringRef;

static std::vector<const Method *> &getTable() {
  static std::vector<const Method *> table;
  return table;
}

RegisterMethod::RegisterMethod(const Method &method) {
  auto byName = [](const Method *a, const Method *b) {
    return a->name < b->name;
  };
  std::vector<const Method *> &table = getTable();
  table.insert(llvm::upper_bound(table, &method, byName), &method);
}

llvm::ArrayRef<const Method *> nibble::quantizer::getMethods() {
  return getTable();
}

const Method *nibble::quantizer::lookupMethod(StringRef name) {
  for (const Method *method : getMethods())
    if (method->name == name)
      return method;
  return nullptr;
}

void nibble::quantizer::setMethodOption(MethodOptions &options, StringRef name,
                                        StringRef value) {
  auto found = llvm::find_if(
      options, [&](const auto &option) { return option.first == name; });
  if (found != options.end())
    found->second = value.str();
  else
    options.emplace_back(name.str(), value.str());
}

/// An error if `values` is missing though needed, or is not `size` long.
static llvm::Error checkData(const Method &method, StringRef what, bool needed,
                             llvm::ArrayRef<float> values, int64_t size) {
  if (values.empty() && needed)
    return llvm::createStringError(
        "method '" + method.name + "' needs the " + what +
        " of calibration data, and there is none: run nibble-calibrate and "
        "give its file with --calibration");
  if (!values.empty() && values.size() != static_cast<size_t>(size))
    return llvm::createStringError(
        "wrong size of the " + what + " of the inputs: expected " +
        llvm::Twine(size) + " elements, got " + llvm::Twine(values.size()));
  return llvm::Error::success();
}

llvm::Expected<QuantizedWeight>
nibble::quantizer::quantize(const Method &method, const MethodInput &input) {
  int64_t cols = input.weight.cols;
  if (llvm::Error error = input.scheme.verify())
    return error;
  if (llvm::Error error = method.supports(input.scheme))
    return error;
  if (llvm::Error error = checkData(method, "Hessian", method.needsHessian,
                                    input.hessian, cols * cols))
    return error;
  if (llvm::Error error =
          checkData(method, "mean squares", method.needsImportance,
                    input.importance, cols))
    return error;
  QuantizedWeight result(input.scheme, input.weight.rows, cols);
  if (llvm::Error error = method.run(input, result))
    return error;
  if (result.scheme.second && result.scaleCodes.empty())
    if (llvm::Error error = quantizeScales(result))
      return error;
  return std::move(result);
}

llvm::Expected<QuantizedWeight>
nibble::quantizer::quantize(StringRef name, const MethodInput &input) {
  if (const Method *method = lookupMethod(name))
    return quantize(*method, input);
  auto names = llvm::map_range(
      getMethods(), [](const Method *method) { return method->name; });
  return llvm::createStringError("unknown quantization method '" + name +
                                 "': expected one of " +
                                 llvm::join(names, ", "));
}
