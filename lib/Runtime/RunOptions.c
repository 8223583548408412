//===- RunOptions.c - Command line of nibble-run --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RunTool.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: %s %s[options]\n"
    "Run a model that nibble-compile made.\n"
    "\n"
    "  --input NAME=FILE   tensor for an input: .npy, .npz (its array NAME) "
    "or\n"
    "                      .pb (onnx.TensorProto); repeatable. Without NAME=,\n"
    "                      the only input, or all that an .npz has arrays for\n"
    "  --output-dir DIR    write every output to DIR/NAME.npy\n"
    "  --expect NAME=FILE  compare an output with a tensor; repeatable\n"
    "  --rtol R --atol A   an element matches if it differs by at most A + R "
    "*\n"
    "                      |expected|; default 1e-4 and 1e-5\n"
    "  --benchmark[=S]     measure for S seconds, default 3; without --input, "
    "on\n"
    "                      random inputs\n"
    "  --profile           time and memory bandwidth of every layer\n"
    "  --threads N         threads of a run; 0 (default) for what the model "
    "was\n"
    "                      compiled with, else all\n"
    "  --device N          GPU of a model with kernels, among those that\n"
    "                      CUDA_VISIBLE_DEVICES shows; default 0\n"
    "  --verify            first compare all of the model's file, and of its\n"
    "                      weights file, with their checksums\n"
    "  --info              print what the model takes and gives, as JSON\n"
    "  --json              print results as JSON\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0; 1 if something fails or does not match; 2 for an unknown\n"
    "option or value.\n";

static int usageError(const char *program, const char *format,
                      const char *text) {
  fprintf(stderr, "%s: error: ", program);
  fprintf(stderr, format, text);
  fprintf(stderr, "; see --help\n");
  return RunUsage;
}

/// The value of option `name` if argv[*i] is it ("--name value" or
/// "--name=value"); NULL if it is another, or, with *i == argc, lacks a value.
static const char *optionValue(int argc, char **argv, int *i,
                               const char *name) {
  size_t length = strlen(name);
  if (strncmp(argv[*i], name, length) != 0)
    return NULL;
  if (argv[*i][length] == '=')
    return argv[*i] + length + 1;
  if (argv[*i][length] != '\0')
    return NULL;
  return ++*i < argc ? argv[*i] : NULL;
}

static bool addFile(NamedFile **list, size_t *count, const char *value) {
  NamedFile *larger = realloc(*list, (*count + 1) * sizeof(NamedFile));
  if (!larger)
    return false;
  *list = larger;
  NamedFile *added = &larger[(*count)++];
  // Names may hold '/' and ':', files '=': the first '=' separates.
  const char *equals = strchr(value, '=');
  *added = (NamedFile){.file = equals ? equals + 1 : value};
  if (equals)
    added->name = strndup(value, (size_t)(equals - value));
  return !equals || added->name;
}

static bool parseNumber(const char *text, double *value) {
  char *end;
  *value = strtod(text, &end);
  return end != text && *end == '\0' && isfinite(*value) && *value >= 0;
}

static bool parseCount(const char *text, int32_t *value) {
  char *end;
  errno = 0;
  long number = strtol(text, &end, 10);
  *value = (int32_t)number;
  return end != text && *end == '\0' && !errno && number >= 0 &&
         number <= 65536;
}

/// Options with a value. Returns -1 if argv[*i] is none of them.
static int parseValued(int argc, char **argv, int *i, RunOptions *o) {
  enum { Input, Expect, OutputDir, Rtol, Atol, Threads, Device, Count };
  static const char *const names[Count] = {
      "--input", "--expect",  "--output-dir", "--rtol",
      "--atol",  "--threads", "--device"};
  const char *option = argv[*i];
  for (int which = 0; which != Count; ++which) {
    const char *value = optionValue(argc, argv, i, names[which]);
    if (*i == argc)
      return usageError(argv[0], "option '%s' needs a value", option);
    if (!value)
      continue;
    bool good = true;
    switch (which) {
    case Input:
      good = addFile(&o->inputs, &o->inputCount, value);
      break;
    case Expect:
      good = addFile(&o->expected, &o->expectedCount, value);
      break;
    case OutputDir:
      o->outputDir = value;
      break;
    case Rtol:
      good = parseNumber(value, &o->rtol);
      break;
    case Atol:
      good = parseNumber(value, &o->atol);
      break;
    case Device:
      good = parseCount(value, &o->device);
      break;
    default:
      good = parseCount(value, &o->threads);
      break;
    }
    if (!good)
      return usageError(argv[0], "invalid value in '%s'", argv[*i]);
    return RunSuccess;
  }
  return -1;
}

int nibbleParseRunOptions(int argc, char **argv, bool embedded, RunOptions *o) {
  *o = (RunOptions){.rtol = 1e-4, .atol = 1e-5, .seconds = 3};
  bool onlyFiles = false;
  for (int i = 1; i < argc; ++i) {
    const char *arg = argv[i];
    if (onlyFiles || arg[0] != '-') {
      if (embedded || o->model)
        return usageError(argv[0], "unexpected argument '%s'", arg);
      o->model = arg;
      continue;
    }
    int status = parseValued(argc, argv, &i, o);
    if (status == RunSuccess)
      continue;
    if (status > 0)
      return status;
    if (strcmp(arg, "--") == 0) {
      onlyFiles = true;
    } else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
      printf(usage, argv[0], embedded ? "" : "MODEL ");
      return RunSuccess;
    } else if (strcmp(arg, "--version") == 0) {
      printf("Nibble runtime %d.%d\n", NIBBLE_VERSION_MAJOR,
             NIBBLE_VERSION_MINOR);
      return RunSuccess;
    } else if (strcmp(arg, "--benchmark") == 0) {
      o->benchmark = true;
    } else if (strncmp(arg, "--benchmark=", 12) == 0) {
      o->benchmark = true;
      if (!parseNumber(arg + 12, &o->seconds))
        return usageError(argv[0], "invalid number of seconds in '%s'", arg);
    } else if (strcmp(arg, "--profile") == 0) {
      o->profile = true;
    } else if (strcmp(arg, "--info") == 0) {
      o->info = true;
    } else if (strcmp(arg, "--verify") == 0) {
      o->verify = true;
    } else if (strcmp(arg, "--json") == 0) {
      o->json = true;
    } else {
      return usageError(argv[0], "unknown option '%s'", arg);
    }
  }
  if (!embedded && !o->model)
    return usageError(argv[0], "%s", "expected a model");
  return -1;
}

void nibbleFreeRunOptions(RunOptions *options) {
  for (size_t i = 0; i != options->inputCount; ++i)
    free(options->inputs[i].name);
  for (size_t i = 0; i != options->expectedCount; ++i)
    free(options->expected[i].name);
  free(options->inputs);
  free(options->expected);
}
