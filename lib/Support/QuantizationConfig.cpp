//===- QuantizationConfig.cpp - Which layer becomes what ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/QuantizationConfig.h"
#include "ConfigMatcher.h"
#include "nibble/Quantizer/GGUF.h"
#include "nibble/Quantizer/SchemeName.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/YAMLParser.h"

using namespace nibble;
using llvm::StringRef;

quantizer::QuantizationScheme LayerChoice::getScheme() const {
  assert(isQuantized() && !isOpen() && "there is no scheme yet");
  if (auto type = quantizer::symbolizeGGUFType(scheme))
    return quantizer::getGGUFScheme(*type);
  quantizer::QuantizationScheme result;
  auto name = llvm::cantFail(quantizer::parseSchemeName(scheme));
  bool isTable = name.codebook != quantizer::Codebook::Int;
  result.codebook = name.codebook;
  result.bits = name.bits;
  result.group = groupSize.value_or(isTable ? 64 : 128);
  result.symmetric = symmetric;
  result.scaleType = scaleType.value_or(isTable ? quantizer::ScaleType::F32
                                                : quantizer::ScaleType::F16);
  if (doubleQuant) {
    // The type of scales that are not stored says nothing.
    result.second = quantizer::SecondLevel();
    result.scaleType = quantizer::ScaleType::F32;
  }
  const quantizer::Method *known = quantizer::lookupMethod(method);
  if (known && known->hasFloatZeros) {
    result.symmetric = false;
    result.zero = quantizer::ZeroKind::Float;
  }
  if (name.dynamicActivations) {
    result.dynamicActivations = true;
    result.group = -1;
    result.symmetric = true;
    result.scaleType = quantizer::ScaleType::F32;
    result.second.reset();
  }
  if (name.outliers)
    result.outlierThreshold = outlierThreshold;
  result.scaleRule = scaleRule.value_or(quantizer::getDefaultScaleRule(result));
  return result;
}

void LayerOptions::applyTo(LayerChoice &choice) const {
  if (scheme)
    choice.scheme = *scheme;
  if (method) {
    choice.method = *method;
    choice.prepare = prepare;
  }
  if (groupSize)
    choice.groupSize = *groupSize;
  if (symmetric)
    choice.symmetric = *symmetric;
  if (scaleType)
    choice.scaleType = *scaleType;
  if (scaleRule)
    choice.scaleRule = *scaleRule;
  if (outlierThreshold)
    choice.outlierThreshold = *outlierThreshold;
  if (doubleQuant)
    choice.doubleQuant = *doubleQuant;
  for (const auto &[name, value] : methodOptions)
    quantizer::setMethodOption(choice.methodOptions, name, value);
}

std::string nibble::escapeGlob(StringRef name) {
  std::string glob;
  for (char c : name) {
    if (StringRef("*?[]{}\\").contains(c))
      glob += '\\';
    glob += c;
  }
  return glob;
}

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

llvm::Error QuantizationConfig::Matcher::add(const ConfigRule &rule) {
  for (const std::string &glob : rule.layers)
    if (llvm::Error error = addGlob(glob))
      return error;
  for (const std::string &regex : rule.regexes)
    if (llvm::Error error = addRegex(regex))
      return error;
  operators = rule.operators;
  return llvm::Error::success();
}

llvm::Error QuantizationConfig::Matcher::addGlob(StringRef text) {
  // The pattern refers to its text.
  texts.push_back(text.str());
  llvm::Expected<llvm::GlobPattern> glob =
      llvm::GlobPattern::create(texts.back(), /*MaxSubPatterns=*/1024);
  if (!glob)
    return llvm::createStringError("glob '" + text + "' is not valid: " +
                                   llvm::toString(glob.takeError()));
  globs.push_back(std::move(*glob));
  return llvm::Error::success();
}

llvm::Error QuantizationConfig::Matcher::addRegex(StringRef text) {
  std::string reason;
  if (!llvm::Regex(text).isValid(reason))
    return llvm::createStringError("regular expression '" + text +
                                   "' is not valid: " + reason);
  regexes.emplace_back(("^(" + text + ")$").str());
  return llvm::Error::success();
}

bool QuantizationConfig::Matcher::matches(llvm::ArrayRef<StringRef> names,
                                          StringRef operatorType) {
  if (!operators.empty() && !llvm::is_contained(operators, operatorType))
    return false;
  bool byName = globs.empty() && regexes.empty();
  for (StringRef name : names) {
    byName |= llvm::any_of(globs, [&](const auto &g) { return g.match(name); });
    byName |=
        llvm::any_of(regexes, [&](const auto &r) { return r.match(name); });
  }
  matched |= byName;
  return byName;
}

QuantizationConfig::QuantizationConfig() = default;
QuantizationConfig::QuantizationConfig(QuantizationConfig &&) = default;
QuantizationConfig &
QuantizationConfig::operator=(QuantizationConfig &&) = default;
QuantizationConfig::~QuantizationConfig() = default;

llvm::Error QuantizationConfig::addRule(ConfigRule rule) {
  auto matcher = std::make_unique<Matcher>();
  if (llvm::Error error = matcher->add(rule))
    return error;
  matchers.push_back(std::move(matcher));
  rules.push_back(std::move(rule));
  return llvm::Error::success();
}

