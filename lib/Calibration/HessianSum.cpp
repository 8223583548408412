//===- HessianSum.cpp - X^T X of rows that stream by ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HessianSum.h"
#include "nibble/Support/Parallel.h"
#include "nibble/Support/Size.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Errno.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <Eigen/Core>
#include <algorithm>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace nibble;
using namespace nibble::calibration;

/// Columns of a tile, the unit of work of a thread, and rows that are
/// multiplied at once. Both decide in which order floats are added.
static constexpr int64_t tileSize = 128, rowBlock = 512;

using RowMajor =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Rows = Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>;
using Sums = Eigen::Map<RowMajor, 0, Eigen::OuterStride<>>;

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
                         int64_t stride, unsigned threads) {
  int64_t tiles = (size + tileSize - 1) / tileSize;
  float *sum = sums + group * size * size;
  auto addTile = [&](int64_t row, int64_t column) {
    int64_t i = row * tileSize, j = column * tileSize;
    int64_t height = std::min(tileSize, size - i);
    int64_t width = std::min(tileSize, size - j);
    Sums tile(sum + i * size + j, height, width, Eigen::OuterStride<>(size));
    for (int64_t first = 0; first < numRows; first += rowBlock) {
      int64_t count = std::min(rowBlock, numRows - first);
      const float *block = rows + first * stride;
      Rows left(block + i, count, height, Eigen::OuterStride<>(stride));
      Rows right(block + j, count, width, Eigen::OuterStride<>(stride));
      tile.noalias() += left.transpose() * right;
    }
  };
  // Pairs of tiles on and above the diagonal, by rows.
  parallelFor(tiles * (tiles + 1) / 2, 1, threads,
              [&](int64_t first, int64_t last) {
                for (int64_t pair = first; pair != last; ++pair) {
                  int64_t row = 0, before = 0;
                  while (pair >= before + tiles - row)
                    before += tiles - row++;
                  addTile(row, row + pair - before);
                }
              });
}

llvm::Error HessianSum::addWindows(llvm::ArrayRef<float> input,
                                   llvm::ArrayRef<int64_t> dims,
                                   const WindowShape &window,
                                   unsigned threads) {
  return forEachWindow(input, dims, window,
                       [&](const ActivationRows &rows) -> llvm::Error {
                         addRows(rows.group, rows.values.data(), rows.rows,
                                 rows.columns, threads);
                         return llvm::Error::success();
                       });
}

void HessianSum::readRow(int64_t group, int64_t row, float *values) const {
  const float *sum = sums + group * size * size;
  for (int64_t column = 0; column != row; ++column)
    values[column] = sum[column * size + row];
  std::copy(sum + row * size + row, sum + (row + 1) * size, values + row);
}
