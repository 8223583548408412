//===- ConstantData.h - The one way to read constants -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights are dense attributes when small, resources or references to files
// when large. Passes read all of them through `ConstantData`.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_CONSTANTDATA_H
#define NIBBLE_DIALECT_NIBBLE_IR_CONSTANTDATA_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Value.h"
#include "mlir/Support/LLVM.h"
#include <memory>
#include <mutex>
#include <string>

namespace nibble {

/// Files that constants refer to, mapped read-only and shared by all threads
/// for as long as the context lives. Mapped pages are not private memory.
class FileMap {
public:
  using ErrorFn = llvm::function_ref<mlir::InFlightDiagnostic()>;

  FileMap();
  ~FileMap();

  /// Bytes [offset, offset + length) of `file`. Relative paths are looked for
  /// in the working directory, then in the search directories. A missing or
  /// too short file is reported through `emitError`, once per call.
  mlir::FailureOr<llvm::ArrayRef<char>> map(llvm::StringRef file,
                                            uint64_t offset, uint64_t length,
                                            ErrorFn emitError);

  /// The same, with the hash of the range checked the first time it is read.
  mlir::FailureOr<llvm::ArrayRef<char>>
  mapChecked(llvm::StringRef file, uint64_t offset, uint64_t length,
             uint64_t hash, ErrorFn emitError);

  /// Adds a directory in which relative paths are looked for.
  void addSearchDirectory(llvm::StringRef directory);

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

/// Read access to the elements of a constant attribute, without a copy.
class ConstantData {
public:
  /// Any ElementsAttr of a type with a fixed size: dense, resource, mapped.
  /// Problems (no data, changed file) go to `emitError`.
  static mlir::FailureOr<ConstantData> get(mlir::Attribute attr,
                                           FileMap::ErrorFn emitError);

  /// The constant that `value` is defined by (through any ConstantLike
  /// operation), or failure without a message if it is not a constant.
  static mlir::FailureOr<ConstantData> get(mlir::Value value);

  mlir::ShapedType getType() const { return type; }
  int64_t getNumElements() const { return type.getNumElements(); }
  /// True if there is one element in `getBytes` for all.
  bool isSplat() const { return splat; }
  /// The same constant with its elements written out if there is one for all.
  ConstantData expanded() const;
  /// Row-major little-endian elements; NOT aligned: read through memcpy.
  /// Elements of fewer than 8 bits are packed as `packed` says.
  llvm::ArrayRef<char> getBytes() const { return bytes; }
  /// Bits that one element takes in `getBytes`: i4 of a dense attribute takes
  /// 8, of ONNX data 4; i1 of a dense attribute takes 8, as in ONNX.
  unsigned getStorageBits() const { return storageBits; }

  /// Elements [begin, begin + out.size()) converted to float. Integer, f16,
  /// bf16, f32, f64 elements; fails for others.
  mlir::LogicalResult readFloats(int64_t begin,
                                 llvm::MutableArrayRef<float> out) const;
  /// The same for integers, sign- or zero-extended as the element type says;
  /// signless types are signed, i1 is 0 or 1. Fails for floats.
  mlir::LogicalResult readIntegers(int64_t begin,
                                   llvm::MutableArrayRef<int64_t> out) const;
  /// The same as bit patterns of elements of at most 8 bits, one a byte; the
  /// bits above are zero.
  void readCodes(int64_t begin, llvm::MutableArrayRef<char> out) const;
  /// All elements of a small integer constant, or failure.
  mlir::FailureOr<llvm::SmallVector<int64_t>> getIntegers() const;

  /// Where the elements are in a file, if they are: for writing references.
  bool isMapped() const { return mapped; }

private:
  mlir::ShapedType type;
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<std::vector<char>> owned;
  unsigned storageBits = 0;
  bool splat = false;
  bool mapped = false;
};

/// Bits that an element takes in the data of ONNX files and of blobs: bool and
/// 8-bit types 8, sub-byte integers and floats their own width, others theirs.
unsigned getStorageBits(mlir::Type elementType);

/// Bytes that the data of `type` takes, sub-byte elements packed.
uint64_t getStorageBytes(mlir::ShapedType type);

/// Makes a constant of `type` whose bytes are written by `fill` (the buffer is
/// zeroed and aligned to 64 bytes). Small ones become dense attributes, large
/// ones a resource over an unlinked temporary file, so that they are not
/// private memory. Fails, with a message at `loc`, if the temporary file can't
/// be made.
mlir::FailureOr<mlir::ElementsAttr>
createBlobAttr(mlir::Location loc, mlir::ShapedType type,
               llvm::StringRef nameHint,
               llvm::function_ref<void(llvm::MutableArrayRef<char>)> fill);

/// Constants above this many bytes are kept out of dense attributes.
constexpr uint64_t maxDenseBytes = 1024;

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_IR_CONSTANTDATA_H
