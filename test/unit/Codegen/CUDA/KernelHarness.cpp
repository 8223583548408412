//===- KernelHarness.cpp - Kernels as PTX, and run on the host
//--------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"
#include "PtxAlu.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/IR/Verifier.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "nibble/Quantizer/Scheme.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::codegen::cuda;
using namespace nibble::test;

static DialectRegistry getRegistry() {
  DialectRegistry registry;
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registerAllToLLVMIRTranslations(registry);
  return registry;
}

KernelModule::KernelModule() : context(getRegistry()) {
  context.disableMultithreading();
  context.loadAllAvailableDialects();
  OpBuilder builder(&context);
  Location loc = builder.getUnknownLoc();
  module = ModuleOp::create(loc);
  builder.setInsertionPointToStart(module->getBody());
  gpuModule = gpu::GPUModuleOp::create(builder, loc, "kernels");
}

std::string KernelModule::print() {
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  return text;
}

llvm::Expected<std::string> KernelModule::toPtx(StringRef chip) {
  if (failed(verify(*module)))
    return llvm::createStringError("the kernel does not verify");
  PassManager passes(&context);
  OpPassManager &kernels = passes.nest<gpu::GPUModuleOp>();
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(createConvertGpuOpsToNVVMOps());
  kernels.addPass(createConvertVectorToLLVMPass());
  kernels.addPass(createArithToLLVMConversionPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());
  if (failed(passes.run(*module)))
    return llvm::createStringError("the kernel does not lower");

  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> llvmModule =
      translateModuleToLLVMIR(gpuModule, llvmContext);
  if (!llvmModule)
    return llvm::createStringError("the kernel does not become LLVM IR");
  static bool initialized = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return llvm::createStringError(error);
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, chip, "+ptx80", {}, std::nullopt, std::nullopt,
      llvm::CodeGenOptLevel::Aggressive));
  llvmModule->setTargetTriple(triple);
  llvmModule->setDataLayout(machine->createDataLayout());

  llvm::PassBuilder builder(machine.get());
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(*llvmModule, modules);

  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager emit;
  if (machine->addPassesToEmitFile(emit, stream, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("LLVM has no PTX");
  emit.run(*llvmModule);
  return text.str().str();
}

PtxasReport nibble::test::runPtxas(StringRef ptx, StringRef chip) {
  PtxasReport report;
  auto program = llvm::sys::findProgramByName(
      "ptxas", {"/usr/local/cuda/bin", "/usr/bin", "/usr/local/bin"});
  if (!program)
    program = llvm::sys::findProgramByName("ptxas");
  if (!program)
    return report;
  report.found = true;
  SmallString<64> source, log, cubin;
  int descriptor;
  if (llvm::sys::fs::createTemporaryFile("kernel", "ptx", descriptor, source) ||
      llvm::sys::fs::createTemporaryFile("kernel", "log", log) ||
      llvm::sys::fs::createTemporaryFile("kernel", "cubin", cubin))
    return report;
  llvm::raw_fd_ostream(descriptor, /*shouldClose=*/true) << ptx;
  std::string arch = ("-arch=" + chip).str();
  StringRef arguments[] = {*program, arch, "-v", source, "-o", cubin};
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(log),
                                          StringRef(log)};
  report.accepted = llvm::sys::ExecuteAndWait(*program, arguments, std::nullopt,
                                              redirects) == 0;
  if (auto buffer = llvm::MemoryBuffer::getFile(log))
    report.output = (*buffer)->getBuffer().str();
  for (const SmallString<64> &file : {source, log, cubin})
    llvm::sys::fs::remove(file);
  // "... N bytes spill stores", "Used N registers", "N bytes smem".
  SmallVector<StringRef> words;
  llvm::SplitString(report.output, words, " ,\n");
  for (size_t i = 1; i + 1 < words.size(); ++i) {
    int64_t value = 0;
    if (words[i - 1].getAsInteger(10, value))
      continue;
    if (words[i] == "registers")
      report.registers = std::max(report.registers, value);
    else if (words[i] == "bytes" && words[i + 1] == "spill")
      report.spillBytes += value;
    else if (words[i] == "bytes" && words[i + 1] == "smem")
      report.sharedBytes = std::max(report.sharedBytes, value);
  }
  return report;
}

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

