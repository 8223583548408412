//===- AttentionKernel.cpp - Attention with a cache
//-------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lanes form teams of as many as a key has loads of 16 bytes. A team takes
// every n-th key, and keeps for each query head the online softmax of what it
// has seen: the maximum m, the sum of weights l, and its part of the sum of
// values, all with weights 2^(s - m). Two such states merge to
//
//   m = max(m1, m2), l = 2^(m1 - m) l1 + 2^(m2 - m) l2, the same for values
//
//===----------------------------------------------------------------------===//

#include "KernelEmitter.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::codegen::cuda;

namespace {

constexpr int64_t warpSize = WeightLayout::warpSize;
/// The maximum of no scores: finite, so that differences are numbers.
constexpr double lowest = -1e30;

/// Query heads of a key head that a block takes.
int64_t getSharing(const AttentionKernelOptions &o) {
  return o.heads / o.keyHeads;
}

class AttentionEmitter {
public:
  AttentionEmitter(KernelEmitter &e, const AttentionKernelOptions &options)
      : e(e), o(options), size(getSize(o.type)), width(16 / size),
        sharing(getSharing(o)),
        team(llvm::PowerOf2Ceil(uint64_t(o.headSize / width))) {}
  void emit();

private:
  /// The state of the online softmax of one query head.
  struct State {
    Value most, total;
    Values values;
  };
  int64_t stateSize() const { return 2 + width; }
  SmallVector<State> unpack(ValueRange flat) const;
  Values pack(ArrayRef<State> states) const;

  /// The lane's part of a row of a head; zero in lanes behind its end.
  Values loadPart(Value base, Value rowOffset);
  State addKey(const State &state, Value score, ArrayRef<Value> values);
  State merge(const State &a, const State &b);
  Value weightOf(Value score, Value most) {
    return e.exp2(e.fsub(score, most));
  }
  /// Merges the teams of a warp, then the warps, of each query head.
  void mergeTeams(MutableArrayRef<State> states);
  void store(int64_t query, const State &state);

  KernelEmitter &e;
  const AttentionKernelOptions &o;
  int64_t size, width, sharing, team;
  Value queries, keys, values, output, length, past, capacity;
  Value thread, lane, warp, keyHead, row, split;
  /// Elements of a head before this lane's; whether it has any.
  Value part, hasPart;
};

} // namespace

SmallVector<AttentionEmitter::State>
AttentionEmitter::unpack(ValueRange flat) const {
  SmallVector<State> states;
  for (int64_t i = 0; i < sharing; ++i) {
    ValueRange mine = flat.slice(i * stateSize(), stateSize());
    states.push_back({mine[0], mine[1], Values(mine.drop_front(2))});
  }
  return states;
}

Values AttentionEmitter::pack(ArrayRef<State> states) const {
  Values flat;
  for (const State &state : states) {
    flat.push_back(state.most);
    flat.push_back(state.total);
    flat.append(state.values);
  }
  return flat;
}

Values AttentionEmitter::loadPart(Value base, Value rowOffset) {
  Value at = e.at(e.at(base, rowOffset), e.mul(part, size));
  Value loaded = e.toF32(e.load(e.vector(width, e.type(o.type)), at, true));
  Values elements;
  for (int64_t i = 0; i < width; ++i) {
    Value x = e.extract(loaded, i);
    elements.push_back(hasPart ? e.select(hasPart, x, e.f32Const(0.0)) : x);
  }
  return elements;
}

AttentionEmitter::State AttentionEmitter::addKey(const State &state,
                                                 Value score,
                                                 ArrayRef<Value> values) {
  State result;
  result.most = e.fmax(state.most, score);
  Value before = weightOf(state.most, result.most);
  Value weight = weightOf(score, result.most);
  result.total = e.fma(state.total, before, weight);
  for (int64_t i = 0; i < width; ++i)
    result.values.push_back(
        e.fma(state.values[i], before, e.fmul(weight, values[i])));
  return result;
}

AttentionEmitter::State AttentionEmitter::merge(const State &a,
                                                const State &b) {
  State result;
  result.most = e.fmax(a.most, b.most);
  Value first = weightOf(a.most, result.most);
  Value second = weightOf(b.most, result.most);
  auto both = [&](Value x, Value y) {
    return e.fma(x, first, e.fmul(y, second));
  };
  result.total = both(a.total, b.total);
  for (int64_t i = 0; i < width; ++i)
    result.values.push_back(both(a.values[i], b.values[i]));
  return result;
}

