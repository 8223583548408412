//===- CacheTest.cpp - Tests of caches that a context keeps ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Models written by hand: one appends what it is given to a past of two heads,
// the other writes into a cache of fixed size.
//
//===----------------------------------------------------------------------===//

#include "nibble/Runtime/ModelDescriptor.h"
#include "llvm/ADT/StringRef.h"
#include "gtest/gtest.h"
#include <cmath>
#include <vector>

namespace {
template <int rank>
struct MemRef {
  float *base, *aligned;
  int64_t offset, sizes[rank], strides[rank];
};

// x [b, s] goes behind past [b, 2, p] in both heads, negated in the second.
// Output: the sum of the present. A NaN fails the run after the writing.
void append(void **args) {
  auto *x = static_cast<MemRef<2> *>(args[1]);
  auto *past = static_cast<MemRef<3> *>(args[2]);
  auto *sum = static_cast<MemRef<1> *>(args[3]);
  int64_t fresh = x->sizes[1], before = past->sizes[2];
  MemRef<3> room;
  nibble_rt_extend_cache(0, before + fresh, &room);
  bool isBad = false;
  float total = 0;
  for (int64_t b = 0; b != room.sizes[0]; ++b)
    for (int64_t h = 0; h != 2; ++h) {
      float *row = room.aligned + b * room.strides[0] + h * room.strides[1];
      for (int64_t i = 0; i != fresh; ++i) {
        float value = x->aligned[b * fresh + i];
        isBad |= value != value;
        row[before + i] = h ? -value : value;
      }
      for (int64_t i = 0; i != before + fresh; ++i)
        total += row[i] * (h ? -0.5f : 0.5f);
    }
  if (isBad) {
    nibble_rt_note_value(7);
    nibble_rt_fail("not a number");
  }
  auto *data = static_cast<float *>(_mlir_memref_to_llvm_alloc(4));
  *data = total;
  *sum = {data, data, 0, {1}, {1}};
}

// The first element of x says where the second one goes, in cache [4].
void update(void **args) {
  auto *x = static_cast<MemRef<1> *>(args[1]);
  MemRef<1> room;
  nibble_rt_extend_cache(0, static_cast<MemRef<1> *>(args[2])->sizes[0], &room);
  room.aligned[int64_t(x->aligned[0])] = x->aligned[1];
}

const int64_t dimsX[] = {-1, -1}, dimsPast[] = {-1, 2, -1}, one[] = {1};
const int64_t dimsPair[] = {2}, dimsFixed[] = {4}, dimsOpen[] = {-1};
const char *const namesX[] = {"b", ""}, *const namesPast[] = {"b", "", ""};
const nibble_tensor_info appendInputs[] = {
    {"x", NIBBLE_FLOAT, 2, dimsX, namesX},
    {"past", NIBBLE_FLOAT, 3, dimsPast, namesPast}};
const nibble_tensor_info appendOutputs[] = {
    {"present", NIBBLE_FLOAT, 3, dimsPast, namesPast},
    {"sum", NIBBLE_FLOAT, 1, one, namesPast + 1}};
const nibble_cache_info appendCache = {1, 0, 2, 1}, updateCache = {1, 0, 0, 0};

nibble_model_descriptor makeDescriptor() {
  nibble_model_descriptor d = {};
  d.magic = NIBBLE_DESCRIPTOR_MAGIC;
  d.abi = NIBBLE_DESCRIPTOR_ABI;
  d.name = "test";
  d.producer = d.options = "";
  d.target = "any";
  d.inputs = appendInputs;
  d.outputs = appendOutputs;
  d.input_count = d.output_count = 2;
  d.caches = &appendCache;
  d.cache_count = 1;
  d.invoke = append;
  return d;
}

class CacheTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(nibble_model_open(&descriptor, &model), NIBBLE_OK);
    ASSERT_EQ(nibble_context_create(model, nullptr, &context), NIBBLE_OK);
    ASSERT_EQ(nibble_context_create(model, nullptr, &other), NIBBLE_OK);
  }
  void TearDown() override {
    nibble_context_free(context);
    nibble_context_free(other);
    nibble_model_free(model);
  }

  nibble_status keep(nibble_context *of, int64_t batch = 1, int64_t limit = 0,
                     int64_t reserve = 0) {
    nibble_cache_options options = {sizeof(options), batch, limit, reserve};
    return nibble_context_keep_caches(of, &options);
  }
  /// Appends values, the same number in each batch; `sum` gets the output.
  nibble_status feed(nibble_context *to, std::vector<float> x,
                     int64_t batch = 1) {
    int64_t dims[] = {batch, int64_t(x.size()) / batch};
    nibble_tensor in = {"x", x.data(), 0, NIBBLE_FLOAT, 2, dims};
    out[0] = out[1] = {};
    nibble_status status = nibble_run(to, &in, 1, out, 2);
    if (status == NIBBLE_OK)
      sum = *static_cast<float *>(out[1].data);
    return status;
  }
  nibble_cache_state state(nibble_context *of) {
    nibble_cache_state result;
    nibble_context_cache_state(of, &result);
    return result;
  }
  std::vector<float> read(nibble_context *of) {
    nibble_tensor cache = {};
    EXPECT_EQ(nibble_context_read_cache(of, 0, &cache), NIBBLE_OK);
    auto *data = static_cast<float *>(cache.data);
    return std::vector<float>(data, data + cache.bytes / sizeof(float));
  }

  nibble_model_descriptor descriptor = makeDescriptor();
  nibble_model *model = nullptr;
  nibble_context *context = nullptr, *other = nullptr;
  nibble_tensor out[2] = {};
  float sum = 0;
};

