//===- MeasuredDamage.h - What schemes do to a model's outputs --*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_MEASUREDDAMAGE_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_MEASUREDDAMAGE_H

#include "nibble/Dialect/Nibble/Transforms/SchemeDecisions.h"
#include "nibble/Dialect/Nibble/Transforms/SequentialQuantization.h"

namespace nibble {

/// How outputs of the model are compared with those of the float model.
enum class DamageMeasure {
  /// |y - y'|^2 / |y|^2, the mean over outputs.
  RelativeError,
  /// Mean Kullback-Leibler divergence of softmax(y') from softmax(y), in nats.
  Divergence
};

/// `Divergence` for models whose output is a distribution over the rows of one
/// of their tables, that is language models; nothing else is a distribution for
/// certain.
DamageMeasure findMeasure(mlir::ModuleOp module);

/// Damage by samples. Of each layer one candidate is tried: the model runs with
/// this weight alone rounded, and the error of its outputs is what the layer's
/// own output error costs. The output errors of the other candidates, computed
/// from the same samples, cost as much in proportion: errors are small, and
/// what they do is quadratic.
class DamageProbe {
public:
  DamageProbe(mlir::ModuleOp module, const BlockRunnerFactory &factory,
              DamageMeasure measure, uint64_t maxSamples, uint64_t maxTokens)
      : module(module), factory(factory), measure(measure) {
    options.maxSamples = maxSamples;
    options.maxTokens = maxTokens;
  }

  /// Sets sizes and damage of all candidates. `probes` has the candidate to try
  /// of each decision. Layers that can't be run apart from the rest of the
  /// model, and tables, are estimated from their weight.
  mlir::LogicalResult run(llvm::MutableArrayRef<SchemeDecision> all,
                          llvm::ArrayRef<unsigned> probes);

  /// The damage of all decisions together, for each of several lists of choices
  /// by decision.
  mlir::FailureOr<std::vector<double>>
  measureChoices(llvm::MutableArrayRef<SchemeDecision> all,
                 llvm::ArrayRef<std::vector<unsigned>> choices);

private:
  using Variants = std::vector<std::vector<unsigned>>;
  /// A layer that the runner knows: whose decision it is, and the output errors
  /// of its candidates.
  struct Probed {
    SchemeDecision *decision;
    unsigned probe;
    std::vector<double> errors;
  };

  mlir::FailureOr<std::unique_ptr<calibration::BlockRunner>> makeRunner();
  llvm::DenseMap<mlir::Operation *, unsigned>
  mapLayers(const calibration::BlockRunner &runner);
  mlir::LogicalResult computeErrors(calibration::BlockRunner &runner,
                                    llvm::MutableArrayRef<Probed *> layers);
  mlir::FailureOr<std::vector<double>> measureVariants(
      const Variants &variants,
      llvm::function_ref<mlir::FailureOr<std::vector<float>>(unsigned variant,
                                                             unsigned layer)>
          makeWeight);

  mlir::ModuleOp module;
  const BlockRunnerFactory &factory;
  DamageMeasure measure;
  calibration::BlockRunnerOptions options;
};

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_MEASUREDDAMAGE_H
