//===- Method.h - The table of quantization methods -------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_METHOD_H
#define NIBBLE_QUANTIZER_METHOD_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// What a method is given.
struct MethodInput {
  WeightView weight;
  QuantizationScheme scheme;
  /// 0: one per core. Results never depend on it.
  unsigned threads = 0;
  /// What is known of the inputs x that the weight is multiplied with, for
  /// methods that need it; empty if nothing is. `importance` [K] is the mean of
  /// x^2 for each of the K columns; `hessian` [K, K] is the sum of x x^T over
  /// all inputs, symmetric. Both may be scaled by any positive number.
  llvm::ArrayRef<float> importance = {}, hessian = {};
};

/// Names and values of options, as in a configuration file, in the order in
/// which they were first set.
using MethodOptions = std::vector<std::pair<std::string, std::string>>;

/// Sets an option, or changes it if it is there.
void setMethodOption(MethodOptions &options, llvm::StringRef name,
                     llvm::StringRef value);

/// A way to choose codes, scales and zero points. To add one, write a file with
/// its function and a static `RegisterMethod`; a plugin does the same.
struct Method {
  /// As in `--method=NAME`.
  llvm::StringRef name;
  /// One line for `--help`.
  llvm::StringRef summary;
  /// Success if the method takes the scheme, else an error that says which part
  /// it does not take.
  llvm::Error (*supports)(const QuantizationScheme &scheme);
  /// Quantizes `input.weight` to `result`, which has the scheme and the sizes.
  /// Errors name the row and column; the caller names the tensor.
  llvm::Error (*run)(const MethodInput &input, QuantizedWeight &result);
  /// What `run` can't do without. A method may use data that it does not need.
  bool needsHessian = false, needsImportance = false;
  /// Its schemes have zeros that are floats, whatever users ask for.
  bool hasFloatZeros = false;
  /// Options that a rule of a configuration can set for a layer, and what
  /// checks one of them: the error says which values there are.
  llvm::ArrayRef<llvm::StringRef> options = {};
  llvm::Error (*checkOption)(llvm::StringRef name,
                             llvm::StringRef value) = nullptr;
};

/// Adds a method to the table; the method outlives it.
struct RegisterMethod {
  explicit RegisterMethod(const Method &method);
};

/// All methods, by name.
llvm::ArrayRef<const Method *> getMethods();
/// The method of that name, or null.
const Method *lookupMethod(llvm::StringRef name);

/// Checks that `method` takes the scheme and has the data that it needs, in the
/// right sizes, and runs it. The result has the scheme of `input`, but for the
/// groups of blocks that cross rows (see FourBit.h). Double quantization follows
/// a method that does not do it.
llvm::Expected<QuantizedWeight> quantize(const Method &method,
                                         const MethodInput &input);
/// The same for the method of that name. An unknown name is an error that lists
/// the names there are.
llvm::Expected<QuantizedWeight> quantize(llvm::StringRef method,
                                         const MethodInput &input);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_METHOD_H
