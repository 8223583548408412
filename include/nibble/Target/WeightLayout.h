//===- WeightLayout.h - Where the weights of a binary lie -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TARGET_WEIGHTLAYOUT_H
#define NIBBLE_TARGET_WEIGHTLAYOUT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace nibble::target {

/// Receives bytes in order.
using ByteSink = llvm::function_ref<void(llvm::ArrayRef<char>)>;

/// One weight. `produce` hands its bytes to the sink, in as many pieces as it
/// likes, so that no more than one weight is ever in memory. It reports its own
/// errors.
struct WeightBlob {
  uint64_t offset = 0;
  uint64_t size = 0;
  std::function<mlir::LogicalResult(ByteSink)> produce;
};

/// The weights of a model: blobs at increasing offsets; gaps are zero.
struct WeightLayout {
  std::vector<WeightBlob> blobs;
  uint64_t size = 0;

  /// Hand all bytes to the sink: blobs and gaps, `size` bytes in total. Error:
  /// a blob that fails, overlaps, or gives fewer or more bytes than it said.
  mlir::LogicalResult
  produce(ByteSink sink,
          llvm::function_ref<mlir::InFlightDiagnostic()> emitError) const;

  /// The layout that nibble-place-weights left in the module: the attribute
  /// `nibble.weights = [{value = ..., offset = 0 : i64}, ...]`. Empty without
  /// the attribute.
  static mlir::FailureOr<WeightLayout> fromModule(mlir::ModuleOp module);
};

/// Bytes of one weight are aligned to this, the width of a cache line.
inline constexpr uint64_t weightAlignment = 64;

/// Write an ELF object whose one read-only, page-aligned section holds the
/// weights, under a hidden symbol. With `large`, a section that code may be
/// further than 2 GB away from (x86-64 psABI, medium code model). Weights go
/// straight to the file: at most one of them is in memory. Messages call the
/// file `output`, since `path` is a temporary name.
/// Source: System V ABI, chapters 4 and 5 (object files).
mlir::LogicalResult
writeWeightsObject(const WeightLayout &layout, llvm::StringRef symbol,
                   llvm::StringRef path, llvm::StringRef output, bool large,
                   llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// Write an object that only reserves the space of the weights, as the last
/// pages of a program: the linker need not copy them. Linked together with
/// `weightsPlacement`, a linker script.
mlir::LogicalResult
writeWeightsPlace(const WeightLayout &layout, llvm::StringRef symbol,
                  llvm::StringRef path, llvm::StringRef output,
                  llvm::function_ref<mlir::InFlightDiagnostic()> emitError);
extern const llvm::StringLiteral weightsPlacement;

/// Append the weights to the linked file `path`, where such an object reserved
/// space for them. Returns their hash.
mlir::FailureOr<uint64_t>
appendWeights(const WeightLayout &layout, llvm::StringRef path,
              llvm::StringRef output,
              llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// Write a sidecar file (nibble_sidecar_header, then the weights), likewise.
/// Returns the hash of the weights.
mlir::FailureOr<uint64_t>
writeWeightsSidecar(const WeightLayout &layout, llvm::StringRef path,
                    llvm::StringRef output,
                    llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

} // namespace nibble::target

#endif // NIBBLE_TARGET_WEIGHTLAYOUT_H
