//===- TiledProducts.cpp - Products by the kernels for tiles -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CUDA/TiledProducts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "nibble/Codegen/CPU/Panels.h"
#include "nibble/Codegen/CUDA/Kernels.h"
#include "nibble/Codegen/CUDA/Passes.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Quantizer/Packing.h"

using namespace mlir;

namespace nibble::codegen::cuda {

/// Steps that a scale of the kernels is for are multiples of this.
static constexpr int64_t groupStep = 16;
/// Rows that a block of the matrix-vector kernel takes at most.
static constexpr int64_t mostRows = 8;

static std::optional<FloatKind> getFloatKind(Type type) {
  if (type.isF32())
    return FloatKind::F32;
  if (type.isF16())
    return FloatKind::F16;
  if (type.isBF16())
    return FloatKind::BF16;
  return std::nullopt;
}

/// Whether the memory of `value` is one piece that begins at its pointer.
static bool isDense(Value value) {
  return !value || cast<MemRefType>(value.getType()).getLayout().isIdentity();
}

static bool isTable(SchemeAttr scheme) {
  return scheme.getCodebook() == CodebookKind::NF4 ||
         scheme.getCodebook() == CodebookKind::FP4;
}

bool TiledProducts::takes(MatMulOp op) {
  SchemeAttr scheme = op.getSchemeAttr();
  if (!scheme || (isTable(scheme) && scheme.hasZeros()) ||
      (!isTable(scheme) && scheme.getCodebook() != CodebookKind::Int) ||
      scheme.getPacking() != Packing::Panel || scheme.getSecondType() ||
      scheme.getGroupIndex() || scheme.getOutliers() != 0 ||
      !op.getWeight().getDefiningOp<WeightOp>())
    return false;
  unsigned bits = scheme.getBits();
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
    return false;
  int64_t k = op.getK();
  if (scheme.getNumGroups(k) > 1 && scheme.getGroupLength(k) % groupStep != 0)
    return false;
  // The kernels add the residual after the activation.
  if (op.getResidual() &&
      op.getActivation().value_or(Activation::None) != Activation::None)
    return false;
  auto isF32 = [](Value value) {
    return !value || getElementTypeOrSelf(value.getType()).isF32();
  };
  return getFloatKind(scheme.getScaleType()) && isF32(op.getInput()) &&
         isF32(op.getBias()) && isF32(op.getResidual()) &&
         isF32(op.getOuts()) && isDense(op.getInput()) &&
         isDense(op.getResidual()) && isDense(op.getOuts());
}

static GemvKernelOptions getOptions(MatMulOp op, int64_t rowsPerBlock) {
  SchemeAttr scheme = op.getSchemeAttr();
  GemvKernelOptions options;
  WeightLayout &layout = options.weight.layout;
  layout.n = op.getN();
  layout.k = op.getK();
  layout.bits = scheme.getBits();
  if (scheme.getNumGroups(layout.k) > 1)
    options.weight.group = scheme.getGroupLength(layout.k);
  options.weight.scale = *getFloatKind(scheme.getScaleType());
  options.weight.zero = scheme.getZero();
  if (isTable(scheme)) {
    WeightFormat format;
    format.codebook = scheme.getCodebook();
    options.weight.table = format.getTable();
  }
  options.input = options.output = FloatKind::F32;
  options.rowsPerBlock = rowsPerBlock;
  options.warps = std::min<int64_t>(8, layout.numTiles());
  options.epilogue = {static_cast<bool>(op.getBias()),
                      op.getActivation().value_or(Activation::None),
                      static_cast<bool>(op.getResidual())};
  std::string name = "nibble_gemv_";
  llvm::raw_string_ostream os(name);
  os << stringifyCodebookKind(scheme.getCodebook()) << layout.bits << '_'
     << layout.n << 'x' << layout.k << "_g" << options.weight.group << '_'
     << scheme.getScaleType()
     << (scheme.hasZeros() ? "_" + stringifyZeroKind(scheme.getZero()).str()
                           : "")
     << "_r" << rowsPerBlock << (options.epilogue.bias ? "_bias" : "")
     << (options.epilogue.residual ? "_residual" : "");
  if (options.epilogue.activation != Activation::None)
    os << '_' << stringifyActivation(options.epilogue.activation);
  options.name = name;
  return options;
}

/// The address of dense memory, as the kernels take it.
static Value getPointer(OpBuilder &b, Location loc, Value memref) {
  Value address =
      memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memref);
  address = arith::IndexCastOp::create(b, loc, b.getI64Type(), address);
  return LLVM::IntToPtrOp::create(
      b, loc, LLVM::LLVMPointerType::get(b.getContext(), 1), address);
}

