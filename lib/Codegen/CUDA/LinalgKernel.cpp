//===- LinalgKernel.cpp - Kernels of linalg operations -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CUDA/LinalgKernel.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"
#include "nibble/Codegen/CUDA/Launch.h"

using namespace mlir;

namespace nibble::codegen::cuda {

/// Lanes of a warp.
static constexpr int64_t warpSize = 32;
/// Sums of fewer elements stay with one thread.
static constexpr int64_t shortReduction = 64;
//===----------------------------------------------------------------------===//
// What can be a kernel
//===----------------------------------------------------------------------===//

static bool isDeviceType(Type type) {
  if (auto memref = dyn_cast<MemRefType>(type)) {
    int64_t offset;
    SmallVector<int64_t> strides;
    return isDeviceType(memref.getElementType()) &&
           succeeded(memref.getStridesAndOffset(strides, offset));
  }
  if (auto integer = dyn_cast<IntegerType>(type)) {
    unsigned width = integer.getWidth();
    return width == 1 || width == 8 || width == 16 || width == 32 ||
           width == 64;
  }
  return isa<IndexType, Float16Type, BFloat16Type, Float32Type, Float64Type>(
      type);
}

/// Functions that the toolkit's library for devices has, and what LLVM expands.
static bool isDeviceOp(Operation *op) {
  if (isa<math::MathDialect>(op->getDialect()))
    return isa<math::AbsFOp, math::AcosOp, math::AcoshOp, math::AsinOp,
               math::AsinhOp, math::AtanOp, math::Atan2Op, math::AtanhOp,
               math::CeilOp, math::CopySignOp, math::CosOp, math::CoshOp,
               math::ErfOp, math::ErfcOp, math::ExpOp, math::Exp2Op,
               math::ExpM1Op, math::FloorOp, math::FmaOp, math::LogOp,
               math::Log10Op, math::Log1pOp, math::Log2Op, math::PowFOp,
               math::RoundOp, math::RoundEvenOp, math::RsqrtOp, math::SinOp,
               math::SinhOp, math::SqrtOp, math::TanOp, math::TanhOp>(op);
  return isa<arith::ArithDialect>(op->getDialect()) ||
         isa<linalg::YieldOp, linalg::IndexOp, memref::LoadOp, memref::DimOp,
             scf::IfOp, scf::YieldOp>(op);
}

std::string whyNotOnDevice(linalg::GenericOp op) {
  std::string reason;
  auto checkType = [&](Type type) {
    if (!isDeviceType(type))
      llvm::raw_string_ostream(reason) << "no kernel for values of " << type;
    return reason.empty();
  };
  for (Value operand : op->getOperands())
    if (!checkType(operand.getType()))
      return reason;
  op.getRegion().walk([&](Operation *inner) {
    if (!isDeviceOp(inner))
      reason = ("no kernel for " + inner->getName().getStringRef()).str();
    else if (llvm::all_of(inner->getOperandTypes(), checkType))
      llvm::all_of(inner->getResultTypes(), checkType);
    return reason.empty() ? WalkResult::advance() : WalkResult::interrupt();
  });
  if (!reason.empty())
    return reason;
  // A thread keeps what it sums up: its place does not move meanwhile.
  SmallVector<unsigned> reduced;
  op.getReductionDims(reduced);
  for (OpOperand &output : op.getDpsInitsMutable())
    for (unsigned dim : reduced)
      if (op.getMatchingIndexingMap(&output).isFunctionOfDim(dim))
        return "no kernel for outputs that a reduction walks along";
  return reason;
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

namespace {
/// Writes the body of one kernel.
class KernelBody {
public:
  KernelBody(OpBuilder &b, linalg::GenericOp op) : b(b), op(op) {
    for (Range range : cast<linalg::LinalgOp>(op.getOperation())
                           .createLoopRanges(b, op.getLoc()))
      sizes.push_back(
          getValueOrCreateConstantIndexOp(b, op.getLoc(), range.size));
    indices.resize(sizes.size());
    op.getReductionDims(reduced);
  }

  void emit(Operation *combiner);

private:
  Location loc() { return op.getLoc(); }
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc(), value);
  }
  Value multiply(Value lhs, Value rhs) {
    return arith::MulIOp::create(b, loc(), lhs, rhs);
  }

  void setParallelIndices(Value number);
  bool isFlat(OpOperand &operand);
  SmallVector<Value> getPlace(OpOperand &operand, Value &memory);
  Value load(OpOperand &operand);
  void store(OpOperand &output, Value value);
  SmallVector<Value> computeElement(ValueRange sums);
  SmallVector<Value> reduce(unsigned level, ValueRange sums, Value lane);
  Value shareSums(Value sum, Operation *combiner);

  OpBuilder &b;
  linalg::GenericOp op;
  SmallVector<Value> sizes, indices;
  SmallVector<unsigned> reduced;
  /// The number of the output's element among all.
  Value element;
};
} // namespace

