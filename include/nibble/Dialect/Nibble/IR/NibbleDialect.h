//===- NibbleDialect.h - The nibble dialect -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_NIBBLEDIALECT_H
#define NIBBLE_DIALECT_NIBBLE_IR_NIBBLEDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace nibble {
class FileMap;

/// Rows (output channels) that a panel of a packed weight holds.
constexpr int64_t panelRows = 32;

/// Sizes of an 8-bit weight in the order of the integer kernels:
/// [panels][quads][32 rows][4], where a quad is four of the `channels` for one
/// of the `taps` (1 for a matrix). `rows` rows in `groups` groups; each group
/// starts a panel.
llvm::SmallVector<int64_t> getPackedIntegerShape(int64_t rows, int64_t channels,
                                                 int64_t taps = 1,
                                                 int64_t groups = 1);

/// A weight seen as `rows` rows (output channels) of `columns` elements (the
/// contraction), with strides in elements of the float tensor that holds it.
struct WeightView {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t rowStride = 0;
  int64_t columnStride = 0;
};

/// The operands that make a quantized weight; all but the codes may be null.
struct QuantizedWeightValues {
  mlir::Value codes, scales, zeros, groupIndex;
  /// Scales of scales that are codes themselves: `second` of a scheme.
  mlir::Value second;
};
} // namespace nibble

#include "nibble/Dialect/Nibble/IR/NibbleDialect.h.inc"
#include "nibble/Dialect/Nibble/IR/NibbleEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "nibble/Dialect/Nibble/IR/NibbleAttributes.h.inc"

#include "nibble/Dialect/Nibble/IR/NibbleInterfaces.h.inc"

#define GET_OP_CLASSES
#include "nibble/Dialect/Nibble/IR/NibbleOps.h.inc"

#endif // NIBBLE_DIALECT_NIBBLE_IR_NIBBLEDIALECT_H
