//===- ReportTest.cpp - What was done to each layer, on paper -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/Report.h"
#include "nibble/Support/QuantizationConfig.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"

using namespace nibble;
namespace json = llvm::json;

namespace {

Report makeReport() {
  Report report;
  report.model = "a<b>.onnx";
  LayerReport conv;
  conv.name = "conv*[1]";
  conv.operatorType = "Conv";
  conv.scheme = "W4A16";
  conv.method = "gptq";
  conv.shape = {16, 3, 3, 3};
  conv.groupSize = -1;
  conv.symmetric = false;
  conv.scaleType = "bf16";
  conv.scaleRule = "mse";
  conv.numWeights = 432;
  conv.floatBytes = 1728;
  conv.bytes = 272;
  conv.sqnr = 20.25;
  conv.cosine = 0.995;
  conv.maxAbsError = 0.03;
  conv.outputError = 0.001;
  conv.outputErrorBasis = OutputErrorBasis::MeanSquares;
  conv.measured = MeasuredOutput{3, Spread::of({20, 21, 25}),
                                 Spread::of({0.995, 0.996, 0.999})};
  conv.histograms = quantizer::WeightHistograms{
      {0.5, {0, 4, 16}}, {0.5, {4, 0, 16}}, {0.03, {1, 2, 1}}};
  conv.methodOptions = {{"damp-percent", "0.1"}};
  conv.rounding = CalibratedRounding{640, 0.11, 2.5, ""};
  report.layers.push_back(conv);

  LayerReport head;
  head.name = "head \"x\" <script>\n# y: 1";
  head.operatorType = "MatMul";
  head.reason = "a rule keeps it float (q.yaml:7)";
  head.numWeights = 1000;
  head.floatBytes = head.bytes = 4000;
  report.layers.push_back(head);

  LayerReport shared = head;
  shared.name = "embedding";
  shared.operatorType = "Gather";
  shared.sharedWith = head.name;
  report.layers.push_back(shared);
  return report;
}

std::string write(const Report &report,
                  void (Report::*writer)(llvm::raw_ostream &) const) {
  std::string text;
  llvm::raw_string_ostream os(text);
  (report.*writer)(os);
  return text;
}

TEST(ReportTest, SharedWeightsCountOnce) {
  Report report = makeReport();
  ReportTotals totals = report.getTotals();
  EXPECT_EQ(totals.layers, 3);
  EXPECT_EQ(totals.quantizedLayers, 1);
  EXPECT_EQ(totals.numWeights, 1432);
  EXPECT_EQ(totals.floatBytes, 5728);
  EXPECT_EQ(totals.bytes, 4272);
  EXPECT_DOUBLE_EQ(totals.getBitsPerWeight(), 8.0 * 4272 / 1432);
  ASSERT_TRUE(totals.worst);
  EXPECT_EQ(totals.worst->name, "conv*[1]");
}

TEST(ReportTest, JSONHasTheFigures) {
  llvm::Expected<json::Value> value =
      json::parse(write(makeReport(), &Report::writeJSON));
  ASSERT_TRUE(bool(value)) << llvm::toString(value.takeError());
  json::Object &root = *value->getAsObject();
  EXPECT_EQ(root.getString("model"), "a<b>.onnx");
  EXPECT_EQ(root.getObject("totals")->getInteger("bytes"), 4272);
  json::Array &layers = *root.getArray("layers");
  ASSERT_EQ(layers.size(), 3u);
  json::Object &conv = *layers[0].getAsObject();
  EXPECT_EQ(conv.getString("scheme"), "W4A16");
  EXPECT_EQ(conv.getInteger("group_size"), -1);
  EXPECT_EQ(conv.getBoolean("symmetric"), false);
  EXPECT_EQ(conv.getNumber("sqnr_db"), 20.25);
  EXPECT_EQ(conv.getNumber("bits_per_weight"), 8.0 * 272 / 432);
  EXPECT_EQ(conv.getArray("shape")->size(), 4u);
  json::Object &error = *conv.getObject("output_error");
  EXPECT_EQ(error.getNumber("relative"), 0.001);
  EXPECT_NEAR(*error.getNumber("sqnr_db"), 30, 1e-9);
  EXPECT_EQ(error.getString("basis"), "mean-squares");
  EXPECT_EQ(conv.getObject("options")->getString("damp-percent"), "0.1");
  json::Object &rounding = *conv.getObject("rounding");
  EXPECT_EQ(rounding.getInteger("calibration_rows"), 640);
  EXPECT_EQ(rounding.getNumber("damp"), 0.11);
  EXPECT_EQ(rounding.getNumber("loss"), 2.5);
  EXPECT_EQ(rounding.get("fallback"), nullptr);
  json::Object &measured = *conv.getObject("measured_output");
  EXPECT_EQ(measured.getInteger("samples"), 3);
  EXPECT_EQ(measured.getObject("sqnr_db")->getNumber("mean"), 22);
  EXPECT_NEAR(*measured.getObject("sqnr_db")->getNumber("standard_deviation"),
              std::sqrt(7.0), 1e-12);
  EXPECT_EQ(measured.getObject("cosine")->getNumber("least"), 0.995);
  json::Object &after = *conv.getObject("histograms")->getObject("after");
  EXPECT_EQ(after.getNumber("limit"), 0.5);
  EXPECT_EQ(*after.getArray("counts"), json::Array({4, 0, 16}));
  json::Object &head = *layers[1].getAsObject();
  EXPECT_EQ(head.getString("reason"), "a rule keeps it float (q.yaml:7)");
  for (llvm::StringRef key :
       {"sqnr_db", "output_error", "measured_output", "histograms"})
    EXPECT_FALSE(head.get(key)) << key.str();
}

TEST(ReportTest, NamesNeedNotBeUTF8) {
  Report report = makeReport();
  report.layers[0].name = "conv\xff\x01\xc3";
  EXPECT_TRUE(json::isUTF8(write(report, &Report::writeJSON)));
  EXPECT_TRUE(json::isUTF8(write(report, &Report::writeHTML)));
  llvm::Expected<json::Value> value =
      json::parse(write(report, &Report::writeJSON));
  EXPECT_TRUE(bool(value)) << llvm::toString(value.takeError());
}

TEST(ReportTest, YAMLMakesTheSameChoicesAgain) {
  Report report = makeReport();
  // A plugin's scheme has no name in a configuration.
  LayerReport strange = report.layers[0];
  strange.name = "strange";
  strange.scheme = "W7A16";
  report.layers.push_back(strange);
  std::string text = write(report, &Report::writeYAML);
  EXPECT_NE(text.find("# strange (W7A16)"), std::string::npos) << text;
  llvm::Expected<QuantizationConfig> config =
      QuantizationConfig::parse(text, "r.yaml");
  ASSERT_TRUE(bool(config)) << llvm::toString(config.takeError()) << text;
  LayerChoice commandLine;
  commandLine.scheme = "W2A16";
  LayerChoice conv = config->resolve(commandLine, {"conv*[1]"}, "Conv");
  EXPECT_EQ(conv.scheme, "W4A16");
  EXPECT_EQ(conv.groupSize, -1);
  EXPECT_FALSE(conv.symmetric);
  EXPECT_EQ(conv.scaleType, quantizer::ScaleType::BF16);
  EXPECT_EQ(conv.scaleRule, quantizer::ScaleRule::MSE);
  for (int i : {1, 2})
    EXPECT_FALSE(config->resolve(commandLine, {report.layers[i].name}, "")
                     .isQuantized());
  EXPECT_EQ(config->resolve(commandLine, {"conv1"}, "Conv").scheme, "W2A16");
  EXPECT_TRUE(config->getUnmatchedRules().empty());
}

TEST(ReportTest, HTMLIsOnePage) {
  std::string text = write(makeReport(), &Report::writeHTML);
  // Names can't break out of the text that they are in.
  EXPECT_EQ(text.find("x\" <script>"), std::string::npos);
  EXPECT_NE(text.find("&lt;script&gt;"), std::string::npos);
  EXPECT_NE(text.find("a&lt;b&gt;.onnx"), std::string::npos);
  for (llvm::StringRef reference : {"http", "src=", "href=", "@import", "url("})
    EXPECT_EQ(text.find(reference.str()), std::string::npos) << reference.str();
  EXPECT_NE(text.find("prefers-color-scheme: dark"), std::string::npos);
  EXPECT_NE(text.find("20.25"), std::string::npos);
  EXPECT_EQ(llvm::StringRef(text).count("<g class='row'>"), 3u);
  // A dot in the legend, and one for the weight and the output of the layer.
  EXPECT_EQ(llvm::StringRef(text).count("<circle"), 3u);
  EXPECT_EQ(llvm::StringRef(text).count("class='bar'"), 1u);
  EXPECT_NE(text.find("\xe2\x89\x88 30.00"), std::string::npos);
  EXPECT_NE(text.find("22.00 \xc2\xb1 2.65"), std::string::npos);
  EXPECT_EQ(llvm::StringRef(text).count("<details>"), 1u);
  // 16 of 16 is as high as the box, 4 half as high.
  EXPECT_NE(text.find("class='before' d='M0 32H32V16H65V1H98V32Z'"),
            std::string::npos);
}

TEST(ReportTest, ColumnsOfOutputsAreThereWhenTheyHaveFigures) {
  Report report = makeReport();
  report.layers[0].outputError.reset();
  report.layers[0].measured.reset();
  report.layers[0].histograms.reset();
  std::string text = write(report, &Report::writeHTML);
  EXPECT_EQ(llvm::StringRef(text).count("<circle"), 1u);
  for (llvm::StringRef title :
       {"Output dB", "Output cosine", "Weights and errors", "<details>"})
    EXPECT_EQ(text.find(title.str()), std::string::npos) << title.str();
}

TEST(ReportTest, PagesOfLargeModelsStaySmall) {
  Report report = makeReport();
  report.outputs.push_back({"logits", *report.layers[0].measured});
  LayerReport layer = report.layers[0];
  layer.histograms->before.counts.assign(quantizer::reportBins, 1);
  for (int i = 0; i < 5000; ++i) {
    layer.name = "layer" + std::to_string(i);
    layer.sqnr = 40 - i * 1e-3;
    report.layers.push_back(layer);
  }
  std::string text = write(report, &Report::writeHTML);
  EXPECT_EQ(llvm::StringRef(text).count("<details>"), 300u);
  EXPECT_LT(text.size(), 12u << 20);
  EXPECT_NE(text.find("Outputs of the model"), std::string::npos);
}

TEST(ReportTest, EmptyReports) {
  Report report;
  report.model = "m.onnx";
  EXPECT_NE(write(report, &Report::writeHTML).find("No layer"),
            std::string::npos);
  llvm::Expected<json::Value> value =
      json::parse(write(report, &Report::writeJSON));
  EXPECT_TRUE(bool(value)) << llvm::toString(value.takeError());
  llvm::Expected<QuantizationConfig> config =
      QuantizationConfig::parse(write(report, &Report::writeYAML), "r.yaml");
  EXPECT_TRUE(bool(config)) << llvm::toString(config.takeError());
}

TEST(ReportTest, TheEndingChoosesTheForm) {
  llvm::SmallString<128> folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("nibble-report", folder));
  for (auto [name, start] :
       {std::pair("r.json", "{"), std::pair("r.yaml", "# Layers of"),
        std::pair("r.html", "<!DOCTYPE html>")}) {
    llvm::SmallString<128> path = folder;
    llvm::sys::path::append(path, name);
    llvm::Error error = writeReport(makeReport(), path);
    ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
    auto buffer = llvm::MemoryBuffer::getFile(path);
    ASSERT_TRUE(bool(buffer));
    EXPECT_TRUE((*buffer)->getBuffer().starts_with(start));
  }
  EXPECT_EQ(llvm::toString(writeReport(makeReport(), "r.txt")),
            "report 'r.txt' has no known form: name it X.json, X.yaml or "
            "X.html");
  llvm::sys::fs::remove_directories(folder);
}

} // namespace
