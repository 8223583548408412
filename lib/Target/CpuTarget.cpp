//===- CpuTarget.cpp - The CPU to compile for -----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Target/CpuTarget.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace mlir;
using namespace nibble::target;

static const llvm::Target *lookupHost(const llvm::Triple &triple,
                                      std::string &error) {
  static const bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
    return true;
  }();
  (void)initialized;
  return llvm::TargetRegistry::lookupTarget(triple, error);
}

std::vector<std::string> CpuTarget::getChoices() {
  SmallVector<StringRef> names;
  llvm::X86::fillValidCPUArchList(names, /*Only64Bit=*/true);
  return {names.begin(), names.end()};
}

FailureOr<CpuTarget>
CpuTarget::get(StringRef march, function_ref<InFlightDiagnostic()> emitError) {
  CpuTarget result;
  result.triple = llvm::sys::getProcessTriple();
  result.name = march.str();
  llvm::Triple triple(result.triple);
  std::string error;
  const llvm::Target *target = lookupHost(triple, error);
  if (!target)
    return emitError() << "no code generator for " << result.triple << ": "
                       << error;
  if (triple.getArch() != llvm::Triple::x86_64)
    return emitError() << "binaries are made for x86-64 only, and this machine "
                          "is "
                       << triple.getArchName();

  if (march == "native") {
    result.cpu = llvm::sys::getHostCPUName().str();
    result.name += " (" + result.cpu + ")";
    // In a fixed order, so that the same machine gives the same file.
    std::vector<std::string> flags;
    for (const auto &feature : llvm::sys::getHostCPUFeatures())
      flags.push_back((feature.second ? "+" : "-") + feature.first().str());
    llvm::sort(flags, [](const std::string &a, const std::string &b) {
      return StringRef(a).drop_front() < StringRef(b).drop_front();
    });
    result.featureString = llvm::join(flags, ",");
  } else {
    result.cpu = march.str();
    std::vector<std::string> choices = getChoices();
    if (!llvm::is_contained(choices, result.cpu))
      return emitError() << "unknown --march '" << march
                         << "'; choose native or one of "
                         << llvm::join(choices, ", ");
  }

  std::unique_ptr<llvm::TargetMachine> machine = result.createMachine(0);
  const llvm::MCSubtargetInfo *info = machine->getMCSubtargetInfo();
  static const char *const checked[] = {
#define CPU_FEATURE(name, leaf, subleaf, reg, bit, state) name,
#include "nibble/Runtime/CpuFeatures.def"
  };
  for (const char *feature : checked)
    if (info->checkFeatures(std::string("+") + feature))
      result.features.push_back(feature);
  return result;
}

bool CpuTarget::has(StringRef feature) const {
  return llvm::is_contained(features, feature);
}

std::unique_ptr<llvm::TargetMachine>
CpuTarget::createMachine(unsigned optLevel) const {
  llvm::Triple parsed(triple);
  std::string error;
  const llvm::Target *target = lookupHost(parsed, error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      parsed, cpu, featureString, options, llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOpt::getLevel(static_cast<int>(optLevel))
          .value_or(llvm::CodeGenOptLevel::Default)));
}
