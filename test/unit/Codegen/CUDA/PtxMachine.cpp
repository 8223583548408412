//===- PtxMachine.cpp - Runs PTX on the host
//--------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PtxMachine.h"
#include "PtxBlock.h"
#include <cstring>

using namespace llvm;
using namespace nibble::test;

void PtxMachine::lend(const void *data, size_t size, bool writable) {
  uint64_t begin = reinterpret_cast<uint64_t>(data);
  ranges.push_back({begin, begin + size, writable});
}

Error PtxMachine::launch(StringRef name, Dim grid, Dim block,
                         int64_t sharedBytes, ArrayRef<uint64_t> arguments) {
  auto it = module.kernels.find(name);
  if (it == module.kernels.end())
    return createStringError("there is no kernel " + name);
  const PtxKernel &kernel = it->second;
  if (arguments.size() != kernel.parameterOffsets.size())
    return createStringError("kernel " + name + " takes " +
                             Twine(kernel.parameterOffsets.size()) +
                             " arguments, not " + Twine(arguments.size()));
  int64_t total = (module.staticShared + 127) / 128 * 128 + sharedBytes;
  if (total > maxSharedBytes)
    return createStringError("kernel " + name + " wants " + Twine(total) +
                             " bytes of shared memory, more than " +
                             Twine(maxSharedBytes));
  std::vector<uint8_t> params(kernel.parameterBytes + 8);
  for (size_t i = 0; i < arguments.size(); ++i)
    std::memcpy(&params[kernel.parameterOffsets[i]], &arguments[i], 8);
  std::vector<PtxDecoded> code;
  for (const PtxInstruction &instruction : kernel.body)
    code.push_back(PtxDecoded::decode(instruction));
  for (int64_t z = 0; z < grid[2]; ++z)
    for (int64_t y = 0; y < grid[1]; ++y)
      for (int64_t x = 0; x < grid[0]; ++x) {
        PtxBlock run(*this, kernel, code, params, grid, block, {x, y, z},
                     total);
        if (Error failure = run.run())
          return failure;
      }
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

PtxBlock::PtxBlock(PtxMachine &machine, const PtxKernel &kernel,
                   const std::vector<PtxDecoded> &code,
                   ArrayRef<uint8_t> params, PtxMachine::Dim grid,
                   PtxMachine::Dim block, PtxMachine::Dim id,
                   int64_t sharedBytes)
    : machine(machine), kernel(kernel), code(code), params(params), grid(grid),
      block(block), id(id), shared(sharedBytes) {
  int64_t threads = block[0] * block[1] * block[2];
  for (int64_t first = 0; first < threads; first += lanes) {
    Warp warp;
    warp.first = int(first);
    warp.count = int(std::min<int64_t>(lanes, threads - first));
    warp.live = warp.count == lanes ? ~Mask(0) : (Mask(1) << warp.count) - 1;
    warp.registers.resize(kernel.numRegisters);
    for (auto &groups : warp.copies)
      groups.emplace_back();
    warps.push_back(std::move(warp));
  }
}

Error PtxBlock::error(const Warp &warp, int lane, const PtxDecoded &d,
                      const Twine &message) const {
  return createStringError("block " + Twine(id[0]) + "," + Twine(id[1]) + "," +
                           Twine(id[2]) + " thread " +
                           Twine(warp.first + lane) + " at `" +
                           d.instruction->text + "`: " + message);
}

uint64_t PtxBlock::get(const Warp &warp, int lane,
                       const PtxOperand &operand) const {
  switch (operand.kind) {
  case PtxOperand::Register: {
    uint64_t value = warp.registers[operand.index][lane];
    return operand.negated ? !value : value;
  }
  case PtxOperand::Special: {
    int64_t thread = warp.first + lane, which = operand.index;
    if (which == 12)
      return uint64_t(lane);
    int64_t tids[] = {thread % block[0], thread / block[0] % block[1],
                      thread / (block[0] * block[1])};
    const int64_t *values[] = {tids, block.data(), id.data(), grid.data()};
    return uint64_t(values[which / 3][which % 3]);
  }
  case PtxOperand::Address:
    return operand.value +
           (operand.index < 0 ? 0 : warp.registers[operand.index][lane]);
  default:
    return operand.value;
  }
}

Error PtxBlock::run() {
  for (;;) {
    bool live = false;
    for (Warp &warp : warps) {
      if (!warp.live)
        continue;
      if (Error failure = runWarp(warp))
        return failure;
      live |= warp.live != 0;
    }
    if (!live)
      break;
    // Every warp that still runs has arrived.
    for (Warp &warp : warps)
      warp.atBarrier = false;
    shared.barrier();
  }
  for (Warp &warp : warps)
    for (int lane = 0; lane < warp.count; ++lane)
      for (auto &group : warp.copies[lane])
        if (!group.empty())
          return createStringError("thread " + Twine(warp.first + lane) +
                                   " ends before its asynchronous copies");
  return Error::success();
}

/// Whether all threads of a warp must execute the instruction together.
static bool isCollective(const PtxDecoded &d) {
  return d.op == PtxOp::Bar || d.op == PtxOp::Shfl || d.op == PtxOp::Mma ||
         d.op == PtxOp::Ldmatrix;
}

Error PtxBlock::runWarp(Warp &warp) {
  while (warp.live && !warp.atBarrier) {
    // The first position in the text goes next; one that waits for the rest of
    // the warp lets later ones go on.
    int64_t pc = -1, blocked = -1;
    Mask mask = 0;
    for (int64_t after = -1;;) {
      int64_t next = INT64_MAX;
      for (int lane = 0; lane < warp.count; ++lane)
        if (warp.live >> lane & 1 && warp.pc[lane] > after)
          next = std::min(next, warp.pc[lane]);
      if (next == INT64_MAX)
        break;
      Mask here = 0;
      for (int lane = 0; lane < warp.count; ++lane)
        if (warp.live >> lane & 1 && warp.pc[lane] == next)
          here |= Mask(1) << lane;
      if (isCollective(code[next]) && here != warp.live) {
        blocked = after = next;
        continue;
      }
      pc = next;
      mask = here;
      break;
    }
    if (pc < 0)
      return error(warp, 0, code[blocked],
                   "only a part of the warp's threads arrives");
    if (Error failure = step(warp, pc, mask))
      return failure;
  }
  return Error::success();
}

Error PtxBlock::step(Warp &warp, int64_t pc, Mask mask) {
  const PtxDecoded &d = code[pc];
  const PtxInstruction &i = *d.instruction;
  Mask active = mask;
  for (int lane = 0; lane < lanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    warp.pc[lane] = pc + 1;
    if (i.guard >= 0 &&
        bool(warp.registers[i.guard][lane] & 1) == i.guardNegated)
      active &= ~(Mask(1) << lane);
  }
  if (!active)
    return Error::success();
  if (isCollective(d) && active != warp.live)
    return error(warp, 0, d, "a guard leaves out threads of the warp");
  auto &operands = i.operands;
  ++machine.statistics.executed[i.words[0]];
  switch (d.op) {
  case PtxOp::Unknown:
    return error(warp, 0, d, "the interpreter does not know this instruction");
  case PtxOp::Ld:
  case PtxOp::St:
    return stepMemory(warp, d, active);
  case PtxOp::Cp:
    return stepAsync(warp, d, active);
  case PtxOp::Ldmatrix:
    return stepLdmatrix(warp, d);
  case PtxOp::Mma:
    return stepMma(warp, d);
  case PtxOp::Shfl:
    return stepShuffle(warp, d);
  case PtxOp::Fence:
    return Error::success();
  case PtxOp::Bar:
    // Threads of a warp meet here in any case; a barrier of the warp is no
    // barrier of the block.
    warp.atBarrier = !i.has("warp");
    return Error::success();
  default:
    break;
  }
  for (int lane = 0; lane < lanes; ++lane) {
    if (!(active >> lane & 1))
      continue;
    auto value = [&](size_t n) {
      return n < operands.size() ? get(warp, lane, operands[n][0]) : 0;
    };
    switch (d.op) {
    case PtxOp::Bra:
      warp.pc[lane] = operands[0][0].index;
      break;
    case PtxOp::Ret:
      warp.live &= ~(Mask(1) << lane);
      break;
    case PtxOp::Lop3: {
      uint64_t a = value(1), b = value(2), c = value(3), table = value(4);
      uint64_t result = 0;
      for (unsigned row = 0; row < 8; ++row)
        if (table >> row & 1)
          result |=
              (row & 4 ? a : ~a) & (row & 2 ? b : ~b) & (row & 1 ? c : ~c);
      set(warp, lane, operands[0][0], result & 0xffffffff);
      break;
    }
    case PtxOp::Mov:
      if (operands[0].size() > 1 || operands[1].size() > 1) {
        // A register and its parts.
        unsigned parts =
            unsigned(std::max(operands[0].size(), operands[1].size()));
        unsigned bits = d.type.bits / parts;
        uint64_t partMask = (uint64_t(1) << bits) - 1, whole = 0;
        for (unsigned p = 0; p < parts; ++p)
          if (operands[1].size() > 1)
            whole |= (get(warp, lane, operands[1][p]) & partMask) << (bits * p);
          else
            set(warp, lane, operands[0][p], value(1) >> (bits * p) & partMask);
        if (operands[1].size() > 1)
          set(warp, lane, operands[0][0], whole);
        break;
      }
      [[fallthrough]];
    default:
      set(warp, lane, operands[0][0],
          evaluate(d, value(1), value(2), value(3)));
    }
  }
  return Error::success();
}
