//===- Rows.h - Reading codes in rows ---------------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The `rows` packing: each row of the weight is a stream of bits whose first
// code has the lowest bits. Codes are two's complement without zero points and
// unsigned with them. Scales and zero points are [row][group].
//
// A row can also be read from the `panel` packing of Panels.h, element by
// element, for a table that a product keeps in panels.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_ROWS_H
#define NIBBLE_CODEGEN_CPU_ROWS_H

#include "nibble/Codegen/CPU/Panels.h"

namespace nibble::codegen {

/// Writes row `row` of a weight with rows of `width` as floats to `out`, the
/// first at `out[at]`. A float weight is copied. `panels`: the weight is in
/// `panel` packing.
void emitUnpackRow(KernelBuilder &kernel, const WeightFormat &format,
                   const WeightOperands &operands, Index row, int64_t width,
                   mlir::Value out, Index at, bool panels = false);

/// Weight `position` of row `row` as a float, by scalar code; likewise.
mlir::Value emitUnpackElement(KernelBuilder &kernel, const WeightFormat &format,
                              const WeightOperands &operands, Index row,
                              Index position, Index width, bool panels);

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_ROWS_H
