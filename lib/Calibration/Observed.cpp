//===- Observed.cpp - Observed values as floats ---------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Observed.h"
#include "nibble/Quantizer/Scheme.h"
#include "llvm/ADT/bit.h"

using namespace nibble;
using namespace nibble::calibration;
using llvm::ArrayRef;

static bool isDense(const nibble_observation &value) {
  int64_t stride = 1;
  for (int32_t i = value.rank; i-- > 0;) {
    if (value.dims[i] != 1 && value.strides[i] != stride)
      return false;
    stride *= value.dims[i];
  }
  return true;
}

/// Copies rows of the last dimension, each converted by `convert`.
template <typename T, typename Convert>
static void copyFloats(const nibble_observation &value, int64_t total,
                       float *to, Convert convert) {
  const auto *data = static_cast<const T *>(value.data);
  int64_t last = value.rank ? value.dims[value.rank - 1] : 1;
  int64_t step = value.rank ? value.strides[value.rank - 1] : 1;
  for (int64_t row = 0; row * last < total; ++row) {
    int64_t rest = row, offset = 0;
    for (int32_t d = value.rank - 1; d-- > 0; rest /= value.dims[d])
      offset += rest % value.dims[d] * value.strides[d];
    for (int64_t i = 0; i != last; ++i)
      *to++ = convert(data[offset + i * step]);
  }
}

ArrayRef<float> calibration::getFloats(const nibble_observation &value,
                                       std::vector<float> &buffer) {
  int64_t total = 1;
  for (int64_t size : ArrayRef(value.dims, value.rank))
    total *= size;
  if (total == 0)
    return {};
  if (value.dtype == NIBBLE_FLOAT && isDense(value))
    return ArrayRef(static_cast<const float *>(value.data), total);
  buffer.resize(total);
  switch (value.dtype) {
  case NIBBLE_FLOAT:
    copyFloats<float>(value, total, buffer.data(), [](float x) { return x; });
    break;
  case NIBBLE_DOUBLE:
    copyFloats<double>(value, total, buffer.data(),
                       [](double x) { return static_cast<float>(x); });
    break;
  case NIBBLE_FLOAT16:
    copyFloats<uint16_t>(value, total, buffer.data(), quantizer::halfToFloat);
    break;
  case NIBBLE_BFLOAT16:
    copyFloats<uint16_t>(value, total, buffer.data(), [](uint16_t x) {
      return llvm::bit_cast<float>(static_cast<uint32_t>(x) << 16);
    });
    break;
  default:
    return {};
  }
  return buffer;
}
