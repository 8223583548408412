//===- WireScan.cpp - Finding weights in an ONNX file ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/ONNX/WireScan.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include <array>
#include <optional>

using namespace llvm;

namespace nibble::format {
namespace {

constexpr size_t kMaxDepth = 90;
constexpr uint64_t kMaxMessages = 4u << 20;
constexpr uint64_t kMaxSlimBytes = 256u << 20;
constexpr uint32_t kBlobField = 100000;
constexpr uint32_t kTrainingInfoField = 20;
/// A patched length is a varint padded to this many bytes (35 bits).
constexpr size_t kLengthBytes = 5;

enum class Kind { Model, Graph, Node, Attribute, Sparse, Tensor, Function };

struct Child {
  Kind parent;
  uint32_t field;
  Kind kind;
  const char *name;
};

/// The messages through which tensors are reached; all others are copied.
constexpr Child kChildren[] = {
    {Kind::Model, 7, Kind::Graph, "graph"},
    {Kind::Model, 25, Kind::Function, "functions"},
    {Kind::Graph, 1, Kind::Node, "node"},
    {Kind::Graph, 5, Kind::Tensor, "initializer"},
    {Kind::Graph, 15, Kind::Sparse, "sparse_initializer"},
    {Kind::Function, 7, Kind::Node, "node"},
    {Kind::Function, 11, Kind::Attribute, "attribute_proto"},
    {Kind::Node, 5, Kind::Attribute, "attribute"},
    {Kind::Attribute, 5, Kind::Tensor, "t"},
    {Kind::Attribute, 6, Kind::Graph, "g"},
    {Kind::Attribute, 10, Kind::Tensor, "tensors"},
    {Kind::Attribute, 11, Kind::Graph, "graphs"},
    {Kind::Attribute, 22, Kind::Sparse, "sparse_tensor"},
    {Kind::Attribute, 23, Kind::Sparse, "sparse_tensors"},
    {Kind::Sparse, 1, Kind::Tensor, "values"},
    {Kind::Sparse, 2, Kind::Tensor, "indices"},
};

const Child *findChild(Kind parent, uint32_t field) {
  for (const Child &child : kChildren)
    if (child.parent == parent && child.field == field)
      return &child;
  return nullptr;
}

std::optional<WireBlob::Field> getDataField(uint32_t field) {
  switch (field) {
  case 9:
    return WireBlob::Field::RawData;
  case 4:
    return WireBlob::Field::FloatData;
  case 10:
    return WireBlob::Field::DoubleData;
  default:
    return std::nullopt;
  }
}

struct Frame {
  Kind kind;
  const char *name;
  uint32_t index;
  uint64_t end;
  /// Where the length of this message stands in the slim bytes.
  size_t lengthPos;
  bool hasBlob = false;
  std::array<uint32_t, 32> childCount{};
};

class Scanner {
public:
  explicit Scanner(ArrayRef<uint8_t> file) : file(file) {}

  Expected<SlimModel> run();

private:
  Error scanField();
  Error scanDelimited(uint32_t field, uint64_t fieldStart);
  Error enter(const Child &child, uint64_t length);
  void leave();

  /// Reads a varint that ends before `end`.
  std::optional<uint64_t> readVarint(uint64_t end);
  void writeVarint(uint64_t value);
  Error copy(uint64_t from, uint64_t to);
  Error fail(uint64_t at, const Twine &what) const;

  ArrayRef<uint8_t> file;
  uint64_t pos = 0;
  uint64_t messages = 0;
  SmallVector<Frame, 8> frames;
  SlimModel slim;
};

Error Scanner::fail(uint64_t at, const Twine &what) const {
  std::string path = "model";
  for (const Frame &frame : ArrayRef(frames).drop_front()) {
    path += (Twine(".") + frame.name).str();
    if (frame.kind != Kind::Graph || StringRef(frame.name) != "graph")
      path += ("[" + Twine(frame.index) + "]").str();
  }
  return createStringError("byte " + Twine(at) + ", in " + path + ": " + what);
}

std::optional<uint64_t> Scanner::readVarint(uint64_t end) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 70 && pos < end; shift += 7) {
    uint8_t byte = file[pos++];
    if (shift == 63 && byte > 1)
      return std::nullopt;
    value |= uint64_t(byte & 0x7f) << shift;
    if (!(byte & 0x80))
      return value;
  }
  return std::nullopt;
}

void Scanner::writeVarint(uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    slim.bytes.push_back(static_cast<char>(value | 0x80));
  slim.bytes.push_back(static_cast<char>(value));
}

