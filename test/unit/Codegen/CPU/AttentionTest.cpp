//===- AttentionTest.cpp - Attention against its definition ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace nibble;
using namespace nibble::test;

namespace {

/// What the compiler knows.
struct Kernel {
  int64_t kvHeads = 1, group = 1, width = 64, valueWidth = 64;
  bool causal = false, byToken = false, lengths = false, knowsSizes = true;
  int64_t left = -1, right = -1;
  /// Keys are in a cache that has room for so many more behind each head.
  int64_t room = 0;
  double softcap = 0;
  /// "", "i1" or "f32"; which of its dimensions b, h, s, t are 1, and whether
  /// that is known (t always is); keys that it lacks.
  std::string mask, ones;
  bool knowsOnes = true;
  int64_t missing = 0;

  bool isOne(char dim) const { return ones.find(dim) != std::string::npos; }

  std::string attributes() const {
    std::string text = "left_window = " + std::to_string(left) +
                       " : i64, right_window = " + std::to_string(right) +
                       " : i64, softcap = " + std::to_string(softcap) +
                       " : f64, scale = 0.3 : f64";
    if (causal)
      text += ", causal";
    if (byToken)
      text += ", query_by_token, key_by_token, value_by_token, "
              "result_by_token";
    return text;
  }

  std::string text() const {
    auto size = [&](int64_t n) {
      return knowsSizes ? std::to_string(n) : std::string("?");
    };
    auto type = [&](int64_t heads, int64_t width) {
      std::string h = size(heads);
      return "memref<?x" + (byToken ? "?x" + h : h + "x?") + "x" + size(width) +
             "xf32>";
    };
    std::string q = type(kvHeads * group, width), k = type(kvHeads, width);
    std::string v = type(kvHeads, valueWidth);
    std::string y = type(kvHeads * group, valueWidth);
    std::string past = "memref<1xindex>", n = "memref<?xi64>";
    std::string m = "memref<1xf32>";
    if (!mask.empty()) {
      m = "memref<";
      for (char dim : {'b', 'h', 's', 't'})
        m += isOne(dim) && (knowsOnes || dim == 't') ? "1x" : "?x";
      m += mask + ">";
    }
    std::string view, keys = k;
    if (room > 0) {
      keys = k.substr(0, k.size() - 1) + ", strided<[?, ?, " +
             std::to_string(width) + ", 1]>>";
      view = "  %two = arith.constant 2 : index\n"
             "  %b = memref.dim %v, %zero : " +
             v + "\n  %t = memref.dim %v, %two : " + v +
             "\n  %keys = memref.subview %k[0, 0, 0, 0] [%b, " +
             std::to_string(kvHeads) + ", %t, " + std::to_string(width) +
             "] [1, 1, 1, 1] : " + k + " to " + keys + "\n";
    }
    std::string names = room > 0 ? "%q, %keys, %v" : "%q, %k, %v";
    std::string types = q + ", " + keys + ", " + v;
    if (!mask.empty()) {
      names += " mask(%m)";
      types += ", " + m;
    }
    names += lengths ? " lengths(%n)" : " past(%p)";
    types += lengths ? ", " + n : ", index";
    return "func.func @f(%q: " + q + ", %k: " + k + ", %v: " + v +
           ", %m: " + m + ", %n: " + n + ", %past: " + past + ", %y: " + y +
           ") attributes {llvm.emit_c_interface} {\n"
           "  %zero = arith.constant 0 : index\n"
           "  %p = memref.load %past[%zero] : memref<1xindex>\n" +
           view + "  nibble.attention " + names + " outs(%y) {" + attributes() +
           "} : (" + types + ", " + y + ") -> ()\n  return\n}";
  }
};

/// One call: B batches of S queries, P keys before them, T keys.
struct Sizes {
  int64_t batch, queries, past, keys;
};

class Check {
public:
  Check(const Kernel &kernel, const Sizes &sizes)
      : kernel(kernel), n(sizes), heads(kernel.kvHeads * kernel.group) {
    query = randomFloats(n.batch * heads * n.queries * kernel.width, 1);
    capacity = n.keys + kernel.room;
    key = randomFloats(n.batch * kernel.kvHeads * capacity * kernel.width, 2);
    value =
        randomFloats(n.batch * kernel.kvHeads * n.keys * kernel.valueWidth, 3);
    out.assign(n.batch * heads * n.queries * kernel.valueWidth, NAN);
    std::string letters = "bhst";
    int64_t sizesOfMask[] = {n.batch, heads, n.queries,
                             std::max<int64_t>(n.keys - kernel.missing, 1)};
    for (size_t d = 0; d < 4; ++d)
      maskShape.push_back(kernel.isOne(letters[d]) ? 1 : sizesOfMask[d]);
    size_t count = 1;
    for (int64_t size : maskShape)
      count *= size;
    floats = randomFloats(count, 4);
    for (size_t i = 0; i < count; ++i) {
      truths.push_back(floats[i] > -0.3f);
      if (i % 5 == 0)
        floats[i] = -INFINITY;
    }
    // Batches of different lengths, one of them shorter than the queries.
    for (int64_t b = 0; b < n.batch; ++b)
      lengths.push_back(b == 1 ? n.queries / 2 : n.keys - 3 * b);
  }