/// Indices of the parallel dimensions of element `number`, the last dimension
/// being the fastest.
void KernelBody::setParallelIndices(Value number) {
  element = number;
  Value rest = number;
  SmallVector<unsigned> parallel;
  op.getParallelDims(parallel);
  for (unsigned dim : llvm::reverse(parallel)) {
    if (dim == parallel.front()) {
      indices[dim] = rest;
      break;
    }
    indices[dim] = arith::RemUIOp::create(b, loc(), rest, sizes[dim]);
    rest = arith::DivUIOp::create(b, loc(), rest, sizes[dim]);
  }
}

/// Whether the memory of the operand has its elements in the order of the
/// threads: no index is needed then.
bool KernelBody::isFlat(OpOperand &operand) {
  auto type = dyn_cast<MemRefType>(operand.get().getType());
  return type && type.getRank() > 1 && type.getLayout().isIdentity() &&
         reduced.empty() && op.getMatchingIndexingMap(&operand).isIdentity();
}

/// Indices into `memory`, which is the operand or a view of it.
SmallVector<Value> KernelBody::getPlace(OpOperand &operand, Value &memory) {
  memory = operand.get();
  if (isFlat(operand)) {
    auto type = cast<MemRefType>(memory.getType());
    SmallVector<ReassociationIndices> all(1);
    for (int64_t d = 0; d < type.getRank(); ++d)
      all.front().push_back(d);
    memory = memref::CollapseShapeOp::create(b, loc(), memory, all);
    return {element};
  }
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<Value> place;
  if (map.getNumResults())
    llvm::append_range(place, *affine::expandAffineMap(b, loc(), map, indices));
  return place;
}

Value KernelBody::load(OpOperand &operand) {
  if (!isa<MemRefType>(operand.get().getType()))
    return operand.get();
  Value memory;
  SmallVector<Value> place = getPlace(operand, memory);
  return memref::LoadOp::create(b, loc(), memory, place);
}

void KernelBody::store(OpOperand &output, Value value) {
  Value memory;
  SmallVector<Value> place = getPlace(output, memory);
  memref::StoreOp::create(b, loc(), value, memory, place);
}

/// The body of the operation at the current indices; `sums` are what the
/// outputs hold.
SmallVector<Value> KernelBody::computeElement(ValueRange sums) {
  IRMapping mapping;
  Block &body = *op.getBody();
  for (OpOperand *input : op.getDpsInputOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(input);
    if (!argument.use_empty())
      mapping.map(argument, load(*input));
  }
  for (auto [output, sum] : llvm::zip_equal(op.getDpsInitsMutable(), sums))
    mapping.map(op.getMatchingBlockArgument(&output), sum);
  for (Operation &inner : body.without_terminator()) {
    Operation *copy = b.clone(inner, mapping);
    SmallVector<linalg::IndexOp> found;
    copy->walk([&](linalg::IndexOp index) { found.push_back(index); });
    for (linalg::IndexOp index : found) {
      Value value = indices[index.getDim()];
      if (index == copy)
        mapping.map(inner.getResult(0), value);
      index.replaceAllUsesWith(value);
      index.erase();
    }
  }
  SmallVector<Value> results;
  for (Value value : body.getTerminator()->getOperands())
    results.push_back(mapping.lookupOrDefault(value));
  return results;
}

