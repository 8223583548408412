//===- RunTest.cpp - Tests of the C interface -----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Descriptors written by hand, so that every error can be provoked.
//
//===----------------------------------------------------------------------===//

#include "nibble/Runtime/ModelDescriptor.h"
#include "llvm/ADT/StringRef.h"
#include "gtest/gtest.h"
#include <cstring>
#include <string>
#include <vector>

namespace {
/// The memref descriptor of a vector.
struct Vector {
  float *base, *aligned;
  int64_t offset, size, stride;
};

// Inputs a [n] and b [n, 2]; output y [n] = a + the first column of b. What a
// holds first chooses what else happens.
void invoke(void **args) {
  auto *a = static_cast<Vector *>(args[1]);
  auto *y = static_cast<Vector *>(args[3]);
  auto *b = static_cast<float **>(args[2])[1];
  float command = a->size ? a->aligned[0] : 0;
  nibble_rt_profile_begin(0);
  if (command == -1)
    nibble_rt_fail("index 7 is out of range");
  if (command == -2)
    _mlir_memref_to_llvm_alloc(1ull << 60);
  if (command == -3) {
    nibble_rt_note_failure(nibble_rt_current_run(), "noted first");
    nibble_rt_note_failure(nibble_rt_current_run(), "noted second");
  }
  // Every second element, then a scalar.
  int64_t strided[] = {0, reinterpret_cast<int64_t>(a->aligned), 1, 2, 2};
  nibble_rt_observe(5, NIBBLE_FLOAT, 1, strided);
  nibble_rt_observe(6, NIBBLE_FLOAT, 0, strided);
  auto *scratch = static_cast<float *>(_mlir_memref_to_llvm_alloc(4096));
  auto *data =
      static_cast<float *>(_mlir_memref_to_llvm_alloc(uint64_t(a->size) * 4));
  for (int64_t i = 0; i != a->size; ++i)
    data[i] = a->aligned[i] + b[2 * i];
  if (command != -4) // A leak must not grow.
    _mlir_memref_to_llvm_free(scratch);
  nibble_rt_profile_end(0);
  *y = {data, data, 0, a->size, 1};
}

const int64_t dimsA[] = {-1}, dimsB[] = {-1, 2};
const char *const namesA[] = {"n"}, *const namesB[] = {"n", ""};
const nibble_tensor_info inputs[] = {{"a", NIBBLE_FLOAT, 1, dimsA, namesA},
                                     {"b", NIBBLE_FLOAT, 2, dimsB, namesB}};
const nibble_tensor_info outputs[] = {{"y", NIBBLE_FLOAT, 1, dimsA, namesA}};
const nibble_layer layers[] = {{"the layer", 128}};

nibble_model_descriptor makeDescriptor() {
  nibble_model_descriptor d = {};
  d.magic = NIBBLE_DESCRIPTOR_MAGIC;
  d.abi = NIBBLE_DESCRIPTOR_ABI;
  d.name = "test";
  d.producer = d.options = "";
  d.target = "any";
  d.inputs = inputs;
  d.input_count = 2;
  d.outputs = outputs;
  d.output_count = 1;
  d.layers = layers;
  d.layer_count = 1;
  d.invoke = invoke;
  return d;
}

class RunTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(nibble_model_open(&descriptor, &model), NIBBLE_OK)
        << nibble_last_error(nullptr);
    ASSERT_EQ(nibble_context_create(model, nullptr, &context), NIBBLE_OK);
  }
  void TearDown() override {
    nibble_context_free(context);
    nibble_model_free(model);
  }

  nibble_status run(size_t inputCount = 2) {
    out = {};
    return nibble_run(context, in, inputCount, &out, 1);
  }
  void expectError(size_t inputCount, llvm::StringRef text,
                   nibble_status status = NIBBLE_INVALID_ARGUMENT) {
    EXPECT_EQ(run(inputCount), status);
    EXPECT_EQ(llvm::StringRef(nibble_last_error(context)), text);
  }

  nibble_model_descriptor descriptor = makeDescriptor();
  nibble_model *model = nullptr;
  nibble_context *context = nullptr;
  float a[3] = {1, 2, 3}, b[6] = {10, 0, 20, 0, 30, 0};
  int64_t shapeA[1] = {3}, shapeB[2] = {3, 2};
  nibble_tensor in[3] = {{nullptr, a, sizeof(a), NIBBLE_FLOAT, 1, shapeA},
                         {nullptr, b, sizeof(b), NIBBLE_FLOAT, 2, shapeB},
                         {nullptr, b, sizeof(b), NIBBLE_FLOAT, 2, shapeB}};
  nibble_tensor out = {};
};

