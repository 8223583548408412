//===- RunTool.c - What nibble-run does -----------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RunExec.h"
#include "RunFiles.h"
#include "Seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/// One invocation of the tool.
typedef struct Run {
  const char *program;
  RunOptions options;
  nibble_model *model;
  nibble_context *context;
  TensorSet inputs, expected;
  nibble_tensor *inputTensors, *outputs;
  NibbleError error;
  bool mismatch;
} Run;

static int fail(const Run *run, const char *text) {
  fprintf(stderr, "%s: error: %s\n", run->program, text);
  return RunFailure;
}

static int openModel(Run *run, const nibble_shared_model_entry *embedded) {
  nibble_status status =
      embedded ? nibble_model_open(embedded->descriptor, &run->model)
               : nibble_model_load(run->options.model, &run->model);
  return status == NIBBLE_OK ? RunSuccess : fail(run, nibble_last_error(NULL));
}

static int createContext(Run *run) {
  nibble_context_options options = {.size = sizeof(options),
                                    .threads = run->options.threads,
                                    .device = run->options.device,
                                    .profile = run->options.profile};
  if (nibble_context_create(run->model, &options, &run->context) != NIBBLE_OK)
    return fail(run, nibble_last_error(NULL));
  run->inputTensors =
      calloc(nibble_model_input_count(run->model) + 1, sizeof(nibble_tensor));
  run->outputs =
      calloc(nibble_model_output_count(run->model) + 1, sizeof(nibble_tensor));
  return run->inputTensors && run->outputs ? RunSuccess
                                           : fail(run, "out of memory");
}

