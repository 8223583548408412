//===- BlockRunnerTest.cpp - Tests of running a model piece by piece ------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockModel.h"
#include "mlir/IR/Verifier.h"
#include "nibble/Dialect/Nibble/Transforms/OutlinePiece.h"
#include <set>

using namespace nibble;
using namespace nibble::test;

namespace {
using BlockRunnerTest = BlockModelTest;

TEST_F(BlockRunnerTest, FindsBlocksAndStages) {
  auto runner = makeRunner();
  ASSERT_TRUE(runner) << errors;
  ASSERT_EQ(runner->getBlocks().size(), 3u);
  ASSERT_EQ(runner->getStages().size(), 6u);
  std::vector<std::string> names;
  for (const BlockLayer &layer : runner->getLayers())
    names.push_back(layer.name + "@" + std::to_string(layer.stage) + "/" +
                    std::to_string(layer.operation));
  EXPECT_EQ(names, (std::vector<std::string>{"0.g@0/1", "0.u@0/2", "0.d@1/3",
                                             "1.g@2/4", "1.u@2/5", "1.d@3/6",
                                             "2.g@4/7", "2.u@4/8", "2.d@5/9"}));
  EXPECT_EQ(runner->getNumSamples(), 3u);
  EXPECT_EQ(runner->getNumBatches(), 2u);
}

/// Each stage sees what an ordinary compilation computes of a model that has
/// the weights replaced so far; also where all states are in a file.
TEST_F(BlockRunnerTest, StagesSeeTheWeightsBefore) {
  weights = makeWeights(2);
  BlockRunnerOptions options;
  options.memoryLimit = 1;
  auto runner = makeRunner(), spilling = makeRunner(options);
  ASSERT_TRUE(runner && spilling) << errors;
  Weights now = weights;
  for (unsigned stage = 0; stage != 4; ++stage) {
    Weight rows = collect(*runner, stage);
    EXPECT_EQ(rows, collect(*spilling, stage));
    std::vector<Weight> expected = runWhole(now);
    ASSERT_EQ(expected.size(), 5u) << errors;
    EXPECT_EQ(rows, expected[stage]) << "stage " << stage;
    for (unsigned layer : runner->getStages()[stage].layers) {
      for (float &value : now[layer])
        value = std::round(4 * value) / 4;
      for (BlockRunner *each : {runner.get(), spilling.get()}) {
        llvm::Error error = each->replaceWeight(layer, now[layer]);
        ASSERT_FALSE(bool(error));
      }
    }
  }
  EXPECT_EQ(errors, "");
}

TEST_F(BlockRunnerTest, BlocksRunWithOtherWeights) {
  weights = makeWeights(2);
  Weights now = weights;
  now[4] = weights[1];
  std::vector<Weight> before = runWhole(weights), after = runWhole(now);
  ASSERT_EQ(after.size(), 5u) << errors;
  BlockRunnerOptions options;
  options.keepBlockInputs = true;
  auto runner = makeRunner(options);
  ASSERT_TRUE(runner) << errors;
  EXPECT_EQ(collect(*runner, 2), before[2]);
  EXPECT_EQ(collect(*runner, 3), before[3]);
  auto runBlock = [&](unsigned block,
                      llvm::ArrayRef<WeightReplacement> replacements) {
    Weight result;
    llvm::Error error =
        runner->runBlock(block, replacements, [&](const BlockResult &part) {
          EXPECT_EQ(part.dims.size(), 2u);
          llvm::append_range(result, part.values);
          return llvm::Error::success();
        });
    errors += toString(std::move(error));
    return result;
  };
  EXPECT_EQ(runBlock(1, {{4, now[4]}}), after[4]);
  // Nothing has changed.
  EXPECT_EQ(runBlock(1, {}), before[4]);
  // Back to the begin of the block, with a weight for good.
  errors += toString(runner->replaceWeight(4, now[4]));
  errors += toString(runner->rewind(1));
  EXPECT_EQ(collect(*runner, 2), after[2]);
  EXPECT_EQ(collect(*runner, 3), after[3]);
  EXPECT_EQ(runBlock(1, {}), after[4]);
  EXPECT_EQ(errors, "");
  runBlock(0, {});
  EXPECT_EQ(errors, "the inputs of block 0 were not kept: run one of its "
                    "stages first, with keepBlockInputs");
}

/// Variants change weights of one block, of several, and none.
TEST_F(BlockRunnerTest, VariantsGiveOutputsOfTheModel) {
  std::vector<std::vector<unsigned>> variants = {{1}, {8}, {2, 3, 7}, {}};
  Weights others = makeWeights(3);
  for (Weight &weight : others)
    for (float &value : weight)
      value = std::round(4 * value) / 4;
  BlockRunnerOptions options;
  options.memoryLimit = 1;
  auto runner = makeRunner(options);
  ASSERT_TRUE(runner) << errors;
  std::vector<int64_t> order;
  std::vector<Weight> found(variants.size() + 1);
  errors += toString(runner->runVariants(
      variants,
      [&](unsigned variant, unsigned layer) -> llvm::Expected<Weight> {
        EXPECT_TRUE(llvm::is_contained(variants[variant], layer));
        return others[layer];
      },
      [&](int64_t variant, const BlockResult &result) {
        order.push_back(variant);
        EXPECT_EQ(result.index, 0u);
        EXPECT_EQ(result.dims.size(), 2u);
        llvm::append_range(found[variant + 1], result.values);
        return llvm::Error::success();
      }));
  EXPECT_EQ(errors, "");
  ASSERT_FALSE(order.empty());
  EXPECT_EQ(order.front(), -1);
  EXPECT_EQ(found[0], runWhole(weights).back());
  for (size_t i = 0; i + 1 != variants.size(); ++i) {
    Weights now = weights;
    for (unsigned layer : variants[i])
      now[layer] = others[layer];
    EXPECT_EQ(found[i + 1], runWhole(now).back()) << "variant " << i;
    EXPECT_NE(found[i + 1], found[0]);
  }
  // Nothing was to be changed, and nothing is computed.
  EXPECT_TRUE(found.back().empty());
}

TEST_F(BlockRunnerTest, VariantsComeBeforeStages) {
  auto runner = makeRunner();
  ASSERT_TRUE(runner) << errors;
  collect(*runner, 0);
  auto unused = [](auto...) -> llvm::Expected<Weight> { return Weight(); };
  EXPECT_EQ(toString(runner->runVariants({{0}}, unused,
                                         [](int64_t, const BlockResult &) {
                                           return llvm::Error::success();
                                         })),
            "variants are run before any stage");
}

TEST_F(BlockRunnerTest, StagesAreRunInOrder) {
  auto runner = makeRunner();
  ASSERT_TRUE(runner) << errors;
  collect(*runner, 1);
  EXPECT_EQ(errors, "");
  collect(*runner, 1);
  EXPECT_EQ(errors, "stage 1 was asked for after a later one or a second time");
}

TEST_F(BlockRunnerTest, SamplesThatCantBeReadAreErrors) {
  samples.clear();
  EXPECT_FALSE(makeRunner());
  EXPECT_EQ(errors, "no sample\n");
}

TEST_F(BlockRunnerTest, BatchesHaveManyRows) {
  ModelInput tokens{"ids", NIBBLE_INT64, {-1, -1}};
  EXPECT_EQ(chooseBatch(tokens, 512), 4);
  EXPECT_EQ(chooseBatch(tokens, 4096), 1);
  EXPECT_EQ(chooseBatch(ModelInput{"x", NIBBLE_FLOAT, {-1, 3, 32, 32}}, 512),
            64);
  EXPECT_EQ(chooseBatch(ModelInput{"x", NIBBLE_FLOAT, {-1, 3, 224, 224}}, 512),
            1);
  EXPECT_EQ(chooseBatch({}, 512), 1);
}

/// The message is the one of the layer, although its code is shared.
TEST_F(BlockRunnerTest, ChecksOfTheModelSpeak) {
  samples = {{1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}};
  auto runner = makeRunner();
  ASSERT_TRUE(runner) << errors;
  collect(*runner, 1);
  EXPECT_EQ(errors, "with batch 0: block 0: too many rows");
}

/// Pieces of equal blocks are one piece of code, whatever their weights are and
/// their layers are called.
TEST_F(BlockRunnerTest, EqualBlocksAreTheSameCode) {
  auto module = parse(weights);
  auto function = *module->getOps<mlir::func::FuncOp>().begin();
  BlockAnalysis analysis(function);
  ASSERT_EQ(analysis.getNumBlocks(), 3u);
  // For each block where it begins and its two stages, then the end.
  llvm::ArrayRef<BlockAnalysis::Cut> cuts = analysis.getCuts();
  ASSERT_EQ(cuts.size(), 10u);
  std::set<std::string> texts;
  for (size_t i = 1; i + 1 != cuts.size(); ++i) {
    EXPECT_EQ(cuts[i].live.size(), i % 3 == 2 ? 2u : 1u) << i;
    Piece piece = outlinePiece(analysis, cuts[i], cuts[i + 1], false);
    // A block begins with what its first stage reads.
    EXPECT_EQ(bool(piece.module), i % 3 != 0) << i;
    if (piece.module) {
      EXPECT_TRUE(succeeded(mlir::verify(*piece.module)));
      texts.insert(piece.text);
    }
  }
  EXPECT_EQ(texts.size(), 2u);
}
} // namespace
