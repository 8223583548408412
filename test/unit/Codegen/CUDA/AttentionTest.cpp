//===- AttentionTest.cpp - Attention with a cache on CUDA
//-------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProductCheck.h"
#include "gtest/gtest.h"

using namespace nibble;
using namespace nibble::codegen::cuda;
using namespace nibble::test;

namespace {

struct Context {
  int64_t rows, length, past, capacity;
};

} // namespace

static AttentionKernelOptions makeOptions(int64_t heads, int64_t keyHeads,
                                          int64_t headSize) {
  AttentionKernelOptions options;
  options.heads = heads;
  options.keyHeads = keyHeads;
  options.headSize = headSize;
  options.scale = 1 / std::sqrt(double(headSize));
  return options;
}

static void check(const AttentionKernelOptions &o, Context c) {
  AttentionKernelOptions merge = o;
  merge.name = "merge";
  auto machine =
      makeMachine([&](mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module) {
        buildAttentionKernel(builder, module, o);
        if (o.splits > 1)
          buildAttentionMergeKernel(builder, module, merge);
      });
  ASSERT_TRUE(machine);
  std::mt19937 random(9);
  int64_t d = o.headSize, group = o.heads / o.keyHeads;
  FloatBuffer q(o.type, c.rows * o.heads * d),
      k(o.type, o.keyHeads * c.capacity * d), v(o.type, k.size()),
      output(o.type, q.size()),
      workspace(FloatKind::F32, c.rows * o.heads * o.splits * (d + 2));
  q.fill(random, -4, 4);
  k.fill(random, -4, 4);
  v.fill(random, -1, 1);
  // What is behind the context must not be used.
  for (int64_t head = 0; head < o.keyHeads; ++head)
    for (int64_t i = c.length * d; i < c.capacity * d; ++i) {
      k.set(head * c.capacity * d + i, NAN);
      v.set(head * c.capacity * d + i, NAN);
    }
  for (const FloatBuffer *buffer : {&q, &k, &v})
    buffer->lend(*machine, false);
  output.lend(*machine, true);
  workspace.lend(*machine, true);
  uint64_t target = o.splits > 1 ? workspace.address() : output.address();
  launch(*machine, o.name, getAttentionLaunch(o, c.rows),
         {q.address(), k.address(), v.address(), target, uint64_t(c.length),
          uint64_t(c.past), uint64_t(c.capacity)});
  if (o.splits > 1)
    launch(*machine, merge.name, getAttentionMergeLaunch(o, c.rows),
           {workspace.address(), output.address()});

  for (int64_t row = 0; row < c.rows; ++row)
    for (int64_t head = 0; head < o.heads; ++head) {
      int64_t count =
          o.causal ? std::min(c.length, c.past + row + 1) : c.length;
      int64_t query = (row * o.heads + head) * d;
      int64_t first = head / group * c.capacity * d;
      std::vector<double> scores(count);
      double most = -INFINITY, total = 0;
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t x = 0; x < d; ++x)
          scores[i] += q.get(query + x) * k.get(first + i * d + x);
        scores[i] *= o.scale;
        most = std::fmax(most, scores[i]);
      }
      for (double &score : scores)
        total += score = std::exp(score - most);
      for (int64_t x = 0; x < d; ++x) {
        double expected = 0;
        for (int64_t i = 0; i < count; ++i)
          expected += scores[i] / total * v.get(first + i * d + x);
        ASSERT_NEAR(output.get(query + x), expected,
                    1e-5 + roundingError(o.type, std::fabs(expected) * 1.01))
            << "row " << row << " head " << head << " element " << x;
      }
    }
}

TEST(Attention, HeadsAndTypes) {
  for (FloatKind type : {FloatKind::F32, FloatKind::F16, FloatKind::BF16})
    for (auto [heads, keyHeads, headSize] :
         {std::tuple<int64_t, int64_t, int64_t>{2, 2, 64},
          {9, 3, 64},
          {4, 2, 8},
          {2, 1, 80},
          {1, 1, 128}}) {
      SCOPED_TRACE(std::to_string(heads) + " heads of " +
                   std::to_string(headSize));
      AttentionKernelOptions options = makeOptions(heads, keyHeads, headSize);
      options.type = type;
      options.warps = 2;
      check(options, {1, 37, 36, 50});
    }
}

TEST(Attention, LengthsOfTheContext) {
  for (int64_t length : {1, 2, 15, 16, 17, 64, 131})
    for (int64_t warps : {1, 4}) {
      AttentionKernelOptions options = makeOptions(2, 1, 32);
      options.warps = warps;
      check(options, {1, length, length - 1, 160});
    }
}

TEST(Attention, RowsSeeWhatIsBeforeThem) {
  AttentionKernelOptions options = makeOptions(2, 2, 16);
  check(options, {5, 12, 7, 12});
  options.causal = false;
  check(options, {5, 12, 7, 12});
}

TEST(Attention, SplitsAreMerged) {
  for (int64_t splits : {2, 7})
    for (int64_t length : {1, 5, 100}) {
      AttentionKernelOptions options = makeOptions(6, 2, 64);
      options.splits = splits;
      check(options, {2, length + 1, length - 1, 128});
    }
}
