//===- ProductLowering.cpp - Products by kernels of some target -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/ProductLowering.h"

#include "KernelCalls.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace nibble::codegen {

/// `layer "fc1": ` for messages; empty if the operation has no name.
static std::string describe(QuantizableOpInterface op) {
  if (op.getLayerName().empty())
    return "";
  return "layer \"" + op.getLayerName().str() + "\": ";
}

SmallVector<Value> ProductLowering::flatten(OpBuilder &b, Location loc,
                                            ArrayRef<Value> memrefs,
                                            SmallVectorImpl<Value> &copies) {
  return flattenAll(b, loc, memrefs, copies);
}

template <typename OpTy>
FailureOr<WeightFormat> ProductLowering::getFormat(OpTy op, int64_t k,
                                                   Packing packing) {
  auto fail = [&](const Twine &text) {
    return op.emitOpError(describe(op) + text.str());
  };
  WeightFormat format;
  SchemeAttr scheme = op.getSchemeAttr();
  auto element = cast<MemRefType>(op.getWeight().getType()).getElementType();
  if (!scheme) {
    if (!element.isF32())
      return fail("a float weight must be f32 on a CPU, but is ") << element;
    if (packing == Packing::Panel && !isa<GatherOp>(op) &&
        !op->hasAttr("packed_float"))
      return fail("the weight is not packed; run nibble-pack-weights first");
    return format;
  }
  unsigned bits = scheme.getBits();
  bool isTable = scheme.getCodebook() == CodebookKind::NF4 ||
                 scheme.getCodebook() == CodebookKind::FP4;
  if ((scheme.getCodebook() != CodebookKind::Int && !isTable) ||
      (isTable && scheme.hasZeros()) || bits < 2 || bits > 8 ||
      scheme.getGroupIndex() || scheme.getOutliers() != 0)
    return fail("there is no CPU kernel for ") << scheme;
  if (scheme.getPacking() != packing)
    return fail("expected a weight in ")
           << stringifyPacking(packing) << " packing, but it is in "
           << stringifyPacking(scheme.getPacking())
           << "; run nibble-pack-weights first";
  format.bits = bits;
  format.hasZeros = scheme.hasZeros();
  format.floatZeros = scheme.getZero() == ZeroKind::Float;
  format.minimum = scheme.getZero() == ZeroKind::Minimum;
  format.codebook = scheme.getCodebook();
  format.scaleType = scheme.getScaleType();
  if (scheme.getNumGroups(k) > 1)
    format.group = scheme.getGroupLength(k);
  if (Type second = scheme.getSecondType()) {
    int64_t length = scheme.getSecondGroup();
    bool inPanels =
        packing == Packing::Panel && scheme.getNumGroups(k) % length == 0;
    format.second = {second, length, scheme.getSecondDynamic(),
                     scheme.getSecondOffset(), inPanels};
  }
  return format;
}

template <typename OpTy>
EpilogueSpec ProductLowering::getEpilogue(OpTy op) {
  EpilogueSpec spec;
  spec.activation = op.getActivation().value_or(Activation::None);
  spec.bias = bool(op.getBias());
  spec.residual = bool(op.getResidual());
  return spec;
}

LogicalResult ProductLowering::checkElementTypes(QuantizableOpInterface op,
                                                 Value input, Value out) {
  for (Value value : {input, out}) {
    Type element = cast<MemRefType>(value.getType()).getElementType();
    if (!element.isF32())
      return op->emitOpError(describe(op))
             << "the CPU kernels compute in f32, but an operand has elements "
                "of type "
             << element;
  }
  return success();
}

/// A table is in panels if a product reads it, too.
static Packing getTablePacking(GatherOp op) {
  if (SchemeAttr scheme = op.getSchemeAttr())
    return scheme.getPacking();
  bool panels = cast<MemRefType>(op.getWeight().getType()).getRank() == 3;
  return panels ? Packing::Panel : Packing::Rows;
}

/// The weight operands from the arguments of a kernel.
static WeightOperands takeWeight(ValueRange::iterator &it,
                                 const WeightFormat &format) {
  WeightOperands operands;
  operands.codes = *it++;
  if (!format.isFloat())
    operands.scales = *it++;
  if (format.hasZeros)
    operands.zeros = *it++;
  if (format.second.type)
    operands.second = *it++;
  return operands;
}

LogicalResult ProductLowering::convert(MatMulOp op) {
  if (failed(checkElementTypes(op, op.getInput(), op.getOuts())))
    return failure();
  FailureOr<WeightFormat> format = getFormat(op, op.getK(), Packing::Panel);
  if (failed(format))
    return failure();
  MatMulSpec spec{*format, getEpilogue(op)};
  OpBuilder b(op);
  Location loc = op.getLoc();
  KernelBuilder kernel(b, loc, CpuTarget());
  SmallVector<Value> sizes = {
      leadingSize(kernel, op.getInput(), 1),
      arith::ConstantIndexOp::create(b, loc, op.getN()),
      arith::ConstantIndexOp::create(b, loc, op.getK())};
  call(op, spec.getName(),
       {op.getInput(), op.getWeight(), op.getScales(), op.getZeros(),
        op.getSecond(), op.getBias(), op.getResidual(), op.getOuts()},
       sizes, op.getOuts(), [&](KernelBuilder &kernel, ValueRange arguments) {
         auto it = arguments.begin();
         auto take = [&](bool present) { return present ? *it++ : Value(); };
         MatMulArguments args;
         args.input = take(true);
         args.weight = takeWeight(it, spec.format);
         args.bias = take(spec.epilogue.bias);
         args.residual = take(spec.epilogue.residual);
         args.out = take(true);
         args.m = kernel.index(take(true));
         args.n = kernel.index(take(true));
         args.k = kernel.index(take(true));
         emit(kernel, spec, args);
       });
  return success();
}

