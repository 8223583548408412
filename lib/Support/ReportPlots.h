//===- ReportPlots.h - Pictures of a report ---------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_SUPPORT_REPORTPLOTS_H
#define NIBBLE_LIB_SUPPORT_REPORTPLOTS_H

#include "nibble/Support/Report.h"

namespace nibble {

/// `text` for a place in a page: valid UTF-8 without markup of its own.
std::string escapeHTML(llvm::StringRef text);

/// Writes one row per layer: bytes before and after, SQNR of the weight, error
/// of the output with its spread over samples where one is known, bits per
/// weight. Two pictures of the same width: the axes, and the rows.
void writeLayerPlot(llvm::raw_ostream &os,
                    const std::vector<LayerReport> &layers);

/// Writes two small pictures, the weight before and after and its errors. Bins
/// are as high as the square root of their counts.
void writeHistograms(llvm::raw_ostream &os,
                     const quantizer::WeightHistograms &histograms);

} // namespace nibble

#endif // NIBBLE_LIB_SUPPORT_REPORTPLOTS_H
