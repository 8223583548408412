//===- KernelBuilder.cpp - A small language for kernels -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

/// Multiply-adds that a task should have at least: some microseconds of work.
static constexpr int64_t minTaskWork = 1 << 16;

template <typename OpTy>
static Index binary(Index a, Value b) {
  KernelBuilder &k = a.getKernel();
  return k.index(k.b.createOrFold<OpTy>(k.loc, Value(a), b));
}

Index operator+(Index a, Index b) { return binary<arith::AddIOp>(a, b); }
Index operator-(Index a, Index b) { return binary<arith::SubIOp>(a, b); }
Index operator*(Index a, Index b) { return binary<arith::MulIOp>(a, b); }
Index operator/(Index a, Index b) { return binary<arith::DivUIOp>(a, b); }
Index operator%(Index a, Index b) { return binary<arith::RemUIOp>(a, b); }
Index min(Index a, Index b) { return binary<arith::MinSIOp>(a, b); }
Index max(Index a, Index b) { return binary<arith::MaxSIOp>(a, b); }
Index ceilDiv(Index a, Index b) { return (a + b - 1) / b; }
Index operator+(Index a, int64_t b) { return a + a.getKernel().index(b); }
Index operator-(Index a, int64_t b) { return a - a.getKernel().index(b); }
Index operator*(Index a, int64_t b) { return a * a.getKernel().index(b); }
Index operator/(Index a, int64_t b) { return a / a.getKernel().index(b); }
Index ceilDiv(Index a, int64_t b) { return ceilDiv(a, a.getKernel().index(b)); }
Index min(Index a, int64_t b) { return min(a, a.getKernel().index(b)); }
Index max(Index a, int64_t b) { return max(a, a.getKernel().index(b)); }

//===----------------------------------------------------------------------===//
// Scalars and vectors
//===----------------------------------------------------------------------===//

Index KernelBuilder::index(int64_t value) {
  return Index(*this, arith::ConstantIndexOp::create(b, loc, value));
}

Index KernelBuilder::dim(Value memref, int64_t i) {
  return index(b.createOrFold<memref::DimOp>(loc, memref, i));
}

static Value compare(KernelBuilder &k, arith::CmpIPredicate predicate, Value x,
                     Value y) {
  return k.b.createOrFold<arith::CmpIOp>(k.loc, predicate, x, y);
}

Value KernelBuilder::lt(Index x, Index y) {
  return compare(*this, arith::CmpIPredicate::slt, x, y);
}

Value KernelBuilder::le(Index x, Index y) {
  return compare(*this, arith::CmpIPredicate::sle, x, y);
}

Value KernelBuilder::eq(Index x, int64_t y) {
  return compare(*this, arith::CmpIPredicate::eq, x, index(y));
}

Value KernelBuilder::both(Value x, Value y) {
  return b.createOrFold<arith::AndIOp>(loc, x, y);
}

Value KernelBuilder::f32(double value) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
}

Value KernelBuilder::splat(Value scalar, int64_t size) {
  return vector::BroadcastOp::create(b, loc, vectorType(scalar.getType(), size),
                                     scalar);
}

Value KernelBuilder::constantI32(ArrayRef<int32_t> values) {
  auto type = vectorType(b.getI32Type(), values.size());
  return arith::ConstantOp::create(b, loc,
                                   DenseElementsAttr::get(type, values));
}

Value KernelBuilder::splatI32(int32_t value) {
  return arith::ConstantOp::create(b, loc,
                                   DenseElementsAttr::get(i32Vector(), value));
}

Value KernelBuilder::constantF32(ArrayRef<float> values) {
  auto type = vectorType(b.getF32Type(), values.size());
  return arith::ConstantOp::create(b, loc,
                                   DenseElementsAttr::get(type, values));
}

Value KernelBuilder::fma(Value x, Value y, Value z) {
  if (!target.fma)
    return fadd(fmul(x, y), z);
  return math::FmaOp::create(b, loc, x, y, z);
}

Value KernelBuilder::fadd(Value x, Value y) {
  return arith::AddFOp::create(b, loc, x, y);
}

Value KernelBuilder::fsub(Value x, Value y) {
  return arith::SubFOp::create(b, loc, x, y);
}

