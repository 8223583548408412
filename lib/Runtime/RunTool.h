//===- RunTool.h - What nibble-run does -----------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The tool nibble-run and every compiled executable are this code.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_RUNTOOL_H
#define NIBBLE_LIB_RUNTIME_RUNTOOL_H

#include "TensorFile.h"
#include "nibble/Runtime/ModelDescriptor.h"

#include <stdio.h>

/// NAME=FILE; name is NULL if only a file was given.
typedef struct NamedFile {
  char *name;
  const char *file;
} NamedFile;

typedef struct RunOptions {
  const char *model; ///< NULL in an executable
  NamedFile *inputs, *expected;
  size_t inputCount, expectedCount;
  const char *outputDir;
  double rtol, atol;
  double seconds; ///< of the benchmark
  int32_t threads, device;
  bool benchmark, profile, info, json, verify;
} RunOptions;

/// Exit statuses of the command line.
enum { RunSuccess = 0, RunFailure = 1, RunUsage = 2 };

/// Parse the command line. Returns -1 to go on, else the exit status: usage
/// errors are reported, --help and --version answered. `embedded`: the model is
/// in this program, so that no file is named.
int nibbleParseRunOptions(int argc, char **argv, bool embedded,
                          RunOptions *options);
void nibbleFreeRunOptions(RunOptions *options);

/// Run the tool; `model` is NULL to load the file of the command line. Returns
/// the exit status.
int nibbleRunMain(int argc, char **argv,
                  const nibble_shared_model_entry *model);

/// How far a result is from what was expected.
typedef struct Difference {
  bool matches;
  uint64_t wrong;       ///< elements outside of the tolerance
  uint64_t first;       ///< index of the first of them
  double maximum;       ///< largest absolute difference
  double got, expected; ///< at `first`
} Difference;

/// Compare as numpy.allclose does: |got - expected| <= atol + rtol*|expected|;
/// NaN equals NaN. Both have the same type and shape.
Difference nibbleCompare(const nibble_tensor *got, const NibbleArray *expected,
                         double rtol, double atol);
/// Element `index` as a number.
double nibbleElement(const void *data, int32_t dtype, uint64_t index);

/// Fill with numbers that any model takes, the same in every run: floats
/// between -1 and 1, integers 0 and 1.
void nibbleFillRandom(void *data, int32_t dtype, uint64_t bytes,
                      uint64_t *state);

/// Wall time in seconds, from a fixed point.
double nibbleSeconds(void);

/// Times of the runs of a benchmark.
typedef struct Benchmark {
  size_t runs;
  double minimum, median, mean, maximum; ///< milliseconds
  double total;                          ///< seconds
} Benchmark;

/// Run repeatedly for about `seconds`, after one run that is not counted.
nibble_status nibbleBenchmark(nibble_context *context,
                              const nibble_tensor *inputs, size_t inputCount,
                              double seconds, Benchmark *result);

void nibblePrintString(FILE *out, const char *text); ///< as JSON
void nibblePrintInfo(FILE *out, const nibble_model *model);
void nibblePrintBenchmark(FILE *out, const Benchmark *result, bool json);
/// A table of layers, or a JSON array.
void nibblePrintProfile(FILE *out, const nibble_context *context, bool json);

#endif // NIBBLE_LIB_RUNTIME_RUNTOOL_H
