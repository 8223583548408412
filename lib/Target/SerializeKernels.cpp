//===- SerializeKernels.cpp - Kernels as PTX and machine code -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/GPU/IR/CompilationInterfaces.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "nibble/Codegen/CUDA/Passes.h"
#include "nibble/Target/CudaTarget.h"
#include "nibble/Target/Passes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::target;

namespace nibble::target {
#define GEN_PASS_DEF_NIBBLESERIALIZEKERNELS
#include "nibble/Target/Target.h.inc"
} // namespace nibble::target

/// The driver that takes PTX of this version: the one of the toolkit that
/// brought it.
static unsigned getPTXDriver(const CudaChip &chip) { return chip.toolkit; }

namespace {
struct SerializeKernels
    : public nibble::target::impl::NibbleSerializeKernelsBase<
          SerializeKernels> {
  using Base::Base;

  void runOnOperation() override {
    auto kernels = getOperation().lookupSymbol<gpu::GPUModuleOp>(
        codegen::cuda::kernelModuleName);
    if (!kernels)
      return;
    auto emitError = [&] { return getOperation().emitError(); };
    llvm::Expected<std::vector<const CudaChip *>> list = parseCudaChips(chips);
    if (!list) {
      emitError() << llvm::toString(list.takeError());
      return signalPassFailure();
    }
    FailureOr<CudaToolkit> toolkit = CudaToolkit::find(*list, emitError);
    if (failed(toolkit))
      return signalPassFailure();

    // PTX of the newest chip that others can follow is for those not known yet.
    const CudaChip *newest = list->front();
    for (const CudaChip *chip : *list)
      if (std::make_pair(!chip->exact, chip->number) >
          std::make_pair(!newest->exact, newest->number))
        newest = chip;

    SmallVector<Attribute> objects;
    for (const CudaChip *chip : *list) {
      FailureOr<std::string> ptx = translate(kernels, *chip, *toolkit);
      if (failed(ptx))
        return signalPassFailure();
      std::string resources;
      FailureOr<std::string> cubin =
          toolkit->assemble(*ptx, *chip, resources, emitError);
      if (failed(cubin))
        return signalPassFailure();
      if (printResources)
        getOperation().emitRemark() << chip->name << ":\n" << resources;
      // Machine code is for drivers of the assembler's major version.
      objects.push_back(makeObject(*chip, gpu::CompilationTarget::Binary,
                                   toolkit->getVersion() / 1000 * 1000,
                                   *cubin));
      ++numCubins;
      if (chip == newest)
        objects.push_back(makeObject(*chip, gpu::CompilationTarget::Assembly,
                                     getPTXDriver(*chip),
                                     StringRef(ptx->c_str(), ptx->size() + 1)));
    }
    OpBuilder builder(kernels);
    gpu::BinaryOp::create(builder, kernels.getLoc(), kernels.getName(),
                          /*offloadingHandler=*/Attribute(), objects);
    kernels.erase();
  }

private:
  Attribute getTarget(const CudaChip &chip) {
    // Without a version LLVM takes one that is too old for the chip, and
    // aborts.
    return NVVM::NVVMTargetAttr::get(&getContext(), /*optLevel=*/3,
                                     "nvptx64-nvidia-cuda", chip.name,
                                     llvm::formatv("+ptx{0}", chip.ptx).str());
  }

  FailureOr<std::string> translate(gpu::GPUModuleOp kernels,
                                   const CudaChip &chip,
                                   const CudaToolkit &toolkit) {
    auto target = cast<gpu::TargetAttrInterface>(getTarget(chip));
    gpu::TargetOptions options(toolkit.getRoot(), /*librariesToLink=*/{},
                               /*cmdOptions=*/"", /*elfSection=*/"",
                               gpu::CompilationTarget::Assembly);
    std::optional<SmallVector<char, 0>> ptx =
        target.serializeToObject(kernels, options);
    if (!ptx)
      return kernels.emitError()
             << "the kernels can't be translated for " << chip.name;
    StringRef text(ptx->data(), ptx->size());
    text.consume_back(StringRef("\0", 1));
    return text.str();
  }

  Attribute makeObject(const CudaChip &chip, gpu::CompilationTarget format,
                       unsigned driver, StringRef data) {
    Builder b(&getContext());
    auto properties = b.getDictionaryAttr(
        {b.getNamedAttr("chip", b.getStringAttr(chip.name)),
         b.getNamedAttr("driver", b.getI32IntegerAttr(driver))});
    return gpu::ObjectAttr::get(&getContext(), getTarget(chip), format,
                                b.getStringAttr(data), properties,
                                /*kernels=*/nullptr);
  }
};
} // namespace