Value KernelBuilder::fmul(Value x, Value y) {
  return arith::MulFOp::create(b, loc, x, y);
}

Value KernelBuilder::fenced(Value x) {
  return LLVM::CallIntrinsicOp::create(
             b, loc, x.getType(), b.getStringAttr("llvm.arithmetic.fence"), x)
      .getResult(0);
}

Value KernelBuilder::hasTiles() {
  constexpr StringLiteral name = "nibble_rt_has_tiles";
  auto module = b.getBlock()->getParentOp()->getParentOfType<ModuleOp>();
  Type i32 = b.getI32Type();
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    func::FuncOp::create(b, loc, name, b.getFunctionType({}, i32)).setPrivate();
  }
  Value has = func::CallOp::create(b, loc, name, TypeRange(i32), ValueRange())
                  .getResult(0);
  Value no = arith::ConstantIntOp::create(b, loc, i32, 0);
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, has, no);
}

Value KernelBuilder::toF32(Value scale) {
  Type element = getElementTypeOrSelf(scale.getType());
  if (element.isF32())
    return scale;
  auto like = [&](Type type) -> Type {
    auto vector = dyn_cast<VectorType>(scale.getType());
    return vector ? Type(vectorType(type, vector.getNumElements())) : type;
  };
  Type f32Type = like(b.getF32Type());
  if (!element.isF16() || target.fma)
    return arith::ExtFOp::create(b, loc, f32Type, scale);

  // Exponent and fraction in their places, then the difference of the biases
  // as a factor: right for all finite numbers.
  Type i32 = like(b.getI32Type());
  auto integer = [&](int64_t value) -> Value {
    TypedAttr attr = b.getI32IntegerAttr(value);
    if (auto vector = dyn_cast<VectorType>(i32))
      attr = DenseElementsAttr::get(vector, Attribute(attr));
    return arith::ConstantOp::create(b, loc, attr);
  };
  Value bits = arith::BitcastOp::create(b, loc, like(b.getI16Type()), scale);
  bits = arith::ExtUIOp::create(b, loc, i32, bits);
  Value magnitude = arith::AndIOp::create(b, loc, bits, integer(0x7fff));
  magnitude = arith::ShLIOp::create(b, loc, magnitude, integer(13));
  Value sign = arith::ShRUIOp::create(b, loc, bits, integer(15));
  sign = arith::ShLIOp::create(b, loc, sign, integer(31));
  Value factor =
      arith::BitcastOp::create(b, loc, f32Type, integer((127 + 112) << 23));
  Value value =
      fmul(arith::BitcastOp::create(b, loc, f32Type, magnitude), factor);
  value = arith::OrIOp::create(
      b, loc, arith::BitcastOp::create(b, loc, i32, value), sign);
  return arith::BitcastOp::create(b, loc, f32Type, value);
}

Value KernelBuilder::maskBelow(Index count) {
  return vector::CreateMaskOp::create(b, loc, vectorType(b.getI1Type()),
                                      ValueRange{count});
}

Value KernelBuilder::maskRange(Index begin, Index end) {
  Value notBefore =
      arith::XOrIOp::create(b, loc, maskBelow(begin),
                            splat(arith::ConstantIntOp::create(b, loc, 1, 1)));
  return arith::AndIOp::create(b, loc, maskBelow(end), notBefore);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelBuilder::flatView(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  if (type.getRank() > 1) {
    auto all = llvm::to_vector<2>(llvm::seq<int64_t>(0, type.getRank()));
    memref = memref::CollapseShapeOp::create(
        b, loc, memref, ArrayRef<ReassociationIndices>(all));
  } else if (type.getRank() == 0) {
    // Not an expansion: upstream's expand-strided-metadata does not take one
    // of rank 0.
    memref = memref::ReinterpretCastOp::create(
        b, loc, MemRefType::get({1}, type.getElementType()), memref,
        /*offset=*/0, /*sizes=*/ArrayRef<int64_t>{1},
        /*strides=*/ArrayRef<int64_t>{1});
  }
  auto flat = MemRefType::get({ShapedType::kDynamic}, type.getElementType());
  return b.createOrFold<memref::CastOp>(loc, flat, memref);
}

Value KernelBuilder::load(Value memref, Index at) {
  return memref::LoadOp::create(b, loc, memref, ValueRange{at});
}

void KernelBuilder::store(Value value, Value memref, Index at) {
  memref::StoreOp::create(b, loc, value, memref, ValueRange{at});
}

Value KernelBuilder::loadVector(Value memref, Index at, int64_t size) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  return vector::LoadOp::create(b, loc, vectorType(element, size), memref,
                                ValueRange{at});
}

