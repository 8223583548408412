//===- WireMutator.cpp - Mutations that keep protobuf readable ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WireMutator.h"
#include "llvm/ADT/StringRef.h"
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace nibble::fuzz {
namespace {

/// One field: a varint, fixed bytes, data, or a message of fields.
struct Field {
  uint64_t tag = 0;
  uint64_t number = 0;
  std::string bytes;
  std::vector<Field> children;
  bool isMessage = false;

  unsigned getWireType() const { return tag & 7; }
};

constexpr unsigned kMaxDepth = 12;

bool readVarint(llvm::StringRef &text, uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !text.empty(); shift += 7) {
    auto byte = static_cast<uint8_t>(text.front());
    text = text.drop_front();
    value |= uint64_t(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

void writeVarint(uint64_t value, std::string &to) {
  for (; value >= 0x80; value >>= 7)
    to.push_back(static_cast<char>(value | 0x80));
  to.push_back(static_cast<char>(value));
}

bool readMessage(llvm::StringRef text, unsigned depth,
                 std::vector<Field> &fields) {
  while (!text.empty()) {
    Field field;
    if (!readVarint(text, field.tag) || field.tag < 8)
      return false;
    size_t size = 0;
    switch (field.getWireType()) {
    case 0:
      if (!readVarint(text, field.number))
        return false;
      break;
    case 1:
      size = 8;
      break;
    case 2: {
      uint64_t length;
      if (!readVarint(text, length) || length > text.size())
        return false;
      size = length;
      break;
    }
    case 5:
      size = 4;
      break;
    default:
      return false;
    }
    if (size > text.size())
      return false;
    field.bytes = text.take_front(size).str();
    text = text.drop_front(size);
    if (field.getWireType() == 2 && size > 1 && depth < kMaxDepth)
      field.isMessage = readMessage(field.bytes, depth + 1, field.children);
    if (!field.isMessage)
      field.children.clear();
    fields.push_back(std::move(field));
  }
  return true;
}

std::string writeMessage(const std::vector<Field> &fields) {
  std::string text;
  for (const Field &field : fields) {
    writeVarint(field.tag, text);
    if (field.getWireType() == 0) {
      writeVarint(field.number, text);
      continue;
    }
    std::string bytes =
        field.isMessage ? writeMessage(field.children) : field.bytes;
    if (field.getWireType() == 2)
      writeVarint(bytes.size(), text);
    text += bytes;
  }
  return text;
}

class Mutation {
public:
  explicit Mutation(unsigned seed) : random(seed) {}

  void apply(std::vector<Field> &root) {
    collect(root);
    if (places.empty())
      return;
    Place place = pick();
    Field &field = (*place.list)[place.index];
    switch (random() % 8) {
    case 0:
      place.list->erase(place.list->begin() + place.index);
      return;
    case 1: {
      Field copy = field;
      place.list->insert(place.list->begin() +
                             random() % (place.list->size() + 1),
                         std::move(copy));
      return;
    }
    case 2:
    case 3: { // The value of another field of this number.
      for (unsigned attempt = 0; attempt != 20; ++attempt) {
        Place other = pick();
        Field &from = (*other.list)[other.index];
        if (&from == &field || from.tag != field.tag)
          continue;
        Field copy = from;
        field = std::move(copy);
        return;
      }
      break;
    }
    default:
      break;
    }
    change(field);
  }

private:
  struct Place {
    std::vector<Field> *list;
    size_t index;
  };

  void collect(std::vector<Field> &fields) {
    for (size_t i = 0; i != fields.size(); ++i) {
      places.push_back({&fields, i});
      collect(fields[i].children);
    }
  }
  Place pick() { return places[random() % places.size()]; }

  void change(Field &field) {
    if (field.getWireType() == 0) {
      field.number = number(field.number);
      return;
    }
    std::string bytes =
        field.isMessage ? writeMessage(field.children) : field.bytes;
    size_t size = bytes.size();
    bool fixed = field.getWireType() != 2;
    bytes.resize(fixed ? size : size + 16);
    size = mutateBytes(reinterpret_cast<uint8_t *>(bytes.data()), size,
                       bytes.size());
    if (!fixed)
      bytes.resize(size);
    field.bytes = std::move(bytes);
    field.isMessage = false;
  }

  uint64_t number(uint64_t old) {
    switch (random() % 6) {
    case 0:
      return random() % 30;
    case 1:
      return old + 1;
    case 2:
      return old - 1;
    case 3:
      return uint64_t(1) << (random() % 64);
    case 4:
      return -static_cast<uint64_t>(random() % 10);
    default:
      return old ^ (uint64_t(1) << (random() % 64));
    }
  }

  std::minstd_rand random;
  std::vector<Place> places;
};

} // namespace

size_t mutateBytes(uint8_t *data, size_t size, size_t maxSize) {
  return maxSize == 0 ? size : LLVMFuzzerMutate(data, size, maxSize);
}

size_t mutateWire(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  std::vector<Field> fields;
  llvm::StringRef text(reinterpret_cast<char *>(data), size);
  if (seed % 8 == 0 || !readMessage(text, 0, fields) || fields.empty())
    return mutateBytes(data, size, maxSize);
  for (unsigned i = 0, e = 1 + seed % 3; i != e; ++i)
    Mutation(seed + i).apply(fields);
  std::string result = writeMessage(fields);
  if (result.size() > maxSize)
    return mutateBytes(data, size, maxSize);
  std::memcpy(data, result.data(), result.size());
  return result.size();
}

} // namespace nibble::fuzz
