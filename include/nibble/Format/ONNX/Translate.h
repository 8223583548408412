//===- Translate.h - Translations of nibble-translate -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_FORMAT_ONNX_TRANSLATE_H
#define NIBBLE_FORMAT_ONNX_TRANSLATE_H

namespace nibble::format {

/// Registers `--import-onnx` and `--export-onnx` with their options.
void registerONNXTranslations();

} // namespace nibble::format

#endif // NIBBLE_FORMAT_ONNX_TRANSLATE_H
