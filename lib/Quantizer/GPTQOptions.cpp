//===- GPTQOptions.cpp - Options of GPTQ, by their names ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/GPTQ.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include <variant>

using namespace nibble::quantizer;
using llvm::StringRef;

namespace {
struct Option {
  StringRef name;
  std::variant<double GPTQOptions::*, int64_t GPTQOptions::*,
               bool GPTQOptions::*>
      member;
};
} // namespace

static const Option optionTable[] = {
    {"damp-percent", &GPTQOptions::dampPercent},
    {"damp-auto-increment", &GPTQOptions::dampIncrement},
    {"block-size", &GPTQOptions::blockSize},
    {"activation-order", &GPTQOptions::activationOrder},
    {"static-groups", &GPTQOptions::staticGroups},
    {"act-group-aware", &GPTQOptions::groupAware}};

static bool parse(StringRef text, double &value) {
  return !text.getAsDouble(value);
}
static bool parse(StringRef text, int64_t &value) {
  return !text.getAsInteger(10, value);
}
static bool parse(StringRef text, bool &value) {
  value = text == "true";
  return value || text == "false";
}

static const char *describe(double) { return "a number"; }
static const char *describe(int64_t) { return "a whole number"; }
static const char *describe(bool) { return "true or false"; }

static std::string format(double value) {
  return llvm::formatv("{0}", llvm::format("%g", value));
}
static std::string format(int64_t value) { return llvm::itostr(value); }
static std::string format(bool value) { return value ? "true" : "false"; }

llvm::ArrayRef<StringRef> GPTQOptions::getNames() {
  static const auto names =
      llvm::map_to_vector(optionTable, [](const Option &o) { return o.name; });
  return names;
}

llvm::Error GPTQOptions::set(StringRef name, StringRef value) {
  const auto *option = llvm::find_if(
      optionTable, [&](const Option &option) { return option.name == name; });
  if (option == std::end(optionTable))
    return llvm::createStringError("gptq has no option '" + name +
                                   "': expected one of " +
                                   llvm::join(getNames(), ", "));
  return std::visit(
      [&](auto member) -> llvm::Error {
        if (parse(value, this->*member))
          return llvm::Error::success();
        return llvm::createStringError(name + " is '" + value + "': expected " +
                                       describe(this->*member));
      },
      option->member);
}

MethodOptions GPTQOptions::getChanged() const {
  const GPTQOptions defaults;
  MethodOptions changed;
  for (const Option &option : optionTable)
    std::visit(
        [&](auto member) {
          if (this->*member != defaults.*member)
            changed.emplace_back(option.name.str(), format(this->*member));
        },
        option.member);
  return changed;
}

llvm::Error GPTQOptions::verify() const {
  auto complain = [](const char *name, double value, const char *expected) {
    return llvm::createStringError(
        llvm::formatv("{0} is {1}: expected {2}", name,
                      llvm::format("%g", value), expected)
            .str());
  };
  if (!(dampPercent >= 0 && dampPercent < 1))
    return complain("damp-percent", dampPercent,
                    "a part of the mean diagonal, from 0 to below 1");
  if (!(dampIncrement >= 0 && dampIncrement < 1))
    return complain("damp-auto-increment", dampIncrement, "0 to below 1");
  if (blockSize < 1)
    return complain("block-size", blockSize, "1 column or more");
  return llvm::Error::success();
}
