//===- nibble.h - Run a compiled model --------------------------*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The C interface of compiled models, for C and C++. It needs no LLVM and
// throws nothing.
//
// A *model* is immutable: code, metadata and mapped weights. Any number of
// threads may share one. A *context* belongs to one caller at a time and holds
// what a run changes: the number of threads, scratch memory, the outputs and
// the text of the last error.
//
//   nibble_model *model;
//   nibble_context *context;
//   if (nibble_model_load("./resnet.so", &model) != NIBBLE_OK)
//     die(nibble_last_error(NULL));
//   if (nibble_context_create(model, NULL, &context) != NIBBLE_OK)
//     die(nibble_last_error(NULL));
//   int64_t dims[4] = {1, 3, 32, 32};
//   nibble_tensor in = {.data = pixels, .dtype = NIBBLE_FLOAT, .rank = 4,
//                       .dims = dims};
//   nibble_tensor out = {0};
//   if (nibble_run(context, &in, 1, &out, 1) != NIBBLE_OK)
//     die(nibble_last_error(context));
//   // out.data, out.dims: valid until the next nibble_run on this context.
//
// Tensors are dense and row-major ("C order"), in the machine's byte order.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_NIBBLE_H
#define NIBBLE_RUNTIME_NIBBLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define NIBBLE_NOEXCEPT noexcept
#else
#define NIBBLE_NOEXCEPT
#endif

#define NIBBLE_API __attribute__((visibility("default")))

/// Version of this interface: a binary whose major number differs is refused.
#define NIBBLE_VERSION_MAJOR 0
#define NIBBLE_VERSION_MINOR 1
#define NIBBLE_VERSION (NIBBLE_VERSION_MAJOR * 1000 + NIBBLE_VERSION_MINOR)

/// NIBBLE_VERSION of the runtime that is linked in.
NIBBLE_API uint32_t nibble_version(void) NIBBLE_NOEXCEPT;

typedef enum nibble_status {
  NIBBLE_OK = 0,
  /// A null pointer, an unknown name, a wrong shape, type, size or count.
  NIBBLE_INVALID_ARGUMENT = 1,
  /// A file that is not there or can't be read.
  NIBBLE_IO_ERROR = 2,
  /// A file that is not a compiled model, or one of another version, or whose
  /// weights do not belong to it.
  NIBBLE_INVALID_MODEL = 3,
  /// The model was compiled for instructions that this CPU does not have.
  NIBBLE_UNSUPPORTED_CPU = 4,
  NIBBLE_OUT_OF_MEMORY = 5,
  /// A check inside the model failed, e.g. an index out of range.
  NIBBLE_RUN_FAILED = 6,
  /// The positions of a text do not fit into the limit of the kept caches.
  NIBBLE_CONTEXT_OVERFLOW = 7,
  /// A model with kernels for a GPU, and no such GPU, no driver, one that is
  /// too old, or one that failed.
  NIBBLE_DEVICE_ERROR = 8
} nibble_status;

/// A constant string such as "invalid argument".
NIBBLE_API const char *
nibble_status_string(nibble_status status) NIBBLE_NOEXCEPT;

/// Element types, numbered as in ONNX's TensorProto.DataType. Integers of 2 and
/// 4 bits and floats of 4 and 6 bits take a byte each, which ONNX's files pack:
/// the code is in the low bits (as ml_dtypes has it); the bits above are not
/// looked at in inputs.
typedef enum nibble_dtype {
  NIBBLE_UNDEFINED = 0,
  NIBBLE_FLOAT = 1,
  NIBBLE_UINT8 = 2,
  NIBBLE_INT8 = 3,
  NIBBLE_UINT16 = 4,
  NIBBLE_INT16 = 5,
  NIBBLE_INT32 = 6,
  NIBBLE_INT64 = 7,
  NIBBLE_BOOL = 9,
  NIBBLE_FLOAT16 = 10,
  NIBBLE_DOUBLE = 11,
  NIBBLE_UINT32 = 12,
  NIBBLE_UINT64 = 13,
  NIBBLE_BFLOAT16 = 16,
  NIBBLE_FLOAT8E4M3FN = 17,
  NIBBLE_FLOAT8E4M3FNUZ = 18,
  NIBBLE_FLOAT8E5M2 = 19,
  NIBBLE_FLOAT8E5M2FNUZ = 20,
  NIBBLE_UINT4 = 21,
  NIBBLE_INT4 = 22,
  NIBBLE_FLOAT4E2M1 = 23,
  NIBBLE_FLOAT8E8M0 = 24,
  NIBBLE_UINT2 = 25,
  NIBBLE_INT2 = 26,
  NIBBLE_FLOAT6E2M3 = 27,
  NIBBLE_FLOAT6E3M2 = 28
} nibble_dtype;

