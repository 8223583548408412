//===- NibbleAttributes.cpp - Schemes and references to data -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/DialectImplementation.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nibble;

#include "nibble/Dialect/Nibble/IR/NibbleEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "nibble/Dialect/Nibble/IR/NibbleAttributes.cpp.inc"

void NibbleDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "nibble/Dialect/Nibble/IR/NibbleAttributes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// SchemeAttr
//===----------------------------------------------------------------------===//

/// Bits of the codes of a codebook whose name fixes them, or 0.
static unsigned getFixedBits(CodebookKind kind) {
  switch (kind) {
  case CodebookKind::NF4:
  case CodebookKind::FP4:
    return 4;
  case CodebookKind::FP8E4M3:
  case CodebookKind::FP8E5M2:
    return 8;
  case CodebookKind::Int:
  case CodebookKind::Table:
    return 0;
  }
  llvm_unreachable("unknown codebook");
}

static ParseResult parseCodebook(AsmParser &parser, CodebookKind &kind,
                                 unsigned &bits, DenseF32ArrayAttr &table) {
  StringRef word;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return failure();
  unsigned width;
  if (word.starts_with("int") && !word.drop_front(3).getAsInteger(10, width)) {
    kind = CodebookKind::Int;
    bits = width;
    return success();
  }
  std::optional<CodebookKind> known = symbolizeCodebookKind(word);
  if (!known || *known == CodebookKind::Int)
    return parser.emitError(loc) << "unknown codebook '" << word
                                 << "': expected int2 to int8, nf4, fp4, "
                                    "fp8_e4m3, fp8_e5m2 or table<[...]>";
  kind = *known;
  bits = getFixedBits(kind);
  if (kind != CodebookKind::Table)
    return success();
  SmallVector<float> values;
  auto parseValue = [&]() -> ParseResult {
    double value;
    if (parser.parseFloat(value))
      return failure();
    values.push_back(static_cast<float>(value));
    return success();
  };
  if (parser.parseLess() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                     parseValue) ||
      parser.parseGreater())
    return failure();
  table = DenseF32ArrayAttr::get(parser.getContext(), values);
  bits = llvm::Log2_64_Ceil(std::max<size_t>(values.size(), 2));
  return success();
}

template <typename Enum>
static ParseResult parseEnumValue(AsmParser &parser, Enum &result,
                                  StringRef what,
                                  std::optional<Enum> (*symbolize)(StringRef)) {
  StringRef word;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return failure();
  if (std::optional<Enum> value = symbolize(word)) {
    result = *value;
    return success();
  }
  return parser.emitError(loc) << "unknown " << what << " '" << word << "'";
}

/// `[dynamic] f32 x 256 [offset]`
static ParseResult parseSecondLevel(AsmParser &parser, Type &type,
                                    int64_t &group, bool &dynamic,
                                    bool &offset) {
  dynamic = succeeded(parser.parseOptionalKeyword("dynamic"));
  if (parser.parseType(type) || parser.parseKeyword("x") ||
      parser.parseInteger(group))
    return failure();
  offset = succeeded(parser.parseOptionalKeyword("offset"));
  return success();
}

Attribute SchemeAttr::parse(AsmParser &parser, Type) {
  CodebookKind kind = CodebookKind::Int;
  unsigned bits = 0;
  DenseF32ArrayAttr table;
  int64_t group = -1, secondGroup = 0, outliers = 0;
  Type scaleType = parser.getBuilder().getF32Type(), secondType;
  ZeroKind zero = ZeroKind::None;
  Packing packing = Packing::Rows;
  bool groupIndex = false, dynamic = false, offset = false;
  SMLoc start = parser.getCurrentLocation();
  if (parser.parseLess() || parseCodebook(parser, kind, bits, table))
    return {};
  while (succeeded(parser.parseOptionalComma())) {
    StringRef key;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&key))
      return {};
    if (key == "group_index") {
      groupIndex = true;
      continue;
    }
    if (parser.parseEqual())
      return {};
    ParseResult result = success();
    if (key == "group")
      result = parser.parseInteger(group);
    else if (key == "scale")
      result = parser.parseType(scaleType);
    else if (key == "second")
      result =
          parseSecondLevel(parser, secondType, secondGroup, dynamic, offset);
    else if (key == "zero")
      result = parseEnumValue<ZeroKind>(parser, zero, "kind of zero",
                                        &symbolizeZeroKind);
    else if (key == "outliers")
      result = parser.parseInteger(outliers);
    else if (key == "packing")
      result = parseEnumValue<Packing>(parser, packing, "packing",
                                       &symbolizePacking);
    else
      return parser.emitError(loc)
                 << "unknown part '" << key
                 << "' of a scheme: expected group, scale, second, zero, "
                    "group_index, outliers or packing",
             Attribute();
    if (result)
      return {};
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<SchemeAttr>(start, parser.getContext(), kind, bits,
                                       table, group, scaleType, secondType,
                                       secondGroup, dynamic, offset, zero,
                                       groupIndex, outliers, packing);
}

