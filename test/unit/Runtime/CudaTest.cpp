//===- CudaTest.cpp - Tests of models on a GPU that is not there -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A model with one kernel on the driver of test/FakeCuda, which notes its calls
// and runs no kernels.
//
//===----------------------------------------------------------------------===//

#include "nibble/Runtime/ModelDescriptor.h"
#include "gtest/gtest.h"
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

extern "C" {
extern const struct nibble_device_functions nibble_rt_cuda;
}

namespace {
using Lines = std::vector<std::string>;

struct Vector {
  float *base, *aligned;
  int64_t offset, size, stride;
};

int64_t addressOf(const void *pointer) {
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(pointer));
}

/// y[n] = kernel(w, x); what x holds first chooses what the host does.
void invoke(void **args) {
  auto *w = static_cast<Vector *>(args[0]);
  auto *x = static_cast<Vector *>(args[1]);
  auto *y = static_cast<Vector *>(args[2]);
  int command = x->size ? static_cast<int>(x->aligned[0]) : 0;
  auto *data =
      static_cast<float *>(_mlir_memref_to_llvm_alloc(uint64_t(x->size) * 4));
  if (command == 2)
    nibble_rt_use_on_host(addressOf(data), 2);
  const int64_t words[] = {x->size,
                           1,
                           1,
                           256,
                           1,
                           1,
                           addressOf(w->aligned),
                           addressOf(x->aligned),
                           addressOf(data),
                           x->size};
  nibble_rt_launch(0, words);
  if (command == 1) {
    nibble_rt_use_on_host(addressOf(data + 1), 3);
    nibble_rt_launch(0, words);
  }
  *y = {data, data, 0, x->size, 1};
}

const int64_t dims[] = {-1};
const char *const names[] = {"n"};
const nibble_tensor_info inputs[] = {{"x", NIBBLE_FLOAT, 1, dims, names}};
const nibble_tensor_info outputs[] = {{"y", NIBBLE_FLOAT, 1, dims, names}};
const nibble_device_image images[] = {
    {"sm_80", 80, NIBBLE_IMAGE_CUBIN, 0, 13000, "\177ELF", 5},
    {"sm_80", 80, NIBBLE_IMAGE_PTX, 0, 12000, ".version 8.0", 13}};
const nibble_device_kernel kernels[] = {{"k", "rrw-", 0}};
const nibble_device_code code = {&nibble_rt_cuda, images, kernels, 2, 1, 64};
alignas(64) const float weights[16] = {1, 2, 3};

nibble_model_descriptor makeDescriptor() {
  nibble_model_descriptor d = {};
  d.magic = NIBBLE_DESCRIPTOR_MAGIC;
  d.abi = NIBBLE_DESCRIPTOR_ABI;
  d.name = "test";
  d.producer = d.options = "";
  d.target = "any";
  d.inputs = inputs;
  d.input_count = 1;
  d.outputs = outputs;
  d.output_count = 1;
  d.invoke = invoke;
  d.weights = weights;
  d.weight_bytes = sizeof(weights);
  d.device = &code;
  return d;
}

class CudaTest : public testing::Test {
protected:
  static void SetUpTestSuite() {
    path = testing::TempDir() + "cuda-test-" + std::to_string(getpid());
    setenv("FAKE_CUDA_LOG", path.c_str(), 1);
    // The runtime then finds the library of this name.
    ASSERT_TRUE(dlopen(NIBBLE_FAKE_CUDA, RTLD_NOW)) << dlerror();
  }
  static void TearDownTestSuite() { unlink(path.c_str()); }

  void SetUp() override {
    ASSERT_EQ(nibble_model_open(&descriptor, &model), NIBBLE_OK);
    ASSERT_EQ(nibble_context_create(model, nullptr, &context), NIBBLE_OK)
        << nibble_last_error(nullptr);
    readLog();
  }
  void TearDown() override {
    nibble_context_free(context);
    nibble_model_free(model);
    unsetenv("FAKE_CUDA_FAIL");
  }

  nibble_status run(float *x, int64_t size) {
    int64_t shape[] = {size};
    nibble_tensor in = {nullptr, x, 0, NIBBLE_FLOAT, 1, shape};
    out = {};
    return nibble_run(context, &in, 1, &out, 1);
  }

  /// What the driver has noted since the last call.
  Lines readLog() {
    std::ifstream file(path);
    file.seekg(position);
    Lines lines;
    for (std::string line; std::getline(file, line);)
      lines.push_back(line);
    file.clear();
    position = file.tellg();
    return lines;
  }

  static std::string path;
  std::streampos position = 0;
  nibble_model_descriptor descriptor = makeDescriptor();
  nibble_model *model = nullptr;
  nibble_context *context = nullptr;
  nibble_tensor out = {};
};
std::string CudaTest::path;

