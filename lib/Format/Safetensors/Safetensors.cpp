//===- Safetensors.cpp - Named arrays in one file -------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/Safetensors/Safetensors.h"
#include "nibble/Runtime/Hash.h"
#include "nibble/Support/AtomicFile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace nibble;
using namespace nibble::format;
using llvm::StringRef;

namespace endian = llvm::support::endian;

/// Bytes of an element, 0 for a type that is not known.
static uint64_t getElementSize(StringRef dtype) {
  return llvm::StringSwitch<uint64_t>(dtype)
      .Cases({"F64", "I64", "U64"}, 8)
      .Cases({"F32", "I32", "U32"}, 4)
      .Cases({"F16", "BF16", "I16", "U16"}, 2)
      .Cases({"I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"}, 1)
      .Default(0);
}

uint64_t SafetensorsEntry::getBytes() const {
  uint64_t bytes = getElementSize(dtype);
  for (int64_t size : shape)
    bytes = llvm::SaturatingMultiply(bytes, static_cast<uint64_t>(size));
  return bytes;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

llvm::Expected<std::unique_ptr<SafetensorsFile>>
SafetensorsFile::open(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createStringError("can't read '" + path +
                                   "': " + buffer.getError().message());
  auto file = std::make_unique<SafetensorsFile>();
  file->buffer = std::move(*buffer);
  if (llvm::Error error = file->parse(path))
    return std::move(error);
  return std::move(file);
}

/// Reads what the header says of one array; false if it is malformed.
static bool readEntry(const llvm::json::Value &value, SafetensorsEntry &entry,
                      uint64_t &begin, uint64_t &end) {
  const llvm::json::Object *object = value.getAsObject();
  if (!object)
    return false;
  auto dtype = object->getString("dtype");
  const llvm::json::Array *shape = object->getArray("shape");
  const llvm::json::Array *offsets = object->getArray("data_offsets");
  if (!dtype || !getElementSize(*dtype) || !shape || !offsets ||
      offsets->size() != 2)
    return false;
  entry.dtype = dtype->str();
  for (const llvm::json::Value &size : *shape) {
    auto number = size.getAsInteger();
    if (!number || *number < 0)
      return false;
    entry.shape.push_back(*number);
  }
  auto first = (*offsets)[0].getAsUINT64(), last = (*offsets)[1].getAsUINT64();
  if (!first || !last || *last < *first || *last - *first != entry.getBytes())
    return false;
  begin = *first;
  end = *last;
  return true;
}

/// Whether brackets of a JSON text are nested deeper than `limit`. The parser
/// calls itself for each level, so that a text of brackets would end the stack.
static bool isNestedDeeper(StringRef text, unsigned limit) {
  unsigned depth = 0;
  bool isString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (isString) {
      i += c == '\\';
      isString = c != '"';
    } else if (c == '"') {
      isString = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limit)
        return true;
    } else if ((c == ']' || c == '}') && depth) {
      --depth;
    }
  }
  return false;
}

llvm::Error SafetensorsFile::parse(StringRef path) {
  auto fail = [&](const llvm::Twine &reason) {
    return llvm::createStringError("'" + path +
                                   "' is no safetensors file: " + reason);
  };
  StringRef data = buffer->getBuffer();
  if (data.size() < 8)
    return fail("it is cut off");
  uint64_t length = endian::read64le(data.data());
  if (length > data.size() - 8)
    return fail("it is cut off, or begins with something else");
  // An array's entry has three levels.
  if (isNestedDeeper(data.substr(8, length), 8))
    return fail("the brackets of its header are nested too deep");
  llvm::Expected<llvm::json::Value> header =
      llvm::json::parse(data.substr(8, length));
  if (!header)
    return fail("its header can't be read: " +
                llvm::toString(header.takeError()));
  const llvm::json::Object *arrays = header->getAsObject();
  if (!arrays)
    return fail("its header is no JSON object");
  uint64_t dataBytes = data.size() - 8 - length;
  for (const auto &[key, value] : *arrays) {
    if (key == "__metadata__") {
      if (const llvm::json::Object *pairs = value.getAsObject())
        for (const auto &[name, text] : *pairs)
          metadata[name.str()] = text.getAsString().value_or("").str();
      continue;
    }
    SafetensorsEntry entry;
    entry.name = key.str();
    uint64_t begin, end;
    if (!readEntry(value, entry, begin, end))
      return fail("its header says of '" + entry.name + "' what can't be");
    if (end > dataBytes)
      return fail("it is cut off before the end of '" + entry.name + "'");
    entries.push_back(std::move(entry));
    offsets.push_back(8 + length + begin);
  }
  return llvm::Error::success();
}

const SafetensorsEntry *SafetensorsFile::find(StringRef name) const {
  auto found = llvm::find_if(entries, [&](const SafetensorsEntry &entry) {
    return entry.name == name;
  });
  return found == entries.end() ? nullptr : &*found;
}

llvm::ArrayRef<char>
SafetensorsFile::getData(const SafetensorsEntry &entry) const {
  size_t index = &entry - entries.data();
  return {buffer->getBufferStart() + offsets[index], entry.getBytes()};
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static std::string
makeHeader(llvm::ArrayRef<SafetensorsEntry> entries,
           const std::map<std::string, std::string> &metadata) {
  std::string header;
  llvm::raw_string_ostream os(header);
  llvm::json::OStream json(os);
  json.objectBegin();
  if (!metadata.empty())
    json.attributeObject("__metadata__", [&] {
      for (const auto &[name, text] : metadata)
        json.attribute(name, text);
    });
  uint64_t offset = 0;
  for (const SafetensorsEntry &entry : entries)
    json.attributeObject(entry.name, [&] {
      json.attribute("dtype", entry.dtype);
      json.attributeArray("shape", [&] {
        for (int64_t size : entry.shape)
          json.value(size);
      });
      json.attributeArray("data_offsets", [&] {
        json.value(offset);
        json.value(offset + entry.getBytes());
      });
      offset += entry.getBytes();
    });
  json.objectEnd();
  // Data then begins at a multiple of 64 bytes, whatever its elements are.
  header.resize(llvm::alignTo(header.size() + 8, 64) - 8, ' ');
  return header;
}

llvm::Expected<SafetensorsSummary> nibble::format::writeSafetensors(
    AtomicFile &file, llvm::ArrayRef<SafetensorsEntry> entries,
    const std::map<std::string, std::string> &metadata, SafetensorsFill fill) {
  SafetensorsSummary summary;
  NibbleHash hash;
  nibbleHashBegin(&hash);
  auto write = [&](llvm::ArrayRef<char> data) {
    file.os().write(data.data(), data.size());
    nibbleHashAdd(&hash, data.data(), data.size());
    summary.bytes += data.size();
  };
  std::string header = makeHeader(entries, metadata);
  char length[8];
  endian::write64le(length, header.size());
  write(length);
  write(llvm::ArrayRef(header.data(), header.size()));
  for (size_t i = 0; i != entries.size(); ++i)
    fill(i, write);
  summary.checksum = nibbleHashEnd(&hash);
  if (llvm::Error error = file.finish())
    return std::move(error);
  return summary;
}

llvm::Expected<SafetensorsSummary> nibble::format::writeSafetensors(
    StringRef path, llvm::ArrayRef<SafetensorsEntry> entries,
    const std::map<std::string, std::string> &metadata, SafetensorsFill fill) {
  llvm::Expected<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return file.takeError();
  auto summary = writeSafetensors(*file, entries, metadata, fill);
  if (!summary)
    return summary.takeError();
  if (llvm::Error error = file->commit())
    return std::move(error);
  return *summary;
}