void SchemeAttr::print(AsmPrinter &printer) const {
  printer << '<';
  if (getCodebook() == CodebookKind::Int) {
    printer << "int" << getBits();
  } else {
    printer << stringifyCodebookKind(getCodebook());
    if (getTable()) {
      printer << "<[";
      llvm::interleaveComma(getTable().asArrayRef(), printer,
                            [&](float v) { printer.printFloat(APFloat(v)); });
      printer << "]>";
    }
  }
  printer << ", group = " << getGroup() << ", scale = " << getScaleType();
  if (getSecondType())
    printer << ", second = " << (getSecondDynamic() ? "dynamic " : "")
            << getSecondType() << " x " << getSecondGroup()
            << (getSecondOffset() ? " offset" : "");
  if (getZero() != ZeroKind::None)
    printer << ", zero = " << stringifyZeroKind(getZero());
  if (getGroupIndex())
    printer << ", group_index";
  if (getOutliers())
    printer << ", outliers = " << getOutliers();
  printer << ", packing = " << stringifyPacking(getPacking()) << '>';
}

LogicalResult SchemeAttr::verify(
    llvm::function_ref<InFlightDiagnostic()> emitError, CodebookKind codebook,
    unsigned bits, DenseF32ArrayAttr table, int64_t group, Type scaleType,
    Type secondType, int64_t secondGroup, bool secondDynamic, bool secondOffset,
    ZeroKind zero, bool groupIndex, int64_t outliers, Packing packing) {
  if (codebook == CodebookKind::Int && (bits < 2 || bits > 8))
    return emitError() << "expected 2 to 8 bits, got " << bits;
  if (codebook == CodebookKind::Table) {
    size_t size = table ? table.size() : 0;
    if (size < 2 || size > 256)
      return emitError() << "expected a table of 2 to 256 values, got " << size;
  } else if (table) {
    return emitError() << "expected no table with codebook "
                       << stringifyCodebookKind(codebook);
  }
  if (group < -1)
    return emitError() << "expected group -1 (one per row), 0 (one per tensor) "
                          "or more, got "
                       << group;
  auto isScaleType = [](Type type) {
    return type.isF32() || type.isF16() || type.isBF16();
  };
  if (!isScaleType(scaleType))
    return emitError() << "expected scales of type f32, f16 or bf16, got "
                       << scaleType;
  if (secondType && (!isScaleType(secondType) || secondGroup < 1))
    return emitError() << "expected a second level of f32, f16 or bf16 for at "
                          "least one scale, got "
                       << secondType << " x " << secondGroup;
  if (!secondType && (secondGroup != 0 || secondDynamic || secondOffset))
    return emitError() << "expected a type for the second level, got none";
  if (outliers < 0)
    return emitError() << "expected 0 or more outlier columns, got "
                       << outliers;
  if (groupIndex && group < 1)
    return emitError() << "expected a group of 1 or more with group_index, got "
                       << group;
  return success();
}

int64_t SchemeAttr::getGroupLength(int64_t k) const {
  k = std::max<int64_t>(k, 1);
  return getGroup() < 1 ? k : std::min<int64_t>(getGroup(), k);
}

int64_t SchemeAttr::getNumGroups(int64_t k) const {
  return std::max<int64_t>(1, llvm::divideCeil(k, getGroupLength(k)));
}

int64_t SchemeAttr::getRowBytes(int64_t k) const {
  return llvm::divideCeil(k * static_cast<int64_t>(getBits()), 8);
}

SmallVector<int64_t> SchemeAttr::getCodesShape(int64_t n, int64_t k) const {
  if (getPacking() != Packing::Panel)
    return {n, getRowBytes(k)};
  // Codes of 7 bits take a byte: kernels read no panels of that width.
  int64_t bits = getBits() == 7 ? 8 : getBits();
  return {llvm::divideCeilSigned(n, panelRows), k * panelRows * bits / 8};
}