LogicalResult ProductLowering::convert(ConvOp op) {
  if (failed(checkElementTypes(op, op.getInput(), op.getOuts())))
    return failure();
  ArrayRef<int64_t> shape = op.getWeightShape();
  bool grouped = op.getGroup() != 1;
  int64_t rank = shape.size() - 2;
  if (rank < 1 || rank > 3)
    return op.emitOpError(describe(op))
           << "convolutions of 1 to 3 spatial dimensions have CPU kernels, "
              "this one has "
           << rank;
  FailureOr<WeightFormat> format =
      getFormat(op, llvm::product_of(shape.drop_front()),
                grouped ? Packing::Rows : Packing::Panel);
  if (failed(format))
    return failure();

  OpBuilder b(op);
  Location loc = op.getLoc();
  KernelBuilder k(b, loc, CpuTarget());
  ConvSpec spec;
  spec.format = *format;
  spec.epilogue = getEpilogue(op);
  // One- and two-dimensional convolutions have leading dimensions of one.
  auto expand = [&](ArrayRef<int64_t> values, int64_t fill) {
    SmallVector<int64_t, 3> result(3 - rank, fill);
    llvm::append_range(result, values.take_front(rank));
    return result;
  };
  spec.kernel = expand(shape.drop_front(2), 1);
  spec.strides = expand(op.getStrides(), 1);
  spec.dilations = expand(op.getDilations(), 1);
  spec.padBegin = expand(op.getPads(), 0);
  if (grouped)
    spec.groupChannels = shape[1];
  // The neighbourhoods of a block of outputs are gathered on the stack.
  constexpr int64_t maxVolume = 4096;
  if (spec.kernelVolume() > maxVolume)
    return op.emitOpError(describe(op))
           << "a filter has " << spec.kernelVolume()
           << " positions, CPU kernels take up to " << maxVolume;

  auto spatial = [&](Value memref) {
    SmallVector<Value> sizes(3 - rank, k.index(1));
    for (int64_t i = 0; i < rank; ++i)
      sizes.push_back(k.dim(memref, 2 + i));
    return sizes;
  };
  SmallVector<Value> inSize = spatial(op.getInput());
  SmallVector<Value> outSize = spatial(op.getOuts());
  // A convolution that looks at one position only sees one long row.
  auto all = [](ArrayRef<int64_t> values, int64_t value) {
    return llvm::all_of(values, [&](int64_t v) { return v == value; });
  };
  if (all(spec.kernel, 1) && all(spec.strides, 1) && all(op.getPads(), 0)) {
    Value size =
        k.index(outSize[0]) * k.index(outSize[1]) * k.index(outSize[2]);
    inSize = outSize = {k.index(1), k.index(1), size};
    spec.dilations.assign(3, 1);
  }
  SmallVector<Value> sizes = {
      k.dim(op.getInput(), 0),
      arith::ConstantIndexOp::create(b, loc, shape[1] * op.getGroup()),
      arith::ConstantIndexOp::create(b, loc, shape[0])};
  llvm::append_range(sizes, inSize);
  llvm::append_range(sizes, outSize);
  call(op, spec.getName(),
       {op.getInput(), op.getWeight(), op.getScales(), op.getZeros(),
        op.getSecond(), op.getBias(), op.getResidual(), op.getOuts()},
       sizes, op.getOuts(), [&](KernelBuilder &kernel, ValueRange arguments) {
         auto it = arguments.begin();
         auto take = [&](bool present) { return present ? *it++ : Value(); };
         auto takeSize = [&] { return kernel.index(*it++); };
         ConvArguments args;
         args.input = take(true);
         args.weight = takeWeight(it, spec.format);
         args.bias = take(spec.epilogue.bias);
         args.residual = take(spec.epilogue.residual);
         args.out = take(true);
         args.batch = takeSize();
         args.inChannels = takeSize();
         args.outChannels = takeSize();
         for (int64_t i = 0; i < 3; ++i)
           args.inSize.push_back(takeSize());
         for (int64_t i = 0; i < 3; ++i)
           args.outSize.push_back(takeSize());
         emit(kernel, spec, args);
       });
  return success();
}

LogicalResult ProductLowering::convert(GatherOp op) {
  if (failed(checkElementTypes(op, op.getOuts(), op.getOuts())))
    return failure();
  Packing packing = getTablePacking(op);
  FailureOr<WeightFormat> format = getFormat(op, op.getWidth(), packing);
  if (failed(format))
    return failure();
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto indexType = cast<MemRefType>(op.getIndices().getType());
  GatherSpec spec{*format, packing == Packing::Panel,
                  indexType.getElementType(), int64_t(op.getRows()),
                  int64_t(op.getWidth())};
  KernelBuilder kernel(b, loc, CpuTarget());
  Value count = leadingSize(kernel, op.getIndices(), 0);
  emitIndexCheck(kernel, codegen::flatten(b, loc, op.getIndices()),
                 kernel.index(count), spec.rows,
                 describe(op) + "an index is out of range for a table of " +
                     std::to_string(spec.rows) + " rows");
  call(op, spec.getName(),
       {op.getIndices(), op.getWeight(), op.getScales(), op.getZeros(),
        op.getSecond(), op.getOuts()},
       {count}, op.getOuts(), [&](KernelBuilder &kernel, ValueRange arguments) {
         auto it = arguments.begin();
         GatherArguments args;
         args.indices = *it++;
         args.table = takeWeight(it, spec.format);
         args.out = *it++;
         args.count = kernel.index(*it++);
         emit(kernel, spec, args);
       });
  return success();
}

} // namespace nibble::codegen