/// Bytes of one element, 0 for a type that no run-time tensor has.
NIBBLE_API size_t nibble_dtype_size(int32_t dtype) NIBBLE_NOEXCEPT;
/// Name as NumPy and ml_dtypes write it ("float32"), or "unknown".
NIBBLE_API const char *nibble_dtype_name(int32_t dtype) NIBBLE_NOEXCEPT;

/// What a model says about one input or output. Constant, owned by the model.
typedef struct nibble_tensor_info {
  const char *name;
  int32_t dtype; ///< nibble_dtype
  int32_t rank;
  /// `rank` sizes; -1 where any size will do.
  const int64_t *dims;
  /// `rank` names of dimensions; "" where there is none. Dimensions of the
  /// same name must have the same size in one run.
  const char *const *dim_names;
} nibble_tensor_info;

/// A tensor given to or taken from a run.
typedef struct nibble_tensor {
  /// Inputs: the name of the input, or NULL for the input at this position.
  /// Outputs: set by nibble_run.
  const char *name;
  /// Inputs: the elements, not changed by a run. Outputs: NULL to get memory
  /// of the context, or a buffer that the result is copied into.
  void *data;
  /// Inputs: size of `data`, or 0 for "what the shape says". Outputs: capacity
  /// of a buffer that the caller gave; nibble_run sets the size of the result.
  size_t bytes;
  int32_t dtype; ///< nibble_dtype
  int32_t rank;
  /// `rank` sizes. Outputs: memory of the context.
  const int64_t *dims;
} nibble_tensor;

typedef struct nibble_model nibble_model;
typedef struct nibble_context nibble_context;
/// The constant that a compiled model consists of; see ModelDescriptor.h.
typedef struct nibble_model_descriptor nibble_model_descriptor;

/// Load the shared object at `path`. `*model` is set only on NIBBLE_OK; on
/// failure nibble_last_error(NULL) tells this thread what was wrong.
NIBBLE_API nibble_status
nibble_model_load(const char *path, nibble_model **model) NIBBLE_NOEXCEPT;

/// Open a model that is linked into this program: from `X.o`, whose header
/// `X.h` declares the descriptor.
NIBBLE_API nibble_status
nibble_model_open(const nibble_model_descriptor *descriptor,
                  nibble_model **model) NIBBLE_NOEXCEPT;

/// Read the model's file, with all weights, and compare it with the checksums
/// that the compiler wrote: NIBBLE_INVALID_MODEL if a byte of it has changed.
/// To load a model compares its code alone, since reading all weights would
/// take longer than the rest. On failure: nibble_last_error(NULL).
NIBBLE_API nibble_status nibble_model_verify(const nibble_model *model)
    NIBBLE_NOEXCEPT;

/// Free a model whose contexts are all freed. NULL is allowed.
NIBBLE_API void nibble_model_free(nibble_model *model) NIBBLE_NOEXCEPT;

NIBBLE_API const char *
nibble_model_name(const nibble_model *model) NIBBLE_NOEXCEPT;
/// Compiler and version that produced the model.
NIBBLE_API const char *
nibble_model_producer(const nibble_model *model) NIBBLE_NOEXCEPT;
/// The options it was compiled with.
NIBBLE_API const char *
nibble_model_options(const nibble_model *model) NIBBLE_NOEXCEPT;
/// The --march it was compiled for.
NIBBLE_API const char *
nibble_model_target(const nibble_model *model) NIBBLE_NOEXCEPT;
/// The chips that a model has kernels for ("sm_90"); NULL when `index` is out
/// of range, for a model that runs on the CPU at 0.
NIBBLE_API const char *nibble_model_chip(const nibble_model *model,
                                         size_t index) NIBBLE_NOEXCEPT;
/// Bytes of weights, embedded or in the sidecar file.
NIBBLE_API uint64_t nibble_model_weight_bytes(const nibble_model *model)
    NIBBLE_NOEXCEPT;
