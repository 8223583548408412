//===- SchemeChooser.h - Choose within a limit --------------------- -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SCHEMECHOOSER_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SCHEMECHOOSER_H

#include "nibble/Dialect/Nibble/Transforms/MeasuredDamage.h"
#include "nibble/Support/ChoiceReport.h"
#include "nibble/Support/SchemeChoice.h"

namespace nibble {

/// What a choice must keep: one of the two.
struct ChoiceLimit {
  std::optional<Budget> budget;
  std::optional<double> maxError;
  /// As the user wrote it.
  std::string text;

  /// Exactly one of `budget` and `maxError` is not empty; errors at `loc`.
  static mlir::FailureOr<ChoiceLimit>
  parse(mlir::Location loc, llvm::StringRef budget, llvm::StringRef maxError);
};

/// Weights that nothing is chosen for.
struct FixedSizes {
  /// Those that a rule gives a scheme, and their bytes with it.
  int64_t quantizedWeights = 0, quantizedBytes = 0;
  /// Bytes of all that stays as it is.
  int64_t floatBytes = 0;

  int64_t getBytes() const { return quantizedBytes + floatBytes; }
  /// Malformed requests are errors.
  static mlir::FailureOr<FixedSizes> compute(mlir::ModuleOp module);
};

/// Chooses one candidate for each decision. Limits that can't be met are errors
/// at the module that say the least that can.
class SchemeChooser {
public:
  SchemeChooser(mlir::ModuleOp module, ChoiceLimit limit, FixedSizes fixed,
                llvm::MutableArrayRef<SchemeDecision> decisions);

  /// For each decision the candidate that is nearest to what all are to have:
  /// what is measured there holds best for what will be chosen.
  std::vector<unsigned> chooseProbes() const;

  /// The best by the sizes and the damage that decisions have.
  mlir::FailureOr<quantizer::Allocation> choose();
  /// The best of several that `probe` runs: for a budget the best by damage and
  /// `probes`, all layers alike; for an error choices around it, since the
  /// errors of layers do not quite add up. Sets what was measured of it.
  mlir::FailureOr<quantizer::Allocation>
  chooseMeasured(llvm::ArrayRef<unsigned> probes, DamageProbe &probe,
                 std::optional<double> &measured);

  ChoiceReport makeReport(const quantizer::Allocation &allocation) const;

private:
  double getMaxSize() const;
  std::vector<quantizer::AllocationItem> getItems() const;
  mlir::LogicalResult failLimit();
  quantizer::Allocation makeAllocation(std::vector<unsigned> choices) const;
  std::vector<quantizer::Allocation>
  propose(llvm::ArrayRef<unsigned> probes) const;
  ChoicePoint makePoint(double size, double damage) const {
    return {static_cast<int64_t>(size), 8 * size / numWeights, damage};
  }

  mlir::ModuleOp module;
  ChoiceLimit limit;
  FixedSizes fixed;
  llvm::MutableArrayRef<SchemeDecision> decisions;
  int64_t numWeights = 0;
};

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_SCHEMECHOOSER_H