TEST_F(CacheTest, DenseTensorsAreCopiedOnce) {
  float x[] = {5}, past[] = {1, 2, 3, -1, -2, -3};
  int64_t dimsX[] = {1, 1}, dimsPast[] = {1, 2, 3};
  nibble_tensor in[] = {{nullptr, x, 0, NIBBLE_FLOAT, 2, dimsX},
                        {nullptr, past, 0, NIBBLE_FLOAT, 3, dimsPast}};
  ASSERT_EQ(nibble_run(context, in, 2, out, 2), NIBBLE_OK)
      << nibble_last_error(context);
  auto *present = static_cast<float *>(out[0].data);
  EXPECT_EQ(out[0].dims[2], 4);
  EXPECT_EQ(std::vector<float>(present, present + 8),
            std::vector<float>({1, 2, 3, 5, -1, -2, -3, -5}));
  EXPECT_EQ(*static_cast<float *>(out[1].data), 11);
  EXPECT_FALSE(state(context).kept);
}

TEST_F(CacheTest, GrowsAsLongAsATextDoes) {
  ASSERT_EQ(keep(context, 2), NIBBLE_OK);
  float want = 0;
  for (int i = 0; i != 100; ++i) {
    ASSERT_EQ(feed(context, {float(i), 1}, 2), NIBBLE_OK);
    want += i + 1;
    EXPECT_EQ(sum, want);
  }
  EXPECT_EQ(state(context).length, 100);
  EXPECT_EQ(state(context).capacity, 128);
  EXPECT_EQ(state(context).bytes, 2u * 2 * 128 * 4);
  EXPECT_GE(nibble_context_memory(context), state(context).bytes);
  // The present is not handed out, but its shape is.
  EXPECT_EQ(out[0].data, nullptr);
  EXPECT_EQ(out[0].dims[2], 100);
  std::vector<float> cache = read(context);
  ASSERT_EQ(cache.size(), 400u);
  EXPECT_EQ(cache[99], 99);
  EXPECT_EQ(cache[199], -99);
}

TEST_F(CacheTest, ContextsAreIndependent) {
  ASSERT_EQ(keep(context), NIBBLE_OK);
  ASSERT_EQ(keep(other), NIBBLE_OK);
  ASSERT_EQ(feed(context, {1, 2}), NIBBLE_OK);
  ASSERT_EQ(feed(other, {10}), NIBBLE_OK);
  ASSERT_EQ(feed(context, {3}), NIBBLE_OK);
  EXPECT_EQ(read(context), std::vector<float>({1, 2, 3, -1, -2, -3}));
  EXPECT_EQ(read(other), std::vector<float>({10, -10}));
}