SmallVector<int64_t> SchemeAttr::getScalesShape(int64_t n, int64_t k) const {
  int64_t groups = getNumGroups(k);
  if (getPacking() != Packing::Panel)
    return {n, groups};
  return {llvm::divideCeilSigned(n, panelRows), groups, panelRows};
}

SmallVector<int64_t> SchemeAttr::getSecondShape(int64_t n, int64_t k) const {
  int64_t groups = getNumGroups(k), length = getSecondGroup();
  int64_t rows = (getSecondOffset() ? 2 : 1) * (hasFloatZeros() ? 2 : 1);
  if (getPacking() == Packing::Panel && groups % length == 0)
    return {rows, llvm::divideCeilSigned(n, panelRows), groups / length,
            panelRows};
  return {rows, llvm::divideCeilSigned(n * groups, length)};
}

Type SchemeAttr::getScaleElementType() const {
  return getSecondType() ? IntegerType::get(getContext(), 8) : getScaleType();
}

Type SchemeAttr::getZeroElementType() const {
  return hasFloatZeros() ? getScaleElementType()
                         : IntegerType::get(getContext(), 8);
}

SchemeAttr SchemeAttr::withPacking(Packing packing) const {
  return get(getContext(), getCodebook(), getBits(), getTable(), getGroup(),
             getScaleType(), getSecondType(), getSecondGroup(),
             getSecondDynamic(), getSecondOffset(), getZero(), getGroupIndex(),
             getOutliers(), packing);
}

double SchemeAttr::getBitsPerWeight(int64_t k) const {
  double scaleBits = getScaleType().getIntOrFloatBitWidth();
  if (getSecondType())
    scaleBits = 8 + (getSecondOffset() ? 2 : 1) *
                        getSecondType().getIntOrFloatBitWidth() /
                        double(getSecondGroup());
  double zeroBits = 0;
  if (getZero() == ZeroKind::Integer)
    zeroBits = 8; // One byte each, as the kernels read them.
  else if (hasFloatZeros())
    zeroBits = scaleBits;
  double length = std::max<int64_t>(k, 1);
  return getBits() + getNumGroups(k) * (scaleBits + zeroBits) / length;
}

std::string SchemeAttr::getUserName() const {
  switch (getCodebook()) {
  case CodebookKind::Int:
    return "W" + llvm::utostr(getBits()) + "A16";
  case CodebookKind::NF4:
    return "NF4";
  case CodebookKind::FP4:
    return "FP4";
  case CodebookKind::FP8E4M3:
  case CodebookKind::FP8E5M2:
    return "FP8";
  case CodebookKind::Table:
    return "table" + llvm::utostr(getBits());
  }
  llvm_unreachable("unknown codebook");
}

//===----------------------------------------------------------------------===//
// MappedAttr
//===----------------------------------------------------------------------===//

Attribute MappedAttr::parse(AsmParser &parser, Type type) {
  std::string file;
  uint64_t offset, length, hash;
  SMLoc start = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseString(&file) || parser.parseComma() ||
      parser.parseInteger(offset) || parser.parseComma() ||
      parser.parseInteger(length) || parser.parseComma() ||
      parser.parseInteger(hash) || parser.parseGreater())
    return {};
  if (!type && (parser.parseColon() || parser.parseType(type)))
    return {};
  auto shaped = dyn_cast<ShapedType>(type);
  if (!shaped) {
    parser.emitError(start) << "expected a tensor type, got " << type;
    return {};
  }
  return parser.getChecked<MappedAttr>(start, parser.getContext(), shaped, file,
                                       offset, length, hash);
}

void MappedAttr::print(AsmPrinter &printer) const {
  printer << "<\"";
  llvm::printEscapedString(getFile(), printer.getStream());
  printer << "\", " << getOffset() << ", " << getLength() << ", "
          << llvm::format_hex(getHash(), 18) << '>';
}

LogicalResult
MappedAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                   ShapedType type, StringRef file, uint64_t offset,
                   uint64_t length, uint64_t hash) {
  if (!isa<RankedTensorType>(type) || !type.hasStaticShape())
    return emitError() << "expected a tensor type of static shape, got "
                       << type;
  uint64_t expected = getStorageBytes(type);
  if (length != expected)
    return emitError() << "expected " << expected << " bytes for " << type
                       << ", got " << length;
  if (offset > std::numeric_limits<uint64_t>::max() - length)
    return emitError() << "offset " << offset << " plus length " << length
                       << " overflows";
  return success();
}
