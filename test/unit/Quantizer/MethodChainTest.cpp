//===- MethodChainTest.cpp - Tests of methods one after the other ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/MethodChain.h"
#include "gtest/gtest.h"

using namespace nibble::quantizer;

namespace {
std::string describe(llvm::StringRef text) {
  auto chain = MethodChain::parse(text);
  if (!chain)
    return toString(chain.takeError());
  if (llvm::Error error = chain->verify())
    return toString(std::move(error));
  std::string result;
  for (const std::string &name : chain->prepare)
    result += name + " > ";
  return result + chain->method;
}

TEST(MethodChain, NamesInTheirOrder) {
  EXPECT_EQ(describe("gptq"), "gptq");
  EXPECT_EQ(describe("awq"), "awq > rtn");
  EXPECT_EQ(describe("smoothquant, gptq"), "smoothquant > gptq");
  for (llvm::StringRef text : {"rtn", "awq", "awq,gptq", "smoothquant,hqq"})
    EXPECT_EQ(llvm::cantFail(MethodChain::parse(text)).str(), text);
  EXPECT_EQ(llvm::cantFail(MethodChain::parse("awq,rtn")).str(), "awq");
}

TEST(MethodChain, ErrorsSayWhatIsWrong) {
  EXPECT_EQ(describe("gptq,awq"),
            "method 'gptq' chooses codes and has to come last: 'awq' behind it "
            "would find none to change");
  EXPECT_EQ(describe("awq,smoothquant"),
            "methods 'awq' and 'smoothquant' both choose scales of input "
            "channels: keep one of them");
  llvm::StringRef unknown =
      "unknown method 'awk': expected one of autoround, awq, ";
  EXPECT_EQ(describe("awk").substr(0, unknown.size()), unknown);
  EXPECT_EQ(describe("awk,gptq"), describe("awk"));
  EXPECT_NE(describe("awk").find("did you mean 'awq'?"), std::string::npos);
  EXPECT_EQ(describe(""), "expected the name of a method");
  // A method of a plugin that is not loaded yet has no place but the last.
  EXPECT_FALSE(bool(MethodChain::parse("mine,gptq")));
  auto mine = MethodChain::parse("awq,mine");
  ASSERT_TRUE(bool(mine));
  EXPECT_EQ(mine->method, "mine");
}

TEST(MethodChain, SchemesThatDoNotGoWithIt) {
  QuantizationScheme scheme;
  auto check = [&](llvm::StringRef text) {
    return toString(llvm::cantFail(MethodChain::parse(text)).supports(scheme));
  };
  EXPECT_EQ(check("awq"), "");
  scheme.dynamicActivations = true;
  EXPECT_EQ(check("awq"),
            "awq looks at errors of weights alone, and activations are "
            "quantized too: use smoothquant");
  EXPECT_EQ(check("smoothquant"), "");
  scheme.outlierThreshold = 6;
  EXPECT_EQ(check("smoothquant"),
            "smoothquant makes activations without outliers, and LLM.int8 "
            "looks for them: use W8A8-dynamic");
}
} // namespace
