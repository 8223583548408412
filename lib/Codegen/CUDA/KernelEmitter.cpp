//===- KernelEmitter.cpp - A small language for CUDA kernels
//----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::codegen::cuda;

/// All kernels of a module name the same dynamic shared memory.
static constexpr StringLiteral sharedName = "nibble_shared";

KernelEmitter::KernelEmitter(OpBuilder &builder, gpu::GPUModuleOp module,
                             StringRef name, ArrayRef<Type> arguments,
                             int64_t numThreads)
    : b(builder), loc(module.getLoc()), i8(b.getI8Type()), i16(b.getI16Type()),
      i32(b.getI32Type()), i64(b.getI64Type()), f16(b.getF16Type()),
      bf16(b.getBF16Type()), f32(b.getF32Type()) {
  b.setInsertionPointToEnd(module.getBody());
  func = gpu::GPUFuncOp::create(b, loc, name, b.getFunctionType(arguments, {}));
  func->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  func.setKnownBlockSizeAttr(
      b.getDenseI32ArrayAttr({int32_t(numThreads), 1, 1}));
  b.setInsertionPointToStart(&func.getBody().front());
}

void KernelEmitter::setConstant(Value argument) {
  unsigned i = cast<BlockArgument>(argument).getArgNumber();
  for (StringRef name : {LLVM::LLVMDialect::getNoAliasAttrName(),
                         LLVM::LLVMDialect::getReadonlyAttrName()})
    func.setArgAttr(i, name, b.getUnitAttr());
}

gpu::GPUFuncOp KernelEmitter::finish() {
  gpu::ReturnOp::create(b, loc);
  return func;
}

Type KernelEmitter::type(FloatKind kind) const {
  switch (kind) {
  case FloatKind::F32:
    return f32;
  case FloatKind::F16:
    return f16;
  case FloatKind::BF16:
    return bf16;
  }
  llvm_unreachable("all kinds are handled above");
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

Value KernelEmitter::threadId() {
  return NVVM::ThreadIdXOp::create(b, loc, i32);
}

Value KernelEmitter::blockId(unsigned dim) {
  if (dim == 0)
    return NVVM::BlockIdXOp::create(b, loc, i32);
  if (dim == 1)
    return NVVM::BlockIdYOp::create(b, loc, i32);
  return NVVM::BlockIdZOp::create(b, loc, i32);
}

Value KernelEmitter::num(int64_t value) {
  return arith::ConstantIntOp::create(b, loc, i32, value);
}

Value KernelEmitter::add(Value x, Value y) {
  return b.createOrFold<arith::AddIOp>(loc, x, y);
}
Value KernelEmitter::sub(Value x, Value y) {
  return b.createOrFold<arith::SubIOp>(loc, x, y);
}
Value KernelEmitter::mul(Value x, Value y) {
  return b.createOrFold<arith::MulIOp>(loc, x, y);
}
Value KernelEmitter::div(Value x, int64_t y) {
  return b.createOrFold<arith::DivUIOp>(loc, x, num(y));
}
Value KernelEmitter::rem(Value x, int64_t y) {
  return b.createOrFold<arith::RemUIOp>(loc, x, num(y));
}
Value KernelEmitter::min(Value x, Value y) {
  return b.createOrFold<arith::MinSIOp>(loc, x, y);
}
Value KernelEmitter::bitAnd(Value x, int64_t y) {
  return b.createOrFold<arith::AndIOp>(loc, x, num(y));
}
Value KernelEmitter::bitOr(Value x, Value y) {
  return b.createOrFold<arith::OrIOp>(loc, x, y);
}
Value KernelEmitter::bitXor(Value x, Value y) {
  return b.createOrFold<arith::XOrIOp>(loc, x, y);
}
Value KernelEmitter::shift(Value x, int64_t by) {
  if (by == 0)
    return x;
  if (by > 0)
    return b.createOrFold<arith::ShLIOp>(loc, x, num(by));
  return b.createOrFold<arith::ShRUIOp>(loc, x, num(-by));
}
Value KernelEmitter::lt(Value x, Value y) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, x, y);
}
Value KernelEmitter::eq(Value x, int64_t y) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, num(y));
}
Value KernelEmitter::both(Value x, Value y) {
  return arith::AndIOp::create(b, loc, x, y);
}
Value KernelEmitter::select(Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, loc, condition, x, y);
}
Value KernelEmitter::wideMul(Value x, int64_t y) {
  Value wide = arith::ExtSIOp::create(b, loc, i64, x);
  return arith::MulIOp::create(b, loc, wide,
                               arith::ConstantIntOp::create(b, loc, i64, y));
}

