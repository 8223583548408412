//===- ReportDetails.h - What only a report wants to know -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_REPORTDETAILS_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_REPORTDETAILS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "nibble/Dialect/Nibble/Transforms/LayerErrors.h"
#include "nibble/Quantizer/Scheme.h"
#include "nibble/Support/Report.h"
#include <optional>

namespace nibble {

/// Histograms of a weight and the error of its layer's output, for modules that
/// ask with `reportDetailsAttrName`, a dictionary that may have the path of a
/// statistics file as `calibration`. Statistics are read when the first layer
/// needs them.
class ReportDetails {
public:
  explicit ReportDetails(mlir::ModuleOp module);
  bool areWanted() const { return wanted; }

  /// Adds to `report` what is to be known of the layer with one of these names,
  /// whose weight was `before` and is `after`. `groups` are those of a
  /// convolution; `scales`, by column, are what `before` was multiplied with
  /// (`foldedScalesAttrName`). A layer that the statistics do not have, or have
  /// in another shape, gets no error of its output. Errors are reported at the
  /// module: statistics that can't be read, or of another model.
  llvm::LogicalResult add(mlir::ArrayAttr names, int64_t groups,
                          const quantizer::WeightView &before,
                          const quantizer::QuantizedWeight &after,
                          LayerReport &report,
                          llvm::ArrayRef<float> scales = {});

private:
  bool wanted = false;
  std::optional<CalibratedInputs> inputs;
};

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_REPORTDETAILS_H
