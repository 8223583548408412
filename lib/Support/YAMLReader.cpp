//===- YAMLReader.cpp - YAML files with located errors --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/YAMLReader.h"
#include "nibble/Support/Suggest.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"

using namespace nibble;
using llvm::StringRef;
namespace yaml = llvm::yaml;

YAMLReader::YAMLReader(StringRef text, StringRef fileName)
    : text(text), fileName(fileName),
      stream(llvm::MemoryBufferRef(text, fileName), sources,
             /*ShowColors=*/false) {
  sources.setDiagHandler(
      [](const llvm::SMDiagnostic &diagnostic, void *reader) {
        static_cast<YAMLReader *>(reader)->addError(diagnostic);
      },
      this);
}

bool YAMLReader::fail(yaml::Node *node, const llvm::Twine &message) {
  if (error.empty() && isPlaced(node))
    stream.printError(node, message);
  else if (error.empty())
    error = (fileName + ":1:1: " + message).str();
  return false;
}

void YAMLReader::addError(const llvm::SMDiagnostic &diagnostic) {
  if (!error.empty())
    return;
  llvm::raw_string_ostream os(error);
  os << fileName << ':' << diagnostic.getLineNo() << ':'
     << diagnostic.getColumnNo() + 1 << ": " << diagnostic.getMessage();
}

bool YAMLReader::isPlaced(yaml::Node *node) const {
  const char *start =
      node ? node->getSourceRange().Start.getPointer() : nullptr;
  return start >= text.begin() && start <= text.end();
}

unsigned YAMLReader::getLine(yaml::Node *node) {
  if (!isPlaced(node))
    return 0;
  return sources.getLineAndColumn(node->getSourceRange().Start).first;
}

bool YAMLReader::readString(yaml::Node *node, StringRef what,
                            std::string &value) {
  if (auto *scalar = llvm::dyn_cast_or_null<yaml::ScalarNode>(node)) {
    llvm::SmallString<64> storage;
    value = scalar->getValue(storage).str();
    if (!value.empty())
      return error.empty();
  }
  if (!node || stream.failed())
    return fail(node, what + " has no value");
  // An empty value has no place of its own.
  if (llvm::isa<yaml::NullNode>(node))
    return fail(parent, what + " has no value");
  if (llvm::isa<yaml::AliasNode>(node))
    return fail(node, "aliases are not supported: write the value out");
  return fail(node, what + " is not a single value");
}

bool YAMLReader::readBool(const Entry &entry, bool &value) {
  std::string text;
  if (!readString(entry.value, "'" + entry.key + "'", text))
    return false;
  std::optional<bool> parsed = yaml::parseBool(text);
  if (!parsed)
    return fail(entry.value, "'" + entry.key + "' is '" + text +
                                 "': expected true or false");
  value = *parsed;
  return true;
}

bool YAMLReader::readMapping(yaml::Node *node, StringRef what, StringRef keys,
                             llvm::function_ref<bool(const Entry &)> body) {
  auto *mapping = llvm::dyn_cast_or_null<yaml::MappingNode>(node);
  if (stream.failed())
    return false;
  if (!mapping)
    return fail(node, what + " is not a mapping: expected " + keys);
  std::vector<std::string> seen;
  for (yaml::KeyValueNode &pair : *mapping) {
    Entry entry;
    parent = mapping;
    entry.keyNode = pair.getKey();
    if (!entry.keyNode || !readString(entry.keyNode, "a key", entry.key))
      return false;
    if (llvm::is_contained(seen, entry.key))
      return fail(entry.keyNode, "'" + entry.key + "' is there twice");
    seen.push_back(entry.key);
    parent = entry.keyNode;
    entry.value = pair.getValue();
    if (!entry.value || stream.failed())
      return fail(entry.keyNode, "'" + entry.key + "' has no value");
    if (llvm::isa<yaml::NullNode>(entry.value))
      return fail(entry.keyNode, "'" + entry.key + "' has no value");
    if (!body(entry) || stream.failed())
      return false;
  }
  return !stream.failed();
}

bool YAMLReader::failUnknown(const Entry &entry,
                             llvm::ArrayRef<StringRef> known) {
  return fail(entry.keyNode,
              "unknown key '" + entry.key + "': expected one of " +
                  llvm::join(known, ", ") + suggestNearest(entry.key, known));
}

llvm::Error
YAMLReader::readDocument(StringRef what,
                         llvm::function_ref<bool(yaml::Node *)> body) {
  auto document = stream.begin();
  yaml::Node *root = nullptr;
  if (document != stream.end())
    root = document->getRoot();
  bool success = root && !llvm::isa<yaml::NullNode>(root) && body(root);
  if (success && ++document != stream.end())
    success = fail(document->getRoot(), "a " + what + " is one document");
  success &= !stream.failed();
  if (success)
    return llvm::Error::success();
  if (error.empty())
    error = fileName + ":1:1: the " + what.str() + " is empty";
  return llvm::createStringError(error);
}

llvm::Error nibble::checkUTF8(StringRef text, StringRef fileName) {
  const auto *bytes = reinterpret_cast<const llvm::UTF8 *>(text.begin());
  const auto *end = reinterpret_cast<const llvm::UTF8 *>(text.end());
  const llvm::UTF8 *bad = bytes;
  if (llvm::isLegalUTF8String(&bad, end))
    return llvm::Error::success();
  StringRef before = text.take_front(bad - bytes);
  size_t line = before.count('\n') + 1;
  size_t column = before.size() - (before.rfind('\n') + 1) + 1;
  return llvm::createStringError(
      fileName + ":" + llvm::Twine(line) + ":" + llvm::Twine(column) +
      ": byte 0x" + llvm::utohexstr(*bad) +
      " is not UTF-8: save the file in that encoding");
}
