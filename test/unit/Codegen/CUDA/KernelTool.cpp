//===- KernelTool.cpp - Prints a CUDA kernel ------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For lit: builds the kernel that the options describe and prints it as it was
// built, or as PTX.
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"
#include "nibble/Quantizer/Codebook.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace nibble;
using namespace nibble::codegen::cuda;

static cl::opt<std::string>
    kernel("kernel", cl::init("gemv"),
           cl::desc("gemv, gemm, rms-norm, softmax, attention"));
static cl::opt<std::string> emit("emit", cl::init("ptx"),
                                 cl::desc("mlir, ptx"));
static cl::opt<std::string> chip("chip", cl::init("sm_80"));
static cl::opt<int64_t> n("n", cl::init(4096)), k("k", cl::init(4096)),
    group("group", cl::init(128)), rows("rows", cl::init(1)),
    warps("warps", cl::init(8)), splits("splits", cl::init(1));
static cl::opt<unsigned> bits("bits", cl::init(4));
static cl::opt<FloatKind>
    type("type", cl::init(FloatKind::F16), cl::desc("type of activations"),
         cl::values(clEnumValN(FloatKind::F32, "f32", ""),
                    clEnumValN(FloatKind::F16, "f16", ""),
                    clEnumValN(FloatKind::BF16, "bf16", "")));
static cl::opt<ZeroKind>
    zero("zero", cl::init(ZeroKind::None), cl::desc("kind of zero points"),
         cl::values(clEnumValN(ZeroKind::None, "none", ""),
                    clEnumValN(ZeroKind::Integer, "integer", ""),
                    clEnumValN(ZeroKind::Float, "float", ""),
                    clEnumValN(ZeroKind::Minimum, "minimum", "")));
static cl::opt<bool> nf4("nf4", cl::desc("codes are numbers of NF4's values"));

static cl::opt<bool> bytes("bytes", cl::desc("tensor cores of bytes"));

static KernelWeight getWeight() {
  KernelWeight weight;
  weight.layout.n = n;
  weight.layout.k = k;
  weight.layout.bits = bits;
  weight.group = group;
  if (bytes)
    weight.layout.fragment = Fragment::Byte;
  weight.zero = zero;
  if (nf4)
    weight.table = quantizer::getCodebookValues(quantizer::Codebook::NF4);
  return weight;
}

static bool build(mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module) {
  if (kernel == "gemv") {
    GemvKernelOptions options;
    options.weight = getWeight();
    options.input = options.output = type;
    options.rowsPerBlock = rows;
    options.warps = warps;
    buildGemvKernel(builder, module, options);
    return true;
  }
  if (kernel == "gemm") {
    GemmKernelOptions options;
    options.weight = getWeight();
    options.input = options.output = type;
    options.rowsPerBlock = rows;
    options.splits = splits;
    if (StringRef obstacle = getGemmObstacle(options); !obstacle.empty()) {
      errs() << obstacle << "\n";
      return false;
    }
    buildGemmKernel(builder, module, options);
    return true;
  }
  if (kernel == "rms-norm" || kernel == "softmax") {
    RowKernelOptions options;
    options.function =
        kernel == "softmax" ? RowFunction::Softmax : RowFunction::RMSNorm;
    options.n = n;
    options.input = options.output = type;
    options.weight = kernel != "softmax";
    options.warps = warps;
    buildRowKernel(builder, module, options);
    return true;
  }
  if (kernel == "attention") {
    AttentionKernelOptions options;
    options.heads = 8;
    options.keyHeads = 2;
    options.headSize = k;
    options.type = type;
    options.splits = splits;
    buildAttentionKernel(builder, module, options);
    return true;
  }
  return false;
}

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv);
  test::KernelModule module;
  mlir::OpBuilder builder = module.builder();
  if (!build(builder, module.get())) {
    errs() << "no such kernel: " << kernel << "\n";
    return 1;
  }
  if (emit == "mlir") {
    outs() << module.print();
    return 0;
  }
  Expected<std::string> ptx = module.toPtx(chip);
  if (!ptx) {
    errs() << toString(ptx.takeError()) << "\n";
    return 1;
  }
  outs() << *ptx;
  return 0;
}
