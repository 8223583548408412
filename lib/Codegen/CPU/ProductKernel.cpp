//===- ProductKernel.cpp - Products of computed operands ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/ProductKernel.h"

#include "KernelCalls.h"
#include "nibble/Codegen/CPU/Kernels.h"
#include "nibble/Codegen/CPU/PackOperand.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

/// Fewer rows are for loops that read the right operand where it is. Columns
/// are filled up to a panel.
constexpr int64_t leastRows = 16, leastColumns = 16, leastSteps = 16;
/// Multiply-adds that are worth some calls.
constexpr int64_t leastWork = 1 << 16;

class ProductEmitter {
public:
  ProductEmitter(KernelBuilder &kernel, const ProductSpec &spec,
                 const ProductArguments &arguments, KernelCalls &calls)
      : kb(kernel), spec(spec), args(arguments), calls(calls) {}

  void emit(bool bf16);

private:
  /// A packed operand, and from one matrix of it to the next.
  ProductOperand pack(const ProductOperand &operand, PackSpec pack, Index lines,
                      const PackedLayout &layout);
  void multiply(const ProductOperand &left, Value panels, bool bf16);

  KernelBuilder &kb;
  const ProductSpec &spec;
  const ProductArguments &args;
  KernelCalls &calls;
};

} // namespace

void ProductEmitter::emit(bool bf16) {
  PackedLayout layout(kb, bf16, args.k);
  Value panels =
      pack(args.right, {true, spec.rightAlongSteps, bf16}, args.n, layout)
          .memory;
  bool packLeft = bf16 || !spec.leftAlongSteps;
  ProductOperand left =
      packLeft
          ? pack(args.left, {false, spec.leftAlongSteps, bf16}, args.m, layout)
          : args.left;
  multiply(left, panels, bf16);
  if (packLeft)
    memref::DeallocOp::create(kb.b, kb.loc, left.memory);
  memref::DeallocOp::create(kb.b, kb.loc, panels);
}

ProductOperand ProductEmitter::pack(const ProductOperand &operand,
                                    PackSpec pack, Index lines,
                                    const PackedLayout &layout) {
  Index size = pack.panels ? layout.panelsSize(lines) : layout.rowsSize(lines);
  Value dest = layout.allocate(args.batches * size);
  calls.call(kb.b, kb.loc, pack.getName(), {},
             {operand.memory, dest, lines, args.k, operand.stride, args.batches,
              args.inner, operand.outerBatch, operand.innerBatch},
             [&](KernelBuilder &kernel, ValueRange arguments) {
               PackArguments inside;
               inside.source = arguments[0];
               inside.dest = arguments[1];
               auto it = arguments.begin() + 2;
               for (Index *number :
                    {&inside.lines, &inside.steps, &inside.stride,
                     &inside.batches, &inside.inner, &inside.outerBatch,
                     &inside.innerBatch})
                 *number = kernel.index(*it++);
               emitPack(kernel, pack, inside);
             });
  return {dest, layout.rowSize(), args.inner * size, size};
}

void ProductEmitter::multiply(const ProductOperand &left, Value panels,
                              bool bf16) {
  // Packed rows have no offset.
  Value rows = left.memory;
  if (!bf16)
    rows = kb.b.createOrFold<memref::CastOp>(kb.loc, args.out.memory.getType(),
                                             rows);
  std::string name = std::string("nibble_product_") + (bf16 ? "bf16" : "f32") +
                     (spec.accumulate ? "_add" : "");
  calls.call(kb.b, kb.loc, name, {},
             {rows, panels, args.out.memory, args.m, args.n, args.k,
              args.batches, args.inner, left.stride, left.outerBatch,
              left.innerBatch, args.out.stride, args.out.outerBatch,
              args.out.innerBatch},
             [&](KernelBuilder &kernel, ValueRange arguments) {
               MatMulArguments inside;
               MatMulBatch batch;
               inside.input = arguments[0];
               inside.weight.codes = arguments[1];
               inside.out = arguments[2];
               auto it = arguments.begin() + 3;
               for (Index *number :
                    {&inside.m, &inside.n, &inside.k, &batch.count,
                     &batch.inner, &batch.input.row, &batch.input.outerBatch,
                     &batch.input.innerBatch, &batch.out.row,
                     &batch.out.outerBatch, &batch.out.innerBatch})
                 *number = kernel.index(*it++);
               batch.panel = PackedLayout(kernel, bf16, inside.k).panelSize();
               batch.accumulate = spec.accumulate;
               if (bf16)
                 emitMatMulTilesBatch(kernel, inside, batch);
               else
                 emitMatMulBatch(kernel, inside, batch);
             });
}

std::string ProductSpec::getName() const {
  return std::string("nibble_product_") + (leftAlongSteps ? "n" : "t") +
         (rightAlongSteps ? "t" : "n") + (accumulate ? "_add" : "");
}

void emitProduct(KernelBuilder &kernel, const ProductSpec &spec,
                 const ProductArguments &arguments, KernelCalls &calls) {
  ProductEmitter emitter(kernel, spec, arguments, calls);
  if (!kernel.target.tiles)
    return emitter.emit(false);
  kernel.ifThenElse(
      kernel.hasTiles(), [&] { emitter.emit(true); },
      [&] { emitter.emit(false); });
}

Value paysToPack(KernelBuilder &kb, Index m, Index n, Index k) {
  auto atLeast = [&](int64_t least, Index x) {
    return kb.le(kb.index(least), x);
  };
  Value sizes = kb.both(atLeast(leastRows, m), atLeast(leastColumns, n));
  sizes = kb.both(sizes, atLeast(leastSteps, k));
  return kb.both(sizes, atLeast(leastWork, m * n * k));
}

} // namespace nibble::codegen
