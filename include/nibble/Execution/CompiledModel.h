//===- CompiledModel.h - Run what was just compiled -------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_EXECUTION_COMPILEDMODEL_H
#define NIBBLE_EXECUTION_COMPILEDMODEL_H

#include "nibble/Runtime/nibble.h"
#include "nibble/Target/Emit.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <memory>

namespace nibble {

/// A dense tensor over memory of the caller; `data` and `dims` must live as
/// long as it is used.
template <typename T>
nibble_tensor makeTensor(llvm::ArrayRef<T> data, llvm::ArrayRef<int64_t> dims,
                         int32_t dtype) {
  nibble_tensor tensor = {};
  tensor.data = const_cast<T *>(data.data());
  tensor.bytes = data.size() * sizeof(T);
  tensor.dtype = dtype;
  tensor.rank = static_cast<int32_t>(dims.size());
  tensor.dims = dims.data();
  return tensor;
}
inline nibble_tensor makeTensor(llvm::ArrayRef<float> data,
                                llvm::ArrayRef<int64_t> dims) {
  return makeTensor(data, dims, NIBBLE_FLOAT);
}
inline nibble_tensor makeTensor(llvm::ArrayRef<int64_t> data,
                                llvm::ArrayRef<int64_t> dims) {
  return makeTensor(data, dims, NIBBLE_INT64);
}

/// A model that the compiler runs itself: in tests, and to calibrate. It is an
/// ordinary shared object, so what runs here is what users get.
class CompiledModel {
public:
  /// Make a binary of a module in the llvm dialect, in a temporary file that is
  /// gone when this returns, and load it. Errors of the compilation are
  /// reported at the module; those of loading too. `threads` of a run; 0: all.
  static mlir::FailureOr<std::unique_ptr<CompiledModel>>
  compile(mlir::ModuleOp module, const target::ModelInfo &info,
          const target::WeightLayout &layout, const target::CpuTarget &target,
          int32_t threads = 0);

  /// Load a binary.
  static llvm::Expected<std::unique_ptr<CompiledModel>>
  load(llvm::StringRef path, int32_t threads = 0);

  CompiledModel(const CompiledModel &) = delete;
  CompiledModel &operator=(const CompiledModel &) = delete;
  ~CompiledModel();

  const nibble_model *getModel() const { return model; }
  nibble_context *getContext() const { return context; }

  /// Run once; inputs as for nibble_run. The results are valid until the next
  /// run. The error is the text of nibble_last_error.
  llvm::Expected<llvm::ArrayRef<nibble_tensor>>
  run(llvm::ArrayRef<nibble_tensor> inputs);

  /// Elements of a result.
  template <typename T>
  static llvm::ArrayRef<T> elements(const nibble_tensor &tensor) {
    return {static_cast<const T *>(tensor.data), tensor.bytes / sizeof(T)};
  }

private:
  CompiledModel() = default;

  nibble_model *model = nullptr;
  nibble_context *context = nullptr;
  llvm::SmallVector<nibble_tensor> outputs;
};

} // namespace nibble

#endif // NIBBLE_EXECUTION_COMPILEDMODEL_H