  void run(JitModule &jit) {
    auto shape = [&](int64_t heads, int64_t tokens, int64_t width) {
      return kernel.byToken
                 ? std::vector<int64_t>{n.batch, tokens, heads, width}
                 : std::vector<int64_t>{n.batch, heads, tokens, width};
    };
    std::vector<int64_t> past = {n.past};
    MemRef mask = kernel.mask.empty()   ? MemRef(floats, {1})
                  : kernel.mask == "i1" ? MemRef(truths, maskShape)
                                        : MemRef(floats, maskShape);
    ASSERT_TRUE(jit.call(
        "f", {MemRef(query, shape(heads, n.queries, kernel.width)),
              MemRef(key, shape(kernel.kvHeads, capacity, kernel.width)),
              MemRef(value, shape(kernel.kvHeads, n.keys, kernel.valueWidth)),
              mask, MemRef(lengths, {n.batch}), MemRef(past, {1}),
              MemRef(out, shape(heads, n.queries, kernel.valueWidth))}));
    for (int64_t b = 0; b < n.batch; ++b)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < n.queries; ++i)
          compareRow(b, h, i);
  }

private:
  int64_t at(int64_t b, int64_t h, int64_t t, int64_t numHeads, int64_t tokens,
             int64_t width) const {
    return ((kernel.byToken ? (b * tokens + t) * numHeads + h
                            : (b * numHeads + h) * tokens + t)) *
           width;
  }

  /// What the mask adds, or minus infinity.
  double masked(int64_t b, int64_t h, int64_t i, int64_t j) const {
    if (kernel.mask.empty())
      return 0;
    if (!kernel.isOne('t') && j >= maskShape[3])
      return -INFINITY;
    int64_t index = 0, position[] = {b, h, i, j};
    for (int64_t d = 0; d < 4; ++d)
      index = index * maskShape[d] + (maskShape[d] == 1 ? 0 : position[d]);
    if (kernel.mask == "i1")
      return truths[index] ? 0 : -INFINITY;
    return floats[index];
  }

  bool sees(int64_t b, int64_t i, int64_t j) const {
    int64_t position = i + (kernel.lengths ? lengths[b] - n.queries : n.past);
    return (!kernel.lengths || j < lengths[b]) &&
           (!kernel.causal || j <= position) &&
           (kernel.left < 0 || j >= position - kernel.left) &&
           (kernel.right < 0 || j <= position + kernel.right);
  }

