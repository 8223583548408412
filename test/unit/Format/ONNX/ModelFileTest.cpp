//===- ModelFileTest.cpp - Reading ONNX files -----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/ONNX/ModelFile.h"
#include "onnx.pb.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"
#include <unistd.h>

using namespace nibble::format;
using namespace nibble::onnx_schema;
using llvm::SmallString;

namespace {

/// A folder with a model in it, and a file outside of that folder.
class ModelFileTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("nibble-format", root));
    ASSERT_FALSE(llvm::sys::fs::create_directories(path("model/sub")));
    write("model/data.bin", std::string(4096, 'd'));
    write("model/sub/more.bin", std::string(4096, 'm'));
    write("outside.bin", std::string(4096, 'o'));
  }
  void TearDown() override { llvm::sys::fs::remove_directories(root); }

  std::string path(llvm::StringRef name) {
    SmallString<128> full(root);
    llvm::sys::path::append(full, name);
    return full.str().str();
  }
  void write(llvm::StringRef name, const std::string &bytes) {
    std::error_code error;
    llvm::raw_fd_ostream os(path(name), error);
    ASSERT_FALSE(error);
    os << bytes;
  }

  /// A model whose one initializer is float[`count`] and is made by `fill`.
  template <typename Fill>
  std::string read(int64_t count, Fill fill) {
    ModelProto model;
    TensorProto &tensor = *model.mutable_graph()->add_initializer();
    tensor.set_name("w");
    tensor.set_data_type(TensorProto::FLOAT);
    tensor.add_dims(count);
    fill(tensor);
    write("model/m.onnx", model.SerializeAsString());
    auto file = ModelFile::open(path("model/m.onnx"));
    if (!file)
      return llvm::toString(file.takeError());
    auto data = (*file)->getBytes((*file)->getModel().graph().initializer(0));
    if (!data)
      return llvm::toString(data.takeError());
    if (!*data)
      return "typed";
    return std::string((*data)->bytes.begin(), (*data)->bytes.end()) + "@" +
           llvm::sys::path::filename((*data)->file).str();
  }

  /// The same with external data; empty strings leave an entry out.
  std::string readExternal(const std::string &location,
                           const std::string &offset = "",
                           const std::string &length = "") {
    return read(2, [&](TensorProto &tensor) {
      tensor.set_data_location(TensorProto::EXTERNAL);
      for (auto [key, value] :
           {std::pair("location", location), std::pair("offset", offset),
            std::pair("length", length)})
        if (!value.empty()) {
          auto *entry = tensor.add_external_data();
          entry->set_key(key);
          entry->set_value(value);
        }
    });
  }

  SmallString<128> root;
};