/// File name of the sidecar, or NULL when the weights are embedded.
NIBBLE_API const char *
nibble_model_sidecar(const nibble_model *model) NIBBLE_NOEXCEPT;

NIBBLE_API size_t nibble_model_input_count(const nibble_model *model)
    NIBBLE_NOEXCEPT;
NIBBLE_API size_t nibble_model_output_count(const nibble_model *model)
    NIBBLE_NOEXCEPT;
/// NULL when `index` is out of range.
NIBBLE_API const nibble_tensor_info *
nibble_model_input(const nibble_model *model, size_t index) NIBBLE_NOEXCEPT;
NIBBLE_API const nibble_tensor_info *
nibble_model_output(const nibble_model *model, size_t index) NIBBLE_NOEXCEPT;

/// How a context runs. Set `size` to sizeof(nibble_context_options): fields
/// that a later version adds then keep their defaults.
typedef struct nibble_context_options {
  size_t size;
  /// Threads of a run; 0 for what the model was compiled with (--threads), else
  /// all that OpenMP would use.
  int32_t threads;
  /// Nonzero to measure every layer; see nibble_context_profile.
  int32_t profile;
  /// Models with kernels: index of the GPU, among those that
  /// CUDA_VISIBLE_DEVICES shows.
  int32_t device;
} nibble_context_options;

/// `options` may be NULL. On failure: nibble_last_error(NULL).
NIBBLE_API nibble_status nibble_context_create(
    const nibble_model *model, const nibble_context_options *options,
    nibble_context **context) NIBBLE_NOEXCEPT;
NIBBLE_API void nibble_context_free(nibble_context *context) NIBBLE_NOEXCEPT;

/// Run the model once. Inputs go by name where they have one, else by position;
/// all must be given. `output_count` may be smaller than the model's: the first
/// ones are returned then. Outputs of the run before may be inputs of this one.
/// After a failure the context is usable again and the
/// contents of `outputs` are not specified. A context that is running on
/// another thread gives NIBBLE_INVALID_ARGUMENT and no text.
NIBBLE_API nibble_status nibble_run(nibble_context *context,
                                    const nibble_tensor *inputs,
                                    size_t input_count, nibble_tensor *outputs,
                                    size_t output_count) NIBBLE_NOEXCEPT;

//===----------------------------------------------------------------------===//
// Caches: keys and values that a language model carries along
//
//   nibble_cache_options options = {.size = sizeof(options), .limit = 4096};
//   if (nibble_context_keep_caches(context, &options) != NIBBLE_OK)
//     die(nibble_last_error(context));
//   nibble_run(context, prompt, 2, &logits, 1); // input_ids and position_ids
//   nibble_run(context, token, 2, &logits, 1);  // of what follows the prompt
//   nibble_context_truncate_caches(context, 10);
//
//===----------------------------------------------------------------------===//

/// An input that a model adds to ("past") and the output that returns it with
/// what was added ("present"). A run may take and return them like any other
/// tensors, which copies the past once. Or a context keeps them: see
/// nibble_context_keep_caches.
typedef struct nibble_cache_info {
  int32_t input;  ///< index of the past among the inputs
  int32_t output; ///< index of the present among the outputs
  int32_t axis;   ///< the dimension of the positions
  /// 1: the present has more positions than the past (what is appended). 0: a
  /// fixed number of positions, some of which a run writes (ONNX:
  /// TensorScatter); other inputs of the model say which of them hold
  /// something.
  int32_t grows;
} nibble_cache_info;

NIBBLE_API size_t nibble_model_cache_count(const nibble_model *model)
    NIBBLE_NOEXCEPT;
/// NULL when `index` is out of range.
NIBBLE_API const nibble_cache_info *
nibble_model_cache(const nibble_model *model, size_t index) NIBBLE_NOEXCEPT;

/// How a context keeps caches. Set `size` to sizeof(nibble_cache_options).
typedef struct nibble_cache_options {
  size_t size;
  /// Sequences that run side by side: the size of every dimension of a past
  /// that is not known, except the positions. 0 for 1.
  int64_t batch;
  /// Most positions of a cache that grows; 0: as memory allows. Positions of
  /// one of fixed size, if the model leaves their number open.
  int64_t limit;
  /// Positions to have memory for at once, so that a cache need not grow.
  int64_t reserve;
} nibble_cache_options;

