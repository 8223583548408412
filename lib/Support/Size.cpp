//===- Size.cpp - Numbers of bytes as people write them -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/Size.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using llvm::StringRef;

llvm::Expected<uint64_t> nibble::parseSize(StringRef text) {
  auto fail = [&](StringRef reason) {
    return llvm::createStringError("size '" + text + "' " + reason +
                                   ": expected a number and a unit such as "
                                   "60MB or 1.5GiB");
  };
  StringRef trimmed = text.trim();
  StringRef number =
      trimmed.take_while([](char c) { return llvm::isDigit(c) || c == '.'; });
  std::string unit = trimmed.drop_front(number.size()).ltrim().lower();
  double value;
  if (number.empty() || number.getAsDouble(value))
    return fail("is not a number of bytes");
  StringRef rest = unit;
  if (!rest.empty() && rest != "b") {
    size_t power = StringRef("kmgt").find(rest.front()) + 1;
    rest = rest.drop_front();
    if (power == 0 || (rest != "" && rest != "b" && rest != "ib"))
      return fail("has an unknown unit");
    for (size_t i = 0; i < power; ++i)
      value *= rest == "ib" ? 1024 : 1000;
  }
  if (value >= 0x1p63)
    return fail("is too large");
  return static_cast<uint64_t>(value);
}

std::string nibble::formatBytes(uint64_t bytes) {
  static constexpr const char *units[] = {"kB", "MB", "GB", "TB"};
  if (bytes < 1000)
    return llvm::formatv("{0} B", bytes);
  double value = bytes / 1000.0;
  unsigned unit = 0;
  for (; value >= 999.995 && unit + 1 < std::size(units); ++unit)
    value /= 1000;
  return llvm::formatv("{0:f2} {1}", value, units[unit]);
}
