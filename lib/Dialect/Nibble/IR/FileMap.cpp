//===- FileMap.cpp - Files that constants refer to -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace nibble;

struct FileMap::Impl {
  struct File {
    std::unique_ptr<llvm::sys::fs::mapped_file_region> region;
    uint64_t size = 0;
    // Ranges whose hash was found right: a range is hashed once, not per use.
    llvm::DenseSet<std::pair<uint64_t, uint64_t>> checked;
  };
  std::mutex mutex;
  llvm::StringMap<File> files;
  SmallVector<std::string> directories;

  FailureOr<File *> open(StringRef name, ErrorFn emitError);
};

FileMap::FileMap() : impl(std::make_unique<Impl>()) {}
FileMap::~FileMap() = default;

void FileMap::addSearchDirectory(StringRef directory) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  if (!llvm::is_contained(impl->directories, directory))
    impl->directories.push_back(directory.str());
}

FailureOr<FileMap::Impl::File *> FileMap::Impl::open(StringRef name,
                                                     ErrorFn emitError) {
  auto found = files.find(name);
  if (found != files.end())
    return &found->second;
  SmallString<128> path(name);
  if (!llvm::sys::path::is_absolute(name) && !llvm::sys::fs::exists(path)) {
    for (StringRef directory : directories) {
      SmallString<128> candidate(directory);
      llvm::sys::path::append(candidate, name);
      if (llvm::sys::fs::exists(candidate)) {
        path = candidate;
        break;
      }
    }
  }
  auto handle = llvm::sys::fs::openNativeFileForRead(path);
  if (!handle)
    return emitError() << "can't open '" << name
                       << "', which holds constant data: "
                       << llvm::toString(handle.takeError());
  llvm::sys::fs::file_status status;
  std::error_code error = llvm::sys::fs::status(*handle, status);
  File file;
  file.size = error ? 0 : status.getSize();
  if (!error && file.size)
    file.region = std::make_unique<llvm::sys::fs::mapped_file_region>(
        *handle, llvm::sys::fs::mapped_file_region::readonly, file.size, 0,
        error);
  llvm::sys::fs::closeFile(*handle);
  if (error)
    return emitError() << "can't map '" << name << "': " << error.message();
  return &(files[name] = std::move(file));
}

FailureOr<ArrayRef<char>> FileMap::map(StringRef file, uint64_t offset,
                                       uint64_t length, ErrorFn emitError) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  FailureOr<Impl::File *> opened = impl->open(file, emitError);
  if (failed(opened))
    return failure();
  uint64_t size = (*opened)->size;
  if (offset > size || length > size - offset)
    return emitError() << "'" << file << "' has " << size << " bytes, but "
                       << length << " bytes at offset " << offset
                       << " are needed: the file was cut or replaced";
  if (length == 0)
    return ArrayRef<char>();
  return ArrayRef<char>((*opened)->region->const_data() + offset, length);
}

FailureOr<ArrayRef<char>> FileMap::mapChecked(StringRef file, uint64_t offset,
                                              uint64_t length, uint64_t hash,
                                              ErrorFn emitError) {
  FailureOr<ArrayRef<char>> bytes = map(file, offset, length, emitError);
  if (failed(bytes))
    return failure();
  {
    std::lock_guard<std::mutex> lock(impl->mutex);
    if (impl->files[file].checked.contains({offset, length}))
      return bytes;
  }
  uint64_t actual = llvm::xxh3_64bits(ArrayRef(
      reinterpret_cast<const uint8_t *>(bytes->data()), bytes->size()));
  if (actual != hash)
    return emitError() << "'" << file << "' has changed: " << length
                       << " bytes at offset " << offset << " have hash 0x"
                       << llvm::utohexstr(actual, true, 16) << ", expected 0x"
                       << llvm::utohexstr(hash, true, 16)
                       << "; import the model again";
  std::lock_guard<std::mutex> lock(impl->mutex);
  impl->files[file].checked.insert({offset, length});
  return bytes;
}
