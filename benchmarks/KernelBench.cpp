//===- KernelBench.cpp - Speed of single kernels --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// usage: nibble-kernel-bench [matmul|conv|linalg]...
//
// Matrix products run over many distinct weights, so that these come from
// memory, and beside a loop that only reads as many bytes. Threads: the
// environment variable OMP_NUM_THREADS.
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"

#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

using namespace nibble;
using namespace nibble::test;

extern "C" int omp_get_max_threads();

static double seconds(const std::function<void()> &run) {
  auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

/// Median of some runs.
static double median(int runs, const std::function<void()> &run) {
  std::vector<double> times;
  for (int i = 0; i < runs; ++i)
    times.push_back(seconds(run));
  std::sort(times.begin(), times.end());
  return times[runs / 2];
}

/// Sums `bytes` bytes in eight streams for each thread, with prefetches.
static void readAll(const char *data, size_t bytes) {
  int threads = omp_get_max_threads();
  std::vector<std::thread> team;
  for (int t = 0; t < threads; ++t)
    team.emplace_back([=] {
      size_t part = bytes / threads / 8 / 64 * 64;
      const char *base = data + t * (bytes / threads / 64 * 64);
      using Vector = unsigned char __attribute__((vector_size(64)));
      Vector sums[8] = {};
      for (size_t i = 0; i < part; i += 64)
        for (int s = 0; s < 8; ++s) {
          __builtin_prefetch(base + s * part + i + 1024);
          Vector v;
          memcpy(&v, base + s * part + i, 64);
          sums[s] ^= v;
        }
      volatile unsigned char sink = 0;
      for (Vector &sum : sums)
        sink = sink ^ sum[0];
    });
  for (std::thread &thread : team)
    thread.join();
}

static void benchMatMul(int64_t n, int64_t k, unsigned bits, int64_t group,
                        std::vector<int64_t> batches) {
  int64_t panels = (n + 31) / 32;
  bool isFloat = bits == 32;
  int64_t groups = isFloat ? 0 : (k + group - 1) / group;
  int64_t codeBytes = isFloat ? panels * k * 128 : panels * k * 4 * bits;
  int64_t scaleBytes = panels * groups * 64;
  std::string weight =
      isFloat ? llvm::formatv("memref<{0}x{1}x32xf32>", panels, k).str()
              : llvm::formatv("memref<{0}x{1}xi8>", panels, k * 4 * bits).str();
  std::string scales = llvm::formatv("memref<{0}x{1}x32xf16>", panels,
                                     std::max<int64_t>(groups, 1));
  std::string text = llvm::formatv(
      "func.func @f(%x: memref<?x{0}xf32>, %w: {2}, %s: {3}, %y: "
      "memref<?x{1}xf32>) attributes {{llvm.emit_c_interface} {{\n"
      "nibble.matmul %x weight(%w{4}) outs(%y) {{n = {1} : i64, k = {0} : i64, "
      "{5}} : (memref<?x{0}xf32>, {2}{6}, memref<?x{1}xf32>) -> ()\nreturn\n}",
      k, n, weight, scales, isFloat ? "" : ", %s",
      isFloat ? "packed_float"
              : llvm::formatv("scheme = #nibble.scheme<int{0}, group = {1}, "
                              "scale = f16, packing = panel>",
                              bits, group)
                    .str(),
      isFloat ? "" : ", " + scales);
  auto module = JitModule::create(text, targetsOfThisMachine().back());
  int64_t stride = (codeBytes + scaleBytes + 4095) / 4096 * 4096;
  int64_t copies = std::max<int64_t>(1, (320ll << 20) / stride);
  std::vector<char> memory(copies * stride + 64, 0x11);
  char *base = memory.data() + (64 - uintptr_t(memory.data()) % 64) % 64;
  for (int64_t m : batches) {
    std::vector<float> x = randomFloats(m * k, 1), y(m * n);
    int64_t uses = m > 64 ? 2 : copies;
    auto run = [&] {
      for (int64_t i = 0; i < uses; ++i)
        module->call("f",
                     {MemRef(x, {m, k}), MemRef(base + i * stride, {1, 1, 32}),
                      MemRef(base + i * stride + codeBytes, {1, 1, 32}),
                      MemRef(y, {m, n})});
    };
    run();
    double limit = 0;
    double time = median(5, run) / uses;
    if (m <= 32)
      limit = double(stride) * copies /
              median(5, [&] { readAll(base, stride * copies); }) / 1e9;
    double rate = (codeBytes + scaleBytes) / time / 1e9;
    printf("matmul %ldx%ld w%u g%ld m=%-4ld %9.1f us %7.2f GB/s %7.1f GFLOP/s",
           n, k, bits, group, m, time * 1e6, rate, 2e-9 * m * n * k / time);
    if (limit > 0)
      printf("  reading alone %.2f GB/s (%.0f %%)", limit, 100 * rate / limit);
    printf("\n");
    fflush(stdout);
  }
}

static void benchConv(int64_t in, int64_t out, int64_t kernel, int64_t stride,
                      int64_t size, int64_t group, unsigned bits) {
  int64_t k = in / group * kernel * kernel, panels = (out + 31) / 32;
  int64_t pad = kernel / 2, outSize = (size + 2 * pad - kernel) / stride + 1;
  std::string weight =
      group > 1 ? llvm::formatv("memref<{0}x{1}x{2}x{2}xf32>", out, in / group,
                                kernel)
      : bits == 32
          ? llvm::formatv("memref<{0}x{1}x32xf32>", panels, k).str()
          : llvm::formatv("memref<{0}x{1}xi8>", panels, k * 4 * bits).str();
  int64_t groups = (k + 31) / 32;
  std::string scales = llvm::formatv("memref<{0}x{1}x32xf16>", panels, groups);
  std::string input = llvm::formatv("memref<?x{0}x{1}x{1}xf32>", in, size);
  std::string output = llvm::formatv("memref<?x{0}x{1}x{1}xf32>", out, outSize);
  std::string text = llvm::formatv(
      "func.func @f(%x: {0}, %w: {1}, %s: {2}, %b: memref<{3}xf32>, %y: {4}) "
      "attributes {{llvm.emit_c_interface} {{\n"
      "nibble.conv %x weight(%w{5}) bias(%b) outs(%y) {{weight_shape = "
      "array<i64: {3}, {6}, {7}, {7}>, strides = array<i64: {8}, {8}>, "
      "dilations = array<i64: 1, 1>, pads = array<i64: {9}, {9}, {9}, {9}>, "
      "group = {10} : i64, activation = #nibble.activation<relu>{11}} : "
      "({0}, {1}{12}, memref<{3}xf32>, {4}) -> ()\nreturn\n}",
      input, weight, scales, out, output, bits == 32 ? "" : ", %s", in / group,
      kernel, stride, pad, group,
      bits != 32 ? llvm::formatv(", scheme = #nibble.scheme<int{0}, group = 32,"
                                 " scale = f16, packing = panel>",
                                 bits)
                       .str()
      : group > 1 ? ""
                  : ", packed_float",
      bits == 32 ? "" : ", " + scales);
  auto module = JitModule::create(text, targetsOfThisMachine().back());
  std::vector<float> x = randomFloats(in * size * size, 1);
  std::vector<float> w = randomFloats(panels * k * 32, 2), b(out);
  std::vector<float> s(panels * groups * 32), y(out * outSize * outSize);
  auto run = [&] {
    for (int i = 0; i < 20; ++i)
      module->call("f",
                   {MemRef(x, {1, in, size, size}),
                    group > 1 ? MemRef(w, {1, 1, 1, 1}) : MemRef(w, {1, 1, 32}),
                    MemRef(s, {1, 1, 32}), MemRef(b, {out}),
                    MemRef(y, {1, out, outSize, outSize})});
  };
  run();
  double time = median(9, run) / 20;
  printf("conv %ld->%ld k%ld s%ld %ldx%ld group %ld w%u %9.2f us %7.1f "
         "GFLOP/s\n",
         in, out, kernel, stride, size, size, group, bits, time * 1e6,
         2e-9 * out * outSize * outSize * k / time);
  fflush(stdout);
}

static void benchLinalg() {
  auto module = JitModule::create(
      "func.func @f(%x: memref<?x?x64xf32>, %w: memref<?x64x?xf32>, %y: "
      "memref<?x?x?xf32>) attributes {llvm.emit_c_interface} {\n"
      "linalg.batch_matmul ins(%x, %w : memref<?x?x64xf32>, "
      "memref<?x64x?xf32>) outs(%y : memref<?x?x?xf32>)\nreturn\n}",
      targetsOfThisMachine().back());
  for (int64_t m : {1, 16, 256}) {
    std::vector<float> x = randomFloats(8 * m * 64, 1);
    std::vector<float> w = randomFloats(8 * 64 * 256, 2), y(8 * m * 256);
    auto run = [&] {
      module->call("f", {MemRef(x, {8, m, 64}), MemRef(w, {8, 64, 256}),
                         MemRef(y, {8, m, 256})});
    };
    run();
    double time = median(51, run);
    printf("linalg.batch_matmul 8x%ldx64 by 64x256 %9.2f us %7.1f GFLOP/s\n", m,
           time * 1e6, 2e-9 * 8 * m * 64 * 256 / time);
  }
}

int main(int argc, char **argv) {
  auto wanted = [&](const char *name) {
    for (int i = 1; i < argc; ++i)
      if (!strcmp(argv[i], name))
        return true;
    return argc == 1;
  };
  if (wanted("matmul")) {
    benchMatMul(4096, 4096, 4, 32, {1, 2, 4, 8, 16, 32, 512});
    benchMatMul(4096, 4096, 4, 128, {1});
    benchMatMul(4096, 4096, 8, 32, {1});
    benchMatMul(4096, 4096, 3, 32, {1});
    benchMatMul(4096, 4096, 2, 32, {1});
    benchMatMul(4096, 4096, 32, 0, {1, 512});
  }
  if (wanted("conv"))
    for (unsigned bits : {32, 4}) {
      benchConv(3, 16, 3, 1, 32, 1, bits);
      benchConv(16, 16, 3, 1, 32, 1, bits);
      benchConv(16, 32, 3, 2, 32, 1, bits);
      benchConv(32, 32, 3, 1, 16, 1, bits);
      benchConv(64, 64, 3, 1, 8, 1, bits);
      benchConv(64, 256, 1, 1, 56, 1, bits);
      if (bits == 32)
        benchConv(96, 96, 3, 1, 56, 96, bits);
    }
  if (wanted("linalg"))
    benchLinalg();
  return 0;
}
