//===- ReportChoice.cpp - What was chosen, on paper -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReportChoice.h"
#include "ReportPlots.h"
#include "nibble/Support/Size.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <cmath>

using namespace nibble;
using llvm::formatv;
using llvm::StringRef;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static void writePoint(json::OStream &json, const ChoicePoint &point) {
  json.attribute("bytes", point.bytes);
  json.attribute("bits_per_weight", point.bitsPerWeight);
  json.attribute("error", std::isfinite(point.error) ? json::Value(point.error)
                                                     : json::Value(nullptr));
}

static void writeCandidates(json::OStream &json, StringRef key,
                            const std::vector<ChoiceCandidate> &candidates) {
  json.attributeArray(key, [&] {
    for (const ChoiceCandidate &candidate : candidates)
      json.object([&] {
        json.attribute("scheme", json::fixUTF8(candidate.name));
        writePoint(json, candidate.point);
      });
  });
}

void nibble::writeChoice(json::OStream &json, const ChoiceReport &choice) {
  json.attribute("limit", json::fixUTF8(choice.limit));
  json.attribute("measure", json::fixUTF8(choice.measure));
  json.attributeObject("chosen", [&] {
    writePoint(json, choice.chosen);
    if (choice.measured)
      json.attribute("measured_error", *choice.measured);
  });
  writeCandidates(json, "uniform", choice.uniform);
  json.attributeArray("frontier", [&] {
    for (const ChoicePoint &point : choice.frontier)
      json.object([&] { writePoint(json, point); });
  });
  json.attributeArray("layers", [&] {
    for (const ChoiceLayer &layer : choice.layers)
      json.object([&] {
        json.attribute("name", json::fixUTF8(layer.name));
        json.attribute("scheme",
                       json::fixUTF8(layer.candidates[layer.chosen].name));
        writeCandidates(json, "candidates", layer.candidates);
      });
  });
}

//===----------------------------------------------------------------------===//
// Page
//===----------------------------------------------------------------------===//

namespace {
/// Bits per weight to the right, the logarithm of the error upwards.
class ChoicePlot {
public:
  explicit ChoicePlot(const ChoiceReport &choice);
  bool isEmpty() const { return !std::isfinite(low); }
  void write(llvm::raw_ostream &os) const;

private:
  static constexpr double width = 900, height = 340, left = 80, right = 870,
                          top = 20, bottom = 290;

  void include(const ChoicePoint &point);
  static bool isShown(const ChoicePoint &point) {
    return std::isfinite(point.error) && point.error > 0;
  }
  double placeBits(double bits) const {
    return left + (right - left) * (bits - least) / (most - least);
  }
  double placeError(double error) const {
    return bottom - (bottom - top) * (std::log10(error) - low) / (high - low);
  }
  void writeGrid(llvm::raw_ostream &os) const;
  void writeTitle(llvm::raw_ostream &os, StringRef name,
                  const ChoicePoint &point) const;

  const ChoiceReport &choice;
  double least = INFINITY, most = -INFINITY;
  /// Logarithms of errors.
  double low = INFINITY, high = -INFINITY;
};
} // namespace

ChoicePlot::ChoicePlot(const ChoiceReport &choice) : choice(choice) {
  include(choice.chosen);
  for (const ChoicePoint &point : choice.frontier)
    include(point);
  for (const ChoiceCandidate &candidate : choice.uniform)
    include(candidate.point);
  least = std::floor(least);
  most = std::max(std::ceil(most), least + 1);
  low = std::floor(low);
  high = std::max(std::ceil(high), low + 1);
}

void ChoicePlot::include(const ChoicePoint &point) {
  if (!isShown(point))
    return;
  least = std::min(least, point.bitsPerWeight);
  most = std::max(most, point.bitsPerWeight);
  low = std::min(low, std::log10(point.error));
  high = std::max(high, std::log10(point.error));
}

