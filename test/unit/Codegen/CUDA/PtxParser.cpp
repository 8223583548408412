//===- PtxParser.cpp - Reads PTX
//--------------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PtxMachine.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace nibble::test;

namespace {

class Parser {
public:
  explicit Parser(StringRef text) : text(text) {}
  Expected<PtxModule> parse();

private:
  Error parseLine(StringRef line);
  Error parseParameter(StringRef line);
  Error parseInstruction(StringRef line);
  Expected<PtxOperand> parseOperand(StringRef text);
  Expected<PtxOperand> parseAddress(StringRef text);
  Error finishKernel();
  Error error(const Twine &message) {
    return createStringError("PTX line " + Twine(lineNumber) + ": " + message);
  }
  int64_t getRegister(StringRef name) {
    return registers.try_emplace(name, int64_t(registers.size())).first->second;
  }

  StringRef text;
  int lineNumber = 0;
  PtxModule module;
  /// Null outside of a kernel.
  PtxKernel *kernel = nullptr;
  bool inBody = false;
  StringMap<int64_t> registers;
  StringMap<int64_t> labels;
  StringMap<uint64_t> parameters;
  StringMap<uint64_t> shared;
};

} // namespace

/// Bytes of a type like `.b32`.
static unsigned getTypeBytes(StringRef type) {
  unsigned bits = 0;
  type.drop_while([](char c) { return !isDigit(c); }).getAsInteger(10, bits);
  return bits / 8;
}

Error Parser::parseParameter(StringRef line) {
  SmallVector<StringRef> words;
  line.split(words, ' ', -1, false);
  unsigned size = getTypeBytes(words[1]);
  kernel->parameterBytes = (kernel->parameterBytes + size - 1) / size * size;
  kernel->parameterOffsets.push_back(kernel->parameterBytes);
  parameters[words.back().rtrim(',')] = kernel->parameterBytes;
  kernel->parameterBytes += size;
  return Error::success();
}

Expected<PtxOperand> Parser::parseAddress(StringRef text) {
  PtxOperand operand;
  operand.kind = PtxOperand::Address;
  auto [base, offset] = text.split('+');
  if (!offset.empty()) {
    int64_t value;
    if (offset.trim().getAsInteger(0, value))
      return error("no offset: " + offset);
    operand.value = uint64_t(value);
  }
  base = base.trim();
  if (base.starts_with("%")) {
    operand.index = getRegister(base);
    return operand;
  }
  if (auto it = parameters.find(base); it != parameters.end())
    operand.value += it->second;
  else if (auto it = shared.find(base); it != shared.end())
    operand.value += it->second;
  else
    return error("unknown address " + base);
  return operand;
}

Expected<PtxOperand> Parser::parseOperand(StringRef text) {
  static const char *specials[] = {
      "%tid.x",    "%tid.y",    "%tid.z",   "%ntid.x",  "%ntid.y",
      "%ntid.z",   "%ctaid.x",  "%ctaid.y", "%ctaid.z", "%nctaid.x",
      "%nctaid.y", "%nctaid.z", "%laneid"};
  PtxOperand operand;
  if (text.starts_with("["))
    return parseAddress(text.drop_front().drop_back());
  if (text == "_") {
    operand.kind = PtxOperand::Sink;
    return operand;
  }
  operand.negated = text.consume_front("!");
  for (size_t i = 0; i < std::size(specials); ++i)
    if (text == specials[i]) {
      operand.kind = PtxOperand::Special;
      operand.index = int64_t(i);
      return operand;
    }
  if (text.starts_with("%")) {
    operand.kind = PtxOperand::Register;
    operand.index = getRegister(text);
    return operand;
  }
  if (text.starts_with("$")) {
    operand.kind = PtxOperand::Label;
    operand.index =
        labels.try_emplace(text, -1 - int64_t(labels.size())).first->second;
    return operand;
  }
  // 0f: the bits of a float, 0d of a double, 0x of a half or an integer.
  StringRef digits = text;
  int64_t value;
  uint64_t bits;
  if (digits.consume_front("0f") || digits.consume_front("0d")) {
    if (digits.getAsInteger(16, bits))
      return error("no number: " + text);
    operand.value = bits;
  } else if (!text.getAsInteger(0, value)) {
    operand.value = uint64_t(value);
  } else if (!text.getAsInteger(0, bits)) {
    operand.value = bits;
  } else if (auto it = shared.find(text); it != shared.end()) {
    operand.value = it->second;
  } else {
    return error("unknown operand " + text);
  }
  return operand;
}

