//===- PtxBlock.cpp - Memory and tensor cores of PTX
//------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PtxBlock.h"
#include <cstring>
#include <set>

using namespace llvm;
using namespace nibble::test;

Error PtxBlock::checkGlobal(uint64_t address, unsigned size, bool write,
                            unsigned alignment) {
  if (address % alignment != 0)
    return createStringError("address is not aligned to " + Twine(alignment));
  for (const auto &range : machine.ranges)
    if (address >= range.begin && address + size <= range.end) {
      if (write && !range.writable)
        return createStringError("write to memory that is an input");
      return Error::success();
    }
  return createStringError("access outside of all buffers");
}

void PtxBlock::countBanks(const PtxDecoded &d, ArrayRef<uint64_t> addresses,
                          unsigned size) {
  int64_t passes = 0;
  size_t together = size >= 16 ? 8 : size == 8 ? 16 : 32;
  int64_t ideal = 0;
  for (size_t first = 0; first < addresses.size(); first += together) {
    std::map<uint64_t, std::set<uint64_t>> banks;
    for (uint64_t at :
         addresses.slice(first, std::min(together, addresses.size() - first)))
      for (uint64_t word = at / 4; word < (at + size + 3) / 4; ++word)
        banks[word % 32].insert(word);
    size_t most = 1;
    for (auto &bank : banks)
      most = std::max(most, bank.second.size());
    passes += int64_t(most);
    ++ideal;
  }
  machine.statistics.sharedAccesses += ideal;
  machine.statistics.sharedPasses += passes;
  if (passes > ideal)
    machine.statistics.conflicts[d.instruction->text] += passes - ideal;
}

Error PtxBlock::stepMemory(Warp &warp, const PtxDecoded &d, Mask mask) {
  const PtxInstruction &i = *d.instruction;
  bool isLoad = d.op == PtxOp::Ld;
  const auto &data = i.operands[isLoad ? 0 : 1];
  const PtxOperand &address = i.operands[isLoad ? 1 : 0][0];
  unsigned elementSize = std::max(1u, d.type.bits / 8);
  unsigned size = elementSize * unsigned(data.size());
  SmallVector<uint64_t> sharedAddresses;
  for (int lane = 0; lane < lanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint64_t at = get(warp, lane, address);
    uint8_t bytes[64] = {};
    if (!isLoad)
      for (size_t e = 0; e < data.size(); ++e) {
        uint64_t value = get(warp, lane, data[e]);
        std::memcpy(bytes + e * elementSize, &value, elementSize);
      }
    if (i.words[1] == "param") {
      if (at + size > params.size())
        return error(warp, lane, d, "no such parameter");
      std::memcpy(bytes, params.data() + at, size);
    } else if (i.words[1] == "shared") {
      int thread = warp.first + lane;
      std::string wrong = isLoad ? shared.read(thread, at, size, bytes)
                                 : shared.write(thread, at, size, bytes);
      if (!wrong.empty())
        return error(warp, lane, d, wrong);
      sharedAddresses.push_back(at);
    } else if (i.words[1] == "global") {
      if (Error failure = checkGlobal(at, size, !isLoad, size))
        return error(warp, lane, d, toString(std::move(failure)));
      if (isLoad)
        std::memcpy(bytes, reinterpret_cast<const void *>(at), size);
      else
        std::memcpy(reinterpret_cast<void *>(at), bytes, size);
    } else {
      return error(warp, lane, d, "no such memory here");
    }
    if (isLoad)
      for (size_t e = 0; e < data.size(); ++e) {
        uint64_t value = 0;
        std::memcpy(&value, bytes + e * elementSize, elementSize);
        if (d.type.kind == PtxType::Signed && elementSize < 8)
          value = uint64_t(int64_t(value << (64 - 8 * elementSize)) >>
                           (64 - 8 * elementSize));
        set(warp, lane, data[e], value);
      }
  }
  if (!sharedAddresses.empty())
    countBanks(d, sharedAddresses, size);
  return Error::success();
}