TEST_F(CacheTest, TruncatesAndBeginsAnew) {
  ASSERT_EQ(keep(context), NIBBLE_OK);
  ASSERT_EQ(feed(context, {1, 2, 3}), NIBBLE_OK);
  EXPECT_EQ(nibble_context_truncate_caches(context, 4),
            NIBBLE_INVALID_ARGUMENT);
  EXPECT_STREQ(nibble_last_error(context),
               "nibble_context_truncate_caches: the cache of input 'past' has "
               "3 positions, expected a length in [0, 3], got 4");
  ASSERT_EQ(nibble_context_truncate_caches(context, 1), NIBBLE_OK);
  ASSERT_EQ(feed(context, {7}), NIBBLE_OK);
  EXPECT_EQ(read(context), std::vector<float>({1, 7, -1, -7}));
  uint64_t bytes = state(context).bytes;
  ASSERT_EQ(keep(context, 2), NIBBLE_OK);
  EXPECT_EQ(state(context).length, 0);
  ASSERT_EQ(feed(context, {5, 6}, 2), NIBBLE_OK);
  EXPECT_EQ(read(context), std::vector<float>({5, -5, 6, -6}));
  EXPECT_EQ(state(context).bytes, bytes);
}

TEST_F(CacheTest, OverflowAndFailureAddNothing) {
  ASSERT_EQ(keep(context, 1, 4, 2), NIBBLE_OK);
  EXPECT_EQ(state(context).capacity, 2);
  ASSERT_EQ(feed(context, {1, 2, 3}), NIBBLE_OK);
  EXPECT_EQ(state(context).capacity, 4);
  EXPECT_EQ(feed(context, {4, 5}), NIBBLE_CONTEXT_OVERFLOW);
  EXPECT_STREQ(nibble_last_error(context),
               "context overflow: 5 positions do not fit the limit of 4: the "
               "cache of input 'past' holds 3, and this run adds 2");
  EXPECT_EQ(feed(context, {std::nanf("")}), NIBBLE_RUN_FAILED);
  EXPECT_STREQ(nibble_last_error(context), "not a number, got 7");
  EXPECT_EQ(state(context).length, 3);
  ASSERT_EQ(feed(context, {4}), NIBBLE_OK);
  EXPECT_EQ(read(context), std::vector<float>({1, 2, 3, 4, -1, -2, -3, -4}));
}

TEST_F(CacheTest, WrongUseIsExplained) {
  nibble_tensor cache = {};
  EXPECT_EQ(nibble_context_read_cache(context, 0, &cache),
            NIBBLE_INVALID_ARGUMENT);
  EXPECT_STREQ(nibble_last_error(context),
               "nibble_context_read_cache: the context keeps no caches; call "
               "nibble_context_keep_caches first");
  EXPECT_EQ(keep(context, -1), NIBBLE_INVALID_ARGUMENT);
  EXPECT_STREQ(nibble_last_error(context),
               "nibble_cache_options: 'batch' is negative");
  EXPECT_EQ(keep(context, 1, 8, 9), NIBBLE_INVALID_ARGUMENT);
  ASSERT_EQ(keep(context), NIBBLE_OK);
  float x[] = {1};
  int64_t dimsX[] = {1, 1}, dimsPast[] = {1, 2, 0};
  nibble_tensor in[] = {{nullptr, x, 0, NIBBLE_FLOAT, 2, dimsX},
                        {nullptr, nullptr, 0, NIBBLE_FLOAT, 3, dimsPast}};
  EXPECT_EQ(nibble_run(context, in, 2, out, 2), NIBBLE_INVALID_ARGUMENT);
  EXPECT_STREQ(nibble_last_error(context),
               "input 'past' is given, but the context keeps this cache");
  EXPECT_EQ(keep(context, 1, 0, int64_t(1) << 60), NIBBLE_OUT_OF_MEMORY);
  EXPECT_FALSE(state(context).kept);
}