/// From now on the context keeps the caches of its model, which are empty
/// (those of fixed size: zero). The inputs of caches are no longer given to
/// nibble_run, and their outputs not returned: `data` is NULL, `dims` is set,
/// unless the caller gave a buffer for them. A run writes its new positions
/// behind those of the runs before, which are not copied; a failed run adds
/// none, but may have written into caches of fixed size: repeat it, or begin a
/// new text. Call it again to do so: memory is used again. `options` may be
/// NULL. NIBBLE_INVALID_ARGUMENT for a model without caches; after
/// NIBBLE_OUT_OF_MEMORY the context keeps none.
NIBBLE_API nibble_status
nibble_context_keep_caches(nibble_context *context,
                           const nibble_cache_options *options) NIBBLE_NOEXCEPT;

/// Forget all positions from `length` on, e.g. to continue the beginning of a
/// text in another way. Caches of fixed size do not change.
/// NIBBLE_INVALID_ARGUMENT if a cache has fewer positions.
NIBBLE_API nibble_status nibble_context_truncate_caches(
    nibble_context *context, int64_t length) NIBBLE_NOEXCEPT;

/// What a context keeps.
typedef struct nibble_cache_state {
  int32_t kept; ///< 0: nibble_context_keep_caches was not called
  int64_t batch;
  int64_t length;   ///< positions of the caches that grow; 0 if there are none
  int64_t capacity; ///< positions that fit without more memory
  int64_t limit;    ///< most positions; 0 for as memory allows
  uint64_t bytes;   ///< memory of all caches
} nibble_cache_state;

NIBBLE_API void
nibble_context_cache_state(const nibble_context *context,
                           nibble_cache_state *state) NIBBLE_NOEXCEPT;

/// A dense copy of cache `index`, shaped like its past. `output` as for
/// nibble_run: its `data` is NULL for memory of the context, valid until the
/// next call that runs it, or the caller's.
NIBBLE_API nibble_status
nibble_context_read_cache(nibble_context *context, size_t index,
                          nibble_tensor *output) NIBBLE_NOEXCEPT;

/// The text of the last error: of the context, or, for NULL, of this thread's
/// last call that has no context. Valid until the next call.
NIBBLE_API const char *
nibble_last_error(const nibble_context *context) NIBBLE_NOEXCEPT;

/// One layer of the model, summed over the runs of a profiling context.
typedef struct nibble_profile_entry {
  const char *name;     ///< layer name
  uint64_t calls;       ///< times that it ran
  uint64_t nanoseconds; ///< wall time of all of them
  uint64_t bytes;       ///< weight bytes that one call reads
} nibble_profile_entry;

/// Layers in the order of the model. Returns their number, 0 when the context
/// does not profile. `*entries` is memory of the context.
NIBBLE_API size_t nibble_context_profile(const nibble_context *context,
                                         const nibble_profile_entry **entries)
    NIBBLE_NOEXCEPT;

//===----------------------------------------------------------------------===//
// Observation: values inside of a model that was compiled with observers, as
// nibble-calibrate does
//===----------------------------------------------------------------------===//

/// A value that the model shows. It is the model's: read it during the call.
typedef struct nibble_observation {
  int64_t id; ///< of the `nibble.observe` that shows it
  const void *data;
  int32_t dtype; ///< nibble_dtype
  int32_t rank;
  const int64_t *dims;
  /// In elements; a value need not be dense.
  const int64_t *strides;
} nibble_observation;

/// Called on the thread that called nibble_run, for each value when it has been
/// computed. Returns NULL to go on, or a text: the run then ends with
/// NIBBLE_RUN_FAILED and this text, which is copied. It must not run the
/// context.
typedef const char *(*nibble_observer)(void *user,
                                       const nibble_observation *value);

/// Show the values of later runs to `observer`, or to nobody if it is NULL. A
/// model that was compiled without observers shows none.
NIBBLE_API nibble_status nibble_context_observe(nibble_context *context,
                                                nibble_observer observer,
                                                void *user) NIBBLE_NOEXCEPT;

/// Memory that the context holds for intermediate values and outputs, in bytes:
/// what its largest run needed. The next run of this size allocates nothing.
NIBBLE_API uint64_t nibble_context_memory(const nibble_context *context)
    NIBBLE_NOEXCEPT;

#ifdef __cplusplus
} // extern "C"
#endif

#endif // NIBBLE_RUNTIME_NIBBLE_H
