//===- PlainProducts.cpp - Products with a thread for each result -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CUDA/PlainProducts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "nibble/Codegen/CPU/Rows.h"
#include "nibble/Codegen/CUDA/Launch.h"
#include "nibble/Codegen/CUDA/Passes.h"

using namespace mlir;

namespace nibble::codegen::cuda {

std::string PlainProducts::whyNot(QuantizableOpInterface op) {
  auto scheme = op->getAttrOfType<SchemeAttr>("scheme");
  if (!scheme)
    return "";
  if (scheme.getCodebook() != CodebookKind::Int)
    return "there is no kernel for codes of a table";
  if (scheme.getSecondType())
    return "there is no kernel for scales that are codes";
  return "";
}

void PlainProducts::call(Operation *op, StringRef name, ArrayRef<Value> memrefs,
                         ArrayRef<Value> sizes, Value out, EmitBody emit) {
  OpBuilder b(op);
  Location loc = op->getLoc();
  SmallVector<Value> copies;
  SmallVector<Value> arguments = flatten(b, loc, memrefs, copies);
  std::string access(arguments.size() - 1, 'r');
  // A residual may be the output itself.
  access += llvm::is_contained(llvm::drop_end(memrefs), out) ? 'b' : 'w';
  access.append(sizes.size(), '-');
  llvm::append_range(arguments, sizes);

  auto function = module.lookupSymbol<gpu::GPUFuncOp>(name);
  if (!function) {
    ++numKernels;
    Location kernelLoc = NameLoc::get(b.getStringAttr(name));
    function = createKernel(module, kernelLoc, name,
                            ValueRange(arguments).getTypes(), access);
    Block &body = function.getBody().front();
    OpBuilder inner = OpBuilder::atBlockBegin(&body);
    KernelBuilder kernel(inner, kernelLoc, CpuTarget());
    emit(kernel, function.getArguments());
    inner.setInsertionPointToEnd(&body);
    gpu::ReturnOp::create(inner, kernelLoc);
  }
  ++numLaunches;
  KernelBuilder host(b, loc, CpuTarget());
  Index elements = host.index(1);
  auto type = cast<MemRefType>(out.getType());
  for (int64_t i = 0; i < type.getRank(); ++i)
    elements = elements * host.dim(out, i);
  createLaunch(b, loc, function, getBlocks(b, loc, elements), arguments);
  for (Value copy : copies)
    memref::DeallocOp::create(b, loc, copy);
  op->erase();
}

/// `body` for each number below `total` that is this thread's.
static void forThread(KernelBuilder &kb, Index total,
                      function_ref<void(Index)> body) {
  GridStride stride = getGridStride(kb.b, kb.loc);
  auto loop =
      scf::ForOp::create(kb.b, kb.loc, stride.first, total, stride.step);
  OpBuilder::InsertionGuard guard(kb.b);
  kb.b.setInsertionPointToStart(loop.getBody());
  body(kb.index(loop.getInductionVar()));
}

/// What follows the sum of element `at`, which belongs to `channel`.
template <typename Arguments>
static void storeResult(KernelBuilder &kb, const EpilogueSpec &spec,
                        const Arguments &args, Value sum, Index channel,
                        Index at) {
  if (spec.bias)
    sum = kb.fadd(sum, kb.load(args.bias, channel));
  if (spec.residual)
    sum = kb.fadd(sum, kb.load(args.residual, at));
  kb.store(kb.emitActivation(spec.activation, sum), args.out, at);
}

void PlainProducts::emit(KernelBuilder &kb, const MatMulSpec &spec,
                         const MatMulArguments &args) {
  forThread(kb, args.m * args.n, [&](Index at) {
    Index row = at / args.n, channel = at % args.n;
    Values sum = kb.forLoop(
        kb.index(0), args.k, 1, {kb.f32(0)}, [&](Index i, ValueRange sums) {
          Value weight = emitUnpackElement(kb, spec.format, args.weight,
                                           channel, i, args.k, /*panels=*/true);
          Value x = kb.load(args.input, row * args.k + i);
          return Values{kb.fma(x, weight, sums.front())};
        });
    storeResult(kb, spec.epilogue, args, sum.front(), channel, at);
  });
}

void PlainProducts::emit(KernelBuilder &kb, const ConvSpec &spec,
                         const ConvArguments &args) {
  bool grouped = spec.groupChannels != 0;
  Index depth = grouped ? kb.index(spec.groupChannels) : args.inChannels;
  Index outVolume = args.outSize[0] * args.outSize[1] * args.outSize[2];
  Index width = depth * spec.kernelVolume();
  forThread(kb, args.batch * args.outChannels * outVolume, [&](Index at) {
    Index channel = at / outVolume % args.outChannels;
    Index sample = at / (outVolume * args.outChannels);
    Index place = at % outVolume;
    Index out[3] = {place / (args.outSize[1] * args.outSize[2]),
                    place / args.outSize[2] % args.outSize[1],
                    place % args.outSize[2]};
    Index first = sample * args.inChannels;
    if (grouped)
      first = first +
              channel / (args.outChannels / (args.inChannels / depth)) * depth;
    // One loop for channels and positions of the filter together.
    Values sum = kb.forLoop(
        kb.index(0), width, 1, {kb.f32(0)}, [&](Index i, ValueRange sums) {
          Index tap = i % kb.index(spec.kernelVolume());
          Index taps[3] = {tap / (spec.kernel[1] * spec.kernel[2]),
                           tap / spec.kernel[2] % kb.index(spec.kernel[1]),
                           tap % kb.index(spec.kernel[2])};
          Index in = first + i / spec.kernelVolume();
          Value inside = arith::ConstantIntOp::create(kb.b, kb.loc, 1, 1);
          for (int d = 0; d < 3; ++d) {
            Index x = out[d] * spec.strides[d] + taps[d] * spec.dilations[d] -
                      spec.padBegin[d];
            inside = kb.both(inside, kb.both(kb.le(kb.index(0), x),
                                             kb.lt(x, args.inSize[d])));
            in = in * args.inSize[d] + x;
          }
          return kb.ifYield(
              inside,
              [&] {
                Value weight = emitUnpackElement(kb, spec.format, args.weight,
                                                 channel, i, width, !grouped);
                return Values{
                    kb.fma(kb.load(args.input, in), weight, sums.front())};
              },
              [&] { return Values{sums.front()}; });
        });
    storeResult(kb, spec.epilogue, args, sum.front(), channel, at);
  });
}

void PlainProducts::emit(KernelBuilder &kb, const GatherSpec &spec,
                         const GatherArguments &args) {
  forThread(kb, args.count * spec.width, [&](Index at) {
    Index row = loadTableIndex(kb, args.indices, at / spec.width, spec.rows);
    Value value = emitUnpackElement(kb, spec.format, args.table, row,
                                    at % kb.index(spec.width),
                                    kb.index(spec.width), spec.panels);
    kb.store(value, args.out, at);
  });
}

} // namespace nibble::codegen::cuda
