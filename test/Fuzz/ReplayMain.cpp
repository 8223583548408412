//===- ReplayMain.cpp - Fuzz targets without a fuzzer ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Gives a target the files that are named, and those in folders that are named:
// the regressions of earlier finds. With --mutations=N also N random changes of
// each, always the same ones.
//
//===----------------------------------------------------------------------===//

#include "WireMutator.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <random>
#include <vector>

extern "C" {
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
__attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                                     size_t maxSize,
                                                     unsigned seed);
}

static std::minstd_rand numbers;

/// Flips, removes, repeats or replaces a few bytes.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize) {
  if (size == 0) {
    data[0] = static_cast<uint8_t>(numbers());
    return 1;
  }
  size_t at = numbers() % size;
  size_t count = std::min<size_t>(1 + numbers() % 8, size - at);
  switch (numbers() % 4) {
  case 0:
    data[at] ^= 1 << numbers() % 8;
    return size;
  case 1:
    std::copy(data + at + count, data + size, data + at);
    return size - count;
  case 2:
    count = std::min(count, maxSize - size);
    std::copy_backward(data + at, data + size, data + size + count);
    return size + count;
  default:
    std::generate(data + at, data + at + count, numbers);
    return size;
  }
}

/// Tries an input. With `keep` it is written there before: after a crash the
/// file is the find.
static void tryInput(const uint8_t *data, size_t size, llvm::StringRef keep) {
  if (!keep.empty()) {
    std::error_code error;
    llvm::raw_fd_ostream os(keep, error);
    os.write(reinterpret_cast<const char *>(data), size);
  }
  LLVMFuzzerTestOneInput(data, size);
}

static int replay(const std::string &path, unsigned mutations,
                  llvm::StringRef keep) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer) {
    llvm::errs() << path << ": " << buffer.getError().message() << '\n';
    return 1;
  }
  llvm::outs() << path << '\n';
  llvm::outs().flush();
  auto *data = reinterpret_cast<const uint8_t *>((*buffer)->getBufferStart());
  size_t size = (*buffer)->getBufferSize();
  tryInput(data, size, keep);
  numbers.seed(1);
  for (unsigned i = 0; i != mutations; ++i) {
    std::vector<uint8_t> copy(data, data + size);
    copy.resize(size + 64);
    unsigned seed = numbers();
    size_t changed =
        LLVMFuzzerCustomMutator
            ? LLVMFuzzerCustomMutator(copy.data(), size, copy.size(), seed)
            : LLVMFuzzerMutate(copy.data(), size, copy.size());
    tryInput(copy.data(), changed, keep);
  }
  return 0;
}

int main(int argc, char **argv) {
  namespace cl = llvm::cl;
  cl::list<std::string> inputs(cl::Positional, cl::desc("files or folders"));
  cl::opt<unsigned> mutations("mutations",
                              cl::desc("Random changes to try of each file"));
  cl::opt<std::string> keep(
      "keep", cl::desc("Write each input to FILE before it is tried"),
      cl::value_desc("FILE"));
  cl::ParseCommandLineOptions(argc, argv, "Replays inputs of a fuzz target\n");
  if (LLVMFuzzerInitialize)
    LLVMFuzzerInitialize(&argc, &argv);
  std::vector<std::string> files;
  for (const std::string &input : inputs) {
    if (!llvm::sys::fs::is_directory(input)) {
      files.push_back(input);
      continue;
    }
    std::error_code error;
    for (llvm::sys::fs::directory_iterator it(input, error), end;
         it != end && !error; it.increment(error))
      files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  int result = 0;
  for (const std::string &file : files)
    result |= replay(file, mutations, keep);
  llvm::outs() << files.size() << " inputs\n";
  return files.empty() ? 1 : result;
}
