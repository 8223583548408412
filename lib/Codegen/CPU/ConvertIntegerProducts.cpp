//===- ConvertIntegerProducts.cpp - Integer products to kernels -----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelCalls.h"
#include "nibble/Codegen/CPU/IntegerKernels.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

Extent getExtent(Value value) {
  if (!value)
    return Extent::None;
  auto type = cast<ShapedType>(value.getType());
  bool one = type.hasStaticShape() && type.getNumElements() == 1;
  return one ? Extent::One : Extent::Many;
}

template <typename OpTy>
IntegerSpec getSpec(OpTy op) {
  IntegerSpec spec;
  spec.signedInput = !op.getUnsignedInput();
  spec.inputZero = getExtent(op.getInputZero());
  spec.inputScale = getExtent(op.getInputScale());
  spec.weightZeros = getExtent(op.getWeightZeros());
  spec.weightScales = getExtent(op.getWeightScales());
  spec.unsignedWeight = op.getUnsignedWeight();
  auto element = [](Value value) {
    return cast<ShapedType>(value.getType()).getElementType();
  };
  if (Value bias = op.getBias())
    spec.bias = element(bias).isF32() ? IntegerSpec::Bias::Float
                                      : IntegerSpec::Bias::Integer;
  spec.residual = bool(op.getResidual());
  spec.activation = op.getActivation().value_or(Activation::None);
  Type result = element(op.getOuts());
  spec.result = result.isF32()         ? IntegerSpec::Result::Float
                : result.isInteger(32) ? IntegerSpec::Result::Integer
                                       : IntegerSpec::Result::Codes;
  spec.outputScale = bool(op.getOutputScale());
  spec.outputZero = bool(op.getOutputZero());
  spec.unsignedOutput = op.getUnsignedOutput();
  return spec;
}

/// The operands of the result stage in the order of a kernel's arguments.
template <typename OpTy>
SmallVector<Value> getStageOperands(OpTy op, Value sums) {
  return {op.getWeightZeros(),  sums,
          op.getWeightScales(), op.getInputZero(),
          op.getInputScale(),   op.getBias(),
          op.getResidual(),     op.getOutputScale(),
          op.getOutputZero(),   op.getOuts()};
}

/// The same from the arguments of a kernel.
IntegerOperands takeOperands(const IntegerSpec &spec, bool sums,
                             ValueRange::iterator &it) {
  auto take = [&](bool present) { return present ? *it++ : Value(); };
  IntegerOperands operands;
  operands.weightZeros = take(spec.weightZeros != Extent::None);
  operands.weightSums = take(sums);
  operands.weightScales = take(spec.weightScales != Extent::None);
  operands.inputZero = take(spec.inputZero != Extent::None);
  operands.inputScale = take(spec.inputScale != Extent::None);
  operands.bias = take(spec.bias != IntegerSpec::Bias::None);
  operands.residual = take(spec.residual);
  operands.outputScale = take(spec.outputScale);
  operands.outputZero = take(spec.outputZero);
  operands.out = take(true);
  return operands;
}

/// Buffers that live until the operation is done.
class Buffers {
public:
  Buffers(OpBuilder &b, Location loc) : b(b), loc(loc) {}
  Value create(Type element, Value size) {
    auto type = MemRefType::get({ShapedType::kDynamic}, element);
    buffers.push_back(memref::AllocOp::create(b, loc, type, ValueRange{size},
                                              b.getI64IntegerAttr(64)));
    return buffers.back();
  }
  void free() {
    for (Value buffer : buffers)
      memref::DeallocOp::create(b, loc, buffer);
  }

private:
  OpBuilder &b;
  Location loc;
  SmallVector<Value> buffers;
};

struct PackedWeight {
  Value panels, sums;
  int64_t quads;
};

