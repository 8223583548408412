//===- Epilogue.cpp - What happens to sums before they are stored
//-----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Epilogue.h"

using namespace mlir;
using namespace nibble::codegen::cuda;

void ResultWriter::write(Value row, Value channel, ValueRange sums) {
  int64_t count = int64_t(sums.size()), size = getSize(kind);
  // Whole vectors where rows are made of them, else one by one.
  int64_t width = n % count == 0 ? std::min(count, 16 / size) : 1;
  auto loadAll = [&](Value base, Type element, int64_t perLoad, bool constant) {
    Values values;
    for (int64_t i = 0; i < count; i += perLoad) {
      Value at = e.at(base, i * getBytes(element));
      if (perLoad == 1) {
        values.push_back(e.toF32(e.load(element, at, constant)));
        continue;
      }
      Value loaded = e.toF32(e.load(e.vector(perLoad, element), at, constant));
      for (int64_t j = 0; j < perLoad; ++j)
        values.push_back(e.extract(loaded, j));
    }
    return values;
  };
  auto body = [&](Value first, ValueRange group, int64_t store) {
    count = int64_t(group.size());
    Values results(group);
    if (bias) {
      Value base = e.at(bias, e.mul(first, 4));
      Values biases = loadAll(base, e.f32, std::min<int64_t>(store, 4), true);
      for (int64_t i = 0; i < count; ++i)
        results[i] = e.fadd(results[i], biases[i]);
    }
    for (Value &result : results)
      result = e.activate(epilogue.activation, result);
    Value offset = e.wideMul(row, n * size);
    auto place = [&](Value base) {
      return e.at(e.at(base, offset), e.mul(first, size));
    };
    // The residual may be the output: no constant load.
    if (residual) {
      Values others = loadAll(place(residual), e.type(kind), store, false);
      for (int64_t i = 0; i < count; ++i)
        results[i] = e.fadd(results[i], others[i]);
    }
    Value to = place(output);
    for (int64_t i = 0; i < count; i += store) {
      ArrayRef<Value> part = ArrayRef<Value>(results).slice(i, store);
      Value value = store == 1 ? part[0] : e.pack(part);
      e.store(e.fromF32(value, kind), e.at(to, i * size));
    }
  };
  if (width > 1 || count == 1) {
    e.ifThen(e.lt(channel, e.num(n)), [&] { body(channel, sums, width); });
    return;
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    Value one = e.add(channel, int64_t(i));
    e.ifThen(e.lt(one, e.num(n)), [&] { body(one, {sums[i]}, 1); });
  }
}
