//===- YAMLReader.h - YAML files with located errors ------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_YAMLREADER_H
#define NIBBLE_SUPPORT_YAMLREADER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/YAMLParser.h"
#include <string>

namespace nibble {

/// Walks the tree that LLVM's parser yields. The tree is a stream: every node
/// is visited once, in order, and the first error ends the walk. What reads a
/// value returns false after an error.
class YAMLReader {
public:
  YAMLReader(const YAMLReader &) = delete;
  YAMLReader &operator=(const YAMLReader &) = delete;

protected:
  /// One entry of a mapping.
  struct Entry {
    std::string key;
    llvm::yaml::Node *keyNode;
    llvm::yaml::Node *value;
  };

  /// `text` must live as long as the reader; `fileName` is for messages.
  YAMLReader(llvm::StringRef text, llvm::StringRef fileName);

  /// Reads the one document of the text by `body`; `what` is "configuration".
  llvm::Error readDocument(llvm::StringRef what,
                           llvm::function_ref<bool(llvm::yaml::Node *)> body);

  bool readMapping(llvm::yaml::Node *node, llvm::StringRef what,
                   llvm::StringRef keys,
                   llvm::function_ref<bool(const Entry &)> body);
  bool readString(llvm::yaml::Node *node, llvm::StringRef what,
                  std::string &value);
  bool readBool(const Entry &entry, bool &value);
  bool failUnknown(const Entry &entry, llvm::ArrayRef<llvm::StringRef> known);

  /// Reports an error at a node; false.
  bool fail(llvm::yaml::Node *node, const llvm::Twine &message);
  /// Line of a node, 0 if it has none.
  unsigned getLine(llvm::yaml::Node *node);

  llvm::StringRef text;
  std::string fileName;
  llvm::SourceMgr sources;
  llvm::yaml::Stream stream;
  std::string error;
  /// The key whose value is being read.
  llvm::yaml::Node *parent = nullptr;

private:
  void addError(const llvm::SMDiagnostic &diagnostic);
  /// Whether a node is somewhere in the text: one that the parser made up after
  /// an error of its own is not.
  bool isPlaced(llvm::yaml::Node *node) const;
};

/// An error that says where a text is not UTF-8; LLVM's parser looks at the
/// characters of some scalars only.
llvm::Error checkUTF8(llvm::StringRef text, llvm::StringRef fileName);

} // namespace nibble

#endif // NIBBLE_SUPPORT_YAMLREADER_H
