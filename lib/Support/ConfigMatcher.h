//===- ConfigMatcher.h - Compiled selectors of a rule -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_SUPPORT_CONFIGMATCHER_H
#define NIBBLE_LIB_SUPPORT_CONFIGMATCHER_H

#include "nibble/Support/QuantizationConfig.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/Regex.h"
#include <list>

namespace nibble {

/// The selectors of one rule, and whether any layer had them.
class QuantizationConfig::Matcher {
public:
  /// Compiles all selectors of `rule`, once.
  llvm::Error add(const ConfigRule &rule);
  /// Single selectors, so that a reader can say which one is not valid.
  llvm::Error addGlob(llvm::StringRef text);
  llvm::Error addRegex(llvm::StringRef text);

  bool matches(llvm::ArrayRef<llvm::StringRef> names,
               llvm::StringRef operatorType);
  bool hasMatched() const { return matched; }
  void setMatched() { matched = true; }

private:
  std::list<std::string> texts;
  std::vector<llvm::GlobPattern> globs;
  std::vector<llvm::Regex> regexes;
  std::vector<std::string> operators;
  bool matched = false;
};

} // namespace nibble

#endif // NIBBLE_LIB_SUPPORT_CONFIGMATCHER_H