TEST_F(CacheTest, APresentGoesToABufferThatIsGiven) {
  ASSERT_EQ(keep(context), NIBBLE_OK);
  ASSERT_EQ(feed(context, {1, 2}), NIBBLE_OK);
  float x[] = {3}, buffer[6] = {};
  int64_t dims[] = {1, 1};
  nibble_tensor in = {"x", x, 0, NIBBLE_FLOAT, 2, dims};
  nibble_tensor present = {};
  present.data = buffer;
  present.bytes = sizeof(buffer);
  ASSERT_EQ(nibble_run(context, &in, 1, &present, 1), NIBBLE_OK);
  EXPECT_EQ(std::vector<float>(buffer, buffer + 6),
            std::vector<float>({1, 2, 3, -1, -2, -3}));
  // A buffer that is too small fails the run, which then added nothing.
  present.bytes = 4;
  EXPECT_EQ(nibble_run(context, &in, 1, &present, 1), NIBBLE_INVALID_ARGUMENT);
  EXPECT_EQ(state(context).length, 3);
}

class FixedCacheTest : public CacheTest {
protected:
  FixedCacheTest() { setDims(dimsFixed); }
  void setDims(const int64_t *dims) {
    static nibble_tensor_info infos[3];
    infos[0] = {"x", NIBBLE_FLOAT, 1, dimsPair, namesPast + 1};
    infos[1] = infos[2] = {"cache", NIBBLE_FLOAT, 1, dims, namesPast + 1};
    descriptor.inputs = infos;
    descriptor.outputs = infos + 2;
    descriptor.output_count = 1;
    descriptor.caches = &updateCache;
    descriptor.invoke = update;
  }
};

TEST_F(FixedCacheTest, OneBufferIsUpdatedInPlace) {
  float x[] = {2, 9}, cache[] = {1, 2, 3, 4};
  int64_t two[] = {2}, four[] = {4};
  nibble_tensor in[] = {{nullptr, x, 0, NIBBLE_FLOAT, 1, two},
                        {nullptr, cache, 0, NIBBLE_FLOAT, 1, four}};
  nibble_tensor result = {};
  ASSERT_EQ(nibble_run(context, in, 2, &result, 1), NIBBLE_OK);
  EXPECT_EQ(static_cast<float *>(result.data)[2], 9);
  EXPECT_EQ(cache[2], 3);
  result = {};
  result.data = cache;
  result.bytes = sizeof(cache);
  ASSERT_EQ(nibble_run(context, in, 2, &result, 1), NIBBLE_OK);
  EXPECT_EQ(std::vector<float>(cache, cache + 4),
            std::vector<float>({1, 2, 9, 4}));
}

TEST_F(FixedCacheTest, IsKeptFromZero) {
  ASSERT_EQ(keep(context), NIBBLE_OK);
  float x[] = {1, 5};
  int64_t two[] = {2};
  nibble_tensor in = {"x", x, 0, NIBBLE_FLOAT, 1, two};
  ASSERT_EQ(nibble_run(context, &in, 1, nullptr, 0), NIBBLE_OK);
  x[0] = 3;
  ASSERT_EQ(nibble_run(context, &in, 1, nullptr, 0), NIBBLE_OK);
  EXPECT_EQ(read(context), std::vector<float>({0, 5, 0, 5}));
  ASSERT_EQ(keep(context), NIBBLE_OK);
  EXPECT_EQ(read(context), std::vector<float>({0, 0, 0, 0}));
}

TEST_F(FixedCacheTest, NeedsALimitWhenTheModelHasNoSize) {
  setDims(dimsOpen);
  EXPECT_EQ(keep(context), NIBBLE_INVALID_ARGUMENT);
  EXPECT_STREQ(nibble_last_error(context),
               "the model leaves the positions of input 'cache' open: expected "
               "a limit in nibble_cache_options");
  ASSERT_EQ(keep(context, 1, 6), NIBBLE_OK);
  EXPECT_EQ(read(context), std::vector<float>(6, 0));
}
} // namespace
