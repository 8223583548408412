//===- ReportPlots.cpp - Pictures of a report -----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReportPlots.h"
#include "nibble/Support/Size.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <algorithm>
#include <cmath>

using namespace nibble;
using llvm::formatv;
using llvm::StringRef;

std::string nibble::escapeHTML(StringRef text) {
  std::string valid = llvm::json::fixUTF8(text), result;
  // Control characters are not allowed in a page, not even escaped.
  for (char &c : valid)
    if (static_cast<unsigned char>(c) < 0x20)
      c = ' ';
  llvm::raw_string_ostream os(result);
  llvm::printHTMLEscaped(valid, os);
  return result;
}

/// The name with its middle left out if it is long. Layer names differ at their
/// ends.
static std::string elide(StringRef name) {
  constexpr size_t limit = 38, head = 14;
  std::string valid = llvm::json::fixUTF8(name);
  if (valid.size() <= limit)
    return valid;
  auto isInside = [&](size_t i) { return (valid[i] & 0xc0) == 0x80; };
  size_t front = head, back = valid.size() - (limit - head - 1);
  while (front > 0 && isInside(front))
    --front;
  while (back < valid.size() && isInside(back))
    ++back;
  return valid.substr(0, front) + "\xe2\x80\xa6" + valid.substr(back);
}

static std::string formatPlain(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", value);
  return text;
}

/// A round number of kB, MB or GB.
static std::string formatRoundBytes(double value) {
  std::string text = formatBytes(value);
  auto [number, unit] = StringRef(text).split(' ');
  double rounded = 0;
  number.getAsDouble(rounded);
  return value == 0 ? "0" : formatPlain(rounded) + " " + unit.str();
}

namespace {
/// One column of the plot: a linear axis that has zero on it.
class Axis {
public:
  Axis(double left, double width, double least, double largest)
      : left(left), width(width) {
    low = std::min(least, 0.0) * 1.04;
    high = std::max(std::max(largest, 0.0) * 1.04, low + 1e-9);
    // About four steps of 1, 2 or 5 times a power of ten.
    double range = high - low,
           power = std::pow(10, std::floor(std::log10(range / 4)));
    for (double factor : {1, 2, 5, 10})
      if ((tick = factor * power) >= range / 4)
        break;
  }
  double place(double value) const {
    return left + width * std::clamp((value - low) / (high - low), 0.0, 1.0);
  }
  double getZero() const { return place(0); }
  bool isBeyond(double value) const { return value > high; }
  /// Title, numbers, and the ends of the lines that `writeGrid` goes on with.
  void writeHead(llvm::raw_ostream &os, StringRef title,
                 llvm::function_ref<std::string(double)> format) const {
    os << formatv("<text x='{0:f1}' y='18' font-weight='600'>{1}</text>\n",
                  left, title);
    forTicks([&](double value) {
      os << formatv("<line class='grid' x1='{0:f1}' x2='{0:f1}' y1='42' "
                    "y2='46'/><text class='soft' x='{0:f1}' y='36' "
                    "text-anchor='middle'>{1}</text>\n",
                    place(value), format(value));
    });
  }
  void writeGrid(llvm::raw_ostream &os, double bottom) const {
    forTicks([&](double value) {
      os << formatv("<line class='grid' x1='{0:f1}' x2='{0:f1}' y1='0' "
                    "y2='{1:f1}'/>",
                    place(value), bottom);
    });
    os << '\n';
  }

private:
  void forTicks(llvm::function_ref<void(double)> body) const {
    for (double value = std::ceil(low / tick) * tick; value <= high;
         value += tick)
      body(std::fabs(value) < tick / 2 ? 0 : value);
  }

  double left, width, tick = 1, low = 0, high = 1;
};

/// The largest value of the layers that are quantized, if there are any, else
/// of all: a float table is so much larger that nothing else would be seen.
double getLargest(const std::vector<LayerReport> &layers,
                  llvm::function_ref<double(const LayerReport &)> get) {
  double quantized = 0, all = 0;
  for (const LayerReport &layer : layers) {
    all = std::max(all, get(layer));
    if (layer.isQuantized())
      quantized = std::max(quantized, get(layer));
  }
  return quantized > 0 ? quantized : all;
}

/// The least and the largest of what was added.
struct Range {
  double low = 0, high = 0;

  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

class LayerPlot {
public:
  explicit LayerPlot(const std::vector<LayerReport> &layers)
      : layers(layers), hasOutputs(llvm::any_of(layers,
                                                [](auto &layer) {
                                                  return layer.measured ||
                                                         layer.getOutputSQNR();
                                                })),
        bytes(makeBytes()), sqnr(makeSQNR()), outputs(makeOutputs()),
        bits(makeBits()) {}

