//===- ExportTest.cpp - Writing ONNX files --------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/ONNX/Export.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Parser/Parser.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "nibble/Format/ONNX/Import.h"
#include "nibble/Format/ONNX/ModelFile.h"
#include "onnx.pb.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <numeric>

using namespace mlir;
using namespace nibble::format;

namespace {

constexpr int64_t kElements = 3000;

/// Exports a module with two large weights to a folder of its own.
class ExportTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("nibble-export", root));
    path = root;
    llvm::sys::path::append(path, "m.onnx");
    context.loadDialect<func::FuncDialect, nibble::NibbleDialect,
                        nibble::onnx::ONNXDialect>();
    std::vector<float> values(kElements);
    std::iota(values.begin(), values.end(), 0.5f);
    auto type = RankedTensorType::get({kElements}, Float32Type::get(&context));
    dense = DenseElementsAttr::get(type, ArrayRef<float>(values));
    std::string text =
        "func.func @f(%x: tensor<3000xf32>) -> tensor<3000xf32> {\n"
        "  %a = onnx.Constant {onnx.name = \"a\", value = dense<0.0> : "
        "tensor<3000xf32>} : tensor<3000xf32>\n"
        "  %b = onnx.Constant {onnx.name = \"b\", value = dense<2.0> : "
        "tensor<3000xf32>} : tensor<3000xf32>\n"
        "  %s = onnx.Add(%x, %a) : (tensor<3000xf32>, tensor<3000xf32>) -> "
        "tensor<3000xf32>\n"
        "  %t = onnx.Add(%s, %b) : (tensor<3000xf32>, tensor<3000xf32>) -> "
        "tensor<3000xf32>\n"
        "  return %t : tensor<3000xf32>\n}\n";
    module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module);
    bool first = true;
    module->walk([&](Operation *op) {
      if (op->getName().getStringRef() == "onnx.Constant" && first) {
        op->setAttr("value", dense);
        first = false;
      }
    });
  }
  void TearDown() override { llvm::sys::fs::remove_directories(root); }

  int countFiles() {
    int count = 0;
    std::error_code error;
    for (llvm::sys::fs::directory_iterator it(root, error), end; it != end;
         it.increment(error))
      ++count;
    return count;
  }

  /// Checks the weights of the file and that it can be imported again.
  void checkWeights() {
    auto file = ModelFile::open(path);
    ASSERT_TRUE(bool(file)) << llvm::toString(file.takeError());
    const auto &graph = (*file)->getModel().graph();
    ASSERT_EQ(graph.initializer_size(), 2);
    for (int i = 0; i != 2; ++i) {
      auto data = (*file)->getBytes(graph.initializer(i));
      ASSERT_TRUE(bool(data)) << llvm::toString(data.takeError());
      ASSERT_TRUE(data->has_value());
      ArrayRef<uint8_t> bytes = (*data)->bytes;
      ASSERT_EQ(bytes.size(), kElements * sizeof(float));
      for (int64_t k = 0; k != kElements; ++k) {
        float value;
        std::memcpy(&value, bytes.data() + k * sizeof(float), sizeof(float));
        ASSERT_EQ(value, i == 0 ? k + 0.5f : 2.0f);
      }
    }
    EXPECT_TRUE(importONNX(path, &context));
  }

  SmallString<128> root, path;
  MLIRContext context;
  DenseElementsAttr dense;
  OwningOpRef<ModuleOp> module;
};

TEST_F(ExportTest, WeightsInTheModel) {
  ASSERT_TRUE(succeeded(exportONNX(*module, path)));
  EXPECT_EQ(countFiles(), 1);
  checkWeights();
}

TEST_F(ExportTest, WeightsBesideTheModel) {
  ExportOptions options;
  options.data = ExportOptions::Data::External;
  ASSERT_TRUE(succeeded(exportONNX(*module, path, options)));
  EXPECT_EQ(countFiles(), 2);
  checkWeights();
  auto file = ModelFile::open(path);
  ASSERT_TRUE(bool(file));
  for (const auto &tensor : (*file)->getModel().graph().initializer())
    for (const auto &entry : tensor.external_data()) {
      if (entry.key() == "location")
        EXPECT_EQ(entry.value(), "m.onnx.data");
      if (entry.key() == "offset")
        EXPECT_EQ(std::stoull(entry.value()) % 4096, 0u);
    }
}

TEST_F(ExportTest, OverItsOwnWeights) {
  // The weights of an imported model are mapped from the file that is replaced.
  ASSERT_TRUE(succeeded(exportONNX(*module, path)));
  OwningOpRef<ModuleOp> again = importONNX(path, &context);
  ASSERT_TRUE(again);
  (*again)->setAttr("onnx.opset_version",
                    Builder(&context).getI64IntegerAttr(kMaxOpsetVersion));
  ASSERT_TRUE(succeeded(exportONNX(*again, path)));
  checkWeights();
}

TEST_F(ExportTest, FailureLeavesNothing) {
  module->getOperation()->setAttr("onnx.opset_version",
                                  Builder(&context).getI64IntegerAttr(13));
  ScopedDiagnosticHandler quiet(&context,
                                [](Diagnostic &) { return success(); });
  EXPECT_TRUE(failed(exportONNX(*module, path)));
  EXPECT_EQ(countFiles(), 0);
}

} // namespace
