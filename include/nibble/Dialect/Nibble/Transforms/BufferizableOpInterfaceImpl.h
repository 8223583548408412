//===- BufferizableOpInterfaceImpl.h - Bufferization ------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace nibble {

/// Teaches one-shot bufferization the operations of the dialect: a constant
/// becomes a `nibble.weight`, a fused operation gets an `outs` buffer.
/// `nibble.quantize` and `nibble.dequantize` are lowered before bufferization.
void registerBufferizableOpInterfaceExternalModels(
    mlir::DialectRegistry &registry);

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H
