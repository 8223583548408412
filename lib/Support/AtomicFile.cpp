//===- AtomicFile.cpp - Output files that are whole or not there -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/AtomicFile.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace nibble;
namespace fs = llvm::sys::fs;

AtomicFile::AtomicFile(fs::TempFile file, llvm::StringRef path)
    : temporary(std::move(file)), path(path) {
  stream = std::make_unique<llvm::raw_fd_ostream>(temporary->FD,
                                                  /*shouldClose=*/false);
}

AtomicFile::AtomicFile(std::unique_ptr<llvm::raw_fd_ostream> device,
                       llvm::StringRef path)
    : stream(std::move(device)), path(path) {}

AtomicFile::~AtomicFile() {
  // A stream that is destroyed with an error pending ends the process.
  if (stream)
    stream->clear_error();
  stream.reset();
  if (temporary)
    llvm::consumeError(temporary->discard());
}

static llvm::Error makeError(llvm::StringRef path, std::error_code error) {
  return llvm::createStringError(error, "can't write '" + path +
                                            "': " + error.message());
}

llvm::Expected<AtomicFile> AtomicFile::create(llvm::StringRef path,
                                              bool executable) {
  if (fs::is_directory(path))
    return makeError(path, std::make_error_code(std::errc::is_a_directory));
  if (fs::exists(path) && !fs::is_regular_file(path)) {
    // A device or a pipe is written to; a rename would put a file in its place.
    std::error_code error;
    auto device = std::make_unique<llvm::raw_fd_ostream>(
        path, error, fs::CD_OpenExisting, fs::FA_Write, fs::OF_None);
    if (error)
      return makeError(path, error);
    return AtomicFile(std::move(device), path);
  }
  llvm::SmallString<128> model(path);
  model += ".tmp-%%%%%%%%";
  // The mode that open(2) would give a new file of this kind.
  mode_t mask = ::umask(0);
  ::umask(mask);
  unsigned mode = (executable ? 0777 : 0666) & ~mask;
  llvm::Expected<fs::TempFile> file =
      fs::TempFile::create(model, mode | fs::owner_read | fs::owner_write);
  if (!file)
    return makeError(path, llvm::errorToErrorCode(file.takeError()));
  return AtomicFile(std::move(*file), path);
}

llvm::Error AtomicFile::check(llvm::StringRef path) {
  if (fs::exists(path) && !fs::is_directory(path) &&
      !fs::is_regular_file(path)) {
    // Who reads a pipe would take a writer that leaves for the end.
    std::error_code error = fs::access(path, fs::AccessMode::Write);
    return error ? makeError(path, error) : llvm::Error::success();
  }
  llvm::Expected<AtomicFile> file = create(path);
  return file ? llvm::Error::success() : file.takeError();
}

llvm::Error AtomicFile::finish() {
  if (!stream)
    return llvm::Error::success();
  stream->flush();
  std::error_code error = stream->error();
  stream->clear_error();
  stream.reset();
  // Delayed allocation reports a full disk only when data reaches it.
  if (temporary && !error && ::fdatasync(temporary->FD) != 0 &&
      (errno == ENOSPC || errno == EDQUOT || errno == EIO))
    error = std::error_code(errno, std::generic_category());
  if (!error)
    return llvm::Error::success();
  if (temporary)
    llvm::consumeError(temporary->discard());
  temporary.reset();
  return makeError(path, error);
}

llvm::Error AtomicFile::commit() {
  if (llvm::Error error = finish())
    return error;
  if (!temporary)
    return llvm::Error::success();
  llvm::Error kept = temporary->keep(path);
  temporary.reset();
  if (kept)
    return makeError(path, llvm::errorToErrorCode(std::move(kept)));
  return llvm::Error::success();
}
