//===- IntegerPrepareQuads.cpp - Padded quads of channels -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/IntegerKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;

class PrepareQuadsEmitter {
public:
  PrepareQuadsEmitter(KernelBuilder &kernel, const PrepareQuadsSpec &spec,
                      const PrepareQuadsArguments &arguments)
      : kb(kernel), spec(spec), args(arguments) {}

  void emit();

private:
  void emitPlane(Index image, Index group, Index quad, Index to);
  /// Quads [from, from + count) are `fill`.
  void emitFill(Value fill, Index from, Index count);
  void emitLine(ArrayRef<Index> sources, Value exists, Index to);
  /// Four codes, or vectors of them, as one i32 each, unsigned.
  Value join(ArrayRef<Value> codes, Value exists);
  Value constant(Type type, int64_t value) {
    TypedAttr attr = kb.b.getI32IntegerAttr(value);
    if (auto vector = dyn_cast<VectorType>(type))
      attr = DenseElementsAttr::get(vector, Attribute(attr));
    return arith::ConstantOp::create(kb.b, kb.loc, attr);
  }

  KernelBuilder &kb;
  const PrepareQuadsSpec &spec;
  const PrepareQuadsArguments &args;
};

} // namespace

Value PrepareQuadsEmitter::join(ArrayRef<Value> codes, Value exists) {
  OpBuilder &b = kb.b;
  Location loc = kb.loc;
  bool isVector = isa<VectorType>(codes[0].getType());
  Type type = isVector ? Type(kb.i32Vector()) : Type(b.getI32Type());
  Value joined;
  for (auto [i, code] : llvm::enumerate(codes)) {
    Value word = arith::ExtUIOp::create(b, loc, type, code);
    if (i > 0)
      word = arith::ShLIOp::create(b, loc, word, constant(type, 8 * i));
    joined =
        joined ? arith::OrIOp::create(b, loc, joined, word).getResult() : word;
  }
  if (spec.flip)
    joined = arith::XOrIOp::create(b, loc, joined,
                                   constant(type, int32_t(0x80808080)));
  return arith::AndIOp::create(b, loc, joined,
                               isVector ? kb.splat(exists) : exists);
}

void PrepareQuadsEmitter::emitFill(Value fill, Index from, Index count) {
  Index middle = count / lanes * lanes;
  Value quads = kb.splat(fill);
  kb.forLoop(kb.index(0), middle, lanes,
             [&](Index i) { kb.storeVector(quads, args.out, from + i); });
  kb.forLoop(middle, count, 1,
             [&](Index i) { kb.store(fill, args.out, from + i); });
}

void PrepareQuadsEmitter::emitLine(ArrayRef<Index> sources, Value exists,
                                   Index to) {
  Index width = args.inSize[2];
  Index middle = width / lanes * lanes;
  auto copy = [&](Index x, Value mask) {
    Values codes;
    for (Index source : sources)
      codes.push_back(mask ? kb.loadMasked(args.input, source + x, mask)
                           : kb.loadVector(args.input, source + x));
    Value quads = join(codes, exists);
    if (mask)
      kb.storeMasked(quads, args.out, to + x, mask);
    else
      kb.storeVector(quads, args.out, to + x);
  };
  kb.forLoop(kb.index(0), middle, lanes, [&](Index x) { copy(x, Value()); });
  if (kb.target.avx512) {
    kb.ifThen(kb.lt(middle, width),
              [&] { copy(middle, kb.maskBelow(width - middle)); });
    return;
  }
  // Bytes under a mask would be loaded one by one anyway.
  kb.forLoop(middle, width, 1, [&](Index x) {
    Values codes;
    for (Index source : sources)
      codes.push_back(kb.load(args.input, source + x));
    kb.store(join(codes, exists), args.out, to + x);
  });
}

