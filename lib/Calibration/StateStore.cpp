//===- StateStore.cpp - Tensors in memory or on disk ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/StateStore.h"
#include "nibble/Support/Size.h"
#include "llvm/Support/Errno.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemAlloc.h"
#include "llvm/Support/Path.h"
#include <cstring>
#include <unistd.h>

using namespace nibble;
using namespace nibble::calibration;

static constexpr uint64_t alignment = 64;

static char *allocateAligned(uint64_t bytes) {
  return static_cast<char *>(llvm::allocate_buffer(bytes, alignment));
}
static void freeAligned(char *memory, uint64_t bytes) {
  llvm::deallocate_buffer(memory, bytes, alignment);
}
/// Space is taken and given back in units, so that it fits the next tensor.
static uint64_t getSpace(uint64_t bytes) {
  return llvm::alignTo(std::max<uint64_t>(bytes, 1), 4096);
}

StateStore::StateStore(uint64_t limit, llvm::StringRef folder)
    : limit(limit), folder(folder) {}

StateStore::~StateStore() {
  dropFreeMemory();
  if (file >= 0)
    ::close(file);
}

StateStore::Tensor::~Tensor() {
  if (store)
    store->release(*this);
}

void StateStore::dropFreeMemory() {
  for (auto [bytes, memory] : freeMemory) {
    freeAligned(memory, bytes);
    memoryBytes -= bytes;
  }
  freeMemory.clear();
}

void StateStore::release(Tensor &tensor) {
  uint64_t space = getSpace(tensor.bytes);
  if (tensor.memory) {
    freeMemory.insert({space, tensor.memory});
    return;
  }
  // Neighbouring free parts are one.
  auto [it, isNew] = freeParts.insert({tensor.offset, space});
  auto next = std::next(it);
  if (next != freeParts.end() && it->first + it->second == next->first) {
    it->second += next->second;
    freeParts.erase(next);
  }
  if (it != freeParts.begin()) {
    auto before = std::prev(it);
    if (before->first + before->second == it->first) {
      before->second += it->second;
      freeParts.erase(it);
    }
  }
}

/// Memory for a tensor, or null if there is no room below the limit.
char *StateStore::allocate(uint64_t bytes) {
  auto found = freeMemory.find(bytes);
  if (found != freeMemory.end()) {
    char *memory = found->second;
    freeMemory.erase(found);
    return memory;
  }
  if (memoryBytes + bytes > limit)
    dropFreeMemory();
  if (memoryBytes + bytes > limit)
    return nullptr;
  memoryBytes += bytes;
  return allocateAligned(bytes);
}

uint64_t StateStore::allocateInFile(uint64_t bytes) {
  for (auto it = freeParts.begin(); it != freeParts.end(); ++it) {
    auto [offset, size] = *it;
    if (size < bytes)
      continue;
    freeParts.erase(it);
    if (size > bytes)
      freeParts[offset + bytes] = size - bytes;
    return offset;
  }
  uint64_t offset = fileBytes;
  fileBytes += bytes;
  return offset;
}

static llvm::Error makeError(const llvm::Twine &what, const llvm::Twine &where,
                             const llvm::Twine &reason) {
  return llvm::createStringError(
      "can't " + what + " for hidden states in " + where + ": " + reason +
      "; raise --memory-limit, give fewer samples, or set TMPDIR to a folder "
      "with more room");
}

llvm::Error StateStore::openFile() {
  if (file >= 0)
    return llvm::Error::success();
  llvm::SmallString<128> path(folder);
  if (path.empty())
    llvm::sys::path::system_temp_directory(/*ErasedOnReboot=*/true, path);
  folder = path.str().str();
  llvm::sys::path::append(path, "nibble-states-%%%%%%%%");
  llvm::SmallString<128> name;
  if (std::error_code ec = llvm::sys::fs::createUniqueFile(path, file, name))
    return makeError("make a file", "'" + folder + "'", ec.message());
  llvm::sys::fs::remove(name);
  fileName = name.str().str();
  return llvm::Error::success();
}

llvm::Error StateStore::write(uint64_t offset, llvm::ArrayRef<char> data) {
  while (!data.empty()) {
    ssize_t count = ::pwrite(file, data.data(), data.size(), offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return makeError("write " + formatBytes(data.size()),
                       "'" + fileName + "', which is to hold " +
                           formatBytes(fileBytes),
                       llvm::sys::StrError(count < 0 ? errno : ENOSPC));
    data = data.drop_front(count);
    offset += count;
  }
  return llvm::Error::success();
}

llvm::Expected<StateStore::TensorRef>
StateStore::add(const nibble_tensor &source) {
  llvm::ArrayRef<char> data(static_cast<const char *>(source.data),
                            source.bytes);
  auto tensor = std::make_shared<Tensor>();
  tensor->dtype = source.dtype;
  tensor->dims.assign(source.dims, source.dims + source.rank);
  tensor->bytes = data.size();
  uint64_t space = getSpace(data.size());
  tensor->memory = allocate(space);
  if (!tensor->memory) {
    if (llvm::Error error = openFile())
      return std::move(error);
    tensor->offset = allocateInFile(space);
  }
  tensor->store = this;
  if (!tensor->memory) {
    if (llvm::Error error = write(tensor->offset, data))
      return std::move(error);
  } else if (!data.empty()) {
    std::memcpy(tensor->memory, data.data(), data.size());
  }
  return tensor;
}

llvm::Expected<llvm::ArrayRef<char>>
StateStore::read(const Tensor &tensor, std::vector<char> &buffer) {
  if (tensor.memory)
    return llvm::ArrayRef<char>(tensor.memory, tensor.bytes);
  buffer.resize(tensor.bytes + alignment);
  char *begin = reinterpret_cast<char *>(
      llvm::alignAddr(buffer.data(), llvm::Align(alignment)));
  for (uint64_t done = 0; done != tensor.bytes;) {
    ssize_t count =
        ::pread(file, begin + done, tensor.bytes - done, tensor.offset + done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return makeError("read back what was written", "'" + fileName + "'",
                       llvm::sys::StrError(count < 0 ? errno : EIO));
    done += count;
  }
  return llvm::ArrayRef<char>(begin, tensor.bytes);
}
