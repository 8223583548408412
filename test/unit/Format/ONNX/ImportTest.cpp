//===- ImportTest.cpp - Importing damaged models --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/ONNX/Import.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "onnx.pb.h"
#include "gtest/gtest.h"
#include <random>

using namespace mlir;
using namespace nibble::format;
using namespace nibble::onnx_schema;

namespace {

void setFloatType(ValueInfoProto &info, const std::string &name) {
  info.set_name(name);
  info.mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
  auto *shape = info.mutable_type()->mutable_tensor_type()->mutable_shape();
  shape->add_dim()->set_dim_param("n");
  shape->add_dim()->set_dim_value(3);
}

NodeProto &addNode(google::protobuf::RepeatedPtrField<NodeProto> &nodes,
                   const std::string &type, const std::string &input,
                   const std::string &output) {
  NodeProto &node = *nodes.Add();
  node.set_op_type(type);
  node.add_input(input);
  node.add_output(output);
  return node;
}

/// A model with subgraphs, a function, and tensors of several kinds.
ModelProto makeModel() {
  ModelProto model;
  model.set_ir_version(10);
  model.add_opset_import()->set_version(21);
  GraphProto &graph = *model.mutable_graph();
  setFloatType(*graph.add_input(), "x");
  setFloatType(*graph.add_output(), "y");
  for (int32_t type : {TensorProto::FLOAT, TensorProto::INT4, TensorProto::BOOL,
                       TensorProto::FLOAT16}) {
    TensorProto &tensor = *graph.add_initializer();
    tensor.set_name("t" + std::to_string(type));
    tensor.set_data_type(type);
    tensor.add_dims(2);
    for (int i = 0; i != 2; ++i)
      if (type == TensorProto::FLOAT)
        tensor.add_float_data(1);
      else if (type != TensorProto::INT4 || i == 0)
        tensor.add_int32_data(1);
  }
  SparseTensorProto &sparse = *graph.add_sparse_initializer();
  sparse.add_dims(8);
  sparse.mutable_values()->set_name("sparse");
  sparse.mutable_values()->set_data_type(TensorProto::FLOAT);
  sparse.mutable_values()->add_dims(1);
  sparse.mutable_values()->add_float_data(1);
  sparse.mutable_indices()->set_data_type(TensorProto::INT64);
  sparse.mutable_indices()->add_dims(1);
  sparse.mutable_indices()->add_int64_data(5);

  addNode(*graph.mutable_node(), "IsNaN", "x", "c");
  NodeProto &branch = addNode(*graph.mutable_node(), "If", "c", "h");
  for (const char *name : {"then_branch", "else_branch"}) {
    AttributeProto &attribute = *branch.add_attribute();
    attribute.set_name(name);
    attribute.set_type(AttributeProto::GRAPH);
    addNode(*attribute.mutable_g()->mutable_node(), "Sqrt", "x", "i");
    attribute.mutable_g()->add_output()->set_name("i");
  }
  NodeProto &call = addNode(*graph.mutable_node(), "Call", "h", "y");
  call.set_domain("mine");
  AttributeProto &axis = *call.add_attribute();
  axis.set_name("axis");
  axis.set_type(AttributeProto::INT);
  axis.set_i(1);

  FunctionProto &function = *model.add_functions();
  function.set_name("Call");
  function.set_domain("mine");
  function.add_input("a");
  function.add_output("c");
  addNode(*function.mutable_node(), "Relu", "a", "b");
  addNode(*function.mutable_node(), "Abs", "b", "c");
  return model;
}

/// Imports bytes; returns the messages, and whether there is a module.
std::pair<std::vector<std::string>, bool> import(const std::string &bytes) {
  MLIRContext context;
  std::vector<std::string> messages;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    messages.push_back(diagnostic.str());
    return success();
  });
  ImportOptions options;
  options.dims.push_back({"n", 4});
  auto module =
      importONNX(llvm::MemoryBufferRef(bytes, "memory"), &context, options);
  return {messages, static_cast<bool>(module)};
}

TEST(Import, TheModelItselfIsFine) {
  auto [messages, imported] = import(makeModel().SerializeAsString());
  EXPECT_TRUE(imported) << (messages.empty() ? "" : messages[0]);
  EXPECT_TRUE(messages.empty());
}

TEST(Import, TruncatedModelsGetOneMessage) {
  std::string file = makeModel().SerializeAsString();
  for (size_t length = 0; length != file.size(); ++length) {
    auto [messages, imported] = import(file.substr(0, length));
    // A cut between two fields may leave a whole model.
    if (!imported)
      EXPECT_EQ(messages.size(), 1u) << length;
  }
}

TEST(Import, DamagedModelsGetOneMessage) {
  std::string good = makeModel().SerializeAsString();
  std::mt19937 random(7);
  for (int round = 0; round != 3000; ++round) {
    std::string bytes = good;
    for (unsigned i = 0, e = 1 + random() % 3; i != e; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    auto [messages, imported] = import(bytes);
    if (!imported)
      EXPECT_EQ(messages.size(), 1u) << round;
    else
      EXPECT_TRUE(messages.empty()) << messages[0];
  }
}

TEST(Import, DamagedFieldsGetOneMessage) {
  // Changes that keep the message well-formed reach the later checks.
  std::mt19937 random(9);
  for (int round = 0; round != 2000; ++round) {
    ModelProto model = makeModel();
    GraphProto &graph = *model.mutable_graph();
    TensorProto &tensor =
        *graph.mutable_initializer(random() % graph.initializer_size());
    SparseTensorProto &sparse = *graph.mutable_sparse_initializer(0);
    switch (round % 8) {
    case 0:
      tensor.set_dims(0, static_cast<int64_t>(static_cast<uint64_t>(random())
                                              << (random() % 64)));
      break;
    case 1:
      tensor.set_data_type(random() % 32);
      break;
    case 2:
      sparse.set_dims(0, static_cast<uint64_t>(random()) << (random() % 40));
      break;
    case 3:
      sparse.mutable_indices()->set_int64_data(0, random() % 20 - 10);
      break;
    case 4:
      tensor.set_raw_data(std::string(random() % 20, 'r'));
      break;
    case 5:
      graph.mutable_node(random() % 3)->set_input(0, "h");
      break;
    case 6:
      model.mutable_functions(0)->mutable_node(0)->set_op_type("Call");
      model.mutable_functions(0)->mutable_node(0)->set_domain("mine");
      break;
    default:
      tensor.set_name(random() % 2 ? "x" : "");
    }
    auto [messages, imported] = import(model.SerializeAsString());
    if (!imported)
      EXPECT_EQ(messages.size(), 1u) << round;
  }
}

TEST(Import, DimOption) {
  auto dim = parseDim("a=b=12");
  ASSERT_TRUE(bool(dim));
  EXPECT_EQ(dim->first, "a=b");
  EXPECT_EQ(dim->second, 12);
  for (const char *text : {"", "a", "a=", "=3", "a=-1", "a=1x"}) {
    auto bad = parseDim(text);
    EXPECT_FALSE(bool(bad)) << text;
    llvm::consumeError(bad.takeError());
  }
}

} // namespace
