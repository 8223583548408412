//===- PtxShared.cpp - Shared memory that watches its accesses
//--------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PtxBlock.h"
#include <cstring>

using namespace nibble::test;

std::string PtxShared::checkRange(uint64_t at, unsigned size) const {
  if (at + size > bytes.size() || at + size < at)
    return "byte " + std::to_string(at) + " is not in the " +
           std::to_string(bytes.size()) + " bytes of shared memory";
  if (at % size != 0)
    return "shared address " + std::to_string(at) + " is not aligned to " +
           std::to_string(size);
  return "";
}

std::string PtxShared::checkWrite(int thread, uint64_t at,
                                  unsigned size) const {
  if (std::string wrong = checkRange(at, size); !wrong.empty())
    return wrong;
  for (uint64_t i = at; i < at + size; ++i) {
    const State &state = states[i];
    std::string where = "write of shared byte " + std::to_string(i);
    if (state.inFlight)
      return where + " that an asynchronous copy has not finished";
    if (state.writeEpoch == epoch && state.writer != thread)
      return where + " that thread " + std::to_string(state.writer) +
             " wrote, without a barrier between";
    if (state.readEpoch == epoch && state.reader != thread)
      return where + " that thread " + std::to_string(state.reader) +
             " (-2: several) read, without a barrier between";
  }
  return "";
}

std::string PtxShared::read(int thread, uint64_t at, unsigned size, void *out) {
  if (std::string wrong = checkRange(at, size); !wrong.empty())
    return wrong;
  for (uint64_t i = at; i < at + size; ++i) {
    State &state = states[i];
    std::string where = "read of shared byte ";
    if (state.inFlight)
      return where + std::to_string(i) +
             " that an asynchronous copy has not finished";
    if (!state.written)
      return where + std::to_string(i) + " that nothing has written";
    if (state.writeEpoch == epoch && state.writer != thread)
      return where + std::to_string(i) + " that thread " +
             std::to_string(state.writer) + " wrote, without a barrier between";
    bool others = state.readEpoch == epoch && state.reader != thread;
    state.reader = others ? -2 : int16_t(thread);
    state.readEpoch = epoch;
  }
  std::memcpy(out, &bytes[at], size);
  return "";
}

std::string PtxShared::write(int thread, uint64_t at, unsigned size,
                             const void *in) {
  if (std::string wrong = checkWrite(thread, at, size); !wrong.empty())
    return wrong;
  endCopy(thread, at, size, in);
  return "";
}

std::string PtxShared::beginCopy(int thread, uint64_t at, unsigned size) {
  if (std::string wrong = checkWrite(thread, at, size); !wrong.empty())
    return wrong;
  for (uint64_t i = at; i < at + size; ++i)
    states[i].inFlight = true;
  return "";
}

void PtxShared::endCopy(int thread, uint64_t at, unsigned size,
                        const void *in) {
  std::memcpy(&bytes[at], in, size);
  for (uint64_t i = at; i < at + size; ++i) {
    State &state = states[i];
    state.inFlight = false;
    state.written = true;
    state.writer = int16_t(thread);
    state.writeEpoch = epoch;
  }
}
