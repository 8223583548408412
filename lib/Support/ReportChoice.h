//===- ReportChoice.h - What was chosen, on paper ---------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_SUPPORT_REPORTCHOICE_H
#define NIBBLE_LIB_SUPPORT_REPORTCHOICE_H

#include "nibble/Support/ChoiceReport.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

namespace nibble {

/// Writes the members of an object. Errors that are not finite are null.
void writeChoice(llvm::json::OStream &json, const ChoiceReport &choice);

/// Writes a section of the page: error over bits per weight, with the best
/// choice of each size, each candidate for all layers, and what was chosen.
void writeChoiceSection(llvm::raw_ostream &os, const ChoiceReport &choice);

} // namespace nibble

#endif // NIBBLE_LIB_SUPPORT_REPORTCHOICE_H
