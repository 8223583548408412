//===- RunReport.c - What nibble-run prints -------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RunTool.h"

#include "Internal.h"

#include <stdlib.h>
#include <string.h>

void nibblePrintString(FILE *out, const char *text) {
  fputc('"', out);
  for (const unsigned char *p = (const unsigned char *)text; *p; ++p) {
    if (*p == '"' || *p == '\\')
      fprintf(out, "\\%c", *p);
    else if (*p < 0x20)
      fprintf(out, "\\u%04x", *p);
    else
      fputc(*p, out);
  }
  fputc('"', out);
}

static void printField(FILE *out, const char *name, const char *text) {
  fprintf(out, "  \"%s\": ", name);
  if (text)
    nibblePrintString(out, text);
  else
    fputs("null", out);
  fputs(",\n", out);
}

static void printTensors(FILE *out, const char *name, const nibble_model *model,
                         size_t count,
                         const nibble_tensor_info *(*get)(const nibble_model *,
                                                          size_t)) {
  fprintf(out, "  \"%s\": [", name);
  for (size_t i = 0; i != count; ++i) {
    const nibble_tensor_info *info = get(model, i);
    fputs(i ? ",\n    {\"name\": " : "\n    {\"name\": ", out);
    nibblePrintString(out, info->name);
    fprintf(out, ", \"dtype\": \"%s\", \"shape\": [",
            nibble_dtype_name(info->dtype));
    for (int32_t d = 0; d != info->rank; ++d) {
      fputs(d ? ", " : "", out);
      if (info->dims[d] >= 0)
        fprintf(out, "%lld", (long long)info->dims[d]);
      else if (info->dim_names[d][0])
        nibblePrintString(out, info->dim_names[d]);
      else
        fputs("null", out);
    }
    fputs("]}", out);
  }
  fputs(count ? "\n  ]" : "]", out);
}

static void printCaches(FILE *out, const nibble_model_descriptor *d) {
  fputs("  \"caches\": [", out);
  for (uint64_t i = 0; i != d->cache_count; ++i) {
    const nibble_cache_info *cache = &d->caches[i];
    fputs(i ? ",\n    {\"input\": " : "\n    {\"input\": ", out);
    nibblePrintString(out, d->inputs[cache->input].name);
    fputs(", \"output\": ", out);
    nibblePrintString(out, d->outputs[cache->output].name);
    fprintf(out, ", \"axis\": %d, \"grows\": %s}", cache->axis,
            cache->grows ? "true" : "false");
  }
  fputs(d->cache_count ? "\n  ]" : "]", out);
}

/// Only of a model that has kernels.
static void printChips(FILE *out, const nibble_model *model) {
  const nibble_device_code *device = model->descriptor->device;
  if (!device)
    return;
  fputs("  \"chips\": [", out);
  const char *chip;
  for (size_t i = 0; (chip = nibble_model_chip(model, i)); ++i) {
    fputs(i ? ", " : "", out);
    nibblePrintString(out, chip);
  }
  fputs("],\n  \"ptx\": ", out);
  const char *ptx = NULL;
  for (uint64_t i = 0; i != device->image_count; ++i)
    if (device->images[i].kind == NIBBLE_IMAGE_PTX)
      ptx = device->images[i].name;
  if (ptx)
    nibblePrintString(out, ptx);
  else
    fputs("null", out);
  fprintf(out, ",\n  \"kernels\": %llu,\n  \"device_weight_bytes\": %llu,\n",
          (unsigned long long)device->kernel_count,
          (unsigned long long)device->weight_bytes);
}

void nibblePrintInfo(FILE *out, const nibble_model *model) {
  const nibble_model_descriptor *d = model->descriptor;
  fputs("{\n", out);
  printField(out, "name", d->name);
  printField(out, "producer", d->producer);
  printField(out, "options", d->options);
  printField(out, "target", d->target);
  printChips(out, model);
  fprintf(out, "  \"abi\": %u,\n", d->abi);
  fprintf(out, "  \"weight_bytes\": %llu,\n",
          (unsigned long long)d->weight_bytes);
  printField(out, "sidecar", d->sidecar);
  fputs("  \"features\": [", out);
  for (uint64_t i = 0; i != d->feature_count; ++i) {
    fputs(i ? ", " : "", out);
    nibblePrintString(out, d->features[i]);
  }
  fprintf(out, "],\n  \"layers\": %llu,\n", (unsigned long long)d->layer_count);
  printTensors(out, "inputs", model, d->input_count, nibble_model_input);
  fputs(",\n", out);
  printTensors(out, "outputs", model, d->output_count, nibble_model_output);
  fputs(",\n", out);
  printCaches(out, d);
  fputs("\n}\n", out);
}

void nibblePrintBenchmark(FILE *out, const Benchmark *r, bool json) {
  if (json)
    fprintf(out,
            "{\"runs\": %zu, \"seconds\": %.6g, \"min_ms\": %.6g, "
            "\"median_ms\": %.6g, \"mean_ms\": %.6g, \"max_ms\": %.6g}",
            r->runs, r->total, r->minimum, r->median, r->mean, r->maximum);
  else
    fprintf(out,
            "benchmark: %zu runs in %.3g s: median %.4g ms, mean %.4g ms, "
            "min %.4g ms, max %.4g ms\n",
            r->runs, r->total, r->median, r->mean, r->minimum, r->maximum);
}

/// The slowest layer first.
static int slowerFirst(const void *a, const void *b) {
  uint64_t x = (*(const nibble_profile_entry *const *)a)->nanoseconds;
  uint64_t y = (*(const nibble_profile_entry *const *)b)->nanoseconds;
  return x < y ? 1 : x > y ? -1 : 0;
}

void nibblePrintProfile(FILE *out, const nibble_context *context, bool json) {
  const nibble_profile_entry *entries;
  size_t count = nibble_context_profile(context, &entries);
  const nibble_profile_entry **order = calloc(count + 1, sizeof(*order));
  uint64_t total = 0;
  for (size_t i = 0; i != count; ++i) {
    total += entries[i].nanoseconds;
    if (order)
      order[i] = &entries[i];
  }
  if (order && !json)
    qsort(order, count, sizeof(*order), slowerFirst);
  if (!json)
    fprintf(out, "%-40s %8s %12s %6s %10s\n", "layer", "calls", "ms/call",
            "share", "GB/s");
  else
    fputc('[', out);
  for (size_t i = 0; order && i != count; ++i) {
    const nibble_profile_entry *e = order[i];
    double calls = e->calls ? (double)e->calls : 1;
    double nanoseconds = (double)e->nanoseconds / calls;
    // Bytes per nanosecond are gigabytes per second.
    double rate = nanoseconds > 0 ? (double)e->bytes / nanoseconds : 0;
    if (!json) {
      fprintf(out, "%-40s %8llu %12.4f %5.1f%% %10.3f\n", e->name,
              (unsigned long long)e->calls, nanoseconds * 1e-6,
              total ? 100.0 * (double)e->nanoseconds / (double)total : 0, rate);
      continue;
    }
    fputs(i ? ",\n    {\"layer\": " : "\n    {\"layer\": ", out);
    nibblePrintString(out, e->name);
    fprintf(out,
            ", \"calls\": %llu, \"ms\": %.6g, \"weight_bytes\": %llu, "
            "\"gb_per_s\": %.6g}",
            (unsigned long long)e->calls, nanoseconds * 1e-6,
            (unsigned long long)e->bytes, rate);
  }
  if (json)
    fputc(']', out);
  free(order);
}
