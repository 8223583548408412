//===- ModelInfo.h - What a binary says about its model ---------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TARGET_MODELINFO_H
#define NIBBLE_TARGET_MODELINFO_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace nibble::target {

/// One input or output as users see it.
struct TensorInfo {
  std::string name;
  /// ONNX's TensorProto.DataType.
  int32_t dtype = 0;
  /// -1 where any size will do.
  std::vector<int64_t> dims;
  /// One per dimension, "" where it has no name.
  std::vector<std::string> dimNames;
};

/// A layer that can be profiled: nibble_rt_profile_begin takes its index.
struct LayerInfo {
  std::string name;
  /// Weight bytes that one call reads.
  uint64_t bytes = 0;
};

/// An input and an output that are one buffer of the context; see
/// nibble_cache_info.
struct CacheInfo {
  int32_t input = 0, output = 0, axis = 0;
  bool grows = true;
};

/// The metadata of a compiled model.
struct ModelInfo {
  std::string entry;
  std::vector<TensorInfo> inputs, outputs;
  std::vector<LayerInfo> layers;
  /// By their numbers. Their outputs are no results of the entry: the runtime
  /// hands them out.
  std::vector<CacheInfo> caches;

  /// Read the entry function while it still has tensor or memref types: shapes
  /// and types from the signature, and of arguments and results the attributes
  /// `onnx.name`, `onnx.dim_names` (array of strings) and `onnx.elem_type`
  /// (ONNX number; else what the element type says). A leading argument marked
  /// `nibble.weights` is not an input. Arguments with `nibble.kept_cache`
  /// describe outputs too (nibble/Dialect/Nibble/IR/Caches.h). Errors: an
  /// unranked shape, an element type that a run-time tensor can't have.
  static mlir::FailureOr<ModelInfo> get(mlir::func::FuncOp entry);

  /// The info travels through the lowering as the module's attribute
  /// `nibble.model_info`, so that a compile can stop and start at any phase.
  void attachTo(mlir::ModuleOp module) const;
  /// Read `nibble.model_info` and the profiled layers, `nibble.layers = [{name
  /// = "conv1", bytes = 1024}, ...]`. Error: missing or malformed.
  static mlir::FailureOr<ModelInfo> fromModule(mlir::ModuleOp module);
};

/// The layer with this name in the module's `nibble.layers`, appended when it
/// is new; returns its index, the argument of nibble_rt_profile_begin.
int32_t addProfiledLayer(mlir::ModuleOp module, llvm::StringRef name,
                         uint64_t bytes);

} // namespace nibble::target

#endif // NIBBLE_TARGET_MODELINFO_H
