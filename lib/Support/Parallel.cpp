//===- Parallel.cpp - Loops over all cores --------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/Parallel.h"
#include "llvm/Support/Threading.h"
#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

unsigned nibble::getThreadCount(unsigned threads) {
  if (threads == 0)
    threads = llvm::hardware_concurrency().compute_thread_count();
  return std::max(threads, 1u);
}

void nibble::parallelFor(int64_t size, int64_t chunk, unsigned threads,
                         llvm::function_ref<void(int64_t, int64_t)> body) {
  chunk = std::max<int64_t>(chunk, 1);
  if (size <= 0)
    return;
  int64_t pieces = (size + chunk - 1) / chunk;
  std::atomic<int64_t> next{0};
  auto work = [&] {
    for (int64_t piece = next++; piece < pieces; piece = next++)
      body(piece * chunk, std::min(size, (piece + 1) * chunk));
  };
  int64_t helpers = std::min<int64_t>(getThreadCount(threads), pieces) - 1;
  std::vector<std::thread> team;
  team.reserve(helpers);
  for (int64_t i = 0; i < helpers; ++i)
    team.emplace_back(work);
  work();
  for (std::thread &thread : team)
    thread.join();
}
