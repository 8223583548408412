//===- SchemeChoice.cpp - What --quantize=auto is asked for ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/SchemeChoice.h"
#include "nibble/Quantizer/SchemeName.h"
#include "nibble/Support/Size.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>

using namespace nibble;
using llvm::StringRef;

/// Reads a positive number, which may end in `unit`. False if it is none.
static bool readPositive(StringRef text, double &value) {
  // What is not written as a number in files either: hexadecimal, "inf".
  return text.find_first_not_of("0123456789.eE+-") == StringRef::npos &&
         !text.getAsDouble(value) && std::isfinite(value) && value > 0;
}

llvm::Expected<Budget> Budget::parse(StringRef text) {
  StringRef number = text.trim();
  Budget budget;
  if (number.consume_back_insensitive("bpw")) {
    double bits;
    if (!readPositive(number.rtrim(), bits) || bits > 64)
      return llvm::createStringError("budget '" + text +
                                     "' is no number of bits per weight: "
                                     "expected something like 4.25bpw");
    budget.bitsPerWeight = bits;
    return budget;
  }
  llvm::Expected<uint64_t> size = parseSize(text);
  if (!size) {
    llvm::consumeError(size.takeError());
    return llvm::createStringError(
        "budget '" + text +
        "' is neither bits per weight nor a size: expected something like "
        "4.25bpw or 60MB");
  }
  // A number alone is more likely a number of bits than one of bytes.
  if (llvm::all_of(number, [](char c) { return llvm::isDigit(c) || c == '.'; }))
    return llvm::createStringError("budget '" + text +
                                   "' has no unit: expected something like " +
                                   number + "bpw or " + number + "MB");
  budget.bytes = *size;
  return budget;
}

llvm::Expected<double> nibble::parseMaxError(StringRef text) {
  StringRef number = text.trim();
  double value;
  if (number.consume_back_insensitive("db")) {
    if (readPositive(number.rtrim(), value) && value <= 300)
      return std::pow(10, -value / 10);
  } else if (readPositive(number, value)) {
    return value;
  }
  return llvm::createStringError(
      "'" + text +
      "' is no error: expected a part of the outputs' power such as 0.01, or "
      "the same in decibels such as 20dB");
}

std::string SchemeCandidate::str() const {
  return groupSize ? scheme + ":" + llvm::itostr(*groupSize) : scheme;
}

LayerChoice SchemeCandidate::applyTo(LayerChoice choice) const {
  auto name = llvm::cantFail(quantizer::parseSchemeName(scheme));
  choice.scheme = scheme;
  if (groupSize)
    choice.groupSize = groupSize;
  if (name.codebook != quantizer::Codebook::Int)
    choice.symmetric = true;
  else if (!choice.groupSize)
    choice.groupSize = defaultChoiceGroup;
  return choice;
}

static llvm::Expected<SchemeCandidate> parseCandidate(StringRef text) {
  auto [name, group] = text.split(':');
  llvm::Expected<quantizer::SchemeName> scheme =
      quantizer::parseSchemeName(name.trim());
  if (!scheme)
    return scheme.takeError();
  if (scheme->bits == 0 || scheme->dynamicActivations || scheme->name == "W8A8")
    return llvm::createStringError(
        "'" + scheme->name +
        "' is not to be chosen from: expected schemes of weights alone, such "
        "as W4A16 or Q4_K");
  SchemeCandidate candidate{scheme->name.str(), std::nullopt};
  if (!text.contains(':'))
    return candidate;
  int64_t size;
  if (group.trim().getAsInteger(10, size) || size < -1 || size == 0)
    return llvm::createStringError("'" + text +
                                   "' has no group size: expected a number of "
                                   "weights, or -1, behind the colon");
  candidate.groupSize = size;
  return candidate;
}

llvm::Expected<std::vector<SchemeCandidate>>
nibble::parseCandidates(StringRef text) {
  if (text.trim().empty())
    return getDefaultCandidates();
  llvm::SmallVector<StringRef> parts;
  text.split(parts, ',');
  std::vector<SchemeCandidate> candidates;
  for (StringRef part : parts) {
    llvm::Expected<SchemeCandidate> candidate = parseCandidate(part.trim());
    if (!candidate)
      return candidate.takeError();
    for (const SchemeCandidate &other : candidates)
      if (other.str() == candidate->str())
        return llvm::createStringError("'" + other.str() +
                                       "' is there twice: keep one");
    candidates.push_back(std::move(*candidate));
  }
  return candidates;
}

std::vector<SchemeCandidate> nibble::getDefaultCandidates() {
  std::vector<SchemeCandidate> candidates;
  for (StringRef name : {"W2A16", "W3A16", "W4A16", "W5A16", "W6A16", "W8A16"})
    candidates.push_back({name.str(), std::nullopt});
  return candidates;
}
