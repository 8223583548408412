//===- SequentialTest.cpp - Tests of methods that go block by block -------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockModel.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Dialect/Nibble/Transforms/SequentialQuantization.h"
#include "nibble/Quantizer/GGUF.h"

using namespace nibble;
using namespace nibble::test;

namespace {
/// Rounds to nearest, and remembers what it saw.
class Rounding : public SequentialMethod {
public:
  llvm::Error beginStage(const BlockStage &stage) override {
    seen.emplace_back();
    return llvm::Error::success();
  }
  llvm::Error observe(const ActivationRows &rows) override {
    llvm::append_range(seen.back(), rows.values);
    return llvm::Error::success();
  }
  llvm::Error quantize(QuantizableOpInterface op,
                       const quantizer::WeightView &weight,
                       quantizer::QuantizedWeight &result) override {
    if (op.getLayerName() == failing)
      return llvm::createStringError("no");
    auto quantized = quantizer::quantize("rtn", {weight, result.scheme});
    if (!quantized)
      return quantized.takeError();
    result = std::move(*quantized);
    Weight values(result.rows * result.cols);
    quantizer::dequantize(result, values);
    weights.push_back(values);
    return llvm::Error::success();
  }

  std::string failing;
  /// Of each stage the rows, of each layer the new weight.
  std::vector<Weight> seen, weights;
};

class SequentialTest : public BlockModelTest {
protected:
  void SetUp() override {
    BlockModelTest::SetUp();
    weights = makeWeights(2);
  }
  void assign(mlir::ModuleOp module, llvm::StringRef method) {
    QuantizationRequest request;
    request.method = method.str();
    request.scheme.group = -1;
    module.walk([&](QuantizableOpInterface op) {
      if (op.getActivationInput())
        op->setAttr(requestAttrName, request.toAttr(&builder.context));
    });
  }
  mlir::FailureOr<QuantizationCounts> quantize(llvm::StringRef method,
                                               BlockRunner &runner,
                                               SequentialMethod &sequential) {
    SequentialMethods methods;
    methods.layers[method] = &sequential;
    return quantizeSequentially(*module, runner, methods);
  }
  std::string print(mlir::ModuleOp module) {
    std::string text;
    llvm::raw_string_ostream os(text);
    module->print(os);
    return text;
  }
};

/// A method that does not look at activations gives what it gives alone, and
/// each stage sees the codes before it.
TEST_F(SequentialTest, RoundingIsTheSameInAnyOrder) {
  auto alone = parse(weights);
  assign(*alone, "rtn");
  auto counts = quantizeWeights(*alone, *quantizer::lookupMethod("rtn"));
  ASSERT_TRUE(succeeded(counts)) << errors;

  auto runner = makeRunner();
  ASSERT_TRUE(runner) << errors;
  assign(*module, "rtn");
  Rounding rounding;
  counts = quantize("rtn", *runner, rounding);
  ASSERT_TRUE(succeeded(counts)) << errors;
  EXPECT_EQ(counts->quantized, 6);
  EXPECT_EQ(counts->otherMethods, 0);
  EXPECT_EQ(print(*module), print(*alone));

  ASSERT_EQ(rounding.seen.size(), 4u);
  ASSERT_EQ(rounding.weights.size(), 6u);
  std::vector<Weight> all = runWhole(rounding.weights);
  ASSERT_EQ(all.size(), 5u) << errors;
  // The last stages see what the whole quantized model has there.
  EXPECT_EQ(rounding.seen[2], all[2]);
  EXPECT_EQ(rounding.seen[3], all[3]);
}

/// Layers of other methods of the table are served on the way; those that need
/// data of their own keep their requests.
TEST_F(SequentialTest, OtherMethodsAreServedOnTheWay) {
  auto runner = makeRunner();
  ASSERT_TRUE(runner) << errors;
  assign(*module, "mine");
  module->walk([&](QuantizableOpInterface op) {
    auto request = QuantizationRequest::get(op);
    if (failed(request) || !*request || !op.getLayerName().ends_with("d"))
      return;
    (*request)->method = op.getLayerName() == "0.d" ? "rtn" : "unknown";
    op->setAttr(requestAttrName, (*request)->toAttr(&builder.context));
  });
  Rounding rounding;
  auto counts = quantize("mine", *runner, rounding);
  ASSERT_TRUE(succeeded(counts)) << errors;
  EXPECT_EQ(counts->quantized, 5);
  EXPECT_EQ(counts->otherMethods, 1);
  ASSERT_EQ(rounding.seen.size(), 2u);
  // The second block saw the rounded "0.d".
  Weights now = weights;
  now[0] = rounding.weights[0];
  now[1] = rounding.weights[1];
  EXPECT_NE(rounding.seen[1], runWhole(now)[2]);
  quantizer::QuantizationScheme scheme;
  scheme.group = -1;
  auto rounded = quantizer::quantize(
      "rtn",
      {quantizer::WeightView::rowMajor(
           reinterpret_cast<const char *>(weights[2].data()), width, width),
       scheme});
  ASSERT_TRUE(bool(rounded));
  quantizer::dequantize(*rounded, now[2]);
  EXPECT_EQ(rounding.seen[1], runWhole(now)[2]);
}

/// Methods that need importance get the mean squares of what their layer sees.
TEST_F(SequentialTest, ImportanceIsThatOfTheStage) {
  auto runner = makeRunner();
  ASSERT_TRUE(runner) << errors;
  assign(*module, "mine");
  quantizer::QuantizationScheme scheme =
      quantizer::getGGUFScheme(quantizer::GGUFType::Q4_0);
  module->walk([&](QuantizableOpInterface op) {
    if (op.getLayerName() != "0.d")
      return;
    QuantizationRequest request;
    request.method = "imatrix";
    request.scheme = scheme;
    op->setAttr(requestAttrName, request.toAttr(&builder.context));
  });
  Rounding rounding;
  auto counts = quantize("mine", *runner, rounding);
  ASSERT_TRUE(succeeded(counts)) << errors;
  EXPECT_EQ(counts->quantized, 6);
  // The stage of "0.d" alone is none of "mine".
  ASSERT_EQ(rounding.seen.size(), 3u);

  Weights now = weights;
  now[0] = rounding.weights[0];
  now[1] = rounding.weights[1];
  std::vector<double> sums(width);
  Weight inputs = runWhole(now)[1];
  for (auto [i, value] : llvm::enumerate(inputs))
    sums[i % width] += double(value) * value;
  Weight importance;
  for (double sum : sums)
    importance.push_back(sum / (inputs.size() / width));
  quantizer::MethodInput input = {
      quantizer::WeightView::rowMajor(
          reinterpret_cast<const char *>(weights[2].data()), width, width),
      scheme};
  // What the next block sees tells which weight "0.d" got.
  auto seenWith = [&](llvm::StringRef method) {
    auto quantized = quantizer::quantize(method, input);
    EXPECT_TRUE(bool(quantized)) << toString(quantized.takeError());
    quantizer::dequantize(*quantized, now[2]);
    return runWhole(now)[2];
  };
  EXPECT_NE(rounding.seen[1], seenWith("rtn"));
  input.importance = importance;
  EXPECT_EQ(rounding.seen[1], seenWith("imatrix"));
}

TEST_F(SequentialTest, ErrorsNameTheLayer) {
  auto runner = makeRunner();
  ASSERT_TRUE(runner) << errors;
  assign(*module, "mine");
  Rounding rounding;
  rounding.failing = "0.d";
  EXPECT_TRUE(failed(quantize("mine", *runner, rounding)));
  EXPECT_EQ(errors, "layer \"0.d\": no\n");
}

TEST_F(SequentialTest, FactoriesAreOfTheirScope) {
  EXPECT_EQ(BlockRunnerScope::getCurrent(), nullptr);
  {
    BlockRunnerScope scope(
        [](mlir::ModuleOp, const BlockRunnerOptions &)
            -> mlir::FailureOr<std::unique_ptr<BlockRunner>> {
          return mlir::failure();
        });
    EXPECT_NE(BlockRunnerScope::getCurrent(), nullptr);
  }
  EXPECT_EQ(BlockRunnerScope::getCurrent(), nullptr);
}
} // namespace