/// Loops of the reduced dimensions from number `level` on. With a `lane`, the
/// innermost one is shared by a warp.
SmallVector<Value> KernelBody::reduce(unsigned level, ValueRange sums,
                                      Value lane) {
  if (level == reduced.size())
    return computeElement(sums);
  unsigned dim = reduced[level];
  bool shared = lane && level + 1 == reduced.size();
  auto loop =
      scf::ForOp::create(b, loc(), shared ? lane : constant(0), sizes[dim],
                         constant(shared ? warpSize : 1), sums);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  indices[dim] = loop.getInductionVar();
  SmallVector<Value> results =
      reduce(level + 1, loop.getRegionIterArgs(), lane);
  scf::YieldOp::create(b, loc(), results);
  return loop.getResults();
}

/// The sum of all lanes, in each of them.
Value KernelBody::shareSums(Value sum, Operation *combiner) {
  for (int64_t distance = warpSize / 2; distance; distance /= 2) {
    auto shuffle = gpu::ShuffleOp::create(b, loc(), sum, distance, warpSize,
                                          gpu::ShuffleMode::XOR);
    OperationState state(loc(), combiner->getName(),
                         {sum, shuffle.getShuffleResult()}, {sum.getType()},
                         combiner->getAttrs());
    sum = b.create(state)->getResult(0);
  }
  return sum;
}

void KernelBody::emit(Operation *combiner) {
  Value total = constant(combiner ? warpSize : 1);
  SmallVector<unsigned> parallel;
  op.getParallelDims(parallel);
  for (unsigned dim : parallel)
    total = multiply(total, sizes[dim]);
  GridStride stride = getGridStride(b, loc());
  auto loop = scf::ForOp::create(b, loc(), stride.first, total, stride.step);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value number = loop.getInductionVar(), lane;
  if (combiner) {
    lane = arith::RemUIOp::create(b, loc(), number, constant(warpSize));
    number = arith::DivUIOp::create(b, loc(), number, constant(warpSize));
  }
  setParallelIndices(number);
  SmallVector<Value> sums;
  for (OpOperand &output : op.getDpsInitsMutable()) {
    Type type = getElementTypeOrSelf(output.get().getType());
    if (combiner)
      sums.push_back(arith::ConstantOp::create(
          b, loc(), *arith::getNeutralElement(combiner)));
    else if (op.payloadUsesValueFromOperand(&output))
      sums.push_back(load(output));
    else
      sums.push_back(arith::ConstantOp::create(b, loc(), b.getZeroAttr(type)));
  }
  SmallVector<Value> results = reduce(0, sums, lane);
  if (!combiner) {
    for (auto [output, result] :
         llvm::zip_equal(op.getDpsInitsMutable(), results))
      store(output, result);
    return;
  }
  Value sum = shareSums(results.front(), combiner);
  Value isFirst = arith::CmpIOp::create(b, loc(), arith::CmpIPredicate::eq,
                                        lane, constant(0));
  auto branch = scf::IfOp::create(b, loc(), isFirst, /*withElseRegion=*/false);
  b.setInsertionPointToStart(branch.thenBlock());
  OpOperand &output = op.getDpsInitsMutable()[0];
  OperationState state(loc(), combiner->getName(), {load(output), sum},
                       {sum.getType()}, combiner->getAttrs());
  store(output, b.create(state)->getResult(0));
}

