//===- Compare.c - Numbers of any type ------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RunTool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/// IEEE half precision.
static double fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value;
  if (exponent == 31)
    value = fraction ? NAN : INFINITY;
  else if (exponent)
    value = ldexp(1024 + fraction, exponent - 25);
  else
    value = ldexp(fraction, -24);
  return bits & 0x8000 ? -value : value;
}

static double fromBFloat(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof(value));
  return value;
}

/// A float of at most 8 bits: a sign, an exponent with a bias, a fraction. The
/// code of `largest` is the last finite magnitude; above it is infinity where
/// `infinity` says so, else NaN.
static double fromNarrow(unsigned code, unsigned width, unsigned fraction,
                         int bias, unsigned largest, bool infinity) {
  unsigned sign = code >> (width - 1) & 1;
  unsigned magnitude = code & ((1u << (width - 1)) - 1);
  unsigned low = magnitude & ((1u << fraction) - 1);
  int exponent = (int)(magnitude >> fraction);
  double value;
  if (magnitude > largest)
    value = infinity && magnitude == largest + 1 ? INFINITY : NAN;
  else if (exponent)
    value = ldexp((1u << fraction) + low, exponent - bias - (int)fraction);
  else
    value = ldexp(low, 1 - bias - (int)fraction);
  return sign ? -value : value;
}

/// Elements that are codes of at most 8 bits.
static double fromCode(uint8_t code, int32_t dtype) {
  switch (dtype) {
  case NIBBLE_FLOAT8E4M3FN:
    return fromNarrow(code, 8, 3, 7, 0x7e, false);
  case NIBBLE_FLOAT8E4M3FNUZ:
    return code == 0x80 ? NAN : fromNarrow(code, 8, 3, 8, 0x7f, false);
  case NIBBLE_FLOAT8E5M2:
    return fromNarrow(code, 8, 2, 15, 0x7b, true);
  case NIBBLE_FLOAT8E5M2FNUZ:
    return code == 0x80 ? NAN : fromNarrow(code, 8, 2, 16, 0x7f, false);
  case NIBBLE_FLOAT8E8M0:
    return code == 0xff ? NAN : ldexp(1, code - 127);
  case NIBBLE_FLOAT6E2M3:
    return fromNarrow(code, 6, 3, 1, 0x1f, false);
  case NIBBLE_FLOAT6E3M2:
    return fromNarrow(code, 6, 2, 3, 0x1f, false);
  case NIBBLE_FLOAT4E2M1:
    return fromNarrow(code, 4, 1, 1, 7, false);
  case NIBBLE_INT4:
    return (code & 15) - (code & 8 ? 16 : 0);
  case NIBBLE_INT2:
    return (code & 3) - (code & 2 ? 4 : 0);
  case NIBBLE_UINT4:
    return code & 15;
  case NIBBLE_UINT2:
    return code & 3;
  default:
    return code;
  }
}

double nibbleElement(const void *data, int32_t dtype, uint64_t index) {
  const char *at =
      (const char *)data + index * (uint64_t)nibble_dtype_size(dtype);
#define READ(TYPE)                                                             \
  do {                                                                         \
    TYPE value;                                                                \
    memcpy(&value, at, sizeof(value));                                         \
    return (double)value;                                                      \
  } while (0)
  switch (dtype) {
  case NIBBLE_FLOAT:
    READ(float);
  case NIBBLE_DOUBLE:
    READ(double);
  case NIBBLE_INT8:
    READ(int8_t);
  case NIBBLE_INT16:
    READ(int16_t);
  case NIBBLE_INT32:
    READ(int32_t);
  case NIBBLE_INT64:
    READ(int64_t);
  case NIBBLE_UINT16:
    READ(uint16_t);
  case NIBBLE_UINT32:
    READ(uint32_t);
  case NIBBLE_UINT64:
    READ(uint64_t);
  case NIBBLE_FLOAT16:
  case NIBBLE_BFLOAT16: {
    uint16_t bits;
    memcpy(&bits, at, sizeof(bits));
    return dtype == NIBBLE_FLOAT16 ? fromHalf(bits) : fromBFloat(bits);
  }
  default:
    return fromCode(*(const uint8_t *)at, dtype);
  }
#undef READ
}

