//===- ReferenceGPTQ.h - GPTQ as the paper has it, in doubles ---*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_UNIT_QUANTIZER_REFERENCEGPTQ_H
#define NIBBLE_TEST_UNIT_QUANTIZER_REFERENCEGPTQ_H

#include "nibble/Quantizer/GPTQ.h"
#include <vector>

namespace nibble::quantizer::test {

/// Column by column and row by row, with the inverse of the Hessian made by
/// elimination and a column taken out of it at each step, which is how the
/// method is derived; shares no code with the library. The Hessian must be
/// positive definite without dead columns.
QuantizedWeight runReferenceGPTQ(const WeightView &weight,
                                 const QuantizationScheme &scheme,
                                 const std::vector<float> &hessian,
                                 const GPTQOptions &options);

/// Sum over rows of (w - q) H (w - q)^T, with `damp` of the mean of the
/// diagonal added to the diagonal.
double getOutputError(const WeightView &weight, const QuantizedWeight &result,
                      const std::vector<float> &hessian, double damp);

} // namespace nibble::quantizer::test

#endif // NIBBLE_TEST_UNIT_QUANTIZER_REFERENCEGPTQ_H