LayerChoice QuantizationConfig::resolve(const LayerChoice &commandLine,
                                        llvm::ArrayRef<StringRef> layerNames,
                                        StringRef operatorType,
                                        bool useDefault) {
  LayerChoice choice = commandLine;
  auto apply = [&](const LayerOptions &options, unsigned line) {
    options.applyTo(choice);
    if (options.scheme)
      choice.origin = fileName + ":" + llvm::utostr(line);
  };
  if (useDefault)
    apply(defaults, defaultsLine);
  for (auto [rule, matcher] : llvm::zip_equal(rules, matchers))
    if (matcher->matches(layerNames, operatorType))
      apply(rule.options, rule.line);
  return choice;
}

/// What a rule looks for, as in the file.
static std::string describe(const ConfigRule &rule) {
  std::vector<std::string> parts;
  auto add = [&](StringRef key, const std::vector<std::string> &values) {
    if (!values.empty())
      parts.push_back((key + ": " + llvm::join(values, ", ")).str());
  };
  add("layers", rule.layers);
  add("regex", rule.regexes);
  add("operator", rule.operators);
  return llvm::join(parts, "; ");
}

std::vector<std::string> QuantizationConfig::getUnmatchedRules() const {
  std::vector<std::string> messages;
  for (size_t i = 0; i < rules.size(); ++i)
    if (!matchers[i]->hasMatched())
      messages.push_back(fileName + ":" + llvm::utostr(rules[i].line) +
                         ": rule " + llvm::utostr(i + 1) + " (" +
                         describe(rules[i]) + ") matches no layer");
  return messages;
}

std::vector<unsigned> QuantizationConfig::getMatchedLines() const {
  std::vector<unsigned> lines;
  for (auto [rule, matcher] : llvm::zip_equal(rules, matchers))
    if (matcher->hasMatched())
      lines.push_back(rule.line);
  return lines;
}

void QuantizationConfig::setMatchedLines(llvm::ArrayRef<int64_t> lines) {
  for (auto [rule, matcher] : llvm::zip_equal(rules, matchers))
    if (llvm::is_contained(lines, rule.line))
      matcher->setMatched();
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

llvm::Expected<QuantizationConfig> QuantizationConfig::load(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return llvm::createStringError(buffer.getError(),
                                   "can't read configuration '" + path +
                                       "': " + buffer.getError().message());
  return parse((*buffer)->getBuffer(), path);
}

static void writeValues(llvm::raw_ostream &os,
                        const std::vector<std::string> &values) {
  auto quote = [&](StringRef value) {
    os << '"' << llvm::yaml::escape(value, /*EscapePrintable=*/false) << '"';
  };
  if (values.size() == 1)
    return quote(values.front());
  os << '[';
  llvm::interleave(values, os, quote, ", ");
  os << ']';
}

/// Text from anywhere as comment lines: a line break must not end the comment.
static void writeComment(llvm::raw_ostream &os, StringRef text,
                         StringRef indent) {
  for (; !text.empty();) {
    auto [line, rest] = text.split('\n');
    os << indent << "# ";
    for (char c : line)
      os << (static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c);
    os << '\n';
    text = rest;
  }
}

/// The options as lines of a mapping, each after `indent`.
static void writeOptions(llvm::raw_ostream &os, const LayerOptions &options,
                         StringRef indent) {
  if (options.scheme && *options.scheme == "none")
    os << indent << "skip: true\n";
  else if (options.scheme)
    os << indent << "scheme: " << *options.scheme << '\n';
  if (options.method && options.prepare.empty())
    os << indent << "method: " << *options.method << '\n';
  else if (options.method)
    os << indent << "method: [" << llvm::join(options.prepare, ", ") << ", "
       << *options.method << "]\n";
  if (options.groupSize)
    os << indent << "group-size: " << *options.groupSize << '\n';
  if (options.symmetric)
    os << indent << "symmetric: " << (*options.symmetric ? "true" : "false")
       << '\n';
  if (options.scaleType)
    os << indent
       << "scale-type: " << quantizer::stringifyScaleType(*options.scaleType)
       << '\n';
  if (options.scaleRule)
    os << indent
       << "scale-rule: " << quantizer::stringifyScaleRule(*options.scaleRule)
       << '\n';
  if (options.outlierThreshold)
    os << indent << "outlier-threshold: "
       << quantizer::formatOutlierThreshold(*options.outlierThreshold) << '\n';
  if (options.doubleQuant)
    os << indent
       << "double-quant: " << (*options.doubleQuant ? "true" : "false") << '\n';
  for (const auto &[name, value] : options.methodOptions)
    os << indent << name << ": " << value << '\n';
}

void QuantizationConfig::write(llvm::raw_ostream &os) const {
  writeComment(os, comment, "");
  os << "version: 1\n";
  if (defaultsLine) {
    os << "default:\n";
    writeOptions(os, defaults, "  ");
  }
  os << (rules.empty() ? "rules: []\n" : "rules:\n");
  for (const ConfigRule &rule : rules) {
    writeComment(os, rule.comment, "  ");
    StringRef indent = "  - ";
    auto writeKey = [&](StringRef key, const std::vector<std::string> &values) {
      if (values.empty())
        return;
      os << indent << key << ": ";
      writeValues(os, values);
      os << '\n';
      indent = "    ";
    };
    writeKey("layers", rule.layers);
    writeKey("regex", rule.regexes);
    writeKey("operator", rule.operators);
    writeOptions(os, rule.options, "    ");
  }
}