  void compareRow(int64_t b, int64_t h, int64_t i) {
    std::vector<double> scores(n.keys, -INFINITY);
    int64_t kvHead = h / kernel.group;
    double most = -INFINITY;
    for (int64_t j = 0; j < n.keys; ++j) {
      if (!sees(b, i, j))
        continue;
      double sum = 0;
      for (int64_t d = 0; d < kernel.width; ++d)
        sum +=
            double(query[at(b, h, i, heads, n.queries, kernel.width) + d]) *
            key[at(b, kvHead, j, kernel.kvHeads, capacity, kernel.width) + d];
      sum *= 0.3;
      if (kernel.softcap > 0)
        sum = kernel.softcap * std::tanh(sum / kernel.softcap);
      scores[j] = sum + masked(b, h, i, j);
      most = std::max(most, scores[j]);
    }
    double total = 0;
    for (double &score : scores)
      total += score = std::isinf(score) ? 0 : std::exp(score - most);
    for (int64_t d = 0; d < kernel.valueWidth; ++d) {
      double sum = 0;
      for (int64_t j = 0; j < n.keys; ++j)
        sum +=
            scores[j] *
            value[at(b, kvHead, j, kernel.kvHeads, n.keys, kernel.valueWidth) +
                  d];
      double wanted = total == 0 ? 0 : sum / total;
      float got = out[at(b, h, i, heads, n.queries, kernel.valueWidth) + d];
      ASSERT_NEAR(got, wanted, 4e-6) << "batch " << b << ", head " << h
                                     << ", query " << i << ", column " << d;
    }
  }

  const Kernel &kernel;
  const Sizes &n;
  int64_t heads, capacity;
  std::vector<float> query, key, value, out, floats;
  std::vector<uint8_t> truths;
  std::vector<int64_t> lengths, maskShape;
};

void check(const Kernel &kernel, std::vector<Sizes> calls) {
  for (codegen::CpuTarget target : targetsOfThisMachine()) {
    SCOPED_TRACE(kernel.text());
    auto jit = JitModule::create(kernel.text(), target);
    ASSERT_TRUE(jit);
    for (const Sizes &sizes : calls) {
      SCOPED_TRACE("batch " + std::to_string(sizes.batch) + ", queries " +
                   std::to_string(sizes.queries) + ", past " +
                   std::to_string(sizes.past) + ", keys " +
                   std::to_string(sizes.keys));
      Check(kernel, sizes).run(*jit);
    }
  }
}

/// Steps of one query and of few, short and long prompts, with a past and
/// without.
const std::vector<Sizes> lengthsOfAllKinds = {
    {1, 1, 0, 1},   {2, 1, 6, 7},    {1, 1, 999, 1000}, {1, 7, 0, 7},
    {2, 33, 0, 33}, {1, 33, 31, 64}, {1, 70, 930, 1000}};

TEST(Attention, HeadSizes) {
  for (int64_t width : {1, 3, 64, 80, 128}) {
    Kernel kernel;
    kernel.width = width;
    kernel.valueWidth = width == 80 ? 20 : width;
    kernel.kvHeads = 2;
    kernel.causal = true;
    check(kernel, lengthsOfAllKinds);
  }
}

TEST(Attention, GroupsAndOrder) {
  for (int64_t group : {1, 3, 5, 8}) {
    Kernel kernel;
    kernel.group = group;
    kernel.kvHeads = 3;
    kernel.width = kernel.valueWidth = 16;
    kernel.byToken = group != 3;
    kernel.causal = group != 5;
    check(kernel, lengthsOfAllKinds);
  }
}

TEST(Attention, KeysInACache) {
  Kernel kernel;
  kernel.kvHeads = 2;
  kernel.group = 3;
  kernel.width = kernel.valueWidth = 16;
  kernel.room = 5;
  kernel.causal = true;
  check(kernel, lengthsOfAllKinds);
}

TEST(Attention, SizesKnownAtRunTime) {
  Kernel kernel;
  kernel.knowsSizes = false;
  kernel.group = 3;
  kernel.width = 24;
  kernel.valueWidth = 37;
  kernel.causal = true;
  check(kernel, lengthsOfAllKinds);
}

