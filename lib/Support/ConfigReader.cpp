//===- ConfigReader.cpp - YAML to rules -----------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConfigMatcher.h"
#include "nibble/Quantizer/Method.h"
#include "nibble/Quantizer/SchemeName.h"
#include "nibble/Support/Suggest.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/YAMLParser.h"

using namespace nibble;
using llvm::StringRef;
namespace yaml = llvm::yaml;

/// Walks the tree that LLVM's parser yields. The tree is a stream: every node
/// is visited once, in order, and the first error ends the walk.
class QuantizationConfig::Reader {
public:
  Reader(StringRef text, StringRef fileName)
      : text(text), stream(llvm::MemoryBufferRef(text, fileName), sources,
                           /*ShowColors=*/false) {
    config.fileName = fileName.str();
    sources.setDiagHandler(
        [](const llvm::SMDiagnostic &diagnostic, void *reader) {
          static_cast<Reader *>(reader)->addError(diagnostic);
        },
        this);
  }

  llvm::Expected<QuantizationConfig> read();

private:
  /// One entry of a mapping.
  struct Entry {
    std::string key;
    yaml::Node *keyNode;
    yaml::Node *value;
  };

  bool readRoot(yaml::Node *root);
  bool readRules(yaml::Node *node);
  bool readRule(yaml::Node *node);
  bool readDefaults(const Entry &entry);
  /// Sets `handled` to false if the key is not that of an option.
  bool readOption(const Entry &entry, LayerOptions &options, bool &handled);
  bool readMethod(const Entry &entry, LayerOptions &options);
  bool readGroupSize(const Entry &entry, LayerOptions &options);
  bool readSymmetry(const Entry &entry, LayerOptions &options);

  bool readMapping(yaml::Node *node, StringRef what, StringRef keys,
                   llvm::function_ref<bool(const Entry &)> body);
  bool readList(const Entry &entry, std::vector<std::string> &values,
                llvm::function_ref<llvm::Error(StringRef)> check);
  bool readString(yaml::Node *node, StringRef what, std::string &value);
  bool readBool(const Entry &entry, bool &value);
  template <typename T>
  bool readChoice(const Entry &entry, std::optional<T> &value,
                  std::optional<T> (*symbolize)(StringRef),
                  llvm::ArrayRef<StringRef> choices);
  bool failUnknown(const Entry &entry, llvm::ArrayRef<StringRef> known);

  /// Reports an error at a node; false.
  bool fail(yaml::Node *node, const llvm::Twine &message) {
    if (error.empty() && isPlaced(node))
      stream.printError(node, message);
    else if (error.empty())
      error = (config.fileName + ":1:1: " + message).str();
    return false;
  }
  void addError(const llvm::SMDiagnostic &diagnostic) {
    if (!error.empty())
      return;
    llvm::raw_string_ostream os(error);
    os << config.fileName << ':' << diagnostic.getLineNo() << ':'
       << diagnostic.getColumnNo() + 1 << ": " << diagnostic.getMessage();
  }
  /// Whether a node is somewhere in the text: one that the parser made up after
  /// an error of its own is not.
  bool isPlaced(yaml::Node *node) const {
    const char *start =
        node ? node->getSourceRange().Start.getPointer() : nullptr;
    return start >= text.begin() && start <= text.end();
  }
  unsigned getLine(yaml::Node *node) {
    if (!isPlaced(node))
      return 0;
    return sources.getLineAndColumn(node->getSourceRange().Start).first;
  }

  StringRef text;
  llvm::SourceMgr sources;
  yaml::Stream stream;
  std::string error;
  /// The key whose value is being read.
  yaml::Node *parent = nullptr;
  QuantizationConfig config;
};

static constexpr StringRef optionKeys[] = {
    "scheme",    "skip",       "method",     "group-size",
    "symmetric", "asymmetric", "scale-type", "scale-rule"};

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

