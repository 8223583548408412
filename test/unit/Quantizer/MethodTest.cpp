//===- MethodTest.cpp - What all methods have in common -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Method.h"
#include "RandomWeights.h"
#include "nibble/Quantizer/RTN.h"

using namespace nibble::quantizer;
using nibble::quantizer::test::getBytes;

namespace {

class MethodTest : public test::RandomTest {
protected:
  std::vector<float> weight = makeNormal(4 * 8);
  MethodInput input{WeightView::rowMajor(getBytes(weight), 4, 8), {}};

  /// Rounds to nearest, but asks for data.
  Method method{"needy", "",
                [](const QuantizationScheme &) -> llvm::Error {
                  return llvm::Error::success();
                },
                [](const MethodInput &input, QuantizedWeight &result) {
                  return quantizeRTN(input.weight, input.scheme, result.codes,
                                     result.scales, result.zeros);
                }};

  std::string getError() {
    llvm::Expected<QuantizedWeight> result = quantize(method, input);
    return result ? "" : llvm::toString(result.takeError());
  }
};

TEST_F(MethodTest, NeedsNoDataByDefault) { EXPECT_EQ(getError(), ""); }

TEST_F(MethodTest, SaysWhichDataIsMissing) {
  method.needsHessian = true;
  EXPECT_EQ(getError(),
            "method 'needy' needs the Hessian of calibration data, and there "
            "is none: run nibble-calibrate and give its file with "
            "--calibration");
  method.needsHessian = false;
  method.needsImportance = true;
  EXPECT_NE(getError().find("needs the mean squares"), std::string::npos);
}

TEST_F(MethodTest, ChecksSizes) {
  std::vector<float> values(64, 1.0f);
  input.hessian = values;
  input.importance = values;
  EXPECT_EQ(getError(),
            "wrong size of the mean squares of the inputs: expected "
            "8 elements, got 64");
  input.importance = input.importance.take_front(8);
  EXPECT_EQ(getError(), "");
  input.hessian = input.hessian.drop_back();
  EXPECT_EQ(getError(),
            "wrong size of the Hessian of the inputs: expected 64 elements, "
            "got 63");
}

TEST_F(MethodTest, ListsNames) {
  llvm::Expected<QuantizedWeight> result = quantize("gptx", input);
  ASSERT_FALSE(result);
  std::string message = llvm::toString(result.takeError());
  EXPECT_NE(message.find("unknown quantization method 'gptx'"),
            std::string::npos);
  EXPECT_NE(message.find("rtn"), std::string::npos);
}

} // namespace