void TiledProducts::launch(OpBuilder &b, MatMulOp op, Value codes, Value rows,
                           int64_t rowsPerBlock) {
  Location loc = op.getLoc();
  GemvKernelOptions options = getOptions(op, rowsPerBlock);
  LaunchShape shape = getGemvLaunch(options, rowsPerBlock);
  auto kernel = module.lookupSymbol<gpu::GPUFuncOp>(options.name);
  SmallVector<Value> arguments = {codes, op.getScales()};
  std::string access = "rr";
  for (Value value :
       {op.getZeros(), op.getInput(), op.getBias(), op.getResidual()})
    if (value) {
      arguments.push_back(value);
      access += 'r';
    }
  arguments.push_back(op.getOuts());
  access += op.getResidual() ? "b-" : "w-";
  if (!kernel) {
    ++numKernels;
    kernel = buildGemvKernel(b, module, options);
    kernel->setAttr(accessAttrName, b.getStringAttr(access));
    if (shape.sharedBytes)
      kernel->setAttr(sharedBytesAttrName,
                      b.getI64IntegerAttr(shape.sharedBytes));
  }
  for (Value &argument : arguments)
    argument = getPointer(b, loc, argument);
  arguments.push_back(arith::IndexCastOp::create(b, loc, b.getI32Type(), rows));
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  Value parts =
      arith::CeilDivUIOp::create(b, loc, rows, constant(rowsPerBlock));
  gpu::LaunchFuncOp::create(
      b, loc, kernel,
      gpu::KernelDim3{constant(shape.grid[0]), parts, constant(1)},
      gpu::KernelDim3{constant(shape.block[0]), constant(shape.block[1]),
                      constant(shape.block[2])},
      /*dynamicSharedMemorySize=*/Value(), arguments);
  ++numLaunches;
}

LogicalResult TiledProducts::convert(MatMulOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto weight = op.getWeight().getDefiningOp<WeightOp>();
  ElementsAttr &codes = packed[weight.getValueAttr()];
  WeightLayout layout = getOptions(op, 1).weight.layout;
  auto bytes = RankedTensorType::get({layout.codeBytes()}, b.getI8Type());
  if (!codes || codes.getType() != bytes) {
    FailureOr<ConstantData> data = ConstantData::get(
        weight.getValueAttr(), [&] { return weight.emitError(); });
    if (failed(data))
      return failure();
    ConstantData panels = data->expanded();
    ArrayRef<char> from = panels.getBytes();
    std::vector<uint8_t> single(layout.n * layout.k);
    quantizer::unpackPanels(
        {reinterpret_cast<const uint8_t *>(from.data()), from.size()}, layout.n,
        layout.k, layout.bits, single);
    FailureOr<ElementsAttr> blob =
        createBlobAttr(loc, bytes, "tiles", [&](MutableArrayRef<char> out) {
          layout.pack(single, 0,
                      {reinterpret_cast<uint8_t *>(out.data()), out.size()});
        });
    if (failed(blob))
      return failure();
    codes = *blob;
  }
  auto memory = MemRefType::get(bytes.getShape(), bytes.getElementType());
  Value tiles = WeightOp::create(b, loc, memory, codes);

  Value rows = arith::ConstantIndexOp::create(b, loc, 1);
  auto type = cast<MemRefType>(op.getInput().getType());
  for (int64_t i = 0; i + 1 < type.getRank(); ++i)
    rows = b.createOrFold<arith::MulIOp>(
        loc, rows, b.createOrFold<memref::DimOp>(loc, op.getInput(), i));
  if (std::optional<int64_t> known = getConstantIntValue(rows)) {
    launch(b, op, tiles, rows, std::clamp<int64_t>(*known, 1, mostRows));
  } else {
    // Steps of generation have one row, prompts many.
    Value one = arith::ConstantIndexOp::create(b, loc, 1);
    Value isOne =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ule, rows, one);
    auto branch = scf::IfOp::create(b, loc, isOne, /*withElseRegion=*/true);
    OpBuilder then = branch.getThenBodyBuilder();
    launch(then, op, tiles, rows, 1);
    OpBuilder otherwise = branch.getElseBodyBuilder();
    launch(otherwise, op, tiles, rows, mostRows);
  }
  op.erase();
  return success();
}

} // namespace nibble::codegen::cuda