/// A weight that is known at run time only, in panels.
PackedWeight packAtRunTime(MatMulIntegerOp op, const IntegerSpec &spec,
                           Index batch, KernelBuilder &k, KernelCalls &calls,
                           Buffers &buffers) {
  SmallVector<int64_t> shape = getPackedIntegerShape(op.getN(), op.getK());
  PackedWeight result;
  result.quads = shape[1];
  result.panels =
      buffers.create(k.b.getI8Type(), batch * llvm::product_of(shape));
  PackWeightSpec pack;
  pack.transposed = op.getTransposeWeight();
  pack.isUnsigned = op.getUnsignedWeight();
  pack.sums = spec.hasInputZero();
  if (pack.sums) {
    pack.zeros = spec.weightZeros;
    result.sums = buffers.create(k.b.getI32Type(), batch * op.getN());
  }
  SmallVector<Value> sizes = {batch, k.index(op.getN()), k.index(op.getK()),
                              k.index(llvm::divideCeil(op.getK(), 4)),
                              k.index(result.quads)};
  Value zeros = pack.zeros == Extent::None ? Value() : op.getWeightZeros();
  calls.call(k.b, k.loc, pack.getName(),
             {op.getWeight(), zeros, result.panels, result.sums}, sizes,
             [&](KernelBuilder &kernel, ValueRange arguments) {
               auto it = arguments.begin();
               PackWeightArguments args;
               args.weight = *it++;
               if (zeros)
                 args.zeros = *it++;
               args.out = *it++;
               if (pack.sums)
                 args.outSums = *it++;
               for (Index *size : {&args.batch, &args.n, &args.k, &args.quads,
                                   &args.weightQuads})
                 *size = kernel.index(*it++);
               emitPackWeight(kernel, pack, args);
             });
  return result;
}

} // namespace

void convertInteger(MatMulIntegerOp op, KernelCalls &calls) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  KernelBuilder k(b, loc, calls.target);
  Buffers buffers(b, loc);
  IntegerSpec spec = getSpec(op);
  bool single = op.getPacked() ||
                cast<ShapedType>(op.getWeight().getType()).getRank() == 2;
  Index rows = leadingSize(k, op.getInput(), 1);
  Index batch = single ? k.index(1) : leadingSize(k, op.getWeight(), 2);
  int64_t rank = cast<ShapedType>(op.getInput().getType()).getRank();
  Index m = single ? rows : k.dim(op.getInput(), rank - 2);

  PackedWeight weight;
  if (op.getPacked())
    weight = {op.getWeight(),
              spec.hasInputZero() ? op.getWeightSums() : Value(),
              cast<ShapedType>(op.getWeight().getType()).getDimSize(1)};
  else
    weight = packAtRunTime(op, spec, batch, k, calls, buffers);

  // Rows of whole quads of unsigned codes, and their sums.
  Value input = op.getInput(), inputSums;
  int64_t stride = llvm::alignTo(op.getK(), 4);
  if (spec.signedInput || spec.needsInputSums() ||
      stride != int64_t(op.getK())) {
    PrepareRowsSpec prepare{spec.signedInput, spec.needsInputSums()};
    Value prepared = buffers.create(b.getI8Type(), rows * stride);
    if (prepare.sums)
      inputSums = buffers.create(b.getI32Type(), rows);
    calls.call(b, loc, prepare.getName(), {input, prepared, inputSums},
               {rows, k.index(op.getK()), k.index(stride)},
               [&](KernelBuilder &kernel, ValueRange arguments) {
                 auto it = arguments.begin();
                 PrepareRowsArguments args;
                 args.input = *it++;
                 args.out = *it++;
                 if (prepare.sums)
                   args.outSums = *it++;
                 for (Index *size : {&args.rows, &args.k, &args.stride})
                   *size = kernel.index(*it++);
                 emitPrepareRows(kernel, prepare, args);
               });
    input = prepared;
  }

  SmallVector<Value> memrefs = {input, weight.panels, inputSums};
  llvm::append_range(memrefs, getStageOperands(op, weight.sums));
  SmallVector<Value> sizes = {batch,
                              m,
                              k.index(op.getN()),
                              k.index(stride / 4),
                              k.index(stride),
                              k.index(weight.quads)};
  calls.call(b, loc, "nibble_matmul_integer" + spec.getName(), memrefs, sizes,
             [&](KernelBuilder &kernel, ValueRange arguments) {
               auto it = arguments.begin();
               IntegerMatMulArguments args;
               args.input = *it++;
               args.weight = *it++;
               if (spec.needsInputSums())
                 args.inputSums = *it++;
               args.operands = takeOperands(spec, spec.hasInputZero(), it);
               for (Index *size : {&args.batch, &args.m, &args.n, &args.quads,
                                   &args.inputStride, &args.weightQuads})
                 *size = kernel.index(*it++);
               emitIntegerMatMul(kernel, spec, args);
             });
  buffers.free();
  op.erase();
}

