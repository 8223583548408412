//===- WireScan.h - Finding weights in an ONNX file -------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Protobuf copies every byte field it parses. A model is nearly all weights, so
// they are cut out of the serialized message first and only the rest is parsed.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_FORMAT_ONNX_WIRESCAN_H
#define NIBBLE_FORMAT_ONNX_WIRESCAN_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace nibble::format {

/// Tensor data longer than this many bytes stays in the file.
inline constexpr uint64_t kInlineDataLimit = 256;

/// Tensor data that stays where it is: `length` bytes from `offset` (in bytes
/// from the start of the file, without any alignment).
struct WireBlob {
  /// The field that held the data. Packed floats and doubles lie in the file as
  /// little-endian values, just like raw data; integers do not (varints).
  enum class Field { RawData, FloatData, DoubleData };
  Field field;
  uint64_t offset;
  uint64_t length;
};

/// A serialized ModelProto without its large tensor data.
struct SlimModel {
  /// What protobuf parses. A TensorProto whose data was cut out has
  /// `nibble_blob`, an index into `blobs`.
  std::string bytes;
  std::vector<WireBlob> blobs;
};

/// Scans a serialized ModelProto (ONNX 1.23, protobuf wire format). Works
/// without recursion. Fails with the byte offset and the path of the field
/// (`graph.node[3].attribute[0]`) on malformed, truncated or hostile input:
/// lengths beyond the enclosing message, more than 90 nested messages, more
/// than 4 million nodes, tensors and attributes, more than 256 MiB besides
/// weights.
llvm::Expected<SlimModel> scanModel(llvm::ArrayRef<uint8_t> file);

} // namespace nibble::format

#endif // NIBBLE_FORMAT_ONNX_WIRESCAN_H