Error PtxBlock::wait(Warp &warp, int lane, size_t pending) {
  // The last group is open still.
  auto &groups = warp.copies[lane];
  while (groups.size() > pending + 1) {
    for (const Copy &copy : groups.front()) {
      uint8_t bytes[16] = {};
      std::memcpy(bytes, reinterpret_cast<const void *>(copy.from),
                  copy.sourceSize);
      shared.endCopy(warp.first + lane, copy.to, copy.size, bytes);
    }
    groups.pop_front();
  }
  return Error::success();
}

Error PtxBlock::stepAsync(Warp &warp, const PtxDecoded &d, Mask mask) {
  const PtxInstruction &i = *d.instruction;
  if (i.words[1] != "async" || i.has("bulk"))
    return error(warp, 0, d, "the interpreter does not know this copy");
  SmallVector<uint64_t> addresses;
  unsigned size = 0;
  for (int lane = 0; lane < lanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    auto value = [&](size_t n) { return get(warp, lane, i.operands[n][0]); };
    auto &groups = warp.copies[lane];
    if (i.has("commit_group")) {
      groups.emplace_back();
      continue;
    }
    if (i.has("wait_group") || i.has("wait_all")) {
      if (i.has("wait_all"))
        groups.emplace_back();
      if (Error failure = wait(warp, lane, i.has("wait_all") ? 0 : value(0)))
        return failure;
      continue;
    }
    size = unsigned(value(2));
    unsigned sourceSize = i.operands.size() > 3 ? unsigned(value(3)) : size;
    if ((size != 4 && size != 8 && size != 16) || sourceSize > size ||
        (i.has("cg") && size != 16))
      return error(warp, lane, d, "sizes that PTX does not have");
    Copy copy{value(0), value(1), size, sourceSize};
    if (sourceSize)
      if (Error failure = checkGlobal(copy.from, sourceSize, false, size))
        return error(warp, lane, d, toString(std::move(failure)));
    std::string wrong = shared.beginCopy(warp.first + lane, copy.to, size);
    if (!wrong.empty())
      return error(warp, lane, d, wrong);
    groups.back().push_back(copy);
    addresses.push_back(copy.to);
  }
  if (!addresses.empty())
    countBanks(d, addresses, size);
  return Error::success();
}

Error PtxBlock::stepShuffle(Warp &warp, const PtxDecoded &d) {
  const PtxInstruction &i = *d.instruction;
  std::array<uint64_t, 32> results{};
  std::array<bool, 32> valid{};
  for (int lane = 0; lane < warp.count; ++lane) {
    uint64_t distance = get(warp, lane, i.operands[2][0]) & 31;
    uint64_t clamp = get(warp, lane, i.operands[3][0]);
    if (Mask(get(warp, lane, i.operands[4][0])) != ~Mask(0))
      return error(warp, lane, d, "the mask leaves out threads");
    int segment = int(clamp >> 8 & 31), limit = int(clamp & 31);
    int low = lane & segment, high = low | (limit & ~segment), from;
    bool inside;
    if (i.has("up")) {
      from = lane - int(distance);
      inside = from >= high;
    } else {
      from = i.has("down")   ? lane + int(distance)
             : i.has("bfly") ? lane ^ int(distance)
                             : low | (int(distance) & ~segment);
      inside = from <= high;
    }
    valid[lane] = inside;
    results[lane] = get(warp, inside ? from : lane, i.operands[1][0]);
  }
  for (int lane = 0; lane < warp.count; ++lane) {
    set(warp, lane, i.operands[0][0], results[lane]);
    if (i.operands[0].size() > 1)
      set(warp, lane, i.operands[0][1], valid[lane]);
  }
  return Error::success();
}

Error PtxBlock::stepLdmatrix(Warp &warp, const PtxDecoded &d) {
  const PtxInstruction &i = *d.instruction;
  unsigned count = i.has("x4") ? 4 : i.has("x2") ? 2 : 1;
  bool transposed = i.has("trans");
  std::array<std::array<uint16_t, 8>, 32> rows;
  for (unsigned matrix = 0; matrix < count; ++matrix) {
    SmallVector<uint64_t> addresses;
    for (int r = 0; r < 8; ++r) {
      // Lanes 8 * matrix to 8 * matrix + 7 give the rows' addresses.
      int lane = int(8 * matrix) + r;
      uint64_t at = get(warp, lane, i.operands[1][0]);
      std::string wrong =
          shared.read(warp.first + lane, at, 16, rows[lane].data());
      if (!wrong.empty())
        return error(warp, lane, d, wrong);
      addresses.push_back(at);
    }
    countBanks(d, addresses, 16);
  }
  for (unsigned matrix = 0; matrix < count; ++matrix)
    for (int lane = 0; lane < lanes; ++lane) {
      uint64_t value = 0;
      for (int e = 0; e < 2; ++e) {
        int row = lane / 4, column = lane % 4 * 2 + e;
        uint16_t element = transposed ? rows[8 * matrix + column][row]
                                      : rows[8 * matrix + row][column];
        value |= uint64_t(element) << (16 * e);
      }
      set(warp, lane, i.operands[0][matrix], value);
    }
  return Error::success();
}