namespace {

/// What the kernels of convolutions have to know, with leading ones for less
/// than three spatial dimensions.
struct ConvGeometry {
  ConvGeometry(ConvIntegerOp op, KernelBuilder &k);

  IntegerConvSpec spec;
  SmallVector<int64_t, 3> padBegin;
  SmallVector<Index, 3> inSize, outSize, paddedSize;
  Index batch;
  int64_t groups, groupIn, groupOut;
};

ConvGeometry::ConvGeometry(ConvIntegerOp op, KernelBuilder &k) {
  ArrayRef<int64_t> shape = op.getWeightShape(), pads = op.getPads();
  int64_t rank = shape.size() - 2;
  groups = op.getGroup();
  groupIn = shape[1];
  groupOut = shape[0] / groups;
  batch = k.dim(op.getInput(), 0);
  spec.stage = getSpec(op);
  auto expand = [&](ArrayRef<int64_t> values, int64_t fill) {
    SmallVector<int64_t, 3> result(3 - rank, fill);
    llvm::append_range(result, values.take_front(rank));
    return result;
  };
  spec.kernel = expand(shape.drop_front(2), 1);
  spec.strides = expand(op.getStrides(), 1);
  spec.dilations = expand(op.getDilations(), 1);
  padBegin = expand(pads, 0);
  SmallVector<int64_t, 3> padEnd = expand(pads.drop_front(rank), 0);
  for (int64_t i = 0; i < 3; ++i) {
    bool exists = i >= 3 - rank;
    int64_t d = i - (3 - rank) + 2;
    inSize.push_back(exists ? k.dim(op.getInput(), d) : k.index(1));
    outSize.push_back(exists ? k.dim(op.getOuts(), d) : k.index(1));
    paddedSize.push_back(inSize[i] + (padBegin[i] + padEnd[i]));
  }
  int64_t width = cast<MemRefType>(op.getOuts().getType()).getShape().back();
  spec.narrow = !ShapedType::isDynamic(width) && width <= 8;
  // A convolution that looks at one position only sees one long row.
  auto all = [](ArrayRef<int64_t> values, int64_t value) {
    return llvm::all_of(values, [&](int64_t v) { return v == value; });
  };
  if (all(spec.kernel, 1) && all(spec.strides, 1) && all(pads, 0)) {
    Index size = inSize[0] * inSize[1] * inSize[2];
    inSize = outSize = paddedSize = {k.index(1), k.index(1), size};
    spec.dilations.assign(3, 1);
    spec.narrow = false;
  }
}

void takeSizes(KernelBuilder &kernel, ValueRange::iterator &it,
               ArrayRef<SmallVector<Index, 3> *> lists) {
  for (SmallVector<Index, 3> *list : lists)
    for (int64_t i = 0; i < 3; ++i)
      list->push_back(kernel.index(*it++));
}

/// Groups of few channels, and weights that are known at run time only.
void convertPlanesConv(ConvIntegerOp op, const ConvGeometry &g,
                       KernelBuilder &k, KernelCalls &calls) {
  SmallVector<Value> memrefs = {op.getInput(), op.getWeight()};
  llvm::append_range(memrefs, getStageOperands(op, Value()));
  SmallVector<Value> sizes = {g.batch, k.index(g.groups), k.index(g.groupOut)};
  llvm::append_range(sizes, g.inSize);
  llvm::append_range(sizes, g.outSize);
  llvm::append_range(sizes, g.paddedSize);
  std::string name = "nibble_conv_integer_planes_c" + std::to_string(g.groupIn);
  for (int64_t pad : g.padBegin)
    name += "_p" + std::to_string(pad);
  calls.call(
      k.b, k.loc, name + g.spec.getName(), memrefs, sizes,
      [&](KernelBuilder &kernel, ValueRange arguments) {
        auto it = arguments.begin();
        IntegerPlanesArguments args;
        args.input = *it++;
        args.weight = *it++;
        args.operands = takeOperands(g.spec.stage, false, it);
        args.groupIn = kernel.index(g.groupIn);
        for (Index *size : {&args.batch, &args.groups, &args.groupOut})
          *size = kernel.index(*it++);
        takeSizes(kernel, it, {&args.inSize, &args.outSize, &args.paddedSize});
        emitIntegerPlanesConv(kernel, g.spec, g.padBegin, g.groupIn, args);
      });
}

} // namespace

