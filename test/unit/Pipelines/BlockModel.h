//===- BlockModel.h - A model of equal blocks -------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_UNIT_PIPELINES_BLOCKMODEL_H
#define NIBBLE_TEST_UNIT_PIPELINES_BLOCKMODEL_H

#include "../Target/TestModels.h"
#include "nibble/Pipelines/CompiledBlockRunner.h"
#include "nibble/Pipelines/Compiler.h"
#include "llvm/Support/FormatVariadic.h"

namespace nibble::test {
using namespace nibble::calibration;

constexpr int64_t width = 6, vocabulary = 10;

using Weight = std::vector<float>;
/// Weights of the layers g, u and d of each block, [width, width].
using Weights = std::vector<Weight>;

inline Weights makeWeights(unsigned blocks) {
  Weights weights(3 * blocks, Weight(width * width));
  for (size_t l = 0; l != weights.size(); ++l)
    for (size_t i = 0; i != weights[l].size(); ++i)
      weights[l][i] = ((i * 37 + l * 11) % 23 - 11.0f) / 17.0f;
  return weights;
}

inline std::string writeDense(llvm::ArrayRef<float> values, int64_t rows,
                              int64_t columns) {
  std::string text = "[";
  for (int64_t r = 0; r != rows; ++r) {
    text += r ? ", [" : "[";
    for (int64_t c = 0; c != columns; ++c)
      text +=
          llvm::formatv("{0}{1:e8}", c ? ", " : "", values[r * columns + c]);
    text += "]";
  }
  return text + "]";
}

/// Blocks y = d(u(x) + silu(g(x))) + x on rows of a table. Returns the rows,
/// and of each block the input of d and the result: the activations of the
/// stages.
inline std::string makeModel(const Weights &weights) {
  Weight table(vocabulary * width);
  for (size_t i = 0; i != table.size(); ++i)
    table[i] = (i * 13 % 29 - 14.0f) / 9.0f;
  std::string body, results = "%x0", types = "tensor<?x6xf32>";
  for (unsigned b = 0; b != weights.size() / 3; ++b) {
    for (unsigned l = 0; l != 3; ++l)
      body += llvm::formatv(
          "  %w{0}{1} = nibble.constant dense<{2}> : tensor<6x6xf32>\n", b, l,
          writeDense(weights[3 * b + l], width, width));
    body += llvm::formatv(R"mlir(
  %g{0} = nibble.matmul %x{0} weight(%w{0}0) {{activation = #nibble.activation<silu>,
    n = 6 : i64, k = 6 : i64, transpose_weight, layers = ["{0}.g"]}
    : (tensor<?x6xf32>, tensor<6x6xf32>) -> tensor<?x6xf32>
  %u{0} = nibble.matmul %x{0} weight(%w{0}1) residual(%g{0}) {{n = 6 : i64, k = 6 : i64,
    transpose_weight, layers = ["{0}.u"]}
    : (tensor<?x6xf32>, tensor<6x6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
  %d{0} = tensor.dim %x{0}, %c0 : tensor<?x6xf32>
  %s{0} = arith.cmpi slt, %d{0}, %c9 : index
  cf.assert %s{0}, "block {0}: too many rows"
  %x{1} = nibble.matmul %u{0} weight(%w{0}2) residual(%x{0}) {{n = 6 : i64, k = 6 : i64,
    transpose_weight, layers = ["{0}.d"]}
    : (tensor<?x6xf32>, tensor<6x6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
)mlir",
                          b, b + 1);
    results += llvm::formatv(", %u{0}, %x{1}", b, b + 1);
    types += ", tensor<?x6xf32>, tensor<?x6xf32>";
  }
  return llvm::formatv(R"mlir(
module attributes {{nibble.phase = "nibble"} {{
func.func @main_graph(%ids: tensor<?xi64> {{onnx.name = "ids", onnx.dim_names = ["n"]}) -> ({0}) {{
  %c0 = arith.constant 0 : index
  %c9 = arith.constant 9 : index
  %table = nibble.constant dense<{1}> : tensor<10x6xf32>
  %x0 = nibble.gather %ids weight(%table) {{rows = 10 : i64, width = 6 : i64, layers = ["embed"]}
    : (tensor<?xi64>, tensor<10x6xf32>) -> tensor<?x6xf32>
{2}
  return {3} : {0}
}
})mlir",
                       types, writeDense(table, vocabulary, width), body,
                       results);
}

/// Samples of token ids, of which `perBatch` are one run.
class IdReader : public SampleReader {
public:
  static constexpr size_t perBatch = 2;

  explicit IdReader(std::vector<std::vector<int64_t>> samples)
      : samples(std::move(samples)) {}
  uint64_t getNumSamples() const override { return samples.size(); }
  uint64_t getNumBatches() const override {
    return llvm::divideCeil(samples.size(), perBatch);
  }
  llvm::Expected<SampleBatch> read(uint64_t index) override {
    SampleBatch batch;
    std::vector<char> &data = batch.data.emplace_back();
    int64_t count = 0;
    for (size_t i = index * perBatch;
         i != std::min((index + 1) * perBatch, samples.size()); ++i) {
      auto *bytes = reinterpret_cast<const char *>(samples[i].data());
      data.insert(data.end(), bytes,
                  bytes + samples[i].size() * sizeof(int64_t));
      count += samples[i].size();
    }
    batch.dims.push_back({count});
    batch.inputs.push_back(
        makeTensor(llvm::ArrayRef(data), batch.dims[0], NIBBLE_INT64));
    batch.place = "batch " + std::to_string(index);
    return batch;
  }

private:
  std::vector<std::vector<int64_t>> samples;
};

/// Makes runners of the model for token ids.
class BlockModelTest : public testing::Test {
protected:
  void SetUp() override {
    handler = std::make_unique<mlir::ScopedDiagnosticHandler>(
        &builder.context, [&](mlir::Diagnostic &diagnostic) {
          errors += diagnostic.str() + "\n";
          return mlir::success();
        });
  }

  mlir::OwningOpRef<mlir::ModuleOp> parse(const Weights &weights) {
    return mlir::parseSourceString<mlir::ModuleOp>(makeModel(weights),
                                                   &builder.context);
  }

  std::unique_ptr<BlockRunner>
  makeRunner(const BlockRunnerOptions &options = BlockRunnerOptions()) {
    module = parse(weights);
    auto runner = createCompiledBlockRunner(
        *module,
        [&](std::vector<ModelInput> inputs)
            -> llvm::Expected<std::unique_ptr<SampleReader>> {
          EXPECT_EQ(inputs.size(), 1u);
          EXPECT_EQ(inputs.front().name, "ids");
          EXPECT_EQ(inputs.front().dtype, NIBBLE_INT64);
          if (samples.empty())
            return llvm::createStringError("no sample");
          return std::make_unique<IdReader>(samples);
        },
        options);
    if (failed(runner))
      return nullptr;
    return std::move(*runner);
  }

  /// All results of the model, compiled as usual, one batch after the other:
  /// the number of rows decides in which order products are added up.
  std::vector<Weight> runWhole(const Weights &weights) {
    auto whole = parse(weights);
    CompileOptions options;
    options.compileTo = Phase::LLVM;
    Compiler compiler(&builder.context, options);
    std::vector<Weight> results;
    if (failed(compiler.lower(*whole)))
      return results;
    auto model = compiler.makeExecutable(*whole);
    if (failed(model))
      return results;
    IdReader reader(samples);
    for (uint64_t i = 0; i != reader.getNumBatches(); ++i) {
      llvm::Expected<SampleBatch> batch = reader.read(i);
      if (!batch)
        return results;
      auto outputs = (*model)->run(batch->inputs);
      if (!outputs) {
        errors += toString(outputs.takeError());
        return results;
      }
      results.resize(outputs->size());
      for (auto [result, output] : llvm::zip_equal(results, *outputs))
        llvm::append_range(result, CompiledModel::elements<float>(output));
    }
    return results;
  }

  Weight collect(BlockRunner &runner, unsigned stage) {
    Weight rows;
    llvm::Error error =
        runner.runStage(stage, [&](const ActivationRows &piece) {
          EXPECT_EQ(piece.columns, width);
          EXPECT_EQ(static_cast<int64_t>(piece.values.size()),
                    piece.rows * width);
          llvm::append_range(rows, piece.values);
          return llvm::Error::success();
        });
    errors += toString(std::move(error));
    return rows;
  }

  ModelBuilder builder;
  std::unique_ptr<mlir::ScopedDiagnosticHandler> handler;
  std::string errors;
  Weights weights = makeWeights(3);
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<std::vector<int64_t>> samples = {{1, 2, 3}, {4}, {9, 0, 7, 5}};
};

} // namespace nibble::test

#endif // NIBBLE_TEST_UNIT_PIPELINES_BLOCKMODEL_H
