//===- ModelDescriptor.h - What a compiled model exports --------*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The contract between compiled code and the runtime. The compiler writes these
// structures as constants (lib/Target/ModelConstants.cpp must agree with them);
// a program that only runs models needs nibble.h alone.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_RUNTIME_MODELDESCRIPTOR_H
#define NIBBLE_RUNTIME_MODELDESCRIPTOR_H

#include "nibble/Runtime/nibble.h"

#ifdef __cplusplus
extern "C" {
#endif

/// "NIBL", first word of a descriptor.
#define NIBBLE_DESCRIPTOR_MAGIC 0x4c42494eu
/// Raised by every change of the structures or of the entry convention.
#define NIBBLE_DESCRIPTOR_ABI 3u

/// A layer that nibble_rt_profile_begin names by its index.
typedef struct nibble_layer {
  const char *name;
  uint64_t bytes; ///< weight bytes that one call reads
} nibble_layer;

enum { NIBBLE_IMAGE_CUBIN = 0, NIBBLE_IMAGE_PTX = 1 };

/// The kernels of a model for one kind of GPU.
typedef struct nibble_device_image {
  const char *name; ///< "sm_90a"
  uint32_t chip;    ///< ten times the major version, and the minor one
  uint32_t kind;    ///< NIBBLE_IMAGE_*
  uint32_t exact;   ///< runs on this chip and on no later one
  uint32_t driver;  ///< oldest driver that takes it: 12040 for CUDA 12.4
  const void *data; ///< PTX ends with a zero
  uint64_t bytes;
} nibble_device_image;

/// A kernel that nibble_rt_launch names by its index.
typedef struct nibble_device_kernel {
  const char *name;
  /// A character for each word of its parameters: '-' is a value; others are
  /// addresses of the host, which 'r' reads, 'w' writes, 'b' both.
  const char *parameters;
  uint64_t shared_bytes; ///< shared memory beside what the code declares
} nibble_device_kernel;

/// What a model with kernels consists of besides code for the host.
typedef struct nibble_device_code {
  const struct nibble_device_functions *functions; ///< nibble_rt_cuda
  const nibble_device_image *images;
  const nibble_device_kernel *kernels;
  uint64_t image_count;
  uint64_t kernel_count;
  /// The first bytes of the weights are those that kernels read.
  uint64_t weight_bytes;
} nibble_device_code;

struct nibble_model_descriptor {
  uint32_t magic; ///< NIBBLE_DESCRIPTOR_MAGIC
  uint32_t abi;   ///< NIBBLE_DESCRIPTOR_ABI
  const char *name;
  const char *producer;
  const char *options;
  const char *target;
  /// Instruction sets the code uses, in LLVM's names ("avx512vnni").
  const char *const *features;
  const nibble_tensor_info *inputs;
  const nibble_tensor_info *outputs;
  const nibble_layer *layers;
  const nibble_cache_info *caches;
  uint64_t feature_count;
  uint64_t input_count;
  uint64_t output_count;
  uint64_t layer_count;
  uint64_t cache_count;
  /// Threads of a context that does not ask for a number; 0 for all.
  uint64_t default_threads;
  /// Runs the model. `args[0]` points to the descriptor of the weights, a
  /// memref<?xi8>; then one pointer per input to its memref descriptor; last, a
  /// pointer to the memref descriptors of the results, one after the other:
  /// the outputs but those of caches, which nibble_rt_extend_cache knows. A
  /// memref descriptor of rank r is {base, aligned, offset, sizes[r],
  /// strides[r]}, pointers and 64-bit integers. Results have the identity
  /// layout; their base is memory of _mlir_memref_to_llvm_alloc, an input or a
  /// weight.
  void (*invoke)(void **args);
  /// Embedded weights, aligned to a page; NULL with a sidecar or none.
  const void *weights;
  uint64_t weight_bytes;
  /// File name of the sidecar, in the directory of the binary; else NULL.
  const char *sidecar;
  uint64_t sidecar_hash;
  /// NULL for a model that runs on the CPU alone.
  const nibble_device_code *device;
};

/// First bytes of a sidecar file; the weights follow at NIBBLE_SIDECAR_OFFSET.
typedef struct nibble_sidecar_header {
  char magic[8]; ///< NIBBLE_SIDECAR_MAGIC
  uint32_t version;
  uint32_t reserved;
  uint64_t bytes; ///< of the weights
  uint64_t hash;  ///< XXH64 of the weights; equal to the descriptor's
} nibble_sidecar_header;

#define NIBBLE_SIDECAR_MAGIC "NIBBLEWT"
#define NIBBLE_SIDECAR_VERSION 2u
#define NIBBLE_SIDECAR_OFFSET 4096u

/// Last bytes of the file of a shared object or an executable, behind all that
/// its ELF header refers to. Sums are XXH64 (Hash.h).
typedef struct nibble_file_seal {
  char magic[8];  ///< NIBBLE_SEAL_MAGIC
  uint64_t bytes; ///< of the file before this structure
  uint64_t hash;  ///< of these bytes without the embedded weights
  uint64_t weights_offset;
  uint64_t weights_bytes;
  uint64_t weights_hash;
} nibble_file_seal;

#define NIBBLE_SEAL_MAGIC "NIBBLEOK"

typedef struct nibble_function_table nibble_function_table;

/// The symbol `nibble_shared_model` of a shared object or an executable. The
/// object carries a runtime of its own, and whoever loads it calls that one
/// through `functions`, so that old objects work in new programs.
typedef struct nibble_shared_model_entry {
  uint32_t magic;
  uint32_t abi;
  const nibble_model_descriptor *descriptor;
  const nibble_function_table *functions;
} nibble_shared_model_entry;

#define NIBBLE_SHARED_MODEL_SYMBOL "nibble_shared_model"

//===----------------------------------------------------------------------===//
// What compiled code calls. None of it computes on tensors.
//===----------------------------------------------------------------------===//

/// End the run with NIBBLE_RUN_FAILED and this text. Does not return. Only on
/// the thread that entered the model, outside of parallel regions.
void nibble_rt_fail(const char *message) __attribute__((noreturn));

/// The value that the next call of nibble_rt_fail in this run is about: its
/// text ends with it.
void nibble_rt_note_value(int64_t value);

/// Not 0 if this process may use AMX tiles of bf16: the CPU has them, and the
/// operating system has granted them.
int32_t nibble_rt_has_tiles(void);

/// A handle of the current run, to be taken outside of a parallel region and
/// used inside it. NULL outside of a run.
void *nibble_rt_current_run(void);
/// Note a failure from any thread of the run. Returns; the caller goes on with
/// harmless values and the run fails when it ends. The first text is kept.
void nibble_rt_note_failure(void *run, const char *message);

/// The buffer of cache `cache`, an index into the descriptor's caches, with
/// `length` positions: those of the past, which are there already, and more
/// that are to be written. Fills the memref descriptor at `memref`, whose rank
/// is that of the input. Dimensions before the axis may lie further apart than
/// `length` positions; from the axis on the strides are dense. Once in a run
/// for each cache, outside of parallel regions. A cache that may not grow to
/// `length` ends the run with NIBBLE_CONTEXT_OVERFLOW.
void nibble_rt_extend_cache(int32_t cache, int64_t length, void *memref);

/// Show a value to the observer of the context, if there is one. `memref` is
/// its memref descriptor. Outside of parallel regions.
void nibble_rt_observe(int64_t id, int32_t dtype, int32_t rank,
                       const void *memref);

/// Run kernel `kernel` of a model with kernels on the device, some time later:
/// `words` are three sizes of the grid, three of a block and the parameters.
/// Outside of parallel regions, as the next one.
void nibble_rt_launch(int32_t kernel, const int64_t *words);

/// The host is about to use the buffer that holds `address`: 1 reads, 2 writes
/// all of it, 3 reads and writes. Waits for kernels and copies where needed.
void nibble_rt_use_on_host(int64_t address, int32_t access);

/// Around the code of layer `layer`, an index into the descriptor's layers.
void nibble_rt_profile_begin(int32_t layer);
void nibble_rt_profile_end(int32_t layer);

/// Memory of the current context: 64-byte aligned, reused by the next run. On
/// a thread without a context: malloc's. Out of memory fails the run.
void *_mlir_memref_to_llvm_alloc(uint64_t bytes);
void *_mlir_memref_to_llvm_aligned_alloc(uint64_t alignment, uint64_t bytes);
void _mlir_memref_to_llvm_free(void *pointer);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // NIBBLE_RUNTIME_MODELDESCRIPTOR_H