  void writeHead(llvm::raw_ostream &os) const;
  void writeRows(llvm::raw_ostream &os) const;

private:
  static constexpr double rowHeight = 24;

  /// Columns are narrower when there is one more.
  double getWidth() const { return hasOutputs ? 1310 : 1140; }
  Axis makeBytes() const {
    double largest = getLargest(layers, [](const LayerReport &layer) {
      return std::max(layer.bytes, layer.floatBytes);
    });
    return Axis(290, hasOutputs ? 270 : 360, 0, largest);
  }
  Axis makeSQNR() const {
    Range range;
    for (const LayerReport &layer : layers)
      range.add(layer.sqnr.value_or(0));
    return Axis(hasOutputs ? 610 : 700, 200, range.low, range.high);
  }
  Axis makeOutputs() const {
    Range range;
    for (const LayerReport &layer : layers) {
      range.add(layer.getOutputSQNR().value_or(0));
      if (layer.measured) {
        range.add(layer.measured->sqnr.mean + layer.measured->sqnr.deviation);
        range.add(layer.measured->sqnr.mean - layer.measured->sqnr.deviation);
      }
    }
    return Axis(860, 240, range.low, range.high);
  }
  Axis makeBits() const {
    return Axis(hasOutputs ? 1150 : 950, hasOutputs ? 130 : 160, 0,
                getLargest(layers, [](const LayerReport &layer) {
                  return layer.getBitsPerWeight();
                }));
  }

  void writeOutput(llvm::raw_ostream &os, const LayerReport &layer,
                   double middle) const;
  void writeRow(llvm::raw_ostream &os, const LayerReport &layer,
                double top) const;