void PrepareQuadsEmitter::emitPlane(Index image, Index group, Index quad,
                                    Index to) {
  OpBuilder &b = kb.b;
  Location loc = kb.loc;
  Type i32 = b.getI32Type();
  Index planeSize = args.inSize[0] * args.inSize[1] * args.inSize[2];
  Index firstPlane = (image * args.groups + group) * args.groupIn;
  SmallVector<Index> planes;
  Value exists;
  for (int64_t i = 0; i < 4; ++i) {
    Index channel = quad * 4 + i;
    planes.push_back((firstPlane + min(channel, args.groupIn - 1)) * planeSize);
    Value byte = arith::SelectOp::create(
        b, loc, kb.lt(channel, args.groupIn),
        constant(i32, int32_t(0xffu << (8 * i))), constant(i32, 0));
    exists =
        exists ? arith::OrIOp::create(b, loc, exists, byte).getResult() : byte;
  }
  Value code = loadZeroCode(kb, spec.flip, spec.zero, args.zero, image);
  Value fill = arith::MulIOp::create(b, loc, code, constant(i32, 0x01010101));
  fill = arith::AndIOp::create(b, loc, fill, exists);

  Index width = args.paddedSize[2];
  kb.forLoop(kb.index(0), args.paddedSize[0], 1, [&](Index z) {
    kb.forLoop(kb.index(0), args.paddedSize[1], 1, [&](Index y) {
      Index line = to + (z * args.paddedSize[1] + y) * width;
      Index inZ = z - spec.padBegin[0], inY = y - spec.padBegin[1];
      Value inside =
          kb.both(kb.le(kb.index(0), inY), kb.lt(inY, args.inSize[1]));
      inside = kb.both(
          inside, kb.both(kb.le(kb.index(0), inZ), kb.lt(inZ, args.inSize[0])));
      kb.ifThenElse(
          inside,
          [&] {
            SmallVector<Index> sources;
            for (Index plane : planes)
              sources.push_back(plane +
                                (inZ * args.inSize[1] + inY) * args.inSize[2]);
            Index begin = kb.index(spec.padBegin[2]);
            emitFill(fill, line, begin);
            emitLine(sources, exists, line + begin);
            Index end = begin + args.inSize[2];
            emitFill(fill, line + end, width - end);
          },
          [&] { emitFill(fill, line, width); });
    });
  });
}

void PrepareQuadsEmitter::emit() {
  Index planeSize =
      args.paddedSize[0] * args.paddedSize[1] * args.paddedSize[2];
  Index units = args.batch * args.groups * args.groupQuads;
  kb.parallelRanges(units, kb.tasksFor(units * planeSize * 2, units),
                    [&](Index lo, Index hi) {
                      kb.forLoop(lo, hi, 1, [&](Index unit) {
                        Index quad = unit % args.groupQuads;
                        Index rest = unit / args.groupQuads;
                        emitPlane(rest / args.groups, rest % args.groups, quad,
                                  unit * planeSize);
                      });
                    });
}

Value loadZeroCode(KernelBuilder &kb, bool isSigned, Extent extent, Value zeros,
                   Index row) {
  Type i32 = kb.b.getI32Type();
  auto integer = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(kb.b, kb.loc, i32, value);
  };
  if (extent == Extent::None)
    return integer(isSigned ? 128 : 0);
  Value code = kb.load(zeros, extent == Extent::One ? kb.index(0) : row);
  if (!isSigned)
    return arith::ExtUIOp::create(kb.b, kb.loc, i32, code);
  code = arith::ExtSIOp::create(kb.b, kb.loc, i32, code);
  return arith::AddIOp::create(kb.b, kb.loc, code, integer(128));
}

std::string PrepareQuadsSpec::getName() const {
  std::string name = flip ? "nibble_prepare_quads_s8" : "nibble_prepare_quads";
  llvm::raw_string_ostream os(name);
  if (zero != Extent::None)
    os << (zero == Extent::One ? "_z1" : "_zn");
  os << "_p";
  llvm::interleave(padBegin, os, "x");
  return name;
}

void emitPrepareQuads(KernelBuilder &kernel, const PrepareQuadsSpec &spec,
                      const PrepareQuadsArguments &arguments) {
  PrepareQuadsEmitter(kernel, spec, arguments).emit();
}

} // namespace nibble::codegen