Error Parser::parseInstruction(StringRef line) {
  PtxInstruction instruction;
  instruction.text = line.str();
  if (line.consume_front("@")) {
    auto [guard, rest] = line.split(' ');
    instruction.guardNegated = guard.consume_front("!");
    instruction.guard = getRegister(guard.trim());
    line = rest.trim();
  }
  line = line.trim().rtrim(';').trim();
  auto [opcode, rest] = line.split(line.contains('\t') ? '\t' : ' ');
  SmallVector<StringRef> words;
  opcode.trim().split(words, '.', -1, false);
  for (StringRef word : words)
    instruction.words.push_back(word.str());
  rest = rest.trim();
  while (!rest.empty()) {
    std::vector<PtxOperand> elements;
    StringRef list;
    if (rest.consume_front("{")) {
      std::tie(list, rest) = rest.split('}');
      rest = rest.ltrim().ltrim(',').ltrim();
    } else {
      // `a|b` of shuffles and comparisons is a pair.
      std::tie(list, rest) = rest.split(',');
      rest = rest.ltrim();
    }
    SmallVector<StringRef> parts;
    list.split(parts, list.contains('|') ? '|' : ',', -1, false);
    for (StringRef part : parts) {
      Expected<PtxOperand> operand = parseOperand(part.trim());
      if (!operand)
        return operand.takeError();
      elements.push_back(*operand);
    }
    instruction.operands.push_back(std::move(elements));
  }
  kernel->body.push_back(std::move(instruction));
  return Error::success();
}

Error Parser::finishKernel() {
  // Labels have got their positions by now.
  std::map<int64_t, int64_t> targets;
  for (auto &label : labels)
    if (label.getKey().starts_with("@"))
      targets[labels.lookup(label.getKey().drop_front())] = label.second;
  for (PtxInstruction &instruction : kernel->body)
    for (auto &operand : instruction.operands)
      for (PtxOperand &element : operand)
        if (element.kind == PtxOperand::Label) {
          auto it = targets.find(element.index);
          if (it == targets.end())
            return error("a label is missing in " + instruction.text);
          element.index = it->second;
        }
  kernel->numRegisters = int64_t(registers.size());
  kernel = nullptr;
  inBody = false;
  registers.clear();
  labels.clear();
  parameters.clear();
  return Error::success();
}

Error Parser::parseLine(StringRef line) {
  if (line.starts_with(".extern .shared")) {
    // Dynamic shared memory begins behind the static one.
    StringRef name = line.rsplit(' ').second.split('[').first;
    shared[name] = ~uint64_t(0);
    return Error::success();
  }
  if (line.starts_with(".shared")) {
    auto [head, tail] = line.rsplit(' ');
    auto [name, size] = tail.split('[');
    int64_t bytes = 0;
    if (size.split(']').first.getAsInteger(10, bytes))
      return error("no size: " + line);
    module.staticShared = (module.staticShared + 127) / 128 * 128;
    shared[name] = uint64_t(module.staticShared);
    module.staticShared += bytes;
    return Error::success();
  }
  if (line.contains(".entry")) {
    StringRef name = line.split(".entry").second.trim();
    name = name.take_until([](char c) { return c == '(' || c == ' '; });
    kernel = &module.kernels[name];
    // Static shared memory is declared before the kernels.
    for (auto &symbol : shared)
      if (symbol.second == ~uint64_t(0))
        symbol.second = uint64_t((module.staticShared + 127) / 128 * 128);
    return Error::success();
  }
  if (!kernel)
    return Error::success();
  if (line.starts_with(".param"))
    return parseParameter(line);
  if (line == "{") {
    inBody = true;
    return Error::success();
  }
  if (line == "}")
    return inBody ? finishKernel() : Error::success();
  if (!inBody || line.starts_with("."))
    return Error::success();
  if (line.ends_with(":")) {
    StringRef name = line.drop_back();
    labels.try_emplace(name, -1 - int64_t(labels.size()));
    labels["@" + name.str()] = int64_t(kernel->body.size());
    return Error::success();
  }
  return parseInstruction(line);
}

Expected<PtxModule> Parser::parse() {
  SmallVector<StringRef> lines;
  text.split(lines, '\n');
  std::string pending;
  for (StringRef line : lines) {
    ++lineNumber;
    line = line.split("//").first.trim();
    if (line.empty())
      continue;
    // An instruction may take several lines.
    if (inBody && !line.ends_with(";") && !line.ends_with(":") &&
        !line.starts_with(".") && line != "{" && line != "}") {
      pending += line.str() + " ";
      continue;
    }
    pending += line.str();
    if (Error failure = parseLine(pending))
      return std::move(failure);
    pending.clear();
  }
  return std::move(module);
}

Expected<PtxModule> PtxModule::parse(StringRef text) {
  return Parser(text).parse();
}