Error Scanner::copy(uint64_t from, uint64_t to) {
  if (to - from > kMaxSlimBytes ||
      slim.bytes.size() + (to - from) > kMaxSlimBytes)
    return fail(from, "the model has more than 256 MiB besides raw weights; "
                      "save its tensors as raw_data or external data");
  slim.bytes.append(reinterpret_cast<const char *>(file.data()) + from,
                    to - from);
  return Error::success();
}

Error Scanner::enter(const Child &child, uint64_t length) {
  if (frames.size() >= kMaxDepth)
    return fail(pos, "subgraphs are nested more than " + Twine(kMaxDepth) +
                         " messages deep");
  if (++messages > kMaxMessages)
    return fail(pos, "more than " + Twine(kMaxMessages) +
                         " nodes, attributes and tensors");
  Frame frame;
  frame.kind = child.kind;
  frame.name = child.name;
  frame.index = frames.back().childCount[child.field]++;
  frame.end = pos + length;
  writeVarint(uint64_t(child.field) << 3 | 2);
  frame.lengthPos = slim.bytes.size();
  slim.bytes.append(kLengthBytes, '\0');
  frames.push_back(frame);
  return Error::success();
}

void Scanner::leave() {
  size_t lengthPos = frames.back().lengthPos;
  uint64_t length = slim.bytes.size() - lengthPos - kLengthBytes;
  for (size_t i = 0; i != kLengthBytes; ++i, length >>= 7)
    slim.bytes[lengthPos + i] =
        static_cast<char>((length & 0x7f) | (i + 1 < kLengthBytes ? 0x80 : 0));
  frames.pop_back();
}

/// A length-delimited field: a message to enter, data to leave in the file, or
/// bytes to copy.
Error Scanner::scanDelimited(uint32_t field, uint64_t fieldStart) {
  Frame &frame = frames.back();
  std::optional<uint64_t> length = readVarint(frame.end);
  if (!length)
    return fail(fieldStart, "the length of field " + Twine(field) +
                                " is cut off or malformed");
  if (*length > frame.end - pos)
    return fail(fieldStart, "field " + Twine(field) + " is " + Twine(*length) +
                                " bytes long, but only " +
                                Twine(frame.end - pos) +
                                " are left: the file is truncated or is not an "
                                "ONNX model");
  if (const Child *child = findChild(frame.kind, field))
    return enter(*child, *length);
  uint64_t start = pos;
  pos += *length;
  if (frame.kind == Kind::Model && field == kTrainingInfoField)
    return Error::success();
  if (frame.kind == Kind::Tensor && *length > kInlineDataLimit) {
    if (std::optional<WireBlob::Field> dataField = getDataField(field)) {
      if (frame.hasBlob)
        return fail(fieldStart, "a tensor holds its data twice or in pieces; "
                                "save the model again with raw_data");
      frame.hasBlob = true;
      writeVarint(uint64_t(kBlobField) << 3);
      writeVarint(slim.blobs.size());
      slim.blobs.push_back({*dataField, start, *length});
      return Error::success();
    }
  }
  return copy(fieldStart, pos);
}

Error Scanner::scanField() {
  Frame &frame = frames.back();
  uint64_t start = pos;
  std::optional<uint64_t> tag = readVarint(frame.end);
  if (!tag || *tag > UINT32_MAX || *tag < 8)
    return fail(start, "expected the tag of a field: the file is truncated or "
                       "is not an ONNX model");
  auto field = static_cast<uint32_t>(*tag >> 3);
  uint64_t size = 0;
  switch (*tag & 7) {
  case 0:
    if (!readVarint(frame.end))
      return fail(start, "the value of field " + Twine(field) +
                             " is cut off or malformed");
    break;
  case 1:
    size = 8;
    break;
  case 2:
    return scanDelimited(field, start);
  case 5:
    size = 4;
    break;
  default:
    return fail(start, "field " + Twine(field) + " has the unknown wire type " +
                           Twine(*tag & 7) + ": the file is not an ONNX model");
  }
  if (size > frame.end - pos)
    return fail(start, "the value of field " + Twine(field) + " is cut off");
  pos += size;
  // A reference of ours can't come from outside.
  if (frame.kind == Kind::Tensor && field == kBlobField)
    return Error::success();
  return copy(start, pos);
}

Expected<SlimModel> Scanner::run() {
  frames.push_back(Frame{Kind::Model, "model", 0, file.size(), 0});
  while (true) {
    while (frames.size() > 1 && pos == frames.back().end)
      leave();
    if (pos == frames.back().end)
      break;
    if (Error error = scanField())
      return std::move(error);
  }
  return std::move(slim);
}

} // namespace

Expected<SlimModel> scanModel(ArrayRef<uint8_t> file) {
  return Scanner(file).run();
}

} // namespace nibble::format
