//===- PassProgress.h - The progress of a pass manager ----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_PASSPROGRESS_H
#define NIBBLE_SUPPORT_PASSPROGRESS_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "nibble/Support/Progress.h"

namespace nibble {

/// Shows the passes of `pm` on `progress` while this lives: one step for each
/// pass of its first level, which the pass may refine with `reportProgress`.
/// Diagnostics that are printed meanwhile get a line of their own.
class PassProgress {
public:
  /// `weigh` gives the weight of a pass by its argument; null: all weigh 1.
  PassProgress(mlir::PassManager &pm, Progress &progress,
               std::function<double(llvm::StringRef)> weigh = nullptr);

private:
  Progress::Scope scope;
  mlir::ScopedDiagnosticHandler diagnostics;
};

} // namespace nibble

#endif // NIBBLE_SUPPORT_PASSPROGRESS_H