bool QuantizationConfig::Reader::readString(yaml::Node *node, StringRef what,
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

bool QuantizationConfig::Reader::readBool(const Entry &entry, bool &value) {
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

template <typename T>
bool QuantizationConfig::Reader::readChoice(
    const Entry &entry, std::optional<T> &value,
    std::optional<T> (*symbolize)(StringRef),
    llvm::ArrayRef<StringRef> choices) {
  std::string text;
  if (!readString(entry.value, "'" + entry.key + "'", text))
    return false;
  value = symbolize(text);
  return value ||
         fail(entry.value,
              "unknown " + entry.key + " '" + text + "': expected one of " +
                  llvm::join(choices, ", ") + suggestNearest(text, choices));
}

bool QuantizationConfig::Reader::readList(
    const Entry &entry, std::vector<std::string> &values,
    llvm::function_ref<llvm::Error(StringRef)> check) {
  auto readOne = [&](yaml::Node *node) {
    std::string text;
    if (!readString(node, "'" + entry.key + "'", text))
      return false;
    if (llvm::Error invalid = check(text))
      return fail(node, llvm::toString(std::move(invalid)));
    values.push_back(std::move(text));
    return true;
  };
  auto *list = llvm::dyn_cast_or_null<yaml::SequenceNode>(entry.value);
  if (!list)
    return readOne(entry.value);
  for (yaml::Node &node : *list)
    if (!readOne(&node))
      return false;
  if (stream.failed())
    return false;
  return !values.empty() ||
         fail(entry.keyNode, "'" + entry.key + "' is an empty list");
}

bool QuantizationConfig::Reader::readMapping(
    yaml::Node *node, StringRef what, StringRef keys,
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

bool QuantizationConfig::Reader::failUnknown(const Entry &entry,
                                             llvm::ArrayRef<StringRef> known) {
  return fail(entry.keyNode,
              "unknown key '" + entry.key + "': expected one of " +
                  llvm::join(known, ", ") + suggestNearest(entry.key, known));
}

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

bool QuantizationConfig::Reader::readMethod(const Entry &entry,
                                            LayerOptions &options) {
  std::string name;
  if (!readString(entry.value, "'method'", name))
    return false;
  if (!quantizer::lookupMethod(name)) {
    llvm::SmallVector<StringRef> names;
    for (const quantizer::Method *method : quantizer::getMethods())
      names.push_back(method->name);
    return fail(entry.value, "unknown method '" + name + "': expected one of " +
                                 llvm::join(names, ", ") +
                                 suggestNearest(name, names));
  }
  options.method = name;
  return true;
}

bool QuantizationConfig::Reader::readGroupSize(const Entry &entry,
                                               LayerOptions &options) {
  std::string text;
  if (!readString(entry.value, "'group-size'", text))
    return false;
  int64_t size;
  if (StringRef(text).getAsInteger(10, size) || (size < 1 && size != -1))
    return fail(entry.value, "'group-size' is '" + text +
                                 "': expected a number of weights, or -1 for "
                                 "one group per output channel");
  options.groupSize = size;
  return true;
}

bool QuantizationConfig::Reader::readSymmetry(const Entry &entry,
                                              LayerOptions &options) {
  bool value;
  if (!readBool(entry, value))
    return false;
  bool symmetric = value == (entry.key == "symmetric");
  if (options.symmetric && *options.symmetric != symmetric)
    return fail(entry.keyNode, "'symmetric' and 'asymmetric' contradict each "
                               "other: keep one");
  options.symmetric = symmetric;
  return true;
}

bool QuantizationConfig::Reader::readOption(const Entry &entry,
                                            LayerOptions &options,
                                            bool &handled) {
  StringRef key = entry.key;
  handled = llvm::is_contained(optionKeys, key);
  if (key == "scheme" || key == "skip") {
    std::string scheme = "none";
    if (key == "scheme") {
      if (!readString(entry.value, "'scheme'", scheme))
        return false;
      llvm::Expected<quantizer::SchemeName> known =
          quantizer::parseSchemeName(scheme);
      if (!known)
        return fail(entry.value, llvm::toString(known.takeError()));
    } else {
      bool skip;
      if (!readBool(entry, skip))
        return false;
      if (!skip)
        return true;
    }
    if (options.scheme)
      return fail(entry.keyNode, "'skip' and 'scheme' contradict each other: "
                                 "keep one");
    options.scheme = scheme;
    return true;
  }
  if (key == "method")
    return readMethod(entry, options);
  if (key == "group-size")
    return readGroupSize(entry, options);
  if (key == "symmetric" || key == "asymmetric")
    return readSymmetry(entry, options);
  if (key == "scale-type")
    return readChoice(entry, options.scaleType, quantizer::symbolizeScaleType,
                      {"f16", "bf16", "f32"});
  if (key == "scale-rule")
    return readChoice(entry, options.scaleRule, quantizer::symbolizeScaleRule,
                      {"absmax", "mse", "signed-max"});
  return true;
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

bool QuantizationConfig::Reader::readDefaults(const Entry &entry) {
  config.defaultsLine = getLine(entry.keyNode);
  return readMapping(entry.value, "'default'", "options such as scheme: W4A16",
                     [&](const Entry &option) {
                       bool handled;
                       return readOption(option, config.defaults, handled) &&
                              (handled || failUnknown(option, optionKeys));
                     });
}

bool QuantizationConfig::Reader::readRule(yaml::Node *node) {
  ConfigRule rule;
  rule.line = getLine(node);
  // Selectors are compiled here too, while their place is known.
  Matcher probe;
  auto readEntry = [&](const Entry &entry) {
    if (entry.key == "layers")
      return readList(entry, rule.layers,
                      [&](StringRef text) { return probe.addGlob(text); });
    if (entry.key == "regex")
      return readList(entry, rule.regexes,
                      [&](StringRef text) { return probe.addRegex(text); });
    if (entry.key == "operator")
      return readList(entry, rule.operators, [](StringRef) -> llvm::Error {
        return llvm::Error::success();
      });
    bool handled;
    if (!readOption(entry, rule.options, handled))
      return false;
    llvm::SmallVector<StringRef> known = {"layers", "regex", "operator"};
    known.append(std::begin(optionKeys), std::end(optionKeys));
    return handled || failUnknown(entry, known);
  };
  if (!readMapping(node, "a rule", "layers, regex or operator, and options",
                   readEntry))
    return false;
  if (rule.layers.empty() && rule.regexes.empty() && rule.operators.empty())
    return fail(node, "the rule selects nothing: add layers, regex or "
                      "operator, or move its options to 'default'");
  if (llvm::Error invalid = config.addRule(std::move(rule)))
    return fail(node, llvm::toString(std::move(invalid)));
  return true;
}

bool QuantizationConfig::Reader::readRules(yaml::Node *node) {
  auto *list = llvm::dyn_cast_or_null<yaml::SequenceNode>(node);
  if (stream.failed())
    return false;
  if (!list)
    return fail(node, "'rules' is not a list: write one '- ' per rule");
  for (yaml::Node &rule : *list) {
    // An empty item has no place of its own.
    if (llvm::isa<yaml::NullNode>(rule))
      return fail(list,
                  "rule " + llvm::Twine(config.rules.size() + 1) + " is empty");
    if (!readRule(&rule))
      return false;
  }
  return !stream.failed();
}

bool QuantizationConfig::Reader::readRoot(yaml::Node *root) {
  return readMapping(
      root, "the configuration", "version, default and rules",
      [&](const Entry &entry) {
        if (entry.key == "rules")
          return readRules(entry.value);
        if (entry.key == "default")
          return readDefaults(entry);
        if (entry.key != "version")
          return failUnknown(entry, {"version", "default", "rules"});
        std::string version;
        if (!readString(entry.value, "'version'", version))
          return false;
        return version == "1" ||
               fail(entry.value, "version '" + version +
                                     "' is not known to this build: expected "
                                     "1");
      });
}

llvm::Expected<QuantizationConfig> QuantizationConfig::Reader::read() {
  auto document = stream.begin();
  yaml::Node *root = nullptr;
  if (document != stream.end())
    root = document->getRoot();
  bool success = root && !llvm::isa<yaml::NullNode>(root) && readRoot(root);
  if (success && ++document != stream.end())
    success = fail(document->getRoot(), "a configuration is one document");
  success &= !stream.failed();
  if (success)
    return std::move(config);
  if (error.empty())
    error = config.fileName + ":1:1: the configuration is empty";
  return llvm::createStringError(error);
}

llvm::Expected<QuantizationConfig>
QuantizationConfig::parse(StringRef text, StringRef fileName) {
  // LLVM's parser looks at the characters of some scalars only.
  const auto *bytes = reinterpret_cast<const llvm::UTF8 *>(text.begin());
  const auto *end = reinterpret_cast<const llvm::UTF8 *>(text.end());
  if (const llvm::UTF8 *bad = bytes; !llvm::isLegalUTF8String(&bad, end)) {
    StringRef before = text.take_front(bad - bytes);
    size_t line = before.count('\n') + 1;
    size_t column = before.size() - (before.rfind('\n') + 1) + 1;
    return llvm::createStringError(
        fileName + ":" + llvm::Twine(line) + ":" + llvm::Twine(column) +
        ": byte 0x" + llvm::utohexstr(*bad) +
        " is not UTF-8: save the file in that encoding");
  }
  return Reader(text, fileName).read();
}
