//===- PassProgress.cpp - The progress of a pass manager ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/PassProgress.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"

using namespace mlir;
using namespace nibble;

namespace {
class Instrumentation : public PassInstrumentation {
public:
  Instrumentation(Progress &progress,
                  std::function<double(llvm::StringRef)> weigh)
      : progress(progress), weigh(std::move(weigh)) {}

  void runBeforePass(Pass *pass, Operation *op) override {
    // Operations inside the root may be worked on by other threads.
    if (!op->getParentOp() && depth++ == 0)
      progress.beginStep(weigh(pass->getArgument()), pass->getName());
  }
  void runAfterPass(Pass *, Operation *op) override {
    if (!op->getParentOp())
      --depth;
  }
  void runAfterPassFailed(Pass *pass, Operation *op) override {
    runAfterPass(pass, op);
    progress.clear();
  }

private:
  Progress &progress;
  std::function<double(llvm::StringRef)> weigh;
  int depth = 0;
};
} // namespace

PassProgress::PassProgress(PassManager &pm, Progress &progress,
                           std::function<double(llvm::StringRef)> weigh)
    : scope(progress), diagnostics(pm.getContext(), [&progress](Diagnostic &) {
        // The handler before this one prints it.
        progress.clear();
        return failure();
      }) {
  if (!weigh)
    weigh = [](llvm::StringRef) { return 1.0; };
  double total = 0;
  for (Pass &pass : pm.getPasses())
    total += weigh(pass.getArgument());
  progress.start(total);
  pm.addInstrumentation(std::make_unique<Instrumentation>(progress, weigh));
}