  const std::vector<LayerReport> &layers;
  bool hasOutputs;
  Axis bytes, sqnr, outputs, bits;
};
} // namespace

void LayerPlot::writeHead(llvm::raw_ostream &os) const {
  os << formatv("<svg class='head' viewBox='0 0 {0:f0} 46' aria-hidden='true'>"
                "\n",
                getWidth());
  bytes.writeHead(os, "Bytes", formatRoundBytes);
  os << "<rect class='before' x='340' y='10' width='9' height='9'/>"
        "<text class='soft' x='354' y='18'>float</text>"
        "<rect class='after' x='400' y='10' width='9' height='9'/>"
        "<text class='soft' x='414' y='18'>quantized</text>\n";
  sqnr.writeHead(os, "SQNR of the weight in dB", formatPlain);
  if (hasOutputs) {
    outputs.writeHead(os, "Output in dB", formatPlain);
    os << "<path class='only' d='M948 10l4.5 4.5l-4.5 4.5l-4.5 -4.5z'/>"
          "<text class='soft' x='957' y='18'>weight alone</text>"
          "<circle class='dot' cx='1042' cy='14' r='4.5'/>"
          "<text class='soft' x='1051' y='18'>measured</text>\n";
  }
  bits.writeHead(os, "Bits per weight", formatPlain);
  os << "</svg>\n";
}

/// What is to be expected from the weight, and what was measured: a dot for the
/// mean of the samples and a bar of one standard deviation to either side.
void LayerPlot::writeOutput(llvm::raw_ostream &os, const LayerReport &layer,
                            double middle) const {
  if (const std::optional<MeasuredOutput> &found = layer.measured) {
    double mean = found->sqnr.mean, deviation = found->sqnr.deviation;
    double left = outputs.place(mean - deviation),
           right = outputs.place(mean + deviation);
    if (deviation > 0)
      os << formatv("<path class='bar' d='M{0:f1} {2:f1}v8M{0:f1} {3:f1}H{1:f1}"
                    "M{1:f1} {2:f1}v8'/>",
                    left, right, middle - 4, middle);
    os << formatv("<circle class='dot' cx='{0:f1}' cy='{1:f1}' r='4.5'/>",
                  outputs.place(mean), middle);
  }
  if (std::optional<double> expected = layer.getOutputSQNR())
    os << formatv("<path class='only' d='M{0:f1} {1:f1}l4.5 4.5l-4.5 4.5l-4.5 "
                  "-4.5z'/>",
                  outputs.place(*expected), middle - 4.5);
}

void LayerPlot::writeRow(llvm::raw_ostream &os, const LayerReport &layer,
                         double top) const {
  std::string name = escapeHTML(layer.name);
  os << formatv("<g class='row'><title>{0}: {1}, {2} before, {3} after", name,
                escapeHTML(layer.scheme), formatBytes(layer.floatBytes),
                formatBytes(layer.bytes));
  if (layer.sqnr)
    os << formatv(", SQNR {0:f2} dB", *layer.sqnr);
  if (std::optional<double> expected = layer.getOutputSQNR())
    os << formatv(", output {0:f2} dB by the weight alone", *expected);
  if (layer.measured)
    os << formatv(", measured {0:f2} \xc2\xb1 {1:f2} dB",
                  layer.measured->sqnr.mean, layer.measured->sqnr.deviation);
  os << formatv(", {0:f3} bits per weight</title>", layer.getBitsPerWeight());
  os << formatv("<rect class='hit' x='0' y='{0:f1}' width='{1:f0}' "
                "height='{2:f1}' fill='transparent'/><text x='4' y='{3:f1}'>"
                "{4}</text>",
                top, getWidth(), rowHeight, top + 16,
                escapeHTML(elide(layer.name)));
  // A bar that is longer than the axis ends in its number.
  auto writeBar = [&](StringRef kind, const Axis &axis, double value,
                      double offset, double height,
                      llvm::function_ref<std::string(double)> format) {
    double left = axis.getZero(), right = axis.place(value);
    os << formatv("<rect class='{0}' x='{1:f1}' y='{2:f1}' width='{3:f1}' "
                  "height='{4:f1}'/>",
                  kind, left, top + offset, right - left, height);
    if (axis.isBeyond(value))
      os << formatv("<text class='end' x='{0:f1}' y='{1:f1}'>{2}</text>",
                    right - 3, top + 16, format(value));
  };
  auto formatSize = [](double value) { return formatBytes(value); };
  writeBar("before", bytes, layer.floatBytes, layer.isQuantized() ? 4 : 8, 7,
           formatSize);
  if (layer.isQuantized())
    writeBar("after", bytes, layer.bytes, 12, 7, formatSize);
  if (layer.sqnr)
    os << formatv("<circle class='dot' cx='{0:f1}' cy='{1:f1}' r='4.5'/>",
                  sqnr.place(*layer.sqnr), top + 12);
  writeOutput(os, layer, top + 12);
  writeBar(layer.isQuantized() ? "after" : "before", bits,
           layer.getBitsPerWeight(), 7.5, 9, formatPlain);
  os << "</g>\n";
}

void LayerPlot::writeRows(llvm::raw_ostream &os) const {
  double bottom = rowHeight * layers.size();
  os << formatv("<svg viewBox='0 0 {0:f0} {1:f0}' role='img' aria-label='Bytes,"
                " errors and bits per weight of each layer'>\n",
                getWidth(), bottom + 8);
  bytes.writeGrid(os, bottom);
  sqnr.writeGrid(os, bottom);
  if (hasOutputs)
    outputs.writeGrid(os, bottom);
  bits.writeGrid(os, bottom);
  for (size_t i = 0; i < layers.size(); ++i)
    writeRow(os, layers[i], rowHeight * i);
  os << "</svg>\n";
}

void nibble::writeLayerPlot(llvm::raw_ostream &os,
                            const std::vector<LayerReport> &layers) {
  LayerPlot plot(layers);
  plot.writeHead(os);
  plot.writeRows(os);
}

//===----------------------------------------------------------------------===//
// Histograms
//===----------------------------------------------------------------------===//

/// Writes a histogram as one path of whole units, in a box of 98 x 32.
static void writeSteps(llvm::raw_ostream &os, StringRef kind,
                       const quantizer::Histogram &histogram, int64_t most) {
  constexpr int width = 98, height = 32;
  int bins = histogram.counts.size(), last = height;
  os << "<path class='" << kind << "' d='M0 " << height;
  for (int bin = 0; bin < bins; ++bin) {
    double share =
        std::sqrt(double(histogram.counts[bin]) / std::max<int64_t>(most, 1));
    // A count that is not zero is seen.
    int top = height - static_cast<int>(std::ceil((height - 1) * share));
    if (top != last)
      os << 'H' << bin * width / bins << 'V' << top;
    last = top;
  }
  os << 'H' << width << 'V' << height << "Z'/>";
}

static int64_t getMost(const quantizer::Histogram &histogram) {
  return histogram.counts.empty() ? 0 : *llvm::max_element(histogram.counts);
}

void nibble::writeHistograms(llvm::raw_ostream &os,
                             const quantizer::WeightHistograms &histograms) {
  auto open = [&](StringRef what) {
    os << "<figure><svg viewBox='0 0 98 32' role='img' aria-label='" << what
       << "'>";
  };
  auto close = [&](StringRef what, double limit) {
    os << "</svg><figcaption>" << what << ", \xc2\xb1"
       << llvm::format("%.3g", limit) << "</figcaption></figure>";
  };
  int64_t most =
      std::max(getMost(histograms.before), getMost(histograms.after));
  open("weights before and after");
  writeSteps(os, "before", histograms.before, most);
  writeSteps(os, "line", histograms.after, most);
  close("weights", histograms.before.limit);
  open("errors of the weights");
  writeSteps(os, "dot", histograms.errors, getMost(histograms.errors));
  close("errors", histograms.errors.limit);
}
