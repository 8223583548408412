//===- MethodChain.h - Methods one after the other --------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_METHODCHAIN_H
#define NIBBLE_QUANTIZER_METHODCHAIN_H

#include "nibble/Quantizer/Method.h"

namespace nibble::quantizer {

/// A method that does not choose codes, but changes the weight before another
/// one does, so that less is lost.
struct PreparingMethod {
  /// As in `--method=NAME` and `--method=NAME,gptq`.
  llvm::StringRef name;
  /// One line for `--help`.
  llvm::StringRef summary;
  /// Success if it is of use for the scheme, else an error that says why not.
  llvm::Error (*supports)(const QuantizationScheme &scheme);
};

/// All of them, by name: awq and smoothquant.
llvm::ArrayRef<PreparingMethod> getPreparingMethods();
/// The one of that name, or null.
const PreparingMethod *lookupPreparingMethod(llvm::StringRef name);

/// What a layer is quantized with: `awq,gptq`.
struct MethodChain {
  /// Methods that change the weight, in their order.
  std::vector<std::string> prepare;
  /// The one that chooses codes.
  std::string method = "rtn";

  /// The chain of these names; after preparing ones alone comes rtn. Errors: no
  /// name, one that does not have its place here, or two preparing methods that
  /// do the same. The last name may be unknown: see `verify`.
  static llvm::Expected<MethodChain> parse(llvm::ArrayRef<llvm::StringRef>);
  /// The same for names between commas.
  static llvm::Expected<MethodChain> parse(llvm::StringRef text);

  /// An error that lists all names if the last one is of no method.
  llvm::Error verify() const;
  /// Names with commas between them, as `parse` reads them.
  std::string str() const;
  /// An error that says which of the preparing methods does not take the
  /// scheme.
  llvm::Error supports(const QuantizationScheme &scheme) const;
};

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_METHODCHAIN_H