/// Where the manual's fragments have element e (counted over all registers) of
/// lane: "Matrix Fragments for mma.m16n8k16" and "mma.m16n8k32". `perRegister`
/// is 2 for halves and 4 for bytes.
static std::pair<int, int> placeInA(int lane, int e, int perRegister) {
  int reg = e / perRegister;
  return {lane / 4 + 8 * (reg % 2),
          lane % 4 * perRegister + e % perRegister + reg / 2 * 4 * perRegister};
}
static std::pair<int, int> placeInB(int lane, int e, int perRegister) {
  int reg = e / perRegister;
  return {lane % 4 * perRegister + e % perRegister + reg * 4 * perRegister,
          lane / 4};
}
static std::pair<int, int> placeInC(int lane, int e) {
  return {lane / 4 + 8 * (e / 2), lane % 4 * 2 + e % 2};
}

Error PtxBlock::stepMma(Warp &warp, const PtxDecoded &d) {
  const PtxInstruction &i = *d.instruction;
  bool bytes = i.has("m16n8k32");
  if ((!bytes && !i.has("m16n8k16")) || !i.has("row") || !i.has("col"))
    return error(warp, 0, d, "the interpreter does not know this shape");
  if (i.operands.size() != 4 || i.operands[0].size() != 4 ||
      i.operands[1].size() != 4 || i.operands[2].size() != 2 ||
      i.operands[3].size() != 4)
    return error(warp, 0, d, "operands that the shape does not have");
  // Types come in the order D, A, B, C.
  SmallVector<PtxType> types;
  for (const std::string &word : ArrayRef(i.words).drop_front())
    if (std::optional<PtxType> type = PtxType::parse(word))
      types.push_back(*type);
  int depth = bytes ? 32 : 16, perRegister = bytes ? 4 : 2;
  unsigned elementBits = bytes ? 8 : 16;
  auto element = [&](int lane, size_t operand, int e, PtxType type) {
    uint64_t reg = get(warp, lane, i.operands[operand][e / perRegister]);
    uint64_t bits = reg >> (elementBits * unsigned(e % perRegister));
    if (!bytes)
      return toDouble(bits & 0xffff, type);
    return type.kind == PtxType::Signed ? double(int8_t(bits))
                                        : double(uint8_t(bits));
  };
  double a[16][32], b[32][8], c[16][8];
  for (int lane = 0; lane < lanes; ++lane) {
    for (int e = 0; e < 4 * perRegister; ++e) {
      auto [row, k] = placeInA(lane, e, perRegister);
      a[row][k] = element(lane, 1, e, types[1]);
    }
    for (int e = 0; e < 2 * perRegister; ++e) {
      auto [k, column] = placeInB(lane, e, perRegister);
      b[k][column] = element(lane, 2, e, types[2]);
    }
    for (int e = 0; e < 4; ++e) {
      auto [row, column] = placeInC(lane, e);
      uint64_t bits = get(warp, lane, i.operands[3][e]);
      c[row][column] = bytes ? double(int32_t(bits)) : toDouble(bits, types[3]);
    }
  }
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column)
      for (int k = 0; k < depth; ++k)
        c[row][column] += a[row][k] * b[k][column];
  for (int lane = 0; lane < lanes; ++lane)
    for (int e = 0; e < 4; ++e) {
      auto [row, column] = placeInC(lane, e);
      double value = c[row][column];
      set(warp, lane, i.operands[0][e],
          bytes ? uint32_t(int64_t(value)) : fromDouble(value, types[0]));
    }
  return Error::success();
}
