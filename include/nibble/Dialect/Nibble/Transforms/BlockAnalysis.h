//===- BlockAnalysis.h - Blocks and stages of a model -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where a model can be cut, so that methods quantize it piece by piece. Nothing
// is known of names or of kinds of models: what counts is which values are live
// between two layers.
//
// Values are *light* if no product is needed to compute them: masks, tables of
// rotary embeddings, sizes, converted inputs. They depend on the inputs of the
// model alone, and every piece computes those that it needs again. All others,
// and what stages read, are *carried* from piece to piece.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_BLOCKANALYSIS_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_BLOCKANALYSIS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

namespace nibble {

/// Of a layer, as `nibble-annotate-blocks` leaves it: numbers of its block and
/// of its stage, both counted from the begin of the model.
inline constexpr llvm::StringLiteral blockAttrName = "nibble.block";
inline constexpr llvm::StringLiteral stageAttrName = "nibble.stage";

/// Of a copy of an operation with a quantizable weight: its number in the order
/// of a walk of the module that was copied.
inline constexpr llvm::StringLiteral operationAttrName = "nibble.operation";

class BlockAnalysis {
public:
  /// Layers that read one activation in the same way: the same value and, for
  /// convolutions, the same windows.
  struct Stage {
    mlir::Value activation;
    llvm::SmallVector<QuantizableOpInterface> layers;
    int64_t columns = 0, groups = 1;
    unsigned block = 0;
  };

  /// A place between two operations of the body.
  struct Cut {
    /// The operation behind it.
    mlir::Operation *before = nullptr;
    /// The stage whose activations are complete here, and none of whose layers
    /// has been computed; -1 where a block begins, or the last one ends.
    int64_t stage = -1;
    /// The block that begins here or that the stage belongs to. The number of
    /// blocks at the end.
    unsigned block = 0;
    /// Carried values that operations behind the cut read, in the order of
    /// their definitions: arguments of the function first.
    llvm::SmallVector<mlir::Value> live;
  };

  /// Finds the stages of the layers with a request, or of all layers if none
  /// has one. Layers in the body of another operation belong to no stage.
  explicit BlockAnalysis(mlir::func::FuncOp function);

  llvm::ArrayRef<Stage> getStages() const { return stages; }
  unsigned getNumBlocks() const { return numBlocks; }
  /// From the begin of the function on: where the first block begins, its
  /// stages, where the second begins, and so on to the end of the last. Of two
  /// cuts before the first stage the first is the begin of the function: an
  /// embedding lies between them.
  llvm::ArrayRef<Cut> getCuts() const { return cuts; }
  /// The end of the function, where the floats that it returns are live: those
  /// that come from operations behind the first of the last stage's layers, keys
  /// and values for later tokens not among them.
  Cut getEnd() const;

  /// True if `value` is passed from piece to piece: an argument, what stages
  /// read, and all that is not light or trivial.
  bool isCarried(mlir::Value value) const;
  /// True if what `op` reads can be computed from the arguments without a
  /// product.
  bool dependsOnInputsOnly(mlir::Operation *op) const;
  /// Values from outside of `op` that it, or an operation in its regions,
  /// reads.
  static llvm::SmallVector<mlir::Value> getReads(mlir::Operation *op);

private:
  using Roots = llvm::SmallSetVector<mlir::Value, 4>;

  void findStages();
  void classify();
  const Roots &getRoots(mlir::Value value) const;
  void computeLiveness();
  llvm::SmallVector<mlir::Value> getLive(int64_t position) const;
  int64_t countLive(int64_t position) const;
  int64_t findNarrowest(int64_t first, int64_t last) const;
  llvm::SmallVector<int64_t> findBegins(int64_t first) const;
  int64_t findPrologue();
  void makeCuts(llvm::ArrayRef<int64_t> begins);

  mlir::func::FuncOp function;
  llvm::SmallVector<mlir::Operation *> order;
  llvm::DenseMap<mlir::Operation *, int64_t> positions;
  llvm::SmallVector<Stage> stages;
  /// Position of the first layer of each stage.
  llvm::SmallVector<int64_t> stagePositions;
  llvm::SmallVector<Cut> cuts;
  unsigned numBlocks = 0;

  llvm::DenseSet<mlir::Value> activations;
  /// Operations that are not light.
  llvm::DenseSet<mlir::Operation *> placed;
  /// Light operations whose results are carried nevertheless.
  llvm::DenseSet<mlir::Operation *> seeds;
  mutable llvm::DenseMap<mlir::Value, Roots> roots;
  struct Range {
    mlir::Value value;
    /// The value is there behind position `first` and read up to `last`.
    int64_t first, last;
  };
  llvm::SmallVector<Range> ranges;
};

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_BLOCKANALYSIS_H
