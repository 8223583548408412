//===- Check.c - Checking the inputs of a run -----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Check.h"

#include <stdio.h>
#include <string.h>

const char *nibbleShapeText(const int64_t *dims, int64_t rank, char *buffer,
                            size_t size) {
  size_t length = 0;
  buffer[0] = '\0';
  for (int64_t i = 0; i <= rank && length < size; ++i) {
    const char *before = i == 0 ? "[" : i == rank ? "]" : ", ";
    int n = snprintf(buffer + length, size - length, "%s", before);
    length += n > 0 ? (size_t)n : 0;
    if (i == rank || length >= size)
      break;
    if (dims[i] < 0)
      n = snprintf(buffer + length, size - length, "?");
    else
      n = snprintf(buffer + length, size - length, "%lld", (long long)dims[i]);
    length += n > 0 ? (size_t)n : 0;
  }
  if (rank == 0)
    snprintf(buffer, size, "[]");
  return buffer;
}

bool nibbleByteSize(const int64_t *dims, int64_t rank, int32_t dtype,
                    uint64_t *bytes) {
  *bytes = nibble_dtype_size(dtype);
  for (int64_t i = 0; i != rank; ++i)
    if (dims[i] < 0 ||
        __builtin_mul_overflow(*bytes, (uint64_t)dims[i], bytes) ||
        *bytes > (uint64_t)INT64_MAX)
      return false;
  return true;
}

/// List the model's inputs: "'a', 'b'".
static const char *inputNames(const nibble_model_descriptor *d, char *text,
                              size_t size) {
  size_t length = 0;
  text[0] = '\0';
  for (uint64_t i = 0; i != d->input_count && length < size; ++i) {
    int n = snprintf(text + length, size - length, "%s'%s'", i ? ", " : "",
                     d->inputs[i].name);
    length += n > 0 ? (size_t)n : 0;
  }
  return text;
}

/// Put every given tensor at the place of its input.
static nibble_status matchInputs(nibble_context *context,
                                 const nibble_tensor *inputs, size_t count) {
  const nibble_model_descriptor *d = context->model->descriptor;
  NibbleError *error = &context->error;
  // Texts are made for errors alone: they take longer than a small model.
  char names[NibbleErrorSize / 2];
  for (uint64_t i = 0; i != d->input_count; ++i)
    context->inputs[i] = NULL;
  for (uint64_t i = 0; context->caches.kept && i != d->cache_count; ++i)
    context->inputs[d->caches[i].input] = &context->caches.states[i].past;
  for (size_t i = 0; i != count; ++i) {
    uint64_t place = i;
    if (inputs[i].name)
      for (place = 0; place != d->input_count; ++place)
        if (strcmp(d->inputs[place].name, inputs[i].name) == 0)
          break;
    if (place >= d->input_count) {
      if (inputs[i].name)
        return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                              "model '%s' has no input '%s'; its inputs are %s",
                              d->name, inputs[i].name,
                              inputNames(d, names, sizeof(names)));
      return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "model '%s' takes %llu inputs (%s), got %zu",
                            d->name, (unsigned long long)d->input_count,
                            inputNames(d, names, sizeof(names)), count);
    }
    const nibble_tensor *there = context->inputs[place];
    if (there)
      return nibbleSetError(
          error, NIBBLE_INVALID_ARGUMENT,
          there >= inputs && there < inputs + count
              ? "input '%s' is given twice"
              : "input '%s' is given, but the context keeps this cache",
          d->inputs[place].name);
    context->inputs[place] = &inputs[i];
  }
  for (uint64_t i = 0; i != d->input_count; ++i)
    if (!context->inputs[i])
      return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "input '%s' is missing; model '%s' takes %llu "
                            "inputs (%s), got %zu",
                            d->inputs[i].name, d->name,
                            (unsigned long long)d->input_count,
                            inputNames(d, names, sizeof(names)), count);
  return NIBBLE_OK;
}

