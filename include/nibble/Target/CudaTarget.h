//===- CudaTarget.h - The GPUs to compile for -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TARGET_CUDATARGET_H
#define NIBBLE_TARGET_CUDATARGET_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace nibble::target {

/// A GPU as --chip names it, and what making code for it takes.
/// Source: PTX ISA, "Release Notes"; CUDA Toolkit Release Notes.
struct CudaChip {
  llvm::StringLiteral name;
  unsigned number;  ///< 90 for sm_90
  bool exact;       ///< sm_90a: its code runs on sm_90 and on nothing else
  unsigned ptx;     ///< version of PTX: 80 for 8.0
  unsigned toolkit; ///< oldest ptxas: 12000 for 12.0
  unsigned getMajor() const { return number / 10; }
};

/// The chips of "sm_90,sm_80", in this order. The error says what is wrong with
/// which of them: unknown, older than sm_80, named twice.
llvm::Expected<std::vector<const CudaChip *>> parseCudaChips(llvm::StringRef);

/// What --chip takes if it is not given: code for it runs on all that can run
/// models at all, for newer ones the driver compiles its PTX.
inline constexpr llvm::StringLiteral defaultCudaChip = "sm_80";

/// The assembler of an installed CUDA toolkit.
class CudaToolkit {
public:
  /// Find ptxas: in $CUDA_HOME/bin or $CUDA_PATH/bin if one of them is set,
  /// else where CMake found it, else in $PATH and /usr/local/cuda. Error: there
  /// is none, or it is too old for one of `chips`; the message says which
  /// version is needed.
  static mlir::FailureOr<CudaToolkit>
  find(llvm::ArrayRef<const CudaChip *> chips,
       llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

  /// 13000 for CUDA 13.0.
  unsigned getVersion() const { return version; }
  /// The folder with bin/ptxas, for the library of functions beside it.
  const std::string &getRoot() const { return root; }

  /// Assemble PTX (without a zero at its end) to a cubin. `resources` is what
  /// `ptxas -v` says about registers and spills. Error: what ptxas says.
  mlir::FailureOr<std::string>
  assemble(llvm::StringRef ptx, const CudaChip &chip, std::string &resources,
           llvm::function_ref<mlir::InFlightDiagnostic()> emitError) const;

private:
  std::string ptxas, root;
  unsigned version = 0;
};

/// One form of the kernels of a model.
struct DeviceImage {
  const CudaChip *chip = nullptr;
  bool isPTX = false;
  /// Oldest driver that takes it: 12040 for CUDA 12.4.
  unsigned driver = 0;
  std::string data;
};

/// A kernel, as nibble_device_kernel has it.
struct DeviceKernel {
  std::string name, parameters;
  uint64_t sharedBytes = 0;
};

/// What a module has for GPUs: the images of its `gpu.binary`, which
/// nibble-serialize-kernels made, and `nibble.kernels`.
struct DeviceCode {
  std::vector<DeviceImage> images;
  std::vector<DeviceKernel> kernels;
  /// First bytes of the weights, which kernels read.
  uint64_t weightBytes = 0;

  bool empty() const { return images.empty(); }
  /// Empty if the module has no kernels.
  static mlir::FailureOr<DeviceCode> fromModule(mlir::ModuleOp module);
};

} // namespace nibble::target

#endif // NIBBLE_TARGET_CUDATARGET_H