Value KernelBuilder::loadMasked(Value memref, Index at, Value mask) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  VectorType type = vectorType(element);
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  return vector::MaskedLoadOp::create(b, loc, type, memref, ValueRange{at},
                                      mask, zero);
}

Value KernelBuilder::lookUp(StringRef name, ArrayRef<float> values, Value at) {
  auto module =
      b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  auto type = MemRefType::get(values.size(), b.getF32Type());
  if (!module.lookupSymbol<memref::GlobalOp>(name)) {
    OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
    auto data = DenseElementsAttr::get(
        RankedTensorType::get(type.getShape(), b.getF32Type()), values);
    memref::GlobalOp::create(top, module.getLoc(), name,
                             top.getStringAttr("private"), type, data,
                             /*constant=*/true, top.getI64IntegerAttr(64));
  }
  Value table = memref::GetGlobalOp::create(b, loc, type, name);
  if (isa<VectorType>(at.getType()))
    return gather(table, index(0), at);
  return load(
      table, index(arith::IndexCastUIOp::create(b, loc, b.getIndexType(), at)));
}

Value KernelBuilder::gather(Value memref, Index at, Value offsets) {
  VectorType type =
      vectorType(cast<MemRefType>(memref.getType()).getElementType());
  Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  return vector::GatherOp::create(b, loc, type, memref, ValueRange{at}, offsets,
                                  maskBelow(index(lanes)), none);
}

void KernelBuilder::storeVector(Value vector, Value memref, Index at) {
  vector::StoreOp::create(b, loc, vector, memref, ValueRange{at});
}

void KernelBuilder::storeMasked(Value vector, Value memref, Index at,
                                Value mask) {
  vector::MaskedStoreOp::create(b, loc, memref, ValueRange{at}, mask, vector);
}

Value KernelBuilder::scratch(int64_t count, Type element) {
  auto type = MemRefType::get({count}, element ? element : b.getF32Type());
  return memref::AllocaOp::create(b, loc, type, b.getI64IntegerAttr(64));
}