const char launched[] = "cuLaunchKernel k grid 3x1x1 block 256x1x1 shared 0";

TEST_F(CudaTest, CopiesWhatIsNeededAndAllocatesOnce) {
  float x[3] = {0, 1, 2};
  ASSERT_EQ(run(x, 3), NIBBLE_OK) << nibble_last_error(context);
  EXPECT_EQ(static_cast<float *>(out.data)[2], 0);
  EXPECT_EQ(readLog(),
            (Lines{"cuMemAlloc_v2 12", "cuMemcpyHtoDAsync_v2 12",
                   "cuMemAlloc_v2 512", launched, "cuMemcpyDtoHAsync_v2 12",
                   "cuStreamSynchronize", "cuStreamSynchronize"}));
  ASSERT_EQ(run(x, 3), NIBBLE_OK);
  EXPECT_EQ(readLog(), (Lines{"cuMemcpyHtoDAsync_v2 12", launched,
                              "cuMemcpyDtoHAsync_v2 12", "cuStreamSynchronize",
                              "cuStreamSynchronize"}));
}

TEST_F(CudaTest, HostAndDeviceTakeTurns) {
  float x[3] = {1, 1, 2};
  ASSERT_EQ(run(x, 3), NIBBLE_OK);
  EXPECT_EQ(readLog(), (Lines{"cuMemAlloc_v2 12", "cuMemcpyHtoDAsync_v2 12",
                              "cuMemAlloc_v2 512", launched,
                              // The host reads and writes.
                              "cuMemcpyDtoHAsync_v2 12", "cuStreamSynchronize",
                              "cuMemcpyHtoDAsync_v2 12", launched,
                              "cuMemcpyDtoHAsync_v2 12", "cuStreamSynchronize",
                              "cuStreamSynchronize"}));
  // What the host writes completely is not fetched.
  x[0] = 2;
  ASSERT_EQ(run(x, 3), NIBBLE_OK);
  EXPECT_EQ(readLog(),
            (Lines{"cuMemcpyHtoDAsync_v2 12", "cuMemcpyHtoDAsync_v2 12",
                   launched, "cuMemcpyDtoHAsync_v2 12", "cuStreamSynchronize",
                   "cuStreamSynchronize"}));
}

TEST_F(CudaTest, AnOutputThatIsAnInputIsReadAgain) {
  float x[3] = {0, 1, 2};
  ASSERT_EQ(run(x, 3), NIBBLE_OK);
  auto *y = static_cast<float *>(out.data);
  y[1] = 7; // Its owner may change it.
  readLog();
  ASSERT_EQ(run(y, 3), NIBBLE_OK);
  EXPECT_EQ(readLog().front(), "cuMemcpyHtoDAsync_v2 12");
}

TEST_F(CudaTest, NothingToComputeLaunchesNothing) {
  float x[1] = {0};
  ASSERT_EQ(run(x, 0), NIBBLE_OK) << nibble_last_error(context);
  EXPECT_EQ(readLog(), (Lines{"cuStreamSynchronize"}));
}

TEST_F(CudaTest, AnErrorEndsTheRunAndTheNextOneWorks) {
  setenv("FAKE_CUDA_FAIL", "cuMemcpyDtoHAsync_v2:0:700", 1);
  float x[3] = {0, 1, 2};
  EXPECT_EQ(run(x, 3), NIBBLE_DEVICE_ERROR);
  EXPECT_STREQ(nibble_last_error(context),
               "can't copy from the GPU: CUDA_ERROR_ILLEGAL_ADDRESS (an "
               "illegal memory access was encountered)");
  unsetenv("FAKE_CUDA_FAIL");
  EXPECT_EQ(run(x, 3), NIBBLE_OK) << nibble_last_error(context);
}

TEST_F(CudaTest, ContextsOfManyThreads) {
  std::vector<std::thread> threads;
  std::vector<int> results(4, -1);
  for (int &result : results)
    threads.emplace_back([&] {
      nibble_context *own = nullptr;
      result = nibble_context_create(model, nullptr, &own);
      float x[64] = {};
      int64_t shape[] = {64};
      nibble_tensor in = {nullptr, x, 0, NIBBLE_FLOAT, 1, shape};
      for (int i = 0; i != 20 && result == NIBBLE_OK; ++i) {
        nibble_tensor y = {};
        result = nibble_run(own, &in, 1, &y, 1);
      }
      nibble_context_free(own);
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(results, std::vector<int>(4, NIBBLE_OK));
  // The weights were there already.
  for (const std::string &line : readLog()) {
    EXPECT_NE(line, "cuMemcpyHtoDAsync_v2 64");
    EXPECT_EQ(line.find("error"), std::string::npos) << line;
  }
}
} // namespace