Difference nibbleCompare(const nibble_tensor *got, const NibbleArray *expected,
                         double rtol, double atol) {
  Difference result = {.matches = true};
  uint64_t count = expected->bytes / nibble_dtype_size(got->dtype);
  for (uint64_t i = 0; i != count; ++i) {
    double a = nibbleElement(got->data, got->dtype, i);
    double b = nibbleElement(expected->data, got->dtype, i);
    if ((isnan(a) && isnan(b)) || a == b)
      continue;
    double difference = fabs(a - b);
    if (difference > result.maximum || isnan(difference))
      result.maximum = difference;
    if (difference <= atol + rtol * fabs(b) && isfinite(b))
      continue;
    if (result.matches) {
      result.first = i;
      result.got = a;
      result.expected = b;
    }
    result.matches = false;
    ++result.wrong;
  }
  return result;
}

/// SplitMix64. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014.
static uint64_t nextRandom(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

void nibbleFillRandom(void *data, int32_t dtype, uint64_t bytes,
                      uint64_t *state) {
  size_t size = nibble_dtype_size(dtype);
  char *to = data;
  for (uint64_t i = 0; i != bytes / size; ++i, to += size) {
    uint64_t random = nextRandom(state);
    double real = (double)(random >> 11) * 0x1p-52 - 1.0;
    float single = (float)real;
    uint32_t bits;
    memcpy(&bits, &single, sizeof(bits));
    uint64_t integer = random >> 63;
    switch (dtype) {
    case NIBBLE_FLOAT:
      memcpy(to, &single, size);
      break;
    case NIBBLE_DOUBLE:
      memcpy(to, &real, size);
      break;
    case NIBBLE_BFLOAT16:
      bits >>= 16;
      memcpy(to, &bits, size);
      break;
    case NIBBLE_FLOAT16:
      // Multiples of 1/1024 in [1, 2), which need no rounding, less one bit of
      // sign: enough variety to measure with.
      bits = 0x3c00u | (uint32_t)(random & 0x83ff);
      memcpy(to, &bits, size);
      break;
    default:
      memcpy(to, &integer, size);
      break;
    }
  }
}

double nibbleSeconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int compareDoubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

nibble_status nibbleBenchmark(nibble_context *context,
                              const nibble_tensor *inputs, size_t inputCount,
                              double seconds, Benchmark *result) {
  enum { MaxRuns = 1000000 };
  *result = (Benchmark){0};
  nibble_status status = nibble_run(context, inputs, inputCount, NULL, 0);
  size_t capacity = 1024;
  double *times = malloc(capacity * sizeof(double));
  double begin = nibbleSeconds(), end = begin;
  while (times && status == NIBBLE_OK && result->runs < MaxRuns &&
         (result->runs == 0 || end - begin < seconds)) {
    if (result->runs == capacity) {
      double *larger = realloc(times, 2 * capacity * sizeof(double));
      if (!larger)
        break;
      times = larger;
      capacity *= 2;
    }
    double start = nibbleSeconds();
    status = nibble_run(context, inputs, inputCount, NULL, 0);
    end = nibbleSeconds();
    times[result->runs++] = (end - start) * 1e3;
  }
  if (!times)
    status = NIBBLE_OUT_OF_MEMORY;
  if (status == NIBBLE_OK) {
    qsort(times, result->runs, sizeof(double), compareDoubles);
    size_t runs = result->runs;
    result->minimum = times[0];
    result->maximum = times[runs - 1];
    result->median = (times[(runs - 1) / 2] + times[runs / 2]) / 2;
    for (size_t i = 0; i != runs; ++i)
      result->mean += times[i] / (double)runs;
    result->total = end - begin;
  }
  free(times);
  return status;
}