TEST_F(RunTest, ObserversSeeValuesAndMayEndTheRun) {
  struct Seen {
    std::vector<int64_t> ids;
    float last = 0;
    const char *answer = nullptr;
  } seen;
  auto observer = [](void *user, const nibble_observation *value) {
    auto *seen = static_cast<Seen *>(user);
    seen->ids.push_back(value->id);
    EXPECT_EQ(value->dtype, NIBBLE_FLOAT);
    if (value->rank == 1) {
      EXPECT_EQ(value->dims[0], 2);
      seen->last =
          static_cast<const float *>(value->data)[value->strides[0] * 0];
    }
    return seen->answer;
  };
  EXPECT_EQ(nibble_context_observe(nullptr, observer, &seen),
            NIBBLE_INVALID_ARGUMENT);
  ASSERT_EQ(nibble_context_observe(context, observer, &seen), NIBBLE_OK);
  EXPECT_EQ(run(), NIBBLE_OK);
  EXPECT_EQ(seen.ids, (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(seen.last, 2); // The offset counts.
  seen.answer = "enough seen";
  expectError(2, "enough seen", NIBBLE_RUN_FAILED);
  EXPECT_EQ(seen.ids.size(), 3u);
  ASSERT_EQ(nibble_context_observe(context, nullptr, nullptr), NIBBLE_OK);
  EXPECT_EQ(run(), NIBBLE_OK);
  EXPECT_EQ(seen.ids.size(), 3u);
}

TEST_F(RunTest, InputsGoByPositionOrName) {
  ASSERT_EQ(run(), NIBBLE_OK) << nibble_last_error(context);
  EXPECT_STREQ(out.name, "y");
  EXPECT_EQ(out.bytes, 12u);
  EXPECT_EQ(out.dims[0], 3);
  EXPECT_EQ(static_cast<float *>(out.data)[2], 33);
  std::swap(in[0], in[1]);
  in[0].name = "b";
  in[1].name = "a";
  ASSERT_EQ(run(), NIBBLE_OK) << nibble_last_error(context);
  EXPECT_EQ(static_cast<float *>(out.data)[1], 22);
}

TEST_F(RunTest, WrongInputsAreExplained) {
  expectError(1, "input 'b' is missing; model 'test' takes 2 inputs ('a', "
                 "'b'), got 1");
  expectError(3, "model 'test' takes 2 inputs ('a', 'b'), got 3");
  in[1].name = "c";
  expectError(2, "model 'test' has no input 'c'; its inputs are 'a', 'b'");
  in[1].name = "a";
  expectError(2, "input 'a' is given twice");
  in[1].name = nullptr;
  in[0].dtype = NIBBLE_INT64;
  expectError(2, "input 'a': expected elements of type float32, got int64");
  in[0].dtype = NIBBLE_FLOAT;
  in[1].rank = 1;
  expectError(2, "input 'b': expected 2 dimensions [?, 2], got 1");
  in[1].rank = 2;
  shapeB[1] = 5;
  expectError(2, "input 'b': expected shape [?, 2], got [3, 5]: dimension 1 is "
                 "5, not 2");
  shapeB[1] = 2;
  shapeB[0] = 2;
  in[1].bytes = 0;
  expectError(2, "input 'b': dimension 0 ('n') is 2, but dimension 0 of input "
                 "'a', of the same name, is 3");
  shapeB[0] = 3;
  in[1].bytes = 20;
  expectError(2, "input 'b': expected 24 bytes ([3, 2] of float32), got 20");
  in[1].bytes = 0;
  in[1].data = nullptr;
  expectError(2, "input 'b': 'data' is null");
  in[1].data = b;
  in[1].dims = nullptr;
  expectError(2, "input 'b': 'dims' is null, expected [?, 2]");
  in[1].dims = shapeB;
  shapeA[0] = -3;
  expectError(2, "input 'a': dimension 0 is negative: -3");
  shapeA[0] = INT64_MAX;
  expectError(2, "input 'a': a tensor of shape [9223372036854775807] is too "
                 "large");
  EXPECT_EQ(nibble_run(context, nullptr, 2, nullptr, 0),
            NIBBLE_INVALID_ARGUMENT);
  EXPECT_EQ(nibble_run(nullptr, in, 2, nullptr, 0), NIBBLE_INVALID_ARGUMENT);
  EXPECT_STREQ(nibble_last_error(nullptr), "nibble_run: 'context' is null");
}

TEST_F(RunTest, OutputsGoToBuffersOfTheCaller) {
  float buffer[3] = {};
  out.data = buffer;
  out.bytes = sizeof(buffer);
  ASSERT_EQ(nibble_run(context, in, 2, &out, 1), NIBBLE_OK);
  EXPECT_EQ(out.data, buffer);
  EXPECT_EQ(buffer[0], 11);
  out.bytes = 8;
  EXPECT_EQ(nibble_run(context, in, 2, &out, 1), NIBBLE_INVALID_ARGUMENT);
  EXPECT_STREQ(nibble_last_error(context),
               "output 'y': the buffer has 8 bytes, the result needs 12");
  nibble_tensor two[2] = {};
  EXPECT_EQ(nibble_run(context, in, 2, two, 2), NIBBLE_INVALID_ARGUMENT);
  EXPECT_EQ(nibble_run(context, in, 2, nullptr, 0), NIBBLE_OK);
}

TEST_F(RunTest, AnOutputMayBeTheNextInput) {
  ASSERT_EQ(run(), NIBBLE_OK);
  for (int step = 2; step != 10; ++step) {
    in[0].data = out.data;
    ASSERT_EQ(run(), NIBBLE_OK);
    EXPECT_EQ(static_cast<float *>(out.data)[0], 1.0f + 10.0f * float(step));
  }
}

TEST_F(RunTest, FailuresInsideTheModelEndTheRun) {
  for (int repeat = 0; repeat != 3; ++repeat) {
    a[0] = -1;
    expectError(2, "index 7 is out of range", NIBBLE_RUN_FAILED);
    a[0] = -2;
    EXPECT_EQ(run(), NIBBLE_OUT_OF_MEMORY);
    EXPECT_TRUE(llvm::StringRef(nibble_last_error(context))
                    .contains("1152921504606846976 bytes"))
        << nibble_last_error(context);
    a[0] = -3;
    expectError(2, "noted first", NIBBLE_RUN_FAILED);
    a[0] = 1;
    ASSERT_EQ(run(), NIBBLE_OK) << nibble_last_error(context);
    EXPECT_STREQ(nibble_last_error(context), "");
  }
}

TEST_F(RunTest, MemoryDoesNotGrow) {
  a[0] = -4;
  ASSERT_EQ(run(), NIBBLE_OK);
  uint64_t bytes = nibble_context_memory(context);
  EXPECT_GT(bytes, 0u);
  for (int i = 0; i != 100; ++i)
    ASSERT_EQ(run(), NIBBLE_OK);
  EXPECT_EQ(nibble_context_memory(context), bytes);
}

TEST_F(RunTest, ProfileCountsLayers) {
  const nibble_profile_entry *entries;
  EXPECT_EQ(nibble_context_profile(context, &entries), 0u);
  nibble_context_options options = {sizeof(options), 1, 1};
  nibble_context *profiling;
  ASSERT_EQ(nibble_context_create(model, &options, &profiling), NIBBLE_OK);
  for (int i = 0; i != 3; ++i)
    ASSERT_EQ(nibble_run(profiling, in, 2, nullptr, 0), NIBBLE_OK);
  ASSERT_EQ(nibble_context_profile(profiling, &entries), 1u);
  EXPECT_STREQ(entries[0].name, "the layer");
  EXPECT_EQ(entries[0].calls, 3u);
  EXPECT_EQ(entries[0].bytes, 128u);
  EXPECT_GT(entries[0].nanoseconds, 0u);
  nibble_context_free(profiling);
}

TEST_F(RunTest, OptionsAreChecked) {
  nibble_context *other;
  nibble_context_options options = {4, 0, 0};
  EXPECT_EQ(nibble_context_create(model, &options, &other),
            NIBBLE_INVALID_ARGUMENT);
  options = {sizeof(options), -1, 0};
  EXPECT_EQ(nibble_context_create(model, &options, &other),
            NIBBLE_INVALID_ARGUMENT);
  EXPECT_TRUE(llvm::StringRef(nibble_last_error(nullptr)).contains("threads"));
}

TEST(ModelTest, CpuFeaturesAreChecked) {
  nibble_model_descriptor descriptor = makeDescriptor();
  const char *const features[] = {"sse3", "avx9000", "time-travel"};
  descriptor.features = features;
  descriptor.feature_count = 3;
  descriptor.target = "future-cpu";
  nibble_model *model;
  EXPECT_EQ(nibble_model_open(&descriptor, &model), NIBBLE_UNSUPPORTED_CPU);
  llvm::StringRef text = nibble_last_error(nullptr);
  EXPECT_TRUE(text.contains("'future-cpu'")) << text.str();
  EXPECT_TRUE(text.contains("this CPU lacks: avx9000, time-travel;"))
      << text.str();
}

TEST(ModelTest, ForeignFilesAreRefused) {
  nibble_model_descriptor descriptor = makeDescriptor();
  nibble_model *model;
  descriptor.abi = 77;
  EXPECT_EQ(nibble_model_open(&descriptor, &model), NIBBLE_INVALID_MODEL);
  EXPECT_TRUE(llvm::StringRef(nibble_last_error(nullptr)).contains("77"));
  descriptor.magic = 1;
  EXPECT_EQ(nibble_model_open(&descriptor, &model), NIBBLE_INVALID_MODEL);
  EXPECT_EQ(nibble_model_load("/no/such.so", &model), NIBBLE_IO_ERROR);
  EXPECT_STREQ(nibble_last_error(nullptr),
               "can't read '/no/such.so': No such file or directory");
  EXPECT_EQ(nibble_model_load("/proc/self/cmdline", &model),
            NIBBLE_INVALID_MODEL);
  EXPECT_EQ(nibble_model_load("libm.so.6", nullptr), NIBBLE_INVALID_ARGUMENT);
  EXPECT_EQ(nibble_model_load("/lib/x86_64-linux-gnu/libm.so.6", &model),
            NIBBLE_INVALID_MODEL);
  EXPECT_TRUE(llvm::StringRef(nibble_last_error(nullptr))
                  .contains("not a model compiled by nibble-compile"));
}
} // namespace
