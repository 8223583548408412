//===- PtxMachine.h - Runs PTX on the host ------------------------*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An interpreter of the PTX that the NVPTX back end writes for our kernels,
// with the semantics of NVIDIA's "Parallel Thread Execution ISA". It stands in
// for a GPU in tests and is stricter than one. An error is
//
//  - an access outside of the buffers that the test has lent, or unaligned;
//  - a read of shared memory that nothing has written;
//  - an access to shared memory that another thread has written, or a write to
//    what another has read, since the last barrier of the block;
//  - any access to bytes that `cp.async` still writes: it writes as late as the
//    waits of its thread allow, and takes the destination at once;
//  - shuffles, `mma`, `ldmatrix` and barriers that not all threads take part
//  in.
//
// Warps run in lockstep: of the positions of its threads the first in the text
// goes next, which is where diverged threads meet again.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_CODEGENCUDA_PTXMACHINE_H
#define NIBBLE_TEST_CODEGENCUDA_PTXMACHINE_H

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace nibble::test {

/// What an instruction reads or writes: a register, a number, or an address of
/// either with an offset.
struct PtxOperand {
  enum Kind : uint8_t { Register, Immediate, Special, Address, Label, Sink };
  Kind kind = Immediate;
  /// Register: its number; -1 in an address without one. Label: the target.
  /// Special: 0 to 2 tid, 3 to 5 ntid, 6 to 8 ctaid, 9 to 11 nctaid, 12 laneid.
  int64_t index = -1;
  /// Immediate, or offset of an address.
  uint64_t value = 0;
  /// `!%p`.
  bool negated = false;
};

struct PtxInstruction {
  /// Words of the opcode: `ld`, `global`, `v4`, `b32`.
  std::vector<std::string> words;
  /// Each operand, one or the elements of a vector in braces.
  std::vector<std::vector<PtxOperand>> operands;
  /// Register of the guard; -1 without.
  int64_t guard = -1;
  bool guardNegated = false;
  std::string text;

  bool has(llvm::StringRef word) const {
    for (const std::string &w : words)
      if (w == word)
        return true;
    return false;
  }
};

struct PtxKernel {
  std::vector<PtxInstruction> body;
  std::vector<unsigned> parameterOffsets;
  unsigned parameterBytes = 0;
  int64_t numRegisters = 0;
};

struct PtxModule {
  llvm::StringMap<PtxKernel> kernels;
  /// Bytes of static shared memory.
  int64_t staticShared = 0;

  static llvm::Expected<PtxModule> parse(llvm::StringRef text);
};

/// Counts of a launch.
struct PtxStatistics {
  /// Executions by a warp, by opcode.
  std::map<std::string, int64_t> executed;
  /// Shared-memory accesses of a warp, and the passes that they take: 32 banks
  /// of 4 bytes, a pass for each further word of a bank. Accesses of 16 bytes
  /// are made by eight lanes at a time, of 8 bytes by sixteen; each 8x8 matrix
  /// of `ldmatrix` is one access.
  int64_t sharedAccesses = 0;
  int64_t sharedPasses = 0;
  /// The text of the instructions that had conflicts.
  std::map<std::string, int64_t> conflicts;
};

class PtxMachine {
public:
  explicit PtxMachine(PtxModule module) : module(std::move(module)) {}

  /// Lends memory of the host as global memory. The address is the host's.
  void lend(const void *data, size_t size, bool writable);

  using Dim = std::array<int64_t, 3>;
  /// Runs a kernel. Arguments are pointers and numbers, as 64-bit values.
  llvm::Error launch(llvm::StringRef name, Dim grid, Dim block,
                     int64_t sharedBytes, llvm::ArrayRef<uint64_t> arguments);

  PtxStatistics statistics;
  /// Shared memory that a launch may ask for: that of sm_80 by default.
  int64_t maxSharedBytes = 163 * 1024;

private:
  friend class PtxBlock;
  struct Range {
    uint64_t begin, end;
    bool writable;
  };
  std::vector<Range> ranges;
  PtxModule module;
};

} // namespace nibble::test

#endif // NIBBLE_TEST_CODEGENCUDA_PTXMACHINE_H
