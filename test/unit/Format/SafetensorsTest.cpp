//===- SafetensorsTest.cpp - Named arrays in one file ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/Safetensors/Safetensors.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>

using namespace nibble::format;

namespace {
class SafetensorsTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("nibble-test", folder));
    path = folder;
    llvm::sys::path::append(path, "a.safetensors");
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  /// Writes a header with its length, and `data` zeros.
  void write(const std::string &header, size_t data) {
    std::ofstream file(path.c_str(), std::ios::binary);
    uint64_t length = header.size();
    file.write(reinterpret_cast<const char *>(&length), 8);
    file << header << std::string(data, '\0');
  }
  std::string getError() {
    auto file = SafetensorsFile::open(path);
    EXPECT_FALSE(static_cast<bool>(file));
    return file ? "" : llvm::toString(file.takeError());
  }

  llvm::SmallString<128> folder, path;
};
} // namespace

TEST_F(SafetensorsTest, ReadsWhatItWrites) {
  std::vector<float> floats = {1, 2, 3, 4, 5, 6};
  std::vector<uint64_t> numbers = {7, 8};
  auto summary = writeSafetensors(
      path,
      {{"b \"x\"", "F32", {2, 3}}, {"a", "U64", {2}}, {"empty", "F16", {0}}},
      {{"note", "here [[[[[[[[[[ \\\"{{{{{{"}}, [&](size_t i, auto write) {
        if (i == 0)
          write({reinterpret_cast<const char *>(floats.data()), 24});
        if (i == 1)
          write({reinterpret_cast<const char *>(numbers.data()), 16});
      });
  ASSERT_TRUE(static_cast<bool>(summary));
  auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  EXPECT_EQ((*file)->getBuffer().size(), summary->bytes);
  EXPECT_EQ((*file)->getMetadata().at("note"), "here [[[[[[[[[[ \\\"{{{{{{");
  const SafetensorsEntry *entry = (*file)->find("b \"x\"");
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->shape, (std::vector<int64_t>{2, 3}));
  llvm::ArrayRef<char> data = (*file)->getData(*entry);
  EXPECT_EQ(std::memcmp(data.data(), floats.data(), 24), 0);
  ASSERT_NE((*file)->find("a"), nullptr);
  data = (*file)->getData(*(*file)->find("a"));
  EXPECT_EQ(std::memcmp(data.data(), numbers.data(), 16), 0);
  ASSERT_NE((*file)->find("empty"), nullptr);
  EXPECT_TRUE((*file)->getData(*(*file)->find("empty")).empty());
  EXPECT_EQ((*file)->find("c"), nullptr);
}

TEST_F(SafetensorsTest, RefusesWhatCannotBe) {
  struct Case {
    const char *header;
    size_t data;
    const char *message;
  } cases[] = {
      {"[]", 0, "no JSON object"},
      {"{", 0, "can't be read"},
      {R"({"a": 3})", 0, "says of 'a' what can't be"},
      {R"({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}})", 4,
       "says of 'a' what can't be"},
      {R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", 4,
       "says of 'a' what can't be"},
      {R"({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", 4,
       "says of 'a' what can't be"},
      {R"({"a": {"dtype": "F32", "shape": [4611686018427387904, 4],
          "data_offsets": [0, 0]}})",
       0, "says of 'a' what can't be"},
      {R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}})", 8,
       "says of 'a' what can't be"},
      {R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", 7,
       "cut off before the end of 'a'"},
  };
  for (const Case &c : cases) {
    write(c.header, c.data);
    std::string error = getError();
    EXPECT_NE(error.find("a.safetensors"), std::string::npos) << c.header;
    EXPECT_NE(error.find(c.message), std::string::npos)
        << c.header << ": " << error;
  }
  // As deep as this, a parser that calls itself has no stack left.
  for (const char *level : {"[", "{\"a\":"}) {
    std::string header;
    for (int i = 0; i != 1000000; ++i)
      header += level;
    write(header, 0);
    EXPECT_NE(getError().find("nested too deep"), std::string::npos);
  }
  std::ofstream(path.c_str()) << "short";
  EXPECT_NE(getError().find("cut off"), std::string::npos);
  std::ofstream(path.c_str()) << std::string(32, '\xff');
  EXPECT_NE(getError().find("cut off"), std::string::npos);
}
