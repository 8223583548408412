//===- SchemeName.cpp - W4A16 and its relatives ---------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/SchemeName.h"
#include "nibble/Support/Suggest.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace nibble::quantizer;
using llvm::StringRef;

// As in compressed-tensors, bitsandbytes and GGUF.
static constexpr SchemeName schemeNames[] = {
    {"none", 0, true},
    {"W8A16", 8, true},
    {"W6A16", 6, true},
    {"W5A16", 5, true},
    {"W4A16", 4, true},
    {"W3A16", 3, true},
    {"W2A16", 2, true},
    {"W8A8", 8, true},
    {"W4A8", 4, false},
    {"W8A8-dynamic", 8, true, true},
    {"NF4", 4, true, false, false, Codebook::NF4},
    {"FP4", 4, true, false, false, Codebook::FP4},
    {"LLM.int8", 8, true, true, true},
    {"Q4_0", 4, true},
    {"Q4_1", 4, true},
    {"Q5_0", 5, true},
    {"Q5_1", 5, true},
    {"Q8_0", 8, true},
    {"Q2_K", 2, true},
    {"Q3_K", 3, true},
    {"Q4_K", 4, true},
    {"Q5_K", 5, true},
    {"Q6_K", 6, true},
    {"auto", 0, true}};

llvm::ArrayRef<SchemeName> nibble::quantizer::getSchemeNames() {
  return schemeNames;
}

llvm::Expected<SchemeName> nibble::quantizer::parseSchemeName(StringRef name) {
  llvm::SmallVector<StringRef> known, available;
  for (const SchemeName &scheme : schemeNames) {
    if (scheme.name == name && scheme.available)
      return scheme;
    known.push_back(scheme.name);
    if (scheme.available)
      available.push_back(scheme.name);
  }
  std::string expected = ": expected one of " + llvm::join(available, ", ");
  if (llvm::is_contained(known, name))
    return llvm::createStringError(
        "scheme '" + name + "' is not available in this build" + expected);
  return llvm::createStringError("unknown scheme '" + name + "'" + expected +
                                 suggestNearest(name, known));
}
