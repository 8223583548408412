//===- TranslateMain.h - The driver of nibble-translate ---------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_FORMAT_TRANSLATEMAIN_H
#define NIBBLE_FORMAT_TRANSLATEMAIN_H

namespace nibble {

/// Runs one registered translation, with the options of `mlir-translate`.
/// Unlike that, the input is mapped and not copied, which matters for models of
/// many gigabytes, and the output appears under its name only when it is whole.
/// Translations that state an alignment of their input read bytes; the others
/// read text. Returns 0, 1 after an error, 2 for options that are not known.
int translateMain(int argc, char **argv);

} // namespace nibble

#endif // NIBBLE_FORMAT_TRANSLATEMAIN_H
