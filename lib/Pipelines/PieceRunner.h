//===- PieceRunner.h - Compile and run outlined pieces -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_PIPELINES_PIECERUNNER_H
#define NIBBLE_LIB_PIPELINES_PIECERUNNER_H

#include "nibble/Calibration/StateStore.h"
#include "nibble/Dialect/Nibble/Transforms/OutlinePiece.h"
#include "nibble/Execution/CompiledModel.h"
#include "nibble/Pipelines/CompileOptions.h"
#include <list>
#include <string>
#include <vector>

namespace nibble {

/// Compiles pieces, equal ones once, and runs them with the weights that layers
/// have.
class PieceRunner {
public:
  using Weights = llvm::DenseMap<mlir::Operation *, llvm::ArrayRef<float>>;

  PieceRunner(unsigned threads, std::string compute)
      : threads(threads), compute(std::move(compute)) {}

  /// A copy of `weight`, row-major, in place of the one that the operation has.
  void setWeight(mlir::Operation *op, llvm::ArrayRef<float> weight) {
    replaced[op].assign(weight.begin(), weight.end());
  }
  void dropWeight(mlir::Operation *op) { replaced.erase(op); }
  /// The weight that a layer has now, [rows, columns]; empty if it can't be
  /// read.
  std::vector<float> getWeight(QuantizableOpInterface op) const;

  /// Compiles a piece and packs its weights; `own` go before those that were
  /// set. Nothing to do for an empty piece.
  llvm::Error prepare(const Piece &piece, const Weights &own = Weights());
  /// The same with the weights of the model.
  llvm::Error prepareOriginal(const Piece &piece);

  /// Compiles a module that has reached a phase, equal ones (by `text`) once.
  /// The pointer is valid until some other modules were compiled.
  llvm::Expected<CompiledModel *>
  compile(mlir::ModuleOp module, const std::string &text, Phase reached);

  /// Runs the piece that was prepared last. The results are valid until the
  /// next run of any piece.
  llvm::Expected<llvm::ArrayRef<nibble_tensor>>
  run(const Piece &piece,
      const llvm::DenseMap<mlir::Value, calibration::StateStore::TensorRef>
          &states,
      calibration::StateStore &store);

private:
  /// Memory of one constant: its own, or that of the constant.
  struct Constant {
    std::vector<float> packed;
    std::vector<char> bytes;
    llvm::SmallVector<int64_t, 4> dims;
    nibble_tensor tensor = {};
  };

  llvm::Error prepareConstant(const Piece::Argument &argument, mlir::Type type,
                              llvm::ArrayRef<float> replacement,
                              Constant &result);
  using FindWeightFn =
      llvm::function_ref<llvm::ArrayRef<float>(mlir::Operation *)>;
  llvm::Error prepare(const Piece &piece, FindWeightFn findWeight);

  unsigned threads;
  std::string compute;
  llvm::DenseMap<mlir::Operation *, std::vector<float>> replaced;
  /// The last ones used first.
  std::list<std::pair<std::string, std::unique_ptr<CompiledModel>>> compiled;
  CompiledModel *current = nullptr;
  std::vector<Constant> constants;
};

} // namespace nibble

#endif // NIBBLE_LIB_PIPELINES_PIECERUNNER_H