Value KernelEmitter::widen(Value x) {
  return arith::ExtUIOp::create(b, loc, i32, x);
}

Value KernelEmitter::narrow(Value x) {
  return arith::TruncIOp::create(b, loc, i32, x);
}

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

Value KernelEmitter::f32Const(double value) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(float(value)));
}
Value KernelEmitter::fadd(Value x, Value y) {
  return arith::AddFOp::create(b, loc, x, y);
}
Value KernelEmitter::fsub(Value x, Value y) {
  return arith::SubFOp::create(b, loc, x, y);
}
Value KernelEmitter::fmul(Value x, Value y) {
  return arith::MulFOp::create(b, loc, x, y);
}
Value KernelEmitter::fdiv(Value x, Value y) {
  return arith::DivFOp::create(b, loc, x, y);
}
// Those of arith would become calls of libdevice.
Value KernelEmitter::fmax(Value x, Value y) {
  return LLVM::MaxNumOp::create(b, loc, x, y);
}
Value KernelEmitter::fmin(Value x, Value y) {
  return LLVM::MinNumOp::create(b, loc, x, y);
}
Value KernelEmitter::fma(Value x, Value y, Value z) {
  return LLVM::FMAOp::create(b, loc, x.getType(), ValueRange{x, y, z});
}
Value KernelEmitter::callIntrinsic(StringRef name, Type result,
                                   ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(name),
                                       arguments)
      .getResult(0);
}
Value KernelEmitter::exp2(Value x) {
  return callIntrinsic("llvm.nvvm.ex2.approx.f32", f32, x);
}
Value KernelEmitter::exp(Value x) {
  return exp2(fmul(x, f32Const(1.4426950408889634)));
}

Value KernelEmitter::rsqrt(Value x) {
  return callIntrinsic("llvm.nvvm.rsqrt.approx.f", f32, x);
}

Value KernelEmitter::activate(Activation activation, Value x) {
  Value one = f32Const(1.0);
  auto sigmoid = [&](Value v) {
    Value e = exp(fmul(v, f32Const(-1.0)));
    return fdiv(one, fadd(one, e));
  };
  // Saturates to 1 as the exponential does to infinity.
  auto tanh = [&](Value v) {
    Value e = exp(fmul(v, f32Const(2.0)));
    return fsub(one, fdiv(f32Const(2.0), fadd(e, one)));
  };
  switch (activation) {
  case Activation::None:
    return x;
  case Activation::Relu:
    return fmax(x, f32Const(0.0));
  case Activation::Clip6:
    return fmin(fmax(x, f32Const(0.0)), f32Const(6.0));
  case Activation::Sigmoid:
    return sigmoid(x);
  case Activation::Silu:
    return fmul(x, sigmoid(x));
  case Activation::Tanh:
    return tanh(x);
  case Activation::Gelu: {
    // Abramowitz and Stegun 7.1.26: erf within 1.5e-7.
    Value z = fmul(x, f32Const(0.70710678118654752));
    Value size = fmax(z, fmul(z, f32Const(-1.0)));
    Value t = fdiv(one, fma(size, f32Const(0.3275911), one));
    Value poly = f32Const(1.061405429);
    for (double c : {-1.453152027, 1.421413741, -0.284496736, 0.254829592})
      poly = fma(poly, t, f32Const(c));
    Value gauss = exp(fmul(fmul(z, z), f32Const(-1.0)));
    Value tail = fmul(fmul(poly, t), gauss); // 1 - erf(|z|)
    Value negative = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, z,
                                           f32Const(0.0));
    // 1 + erf(z)
    Value sum = select(negative, tail, fsub(f32Const(2.0), tail));
    return fmul(fmul(x, f32Const(0.5)), sum);
  }
  case Activation::GeluTanh: {
    Value cube = fmul(fmul(x, x), x);
    Value inner = fma(cube, f32Const(0.044715), x);
    Value t = tanh(fmul(inner, f32Const(0.79788456080286536)));
    return fmul(fmul(x, f32Const(0.5)), fadd(t, one));
  }
  case Activation::HardSwish: {
    Value gate = fma(x, f32Const(1.0 / 6.0), f32Const(0.5));
    gate = fmin(fmax(gate, f32Const(0.0)), one);
    return fmul(x, gate);
  }
  }
  llvm_unreachable("all activations are handled above");
}

