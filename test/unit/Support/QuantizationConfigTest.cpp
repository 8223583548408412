//===- QuantizationConfigTest.cpp - Which layer becomes what --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/QuantizationConfig.h"
#include "nibble/Quantizer/MethodChain.h"
#include "nibble/Quantizer/SchemeName.h"
#include "llvm/ADT/StringExtras.h"
#include "gtest/gtest.h"
#include <random>

using namespace nibble;
using quantizer::ScaleRule;
using quantizer::ScaleType;

namespace {

QuantizationConfig parseOrFail(llvm::StringRef text) {
  llvm::Expected<QuantizationConfig> config =
      QuantizationConfig::parse(text, "q.yaml");
  if (config)
    return std::move(*config);
  ADD_FAILURE() << llvm::toString(config.takeError());
  return QuantizationConfig();
}

std::string getError(llvm::StringRef text) {
  llvm::Expected<QuantizationConfig> config =
      QuantizationConfig::parse(text, "q.yaml");
  return config ? "" : llvm::toString(config.takeError());
}

LayerChoice makeCommandLine(llvm::StringRef scheme) {
  LayerChoice choice;
  choice.scheme = scheme.str();
  return choice;
}

constexpr llvm::StringLiteral example = R"(# a comment
version: 1
default: {scheme: W4A16, method: rtn, group-size: 64}
rules:
  - layers: "model.layers.*.mlp.*"
    scheme: W8A16
    asymmetric: true
  - layers: ["model.layers.0.*", 'conv[12]', "{a,b}.weight"]
    group-size: -1
    scale-type: f32
    scale-rule: mse
  - regex: ".*lm_head"
    skip: true
  - operator: Conv
    scheme: W2A16
)";

TEST(QuantizationConfigTest, LaterRulesWin) {
  QuantizationConfig config = parseOrFail(example);
  LayerChoice none = makeCommandLine("none");

  LayerChoice attention = config.resolve(none, {"model.layers.1.q"}, "MatMul");
  EXPECT_EQ(attention.scheme, "W4A16");
  EXPECT_EQ(attention.groupSize, 64);
  EXPECT_TRUE(attention.symmetric);
  EXPECT_EQ(attention.origin, "q.yaml:3");

  LayerChoice mlp = config.resolve(none, {"model.layers.1.mlp.up"}, "MatMul");
  EXPECT_EQ(mlp.scheme, "W8A16");
  EXPECT_EQ(mlp.groupSize, 64);
  EXPECT_FALSE(mlp.symmetric);
  EXPECT_EQ(mlp.origin, "q.yaml:5");

  // A rule changes what it names and leaves the rest.
  LayerChoice first = config.resolve(none, {"model.layers.0.mlp.up"}, "MatMul");
  EXPECT_EQ(first.scheme, "W8A16");
  EXPECT_EQ(first.groupSize, -1);
  EXPECT_EQ(first.scaleType, ScaleType::F32);
  EXPECT_EQ(first.scaleRule, ScaleRule::MSE);

  EXPECT_EQ(config.resolve(none, {"conv1"}, "Conv").scheme, "W2A16");
  EXPECT_EQ(config.resolve(none, {"conv3"}, "Conv").groupSize, 64);
  EXPECT_EQ(config.resolve(none, {"b.weight"}, "Gather").groupSize, -1);
  EXPECT_FALSE(config.resolve(none, {"the.lm_head"}, "MatMul").isQuantized());
  // Regular expressions match whole names, any of a layer's names counts.
  EXPECT_TRUE(config.resolve(none, {"lm_head.1"}, "MatMul").isQuantized());
  EXPECT_FALSE(
      config.resolve(none, {"MatMul_3", "x.lm_head"}, "MatMul").isQuantized());
}

TEST(QuantizationConfigTest, CommandLineIsRuleZero) {
  QuantizationConfig config = parseOrFail("rules:\n"
                                          "  - layers: head\n"
                                          "    scheme: W8A16\n");
  LayerChoice commandLine = makeCommandLine("W3A16");
  commandLine.groupSize = 32;
  LayerChoice other = config.resolve(commandLine, {"fc"}, "Gemm");
  EXPECT_EQ(other.scheme, "W3A16");
  EXPECT_EQ(other.origin, "command line");
  LayerChoice head = config.resolve(commandLine, {"head"}, "Gemm");
  EXPECT_EQ(head.scheme, "W8A16");
  EXPECT_EQ(head.groupSize, 32);
  quantizer::QuantizationScheme scheme = head.getScheme();
  EXPECT_EQ(scheme.bits, 8u);
  EXPECT_EQ(scheme.group, 32);
}

