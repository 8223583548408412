//===- BufferizableOpInterfaceImpl.cpp - Bufferization --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/BufferizableOpInterfaceImpl.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

using namespace mlir;
using namespace mlir::bufferization;

namespace nibble {
namespace {

/// A constant lives in the weights of the compiled model, which are read-only.
struct ConstantModel
    : public BufferizableOpInterface::ExternalModel<ConstantModel, ConstantOp> {
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto constant = cast<ConstantOp>(op);
    MemRefType type = getType(constant);
    auto weight =
        WeightOp::create(rewriter, op->getLoc(), type, constant.getValueAttr());
    weight->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    replaceOpWithBufferizedValues(rewriter, op, weight.getResult());
    return success();
  }

  FailureOr<BufferLikeType>
  getBufferType(Operation *op, Value value, const BufferizationOptions &options,
                const BufferizationState &state,
                SmallVector<Value> &invocationStack) const {
    return cast<BufferLikeType>(getType(cast<ConstantOp>(op)));
  }

  bool isWritable(Operation *op, Value value,
                  const AnalysisState &state) const {
    return false;
  }

private:
  static MemRefType getType(ConstantOp op) {
    auto type = cast<RankedTensorType>(op.getResult().getType());
    return MemRefType::get(type.getShape(), type.getElementType());
  }
};

/// What reads all its operands and writes none of them.
template <typename Model, typename OpTy>
struct ReadOnlyModel
    : public BufferizableOpInterface::ExternalModel<Model, OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &state) const {
    return true;
  }

  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand,
                               const AnalysisState &state) const {
    return false;
  }

  AliasingValueList getAliasingValues(Operation *op, OpOperand &operand,
                                      const AnalysisState &state) const {
    return {};
  }
};

/// What operations share that read all their operands and write buffers of
/// their own.
template <typename Model, typename OpTy>
struct NewBufferModel : public ReadOnlyModel<Model, OpTy> {
  bool bufferizesToAllocation(Operation *op, Value value) const { return true; }

protected:
  /// The operands of `op` as memrefs, and then its results.
  static LogicalResult createBuffers(OpTy op, RewriterBase &rewriter,
                                     const BufferizationOptions &options,
                                     BufferizationState &state,
                                     SmallVectorImpl<Value> &buffers) {
    Location loc = op.getLoc();
    ReifiedRankedShapedTypeDims shapes;
    if (failed(op.reifyResultShapes(rewriter, shapes)))
      return failure();
    for (Value operand : op->getOperands()) {
      if (!isa<TensorType>(operand.getType())) {
        buffers.push_back(operand);
        continue;
      }
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      buffers.push_back(*buffer);
    }
    for (auto [result, shape] : llvm::zip_equal(op->getResults(), shapes)) {
      auto type = cast<RankedTensorType>(result.getType());
      SmallVector<Value> sizes;
      for (auto [size, extent] : llvm::zip_equal(type.getShape(), shape))
        if (ShapedType::isDynamic(size))
          sizes.push_back(
              getValueOrCreateConstantIndexOp(rewriter, loc, extent));
      auto memref = MemRefType::get(type.getShape(), type.getElementType());
      FailureOr<Value> buffer =
          options.createAlloc(rewriter, loc, memref, sizes);
      if (failed(buffer))
        return op.emitError("cannot allocate a buffer of type ") << memref;
      buffers.push_back(*buffer);
    }
    return success();
  }
};

/// The operation on memrefs; `buffers` are its operands and then one for each
/// of its results, the last operands, which are absent on tensors.
template <typename OpTy>
void createOnBuffers(OpTy op, RewriterBase &rewriter, ArrayRef<Value> buffers) {
  NamedAttrList attributes(op->getAttrs());
  SmallVector<int32_t> segments =
      llvm::to_vector(op.getProperties().operandSegmentSizes);
  llvm::fill(MutableArrayRef(segments).take_back(op->getNumResults()), 1);
  attributes.set(op.getOperandSegmentSizeAttr(),
                 rewriter.getDenseI32ArrayAttr(segments));
  OpTy::create(rewriter, op.getLoc(), TypeRange(), buffers,
               attributes.getAttrs());
}

/// Buffers in the place of results.
template <typename OpTy>
struct FusedModel : public NewBufferModel<FusedModel<OpTy>, OpTy> {
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto fused = cast<OpTy>(op);
    SmallVector<Value> buffers;
    if (failed(this->createBuffers(fused, rewriter, options, state, buffers)))
      return failure();

    createOnBuffers(fused, rewriter, buffers);
    replaceOpWithBufferizedValues(
        rewriter, op, ArrayRef(buffers).take_back(op->getNumResults()));
    return success();
  }
};

/// Attention reads memory with any strides but the innermost one.
struct AttentionModel : public NewBufferModel<AttentionModel, AttentionOp> {
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto attention = cast<AttentionOp>(op);
    SmallVector<Value> buffers;
    if (failed(createBuffers(attention, rewriter, options, state, buffers)))
      return failure();
    for (Value &buffer : buffers) {
      auto type = dyn_cast<MemRefType>(buffer.getType());
      if (!type || type.isLastDimUnitStride())
        continue;
      SmallVector<Value> sizes;
      for (int64_t d = 0; d < type.getRank(); ++d)
        if (type.isDynamicDim(d))
          sizes.push_back(
              memref::DimOp::create(rewriter, op->getLoc(), buffer, d));
      FailureOr<Value> copy = options.createAlloc(
          rewriter, op->getLoc(),
          MemRefType::get(type.getShape(), type.getElementType()), sizes);
      if (failed(copy) ||
          failed(options.createMemCpy(rewriter, op->getLoc(), buffer, *copy)))
        return op->emitError("cannot copy a buffer of type ") << type;
      buffer = *copy;
    }
    createOnBuffers(attention, rewriter, buffers);
    replaceOpWithBufferizedValues(rewriter, op, buffers.back());
    return success();
  }
};

/// Reads its operand and has no result.
struct ObserveModel : public ReadOnlyModel<ObserveModel, ObserveOp> {
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto observe = cast<ObserveOp>(op);
    FailureOr<Value> buffer =
        getBuffer(rewriter, observe.getInput(), options, state);
    if (failed(buffer))
      return failure();
    rewriter.modifyOpInPlace(
        op, [&] { observe.getInputMutable().assign(*buffer); });
    return success();
  }
};

} // namespace

void registerBufferizableOpInterfaceExternalModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, NibbleDialect *) {
    ConstantOp::attachInterface<ConstantModel>(*context);
    MatMulOp::attachInterface<FusedModel<MatMulOp>>(*context);
    ConvOp::attachInterface<FusedModel<ConvOp>>(*context);
    GatherOp::attachInterface<FusedModel<GatherOp>>(*context);
    QuantizeDynamicOp::attachInterface<FusedModel<QuantizeDynamicOp>>(*context);
    QuantizeOutliersOp::attachInterface<FusedModel<QuantizeOutliersOp>>(
        *context);
    MatMulOutliersOp::attachInterface<FusedModel<MatMulOutliersOp>>(*context);
    ObserveOp::attachInterface<ObserveModel>(*context);
    MatMulIntegerOp::attachInterface<FusedModel<MatMulIntegerOp>>(*context);
    ConvIntegerOp::attachInterface<FusedModel<ConvIntegerOp>>(*context);
    AttentionOp::attachInterface<AttentionModel>(*context);
  });
}

} // namespace nibble