Value KernelEmitter::toF32(Value x) {
  Type to = f32;
  if (auto vectorType = dyn_cast<VectorType>(x.getType()))
    to = vectorType.clone(f32);
  if (x.getType() == to)
    return x;
  if (x.getType().isInteger())
    return arith::SIToFPOp::create(b, loc, to, x);
  return arith::ExtFOp::create(b, loc, to, x);
}

Value KernelEmitter::fromF32(Value x, FloatKind kind) {
  Type to = type(kind);
  if (auto vectorType = dyn_cast<VectorType>(x.getType()))
    to = vectorType.clone(to);
  if (x.getType() == to)
    return x;
  return arith::TruncFOp::create(b, loc, to, x);
}

Value KernelEmitter::bitcast(Value x, Type to) {
  if (x.getType() == to)
    return x;
  return LLVM::BitcastOp::create(b, loc, to, x);
}

Value KernelEmitter::extract(Value vector, int64_t i) {
  return vector::ExtractOp::create(b, loc, vector, i);
}

Value KernelEmitter::pack(ValueRange elements) {
  return vector::FromElementsOp::create(
      b, loc, vector(elements.size(), elements[0].getType()), elements);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelEmitter::at(Value pointer, Value offset) {
  return LLVM::GEPOp::create(b, loc, pointer.getType(), i8, pointer,
                             ValueRange{offset});
}

Value KernelEmitter::at(Value pointer, int64_t offset) {
  if (offset == 0)
    return pointer;
  return LLVM::GEPOp::create(b, loc, pointer.getType(), i8, pointer,
                             ArrayRef<LLVM::GEPArg>{int32_t(offset)});
}

int64_t codegen::cuda::getBytes(Type type) {
  if (auto vectorType = dyn_cast<VectorType>(type))
    return vectorType.getNumElements() * vectorType.getElementTypeBitWidth() /
           8;
  return type.getIntOrFloatBitWidth() / 8;
}

Value KernelEmitter::load(Type type, Value pointer, bool constant) {
  return LLVM::LoadOp::create(b, loc, type, pointer, getBytes(type),
                              /*isVolatile=*/false, /*isNonTemporal=*/false,
                              /*isInvariant=*/constant);
}

void KernelEmitter::store(Value value, Value pointer) {
  LLVM::StoreOp::create(b, loc, value, pointer, getBytes(value.getType()));
}

Value KernelEmitter::sharedMemory() {
  auto module = func->getParentOfType<gpu::GPUModuleOp>();
  if (!SymbolTable::lookupSymbolIn(module, sharedName)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    LLVM::GlobalOp::create(b, loc, LLVM::LLVMArrayType::get(i8, 0),
                           /*isConstant=*/false, LLVM::Linkage::External,
                           sharedName, Attribute(), /*alignment=*/128,
                           sharedSpace);
  }
  return LLVM::AddressOfOp::create(
      b, loc, LLVM::LLVMPointerType::get(b.getContext(), sharedSpace),
      sharedName);
}

void KernelEmitter::barrier() { NVVM::Barrier0Op::create(b, loc); }

void KernelEmitter::copyAsync(Value to, Value from, int64_t size,
                              Value available) {
  // Whole lines of 16 bytes need not go through L1.
  auto cache = size == 16 ? NVVM::LoadCacheModifierKind::CG
                          : NVVM::LoadCacheModifierKind::CA;
  NVVM::CpAsyncOp::create(b, loc, to, from, size, cache, available);
}

void KernelEmitter::commitCopies() {
  NVVM::CpAsyncCommitGroupOp::create(b, loc);
}

void KernelEmitter::waitForCopies(int64_t pending) {
  NVVM::CpAsyncWaitGroupOp::create(b, loc, pending);
}

//===----------------------------------------------------------------------===//
// Warps
//===----------------------------------------------------------------------===//

Values KernelEmitter::unpackStruct(Value value) {
  Values elements;
  auto type = cast<LLVM::LLVMStructType>(value.getType());
  for (size_t i = 0; i < type.getBody().size(); ++i)
    elements.push_back(LLVM::ExtractValueOp::create(b, loc, value, i));
  return elements;
}

Values KernelEmitter::loadMatrices(Value row) {
  SmallVector<Type> types(4, i32);
  Type result = LLVM::LLVMStructType::getLiteral(b.getContext(), types);
  auto shape = NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8);
  return unpackStruct(NVVM::LdMatrixOp::create(b, loc, result, row, 4,
                                               NVVM::MMALayout::row, shape,
                                               NVVM::LdStMatrixEltType::B16));
}

