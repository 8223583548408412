//===- RoundingTrainingTest.cpp - Tests of learned roundings --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/RoundingTraining.h"
#include "BlockModel.h"
#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"
#include "nibble/Quantizer/RTN.h"

using namespace nibble;
using namespace nibble::test;

namespace {
constexpr int64_t rowsPerSample = 12;
constexpr unsigned stemSeed = 99;

/// Weights of the layers g, u and d of each block as MatMul has them, and
/// samples of floats.
Weight makeRandom(size_t size, unsigned seed) {
  Weight values(size);
  uint32_t state = seed * 2654435761u + 12345;
  for (float &value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<int32_t>(state) / 2147483648.0f;
  }
  return values;
}

/// A product that is not quantized, then blocks y = (silu(x g) * (x u)) d + x,
/// in phase `onnx`.
std::string makeOperators(const Weights &weights, llvm::StringRef gate) {
  std::string body = llvm::formatv(
      R"mlir(
  %stem = onnx.Constant {{value = dense<{0}> : tensor<6x6xf32>} : tensor<6x6xf32>
  %x0 = onnx.MatMul(%in, %stem) {{onnx.name = "stem"} : (tensor<?x6xf32>, tensor<6x6xf32>) -> tensor<?x6xf32>
)mlir",
      writeDense(makeRandom(width * width, stemSeed), width, width));
  for (unsigned b = 0; b != weights.size() / 3; ++b) {
    for (unsigned l = 0; l != 3; ++l)
      body += llvm::formatv("  %w{0}{1} = onnx.Constant {{value = dense<{2}> : "
                            "tensor<6x6xf32>} : tensor<6x6xf32>\n",
                            b, l, writeDense(weights[3 * b + l], width, width));
    body += llvm::formatv(R"mlir(
  %g{0} = onnx.MatMul(%x{0}, %w{0}0) {{onnx.name = "{0}.g"} : (tensor<?x6xf32>, tensor<6x6xf32>) -> tensor<?x6xf32>
  {2}
  %u{0} = onnx.MatMul(%x{0}, %w{0}1) {{onnx.name = "{0}.u"} : (tensor<?x6xf32>, tensor<6x6xf32>) -> tensor<?x6xf32>
  %p{0} = onnx.Mul(%s{0}, %u{0}) {{onnx.name = "{0}.p"} : (tensor<?x6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
  %d{0} = onnx.MatMul(%p{0}, %w{0}2) {{onnx.name = "{0}.d"} : (tensor<?x6xf32>, tensor<6x6xf32>) -> tensor<?x6xf32>
  %x{1} = onnx.Add(%x{0}, %d{0}) {{onnx.name = "{0}.sum"} : (tensor<?x6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
)mlir",
                          b, b + 1, llvm::formatv(gate.data(), b).str());
  }
  return llvm::formatv(R"mlir(
module attributes {{nibble.phase = "onnx", onnx.opset_version = 28 : i64} {{
func.func @main_graph(%in: tensor<?x6xf32> {{onnx.name = "x", onnx.dim_names = ["n", ""]}) -> (tensor<?x6xf32> {{onnx.name = "y", onnx.dim_names = ["n", ""]}) {{
{0}
  return %x{1} : tensor<?x6xf32>
}
})mlir",
                       body, weights.size() / 3);
}

constexpr llvm::StringLiteral swish =
    "%s{0} = onnx.Swish(%g{0}) {{onnx.name = \"{0}.s\"} : (tensor<?x6xf32>) "
    "-> tensor<?x6xf32>";

/// Each sample is a batch of its own.
class FloatReader : public SampleReader {
public:
  explicit FloatReader(std::vector<Weight> samples)
      : samples(std::move(samples)) {}
  uint64_t getNumSamples() const override { return samples.size(); }
  uint64_t getNumBatches() const override { return samples.size(); }
  llvm::Expected<SampleBatch> read(uint64_t index) override {
    SampleBatch batch;
    auto *bytes = reinterpret_cast<const char *>(samples[index].data());
    batch.data.emplace_back(bytes,
                            bytes + samples[index].size() * sizeof(float));
    batch.dims.push_back({rowsPerSample, width});
    batch.inputs.push_back(makeTensor(llvm::ArrayRef(batch.data.back()),
                                      batch.dims[0], NIBBLE_FLOAT));
    batch.place = "sample " + std::to_string(index);
    return batch;
  }

private:
  std::vector<Weight> samples;
};

/// A start that sees activations and rounds to nearest.
class Nearest : public SequentialMethod {
public:
  llvm::Error beginStage(const BlockStage &) override {
    ++numStages;
    return llvm::Error::success();
  }
  llvm::Error observe(const ActivationRows &rows) override {
    numRows += rows.rows;
    return llvm::Error::success();
  }
  llvm::Error quantize(QuantizableOpInterface,
                       const quantizer::WeightView &weight,
                       quantizer::QuantizedWeight &result) override {
    return quantizer::quantizeRTN(weight, result.scheme, result.codes,
                                  result.scales, result.zeros);
  }
  int64_t numStages = 0, numRows = 0;
};

class RoundingTrainingTest : public BlockModelTest {
protected:
  void SetUp() override {
    BlockModelTest::SetUp();
    weights.clear();
    for (unsigned l = 0; l != 6; ++l)
      weights.push_back(makeRandom(width * width, l));
    for (unsigned s = 0; s != 16; ++s)
      inputs.push_back(makeRandom(rowsPerSample * width, 100 + s));
  }

  /// Lowers the model and makes a runner that keeps the float model.
  void prepare(llvm::StringRef gate = swish, bool keepOperators = true) {
    original = mlir::parseSourceString<mlir::ModuleOp>(
        makeOperators(weights, gate), &builder.context);
    ASSERT_TRUE(original) << errors;
    module = original->clone();
    CompileOptions options;
    options.compileTo = Phase::Nibble;
    ASSERT_TRUE(succeeded(Compiler(&builder.context, options).lower(*module)))
        << errors;
    QuantizationRequest request;
    request.method = "autoround";
    request.scheme.bits = 3;
    request.scheme.group = -1;
    request.scheme.symmetric = false;
    module->walk([&](QuantizableOpInterface op) {
      if (op.getLayerName() != "stem")
        op->setAttr(requestAttrName, request.toAttr(&builder.context));
    });
    BlockRunnerOptions runnerOptions;
    runnerOptions.keepReference = true;
    auto made = createCompiledBlockRunner(
        *module,
        [&](std::vector<ModelInput>)
            -> llvm::Expected<std::unique_ptr<SampleReader>> {
          return std::make_unique<FloatReader>(inputs);
        },
        runnerOptions, keepOperators ? *original : mlir::ModuleOp());
    ASSERT_TRUE(succeeded(made)) << errors;
    runner = std::move(*made);
  }

  /// The loss of a block in double precision; weights [N, K].
  double getLoss(const std::vector<std::vector<double>> &w,
                 llvm::ArrayRef<double> x, llvm::ArrayRef<double> target) {
    double loss = 0;
    for (size_t row = 0; row != x.size() / width; ++row) {
      const double *in = &x[row * width];
      double hidden[width];
      for (int64_t n = 0; n != width; ++n) {
        double g = 0, u = 0;
        for (int64_t k = 0; k != width; ++k) {
          g += in[k] * w[0][n * width + k];
          u += in[k] * w[1][n * width + k];
        }
        hidden[n] = g / (1 + std::exp(-g)) * u;
      }
      for (int64_t n = 0; n != width; ++n) {
        double y = in[n];
        for (int64_t k = 0; k != width; ++k)
          y += hidden[k] * w[2][n * width + k];
        loss += (y - target[row * width + n]) * (y - target[row * width + n]);
      }
    }
    return loss;
  }

  std::vector<Weight> inputs;
  mlir::OwningOpRef<mlir::ModuleOp> original;
  std::unique_ptr<BlockRunner> runner;
};

TEST_F(RoundingTrainingTest, GradientsAreThoseOfDoublePrecision) {
  ASSERT_NO_FATAL_FAILURE(prepare());
  auto ignore = [](const ActivationRows &) { return llvm::Error::success(); };
  ASSERT_EQ(toString(runner->runStage(0, ignore)), "");
  auto loss = runner->createLoss(0, {0, 1, 2});
  ASSERT_TRUE(bool(loss)) << toString(loss.takeError());
  std::vector<Weight> now, gradients(3, Weight(width * width));
  std::vector<std::vector<double>> exact, changed;
  for (unsigned l = 0; l != 3; ++l) {
    Weight &to = now.emplace_back(width * width);
    exact.emplace_back();
    Weight noise = makeRandom(width * width, 50 + l);
    for (int64_t n = 0; n != width; ++n)
      for (int64_t k = 0; k != width; ++k) {
        exact[l].push_back(weights[l][k * width + n]);
        to[n * width + k] = weights[l][k * width + n] + 0.1f * noise[n + k];
      }
    changed.emplace_back(to.begin(), to.end());
  }
  llvm::SmallVector<llvm::ArrayRef<float>> values(now.begin(), now.end());
  llvm::SmallVector<llvm::MutableArrayRef<float>> out(gradients.begin(),
                                                      gradients.end());
  llvm::Expected<double> got = (*loss)->compute({3, 7}, values, out);
  ASSERT_TRUE(bool(got)) << toString(got.takeError());

  Weight stem = makeRandom(width * width, stemSeed);
  auto sum = [&](const std::vector<std::vector<double>> &w) {
    double total = 0;
    for (unsigned sample : {3, 7}) {
      std::vector<double> x, target;
      for (int64_t i = 0; i != rowsPerSample * width; ++i) {
        double y = 0;
        for (int64_t k = 0; k != width; ++k)
          y += double(inputs[sample][i / width * width + k]) *
               stem[k * width + i % width];
        x.push_back(y);
      }
      for (size_t row = 0; row != x.size() / width; ++row)
        for (int64_t n = 0; n != width; ++n) {
          double y = x[row * width + n];
          for (int64_t k = 0; k != width; ++k) {
            double g = 0, u = 0;
            for (int64_t j = 0; j != width; ++j) {
              g += x[row * width + j] * exact[0][k * width + j];
              u += x[row * width + j] * exact[1][k * width + j];
            }
            y += g / (1 + std::exp(-g)) * u * exact[2][n * width + k];
          }
          target.push_back(y);
        }
      total += getLoss(w, x, target);
    }
    return total;
  };
  double elements = 2.0 * rowsPerSample * width;
  EXPECT_NEAR(*got, sum(changed) / elements, 1e-5 * *got);
  constexpr double step = 1e-5;
  for (unsigned l = 0; l != 3; ++l)
    for (int64_t i = 0; i != width * width; ++i) {
      double before = changed[l][i];
      changed[l][i] = before + step;
      double more = sum(changed);
      changed[l][i] = before - step;
      double less = sum(changed);
      changed[l][i] = before;
      EXPECT_NEAR(gradients[l][i], (more - less) / (2 * step), 1e-3)
          << "layer " << l << ", weight " << i;
    }
}

TEST_F(RoundingTrainingTest, LearnsLessErrorThanItsStart) {
  for (bool nearest : {true, false}) {
    ASSERT_NO_FATAL_FAILURE(prepare());
    RoundingTrainingOptions options;
    Nearest start;
    RoundingTraining training(*module, *runner, nearest ? nullptr : &start,
                              options);
    auto counts = training.run();
    ASSERT_TRUE(succeeded(counts)) << errors;
    EXPECT_EQ(counts->quantized, 6);
    EXPECT_EQ(training.numLearned, 2);
    EXPECT_EQ(training.numFallbacks, 0) << errors;
    EXPECT_EQ(start.numStages, nearest ? 0 : 4);
    EXPECT_EQ(start.numRows, nearest ? 0 : 4 * 16 * rowsPerSample);
    for (auto [begin, end] : training.losses)
      EXPECT_LT(end, (nearest ? 0.6 : 0.9) * begin) << nearest;
  }
}

TEST_F(RoundingTrainingTest, IsTheSameEachTime) {
  weights.resize(3);
  std::vector<std::string> texts;
  for (unsigned run = 0; run != 2; ++run) {
    ASSERT_NO_FATAL_FAILURE(prepare());
    RoundingTrainingOptions options;
    options.rounding.iterations = 50;
    options.batchSize = 1;
    RoundingTraining training(*module, *runner, nullptr, options);
    ASSERT_TRUE(succeeded(training.run())) << errors;
    llvm::raw_string_ostream os(texts.emplace_back());
    module->print(os);
  }
  EXPECT_TRUE(texts[0] == texts[1]);
}

TEST_F(RoundingTrainingTest, BlocksWithoutDerivativesKeepTheirStart) {
  ASSERT_NO_FATAL_FAILURE(
      prepare("%s{0} = onnx.Atan(%g{0}) {{onnx.name = \"{0}.s\"} : "
              "(tensor<?x6xf32>) -> tensor<?x6xf32>"));
  RoundingTraining training(*module, *runner, nullptr, {});
  ASSERT_TRUE(succeeded(training.run())) << errors;
  EXPECT_EQ(training.numLearned, 0);
  EXPECT_EQ(training.numFallbacks, 2);
  EXPECT_NE(errors.find("layers \"0.g\", \"0.u\", \"0.d\" keep the codes of "
                        "rounding to nearest, the start of autoround: Atan "
                        "'0.s' has no derivative: no rule is known for this "
                        "operator"),
            std::string::npos)
      << errors;
}

TEST_F(RoundingTrainingTest, WithoutOperatorsTheStartStays) {
  ASSERT_NO_FATAL_FAILURE(prepare(swish, /*keepOperators=*/false));
  RoundingTraining training(*module, *runner, nullptr, {});
  ASSERT_TRUE(succeeded(training.run())) << errors;
  EXPECT_EQ(training.numFallbacks, 2);
  EXPECT_NE(errors.find("compile from the ONNX file"), std::string::npos)
      << errors;
}

TEST(BatchOrder, SeesAllBeforeItSeesOneAgain) {
  BatchOrder order(5, 7), same(5, 7);
  std::vector<unsigned> seen;
  for (unsigned i = 0; i != 5; ++i) {
    std::vector<unsigned> one = order.take(1);
    EXPECT_EQ(one, same.take(1));
    seen.insert(seen.end(), one.begin(), one.end());
  }
  llvm::sort(seen);
  EXPECT_EQ(seen, (std::vector<unsigned>{0, 1, 2, 3, 4}));
  EXPECT_EQ(order.take(9).size(), 5u);
  EXPECT_NE(BatchOrder(16, 1).take(16), BatchOrder(16, 2).take(16));
}

} // namespace
