//===- TensorFileTest.cpp - Tests of the readers of tensors ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Compression.h"
#include "gtest/gtest.h"
#include <cstring>
#include <random>

extern "C" {
#include "../../../lib/Runtime/RunTool.h"
}

namespace {
const unsigned char *bytesOf(const std::string &text) {
  return reinterpret_cast<const unsigned char *>(text.data());
}

template <typename T>
std::string raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char *>(values.begin()),
          values.size() * sizeof(T)};
}

std::string little(uint64_t value, unsigned bytes) {
  std::string result;
  for (unsigned i = 0; i != bytes; ++i, value >>= 8)
    result.push_back(char(value));
  return result;
}

std::string npy(const std::string &header, const std::string &data,
                int version = 1) {
  return std::string("\x93NUMPY") + char(version) + '\0' +
         little(header.size(), version == 1 ? 2 : 4) + header + data;
}

class TensorFileTest : public testing::Test {
protected:
  void TearDown() override { nibbleFreeArray(&array); }

  nibble_status parseNpy(const std::string &text) {
    nibbleFreeArray(&array);
    return nibbleParseNpy("f.npy", bytesOf(text), text.size(), &array, &error);
  }
  nibble_status parseProto(const std::string &text) {
    nibbleFreeArray(&array);
    return nibbleParseTensorProto("f.pb", bytesOf(text), text.size(), &array,
                                  &error);
  }
  template <typename T>
  std::vector<T> elements() {
    auto *begin = static_cast<const T *>(array.data);
    return {begin, begin + array.bytes / sizeof(T)};
  }
  void expectError(llvm::StringRef part) {
    EXPECT_TRUE(llvm::StringRef(error.text).contains(part)) << error.text;
  }

  NibbleArray array = {};
  NibbleError error = {};
};