static nibble_status checkTensor(const nibble_tensor_info *info,
                                 const nibble_tensor *tensor,
                                 NibbleError *error) {
  char expected[256], got[256];
  // Texts of shapes, made for errors alone.
#define EXPECTED                                                               \
  nibbleShapeText(info->dims, info->rank, expected, sizeof(expected))
#define GOT nibbleShapeText(tensor->dims, tensor->rank, got, sizeof(got))
  if (tensor->dtype != info->dtype)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "input '%s': expected elements of type %s, got %s",
                          info->name, nibble_dtype_name(info->dtype),
                          nibble_dtype_name(tensor->dtype));
  if (tensor->rank != info->rank)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "input '%s': expected %d dimensions %s, got %d",
                          info->name, info->rank, EXPECTED, tensor->rank);
  if (info->rank && !tensor->dims)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "input '%s': 'dims' is null, expected %s", info->name,
                          EXPECTED);
  for (int32_t i = 0; i != info->rank; ++i) {
    if (tensor->dims[i] < 0)
      return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "input '%s': dimension %d is negative: %lld",
                            info->name, i, (long long)tensor->dims[i]);
    if (info->dims[i] >= 0 && info->dims[i] != tensor->dims[i])
      return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "input '%s': expected shape %s, got %s: dimension "
                            "%d is %lld, not %lld",
                            info->name, EXPECTED, GOT, i,
                            (long long)tensor->dims[i],
                            (long long)info->dims[i]);
  }
  uint64_t bytes;
  if (!nibbleByteSize(tensor->dims, tensor->rank, tensor->dtype, &bytes))
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "input '%s': a tensor of shape %s is too large",
                          info->name, GOT);
  if (tensor->bytes && tensor->bytes != bytes)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "input '%s': expected %llu bytes (%s of %s), got %zu",
                          info->name, (unsigned long long)bytes, GOT,
                          nibble_dtype_name(info->dtype), tensor->bytes);
  if (!tensor->data && bytes)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "input '%s': 'data' is null", info->name);
#undef EXPECTED
#undef GOT
  return NIBBLE_OK;
}

/// Dimensions of the same name must agree. Few inputs with few dimensions:
/// compare each with all before it.
static nibble_status checkSymbols(const nibble_context *context, uint64_t input,
                                  NibbleError *error) {
  const nibble_tensor_info *infos = context->model->descriptor->inputs;
  const nibble_tensor_info *info = &infos[input];
  for (int32_t i = 0; i != info->rank; ++i) {
    const char *symbol = info->dim_names[i];
    if (!symbol[0])
      continue;
    for (uint64_t other = 0; other <= input; ++other)
      for (int32_t j = 0; j != infos[other].rank; ++j) {
        int64_t here = context->inputs[input]->dims[i];
        int64_t there = context->inputs[other]->dims[j];
        if (here != there && strcmp(symbol, infos[other].dim_names[j]) == 0)
          return nibbleSetError(
              error, NIBBLE_INVALID_ARGUMENT,
              "input '%s': dimension %d ('%s') is %lld, but dimension %d of "
              "input '%s', of the same name, is %lld",
              info->name, i, symbol, (long long)here, j, infos[other].name,
              (long long)there);
      }
  }
  return NIBBLE_OK;
}

nibble_status nibbleCheckInputs(nibble_context *context,
                                const nibble_tensor *inputs, size_t count) {
  const nibble_model_descriptor *d = context->model->descriptor;
  if (!inputs && count)
    return nibbleSetError(&context->error, NIBBLE_INVALID_ARGUMENT,
                          "nibble_run: 'inputs' is null");
  nibble_status status = matchInputs(context, inputs, count);
  for (uint64_t i = 0; i != d->input_count && status == NIBBLE_OK; ++i) {
    status = checkTensor(&d->inputs[i], context->inputs[i], &context->error);
    if (status == NIBBLE_OK)
      status = checkSymbols(context, i, &context->error);
  }
  return status;
}
