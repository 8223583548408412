//===- QuantizationReport.h - What was done to each layer -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_QUANTIZATIONREPORT_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_QUANTIZATIONREPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include <optional>
#include <string>
#include <vector>

namespace nibble {

/// What quantization did to the weight of one operation. Passes leave it on the
/// operation as the discardable dictionary `nibble.report`, so that it survives
/// in textual IR and a pass in a plugin needs nothing but an attribute.
struct LayerReport {
  /// Layer name, ONNX operator type, scheme as users write it, method; the
  /// scheme is "none" for a weight that stays float.
  std::string name, operatorType, scheme = "none", method;
  /// Why the weight stays float, empty otherwise.
  std::string reason;
  /// Options that made the scheme, as in a configuration file.
  int64_t groupSize = 0;
  bool symmetric = true;
  std::string scaleType, scaleRule;
  /// Elements of the weight, its bytes in float and as it is now.
  int64_t numWeights = 0, floatBytes = 0, bytes = 0;
  /// 10 log10(sum w^2 / sum (w - w')^2) in dB and the cosine of w and w', for
  /// the weight w and its quantized value w'. Absent for a float weight; the
  /// SQNR of an exact result is infinite and absent too.
  std::optional<double> sqnr, cosine;

  double getBitsPerWeight() const {
    return numWeights ? 8.0 * bytes / numWeights : 0.0;
  }
};

/// Name of the attribute that holds a report, and of the one that holds what a
/// layer is to become.
constexpr llvm::StringLiteral reportAttrName = "nibble.report";
constexpr llvm::StringLiteral requestAttrName = "nibble.request";

/// Puts `report` on `op`; name and operator type are the operation's own.
void setLayerReport(QuantizableOpInterface op, const LayerReport &report);

/// Reports of all operations with a quantizable weight, in order of the IR.
/// Operations without the attribute are reported as float, without a reason.
std::vector<LayerReport> collectLayerReports(mlir::ModuleOp module);

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_QUANTIZATIONREPORT_H
