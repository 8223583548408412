//===- HashTest.cpp - Tests of the checksums of model files ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Runtime/Hash.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/xxhash.h"
#include "gtest/gtest.h"
#include <random>

namespace {

/// The sum of `text`, added in pieces of `piece` bytes.
uint64_t hashOf(llvm::StringRef text, size_t piece) {
  NibbleHash hash;
  nibbleHashBegin(&hash);
  for (; !text.empty(); text = text.drop_front(std::min(piece, text.size())))
    nibbleHashAdd(&hash, text.data(), std::min(piece, text.size()));
  return nibbleHashEnd(&hash);
}

TEST(HashTest, IsXXH64) {
  // Of the empty text: from the specification's examples.
  EXPECT_EQ(hashOf("", 1), 0xef46db3751d8e999u);
  std::minstd_rand random(3);
  std::string text;
  for (size_t size : {1, 3, 4, 7, 8, 12, 31, 32, 33, 63, 64, 100, 1000}) {
    while (text.size() < size)
      text.push_back(static_cast<char>(random()));
    for (size_t piece : {size_t(1), size_t(5), size_t(32), size_t(50), size})
      EXPECT_EQ(hashOf(text, piece), llvm::xxHash64(text))
          << size << " bytes in pieces of " << piece;
  }
}

} // namespace
