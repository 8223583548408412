//===- ArrayFile.h - Arrays in files, read piece by piece -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CALIBRATION_ARRAYFILE_H
#define NIBBLE_LIB_CALIBRATION_ARRAYFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nibble::calibration {

/// A row-major array whose elements stay in a file until they are read.
class ArrayFile {
public:
  /// The name in an archive or the file's name without its extension.
  std::string name;
  /// For messages: the path, with ":NAME" for a member of an archive.
  std::string place;
  int32_t dtype = 0; ///< nibble_dtype
  std::vector<int64_t> dims;

  /// An .npy file; one in Fortran order is reordered to a file without a name.
  static llvm::Expected<std::unique_ptr<ArrayFile>>
  openNpy(llvm::StringRef path);
  /// All members of an .npz archive; compressed ones are unpacked to files
  /// without names.
  static llvm::Expected<std::vector<std::unique_ptr<ArrayFile>>>
  openNpz(llvm::StringRef path);
  /// A serialized TensorProto.
  static llvm::Expected<std::unique_ptr<ArrayFile>>
  openTensorProto(llvm::StringRef path);
  /// Elements without a header; the array has one dimension.
  static llvm::Expected<std::unique_ptr<ArrayFile>>
  openRaw(llvm::StringRef path, int32_t dtype);

  virtual ~ArrayFile();
  int64_t getNumElements() const;
  /// Reads bytes from `offset` on. Error: the file can't be read, or is shorter
  /// than it was.
  virtual llvm::Error read(uint64_t offset,
                           llvm::MutableArrayRef<char> out) const = 0;
};

} // namespace nibble::calibration

#endif // NIBBLE_LIB_CALIBRATION_ARRAYFILE_H