void convertInteger(ConvIntegerOp op, KernelCalls &calls) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  KernelBuilder k(b, loc, calls.target);
  ConvGeometry g(op, k);
  if (!op.getPacked()) {
    convertPlanesConv(op, g, k, calls);
    return op.erase();
  }

  Buffers buffers(b, loc);
  const IntegerSpec &stage = g.spec.stage;
  int64_t groupQuads = llvm::divideCeil(g.groupIn, 4);
  // The last vectors of the last line read beyond it.
  int64_t slack = 2 * KernelBuilder::lanes * g.spec.strides[2] +
                  g.spec.dilations[2] * g.spec.kernel[2];
  Index plane = g.paddedSize[0] * g.paddedSize[1] * g.paddedSize[2];
  Value quads = buffers.create(
      b.getI32Type(), g.batch * (g.groups * groupQuads) * plane + slack);
  PrepareQuadsSpec prepare{stage.signedInput, stage.inputZero, g.padBegin};
  SmallVector<Value> sizes = {g.batch, k.index(g.groups), k.index(g.groupIn),
                              k.index(groupQuads)};
  llvm::append_range(sizes, g.inSize);
  llvm::append_range(sizes, g.paddedSize);
  calls.call(b, loc, prepare.getName(),
             {op.getInput(), op.getInputZero(), quads}, sizes,
             [&](KernelBuilder &kernel, ValueRange arguments) {
               auto it = arguments.begin();
               PrepareQuadsArguments args;
               args.input = *it++;
               if (prepare.zero != Extent::None)
                 args.zero = *it++;
               args.out = *it++;
               for (Index *size : {&args.batch, &args.groups, &args.groupIn,
                                   &args.groupQuads})
                 *size = kernel.index(*it++);
               takeSizes(kernel, it, {&args.inSize, &args.paddedSize});
               emitPrepareQuads(kernel, prepare, args);
             });

  SmallVector<Value> memrefs = {quads, op.getWeight()};
  llvm::append_range(memrefs, getStageOperands(op, stage.hasInputZero()
                                                       ? op.getWeightSums()
                                                       : Value()));
  int64_t weightQuads =
      cast<ShapedType>(op.getWeight().getType()).getDimSize(1);
  sizes = {g.batch, k.index(g.groups), k.index(groupQuads), k.index(g.groupOut),
           k.index(weightQuads)};
  llvm::append_range(sizes, g.outSize);
  llvm::append_range(sizes, g.paddedSize);
  calls.call(b, loc, "nibble_conv_integer" + g.spec.getName(), memrefs, sizes,
             [&](KernelBuilder &kernel, ValueRange arguments) {
               auto it = arguments.begin();
               IntegerConvArguments args;
               args.input = *it++;
               args.weight = *it++;
               args.operands = takeOperands(stage, stage.hasInputZero(), it);
               for (Index *size : {&args.batch, &args.groups, &args.groupQuads,
                                   &args.groupOut, &args.weightQuads})
                 *size = kernel.index(*it++);
               takeSizes(kernel, it, {&args.outSize, &args.paddedSize});
               emitIntegerConv(kernel, g.spec, args);
             });
  buffers.free();
  op.erase();
}

void convertInteger(QuantizeDynamicOp op, KernelCalls &calls) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  KernelBuilder k(b, loc, calls.target);
  Value input = op.getInput();
  int64_t rank = cast<ShapedType>(input.getType()).getRank();
  Index rows = leadingSize(k, input, rank - op.getRowRank());
  Index size = k.index(1);
  for (int64_t d = op.getRowRank(); d < rank; ++d)
    size = size * k.dim(input, d);
  calls.call(b, loc, "nibble_quantize_dynamic",
             {input, op.getCodesOut(), op.getScalesOut(), op.getZerosOut()},
             {rows, size}, [&](KernelBuilder &kernel, ValueRange arguments) {
               QuantizeDynamicArguments args;
               args.input = arguments[0];
               args.codes = arguments[1];
               args.scales = arguments[2];
               args.zeros = arguments[3];
               args.rows = kernel.index(arguments[4]);
               args.k = kernel.index(arguments[5]);
               emitQuantizeDynamic(kernel, args);
             });
  op.erase();
}

} // namespace nibble::codegen