TEST(Attention, Windows) {
  for (auto [left, right] : {std::pair(5, -1), std::pair(0, 0),
                             std::pair(100, 3), std::pair(-1, 2)}) {
    Kernel kernel;
    kernel.group = 2;
    kernel.width = kernel.valueWidth = 8;
    kernel.left = left;
    kernel.right = right;
    kernel.causal = left == 5;
    // With fewer keys than positions the last queries see none.
    auto calls = lengthsOfAllKinds;
    calls.push_back({1, 40, 20, 30});
    calls.push_back({1, 2, 200, 30});
    check(kernel, calls);
  }
}

TEST(Attention, Masks) {
  for (auto [type, ones] :
       {std::pair("i1", ""), std::pair("i1", "hs"), std::pair("i1", "ht"),
        std::pair("f32", "bh"), std::pair("f32", "bhs")}) {
    Kernel kernel;
    kernel.kvHeads = 2;
    kernel.group = 2;
    kernel.width = kernel.valueWidth = 8;
    kernel.mask = type;
    kernel.ones = ones;
    kernel.knowsOnes = kernel.ones != "bh";
    kernel.causal = kernel.ones == "bh";
    kernel.softcap = kernel.ones == "bhs" ? 2 : 0;
    kernel.missing = kernel.ones.size() % 2 == 0 ? 2 : 0;
    check(kernel, {{2, 1, 6, 7}, {2, 33, 0, 33}, {1, 20, 270, 290}});
  }
}

TEST(Attention, Lengths) {
  for (bool causal : {false, true}) {
    Kernel kernel;
    kernel.kvHeads = 2;
    kernel.width = kernel.valueWidth = 8;
    kernel.lengths = true;
    kernel.causal = causal;
    kernel.left = causal ? 9 : -1;
    check(kernel, {{3, 1, 0, 40}, {3, 4, 0, 40}, {3, 30, 0, 100}});
  }
}

TEST(Attention, SmallWeightsAreExact) {
  // Two keys with scores 0 and x, values 0 and 1: the result is the weight of
  // the second key, e^x / (1 + e^x).
  Kernel kernel;
  kernel.width = kernel.valueWidth = 1;
  constexpr int64_t batch = 3000;
  std::vector<float> query(batch, 1), key, value, out(batch, NAN), mask(1);
  std::vector<int64_t> lengths(batch, 2), past(1, 0);
  for (int64_t b = 0; b < batch; ++b) {
    key.insert(key.end(), {0, -0.1f * b});
    value.insert(value.end(), {0, 1});
  }
  for (codegen::CpuTarget target : targetsOfThisMachine()) {
    auto jit = JitModule::create(kernel.text(), target);
    ASSERT_TRUE(jit);
    ASSERT_TRUE(jit->call(
        "f", {MemRef(query, {batch, 1, 1, 1}), MemRef(key, {batch, 1, 2, 1}),
              MemRef(value, {batch, 1, 2, 1}), MemRef(mask, {1}),
              MemRef(lengths, {batch}), MemRef(past, {1}),
              MemRef(out, {batch, 1, 1, 1})}));
    for (int64_t b = 0; b < batch; ++b) {
      double x = 0.3f * key[2 * b + 1];
      double wanted = std::exp(x) / (1 + std::exp(x));
      // Two units for the exponential, two for the division. Without fused
      // multiply-add x log2(e) is rounded.
      double units = 4 - (target.fma ? 0 : x / 2);
      ASSERT_NEAR(out[b], wanted, wanted * units * 0x1p-23 + 0x1p-126)
          << "x = " << x;
    }
  }
}

TEST(Attention, NothingToDo) {
  Kernel kernel;
  kernel.width = kernel.valueWidth = 8;
  check(kernel, {{1, 3, 0, 0}, {1, 30, 0, 0}, {0, 3, 0, 4}, {1, 0, 0, 4}});
}

} // namespace