void expectContains(const std::string &text, const std::string &part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_F(ModelFileTest, InlineData) {
  std::string big(400, 'b');
  auto raw = [](const std::string &bytes) {
    return [&bytes](TensorProto &tensor) { tensor.set_raw_data(bytes); };
  };
  EXPECT_EQ(read(2, raw("12345678")), "12345678@");
  EXPECT_EQ(read(100, raw(big)), big + "@m.onnx");
  EXPECT_EQ(read(2, [](TensorProto &tensor) { tensor.add_float_data(1); }),
            "typed");
}

TEST_F(ModelFileTest, WrongSizes) {
  auto raw = [](TensorProto &tensor) { tensor.set_raw_data("1234567"); };
  EXPECT_EQ(read(2, raw), "tensor 'w' (float[2]): raw_data holds 7 bytes, "
                          "expected 8 for this type and shape");
  EXPECT_EQ(read(-3, raw), "tensor 'w' (float[-3]): negative dimension -3");
  auto huge = [](TensorProto &tensor) {
    tensor.add_dims(int64_t(1) << 40);
    tensor.set_raw_data("1234");
  };
  expectContains(read(int64_t(1) << 40, huge), "too many elements");
  auto integers = [](TensorProto &tensor) {
    tensor.set_data_type(TensorProto::INT64);
    for (int i = 0; i != 100; ++i)
      tensor.add_float_data(0);
  };
  expectContains(read(50, integers), "float_data, which is not for this type");
  auto segment = [](TensorProto &tensor) {
    tensor.mutable_segment()->set_begin(0);
  };
  expectContains(read(2, segment), "segments are not supported");
}

TEST_F(ModelFileTest, ExternalData) {
  EXPECT_EQ(readExternal("data.bin"), "dddddddd@data.bin");
  EXPECT_EQ(readExternal("./sub/more.bin", "4088", "8"), "mmmmmmmm@more.bin");
}

TEST_F(ModelFileTest, ExternalDataMustBeThere) {
  expectContains(readExternal("none.bin"), "No such file");
  expectContains(readExternal("sub"), "not a regular file");
  expectContains(readExternal(""), "no location");
}

TEST_F(ModelFileTest, ExternalDataMustBeLongEnough) {
  expectContains(readExternal("data.bin", "4089"),
                 "has 4096 bytes, but 8 from offset 4089 are needed");
  expectContains(readExternal("data.bin", "18446744073709551615"),
                 "are needed");
  expectContains(readExternal("data.bin", "18446744073709551616"),
                 "is not a number of bytes");
  expectContains(readExternal("data.bin", "-1"), "is not a number of bytes");
  expectContains(readExternal("data.bin", "0", "12"),
                 "is 12 bytes long, expected 8");
}

TEST_F(ModelFileTest, ExternalDataStaysInTheFolder) {
  expectContains(readExternal("../outside.bin"), "'..' would leave");
  expectContains(readExternal("sub/../../outside.bin"), "'..' would leave");
  expectContains(readExternal(path("outside.bin")), "must be a path relative");
  expectContains(readExternal(std::string("data.bin\0x", 10)),
                 "must be a path relative");
}

TEST_F(ModelFileTest, LinksStayInTheFolder) {
  ASSERT_EQ(symlink("../outside.bin", path("model/link").c_str()), 0);
  ASSERT_EQ(symlink("sub/more.bin", path("model/inner").c_str()), 0);
  ASSERT_EQ(symlink("..", path("model/up").c_str()), 0);
  expectContains(readExternal("link"), "a symbolic link leads out");
  expectContains(readExternal("up/outside.bin"), "a symbolic link leads out");
  EXPECT_EQ(readExternal("inner"), "mmmmmmmm@inner");
  ASSERT_EQ(link(path("outside.bin").c_str(), path("model/hard").c_str()), 0);
  expectContains(readExternal("hard"), "more than one hard link");
}

TEST_F(ModelFileTest, TwoSourcesOfData) {
  expectContains(read(2,
                      [](TensorProto &tensor) {
                        tensor.set_raw_data("12345678");
                        tensor.set_data_location(TensorProto::EXTERNAL);
                      }),
                 "has external data and data in the model");
}

TEST_F(ModelFileTest, WithoutAFile) {
  ModelProto model;
  TensorProto &tensor = *model.mutable_graph()->add_initializer();
  tensor.set_data_type(TensorProto::UINT8);
  tensor.add_dims(1000);
  tensor.set_raw_data(std::string(1000, 'x'));
  std::string bytes = model.SerializeAsString();
  auto file = ModelFile::parse(llvm::MemoryBufferRef(bytes, "stdin"));
  ASSERT_TRUE(bool(file)) << llvm::toString(file.takeError());
  auto data = (*file)->getBytes((*file)->getModel().graph().initializer(0));
  ASSERT_FALSE(bool(data));
  expectContains(llvm::toString(data.takeError()), "give its file name");
}

TEST_F(ModelFileTest, NotAModel) {
  auto errorOf = [&](const std::string &bytes) {
    write("model/m.onnx", bytes);
    auto file = ModelFile::open(path("model/m.onnx"));
    return file ? "no error" : llvm::toString(file.takeError());
  };
  EXPECT_EQ(errorOf(""), "the file is empty");
  expectContains(errorOf("\x08\x07"), "there is no graph");
  expectContains(errorOf("PK\3\4 not a model"), "is not an ONNX model");
  auto folder = ModelFile::open(path("model"));
  ASSERT_FALSE(bool(folder));
  EXPECT_EQ(llvm::toString(folder.takeError()), "not a regular file");
}

} // namespace