void ChoicePlot::writeGrid(llvm::raw_ostream &os) const {
  for (double bits = least; bits <= most; ++bits)
    os << formatv("<line class='grid' x1='{0:f1}' x2='{0:f1}' y1='{1:f0}' "
                  "y2='{2:f0}'/><text class='soft' x='{0:f1}' y='{3:f0}' "
                  "text-anchor='middle'>{4:f0}</text>\n",
                  placeBits(bits), top, bottom, bottom + 18, bits);
  // At most six lines.
  double step = std::max(1.0, std::ceil((high - low) / 6));
  for (double power = low; power <= high; power += step)
    os << formatv("<line class='grid' x1='{0:f0}' x2='{1:f0}' y1='{2:f1}' "
                  "y2='{2:f1}'/><text class='soft' x='{3:f0}' y='{4:f1}' "
                  "text-anchor='end'>1e{5:f0}</text>\n",
                  left, right, placeError(std::pow(10, power)), left - 8,
                  placeError(std::pow(10, power)) + 4, power);
  os << formatv("<text class='soft' x='{0:f0}' y='{1:f0}' "
                "text-anchor='end'>bits per weight</text>\n",
                right, height - 8);
}

void ChoicePlot::writeTitle(llvm::raw_ostream &os, StringRef name,
                            const ChoicePoint &point) const {
  os << formatv("<title>{0}: {1:f3} bits per weight, {2}, error {3:e2}</title>",
                escapeHTML(name), point.bitsPerWeight, formatBytes(point.bytes),
                point.error);
}

void ChoicePlot::write(llvm::raw_ostream &os) const {
  os << formatv("<svg viewBox='0 0 {0:f0} {1:f0}' role='img' aria-label='Error "
                "over bits per weight'>\n",
                width, height);
  writeGrid(os);
  os << "<path class='frontier' d='";
  bool isFirst = true;
  for (const ChoicePoint &point : choice.frontier) {
    if (!isShown(point))
      continue;
    os << formatv("{0}{1:f1} {2:f1}", isFirst ? 'M' : 'L',
                  placeBits(point.bitsPerWeight), placeError(point.error));
    isFirst = false;
  }
  os << "'/>\n";
  for (const ChoiceCandidate &candidate : choice.uniform) {
    if (!isShown(candidate.point))
      continue;
    double x = placeBits(candidate.point.bitsPerWeight),
           y = placeError(candidate.point.error);
    os << "<g>";
    writeTitle(os, candidate.name, candidate.point);
    os << formatv("<path class='only' d='M{0:f1} {1:f1}l4.5 4.5l-4.5 4.5l-4.5 "
                  "-4.5z'/><text class='soft' x='{2:f1}' y='{3:f1}'>{4}</text>"
                  "</g>\n",
                  x, y - 4.5, x + 8, y - 6, escapeHTML(candidate.name));
  }
  if (isShown(choice.chosen)) {
    os << "<g>";
    writeTitle(os, "chosen", choice.chosen);
    os << formatv("<circle class='dot' cx='{0:f1}' cy='{1:f1}' r='6'/></g>\n",
                  placeBits(choice.chosen.bitsPerWeight),
                  placeError(choice.chosen.error));
  }
  os << "</svg>\n";
}

void nibble::writeChoiceSection(llvm::raw_ostream &os,
                                const ChoiceReport &choice) {
  os << "<h2>Choice of schemes</h2>\n<p>"
     << formatv("For {0}: {1:f3} bits per weight, {2}; error {3:e2}",
                escapeHTML(choice.limit), choice.chosen.bitsPerWeight,
                formatBytes(choice.chosen.bytes), choice.chosen.error);
  if (choice.measured)
    os << formatv(", measured {0:e2}", *choice.measured);
  os << " (" << escapeHTML(choice.measure)
     << "). The line is the best choice for each size, diamonds are one scheme "
        "for all layers, and the dot is what was chosen.</p>\n";
  ChoicePlot plot(choice);
  if (plot.isEmpty())
    return;
  os << "<div class='card'>\n";
  plot.write(os);
  os << "</div>\n";
}
