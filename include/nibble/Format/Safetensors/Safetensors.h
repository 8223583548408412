//===- Safetensors.h - Named arrays in one file -----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Source: the format's description in the README of the safetensors project. A
// file is the length of a header (64 bits, little-endian), the header (JSON),
// and the data of all arrays without gaps.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_FORMAT_SAFETENSORS_SAFETENSORS_H
#define NIBBLE_FORMAT_SAFETENSORS_SAFETENSORS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nibble {
class AtomicFile;
} // namespace nibble

namespace nibble::format {

/// What the header says about one array; row-major.
struct SafetensorsEntry {
  std::string name;
  /// "F64", "F32", "F16", "BF16", "I64", "U64", "I32", "U8", ...
  std::string dtype;
  std::vector<int64_t> shape;

  /// Bytes of the data.
  uint64_t getBytes() const;
};

/// A file that is mapped.
class SafetensorsFile {
public:
  /// Errors name the file: it can't be read, it is cut off, its header is no
  /// JSON or says what can't be.
  static llvm::Expected<std::unique_ptr<SafetensorsFile>>
  open(llvm::StringRef path);

  const std::map<std::string, std::string> &getMetadata() const {
    return metadata;
  }
  llvm::ArrayRef<SafetensorsEntry> getEntries() const { return entries; }
  /// Null if there is none of this name.
  const SafetensorsEntry *find(llvm::StringRef name) const;
  /// The bytes of an entry of this file, aligned to its elements.
  llvm::ArrayRef<char> getData(const SafetensorsEntry &entry) const;
  /// The whole file.
  llvm::StringRef getBuffer() const { return buffer->getBuffer(); }

private:
  llvm::Error parse(llvm::StringRef path);

  std::unique_ptr<llvm::MemoryBuffer> buffer;
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> entries;
  /// Where the data of each entry begins in the file.
  std::vector<uint64_t> offsets;
};

/// What was written.
struct SafetensorsSummary {
  uint64_t bytes = 0;
  uint64_t checksum = 0; ///< XXH64 of the file
};

/// Gives the data of an entry to `write`, in pieces of any size, getBytes() in
/// all.
using SafetensorsFill = llvm::function_ref<void(
    size_t entry, llvm::function_ref<void(llvm::ArrayRef<char>)> write)>;

/// Writes a file as a whole or not at all.
llvm::Expected<SafetensorsSummary>
writeSafetensors(llvm::StringRef path, llvm::ArrayRef<SafetensorsEntry> entries,
                 const std::map<std::string, std::string> &metadata,
                 SafetensorsFill fill);
/// The same, and leaves it to the caller to commit the file, which is finished.
llvm::Expected<SafetensorsSummary>
writeSafetensors(AtomicFile &file, llvm::ArrayRef<SafetensorsEntry> entries,
                 const std::map<std::string, std::string> &metadata,
                 SafetensorsFill fill);

} // namespace nibble::format

#endif // NIBBLE_FORMAT_SAFETENSORS_SAFETENSORS_H