static PtxType getPtxType(FloatKind kind) {
  PtxType type;
  type.kind = kind == FloatKind::BF16 ? PtxType::BFloat : PtxType::Float;
  type.bits = kind == FloatKind::F32 ? 32 : 16;
  return type;
}

FloatBuffer::FloatBuffer(FloatKind kind, size_t size)
    : kind(kind), count(size), data(size * getSize(kind) / 16 + 1) {}

void FloatBuffer::set(size_t i, double value) {
  uint64_t bits = fromDouble(value, getPtxType(kind));
  std::memcpy(reinterpret_cast<uint8_t *>(data.data()) + i * getSize(kind),
              &bits, getSize(kind));
}

double FloatBuffer::get(size_t i) const {
  uint64_t bits = 0;
  std::memcpy(
      &bits, reinterpret_cast<const uint8_t *>(data.data()) + i * getSize(kind),
      getSize(kind));
  return toDouble(bits, getPtxType(kind));
}

void FloatBuffer::fill(std::mt19937 &random, double low, double high) {
  std::uniform_real_distribution<double> values(low, high);
  for (size_t i = 0; i < count; ++i)
    set(i, values(random));
}

double nibble::test::roundingError(FloatKind kind, double magnitude) {
  switch (kind) {
  case FloatKind::F32:
    return std::ldexp(magnitude, -24);
  case FloatKind::F16:
    return std::ldexp(magnitude, -11) + std::ldexp(1.0, -25);
  case FloatKind::BF16:
    return std::ldexp(magnitude, -8);
  }
  llvm_unreachable("all kinds are handled above");
}

RandomWeight::RandomWeight(const KernelWeight &format, std::mt19937 &random) {
  const WeightLayout &layout = format.layout;
  int64_t groups = format.numGroups();
  codes.resize(layout.n * layout.k);
  for (uint8_t &code : codes)
    code = uint8_t(random() & ((1u << layout.bits) - 1));
  packed.resize(layout.codeBytes());
  layout.pack(codes, uint8_t(random() & ((1u << layout.bits) - 1)), packed);

  FloatBuffer scales(format.scale, layout.n * groups);
  scales.fill(random, 0.001, 0.02);
  packedScales.resize(layout.groupBytes(groups, getSize(format.scale)));
  layout.packGroups(scales.bytes(), groups, getSize(format.scale),
                    packedScales);

  std::vector<uint8_t> zeroCodes(layout.n * groups);
  FloatBuffer zeroFloats(format.scale, layout.n * groups);
  bool minimum = format.zero == ZeroKind::Minimum;
  zeroFloats.fill(random, minimum ? -0.1 : 0.0, minimum ? 0.0 : 7.0);
  for (uint8_t &zero : zeroCodes)
    zero = uint8_t(random() & ((1u << layout.bits) - 1));
  if (format.zero == ZeroKind::Integer) {
    packedZeros.resize(layout.groupBytes(groups, 1));
    layout.packGroups(zeroCodes, groups, 1, packedZeros);
  } else if (format.zero != ZeroKind::None) {
    packedZeros.resize(layout.groupBytes(groups, getSize(format.scale)));
    layout.packGroups(zeroFloats.bytes(), groups, getSize(format.scale),
                      packedZeros);
  }

  values.resize(codes.size());
  for (int64_t n = 0; n < layout.n; ++n)
    for (int64_t k = 0; k < layout.k; ++k) {
      size_t at = n * groups + (format.group == 0 ? 0 : k / format.group);
      double code = codes[n * layout.k + k], scale = scales.get(at), value = 0;
      if (!format.table.empty())
        value = scale * format.table[size_t(code)];
      else if (format.zero == ZeroKind::None)
        value = scale * (code - (1 << (layout.bits - 1)));
      else if (format.zero == ZeroKind::Integer)
        value = scale * (code - zeroCodes[at]);
      else if (format.zero == ZeroKind::Float)
        value = scale * (code - zeroFloats.get(at));
      else
        value = scale * code + zeroFloats.get(at);
      values[n * layout.k + k] = value;
    }
}

void RandomWeight::lend(PtxMachine &machine) const {
  machine.lend(packed.data(), packed.size(), false);
  machine.lend(packedScales.data(), packedScales.size(), false);
  machine.lend(packedZeros.data(), packedZeros.size(), false);
}
