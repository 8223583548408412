//===- CpuTarget.h - The CPU to compile for ---------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TARGET_CPUTARGET_H
#define NIBBLE_TARGET_CPUTARGET_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringRef.h"
#include <memory>
#include <string>
#include <vector>

namespace llvm {
class TargetMachine;
} // namespace llvm

namespace nibble::target {

/// What --march means: the CPU and the instruction sets that code may use.
class CpuTarget {
public:
  /// Resolve "native" (this machine: its CPU and exactly the instruction sets
  /// that it reports) or a name of LLVM's, such as "x86-64-v3" or
  /// "sapphirerapids". An unknown name is an error that lists the choices.
  static mlir::FailureOr<CpuTarget>
  get(llvm::StringRef march,
      llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

  /// Names that --march takes, without "native".
  static std::vector<std::string> getChoices();

  /// As the user wrote it; "native" is followed by the CPU's name.
  const std::string &getName() const { return name; }
  const std::string &getTriple() const { return triple; }
  const std::string &getCpu() const { return cpu; }
  /// "+avx2,-avx512f,...", in the form of LLVM's -mattr.
  const std::string &getFeatureString() const { return featureString; }
  /// Instruction sets that the runtime checks at load (CpuFeatures.def).
  const std::vector<std::string> &getFeatures() const { return features; }
  /// Whether code may use the instruction set; LLVM's name ("avx512vnni").
  bool has(llvm::StringRef feature) const;

  /// A code generator, position independent and contracting a*b+c.
  std::unique_ptr<llvm::TargetMachine> createMachine(unsigned optLevel) const;

private:
  std::string name, triple, cpu, featureString;
  std::vector<std::string> features;
};

} // namespace nibble::target

#endif // NIBBLE_TARGET_CPUTARGET_H
