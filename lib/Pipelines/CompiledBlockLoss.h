//===- CompiledBlockLoss.h - The error of a block, compiled -----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_PIPELINES_COMPILEDBLOCKLOSS_H
#define NIBBLE_LIB_PIPELINES_COMPILEDBLOCKLOSS_H

#include "PieceRunner.h"
#include "nibble/Calibration/BlockRunner.h"
#include "nibble/Dialect/ONNX/Transforms/OutlineLoss.h"
#include <map>

namespace nibble {

/// The model before it was quantized or its operators were lowered, in the onnx
/// dialect, and which of its values are those of a later phase. Operators are
/// found by their names, which operations of the Nibble dialect keep.
class FloatModel {
public:
  explicit FloatModel(mlir::func::FuncOp entry);

  /// What `value`, which a later phase computes in the same place, is here;
  /// null if that is not known.
  mlir::Value find(mlir::Value value) const;
  /// The operator that a layer was made from; null if that is not known.
  mlir::Operation *findLayer(QuantizableOpInterface op) const;

private:
  mlir::Operation *lookup(llvm::StringRef name) const {
    return operators.lookup(name);
  }

  mutable mlir::func::FuncOp entry;
  llvm::StringMap<mlir::Operation *> operators;
};

/// What one loss needs of a runner.
struct BlockLossInput {
  /// A batch: what begins the block, by value of the float model, and what the
  /// block should compute.
  struct Batch {
    /// Null for inputs of the model whose values are not kept, but whose sizes
    /// matter.
    llvm::MapVector<mlir::Value, calibration::StateStore::TensorRef> states;
    llvm::DenseMap<mlir::Value, llvm::SmallVector<int64_t, 4>> sizes;
    calibration::StateStore::TensorRef target;
  };
  std::vector<Batch> batches;
  mlir::Value result;
  llvm::SmallVector<mlir::Operation *> layers, others;
};

class CompiledBlockLoss : public calibration::BlockLoss {
public:
  /// `runner` and `store` outlive it.
  CompiledBlockLoss(BlockLossInput input, PieceRunner &runner,
                    calibration::StateStore &store)
      : input(std::move(input)), runner(runner), store(store) {}

  /// Builds the derivatives for the sizes of one batch; the text is the same
  /// for blocks that are the same code.
  llvm::Expected<llvm::StringRef> prepare(unsigned batch);

  llvm::Expected<double>
  compute(llvm::ArrayRef<unsigned> batches,
          llvm::ArrayRef<llvm::ArrayRef<float>> weights,
          llvm::ArrayRef<llvm::MutableArrayRef<float>> gradients) override;

private:
  struct Function {
    onnx::LossFunction loss;
    /// Bytes of the arguments that are constants, aligned.
    std::vector<std::vector<float>> constants;
  };
  using Sizes = std::vector<llvm::SmallVector<int64_t, 4>>;

  llvm::Expected<Function *> getFunction(unsigned batch);
  llvm::Expected<double>
  run(unsigned batch, llvm::ArrayRef<llvm::ArrayRef<float>> weights,
      llvm::ArrayRef<llvm::MutableArrayRef<float>> gradients, bool isFirst);

  BlockLossInput input;
  PieceRunner &runner;
  calibration::StateStore &store;
  /// By the sizes of what begins the block.
  std::map<Sizes, Function> functions;
};

} // namespace nibble

#endif // NIBBLE_LIB_PIPELINES_COMPILEDBLOCKLOSS_H
