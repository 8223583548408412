//===- AtomicFile.h - Output files that are whole or not there -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_ATOMICFILE_H
#define NIBBLE_SUPPORT_ATOMICFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <memory>
#include <optional>
#include <string>

namespace nibble {

/// A file that is written under a temporary name in the folder of its final one
/// and renamed when it is complete. Without `commit` nothing is left behind,
/// also when the process is ended by a signal that LLVM handles. A path that is
/// a device or a pipe, such as /dev/null, is written to directly.
class AtomicFile {
public:
  /// Errors name the path and the system's reason: a folder that is missing or
  /// may not be written, a path that is a folder. With `executable` the final
  /// file may be run; otherwise its mode is what a new file has.
  static llvm::Expected<AtomicFile> create(llvm::StringRef path,
                                           bool executable = false);

  /// The errors of `create`, for who begins to write much later. Leaves nothing
  /// behind.
  static llvm::Error check(llvm::StringRef path);

  AtomicFile(AtomicFile &&) = default;
  AtomicFile &operator=(AtomicFile &&) = delete;
  /// Removes the temporary file if it was not committed.
  ~AtomicFile();

  /// Where to write. Failures, a full disk among them, come out of `finish`.
  llvm::raw_fd_ostream &os() { return *stream; }
  /// Name of the file until it is committed, for writers that need a path.
  llvm::StringRef getTemporaryPath() const {
    return temporary ? llvm::StringRef(temporary->TmpName) : path;
  }
  const std::string &getPath() const { return path; }

  /// Closes the file: all of it is on the disk, but it has no name yet. With
  /// several files that belong together, what can fail is then done before the
  /// first of them is committed.
  llvm::Error finish();

  /// Finishes the file and gives it its name, replacing an older one.
  llvm::Error commit();

private:
  AtomicFile(llvm::sys::fs::TempFile file, llvm::StringRef path);
  AtomicFile(std::unique_ptr<llvm::raw_fd_ostream> device,
             llvm::StringRef path);

  std::optional<llvm::sys::fs::TempFile> temporary;
  std::unique_ptr<llvm::raw_fd_ostream> stream;
  std::string path;
};

} // namespace nibble

#endif // NIBBLE_SUPPORT_ATOMICFILE_H
