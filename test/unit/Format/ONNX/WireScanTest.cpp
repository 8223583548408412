//===- WireScanTest.cpp - Finding weights in an ONNX file -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/ONNX/WireScan.h"
#include "nibble/Format/ONNX/ModelFile.h"
#include "onnx.pb.h"
#include "llvm/ADT/StringExtras.h"
#include "gtest/gtest.h"
#include <random>

using namespace nibble::format;
using namespace nibble::onnx_schema;

namespace {

/// The bytes of a length-delimited field.
std::string field(unsigned number, const std::string &content) {
  std::string bytes;
  for (uint64_t part : {uint64_t(number) << 3 | 2, uint64_t(content.size())}) {
    for (; part >= 0x80; part >>= 7)
      bytes += static_cast<char>(part | 0x80);
    bytes += static_cast<char>(part);
  }
  return bytes + content;
}

llvm::Expected<SlimModel> scan(const std::string &bytes) {
  return scanModel(llvm::arrayRefFromStringRef(bytes));
}

std::string errorOf(const std::string &bytes) {
  llvm::Expected<SlimModel> slim = scan(bytes);
  return slim ? "no error" : llvm::toString(slim.takeError());
}

/// A model with data in every place where a tensor can be.
ModelProto makeModel(size_t dataSize) {
  ModelProto model;
  model.set_ir_version(10);
  auto fill = [&](TensorProto &tensor) {
    tensor.set_name("t");
    tensor.set_data_type(TensorProto::UINT8);
    tensor.add_dims(dataSize);
    tensor.set_raw_data(std::string(dataSize, 'x'));
  };
  GraphProto &graph = *model.mutable_graph();
  graph.set_name("g");
  fill(*graph.add_initializer());
  fill(*graph.add_sparse_initializer()->mutable_values());
  NodeProto &node = *graph.add_node();
  node.set_op_type("If");
  fill(*node.add_attribute()->mutable_t());
  GraphProto &inner = *node.add_attribute()->mutable_g();
  fill(*inner.add_initializer());
  fill(*inner.add_node()->add_attribute()->add_tensors());
  fill(*node.add_attribute()->add_graphs()->add_initializer());
  FunctionProto &function = *model.add_functions();
  fill(*function.add_node()->add_attribute()->mutable_t());
  fill(*function.add_attribute_proto()->mutable_t());
  return model;
}

constexpr size_t kTensors = 8;

TEST(WireScan, LargeDataStaysInTheFile) {
  std::string data(300, 'w');
  // graph.initializer { raw_data }, then the graph's name.
  std::string file = field(7, field(5, field(9, data)) + field(2, "main"));
  llvm::Expected<SlimModel> slim = scan(file);
  ASSERT_TRUE(bool(slim)) << llvm::toString(slim.takeError());
  ASSERT_EQ(slim->blobs.size(), 1u);
  EXPECT_EQ(slim->blobs[0].length, 300u);
  EXPECT_EQ(slim->blobs[0].field, WireBlob::Field::RawData);
  EXPECT_EQ(file.substr(slim->blobs[0].offset, 300), data);
  EXPECT_LT(slim->bytes.size(), 40u);

  ModelProto model;
  ASSERT_TRUE(model.ParseFromString(slim->bytes));
  EXPECT_EQ(model.graph().name(), "main");
  ASSERT_EQ(model.graph().initializer_size(), 1);
  EXPECT_FALSE(model.graph().initializer(0).has_raw_data());
  EXPECT_EQ(model.graph().initializer(0).nibble_blob(), 0u);
}

TEST(WireScan, DataOfEveryPlaceIsFound) {
  std::string file = makeModel(1000).SerializeAsString();
  llvm::Expected<SlimModel> slim = scan(file);
  ASSERT_TRUE(bool(slim)) << llvm::toString(slim.takeError());
  EXPECT_EQ(slim->blobs.size(), kTensors);
  EXPECT_LT(slim->bytes.size(), 500u);
  for (const WireBlob &blob : slim->blobs)
    EXPECT_EQ(file.substr(blob.offset, blob.length), std::string(1000, 'x'));
}

TEST(WireScan, SmallDataIsParsed) {
  std::string file = makeModel(kInlineDataLimit).SerializeAsString();
  llvm::Expected<SlimModel> slim = scan(file);
  ASSERT_TRUE(bool(slim)) << llvm::toString(slim.takeError());
  EXPECT_TRUE(slim->blobs.empty());
  ModelProto model;
  ASSERT_TRUE(model.ParseFromString(slim->bytes));
  EXPECT_EQ(model.graph().initializer(0).raw_data().size(), kInlineDataLimit);
}

TEST(WireScan, PackedFloatsAreBytes) {
  std::string floats(400, '\1');
  llvm::Expected<SlimModel> slim =
      scan(field(7, field(5, field(4, floats)) + field(5, field(10, floats))));
  ASSERT_TRUE(bool(slim)) << llvm::toString(slim.takeError());
  ASSERT_EQ(slim->blobs.size(), 2u);
  EXPECT_EQ(slim->blobs[0].field, WireBlob::Field::FloatData);
  EXPECT_EQ(slim->blobs[1].field, WireBlob::Field::DoubleData);
}

TEST(WireScan, DataInPiecesIsAnError) {
  std::string data(300, 'w');
  std::string file = field(7, field(5, field(4, data) + field(4, data)));
  EXPECT_NE(errorOf(file).find("in model.graph.initializer[0]: a tensor holds "
                               "its data twice or in pieces"),
            std::string::npos)
      << errorOf(file);
}

TEST(WireScan, TrainingInfoIsLeftOut) {
  llvm::Expected<SlimModel> slim =
      scan(field(20, std::string(1000, 't')) + field(7, ""));
  ASSERT_TRUE(bool(slim)) << llvm::toString(slim.takeError());
  EXPECT_LT(slim->bytes.size(), 10u);
}

TEST(WireScan, OurReferenceCannotComeFromOutside) {
  ModelProto model;
  model.mutable_graph()->add_initializer()->set_nibble_blob(7);
  llvm::Expected<SlimModel> slim = scan(model.SerializeAsString());
  ASSERT_TRUE(bool(slim)) << llvm::toString(slim.takeError());
  ModelProto parsed;
  ASSERT_TRUE(parsed.ParseFromString(slim->bytes));
  EXPECT_FALSE(parsed.graph().initializer(0).has_nibble_blob());
}

TEST(WireScan, TruncationIsNoticedAtEveryLength) {
  std::string file = makeModel(400).SerializeAsString();
  size_t whole = 0;
  for (size_t length = 0; length != file.size(); ++length)
    whole += errorOf(file.substr(0, length)) == "no error";
  // A cut between the fields of the model leaves a well-formed message: the
  // empty one, and the one before each field but the first.
  EXPECT_EQ(whole, 3u);
}

TEST(WireScan, ErrorsSayWhere) {
  std::string file = field(7, field(1, "") + field(1, field(5, "\x0a\x7f")));
  EXPECT_EQ(errorOf(file),
            "byte 8, in model.graph.node[1].attribute[0]: field 1 is 127 bytes "
            "long, but only 0 are left: the file is truncated or is not an "
            "ONNX model");
}

TEST(WireScan, MalformedVarintsAreErrors) {
  // A length of 2^64 - 1, one of 11 bytes, a tag of field 0, a group.
  for (std::string bytes :
       {std::string("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        std::string("\x3a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
        std::string("\x02\x01"), std::string("\x0b\x0c"),
        std::string("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f")})
    EXPECT_NE(errorOf(bytes), "no error") << llvm::toHex(bytes);
}

TEST(WireScan, NestingIsBounded) {
  std::string graph;
  for (int i = 0; i != 100; ++i)
    graph = field(1, field(5, field(6, graph)));
  EXPECT_NE(errorOf(field(7, graph)).find("nested more than 90"),
            std::string::npos);
}

TEST(WireScan, DamagedFilesNeverCrash) {
  std::string good = makeModel(300).SerializeAsString();
  std::mt19937 random(1);
  for (int round = 0; round != 20000; ++round) {
    std::string bytes = good;
    if (round % 4 == 0) {
      bytes.resize(random() % 200);
      for (char &byte : bytes)
        byte = static_cast<char>(random());
    } else {
      for (unsigned i = 0, e = 1 + random() % 4; i != e; ++i)
        bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    // What still parses must be readable or refused tensor by tensor.
    auto file = ModelFile::parse(llvm::MemoryBufferRef(bytes, "random"));
    if (!file) {
      EXPECT_FALSE(llvm::toString(file.takeError()).empty());
      continue;
    }
    for (const TensorProto &tensor : (*file)->getModel().graph().initializer())
      if (auto data = (*file)->getBytes(tensor); !data)
        llvm::consumeError(data.takeError());
  }
}

} // namespace
