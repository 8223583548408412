//===- PtxBlock.h - A block of threads that runs PTX --------------*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_CODEGENCUDA_PTXBLOCK_H
#define NIBBLE_TEST_CODEGENCUDA_PTXBLOCK_H

#include "PtxAlu.h"
#include <bitset>
#include <deque>

namespace nibble::test {

/// Shared memory of a block, with what is known of the last accesses of each
/// byte.
class PtxShared {
public:
  explicit PtxShared(int64_t size) : bytes(size), states(size) {}

  /// Empty if the access is right, else what is wrong.
  std::string read(int thread, uint64_t at, unsigned size, void *out);
  std::string write(int thread, uint64_t at, unsigned size, const void *in);
  /// `cp.async` of `size` bytes begins or has written.
  std::string beginCopy(int thread, uint64_t at, unsigned size);
  void endCopy(int thread, uint64_t at, unsigned size, const void *in);
  void barrier() { ++epoch; }

private:
  struct State {
    uint32_t writeEpoch = 0, readEpoch = 0;
    int16_t writer = -1;
    /// -2: several threads.
    int16_t reader = -1;
    bool written = false;
    bool inFlight = false;
  };
  std::string checkRange(uint64_t at, unsigned size) const;
  std::string checkWrite(int thread, uint64_t at, unsigned size) const;

  std::vector<uint8_t> bytes;
  std::vector<State> states;
  uint32_t epoch = 1;
};

class PtxBlock {
public:
  PtxBlock(PtxMachine &machine, const PtxKernel &kernel,
           const std::vector<PtxDecoded> &code, llvm::ArrayRef<uint8_t> params,
           PtxMachine::Dim grid, PtxMachine::Dim block, PtxMachine::Dim id,
           int64_t sharedBytes);
  llvm::Error run();

private:
  static constexpr int lanes = 32;
  using Mask = uint32_t;

  struct Copy {
    uint64_t to, from;
    unsigned size, sourceSize;
  };
  struct Warp {
    int first = 0, count = 0;
    std::vector<std::array<uint64_t, 32>> registers;
    std::array<int64_t, 32> pc{};
    Mask live = 0;
    bool atBarrier = false;
    /// Groups of copies of each lane; the last is not committed.
    std::array<std::deque<std::vector<Copy>>, 32> copies;
  };

  llvm::Error runWarp(Warp &warp);
  /// Executes one instruction for the lanes of `mask`; moves their positions.
  llvm::Error step(Warp &warp, int64_t pc, Mask mask);
  llvm::Error stepMemory(Warp &warp, const PtxDecoded &d, Mask mask);
  llvm::Error stepAsync(Warp &warp, const PtxDecoded &d, Mask mask);
  llvm::Error stepLdmatrix(Warp &warp, const PtxDecoded &d);
  llvm::Error stepMma(Warp &warp, const PtxDecoded &d);
  llvm::Error stepShuffle(Warp &warp, const PtxDecoded &d);
  llvm::Error wait(Warp &warp, int lane, size_t pending);
  llvm::Error checkGlobal(uint64_t address, unsigned size, bool write,
                          unsigned alignment);
  /// Counts the passes of shared-memory accesses of `size` bytes per lane.
  void countBanks(const PtxDecoded &d, llvm::ArrayRef<uint64_t> addresses,
                  unsigned size);
  uint64_t get(const Warp &warp, int lane, const PtxOperand &operand) const;
  void set(Warp &warp, int lane, const PtxOperand &operand, uint64_t value) {
    if (operand.kind == PtxOperand::Register)
      warp.registers[operand.index][lane] = value;
  }
  llvm::Error error(const Warp &warp, int lane, const PtxDecoded &d,
                    const llvm::Twine &message) const;

  PtxMachine &machine;
  const PtxKernel &kernel;
  const std::vector<PtxDecoded> &code;
  llvm::ArrayRef<uint8_t> params;
  PtxMachine::Dim grid, block, id;
  PtxShared shared;
  std::vector<Warp> warps;
};

} // namespace nibble::test

#endif // NIBBLE_TEST_CODEGENCUDA_PTXBLOCK_H