void AttentionEmitter::mergeTeams(MutableArrayRef<State> states) {
  for (State &state : states)
    for (int64_t distance = team; distance < warpSize; distance *= 2) {
      State other;
      other.most = e.shuffleXor(state.most, distance);
      other.total = e.shuffleXor(state.total, distance);
      for (Value value : state.values)
        other.values.push_back(e.shuffleXor(value, distance));
      state = merge(state, other);
    }
  if (o.warps == 1)
    return;
  // [warp][query][element of the state][lane]: in lanes of the first team.
  Value shared = e.sharedMemory();
  auto place = [&](Value warp, int64_t query, int64_t element) {
    Value at = e.mul(e.add(e.mul(warp, sharing * stateSize()),
                           query * stateSize() + element),
                     team);
    return e.at(shared, e.mul(e.add(at, lane), 4));
  };
  Value isFirst = e.lt(lane, e.num(team));
  e.ifThen(isFirst, [&] {
    for (int64_t query = 0; query < sharing; ++query) {
      Values flat = pack({states[query]});
      for (auto [element, value] : llvm::enumerate(flat))
        e.store(value, place(warp, query, int64_t(element)));
    }
  });
  e.barrier();
  // The first warp merges, in the order of warps.
  for (int64_t query = 0; query < sharing; ++query) {
    Values init = pack({states[query]});
    Value inFirst = e.both(isFirst, e.eq(warp, 0));
    Values merged = e.ifYield(
        inFirst,
        [&] {
          State state = states[query];
          for (int64_t i = 1; i < o.warps; ++i) {
            State other;
            Value from = e.num(i);
            other.most = e.load(e.f32, place(from, query, 0));
            other.total = e.load(e.f32, place(from, query, 1));
            for (int64_t k = 0; k < width; ++k)
              other.values.push_back(e.load(e.f32, place(from, query, 2 + k)));
            state = merge(state, other);
          }
          return pack({state});
        },
        [&] { return init; });
    states[query].most = merged[0];
    states[query].total = merged[1];
    states[query].values.assign(merged.begin() + 2, merged.end());
  }
}

void AttentionEmitter::store(int64_t query, const State &state) {
  Value head = e.add(e.mul(keyHead, sharing), query);
  Value index = e.add(e.mul(row, o.heads), head);
  if (o.splits == 1) {
    Value inverse = e.fdiv(e.f32Const(1.0), state.total);
    Values results;
    for (Value value : state.values)
      results.push_back(e.fmul(value, inverse));
    Value at = e.at(e.at(output, e.wideMul(index, o.headSize * size)),
                    e.mul(part, size));
    e.store(e.fromF32(e.pack(results), o.type), at);
    return;
  }
  Value place = e.add(e.mul(index, o.splits), split);
  Value base = e.at(output, e.wideMul(place, (o.headSize + 2) * 4));
  for (int64_t i = 0; i < width; ++i)
    e.store(state.values[i], e.at(e.at(base, e.mul(part, 4)), i * 4));
  e.ifThen(e.eq(lane, 0), [&] {
    e.store(state.most, e.at(base, o.headSize * 4));
    e.store(state.total, e.at(base, (o.headSize + 1) * 4));
  });
}

void AttentionEmitter::emit() {
  Value *arguments[] = {&queries, &keys, &values,  &output,
                        &length,  &past, &capacity};
  for (auto [i, argument] : llvm::enumerate(arguments))
    *argument = e.func.getArgument(unsigned(i));
  for (Value constant : {queries, keys, values})
    e.setConstant(constant);
  thread = e.threadId();
  lane = e.bitAnd(thread, warpSize - 1);
  warp = e.shift(thread, -5);
  keyHead = e.blockId(0);
  row = e.blockId(1);
  split = e.blockId(2);
  Value inTeam = e.bitAnd(lane, team - 1);
  part = e.mul(inTeam, width);
  if (team * width != o.headSize) {
    hasPart = e.lt(part, e.num(o.headSize));
    part = e.select(hasPart, part, e.num(0));
  }

  Value count = length;
  if (o.causal)
    count = e.min(length, e.add(e.add(past, row), 1));
  Value begin = e.num(0), end = count;
  if (o.splits > 1) {
    // Runs of equal length; the last ones may have none.
    Value perSplit = e.div(e.add(count, o.splits - 1), o.splits);
    begin = e.mul(split, perSplit);
    end = e.min(count, e.add(begin, perSplit));
  }

  // Scores are powers of two: the scale has the logarithm in it.
  SmallVector<Values> query;
  for (int64_t i = 0; i < sharing; ++i) {
    Value head = e.add(e.mul(keyHead, sharing), i);
    Value index = e.add(e.mul(row, o.heads), head);
    Values x = loadPart(queries, e.wideMul(index, o.headSize * size));
    for (Value &value : x)
      value = e.fmul(value, e.f32Const(o.scale * 1.4426950408889634));
    query.push_back(x);
  }
  State empty;
  empty.most = e.f32Const(lowest);
  empty.total = e.f32Const(0.0);
  empty.values.assign(width, e.f32Const(0.0));
  SmallVector<State> states(sharing, empty);

  // All lanes go through the same number of steps: shuffles need the warp. A
  // team without a key in the last one takes the last key again, with a score
  // that counts for nothing.
  int64_t teams = o.warps * (warpSize / team);
  Value myTeam = e.add(e.mul(warp, warpSize / team), e.div(lane, team));
  Value firstRow = e.mul(keyHead, capacity);
  Values results = e.forLoop(
      begin, end, e.num(teams), pack(states),
      [&](Value base, ValueRange carried) {
        SmallVector<State> now = unpack(carried);
        Value key = e.add(base, myTeam);
        Value isKey = e.lt(key, end);
        Value safe = e.select(isKey, key, base);
        Value offset = e.wideMul(e.add(firstRow, safe), o.headSize * size);
        Values k = loadPart(keys, offset), v = loadPart(values, offset);
        for (int64_t i = 0; i < sharing; ++i) {
          Value score = e.fmul(query[i][0], k[0]);
          for (int64_t x = 1; x < width; ++x)
            score = e.fma(query[i][x], k[x], score);
          score = e.sumLanes(score, team);
          score = e.select(isKey, score, e.f32Const(2 * lowest));
          now[i] = addKey(now[i], score, v);
        }
        return pack(now);
      });
  states = unpack(results);
  mergeTeams(states);
  Value writes = e.both(e.eq(warp, 0), e.lt(lane, e.num(team)));
  if (hasPart)
    writes = e.both(writes, hasPart);
  e.ifThen(writes, [&] {
    for (int64_t i = 0; i < sharing; ++i)
      store(i, states[i]);
  });
}