Values KernelEmitter::mmaHalf(FloatKind kind, ValueRange a, ValueRange b2,
                              ValueRange c) {
  bool isHalf = kind == FloatKind::F16;
  // The dialect has f16 as vectors and bf16 as words.
  auto registers = [&](ValueRange words) {
    Values values;
    for (Value word : words)
      values.push_back(isHalf ? bitcast(word, vector(2, f16)) : word);
    return values;
  };
  SmallVector<Type> types(4, f32);
  Type result = LLVM::LLVMStructType::getLiteral(b.getContext(), types);
  auto type = isHalf ? NVVM::MMATypes::f16 : NVVM::MMATypes::bf16;
  return unpackStruct(NVVM::MmaOp::create(
      b, loc, result, registers(a), registers(b2), c, {16, 8, 16}, std::nullopt,
      std::nullopt, std::array{type, type},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col}));
}

Values KernelEmitter::mmaByte(ValueRange a, bool isUnsigned, ValueRange b2,
                              ValueRange c) {
  SmallVector<Type> types(4, i32);
  Type result = LLVM::LLVMStructType::getLiteral(b.getContext(), types);
  auto type = isUnsigned ? NVVM::MMATypes::u8 : NVVM::MMATypes::s8;
  return unpackStruct(NVVM::MmaOp::create(
      b, loc, result, a, b2, c, {16, 8, 32}, std::nullopt,
      NVVM::MMAIntOverflow::wrapped, std::array{type, NVVM::MMATypes::s8},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col}));
}

Value KernelEmitter::shuffleXor(Value x, int64_t distance) {
  return NVVM::ShflOp::create(b, loc, x.getType(), num(-1), x, num(distance),
                              num(31), NVVM::ShflKind::bfly, UnitAttr());
}

Value KernelEmitter::sumLanes(Value x, int64_t width, int64_t from) {
  for (int64_t distance = from; distance < width; distance *= 2)
    x = fadd(x, shuffleXor(x, distance));
  return x;
}

Value KernelEmitter::maxLanes(Value x, int64_t width, int64_t from) {
  for (int64_t distance = from; distance < width; distance *= 2)
    x = fmax(x, shuffleXor(x, distance));
  return x;
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

Values
KernelEmitter::forLoop(Value lb, Value ub, Value step, ValueRange init,
                       llvm::function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, loc, lb, ub, step, init);
  // Without results the builder has put a terminator already.
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Values results = body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!init.empty())
    scf::YieldOp::create(b, loc, results);
  return Values(loop.getResults());
}

void KernelEmitter::ifThen(Value condition, llvm::function_ref<void()> then) {
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  then();
}

Values KernelEmitter::ifYield(Value condition,
                              llvm::function_ref<Values()> then,
                              llvm::function_ref<Values()> otherwise) {
  SmallVector<Type> types;
  // The types are those of the values that `then` yields: build it aside.
  Block aside;
  Values results;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&aside);
    results = then();
    for (Value value : results)
      types.push_back(value.getType());
    scf::YieldOp::create(b, loc, results);
  }
  auto op = scf::IfOp::create(b, loc, types, condition, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(b);
  op.thenBlock()->getOperations().splice(op.thenBlock()->end(),
                                         aside.getOperations());
  b.setInsertionPointToStart(op.elseBlock());
  scf::YieldOp::create(b, loc, otherwise());
  return Values(op.getResults());
}
