//===- ToolMain.cpp - What tools have in common ---------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ToolMain.h"
#include "nibble/Support/Progress.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace nibble;
namespace cl = llvm::cl;

/// Where a diagnostic belongs, as a user knows it: FILE:LINE:COLUMN of textual
/// IR, the file of a model, the name of a layer.
static void printLocation(Location loc, StringRef message, raw_ostream &os) {
  if (auto file = loc->findInstanceOf<FileLineColLoc>()) {
    os << file.getFilename().getValue();
    if (file.getLine())
      os << ':' << file.getLine() << ':' << file.getColumn();
    os << ": ";
  }
  // Many messages name their layer themselves.
  auto name = loc->findInstanceOf<NameLoc>();
  if (name && !message.contains(name.getName().getValue()))
    os << name.getName().getValue() << ": ";
}

/// Names come from the model: what is not UTF-8 or would steer the terminal is
/// spelled out.
static std::string escapeText(StringRef text) {
  std::string result;
  auto *next = reinterpret_cast<const llvm::UTF8 *>(text.begin());
  auto *end = reinterpret_cast<const llvm::UTF8 *>(text.end());
  while (next != end) {
    unsigned length = llvm::getNumBytesForUTF8(*next);
    bool steers =
        (*next < 0x20 && *next != '\n' && *next != '\t') || *next == 0x7f;
    if (steers || length > end - next ||
        !llvm::isLegalUTF8Sequence(next, next + length)) {
      result += "\\x" + llvm::toHex(ArrayRef<uint8_t>(next, 1));
      ++next;
      continue;
    }
    result.append(next, next + length);
    next += length;
  }
  return result;
}

void nibble::printDiagnostic(Diagnostic &diagnostic) {
  raw_ostream &os = llvm::errs();
  if (Progress *progress = Progress::getCurrent())
    progress->clear();
  switch (diagnostic.getSeverity()) {
  case DiagnosticSeverity::Error:
    llvm::WithColor::error(os);
    break;
  case DiagnosticSeverity::Warning:
    llvm::WithColor::warning(os);
    break;
  case DiagnosticSeverity::Note:
    llvm::WithColor::note(os);
    break;
  case DiagnosticSeverity::Remark:
    llvm::WithColor::remark(os);
    break;
  }
  std::string message = diagnostic.str(), place;
  llvm::raw_string_ostream placeStream(place);
  printLocation(diagnostic.getLocation(), message, placeStream);
  os << escapeText(place) << escapeText(message) << '\n';
  for (Diagnostic &note : diagnostic.getNotes())
    printDiagnostic(note);
}

void nibble::freeOptionNames(ArrayRef<StringRef> names) {
  for (auto &option : cl::getRegisteredOptions())
    option.second->setHiddenFlag(cl::Hidden);
  for (StringRef name : names) {
    auto &options = cl::getRegisteredOptions();
    auto found = options.find(name);
    if (found != options.end())
      found->second->removeArgument();
  }
}