LaunchShape codegen::cuda::getAttentionLaunch(const AttentionKernelOptions &o,
                                              int64_t rows) {
  LaunchShape shape;
  shape.grid[0] = o.keyHeads;
  shape.grid[1] = rows;
  shape.grid[2] = o.splits;
  shape.block[0] = warpSize * o.warps;
  int64_t width = 16 / getSize(o.type);
  int64_t team = int64_t(llvm::PowerOf2Ceil(uint64_t(o.headSize / width)));
  if (o.warps > 1)
    shape.sharedBytes = o.warps * getSharing(o) * (2 + width) * team * 4;
  return shape;
}

gpu::GPUFuncOp
codegen::cuda::buildAttentionKernel(OpBuilder &builder, gpu::GPUModuleOp module,
                                    const AttentionKernelOptions &o) {
  SmallVector<Type> arguments(
      4, KernelEmitter::globalPointer(builder.getContext()));
  arguments.append(3, builder.getI32Type());
  KernelEmitter emitter(builder, module, o.name, arguments, warpSize * o.warps);
  AttentionEmitter(emitter, o).emit();
  return emitter.finish();
}

LaunchShape
codegen::cuda::getAttentionMergeLaunch(const AttentionKernelOptions &o,
                                       int64_t rows) {
  LaunchShape shape;
  shape.grid[0] = o.heads;
  shape.grid[1] = rows;
  shape.block[0] = (o.headSize + warpSize - 1) / warpSize * warpSize;
  return shape;
}

gpu::GPUFuncOp
codegen::cuda::buildAttentionMergeKernel(OpBuilder &builder,
                                         gpu::GPUModuleOp module,
                                         const AttentionKernelOptions &o) {
  SmallVector<Type> arguments(
      2, KernelEmitter::globalPointer(builder.getContext()));
  KernelEmitter e(builder, module, o.name, arguments,
                  getAttentionMergeLaunch(o, 1).block[0]);
  Value workspace = e.func.getArgument(0), output = e.func.getArgument(1);
  e.setConstant(workspace);
  Value thread = e.threadId();
  Value index = e.add(e.mul(e.blockId(1), o.heads), e.blockId(0));
  int64_t stateBytes = (o.headSize + 2) * 4;
  Value base = e.at(workspace, e.wideMul(index, o.splits * stateBytes));
  e.ifThen(e.lt(thread, e.num(o.headSize)), [&] {
    auto load = [&](int64_t split, int64_t element) {
      return e.load(e.f32,
                    e.at(base, split * stateBytes + (o.headSize + element) * 4),
                    true);
    };
    Value most = load(0, 0);
    for (int64_t split = 1; split < o.splits; ++split)
      most = e.fmax(most, load(split, 0));
    Value total = e.f32Const(0.0), sum = total;
    for (int64_t split = 0; split < o.splits; ++split) {
      Value weight = e.exp2(e.fsub(load(split, 0), most));
      Value value = e.load(
          e.f32, e.at(e.at(base, e.mul(thread, 4)), split * stateBytes), true);
      total = e.fma(load(split, 1), weight, total);
      sum = e.fma(value, weight, sum);
    }
    int64_t size = getSize(o.type);
    Value at = e.at(e.at(output, e.wideMul(index, o.headSize * size)),
                    e.mul(thread, size));
    e.store(e.fromF32(e.fdiv(sum, total), o.type), at);
  });
  return e.finish();
}
