//===- RunFiles.h - Inputs and expected outputs from files ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_RUNFILES_H
#define NIBBLE_LIB_RUNTIME_RUNFILES_H

#include "RunTool.h"

/// Tensors for the inputs, or for the outputs, of a model.
typedef struct TensorSet {
  const nibble_model *model;
  const char *kind; ///< "input" or "output", for messages
  size_t count;
  NibbleArray *arrays;
  bool *given;
  bool outputs;
} TensorSet;

nibble_status nibbleCreateSet(TensorSet *set, const nibble_model *model,
                              bool outputs, NibbleError *error);
void nibbleFreeSet(TensorSet *set);
/// Read files and put their tensors at the places that their names say.
nibble_status nibbleReadTensors(TensorSet *set, const NamedFile *files,
                                size_t count, NibbleError *error);
/// Random data for every input; dimensions of any size get 1.
nibble_status nibbleMakeRandom(TensorSet *set, NibbleError *error);
/// Names, types and shapes, for messages.
void nibbleListTensors(const TensorSet *set, bool missingOnly, char *text,
                       size_t size);

#endif // NIBBLE_LIB_RUNTIME_RUNFILES_H
