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
#include "nibble/Support/Report.h"
#include <vector>

namespace nibble {

/// Name of the attribute that holds a report, and of the one that holds what a
/// layer is to become.
constexpr llvm::StringLiteral reportAttrName = "nibble.report";
constexpr llvm::StringLiteral requestAttrName = "nibble.request";

/// Module attribute with the lines of the rules of a configuration that layers
/// of the ONNX graph have: those layers are gone when the rest is assigned.
constexpr llvm::StringLiteral matchedRulesAttrName = "nibble.matched_rules";

/// On a product of LLM.int8: the magnitude from which on an activation is an
/// outlier, an f32.
constexpr llvm::StringLiteral outlierThresholdAttrName =
    "nibble.outlier_threshold";

/// Module attribute that asks for what takes time to find out, and space in the
/// IR: histograms, and errors of outputs; see ReportDetails.h.
constexpr llvm::StringLiteral reportDetailsAttrName = "nibble.report_details";

/// Module attribute with what `nibble-choose-schemes` chose.
constexpr llvm::StringLiteral choiceAttrName = "nibble.choice";

/// `report` as the dictionary that `reportAttrName` holds, without name and
/// operator type.
mlir::DictionaryAttr toDictionary(mlir::MLIRContext *context,
                                  const LayerReport &report);

/// Options of a method as a dictionary of strings, as requests and reports have
/// them, and back; what is not a string is left out.
mlir::DictionaryAttr toDictionary(mlir::MLIRContext *context,
                                  const quantizer::MethodOptions &options);
quantizer::MethodOptions toMethodOptions(mlir::DictionaryAttr dictionary);

/// Puts `report` on `op` as a discardable dictionary, so that it survives in
/// textual IR and a pass in a plugin needs nothing but an attribute; name and
/// operator type are the operation's own.
void setLayerReport(QuantizableOpInterface op, const LayerReport &report);

/// Reports of all operations with a quantizable weight, in order of the IR.
/// Operations without the attribute are reported as float, without a reason. A
/// weight that several operations use is counted for the first.
std::vector<LayerReport> collectLayerReports(mlir::ModuleOp module);

/// Keeps `report` in the module, until a report is written.
void setChoiceReport(mlir::ModuleOp module, const ChoiceReport &report);
/// What `setChoiceReport` kept; nothing if nothing was chosen.
std::optional<ChoiceReport> getChoiceReport(mlir::ModuleOp module);

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_QUANTIZATIONREPORT_H
