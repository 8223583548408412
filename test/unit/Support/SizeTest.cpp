//===- SizeTest.cpp - Numbers of bytes as people write them ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/Size.h"
#include "gtest/gtest.h"

using namespace nibble;

namespace {

TEST(SizeTest, Units) {
  const std::pair<const char *, uint64_t> cases[] = {{"0", 0},
                                                     {"4096", 4096},
                                                     {"12 B", 12},
                                                     {"60MB", 60000000},
                                                     {"1.5kB", 1500},
                                                     {"2k", 2000},
                                                     {"1KiB", 1024},
                                                     {"1.5 GiB", 1610612736},
                                                     {"3gb", 3000000000},
                                                     {"2T", 2000000000000}};
  for (auto [text, bytes] : cases) {
    llvm::Expected<uint64_t> size = parseSize(text);
    ASSERT_TRUE(bool(size)) << llvm::toString(size.takeError());
    EXPECT_EQ(*size, bytes) << text;
  }
}

TEST(SizeTest, Errors) {
  for (const char *text :
       {"", "MB", "-1", "1.2.3", "5x", "5MBs", "60 M B", "0x10", "1e400"}) {
    llvm::Expected<uint64_t> size = parseSize(text);
    ASSERT_FALSE(bool(size)) << text;
    std::string message = llvm::toString(size.takeError());
    EXPECT_EQ(message.rfind("size '", 0), 0u) << message;
  }
  llvm::Expected<uint64_t> size = parseSize("99999999TB");
  ASSERT_FALSE(bool(size));
  EXPECT_EQ(llvm::toString(size.takeError()),
            "size '99999999TB' is too large: expected a number and a unit such "
            "as 60MB or 1.5GiB");
}

TEST(SizeTest, Formatting) {
  EXPECT_EQ(formatBytes(0), "0 B");
  EXPECT_EQ(formatBytes(999), "999 B");
  EXPECT_EQ(formatBytes(1500), "1.50 kB");
  EXPECT_EQ(formatBytes(999999), "1.00 MB");
  EXPECT_EQ(formatBytes(123456789), "123.46 MB");
}

} // namespace
