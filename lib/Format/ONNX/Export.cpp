//===- Export.cpp - Writing ONNX files ------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/ONNX/Export.h"
#include "Exporter.h"
#include "nibble/Support/AtomicFile.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace nibble::onnx_schema;

namespace nibble::format {
namespace {

/// External tensors begin at pages, so that they can be mapped one by one.
constexpr uint64_t kExternalAlignment = 4096;

constexpr uint32_t kGraphField = 7;
constexpr uint32_t kInitializerField = 5;
constexpr uint32_t kRawDataField = 9;

/// The tag and length of a length-delimited field.
std::string makeHeader(uint32_t field, uint64_t length) {
  std::string bytes;
  for (uint64_t part : {uint64_t(field) << 3 | 2, length}) {
    for (; part >= 0x80; part >>= 7)
      bytes.push_back(static_cast<char>(part | 0x80));
    bytes.push_back(static_cast<char>(part));
  }
  return bytes;
}

uint64_t getTotalSize(const Exporter &exporter) {
  uint64_t total = 0;
  for (const LargeTensor &tensor : exporter.largeTensors)
    total += tensor.size;
  return total;
}

void writeData(const ConstantData &data, llvm::raw_ostream &os) {
  forEachPiece(data, [&](ArrayRef<char> piece) {
    os.write(piece.data(), piece.size());
  });
}

/// Writes the model with the large tensors as the last initializers of its
/// graph, which is its last field: so every length is known before any data is
/// written.
LogicalResult writeInline(ModuleOp module, Exporter &exporter,
                          llvm::raw_ostream &os) {
  std::string graph = exporter.model.graph().SerializeAsString();
  exporter.model.clear_graph();
  uint64_t length = graph.size();
  std::vector<std::string> heads;
  for (const LargeTensor &tensor : exporter.largeTensors) {
    std::string message = tensor.message.SerializeAsString() +
                          makeHeader(kRawDataField, tensor.size);
    heads.push_back(
        makeHeader(kInitializerField, message.size() + tensor.size) + message);
    length += heads.back().size() + tensor.size;
  }
  if (length > INT32_MAX)
    return emitError(module.getLoc())
           << "the model takes " << length
           << " bytes, more than the 2 GiB of a protobuf file; write its "
              "weights to external data";
  os << exporter.model.SerializeAsString() << makeHeader(kGraphField, length)
     << graph;
  for (auto [head, tensor] : llvm::zip(heads, exporter.largeTensors)) {
    os << head;
    writeData(tensor.data, os);
  }
  return success();
}

/// Writes the large tensors to `os` and refers to them in the model.
void writeExternal(Exporter &exporter, StringRef location,
                   llvm::raw_ostream &os) {
  uint64_t offset = 0;
  for (LargeTensor &tensor : exporter.largeTensors) {
    uint64_t aligned = llvm::alignTo(offset, kExternalAlignment);
    os.write_zeros(aligned - offset);
    writeData(tensor.data, os);
    offset = aligned + tensor.size;
    tensor.message.set_data_location(TensorProto::EXTERNAL);
    for (const auto &[key, value] :
         {std::pair<const char *, std::string>("location", location.str()),
          {"offset", std::to_string(aligned)},
          {"length", std::to_string(tensor.size)}}) {
      StringStringEntryProto &entry = *tensor.message.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    *exporter.model.mutable_graph()->add_initializer() =
        std::move(tensor.message);
  }
  exporter.largeTensors.clear();
}

} // namespace

LogicalResult exportONNX(ModuleOp module, llvm::raw_ostream &os) {
  Exporter exporter(module);
  if (failed(exporter.run()))
    return failure();
  return writeInline(module, exporter, os);
}

LogicalResult exportONNX(ModuleOp module, StringRef path,
                         const ExportOptions &options) {
  auto fail = [&](llvm::Error error) {
    return emitError(module.getLoc()) << toString(std::move(error));
  };
  Exporter exporter(module);
  if (failed(exporter.run()))
    return failure();
  bool external = options.data == ExportOptions::Data::External ||
                  (options.data == ExportOptions::Data::Auto &&
                   getTotalSize(exporter) > kMaxInlineWeights);

  std::optional<AtomicFile> data;
  if (external) {
    std::string dataPath = (path + ".data").str();
    llvm::Expected<AtomicFile> file = AtomicFile::create(dataPath);
    if (!file)
      return fail(file.takeError());
    data.emplace(std::move(*file));
    writeExternal(exporter, llvm::sys::path::filename(dataPath), data->os());
  }
  llvm::Expected<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return fail(file.takeError());
  if (failed(writeInline(module, exporter, file->os())))
    return failure();
  if (data)
    if (llvm::Error error = data->commit())
      return fail(std::move(error));
  if (llvm::Error error = file->commit())
    return fail(std::move(error));
  return success();
}

} // namespace nibble::format
