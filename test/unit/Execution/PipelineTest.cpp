//===- PipelineTest.cpp - Tests of the whole way from tensors -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Target/TestModels.h"
#include "llvm/ADT/StringRef.h"

using namespace nibble;
using namespace nibble::test;

namespace {
/// y = x * w, z = x; `ids` must have as many elements as x has rows.
constexpr const char *tensorModel = R"mlir(
func.func @main_graph(%x: tensor<?x3xf32> {onnx.name = "x"},
                      %ids: tensor<?xi64> {onnx.name = "ids"})
    -> (tensor<?x3xf32> {onnx.name = "y"}, tensor<?x3xf32> {onnx.name = "z"})
    attributes {llvm.emit_c_interface} {
  %w = nibble.constant dense<[1.0, 10.0, 100.0]> : tensor<3xf32>
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x3xf32>
  %m = tensor.dim %ids, %c0 : tensor<?xi64>
  %same = arith.cmpi eq, %n, %m : index
  cf.assert %same, "layer 'check': x and ids differ"
  %e = tensor.empty(%n) : tensor<?x3xf32>
  %y = linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>,
                       affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %w : tensor<?x3xf32>, tensor<3xf32>)
      outs(%e : tensor<?x3xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<?x3xf32> loc("scale")
  return %y, %x : tensor<?x3xf32>, tensor<?x3xf32>
}
)mlir";

class PipelineTest : public testing::Test {
protected:
  void SetUp() override {
    builder.pipeline = "nibble-bufferize,nibble-place-weights,"
                       "nibble-instrument-layers,nibble-lower-to-vector,"
                       "nibble-lower-to-llvm";
    auto compiled = builder.compile(tensorModel);
    ASSERT_TRUE(succeeded(compiled));
    model = std::move(*compiled);
  }
  ModelBuilder builder;
  std::unique_ptr<CompiledModel> model;
  std::vector<float> x = {1, 2, 3, 4, 5, 6};
  std::vector<int64_t> ids = {0, 0, 0};
  int64_t rows[2] = {2, 3};
};

TEST_F(PipelineTest, ResultsComeFromThePool) {
  int64_t two = 2;
  uint64_t memory = 0;
  for (int run = 0; run != 30; ++run) {
    auto results = model->run(
        {makeTensor(x, rows),
         makeTensor(llvm::ArrayRef<int64_t>(ids).take_front(2), two)});
    ASSERT_TRUE(bool(results)) << toString(results.takeError());
    EXPECT_EQ(CompiledModel::elements<float>((*results)[0]).vec(),
              (std::vector<float>{1, 20, 300, 4, 50, 600}));
    EXPECT_EQ(CompiledModel::elements<float>((*results)[1]).vec(), x);
    EXPECT_NE((*results)[1].data, x.data());
    // Two results of 512 bytes, the smallest block, and nothing that grows.
    if (run == 0)
      memory = nibble_context_memory(model->getContext());
    EXPECT_GE(memory, 1024u);
    EXPECT_EQ(nibble_context_memory(model->getContext()), memory);
  }
}

TEST_F(PipelineTest, FailedChecksAreErrors) {
  int64_t three = 3, two = 2;
  auto results = model->run({makeTensor(x, rows), makeTensor(ids, three)});
  ASSERT_FALSE(bool(results));
  EXPECT_EQ(toString(results.takeError()), "layer 'check': x and ids differ");
  EXPECT_TRUE(bool(model->run(
      {makeTensor(x, rows),
       makeTensor(llvm::ArrayRef<int64_t>(ids).take_front(2), two)})));
}

TEST_F(PipelineTest, LayersAreProfiled) {
  nibble_context_options options = {sizeof(options), 0, 1};
  nibble_context *context;
  ASSERT_EQ(nibble_context_create(model->getModel(), &options, &context),
            NIBBLE_OK);
  int64_t two = 2;
  nibble_tensor inputs[] = {
      makeTensor(x, rows),
      makeTensor(llvm::ArrayRef<int64_t>(ids).take_front(2), two)};
  for (int i = 0; i != 5; ++i)
    ASSERT_EQ(nibble_run(context, inputs, 2, nullptr, 0), NIBBLE_OK);
  const nibble_profile_entry *entries;
  ASSERT_EQ(nibble_context_profile(context, &entries), 1u);
  EXPECT_STREQ(entries[0].name, "scale");
  EXPECT_EQ(entries[0].calls, 5u);
  EXPECT_EQ(entries[0].bytes, 12u);
  nibble_context_free(context);
}
} // namespace