TEST(QuantizationConfigTest, DefaultDoesNotTouchHeads) {
  QuantizationConfig config =
      parseOrFail("default: {scheme: W4A16}\nrules: []\n");
  LayerChoice none = makeCommandLine("none");
  EXPECT_TRUE(config.resolve(none, {"fc"}, "Gemm").isQuantized());
  EXPECT_FALSE(config.resolve(none, {"head"}, "Gemm", /*useDefault=*/false)
                   .isQuantized());
}

TEST(QuantizationConfigTest, RulesWithoutALayerAreNamed) {
  QuantizationConfig config = parseOrFail(example);
  config.resolve(LayerChoice(), {"conv1"}, "Conv");
  EXPECT_EQ(config.getUnmatchedRules(),
            (std::vector<std::string>{
                "q.yaml:5: rule 1 (layers: model.layers.*.mlp.*) matches no "
                "layer",
                "q.yaml:12: rule 3 (regex: .*lm_head) matches no layer"}));
}

TEST(QuantizationConfigTest, OptionsOfMethods) {
  QuantizationConfig config =
      parseOrFail("default: {damp-percent: 0.1, activation-order: true}\n"
                  "rules:\n"
                  "  - layers: a\n"
                  "    method: gptq\n"
                  "    damp-percent: 0.2\n");
  using Options = quantizer::MethodOptions;
  EXPECT_EQ(config.resolve({}, {"b"}, "Gemm").methodOptions,
            (Options{{"damp-percent", "0.1"}, {"activation-order", "true"}}));
  Options own = {{"damp-percent", "0.2"}, {"activation-order", "true"}};
  EXPECT_EQ(config.resolve({}, {"a"}, "Gemm").methodOptions, own);
  std::string text;
  llvm::raw_string_ostream os(text);
  config.write(os);
  EXPECT_EQ(parseOrFail(text).resolve({}, {"a"}, "Gemm").methodOptions, own);
}

TEST(QuantizationConfigTest, SelectorsOfARuleAllHold) {
  QuantizationConfig config = parseOrFail("rules:\n"
                                          "  - layers: 'a*'\n"
                                          "    operator: [Conv, Gemm]\n"
                                          "    scheme: W8A16\n");
  EXPECT_TRUE(config.resolve({}, {"ab"}, "Gemm").isQuantized());
  EXPECT_FALSE(config.resolve({}, {"ab"}, "MatMul").isQuantized());
  EXPECT_FALSE(config.resolve({}, {"b"}, "Gemm").isQuantized());
}

