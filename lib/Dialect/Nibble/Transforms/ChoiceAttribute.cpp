//===- ChoiceAttribute.cpp - What was chosen, in the IR -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"

using namespace mlir;

namespace nibble {
namespace {

constexpr size_t pointSize = 3;

void append(const ChoicePoint &point, SmallVectorImpl<double> &numbers) {
  numbers.append(
      {static_cast<double>(point.bytes), point.bitsPerWeight, point.error});
}

DictionaryAttr toAttr(Builder &b, ArrayRef<ChoiceCandidate> candidates) {
  SmallVector<StringRef> names;
  SmallVector<double> numbers;
  for (const ChoiceCandidate &candidate : candidates) {
    names.push_back(candidate.name);
    append(candidate.point, numbers);
  }
  return b.getDictionaryAttr(
      {b.getNamedAttr("names", b.getStrArrayAttr(names)),
       b.getNamedAttr("points", b.getDenseF64ArrayAttr(numbers))});
}

/// What `append` made. What is not, since a text may be edited, has no points.
std::vector<ChoicePoint> readPoints(DictionaryAttr entries, StringRef key) {
  std::vector<ChoicePoint> points;
  auto numbers =
      entries ? entries.getAs<DenseF64ArrayAttr>(key) : DenseF64ArrayAttr();
  if (!numbers)
    return points;
  ArrayRef<double> left = numbers.asArrayRef();
  for (; left.size() >= pointSize; left = left.drop_front(pointSize))
    points.push_back({static_cast<int64_t>(left[0]), left[1], left[2]});
  return points;
}

std::vector<ChoiceCandidate> readCandidates(DictionaryAttr entries) {
  std::vector<ChoiceCandidate> candidates;
  auto names = entries ? entries.getAs<ArrayAttr>("names") : ArrayAttr();
  std::vector<ChoicePoint> points = readPoints(entries, "points");
  for (size_t i = 0; names && i != std::min(names.size(), points.size()); ++i)
    if (auto name = dyn_cast<StringAttr>(names[i]))
      candidates.push_back({name.str(), points[i]});
  return candidates;
}

} // namespace

void setChoiceReport(ModuleOp module, const ChoiceReport &report) {
  Builder b(module.getContext());
  SmallVector<double> chosen, frontier;
  append(report.chosen, chosen);
  for (const ChoicePoint &point : report.frontier)
    append(point, frontier);
  SmallVector<Attribute> layers;
  for (const ChoiceLayer &layer : report.layers)
    layers.push_back(b.getDictionaryAttr(
        {b.getNamedAttr("name", b.getStringAttr(layer.name)),
         b.getNamedAttr("chosen", b.getI64IntegerAttr(layer.chosen)),
         b.getNamedAttr("candidates", toAttr(b, layer.candidates))}));
  NamedAttrList entries;
  entries.append("limit", b.getStringAttr(report.limit));
  entries.append("measure", b.getStringAttr(report.measure));
  entries.append("chosen", b.getDenseF64ArrayAttr(chosen));
  entries.append("frontier", b.getDenseF64ArrayAttr(frontier));
  entries.append("uniform", toAttr(b, report.uniform));
  entries.append("layers", b.getArrayAttr(layers));
  if (report.measured)
    entries.append("measured", b.getF64FloatAttr(*report.measured));
  module->setAttr(choiceAttrName, entries.getDictionary(b.getContext()));
}

std::optional<ChoiceReport> getChoiceReport(ModuleOp module) {
  auto entries = module->getAttrOfType<DictionaryAttr>(choiceAttrName);
  std::vector<ChoicePoint> chosen = readPoints(entries, "chosen");
  if (chosen.empty())
    return std::nullopt;
  ChoiceReport report;
  report.chosen = chosen.front();
  report.frontier = readPoints(entries, "frontier");
  report.uniform = readCandidates(entries.getAs<DictionaryAttr>("uniform"));
  if (auto text = entries.getAs<StringAttr>("limit"))
    report.limit = text.str();
  if (auto text = entries.getAs<StringAttr>("measure"))
    report.measure = text.str();
  if (auto number = entries.getAs<FloatAttr>("measured"))
    report.measured = number.getValueAsDouble();
  auto layers = entries.getAs<ArrayAttr>("layers");
  for (Attribute attr : layers ? layers.getValue() : ArrayRef<Attribute>()) {
    auto parts = dyn_cast<DictionaryAttr>(attr);
    auto name = parts ? parts.getAs<StringAttr>("name") : StringAttr();
    auto number = parts ? parts.getAs<IntegerAttr>("chosen") : IntegerAttr();
    ChoiceLayer layer;
    if (!name || !number)
      continue;
    layer.name = name.str();
    layer.candidates =
        readCandidates(parts.getAs<DictionaryAttr>("candidates"));
    layer.chosen = static_cast<unsigned>(number.getInt());
    if (layer.chosen < layer.candidates.size())
      report.layers.push_back(std::move(layer));
  }
  return report;
}

} // namespace nibble
