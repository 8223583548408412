//===- ReportHTML.cpp - The report as a page ------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/Report.h"
#include "nibble/Support/Size.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <algorithm>
#include <cmath>

using namespace nibble;
using llvm::formatv;
using llvm::StringRef;

// Two hues and greys carry all meaning, and every mark has a number beside it
// or in its tooltip, so that nothing depends on telling colours apart.
static constexpr StringRef styleSheet = R"(
:root { color-scheme: light dark; --page: #fcfcfb; --card: #ffffff;
  --ink: #1b1b1a; --soft: #5f5e5a; --line: #e2e1dc; --before: #c9c8c2;
  --after: #2a78d6; --dot: #1baf7a; }
@media (prefers-color-scheme: dark) { :root { --page: #161615; --card: #1f1f1d;
  --ink: #f1f0ec; --soft: #a9a8a1; --line: #383733; --before: #55544f;
  --after: #5598e7; --dot: #33c48f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 22px; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 32px 0 10px; }
p { color: var(--soft); margin: 0 0 18px; }
.tiles { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); }
.tile, .card { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }
.tile { padding: 12px 14px; min-width: 0; }
.tile b { display: block; font-size: 22px; font-weight: 600; line-height: 1.3; }
.tile span { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.card { overflow: auto; max-height: 640px; }
svg { display: block; min-width: 900px; width: 100%; height: auto; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .soft { fill: var(--soft); }
svg .grid { stroke: var(--line); }
svg .row:hover rect.hit { fill: var(--line); fill-opacity: 0.5; }
.before { fill: var(--before); } .after { fill: var(--after); }
.dot { fill: var(--dot); }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 6px 10px; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.note { white-space: normal; min-width: 160px; color: var(--soft); }
td:first-child, th { background: var(--card); }
td:first-child { position: sticky; left: 0; }
th { position: sticky; top: 0; z-index: 1; padding: 0; }
th:first-child { left: 0; z-index: 2; }
th button { all: unset; cursor: pointer; padding: 8px 10px; width: 100%;
  box-sizing: border-box; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--after); outline-offset: -2px; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
)";

static constexpr StringRef script = R"(
const table = document.querySelector("table"), body = table.tBodies[0];
const heads = [...table.tHead.rows[0].cells];
heads.forEach((head, column) => head.firstChild.onclick = () => {
  const down = head.getAttribute("aria-sort") === "ascending";
  heads.forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const numeric = head.classList.contains("number");
  const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const compare = (a, b) => {
    const x = key(a), y = key(b);
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = numeric ? x - y : x.localeCompare(y, undefined, {numeric: true});
    return down ? -order : order;
  };
  body.append(...[...body.rows].sort(compare));
});
)";

static std::string escape(StringRef text) {
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

static std::string formatShape(const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t size : shape)
    text += (text.empty() ? "" : " \xc3\x97 ") + std::to_string(size);
  return text;
}

namespace {
/// One column of the plot: a linear axis from zero.
class Axis {
public:
  Axis(double left, double width, double largest) : left(left), width(width) {
    // About four steps of 1, 2 or 5 times a power of ten.
    limit = std::max(largest, 1e-9) * 1.04;
    double power = std::pow(10, std::floor(std::log10(limit / 4)));
    for (double factor : {1, 2, 5, 10})
      if ((tick = factor * power) >= limit / 4)
        break;
  }
  double scale(double value) const {
    return width * std::clamp(value / limit, 0.0, 1.0);
  }
  double place(double value) const { return left + scale(value); }
  double getLeft() const { return left; }
  void write(llvm::raw_ostream &os, StringRef title, double bottom,
             llvm::function_ref<std::string(double)> format) const {
    os << formatv("<text x='{0:f1}' y='18' font-weight='600'>{1}</text>\n",
                  left, title);
    for (double value = 0; value <= limit; value += tick)
      os << formatv("<line class='grid' x1='{0:f1}' x2='{0:f1}' y1='42' "
                    "y2='{1:f1}'/><text class='soft' x='{0:f1}' y='36' "
                    "text-anchor='middle'>{2}</text>\n",
                    place(value), bottom, format(value));
  }

private:
  double left, width, tick = 1, limit = 1;
};
} // namespace

/// One row per layer: bytes before and after, SQNR, bits per weight.
static void writePlot(llvm::raw_ostream &os,
                      const std::vector<LayerReport> &layers) {
  constexpr double top = 46, rowHeight = 24;
  double bottom = top + rowHeight * layers.size();
  double bytes = 0, sqnr = 0, bits = 0;
  for (const LayerReport &layer : layers) {
    bytes = std::max<double>(
        {bytes, double(layer.bytes), double(layer.floatBytes)});
    sqnr = std::max(sqnr, layer.sqnr.value_or(0));
    bits = std::max(bits, layer.getBitsPerWeight());
  }
  Axis bytesAxis(290, 360, bytes), sqnrAxis(700, 200, sqnr),
      bitsAxis(950, 160, bits);
  auto plain = [](double value) {
    std::string text;
    llvm::raw_string_ostream(text) << llvm::format("%g", value);
    return text;
  };
  // A round number of kB, MB or GB.
  auto roundBytes = [&](double value) {
    std::string text = formatBytes(value);
    auto [number, unit] = StringRef(text).split(' ');
    double rounded = 0;
    number.getAsDouble(rounded);
    return value == 0 ? "0" : plain(rounded) + " " + unit.str();
  };
  os << formatv("<svg viewBox='0 0 1140 {0:f0}' role='img' aria-label='Bytes, "
                "SQNR and bits per weight of each layer'>\n",
                bottom + 8);
  bytesAxis.write(os, "Bytes", bottom, roundBytes);
  os << "<rect class='before' x='340' y='10' width='9' height='9'/>"
        "<text class='soft' x='354' y='18'>float</text>"
        "<rect class='after' x='400' y='10' width='9' height='9'/>"
        "<text class='soft' x='414' y='18'>quantized</text>\n";
  sqnrAxis.write(os, "SQNR in dB", bottom, plain);
  bitsAxis.write(os, "Bits per weight", bottom, plain);
  for (size_t i = 0; i < layers.size(); ++i) {
    const LayerReport &layer = layers[i];
    double y = top + rowHeight * i;
    std::string sqnrText =
        layer.sqnr ? std::string(formatv("{0:f2} dB", *layer.sqnr)) : "none";
    os << formatv("<g class='row'><title>{0}: {1}, {2} before, {3} after, SQNR "
                  "{4}, {5:f3} bits per weight</title>",
                  escape(layer.name), escape(layer.scheme),
                  formatBytes(layer.floatBytes), formatBytes(layer.bytes),
                  sqnrText, layer.getBitsPerWeight());
    os << formatv("<rect class='hit' x='0' y='{0:f1}' width='1140' "
                  "height='{1:f1}' fill='none' pointer-events='all'/>",
                  y, rowHeight);
    os << formatv("<text x='278' y='{0:f1}' text-anchor='end'>{1}</text>",
                  y + 16, escape(elide(layer.name)));
    auto writeBar = [&](StringRef kind, double top, double bytes) {
      os << formatv("<rect class='{0}' x='{1:f1}' y='{2:f1}' width='{3:f1}' "
                    "height='7'/>",
                    kind, bytesAxis.getLeft(), y + top, bytesAxis.scale(bytes));
    };
    writeBar("before", layer.isQuantized() ? 4 : 8, layer.floatBytes);
    if (layer.isQuantized())
      writeBar("after", 12, layer.bytes);
    if (layer.sqnr)
      os << formatv("<circle class='dot' cx='{0:f1}' cy='{1:f1}' r='4.5'/>",
                    sqnrAxis.place(*layer.sqnr), y + 12);
    os << formatv("<rect class='{0}' x='{1:f1}' y='{2:f1}' width='{3:f1}' "
                  "height='9'/></g>\n",
                  layer.isQuantized() ? "after" : "before", bitsAxis.getLeft(),
                  y + 7.5, bitsAxis.scale(layer.getBitsPerWeight()));
  }
  os << "</svg>\n";
}

static void writeRow(llvm::raw_ostream &os, const LayerReport &layer) {
  auto writeText = [&](StringRef text) {
    os << "<td>" << escape(text) << "</td>";
  };
  auto writeNumber = [&](double value, StringRef text) {
    os << formatv("<td class='number' data-value='{0:e8}'>{1}</td>", value,
                  text);
  };
  auto writeOptional = [&](std::optional<double> value, const char *format) {
    if (!value) {
      os << "<td class='number' data-value=''></td>";
      return;
    }
    std::string text;
    llvm::raw_string_ostream(text) << llvm::format(format, *value);
    writeNumber(*value, text);
  };
  os << "<tr>";
  writeText(layer.name);
  writeText(layer.operatorType);
  writeNumber(layer.numWeights, formatShape(layer.shape));
  writeText(layer.scheme);
  writeText(layer.method);
  if (layer.isQuantized())
    writeNumber(layer.groupSize < 1 ? 1e18 : layer.groupSize,
                layer.groupSize == -1  ? "row"
                : layer.groupSize == 0 ? "tensor"
                                       : std::to_string(layer.groupSize));
  else
    os << "<td class='number' data-value=''></td>";
  writeText(!layer.isQuantized() ? ""
            : layer.symmetric    ? "symmetric"
                                 : "asymmetric");
  writeOptional(layer.getBitsPerWeight(), "%.3f");
  writeNumber(layer.floatBytes, formatBytes(layer.floatBytes));
  writeNumber(layer.bytes, formatBytes(layer.bytes));
  writeOptional(layer.sqnr, "%.2f");
  writeOptional(layer.cosine, "%.6f");
  writeOptional(layer.maxAbsError, "%.3g");
  std::string note = layer.reason;
  if (!layer.sharedWith.empty())
    note += (note.empty() ? "" : "; ") +
            ("same weight as " + layer.sharedWith + ", counted there");
  os << "<td class='note'>" << escape(note) << "</td></tr>\n";
}

static void writeTable(llvm::raw_ostream &os,
                       const std::vector<LayerReport> &layers) {
  const std::pair<const char *, bool> columns[] = {
      {"Layer", false},        {"Operator", false}, {"Shape", true},
      {"Scheme", false},       {"Method", false},   {"Group", true},
      {"Codes", false},        {"Bits", true},      {"Before", true},
      {"After", true},         {"SQNR dB", true},   {"Cosine", true},
      {"Largest error", true}, {"Note", false}};
  os << "<table><thead><tr>";
  for (auto [title, numeric] : columns)
    os << formatv("<th scope='col'{0}><button type='button'>{1}</button></th>",
                  numeric ? " class='number'" : "", title);
  os << "</tr></thead><tbody>\n";
  for (const LayerReport &layer : layers)
    writeRow(os, layer);
  os << "</tbody></table>\n";
}

static void writeTiles(llvm::raw_ostream &os, const ReportTotals &totals) {
  auto writeTile = [&](StringRef value, StringRef label) {
    os << formatv("<div class='tile'><b>{0}</b><span>{1}</span></div>\n", value,
                  label);
  };
  os << "<div class='tiles'>\n";
  writeTile(formatBytes(totals.bytes),
            "weights, from " + formatBytes(totals.floatBytes));
  if (totals.bytes > 0)
    writeTile(std::string(formatv("{0:f2}\xc3\x97",
                                  double(totals.floatBytes) / totals.bytes)),
              "smaller");
  writeTile(std::string(formatv("{0:f3}", totals.getBitsPerWeight())),
            "bits per weight");
  writeTile(
      std::string(formatv("{0} of {1}", totals.quantizedLayers, totals.layers)),
      "layers quantized");
  if (totals.worst)
    writeTile(std::string(formatv("{0:f2} dB", *totals.worst->sqnr)),
              "lowest SQNR: " + escape(totals.worst->name));
  os << "</div>\n";
}

void Report::writeHTML(llvm::raw_ostream &os) const {
  std::string title = escape(model);
  os << "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
     << "<meta name='viewport' content='width=device-width, "
        "initial-scale=1'>\n"
     << "<title>" << title << " \xe2\x80\x93 quantization report</title>\n"
     << "<style>" << styleSheet << "</style>\n</head>\n<body>\n<main>\n"
     << "<h1>" << title << "</h1>\n<p>Quantization report</p>\n";
  writeTiles(os, getTotals());
  if (layers.empty()) {
    os << "<p>No layer has a weight that can be quantized.</p>\n";
  } else {
    os << "<h2>Per layer</h2>\n<div class='card'>\n";
    writePlot(os, layers);
    os << "</div>\n<h2>Figures</h2>\n<div class='card'>\n";
    writeTable(os, layers);
    os << "</div>\n<script>" << script << "</script>\n";
  }
  os << "</main>\n</body>\n</html>\n";
}
