//===- StateStoreTest.cpp - Tests of tensors in memory or on disk ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/StateStore.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "gtest/gtest.h"
#include <csignal>
#include <sys/resource.h>

using namespace nibble::calibration;

namespace {
constexpr uint64_t page = 4096;

std::vector<char> makeBytes(uint64_t size, char seed) {
  std::vector<char> bytes(size);
  for (uint64_t i = 0; i != size; ++i)
    bytes[i] = static_cast<char>(i * 7 + seed);
  return bytes;
}

llvm::Expected<StateStore::TensorRef> tryAdd(StateStore &store, uint64_t size,
                                             char seed) {
  std::vector<char> bytes = makeBytes(size, seed);
  int64_t dims = size;
  nibble_tensor tensor = {};
  tensor.data = bytes.data();
  tensor.bytes = size;
  tensor.dtype = NIBBLE_INT8;
  tensor.rank = 1;
  tensor.dims = &dims;
  return store.add(tensor);
}

StateStore::TensorRef add(StateStore &store, uint64_t size, char seed) {
  auto tensor = tryAdd(store, size, seed);
  EXPECT_TRUE(bool(tensor)) << toString(tensor.takeError());
  return tensor ? std::move(*tensor) : nullptr;
}

void expectBytes(StateStore &store, const StateStore::TensorRef &tensor,
                 char seed) {
  std::vector<char> buffer;
  auto bytes = store.read(*tensor, buffer);
  ASSERT_TRUE(bool(bytes)) << toString(bytes.takeError());
  EXPECT_TRUE(llvm::isAddrAligned(llvm::Align(64), bytes->data()));
  EXPECT_EQ(bytes->vec(), makeBytes(tensor->bytes, seed));
}

TEST(StateStore, KeepsShapesAndBytes) {
  StateStore store(1 << 20);
  float values[3] = {1, 2, 3};
  int64_t dims[2] = {3, 1};
  nibble_tensor given = {};
  given.data = values;
  given.bytes = sizeof(values);
  given.dtype = NIBBLE_FLOAT;
  given.rank = 2;
  given.dims = dims;
  auto tensor = store.add(given);
  ASSERT_TRUE(bool(tensor));
  EXPECT_EQ((*tensor)->dtype, NIBBLE_FLOAT);
  EXPECT_EQ((*tensor)->dims, (llvm::SmallVector<int64_t, 4>{3, 1}));
  std::vector<char> buffer;
  auto bytes = store.read(**tensor, buffer);
  ASSERT_TRUE(bool(bytes));
  EXPECT_EQ(memcmp(bytes->data(), values, sizeof(values)), 0);
  auto empty = add(store, 0, 0);
  expectBytes(store, empty, 0);
  EXPECT_EQ(store.getFileBytes(), 0u);
}

TEST(StateStore, SpillsAboveTheLimit) {
  StateStore store(3 * page);
  std::vector<StateStore::TensorRef> tensors;
  for (char i = 0; i != 5; ++i)
    tensors.push_back(add(store, page, i));
  EXPECT_EQ(store.getMemoryBytes(), 3 * page);
  EXPECT_EQ(store.getFileBytes(), 2 * page);
  for (char i = 0; i != 5; ++i)
    expectBytes(store, tensors[i], i);
}

/// States of one place take the room of those of the place before.
TEST(StateStore, UsesRoomAgain) {
  StateStore store(2 * page);
  std::vector<StateStore::TensorRef> tensors(6);
  for (char round = 0; round != 4; ++round)
    for (char i = 0; i != 6; ++i)
      tensors[i] = add(store, page - i, round * 8 + i);
  // One more than there are tensors: the new one is there before the old goes.
  EXPECT_LE(store.getMemoryBytes(), 2 * page);
  EXPECT_LE(store.getFileBytes(), 5 * page);
  for (char i = 0; i != 6; ++i)
    expectBytes(store, tensors[i], 24 + i);
  // Neighbouring parts are one again: what is larger fits.
  tensors.clear();
  auto large = add(store, 5 * page, 1);
  expectBytes(store, large, 1);
  EXPECT_LE(store.getFileBytes(), 5 * page);
}

TEST(StateStore, CopiesShareATensor) {
  StateStore store(page);
  auto tensor = add(store, 100, 1);
  auto copy = tensor;
  tensor.reset();
  auto other = add(store, 100, 2);
  expectBytes(store, copy, 1);
  expectBytes(store, other, 2);
}

TEST(StateStore, AMissingFolderIsAnError) {
  StateStore store(0, "/nonexistent/folder");
  auto tensor = tryAdd(store, 4, 0);
  ASSERT_FALSE(bool(tensor));
  EXPECT_EQ(toString(tensor.takeError()),
            "can't make a file for hidden states in '/nonexistent/folder': No "
            "such file or directory; raise --memory-limit, give fewer samples, "
            "or set TMPDIR to a folder with more room");
}

/// A file that may not grow stands for a full disk.
TEST(StateStore, AFullDiskIsAnError) {
  llvm::SmallString<128> folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("states", folder));
  rlimit before, small;
  getrlimit(RLIMIT_FSIZE, &before);
  small = before;
  small.rlim_cur = 2 * page;
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  {
    StateStore store(0, folder);
    auto first = tryAdd(store, page, 0);
    EXPECT_TRUE(bool(first));
    auto second = tryAdd(store, 4 * page, 0);
    ASSERT_FALSE(bool(second));
    message = toString(second.takeError());
    expectBytes(store, *first, 0);
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("can't write 12.29 kB for hidden states in '"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("File too large; raise --memory-limit"),
            std::string::npos)
      << message;
  // Nothing is left behind.
  std::error_code ec;
  EXPECT_EQ(llvm::sys::fs::directory_iterator(folder, ec),
            llvm::sys::fs::directory_iterator());
  llvm::sys::fs::remove(folder);
}
} // namespace