TEST(QuantizationConfigTest, ErrorsSayWhereAndWhat) {
  const std::pair<const char *, const char *> cases[] = {
      {"", "q.yaml:1:1: the configuration is empty"},
      {"# nothing\n", "q.yaml:1:1: the configuration is empty"},
      {"- a\n", "q.yaml:1:1: the configuration is not a mapping: expected "
                "version, default and rules"},
      {"version: 2\n",
       "q.yaml:1:10: version '2' is not known to this build: expected 1"},
      {"rulez: []\n", "q.yaml:1:1: unknown key 'rulez': expected one of "
                      "version, default, rules; did you mean 'rules'?"},
      {"rules:\n", "q.yaml:1:1: 'rules' has no value"},
      {"rules: W4A16\n",
       "q.yaml:1:8: 'rules' is not a list: write one '- ' per rule"},
      {"rules:\n  - scheme: W4A16\n",
       "q.yaml:2:5: the rule selects nothing: add layers, regex or operator, "
       "or move its options to 'default'"},
      {"rules:\n  - layers: x\n    scheme: W7A16\n",
       "q.yaml:3:13: unknown scheme 'W7A16': expected one of @schemes; did "
       "you mean 'W8A16'?"},
      {"default: {scheme: w3a16}\n",
       "q.yaml:1:19: unknown scheme 'w3a16': expected one of @schemes; did "
       "you mean 'W3A16'?"},
      {"default: {method: rtm}\n",
       "q.yaml:1:19: unknown method 'rtm': "
       "expected one of @methods; did you mean 'rtn'?"},
      {"default: {method: [gptq, awq]}\n",
       "q.yaml:1:20: method 'gptq' chooses codes and has to come last: 'awq' "
       "behind it would find none to change"},
      {"default: {group-size: 0}\n",
       "q.yaml:1:23: 'group-size' is '0': expected a number of weights, or -1 "
       "for one group per output channel"},
      {"default: {group-size: 12.5}\n",
       "q.yaml:1:23: 'group-size' is '12.5': expected a number of weights, or "
       "-1 for one group per output channel"},
      {"default: {groupsize: 32}\n",
       "q.yaml:1:11: unknown key 'groupsize': expected one of scheme, skip, "
       "method, group-size, symmetric, asymmetric, scale-type, scale-rule, "
       "outlier-threshold, double-quant@options; did you mean 'group-size'?"},
      {"default: {damp-percent: much}\n",
       "q.yaml:1:25: damp-percent is 'much': expected a number"},
      {"default: {damp-percent: 2}\n",
       "q.yaml:1:25: damp-percent is 2: expected a part of the mean diagonal, "
       "from 0 to below 1"},
      {"default: {activation-order: yes}\n",
       "q.yaml:1:29: activation-order is 'yes': expected true or false"},
      {"rules:\n  - layers: x\n    method: rtn\n    block-size: 8\n",
       "q.yaml:2:5: 'block-size' is no option of method 'rtn'"},
      {"default: {symmetric: perhaps}\n",
       "q.yaml:1:22: 'symmetric' is 'perhaps': expected true or false"},
      {"default: {symmetric: true, asymmetric: true}\n",
       "q.yaml:1:28: 'symmetric' and 'asymmetric' contradict each other: keep "
       "one"},
      {"default: {scale-type: f8}\n",
       "q.yaml:1:23: unknown scale-type 'f8': expected one of f16, bf16, f32"},
      {"default:\n  scheme: W4A16\n  scheme: W8A16\n",
       "q.yaml:3:3: 'scheme' is there twice"},
      {"rules:\n  - layers: x\n    skip: true\n    scheme: W8A16\n",
       "q.yaml:4:5: 'skip' and 'scheme' contradict each other: keep one"},
      {"rules:\n  - layers: 'a[b'\n    skip: true\n",
       "q.yaml:2:13: glob 'a[b' is not valid: invalid glob pattern, unmatched "
       "'['"},
      {"rules:\n  - regex: '(a'\n    skip: true\n",
       "q.yaml:2:12: regular expression '(a' is not valid: parentheses not "
       "balanced"},
      {"rules:\n  - layers: []\n", "q.yaml:2:5: 'layers' is an empty list"},
      {"rules:\n  -\n", "q.yaml:2:3: rule 1 is empty"},
      {"version: 1\n---\nversion: 1\n",
       "q.yaml:3:1: a configuration is one document"},
  };
  // What there is to choose from.
  std::string schemes, options;
  llvm::SmallVector<llvm::StringRef> names;
  for (const quantizer::SchemeName &scheme : quantizer::getSchemeNames())
    if (scheme.available)
      schemes += (schemes.empty() ? "" : ", ") + scheme.name.str();
  for (const quantizer::Method *method : quantizer::getMethods()) {
    names.push_back(method->name);
    for (llvm::StringRef option : method->options)
      options += ", " + option.str();
  }
  for (auto &method : quantizer::getPreparingMethods())
    names.push_back(method.name);
  llvm::sort(names);
  std::string methods = llvm::join(names, ", ");
  for (auto [text, message] : cases) {
    std::string expected = message;
    for (auto [mark, names] :
         {std::pair("@schemes", schemes), std::pair("@methods", methods),
          std::pair("@options", options)})
      if (size_t at = expected.find(mark); at != std::string::npos)
        expected.replace(at, strlen(mark), names);
    EXPECT_EQ(getError(text), expected) << text;
  }
}

