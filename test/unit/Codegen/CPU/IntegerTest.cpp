//===- IntegerTest.cpp - Runs integer products in a test ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IntegerTest.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <gtest/gtest.h>

namespace nibble::test {

std::vector<uint8_t> randomCodes(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  const uint8_t ends[] = {0, 127, 128, 255};
  std::vector<uint8_t> codes(count);
  for (uint8_t &code : codes) {
    unsigned bits = random();
    code = bits & 1 ? ends[bits >> 1 & 3] : uint8_t(bits >> 8);
  }
  return codes;
}

std::string describe(codegen::CpuTarget target) {
  return llvm::formatv("avx512={0} fma={1} vnni={2}", target.avx512, target.fma,
                       target.vnni);
}

static std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t size : shape)
    text += std::to_string(size) + "x";
  return text;
}

void IntegerProduct::add(const std::string &name, const std::string &type,
                         void *data, std::vector<int64_t> shape) {
  operands.push_back({name, "tensor<" + type + ">", ""});
  arguments.push_back(MemRef(data, std::move(shape)));
}

void IntegerProduct::addInput(std::vector<uint8_t> &data,
                              const std::string &type,
                              std::vector<int64_t> shape) {
  add("x", type + "xi8", data.data(), std::move(shape));
}

void IntegerProduct::addWeight(std::vector<uint8_t> &data,
                               std::vector<int64_t> shape, bool constant) {
  std::string type = shapeText(shape) + "i8";
  if (!constant)
    return add("w", type, data.data(), std::move(shape));
  std::string bytes(data.begin(), data.end());
  // One element would be read as one for all.
  std::string text = data.size() == 1 ? std::to_string(int(int8_t(data[0])))
                                      : "\"0x" + llvm::toHex(bytes) + "\"";
  operands.push_back({"w", "tensor<" + type + ">", "dense<" + text + ">"});
}

void IntegerProduct::addStages(const std::string &inputZero,
                               const std::string &weightZero,
                               const std::string &inputScale,
                               const std::string &weightScale,
                               const std::string &bias, bool withResidual,
                               const std::string &rowType, int64_t rows,
                               std::vector<int64_t> rowShape, int64_t channels,
                               const std::string &outType, int64_t outputs) {
  std::string perChannel = std::to_string(channels) + "x";
  auto addCodes = [&](const char *name, const std::string &extent,
                      std::vector<uint8_t> &values, int64_t count,
                      const std::string &type, std::vector<int64_t> shape) {
    if (extent == "none")
      return;
    bool many = extent == "many";
    values = randomCodes(many ? count : 1, 3 + operands.size());
    add(name, many ? type + "i8" : "i8", values.data(),
        many ? shape : std::vector<int64_t>());
  };
  auto addFloats = [&](const char *name, const std::string &extent,
                       std::vector<float> &values, int64_t count,
                       const std::string &type, std::vector<int64_t> shape) {
    if (extent == "none")
      return;
    bool many = extent == "many";
    values = randomFloats(many ? count : 1, 3 + operands.size());
    for (float &value : values)
      value = 0.01f * (std::abs(value) + 0.1f);
    add(name, many ? type + "f32" : "f32", values.data(),
        many ? shape : std::vector<int64_t>());
  };
  addCodes("wz", weightZero, weightZeros, channels, perChannel, {channels});
  if (result != "i32")
    addFloats("ws", weightScale, weightScales, channels, perChannel,
              {channels});
  addCodes("xz", inputZero, inputZeros, rows, rowType + "x", rowShape);
  if (result != "i32")
    addFloats("xs", inputScale, inputScales, rows, rowType + "x", rowShape);
  if (bias == "i32") {
    std::mt19937 random(9);
    for (int64_t i = 0; i < channels; ++i)
      integerBias.push_back(int32_t(random() % 20001) - 10000);
    add("b", perChannel + "i32", integerBias.data(), {channels});
  } else if (bias == "f32" && result != "i32") {
    floatBias = randomFloats(channels, 9);
    add("b", perChannel + "f32", floatBias.data(), {channels});
  }
  if (withResidual && result != "i32") {
    residual = randomFloats(outputs, 10);
    add("r", outType + "xf32", residual.data(), {});
  }
  if (result == "s8" || result == "u8") {
    outputScale = 0.37f;
    outputZero = result == "u8" ? 131 : 5;
    add("ys", "f32", &outputScale, {});
    add("yz", "i8", &outputZero, {});
  }
}

