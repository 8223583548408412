//===- HessianSum.cpp - X^T X of rows that stream by ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HessianSum.h"
#include "nibble/Quantizer/DenseMath.h"
#include "nibble/Support/Size.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Errno.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <algorithm>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace nibble;
using namespace nibble::calibration;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static llvm::Expected<int> createFile(uint64_t bytes) {
  llvm::SmallString<128> folder, path, name;
  llvm::sys::path::system_temp_directory(/*ErasedOnReboot=*/true, folder);
  path = folder;
  llvm::sys::path::append(path, "nibble-hessian-%%%%%%%%");
  auto fail = [&](const llvm::Twine &reason) {
    return llvm::createStringError(
        "can't keep a Hessian of " + formatBytes(bytes) + " in '" + folder +
        "': " + reason +
        "; raise --memory-limit, or set TMPDIR to a folder with more room");
  };
  int file = -1;
  if (std::error_code ec = llvm::sys::fs::createUniqueFile(path, file, name))
    return fail(ec.message());
  llvm::sys::fs::remove(name);
  // A full disk must be found here: a write to the mapping could only crash.
  if (int error = ::posix_fallocate(file, 0, static_cast<off_t>(bytes))) {
    ::close(file);
    return fail(llvm::sys::StrError(error));
  }
  return file;
}

llvm::Expected<std::unique_ptr<HessianSum>>
HessianSum::create(int64_t size, int64_t count, uint64_t &memory) {
  std::unique_ptr<HessianSum> result(new HessianSum(size, count));
  uint64_t bytes = result->getBytes() * count;
  bool fits = bytes <= memory;
  if (fits) {
    memory -= bytes;
  } else {
    llvm::Expected<int> file = createFile(bytes);
    if (!file)
      return file.takeError();
    result->file = *file;
  }
  int flags = fits ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void *mapped =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, result->file, 0);
  if (mapped == MAP_FAILED)
    return llvm::createStringError("out of memory: a Hessian needs " +
                                   formatBytes(bytes) +
                                   "; lower --memory-limit");
  result->sums = static_cast<float *>(mapped);
  return std::move(result);
}

HessianSum::~HessianSum() {
  if (sums)
    ::munmap(sums, getBytes() * count);
  if (file >= 0)
    ::close(file);
}

void HessianSum::release() {
  if (isSpilled())
    ::madvise(sums, getBytes() * count, MADV_DONTNEED);
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

void HessianSum::addRows(int64_t group, const float *rows, int64_t numRows,
                         unsigned threads) {
  quantizer::addOuterProducts({rows, numRows, size, size}, getSums(group),
                              threads);
}

llvm::Error HessianSum::addWindows(llvm::ArrayRef<float> input,
                                   llvm::ArrayRef<int64_t> dims,
                                   const WindowShape &window,
                                   unsigned threads) {
  return forEachWindow(
      input, dims, window, [&](const ActivationRows &rows) -> llvm::Error {
        addRows(rows.group, rows.values.data(), rows.rows, threads);
        return llvm::Error::success();
      });
}

void HessianSum::readRow(int64_t group, int64_t row, float *values) const {
  const float *sum = sums + group * size * size;
  for (int64_t column = 0; column != row; ++column)
    values[column] = sum[column * size + row];
  std::copy(sum + row * size + row, sum + (row + 1) * size, values + row);
}
