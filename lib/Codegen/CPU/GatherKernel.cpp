//===- GatherKernel.cpp - Rows of a table by index ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Kernels.h"
#include "nibble/Codegen/CPU/Rows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;

namespace nibble::codegen {

static Index loadIndex(KernelBuilder &kb, Value indices, Index at) {
  return kb.index(arith::IndexCastOp::create(kb.b, kb.loc, kb.b.getIndexType(),
                                             kb.load(indices, at)));
}

std::string GatherSpec::getName() const {
  std::string name = "nibble_gather_" + format.getName();
  llvm::raw_string_ostream os(name);
  os << (panels ? "_panels_" : "_") << rows << 'x' << width << '_' << indexType;
  return name;
}

void emitIndexCheck(KernelBuilder &kb, Value indices, Index count, int64_t rows,
                    StringRef message) {
  Value yes = arith::ConstantIntOp::create(kb.b, kb.loc, 1, 1);
  Values inside =
      kb.forLoop(kb.index(0), count, 1, yes, [&](Index i, ValueRange iter) {
        Index at = loadIndex(kb, indices, i);
        Value ok =
            kb.both(kb.le(kb.index(-rows), at), kb.lt(at, kb.index(rows)));
        return Values{kb.both(iter[0], ok)};
      });
  cf::AssertOp::create(kb.b, kb.loc, inside[0], message);
}

void emitGather(KernelBuilder &kb, const GatherSpec &spec,
                const GatherArguments &args) {
  Index tasks = kb.tasksFor(args.count * spec.width, args.count);
  kb.parallelRanges(args.count, tasks, [&](Index lo, Index hi) {
    kb.forLoop(lo, hi, 1, [&](Index i) {
      Index row = loadIndex(kb, args.indices, i);
      Value negative = kb.lt(row, kb.index(0));
      row = kb.index(arith::SelectOp::create(
          kb.b, kb.loc, negative, Value(row + spec.rows), Value(row)));
      emitUnpackRow(kb, spec.format, args.table, row, spec.width, args.out,
                    i * spec.width, spec.panels);
    });
  });
}

} // namespace nibble::codegen