bool IntegerProduct::run(const std::string &mnemonic,
                         const std::string &attributes,
                         const std::string &outType,
                         std::vector<int64_t> outShape,
                         codegen::CpuTarget target) {
  std::string parameters, constants, types;
  auto has = [&](const char *name) {
    return llvm::any_of(operands,
                        [&](const Operand &o) { return o.name == name; });
  };
  for (size_t i = 0, argument = 0; i < operands.size(); ++i) {
    const Operand &o = operands[i];
    types += (i ? ", " : "") + o.type;
    if (!o.constant.empty()) {
      constants += "  %" + o.name + " = arith.constant " + o.constant + " : " +
                   o.type + "\n";
      continue;
    }
    if (o.name == "r")
      arguments[argument] = MemRef(residual.data(), outShape);
    ++argument;
    parameters += (parameters.empty() ? "%" : ", %") + o.name + ": " + o.type;
  }
  std::string weight = "%w";
  if (has("wz"))
    weight += " zeros %wz";
  if (has("ws"))
    weight += " scales %ws";
  std::string text = "%x weight(" + weight + ")";
  const std::pair<const char *, const char *> rest[] = {
      {"xz", "input_zero"}, {"xs", "input_scale"},  {"b", "bias"},
      {"r", "residual"},    {"ys", "output_scale"}, {"yz", "output_zero"}};
  for (auto [name, keyword] : rest)
    if (has(name))
      text += std::string(" ") + keyword + "(%" + name + ")";
  std::string flags;
  if (unsignedInput)
    flags += ", unsigned_input";
  if (unsignedWeight)
    flags += ", unsigned_weight";
  if (result == "u8")
    flags += ", unsigned_output";
  if (result != "i32")
    flags += ", activation = #nibble.activation<" + activation + ">";
  std::string element = result == "s8" || result == "u8" ? "i8" : result;
  std::string outTensor = "tensor<" + outType + "x" + element + ">";
  // The result is written to a buffer of the test.
  std::string outMemRef = "memref<" + outType + "x" + element + ">";
  std::string module = llvm::formatv(
      "func.func @f({0}, %out: {1}) attributes {{llvm.emit_c_interface} {{\n"
      "{2}  %y = nibble.{3} {4} {{{5}{6}} : ({7}) -> {8}\n"
      "  bufferization.materialize_in_destination %y in restrict writable %out "
      ": ({8}, {1}) -> ()\n  return\n}",
      parameters, outMemRef, constants, mnemonic, text, attributes, flags,
      types, outTensor);
  auto jit = JitModule::create(module, target, /*tensors=*/true);
  if (!jit)
    return false;
  int64_t count = 1;
  for (int64_t size : outShape)
    count *= size;
  void *out;
  if (result == "i32") {
    integers.assign(count, -1);
    out = integers.data();
  } else if (result == "f32") {
    floats.assign(count, NAN);
    out = floats.data();
  } else {
    codes.assign(count, 0xee);
    out = codes.data();
  }
  arguments.push_back(MemRef(out, outShape));
  bool done = jit->call("f", arguments);
  EXPECT_TRUE(done) << jit->failure;
  return done;
}

static int64_t pick(const std::vector<uint8_t> &zeros, int64_t i,
                    bool isUnsigned) {
  if (zeros.empty())
    return 0;
  uint8_t zero = zeros[zeros.size() == 1 ? 0 : i];
  return isUnsigned ? zero : int8_t(zero);
}

int64_t IntegerProduct::xz(int64_t row) const {
  return pick(inputZeros, row, unsignedInput);
}
int64_t IntegerProduct::wz(int64_t channel) const {
  return pick(weightZeros, channel, unsignedWeight);
}

bool IntegerProduct::expect(int64_t sum, int64_t row, int64_t channel,
                            int64_t at) {
  auto pickScale = [](const std::vector<float> &scales, int64_t i) {
    return scales.empty() ? 1.0 : double(scales[scales.size() == 1 ? 0 : i]);
  };
  if (!integerBias.empty())
    sum += integerBias[channel];
  bool good;
  double y = double(sum) * pickScale(inputScales, row) *
             pickScale(weightScales, channel);
  double magnitude = std::abs(y);
  if (!floatBias.empty())
    y += floatBias[channel];
  if (!residual.empty())
    y += residual[at];
  y = applyActivation(activation, y);
  double got, wanted = y;
  if (result == "i32") {
    wanted = double(sum);
    got = integers[at];
    good = int32_t(sum) == integers[at];
  } else if (result == "f32") {
    got = floats[at];
    good = std::abs(got - y) <= 2e-6 * (magnitude + 1);
  } else {
    bool isUnsigned = result == "u8";
    double zero = isUnsigned ? outputZero : int8_t(outputZero);
    double low = isUnsigned ? 0 : -128;
    wanted = std::nearbyint(y / double(outputScale)) + zero;
    wanted = std::min(std::max(wanted, low), low + 255);
    got = isUnsigned ? codes[at] : int8_t(codes[at]);
    // A sum that lies on the border of two codes may fall to either side.
    double exact = y / double(outputScale);
    double border = std::abs(exact - std::floor(exact) - 0.5);
    good = got == wanted || (std::abs(got - wanted) == 1 &&
                             border < 1e-5 * (magnitude / outputScale + 1));
  }
  EXPECT_TRUE(good) << "row " << row << ", channel " << channel << ": got "
                    << got << ", expected " << wanted;
  return good;
}

} // namespace nibble::test
