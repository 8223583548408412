//===- SchemeChoiceTest.cpp - What --quantize=auto is asked for -----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/SchemeChoice.h"
#include "gtest/gtest.h"

using namespace nibble;

namespace {

template <typename T>
std::string getMessage(llvm::Expected<T> value) {
  return value ? "no error" : llvm::toString(value.takeError());
}

TEST(SchemeChoiceTest, BudgetsAreBitsOrBytes) {
  EXPECT_EQ(Budget::parse("4.25bpw")->bitsPerWeight, 4.25);
  EXPECT_EQ(Budget::parse(" 3 BPW ")->bitsPerWeight, 3);
  EXPECT_EQ(Budget::parse("60MB")->bytes, 60000000u);
  EXPECT_EQ(Budget::parse("1.5 GiB")->bytes, 3u << 29);
  EXPECT_EQ(Budget::parse("123456B")->bytes, 123456u);
  EXPECT_FALSE(Budget::parse("60MB")->bitsPerWeight);
}

TEST(SchemeChoiceTest, BadBudgetsAreRefused) {
  for (llvm::StringRef text :
       {"bpw", "-4bpw", "0bpw", "inf bpw", "nanbpw", "65bpw", "4.2.5bpw"})
    EXPECT_EQ(getMessage(Budget::parse(text)),
              ("budget '" + text +
               "' is no number of bits per weight: expected something like "
               "4.25bpw")
                  .str());
  for (llvm::StringRef text : {"", "large", "60 parsecs", "-1MB"})
    EXPECT_EQ(getMessage(Budget::parse(text)),
              ("budget '" + text +
               "' is neither bits per weight nor a size: expected something "
               "like 4.25bpw or 60MB")
                  .str());
  EXPECT_EQ(getMessage(Budget::parse("4.25")),
            "budget '4.25' has no unit: expected something like 4.25bpw or "
            "4.25MB");
}

TEST(SchemeChoiceTest, ErrorsArePartsOrDecibels) {
  EXPECT_EQ(*parseMaxError("0.01"), 0.01);
  EXPECT_EQ(*parseMaxError("1e-3"), 1e-3);
  EXPECT_NEAR(*parseMaxError("20dB"), 0.01, 1e-15);
  EXPECT_NEAR(*parseMaxError("3 db"), 0.501187, 1e-6);
  for (llvm::StringRef text : {"", "0", "-1", "nan", "inf", "dB", "-3dB", "1%"})
    EXPECT_EQ(getMessage(parseMaxError(text)),
              ("'" + text +
               "' is no error: expected a part of the outputs' power such as "
               "0.01, or the same in decibels such as 20dB")
                  .str());
}

TEST(SchemeChoiceTest, CandidatesHaveGroupsOfTheirOwn) {
  auto candidates = parseCandidates("W3A16, W4A16:32,W8A16:-1 ,Q6_K");
  ASSERT_TRUE(static_cast<bool>(candidates));
  std::vector<std::string> names;
  for (const SchemeCandidate &candidate : *candidates)
    names.push_back(candidate.str());
  EXPECT_EQ(names, (std::vector<std::string>{"W3A16", "W4A16:32", "W8A16:-1",
                                             "Q6_K"}));
  LayerChoice choice;
  choice.symmetric = false;
  EXPECT_EQ((*candidates)[0].applyTo(choice).getScheme().group,
            defaultChoiceGroup);
  choice.groupSize = 128;
  EXPECT_EQ((*candidates)[0].applyTo(choice).getScheme().group, 128);
  EXPECT_EQ((*candidates)[1].applyTo(choice).getScheme().group, 32);
  EXPECT_EQ((*candidates)[1].applyTo(choice).getScheme().symmetric, false);
  EXPECT_EQ((*candidates)[2].applyTo(choice).getScheme().bits, 8u);
  EXPECT_EQ(parseCandidates("")->size(), getDefaultCandidates().size());
}

TEST(SchemeChoiceTest, TablesHaveNoZeroPoints) {
  LayerChoice choice;
  choice.symmetric = false;
  auto candidates = parseCandidates("NF4");
  ASSERT_TRUE(static_cast<bool>(candidates));
  quantizer::QuantizationScheme scheme =
      candidates->front().applyTo(choice).getScheme();
  EXPECT_TRUE(scheme.symmetric);
  EXPECT_EQ(scheme.group, 64);
  EXPECT_FALSE(static_cast<bool>(scheme.verify()));
}

TEST(SchemeChoiceTest, BadCandidatesAreRefused) {
  for (llvm::StringRef name :
       {"none", "auto", "W8A8", "W8A8-dynamic", "LLM.int8"})
    EXPECT_EQ(getMessage(parseCandidates(name)),
              ("'" + name +
               "' is not to be chosen from: expected schemes of weights "
               "alone, such as W4A16 or Q4_K")
                  .str());
  for (llvm::StringRef text : {"W4A16:", "W4A16:0", "W4A16:-2", "W4A16:x"})
    EXPECT_EQ(getMessage(parseCandidates(text)),
              ("'" + text +
               "' has no group size: expected a number of weights, or -1, "
               "behind the colon")
                  .str());
  EXPECT_EQ(getMessage(parseCandidates("W4A16,W4A16")),
            "'W4A16' is there twice: keep one");
  EXPECT_NE(getMessage(parseCandidates("W4A16,")).find("unknown scheme ''"),
            std::string::npos);
}

} // namespace
