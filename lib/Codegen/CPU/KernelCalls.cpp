//===- KernelCalls.cpp - Calls of generated kernels -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelCalls.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace nibble::codegen {

Value flatten(OpBuilder &b, Location loc, Value value) {
  auto type = cast<MemRefType>(value.getType());
  if (!type.getLayout().isIdentity()) {
    SmallVector<Value> sizes;
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (type.isDynamicDim(i))
        sizes.push_back(memref::DimOp::create(b, loc, value, i));
    type = MemRefType::get(type.getShape(), type.getElementType());
    Value copy =
        memref::AllocOp::create(b, loc, type, sizes, b.getI64IntegerAttr(64));
    memref::CopyOp::create(b, loc, value, copy);
    value = copy;
  }
  return KernelBuilder(b, loc, CpuTarget()).flatView(value);
}

SmallVector<Value> flattenAll(OpBuilder &b, Location loc,
                              ArrayRef<Value> memrefs,
                              SmallVectorImpl<Value> &copies) {
  SmallVector<Value> result;
  for (Value memref : memrefs) {
    if (!memref)
      continue;
    Value flat = flatten(b, loc, memref);
    result.push_back(flat);
    if (!cast<MemRefType>(memref.getType()).getLayout().isIdentity())
      copies.push_back(flat);
  }
  return result;
}

void flattenStrided(KernelBuilder &kb, Value memref, Value &flat, Index &offset,
                    SmallVector<Index> &strides) {
  auto type = cast<MemRefType>(memref.getType());
  int64_t rank = type.getRank();
  OpBuilder &b = kb.b;
  if (type.getLayout().isIdentity()) {
    offset = kb.index(0);
    Index stride = kb.index(1);
    strides.resize(rank);
    for (int64_t i = rank - 1; i >= 0; --i) {
      strides[i] = stride;
      stride = stride * kb.dim(memref, i);
    }
    flat = kb.flatView(memref);
    return;
  }
  auto parts = memref::ExtractStridedMetadataOp::create(b, kb.loc, memref);
  int64_t staticOffset;
  SmallVector<int64_t> staticStrides;
  if (failed(type.getStridesAndOffset(staticStrides, staticOffset)))
    llvm_unreachable("a strided layout has strides");
  auto choose = [&](int64_t constant, Value value) {
    return ShapedType::isDynamic(constant) ? kb.index(value)
                                           : kb.index(constant);
  };
  offset = kb.index(0);
  Index extent = kb.index(1);
  for (int64_t i = 0; i < rank; ++i) {
    strides.push_back(choose(staticStrides[i], parts.getStrides()[i]));
    extent = extent + (kb.index(parts.getSizes()[i]) - 1) * strides[i];
  }
  flat = memref::ReinterpretCastOp::create(
      b, kb.loc,
      MemRefType::get(
          {ShapedType::kDynamic}, type.getElementType(),
          StridedLayoutAttr::get(b.getContext(), ShapedType::kDynamic, {1})),
      parts.getBaseBuffer(), OpFoldResult(parts.getOffset()),
      ArrayRef<OpFoldResult>{Value(extent)},
      ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
}

Value viewBytes(KernelBuilder &kb, Value flat) {
  auto type = cast<MemRefType>(flat.getType());
  if (!type.getElementType().isInteger(1))
    return flat;
  auto bytes = MemRefType::get(type.getShape(), kb.b.getI8Type(),
                               type.getLayout(), type.getMemorySpace());
  return UnrealizedConversionCastOp::create(kb.b, kb.loc, bytes, flat)
      .getResult(0);
}

Index leadingSize(KernelBuilder &k, Value memref, int64_t trailing) {
  int64_t rank = cast<MemRefType>(memref.getType()).getRank();
  Index size = k.index(1);
  for (int64_t i = 0; i < rank - trailing; ++i)
    size = size * k.dim(memref, i);
  return size;
}

void KernelCalls::call(OpBuilder &b, Location loc, StringRef name,
                       ArrayRef<Value> memrefs, ArrayRef<Value> sizes,
                       function_ref<void(KernelBuilder &, ValueRange)> emit) {
  SmallVector<Value> copies;
  SmallVector<Value> arguments = flattenAll(b, loc, memrefs, copies);
  llvm::append_range(arguments, sizes);

  auto function = symbols.lookup<func::FuncOp>(name);
  if (!function) {
    ++numKernels;
    auto type = b.getFunctionType(ValueRange(arguments).getTypes(), {});
    // A kernel belongs to all operations that call it: no location of one.
    Location kernelLoc = NameLoc::get(b.getStringAttr(name));
    function = func::FuncOp::create(kernelLoc, name, type);
    function.setPrivate();
    function->setAttr("nibble.kernel", b.getUnitAttr());
    symbols.insert(function);
    Block *body = function.addEntryBlock();
    OpBuilder inner = OpBuilder::atBlockBegin(body);
    KernelBuilder kernel(inner, kernelLoc, target);
    emit(kernel, body->getArguments());
    func::ReturnOp::create(inner, kernelLoc);
  }
  ++numCalls;
  func::CallOp::create(b, loc, function, arguments);
  for (Value copy : copies)
    memref::DeallocOp::create(b, loc, copy);
}

} // namespace nibble::codegen