void KernelBuilder::prefetch(Value memref, Index at) {
  memref::PrefetchOp::create(b, loc, memref, ValueRange{at},
                             /*isWrite=*/false, /*localityHint=*/3,
                             /*isDataCache=*/true);
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

void KernelBuilder::forLoop(Index lb, Index ub, int64_t step, LoopBody body) {
  auto loop = scf::ForOp::create(b, loc, lb, ub, index(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(index(loop.getInductionVar()));
}

Values KernelBuilder::forLoop(Index lb, Index ub, int64_t step, ValueRange init,
                              ReduceBody body) {
  auto loop = scf::ForOp::create(b, loc, lb, ub, index(step), init);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Values next = body(index(loop.getInductionVar()), loop.getRegionIterArgs());
  if (!init.empty())
    scf::YieldOp::create(b, loc, next);
  return Values(loop.getResults());
}

Values KernelBuilder::forUnrolled(
    Index lb, Index ub, int64_t unroll, ValueRange init,
    function_ref<Values(Index, int64_t, ValueRange)> body) {
  if (unroll == 1)
    return forLoop(lb, ub, 1, init, [&](Index i, ValueRange values) {
      return body(i, 1, values);
    });
  Index middle = lb + (ub - lb) / unroll * unroll;
  Values values =
      forLoop(lb, middle, unroll, init,
              [&](Index i, ValueRange iter) { return body(i, unroll, iter); });
  return forLoop(middle, ub, 1, values,
                 [&](Index i, ValueRange iter) { return body(i, 1, iter); });
}

void KernelBuilder::ifThen(Value condition, function_ref<void()> then) {
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  then();
}

void KernelBuilder::ifThenElse(Value condition, function_ref<void()> then,
                               function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  then();
  b.setInsertionPointToStart(op.elseBlock());
  otherwise();
}

Values KernelBuilder::ifYield(Value condition, function_ref<Values()> then,
                              function_ref<Values()> otherwise) {
  auto build = [](function_ref<Values()> fn) {
    return [fn](OpBuilder &builder, Location loc) {
      scf::YieldOp::create(builder, loc, fn());
    };
  };
  // The callbacks build through `b`, whose insertion point scf.if moves.
  auto op = scf::IfOp::create(b, loc, condition, build(then), build(otherwise));
  return Values(op.getResults());
}

void KernelBuilder::parallelRanges(Index units, Index tasks,
                                   function_ref<void(Index, Index)> body) {
  auto loop = scf::ParallelOp::create(b, loc, ValueRange{index(0)},
                                      ValueRange{tasks}, ValueRange{index(1)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Index task = index(loop.getInductionVars()[0]);
  body(task * units / tasks, (task + 1) * units / tasks);
}

Index KernelBuilder::tasksFor(Index work, Index units) {
  return max(min(units, work / minTaskWork), 1);
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

bool KernelBuilder::isExpensive(Activation activation) {
  switch (activation) {
  case Activation::None:
  case Activation::Relu:
  case Activation::Clip6:
  case Activation::HardSwish:
    return false;
  default:
    return true;
  }
}

static Value splatLike(KernelBuilder &k, Value like, double value) {
  auto vector = dyn_cast<VectorType>(like.getType());
  if (!vector)
    return k.f32(value);
  return arith::ConstantOp::create(
      k.b, k.loc, DenseElementsAttr::get(vector, float(value)));
}

/// max(x, low), NaN stays NaN.
static Value atLeast(KernelBuilder &k, Value x, double low) {
  Value bound = splatLike(k, x, low);
  Value below =
      arith::CmpFOp::create(k.b, k.loc, arith::CmpFPredicate::OLT, x, bound);
  return arith::SelectOp::create(k.b, k.loc, below, bound, x);
}

/// min(x, high), NaN stays NaN.
static Value atMost(KernelBuilder &k, Value x, double high) {
  Value bound = splatLike(k, x, high);
  Value above =
      arith::CmpFOp::create(k.b, k.loc, arith::CmpFPredicate::OGT, x, bound);
  return arith::SelectOp::create(k.b, k.loc, above, bound, x);
}

Value KernelBuilder::emitActivation(Activation activation, Value x) {
  auto constant = [&](double value) { return splatLike(*this, x, value); };
  auto sigmoid = [&](Value v) -> Value {
    Value e = math::ExpOp::create(b, loc, arith::NegFOp::create(b, loc, v));
    return arith::DivFOp::create(b, loc, constant(1.0), fadd(e, constant(1.0)));
  };
  switch (activation) {
  case Activation::None:
    return x;
  case Activation::Relu:
    return atLeast(*this, x, 0.0);
  case Activation::Clip6:
    return atMost(*this, atLeast(*this, x, 0.0), 6.0);
  case Activation::Sigmoid:
    return sigmoid(x);
  case Activation::Silu:
    return fmul(x, sigmoid(x));
  case Activation::Tanh:
    return math::TanhOp::create(b, loc, x);
  case Activation::Gelu: {
    Value erf =
        math::ErfOp::create(b, loc, fmul(x, constant(0.70710678118654752)));
    return fmul(fmul(x, constant(0.5)), fadd(erf, constant(1.0)));
  }
  case Activation::GeluTanh: {
    Value cube = fmul(fmul(x, x), x);
    Value inner = fma(cube, constant(0.044715), x);
    Value tanh = math::TanhOp::create(
        b, loc, fmul(inner, constant(0.79788456080286536)));
    return fmul(fmul(x, constant(0.5)), fadd(tanh, constant(1.0)));
  }
  case Activation::HardSwish: {
    Value gate = fma(x, constant(1.0 / 6.0), constant(0.5));
    gate = atMost(*this, atLeast(*this, gate, 0.0), 1.0);
    return fmul(x, gate);
  }
  }
  llvm_unreachable("all activations are handled above");
}

} // namespace nibble::codegen
