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
#include "mlir/Dialect/Func/IR/FuncOps.h"

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

/// The function of the runtime that hears which value a check refuses.
static func::FuncOp getNoteFunction(OpBuilder &b) {
  constexpr StringLiteral name = "nibble_rt_note_value";
  auto module =
      b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  if (auto function = module.lookupSymbol<func::FuncOp>(name))
    return function;
  OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
  auto function =
      func::FuncOp::create(top, module.getLoc(), name,
                           b.getFunctionType(b.getI64Type(), TypeRange()));
  function.setPrivate();
  return function;
}

void emitIndexCheck(KernelBuilder &kb, Value indices, Index count, int64_t rows,
                    StringRef message) {
  Value yes = arith::ConstantIntOp::create(kb.b, kb.loc, 1, 1);
  Values found = kb.forLoop(kb.index(0), count, 1, {yes, Value(kb.index(0))},
                            [&](Index i, ValueRange iter) {
                              Index at = loadIndex(kb, indices, i);
                              Value ok = kb.both(kb.le(kb.index(-rows), at),
                                                 kb.lt(at, kb.index(rows)));
                              Value refused = arith::SelectOp::create(
                                  kb.b, kb.loc, ok, iter[1], Value(at));
                              return Values{kb.both(iter[0], ok), refused};
                            });
  Value outside = arith::XOrIOp::create(kb.b, kb.loc, found[0], yes);
  kb.ifThen(outside, [&] {
    Value refused =
        arith::IndexCastOp::create(kb.b, kb.loc, kb.b.getI64Type(), found[1]);
    func::CallOp::create(kb.b, kb.loc, getNoteFunction(kb.b), refused);
  });
  cf::AssertOp::create(kb.b, kb.loc, found[0], message);
}

Index loadTableIndex(KernelBuilder &kb, Value indices, Index at, int64_t rows) {
  Index row = loadIndex(kb, indices, at);
  Value negative = kb.lt(row, kb.index(0));
  return kb.index(arith::SelectOp::create(kb.b, kb.loc, negative,
                                          Value(row + rows), Value(row)));
}

void emitGather(KernelBuilder &kb, const GatherSpec &spec,
                const GatherArguments &args) {
  Index tasks = kb.tasksFor(args.count * spec.width, args.count);
  kb.parallelRanges(args.count, tasks, [&](Index lo, Index hi) {
    kb.forLoop(lo, hi, 1, [&](Index i) {
      Index row = loadTableIndex(kb, args.indices, i, spec.rows);
      emitUnpackRow(kb, spec.format, args.table, row, spec.width, args.out,
                    i * spec.width, spec.panels);
    });
  });
}

} // namespace nibble::codegen