static int readInputs(Run *run) {
  const RunOptions *o = &run->options;
  TensorSet *set = &run->inputs;
  if (nibbleCreateSet(set, run->model, false, &run->error) != NIBBLE_OK)
    return fail(run, run->error.text);
  nibble_status status;
  if (o->benchmark && o->inputCount == 0 && set->count) {
    status = nibbleMakeRandom(set, &run->error);
    fprintf(o->json ? stderr : stdout,
            "inputs are random (seed 42), dimensions of any size are 1\n");
  } else {
    status = nibbleReadTensors(set, o->inputs, o->inputCount, &run->error);
  }
  if (status != NIBBLE_OK)
    return fail(run, run->error.text);
  for (size_t i = 0; i != set->count; ++i) {
    if (!set->given[i]) {
      char missing[NibbleErrorSize / 2], text[NibbleErrorSize];
      nibbleListTensors(set, true, missing, sizeof(missing));
      snprintf(text, sizeof(text),
               "missing inputs: %s; give each with --input NAME=FILE", missing);
      return fail(run, text);
    }
    NibbleArray *array = &set->arrays[i];
    run->inputTensors[i] = (nibble_tensor){.data = array->data,
                                           .bytes = array->bytes,
                                           .dtype = array->dtype,
                                           .rank = array->rank,
                                           .dims = array->dims};
  }
  return RunSuccess;
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// DIR/NAME.npy, where nothing in NAME leads out of DIR; free() it.
static char *outputPath(const char *directory, const char *name) {
  size_t size = strlen(directory) + strlen(name) + sizeof("/.npy");
  char *path = malloc(size);
  if (!path)
    return NULL;
  snprintf(path, size, "%s/%s.npy", directory, name);
  for (char *p = path + strlen(directory) + 1; *p; ++p)
    if (*p == '/')
      *p = '_';
  return path;
}

static void printOutput(const nibble_tensor *output, const char *path,
                        bool json) {
  if (json) {
    printf("{\"name\": ");
    nibblePrintString(stdout, output->name);
    printf(", \"dtype\": \"%s\", \"shape\": [",
           nibble_dtype_name(output->dtype));
    for (int32_t d = 0; d != output->rank; ++d)
      printf(d ? ", %lld" : "%lld", (long long)output->dims[d]);
    printf("], \"file\": ");
    if (path)
      nibblePrintString(stdout, path);
    else
      printf("null");
    printf("}");
    return;
  }
  char shape[256];
  printf("%s: %s %s", output->name, nibble_dtype_name(output->dtype),
         nibbleShapeText(output->dims, output->rank, shape, sizeof(shape)));
  enum { Shown = 8 };
  uint64_t count = output->bytes / nibble_dtype_size(output->dtype);
  for (uint64_t i = 0; i != count && i != Shown; ++i)
    printf("%s %.6g", i ? "" : " =",
           nibbleElement(output->data, output->dtype, i));
  printf("%s%s%s\n", count > Shown ? " ..." : "", path ? " -> " : "",
         path ? path : "");
}

static int writeOutputs(Run *run) {
  const RunOptions *o = &run->options;
  if (o->outputDir && mkdir(o->outputDir, 0777) != 0 && errno != EEXIST) {
    nibbleSetError(&run->error, NIBBLE_IO_ERROR, "can't make '%s': %s",
                   o->outputDir, strerror(errno));
    return fail(run, run->error.text);
  }
  size_t count = nibble_model_output_count(run->model);
  for (size_t i = 0; i != count; ++i) {
    char *path = NULL;
    if (o->outputDir) {
      path = outputPath(o->outputDir, run->outputs[i].name);
      if (!path)
        return fail(run, "out of memory");
      if (nibbleWriteNpy(path, &run->outputs[i], &run->error) != NIBBLE_OK) {
        free(path);
        return fail(run, run->error.text);
      }
    }
    if (o->json)
      printf("%s", i ? ",\n    " : "\n    ");
    printOutput(&run->outputs[i], path, o->json);
    free(path);
  }
  return RunSuccess;
}

/// Compare output `index` with the file that was given for it.
static int checkOutput(Run *run, size_t index, bool first) {
  const nibble_tensor *got = &run->outputs[index];
  const NibbleArray *expected = &run->expected.arrays[index];
  const RunOptions *o = &run->options;
  bool sameShape = got->rank == expected->rank;
  for (int32_t d = 0; sameShape && d != got->rank; ++d)
    sameShape = got->dims[d] == expected->dims[d];
  if (!sameShape || got->dtype != expected->dtype) {
    char a[256], b[256];
    nibbleSetError(
        &run->error, NIBBLE_RUN_FAILED,
        "output '%s': expected %s %s, got %s %s", got->name,
        nibble_dtype_name(expected->dtype),
        nibbleShapeText(expected->dims, expected->rank, a, sizeof(a)),
        nibble_dtype_name(got->dtype),
        nibbleShapeText(got->dims, got->rank, b, sizeof(b)));
    return fail(run, run->error.text);
  }
  Difference d = nibbleCompare(got, expected, o->rtol, o->atol);
  uint64_t count = got->bytes / nibble_dtype_size(got->dtype);
  if (o->json) {
    printf("%s{\"name\": ", first ? "\n    " : ",\n    ");
    nibblePrintString(stdout, got->name);
    printf(", \"matches\": %s, \"wrong\": %llu, \"elements\": %llu, ",
           d.matches ? "true" : "false", (unsigned long long)d.wrong,
           (unsigned long long)count);
    // JSON has no infinities.
    if (d.maximum - d.maximum == 0)
      printf("\"max_abs_difference\": %.9g}", d.maximum);
    else
      printf("\"max_abs_difference\": null}");
  } else if (d.matches) {
    printf("%s: matches, largest difference %.3g\n", got->name, d.maximum);
  }
  if (d.matches)
    return RunSuccess;
  nibbleSetError(&run->error, NIBBLE_RUN_FAILED,
                 "output '%s': %llu of %llu elements differ by more than %g + "
                 "%g * |expected|; the first at %llu: expected %.9g, got %.9g; "
                 "largest difference %.3g",
                 got->name, (unsigned long long)d.wrong,
                 (unsigned long long)count, o->atol, o->rtol,
                 (unsigned long long)d.first, d.expected, d.got, d.maximum);
  run->mismatch = true;
  return fail(run, run->error.text);
}

static int checkOutputs(Run *run) {
  int status = RunSuccess;
  bool first = true;
  for (size_t i = 0; i != run->expected.count; ++i) {
    if (!run->expected.given[i])
      continue;
    if (checkOutput(run, i, first) != RunSuccess)
      status = RunFailure;
    first = false;
  }
  return status;
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

static int measure(Run *run) {
  const RunOptions *o = &run->options;
  size_t inputCount = nibble_model_input_count(run->model);
  if (o->benchmark) {
    Benchmark result;
    nibble_status status = nibbleBenchmark(run->context, run->inputTensors,
                                           inputCount, o->seconds, &result);
    if (status != NIBBLE_OK)
      return fail(run, nibble_last_error(run->context));
    printf("%s", o->json ? ",\n  \"benchmark\": " : "");
    nibblePrintBenchmark(stdout, &result, o->json);
  }
  if (o->profile) {
    printf("%s", o->json ? ",\n  \"profile\": " : "");
    nibblePrintProfile(stdout, run->context, o->json);
  }
  return RunSuccess;
}

static int runModel(Run *run) {
  const RunOptions *o = &run->options;
  size_t inputCount = nibble_model_input_count(run->model);
  size_t outputCount = nibble_model_output_count(run->model);
  if (nibble_run(run->context, run->inputTensors, inputCount, run->outputs,
                 outputCount) != NIBBLE_OK)
    return fail(run, nibble_last_error(run->context));
  printf("%s", o->json ? "{\n  \"outputs\": [" : "");
  int status = writeOutputs(run);
  // An error ends the object early: standard error says why.
  if (status != RunSuccess)
    return status;
  printf("%s", o->json ? "]" : "");
  if (o->expectedCount) {
    printf("%s", o->json ? ",\n  \"expect\": [" : "");
    status = checkOutputs(run);
    printf("%s", o->json ? "]" : "");
  }
  int measured = measure(run);
  if (o->json && measured == RunSuccess)
    printf(",\n  \"memory_bytes\": %llu\n}\n",
           (unsigned long long)nibble_context_memory(run->context));
  return status != RunSuccess ? status : measured;
}

static int runTool(Run *run, const nibble_shared_model_entry *embedded) {
  const RunOptions *o = &run->options;
  int status = openModel(run, embedded);
  if (status != RunSuccess)
    return status;
  if (o->verify && nibble_model_verify(run->model) != NIBBLE_OK)
    return fail(run, nibble_last_error(NULL));
  if (o->info) {
    nibblePrintInfo(stdout, run->model);
    return RunSuccess;
  }
  status = createContext(run);
  if (status == RunSuccess)
    status = readInputs(run);
  if (status != RunSuccess)
    return status;
  if (nibbleCreateSet(&run->expected, run->model, true, &run->error) !=
          NIBBLE_OK ||
      nibbleReadTensors(&run->expected, o->expected, o->expectedCount,
                        &run->error) != NIBBLE_OK)
    return fail(run, run->error.text);
  return runModel(run);
}

int nibbleRunMain(int argc, char **argv,
                  const nibble_shared_model_entry *embedded) {
  Run run = {.program = argv[0]};
  const char *slash = strrchr(argv[0], '/');
  if (slash)
    run.program = slash + 1;
  int status =
      nibbleParseRunOptions(argc, argv, embedded != NULL, &run.options);
  if (status < 0 && !embedded && nibbleIsModelProgram(run.options.model)) {
    if (nibbleCheckSeal(run.options.model, false, &run.error) != NIBBLE_OK) {
      nibbleFreeRunOptions(&run.options);
      return fail(&run, run.error.text);
    }
    // The program takes the same options, without its own name among them.
    int kept = 1;
    for (int i = 1; i < argc; ++i)
      if (argv[i] != run.options.model)
        argv[kept++] = argv[i];
    argv[kept] = NULL;
    execv(run.options.model, argv);
    nibbleSetError(&run.error, NIBBLE_IO_ERROR, "can't start '%s': %s",
                   run.options.model, strerror(errno));
    status = fail(&run, run.error.text);
  }
  if (status < 0)
    status = runTool(&run, embedded);
  if (fflush(stdout) != 0 && status == RunSuccess)
    status = fail(&run, "can't write to standard output");
  free(run.inputTensors);
  free(run.outputs);
  nibbleFreeSet(&run.inputs);
  nibbleFreeSet(&run.expected);
  nibble_context_free(run.context);
  nibble_model_free(run.model);
  nibbleFreeRunOptions(&run.options);
  return status;
}