/// The operation that adds up, if a warp is to share each sum.
static Operation *getSharedCombiner(linalg::GenericOp op) {
  SmallVector<unsigned> reduced;
  op.getReductionDims(reduced);
  if (reduced.empty() || op.getNumDpsInits() != 1)
    return nullptr;
  int64_t size = op.getStaticLoopRanges()[reduced.back()];
  if (!ShapedType::isDynamic(size) && size < shortReduction)
    return nullptr;
  unsigned last = reduced.back();
  bool contiguous = llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *in) {
    AffineMap map = op.getMatchingIndexingMap(in);
    auto type = dyn_cast<MemRefType>(in->get().getType());
    return type && type.getRank() > 0 && type.isLastDimUnitStride() &&
           map.getResults().back() == getAffineDimExpr(last, op.getContext());
  });
  SmallVector<Operation *> combiners;
  if (!contiguous || !matchReduction(op.getRegionOutputArgs(), 0, combiners) ||
      combiners.size() != 1)
    return nullptr;
  Operation *combiner = combiners.front();
  Type type = combiner->getResult(0).getType();
  bool canShuffle =
      type.isF32() || type.isF64() || type.isInteger(32) || type.isInteger(64);
  return canShuffle && arith::getNeutralElement(combiner) ? combiner : nullptr;
}

/// 'r', 'w' or 'b' for what `op` does with a memref, '-' for a number.
static char getAccess(linalg::GenericOp op, Value value) {
  if (!isa<MemRefType>(value.getType()))
    return '-';
  bool reads = false, writes = false;
  for (OpOperand &operand : op->getOpOperands()) {
    if (operand.get() != value)
      continue;
    bool isOutput = op.isDpsInit(&operand);
    writes |= isOutput;
    reads |= !isOutput || op.payloadUsesValueFromOperand(&operand);
  }
  // What only the body uses is loaded from.
  return writes ? (reads ? 'b' : 'w') : 'r';
}

LinalgKernel buildLinalgKernel(OpBuilder &host, gpu::GPUModuleOp module,
                               linalg::GenericOp op, StringRef name) {
  Location loc = op.getLoc();
  SetVector<Value> used;
  used.insert_range(op->getOperands());
  getUsedValuesDefinedAbove(op->getRegions(), used);
  LinalgKernel kernel;
  SmallVector<Operation *> constants;
  std::string access;
  for (Value value : used) {
    if (matchPattern(value, m_Constant())) {
      constants.push_back(value.getDefiningOp());
      continue;
    }
    kernel.arguments.push_back(value);
    access += getAccess(op, value);
  }

  kernel.function = createKernel(
      module, loc, name, ValueRange(kernel.arguments).getTypes(), access);
  Block &body = kernel.function.getBody().front();
  OpBuilder b = OpBuilder::atBlockBegin(&body);
  IRMapping mapping;
  mapping.map(kernel.arguments,
              body.getArguments().take_front(kernel.arguments.size()));
  for (Operation *constant : constants)
    b.clone(*constant, mapping);
  auto copy = cast<linalg::GenericOp>(b.clone(*op, mapping));
  Operation *combiner = getSharedCombiner(copy);
  KernelBody(b, copy).emit(combiner);
  // From here on `combiner` only says whether warps share.
  copy.erase();
  gpu::ReturnOp::create(b, loc);

  // As many threads as there is work for.
  Value threads =
      arith::ConstantIndexOp::create(host, loc, combiner ? warpSize : 1);
  SmallVector<Range> ranges =
      cast<linalg::LinalgOp>(op.getOperation()).createLoopRanges(host, loc);
  SmallVector<unsigned> parallel;
  op.getParallelDims(parallel);
  for (unsigned dim : parallel)
    threads = host.createOrFold<arith::MulIOp>(
        loc, threads,
        getValueOrCreateConstantIndexOp(host, loc, ranges[dim].size));
  kernel.blocks = getBlocks(host, loc, threads);
  return kernel;
}

} // namespace nibble::codegen::cuda
