//===- ModuleWriter.cpp - IR to files, large constants beside it -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Pipelines/Compiler.h"
#include "nibble/Support/AtomicFile.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace nibble;

namespace {
/// Writes the bytes of resources to one file, each once, 64 bytes apart.
class BlobWriter {
public:
  BlobWriter(Location loc, StringRef path) : loc(loc), path(path) {}

  /// A reference that replaces `attr`, or nothing if it may stay.
  std::optional<Attribute> externalize(DenseResourceElementsAttr attr);
  /// Puts the file in place; nothing if no blob was written.
  LogicalResult commit();
  bool hasFailed() const { return failedToWrite; }

private:
  Location loc;
  std::string path;
  std::optional<AtomicFile> file;
  uint64_t position = 0;
  bool failedToWrite = false;
  DenseMap<Attribute, Attribute> written;
};
} // namespace

std::optional<Attribute>
BlobWriter::externalize(DenseResourceElementsAttr attr) {
  if (failedToWrite)
    return std::nullopt; // The first failure has been reported.
  auto found = written.find(attr);
  if (found != written.end())
    return found->second;
  FailureOr<ConstantData> data =
      ConstantData::get(attr, [&]() { return emitError(loc); });
  if (failed(data)) {
    failedToWrite = true;
    return std::nullopt;
  }
  ArrayRef<char> bytes = data->getBytes();
  if (bytes.size() <= maxDenseBytes)
    return std::nullopt;
  if (!file) {
    llvm::Expected<AtomicFile> opened = AtomicFile::create(path);
    if (!opened) {
      emitError(loc) << llvm::toString(opened.takeError());
      failedToWrite = true;
      return std::nullopt;
    }
    file.emplace(std::move(*opened));
  }
  uint64_t offset = llvm::alignTo(position, 64);
  file->os().write_zeros(offset - position);
  file->os().write(bytes.data(), bytes.size());
  position = offset + bytes.size();
  uint64_t hash = llvm::xxh3_64bits(
      ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
  // The reference is relative: IR and weights move together.
  Attribute reference = MappedAttr::get(attr.getContext(), attr.getType(),
                                        llvm::sys::path::filename(path), offset,
                                        bytes.size(), hash);
  written[attr] = reference;
  return reference;
}

LogicalResult BlobWriter::commit() {
  if (!file)
    return success();
  if (llvm::Error error = file->commit())
    return emitError(loc) << llvm::toString(std::move(error));
  return success();
}

LogicalResult nibble::writeModule(ModuleOp module, StringRef path) {
  SmallString<128> blobPath(path);
  llvm::sys::path::replace_extension(blobPath, "weights");
  BlobWriter blobs(module.getLoc(), blobPath);
  if (path != "-") {
    AttrTypeReplacer replacer;
    replacer.addReplacement(
        [&](DenseResourceElementsAttr attr) -> std::optional<Attribute> {
          return blobs.externalize(attr);
        });
    replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false,
                                          /*replaceTypes=*/false);
    if (blobs.hasFailed())
      return failure();
  } else {
    module->print(llvm::outs());
    return success();
  }
  llvm::Expected<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return module.emitError() << llvm::toString(file.takeError());
  if (path.ends_with(".mlirbc")) {
    if (failed(writeBytecodeToFile(module, file->os())))
      return module.emitError() << "can't write bytecode to '" << path << "'";
  } else {
    module->print(file->os());
  }
  if (failed(blobs.commit()))
    return failure();
  if (llvm::Error error = file->commit())
    return module.emitError() << llvm::toString(std::move(error));
  return success();
}
