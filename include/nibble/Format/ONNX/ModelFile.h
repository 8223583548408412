//===- ModelFile.h - Reading ONNX files -------------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A parsed ONNX model whose weights stay in the file. Format: onnx.proto of
// ONNX 1.23 and docs/ExternalData.md of the ONNX repository.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_FORMAT_ONNX_MODELFILE_H
#define NIBBLE_FORMAT_ONNX_MODELFILE_H

#include "nibble/Format/ONNX/WireScan.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>

namespace nibble::onnx_schema {
class ModelProto;
class TensorProto;
} // namespace nibble::onnx_schema

namespace nibble::format {

/// The stored bytes of a tensor.
struct TensorBytes {
  /// In a mapping that lives as long as the ModelFile, or in the message.
  llvm::ArrayRef<uint8_t> bytes;
  /// Where they are; `file` is empty if they are in the message (small data).
  std::string file;
  uint64_t offset = 0;
};

/// An ONNX model, mapped read-only.
class ModelFile {
public:
  /// Opens the model `path`. Messages do not name it: the caller does.
  static llvm::Expected<std::unique_ptr<ModelFile>> open(llvm::StringRef path);

  /// Parses a model that is in memory and has no file: only data of at most
  /// `kInlineDataLimit` bytes a tensor can be read then.
  static llvm::Expected<std::unique_ptr<ModelFile>>
  parse(llvm::MemoryBufferRef buffer);

  ~ModelFile();

  const onnx_schema::ModelProto &getModel() const { return *model; }
  onnx_schema::ModelProto &getModel() { return *model; }
  llvm::StringRef getPath() const { return path; }

  /// The data of a tensor that is stored as bytes: raw, external, or a large
  /// packed float or double field. Fails, naming the tensor, if the length is
  /// not that of the type and shape, or an external file is missing, outside of
  /// the model's folder, or too short. Empty if the data is in a small typed
  /// field.
  llvm::Expected<std::optional<TensorBytes>>
  getBytes(const onnx_schema::TensorProto &tensor);

  /// Says that the pages of `data` will not be read again soon. Mapped pages
  /// that were read count as the process's until the kernel wants them back.
  void release(const TensorBytes &data) const;

private:
  ModelFile();
  llvm::Error load();
  llvm::Expected<TensorBytes>
  getExternalBytes(const onnx_schema::TensorProto &tensor, uint64_t size);
  llvm::Expected<llvm::MemoryBuffer *> openExternal(llvm::StringRef location);

  std::string path;
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  std::unique_ptr<onnx_schema::ModelProto> model;
  std::vector<WireBlob> blobs;
  llvm::StringMap<std::unique_ptr<llvm::MemoryBuffer>> externalFiles;
};

/// Bits of an element of the TensorProto.DataType `dataType` as ONNX stores it
/// in raw data (bool 8, sub-byte types packed), 0 for strings and unknown
/// types.
unsigned getElementBits(int32_t dataType);

/// Name of a TensorProto.DataType as the ONNX documentation writes it.
llvm::StringRef getDataTypeName(int32_t dataType);

/// Number of elements of a tensor; fails on negative dimensions and overflow.
llvm::Expected<uint64_t> getNumElements(const onnx_schema::TensorProto &tensor);

/// Bytes that the raw data of a tensor takes; fails like `getNumElements` and
/// for types that have no raw form.
llvm::Expected<uint64_t> getRawSize(const onnx_schema::TensorProto &tensor);

} // namespace nibble::format

#endif // NIBBLE_FORMAT_ONNX_MODELFILE_H