TEST(QuantizationConfigTest, BrokenYAMLHasALine) {
  for (llvm::StringRef text :
       {"version: 1\nrules: [", "version: 1\nrules: }", "version: 1\n\tx: 1",
        "version: 1\nrules:\n  - layers: \"x"}) {
    std::string error = getError(text);
    EXPECT_TRUE(llvm::StringRef(error).starts_with("q.yaml:2:") ||
                llvm::StringRef(error).starts_with("q.yaml:3:"))
        << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(QuantizationConfigTest, OtherEncodingsAreRefused) {
  EXPECT_EQ(getError("version: 1\nrules:\n  - layers: a\xb3\n"),
            "q.yaml:3:14: byte 0xB3 is not UTF-8: save the file in that "
            "encoding");
  EXPECT_EQ(getError("\xff\xfev"), "q.yaml:1:1: byte 0xFF is not UTF-8: save "
                                   "the file in that encoding");
  EXPECT_EQ(getError("# caf\xc3\xa9\nversion: 1\n"), "");
}

/// Whatever the bytes are, the answer is a configuration or one located line.
TEST(QuantizationConfigTest, NoInputCrashes) {
  auto check = [](const std::string &text) {
    std::string error = getError(text);
    if (!error.empty())
      ASSERT_TRUE(llvm::StringRef(error).starts_with("q.yaml:")) << error;
  };
  for (size_t length = 0; length <= example.size(); ++length)
    check(example.take_front(length).str());
  unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  llvm::StringRef bytes = "\n\t :-[]{}\"'#*&!|>,?%@\\x1\xff\0";
  for (int round = 0; round < 3000; ++round) {
    std::string text = example.str();
    for (int change = random() % 4; change >= 0; --change)
      text[random() % text.size()] = bytes[random() % bytes.size()];
    check(text);
  }
  for (char bracket : {'[', '{', '-'}) {
    std::string deep;
    for (int i = 0; i < 200000; ++i)
      deep += {bracket, ' '};
    check("rules: " + deep);
    check(deep);
  }
}

TEST(QuantizationConfigTest, WrittenFilesReadBack) {
  QuantizationConfig config = parseOrFail(example);
  std::string name = "a.*[b]{c,d}\\?\"\xc3\xa9\n'";
  ConfigRule rule;
  rule.layers = {escapeGlob(name)};
  rule.options.scheme = "W3A16";
  rule.options.symmetric = false;
  ASSERT_FALSE(bool(config.addRule(rule)));

  std::string text, again;
  llvm::raw_string_ostream os(text), againOs(again);
  config.write(os);
  QuantizationConfig back = parseOrFail(text);
  back.write(againOs);
  EXPECT_EQ(text, again);
  ASSERT_EQ(back.getRules().size(), 5u);
  EXPECT_EQ(back.resolve({}, {name}, "MatMul").scheme, "W3A16");
  EXPECT_EQ(back.resolve({}, {"a.x[b]c"}, "MatMul").scheme, "W4A16");
  EXPECT_EQ(back.resolve({}, {"model.layers.0.mlp.up"}, "MatMul").groupSize,
            -1);
}

/// A rule that names methods replaces all of those before it.
TEST(QuantizationConfigTest, MethodsInALine) {
  QuantizationConfig config = parseOrFail(R"(
default: {method: [awq, gptq]}
rules:
  - {layers: a, method: smoothquant}
  - {layers: b, method: "smoothquant, gptq"}
  - {layers: c, method: rtn}
)");
  auto describe = [&](llvm::StringRef layer) {
    LayerChoice choice =
        config.resolve(makeCommandLine("W4A16"), {layer}, "MatMul");
    return llvm::join(choice.prepare, " ") + " " + choice.method;
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(describe("a"), "smoothquant rtn");
    EXPECT_EQ(describe("b"), "smoothquant gptq");
    EXPECT_EQ(describe("c"), " rtn");
    EXPECT_EQ(describe("d"), "awq gptq");
    std::string text;
    llvm::raw_string_ostream os(text);
    config.write(os);
    config = parseOrFail(text);
  }
}

TEST(QuantizationConfigTest, MissingFile) {
  llvm::Expected<QuantizationConfig> config =
      QuantizationConfig::load("/nonexistent/q.yaml");
  ASSERT_FALSE(bool(config));
  EXPECT_EQ(llvm::toString(config.takeError()),
            "can't read configuration '/nonexistent/q.yaml': No such file or "
            "directory");
}

} // namespace
