//===- GPTQ.h - Rounding that makes up for its errors -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh: "GPTQ: Accurate
// Post-Training Quantization for Generative Pre-trained Transformers", 2022.
// Columns are rounded one after the other, and those that are left are changed
// so that the output of the layer on its calibration inputs changes least. With
// H = X^T X + damping and U the upper triangular factor of H^-1 = U^T U:
//
//     q_i = round(w_i);  e = (w_i - q_i) / U_ii;  w_j -= e U_ij for j > i
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_GPTQ_H
#define NIBBLE_QUANTIZER_GPTQ_H

#include "nibble/Quantizer/Method.h"
#include <string>

namespace nibble::quantizer {

/// Names and meanings are those of GPTQ's libraries.
struct GPTQOptions {
  /// What is added to the diagonal of H, as a part of its mean.
  double dampPercent = 0.05;
  /// What is added to `dampPercent`, again and again and as long as it stays
  /// below 1, while H is not positive definite. 0: give up at once.
  double dampIncrement = 0.01;
  /// Columns after which the changes reach all columns to come; it has no
  /// influence on codes but by rounding.
  int64_t blockSize = 128;
  /// Columns with large inputs first. A group then is a run of columns in this
  /// order, and the weight needs a group index.
  bool activationOrder = false;
  /// Scales and zeros are chosen from the original weight before any column is
  /// rounded, for groups of neighbouring columns: no group index.
  bool staticGroups = false;
  /// Without `activationOrder`: columns in the order of their inputs inside
  /// of each group, and groups in the order of their largest input. The codes
  /// are put back in order, so that it costs nothing at run time.
  bool groupAware = true;

  /// Says which option is out of range.
  llvm::Error verify() const;

  /// Names of the options, as in configurations and on the command line.
  static llvm::ArrayRef<llvm::StringRef> getNames();
  /// Sets an option by its name. Errors say what is expected, and which names
  /// there are.
  llvm::Error set(llvm::StringRef name, llvm::StringRef value);
  /// Options that are not as by default.
  MethodOptions getChanged() const;
  bool operator==(const GPTQOptions &other) const {
    return getChanged() == other.getChanged();
  }
};

/// The factor of one Hessian, in the order in which columns are rounded. All
/// layers with the same input and groups can use it. It takes about twice the
/// memory of the Hessian while it is made, half of it afterwards.
class GPTQFactor {
public:
  /// `hessian` is the sum of x x^T over the inputs, [cols, cols], symmetric,
  /// scaled by anything. A column that no input reached (zero on the diagonal)
  /// is dead. Never fails: `isUsable` says whether there is a factor.
  GPTQFactor(llvm::ArrayRef<float> hessian, int64_t cols, int64_t groupLength,
             const GPTQOptions &options, unsigned threads = 0);

  /// Empty, or why there is no factor.
  const std::string &getProblem() const { return problem; }
  bool isUsable() const { return problem.empty(); }
  /// `dampPercent` that was enough.
  double getDamp() const { return damp; }
  int64_t getNumDead() const { return numDead; }
  int64_t getCols() const { return cols; }
  /// Mean of the diagonal of the Hessian, without dead columns.
  double getMeanDiagonal() const { return meanDiagonal; }
  /// Group of each column; empty if groups are runs of columns.
  std::vector<int32_t> getGroupIndex() const;

private:
  friend class GPTQSweep;
  /// Columns [begin, end) of the order, which are rounded together.
  struct Block {
    int64_t begin, end;
    /// Where the rows of U lie in `diagonal` [n][n], and in `panels`, which has
    /// the columns behind the block as [panel][n][12].
    size_t diagonal, panels;
  };
  /// Columns [begin, end) of the order that share a scale.
  struct Segment {
    int64_t begin, end, group;
  };

  void chooseOrder(llvm::ArrayRef<float> hessian);
  bool factor(llvm::ArrayRef<float> hessian, double part, unsigned threads,
              std::vector<double> &inverse) const;
  void pack(llvm::ArrayRef<double> inverse, unsigned threads);

  GPTQOptions options;
  int64_t cols, groupLength;
  std::string problem;
  double damp = 0;
  int64_t numDead = 0;
  double meanDiagonal = 0;
  /// Columns in the order in which they are rounded, and whether each is dead.
  std::vector<int32_t> order;
  std::vector<bool> dead;
  /// In order; empty with static groups, where a column has the group that its
  /// place in the weight gives it.
  std::vector<Segment> segments;
  std::vector<Block> blocks;
  /// Of U for the Hessian divided by `meanDiagonal`: blocks on the diagonal,
  /// inverse of the diagonal, and the rest.
  std::vector<float> diagonal, inverseDiagonal, panels;
};

/// What is to be said about one layer.
struct GPTQOutcome {
  /// Sum over rows of (w - q) H (w - q)^T, with the damped H: the squared error
  /// of the outputs, summed as the Hessian is. 0 for a fallback.
  double loss = 0;
  double damp = 0;
  int64_t numDead = 0;
  /// Why the weight was rounded to nearest; empty if it was not.
  std::string fallback;
};

/// Quantizes `weight` to `result`, which has the scheme and the sizes and gets
/// a group index with activation order. Weights of dead columns become zero. A
/// factor that is not usable rounds to nearest, as `quantizeRTN` does.
///
/// ScaleRule::MSE is GPTQ's own search here, with the exponent 2.4. Without
/// static groups a group's scale is chosen when its first column is rounded,
/// from weights that carry all changes until then.
///
/// Errors: as those of quantizeRTN.
llvm::Expected<GPTQOutcome> quantizeGPTQ(const WeightView &weight,
                                         const GPTQFactor &factor,
                                         QuantizedWeight &result,
                                         unsigned threads = 0);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_GPTQ_H
