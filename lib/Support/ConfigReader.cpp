//===- ConfigReader.cpp - YAML to rules -----------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConfigMatcher.h"
#include "nibble/Quantizer/MethodChain.h"
#include "nibble/Quantizer/SchemeName.h"
#include "nibble/Support/Suggest.h"
#include "nibble/Support/YAMLReader.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace nibble;
using llvm::StringRef;
namespace yaml = llvm::yaml;

class QuantizationConfig::Reader : YAMLReader {
public:
  Reader(StringRef text, StringRef fileName) : YAMLReader(text, fileName) {
    config.fileName = fileName.str();
  }

  llvm::Expected<QuantizationConfig> read();

private:
  bool readRoot(yaml::Node *root);
  bool readRules(yaml::Node *node);
  bool readRule(yaml::Node *node);
  bool readDefaults(const Entry &entry);
  /// Sets `handled` to false if the key is not that of an option.
  bool readOption(const Entry &entry, LayerOptions &options, bool &handled);
  bool readMethod(const Entry &entry, LayerOptions &options);
  bool readGroupSize(const Entry &entry, LayerOptions &options);
  bool readSymmetry(const Entry &entry, LayerOptions &options);
  bool readThreshold(const Entry &entry, LayerOptions &options);
  bool readMethodOption(const Entry &entry, LayerOptions &options,
                        bool &handled);
  bool checkMethodOptions(yaml::Node *node, const LayerOptions &options);

  bool readList(const Entry &entry, std::vector<std::string> &values,
                llvm::function_ref<llvm::Error(StringRef)> check);
  template <typename T>
  bool readChoice(const Entry &entry, std::optional<T> &value,
                  std::optional<T> (*symbolize)(StringRef),
                  llvm::ArrayRef<StringRef> choices);

  QuantizationConfig config;
};

static constexpr StringRef optionKeys[] = {
    "scheme",      "skip",       "method",
    "group-size",  "symmetric",  "asymmetric",
    "scale-type",  "scale-rule", "outlier-threshold",
    "double-quant"};

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

bool QuantizationConfig::Reader::readMethod(const Entry &entry,
                                            LayerOptions &options) {
  std::vector<std::string> names;
  if (!readList(entry, names, [](StringRef) -> llvm::Error {
        return llvm::Error::success();
      }))
    return false;
  // "awq,gptq", as on the command line, is two names.
  auto chain = quantizer::MethodChain::parse(llvm::join(names, ","));
  if (!chain)
    return fail(entry.value, llvm::toString(chain.takeError()));
  if (llvm::Error unknown = chain->verify())
    return fail(entry.value, llvm::toString(std::move(unknown)));
  options.method = chain->method;
  options.prepare = chain->prepare;
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

bool QuantizationConfig::Reader::readThreshold(const Entry &entry,
                                               LayerOptions &options) {
  std::string text;
  if (!readString(entry.value, "'outlier-threshold'", text))
    return false;
  llvm::Expected<float> value = quantizer::parseOutlierThreshold(text);
  if (!value)
    return fail(entry.value,
                "'outlier-threshold' is " + llvm::toString(value.takeError()));
  options.outlierThreshold = *value;
  return true;
}

/// What a rule can set, with the options of all methods.
static llvm::SmallVector<StringRef> getOptionKeys() {
  llvm::SmallVector<StringRef> keys(std::begin(optionKeys),
                                    std::end(optionKeys));
  for (const quantizer::Method *method : quantizer::getMethods())
    llvm::append_range(keys, method->options);
  return keys;
}

bool QuantizationConfig::Reader::readMethodOption(const Entry &entry,
                                                  LayerOptions &options,
                                                  bool &handled) {
  for (const quantizer::Method *method : quantizer::getMethods()) {
    if (!llvm::is_contained(method->options, entry.key))
      continue;
    handled = true;
    std::string value;
    if (!readString(entry.value, "'" + entry.key + "'", value))
      return false;
    if (llvm::Error invalid = method->checkOption(entry.key, value))
      return fail(entry.value, llvm::toString(std::move(invalid)));
    quantizer::setMethodOption(options.methodOptions, entry.key, value);
    return true;
  }
  return true;
}

/// A rule that names a method sets options of it only.
bool QuantizationConfig::Reader::checkMethodOptions(
    yaml::Node *node, const LayerOptions &options) {
  if (!options.method)
    return true;
  const quantizer::Method *method = quantizer::lookupMethod(*options.method);
  for (const auto &option : options.methodOptions)
    if (!llvm::is_contained(method->options, option.first))
      return fail(node, "'" + option.first + "' is no option of method '" +
                            method->name + "'");
  return true;
}

bool QuantizationConfig::Reader::readOption(const Entry &entry,
                                            LayerOptions &options,
                                            bool &handled) {
  StringRef key = entry.key;
  // As bitsandbytes' users write it.
  if (key == "double_quant")
    key = "double-quant";
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
  if (key == "outlier-threshold")
    return readThreshold(entry, options);
  if (key == "double-quant") {
    bool value;
    if (!readBool(entry, value))
      return false;
    options.doubleQuant = value;
    return true;
  }
  if (key == "scale-type")
    return readChoice(entry, options.scaleType, quantizer::symbolizeScaleType,
                      {"f16", "bf16", "f32"});
  if (key == "scale-rule")
    return readChoice(entry, options.scaleRule, quantizer::symbolizeScaleRule,
                      {"absmax", "mse", "signed-max", "full-range"});
  return handled || readMethodOption(entry, options, handled);
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

bool QuantizationConfig::Reader::readDefaults(const Entry &entry) {
  config.defaultsLine = getLine(entry.keyNode);
  auto readEntry = [&](const Entry &option) {
    bool handled;
    return readOption(option, config.defaults, handled) &&
           (handled || failUnknown(option, getOptionKeys()));
  };
  return readMapping(entry.value, "'default'", "options such as scheme: W4A16",
                     readEntry) &&
         checkMethodOptions(entry.keyNode, config.defaults);
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
    known.append(getOptionKeys());
    return handled || failUnknown(entry, known);
  };
  if (!readMapping(node, "a rule", "layers, regex or operator, and options",
                   readEntry) ||
      !checkMethodOptions(node, rule.options))
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
  if (llvm::Error failure = readDocument(
          "configuration", [&](yaml::Node *root) { return readRoot(root); }))
    return std::move(failure);
  return std::move(config);
}

llvm::Expected<QuantizationConfig>
QuantizationConfig::parse(StringRef text, StringRef fileName) {
  if (llvm::Error failure = checkUTF8(text, fileName))
    return std::move(failure);
  return Reader(text, fileName).read();
}
