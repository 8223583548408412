//===- InitNibble.h - Registration of everything -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_PIPELINES_INITNIBBLE_H
#define NIBBLE_PIPELINES_INITNIBBLE_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace nibble {

/// Our dialects, the upstream ones they lower to, and the interface
/// implementations that bufferization and translation need.
void registerAllDialects(mlir::DialectRegistry &registry);

/// Our passes and pipelines, and upstream's.
void registerAllPasses();

} // namespace nibble

#endif // NIBBLE_PIPELINES_INITNIBBLE_H