TEST_F(TensorFileTest, NpyVersions) {
  const std::string header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
  for (int version : {1, 2, 3}) {
    ASSERT_EQ(parseNpy(npy(header, raw<float>({1, 2, 3, 4, 5, 6}), version)),
              NIBBLE_OK)
        << error.text;
    EXPECT_EQ(array.dtype, NIBBLE_FLOAT);
    ASSERT_EQ(array.rank, 2);
    EXPECT_EQ(array.dims[0], 2);
    EXPECT_EQ(array.dims[1], 3);
    EXPECT_EQ(elements<float>(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  }
}

TEST_F(TensorFileTest, NpyFortranOrderAndScalars) {
  ASSERT_EQ(parseNpy(npy("{\"descr\":\"<i2\",\"fortran_order\":True,"
                         "\"shape\":(2,3)}",
                         raw<int16_t>({1, 2, 3, 4, 5, 6}))),
            NIBBLE_OK)
      << error.text;
  EXPECT_EQ(elements<int16_t>(), (std::vector<int16_t>{1, 3, 5, 2, 4, 6}));
  ASSERT_EQ(parseNpy(npy("{'descr': '<i8', 'fortran_order': False, "
                         "'shape': ()}",
                         raw<int64_t>({7}))),
            NIBBLE_OK);
  EXPECT_EQ(array.rank, 0);
  ASSERT_EQ(parseNpy(npy("{'descr': '|b1', 'fortran_order': False, "
                         "'shape': (0, 5)}",
                         "")),
            NIBBLE_OK);
  EXPECT_EQ(array.bytes, 0u);
}

TEST_F(TensorFileTest, NpyErrors) {
  auto header = [](const char *descr, const char *shape) {
    return std::string("{'descr': ") + descr +
           ", 'fortran_order': False, 'shape': " + shape + "}";
  };
  EXPECT_NE(parseNpy("PK"), NIBBLE_OK);
  expectError("is not an .npy file");
  EXPECT_NE(parseNpy(npy(header("'>f4'", "(1,)"), "abcd")), NIBBLE_OK);
  expectError("big-endian");
  EXPECT_NE(parseNpy(npy(header("'<U4'", "(1,)"), "abcd")), NIBBLE_OK);
  expectError("'f.npy': elements of type <U4");
  EXPECT_NE(parseNpy(npy(header("[('a', '<f4')]", "(1,)"), "abcd")), NIBBLE_OK);
  EXPECT_NE(parseNpy(npy(header("'<f4'", "(2,)"), "abcd")), NIBBLE_OK);
  expectError("4 bytes of elements, expected 8");
  EXPECT_NE(parseNpy(npy(header("'<f4'", "(1, -3)"), "abcd")), NIBBLE_OK);
  EXPECT_NE(parseNpy(npy(header("'<f8'", "(4611686018427387904, 8)"), "")),
            NIBBLE_OK);
  expectError("impossible");
  std::string good = npy(header("'<f4'", "(1,)"), "abcd");
  for (size_t size = 0; size != good.size(); ++size)
    EXPECT_NE(parseNpy(good.substr(0, size)), NIBBLE_OK) << size;
}

//===----------------------------------------------------------------------===//
// npz
//===----------------------------------------------------------------------===//

/// A zip file of members, stored or compressed.
std::string zip(const std::vector<std::pair<std::string, std::string>> &members,
                bool compress) {
  std::string file, directory;
  for (const auto &[name, data] : members) {
    std::string packed = data;
    if (compress) {
      llvm::SmallVector<uint8_t> out;
      llvm::compression::zlib::compress(
          llvm::ArrayRef<uint8_t>(bytesOf(data), data.size()), out);
      // Raw DEFLATE lies between a header of two bytes and a check sum of four.
      packed.assign(out.begin() + 2, out.end() - 4);
    }
    std::string common = little(20, 2) + little(0, 2) +
                         little(compress ? 8 : 0, 2) + little(0, 4) +
                         little(nibbleCrc32(bytesOf(data), data.size()), 4) +
                         little(packed.size(), 4) + little(data.size(), 4) +
                         little(name.size(), 2) + little(0, 2);
    directory += "PK\1\2" + little(20, 2) + common + little(0, 10) +
                 little(file.size(), 4) + name;
    file += "PK\3\4" + common + name + packed;
  }
  size_t begin = file.size();
  return file + directory + "PK\5\6" + little(0, 4) +
         little(members.size(), 2) + little(members.size(), 2) +
         little(directory.size(), 4) + little(begin, 4) + little(0, 2);
}

TEST_F(TensorFileTest, NpzMembers) {
  std::string data;
  std::mt19937 random(3);
  for (int i = 0; i != 20000; ++i)
    data += little(i % 5 ? i / 7 : random(), 4);
  const std::string a =
      npy("{'descr': '<i4', 'fortran_order': False, 'shape': (20000,)}", data);
  const std::string b =
      npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", "xyz");
  for (bool compress : {false, true}) {
    if (compress && !llvm::compression::zlib::isAvailable())
      continue;
    std::string file = zip({{"a.npy", a}, {"b.npy", b}}, compress);
    auto read = [&](const char *name, bool &found) {
      nibbleFreeArray(&array);
      return nibbleReadNpzMember("f.npz", bytesOf(file), file.size(), name,
                                 &found, &array, &error);
    };
    bool found;
    ASSERT_EQ(read("a", found), NIBBLE_OK) << error.text;
    EXPECT_TRUE(found);
    ASSERT_EQ(array.bytes, data.size());
    EXPECT_EQ(memcmp(array.data, data.data(), data.size()), 0);
    ASSERT_EQ(read("b", found), NIBBLE_OK) << error.text;
    EXPECT_EQ(elements<char>(), (std::vector<char>{'x', 'y', 'z'}));
    EXPECT_EQ(read("c", found), NIBBLE_OK);
    EXPECT_FALSE(found);
    EXPECT_NE(read(nullptr, found), NIBBLE_OK);
    expectError("has 2 arrays");
    // Damage is found, wherever it is.
    std::string good = file;
    for (size_t i = 40; i < a.size() / 4; i += 97) {
      file = good;
      file[i] ^= 0x55;
      nibble_status status = read("a", found);
      if (status == NIBBLE_OK && found)
        EXPECT_EQ(memcmp(array.data, data.data(), data.size()), 0) << i;
    }
    for (size_t size = 0; size < good.size(); size += 31) {
      file = good.substr(0, size);
      EXPECT_NE(read("b", found), NIBBLE_OK) << size;
    }
  }
}

TEST_F(TensorFileTest, InflateAnyInput) {
  if (!llvm::compression::zlib::isAvailable())
    GTEST_SKIP() << "LLVM was built without zlib";
  std::mt19937 random(5);
  for (int round = 0; round != 60; ++round) {
    std::string data;
    size_t size = random() % 100000;
    unsigned alphabet = 1 + random() % 256;
    while (data.size() < size)
      data.push_back(char(random() % alphabet));
    for (int level : {0, 1, 6, 9}) {
      llvm::SmallVector<uint8_t> out;
      llvm::compression::zlib::compress(
          llvm::ArrayRef<uint8_t>(bytesOf(data), data.size()), out, level);
      std::string result(data.size(), '\0');
      auto *to = reinterpret_cast<unsigned char *>(result.data());
      ASSERT_TRUE(nibbleInflate(out.data() + 2, out.size() - 6, to,
                                result.size(), nullptr, nullptr));
      ASSERT_EQ(result, data);
      EXPECT_FALSE(nibbleInflate(out.data() + 2, out.size() - 6, to,
                                 result.size() ? result.size() - 1 : 1, nullptr,
                                 nullptr) &&
                   result.size());
      // Random damage may decode, but never outside of the buffers.
      if (out.size() > 10)
        out[2 + random() % (out.size() - 6)] ^= uint8_t(1 + random() % 255);
      (void)nibbleInflate(out.data() + 2, out.size() - 6, to, result.size(),
                          nullptr, nullptr);
    }
  }
}

//===----------------------------------------------------------------------===//
// TensorProto
//===----------------------------------------------------------------------===//

std::string lengthField(int number, const std::string &content) {
  return std::string(1, char(number << 3 | 2)) + char(content.size()) + content;
}

TEST_F(TensorFileTest, ProtoRawAndTyped) {
  const std::string dims = "\x08\x02\x08\x01"; // dims: 2, 1
  ASSERT_EQ(
      parseProto(dims + "\x10\x01" + lengthField(9, raw<float>({1.5f, -2}))),
      NIBBLE_OK)
      << error.text;
  EXPECT_EQ(array.rank, 2);
  EXPECT_EQ(elements<float>(), (std::vector<float>{1.5f, -2}));
  // Packed dims, type behind the data.
  ASSERT_EQ(parseProto(lengthField(1, "\x02") +
                       lengthField(4, raw<float>({3, 4})) + "\x10\x01"),
            NIBBLE_OK)
      << error.text;
  EXPECT_EQ(elements<float>(), (std::vector<float>{3, 4}));
  // int64_data with a negative number, which takes ten bytes.
  ASSERT_EQ(
      parseProto("\x08\x02\x10\x07" +
                 lengthField(7, "\x05" + std::string(9, '\xff') + "\x01")),
      NIBBLE_OK)
      << error.text;
  EXPECT_EQ(elements<int64_t>(), (std::vector<int64_t>{5, -1}));
  // Small integers and booleans share int32_data, packed or not.
  ASSERT_EQ(parseProto(std::string("\x08\x02\x10\x09\x28\x01\x28\x00", 8)),
            NIBBLE_OK)
      << error.text;
  EXPECT_EQ(elements<char>(), (std::vector<char>{1, 0}));
}

TEST_F(TensorFileTest, ProtoUnpacksSmallElements) {
  // Three of 4 bits take two bytes, five of 2 bits too, five of 6 bits four.
  const std::string three = "\x08\x03", five = "\x08\x05";
  const std::vector<char> codes = {1, 15, 8};
  ASSERT_EQ(parseProto(three + "\x10\x16" + lengthField(9, "\xf1\x08")),
            NIBBLE_OK)
      << error.text;
  EXPECT_EQ(elements<char>(), codes);
  EXPECT_EQ(nibbleElement(array.data, array.dtype, 1), -1);
  EXPECT_EQ(nibbleElement(array.data, array.dtype, 2), -8);
  ASSERT_EQ(parseProto(three + "\x10\x15" + lengthField(5, "\xf1\x01\x08")),
            NIBBLE_OK)
      << error.text;
  EXPECT_EQ(elements<char>(), codes);
  ASSERT_EQ(parseProto(five + "\x10\x1a" + lengthField(9, "\xe4\x02")),
            NIBBLE_OK)
      << error.text;
  EXPECT_EQ(elements<char>(), (std::vector<char>{0, 1, 2, 3, 2}));
  ASSERT_EQ(parseProto(five + "\x10\x1b" +
                       lengthField(9, std::string("\x81\x30\x10\x3f", 4))),
            NIBBLE_OK)
      << error.text;
  EXPECT_EQ(elements<char>(), (std::vector<char>{1, 2, 3, 4, 63}));
  // In int32_data an element of 6 bits has a number of its own.
  ASSERT_EQ(parseProto(three + "\x10\x1c" +
                       lengthField(5, std::string("\x00\x1f\x21", 3))),
            NIBBLE_OK)
      << error.text;
  EXPECT_EQ(nibbleElement(array.data, array.dtype, 1), 28);
  EXPECT_EQ(nibbleElement(array.data, array.dtype, 2), -0.0625);
  EXPECT_NE(parseProto(three + "\x10\x16" + lengthField(9, "\xf1\x08z")),
            NIBBLE_OK);
  expectError("3 bytes of elements, expected 2");
}

TEST_F(TensorFileTest, ProtoErrors) {
  EXPECT_NE(parseProto(""), NIBBLE_OK);
  EXPECT_NE(parseProto("\x08\x02\x10\x01" + lengthField(9, "abcd")), NIBBLE_OK);
  expectError("4 bytes of elements, expected 8");
  EXPECT_NE(parseProto("\x10\x08" + lengthField(6, "abcd")), NIBBLE_OK);
  expectError("ONNX type 8");
  EXPECT_NE(parseProto("\x08\x01\x10\x01" + lengthField(13, "x")), NIBBLE_OK);
  expectError("another file");
  EXPECT_NE(parseProto("\x08\x02\x10\x01" + lengthField(4, "abcd")), NIBBLE_OK);
  std::mt19937 random(9);
  for (int i = 0; i != 20000; ++i) {
    std::string noise = "\x08\x02\x10\x01";
    for (unsigned j = random() % 30; j; --j)
      noise.push_back(char(random()));
    (void)parseProto(noise);
  }
}

TEST_F(TensorFileTest, WrittenFilesReadBack) {
  std::string path = testing::TempDir() + "nibble-written.npy";
  for (int rank : {0, 1, 2, 5}) {
    int64_t dims[5] = {2, 3, 1, 2, 2};
    size_t count = 1;
    for (int i = 0; i != rank; ++i)
      count *= size_t(dims[i]);
    std::vector<float> data(count);
    for (size_t i = 0; i != count; ++i)
      data[i] = float(i) * 0.25f;
    nibble_tensor tensor = {};
    tensor.data = data.data();
    tensor.bytes = count * 4;
    tensor.dtype = NIBBLE_FLOAT;
    tensor.rank = rank;
    tensor.dims = dims;
    ASSERT_EQ(nibbleWriteNpy(path.c_str(), &tensor, &error), NIBBLE_OK)
        << error.text;
    unsigned char *file;
    size_t size;
    ASSERT_EQ(nibbleReadFile(path.c_str(), &file, &size, &error), NIBBLE_OK);
    // Elements start at a multiple of 64, as NumPy maps them.
    EXPECT_EQ((size - tensor.bytes) % 64, 0u);
    nibbleFreeArray(&array);
    ASSERT_EQ(nibbleParseNpy("f", file, size, &array, &error), NIBBLE_OK)
        << error.text;
    free(file);
    EXPECT_EQ(array.rank, rank);
    EXPECT_EQ(elements<float>(), data);
  }
  remove(path.c_str());
  nibble_tensor scalar = {};
  float value = 1;
  scalar.data = &value;
  scalar.bytes = 4;
  scalar.dtype = NIBBLE_FLOAT;
  EXPECT_EQ(nibbleWriteNpy("/no/such/folder/x.npy", &scalar, &error),
            NIBBLE_IO_ERROR);
  expectError("/no/such/folder/x.npy");
}
} // namespace
