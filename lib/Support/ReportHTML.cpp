//===- ReportHTML.cpp - The report as a page ------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReportChoice.h"
#include "ReportPlots.h"
#include "nibble/Support/Report.h"
#include "nibble/Support/Size.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <functional>

using namespace nibble;
using llvm::formatv;
using llvm::StringRef;

static constexpr size_t maxHistogramsInPage = 300;

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
svg { display: block; }
.card > svg { min-width: 900px; width: 100%; height: auto; }
svg.head { position: sticky; top: 0; background: var(--card); }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .soft { fill: var(--soft); }
svg .end { text-anchor: end; stroke: var(--card); stroke-width: 3px;
  paint-order: stroke; }
svg .grid { stroke: var(--line); }
svg .row:hover rect.hit { fill: var(--line); fill-opacity: 0.5; }
.before { fill: var(--before); } .after { fill: var(--after); }
.dot { fill: var(--dot); }
.only { fill: var(--card); stroke: var(--dot); stroke-width: 1.5; }
.bar { fill: none; stroke: var(--dot); stroke-width: 1.5; }
.line { fill: none; stroke: var(--after); stroke-width: 0.7; }
.frontier { fill: none; stroke: var(--after); stroke-width: 2; }
summary { display: flex; gap: 10px; cursor: pointer; list-style: none; }
figure { margin: 0; }
figure svg { width: 98px; height: 32px; }
figcaption { color: var(--soft); font-size: 11px; display: none; }
details[open] figure svg { width: 294px; height: 96px; }
details[open] figcaption { display: block; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 6px 10px; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.note { white-space: normal; min-width: 160px; color: var(--soft); }
td:first-child, th { background: var(--card); }
td:first-child { position: sticky; left: 0; }
th { position: sticky; top: 0; z-index: 1; padding: 0; }
th:first-child { left: 0; z-index: 2; }
.plain th { padding: 8px 10px; }
th button { all: unset; cursor: pointer; padding: 8px 10px; width: 100%;
  box-sizing: border-box; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--after); outline-offset: -2px; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
)";

static constexpr StringRef script = R"(
const table = document.querySelector("table.sort"), body = table.tBodies[0];
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

static std::string formatShape(const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t size : shape)
    text += (text.empty() ? "" : " \xc3\x97 ") + std::to_string(size);
  return text;
}

//===----------------------------------------------------------------------===//
// Table
//===----------------------------------------------------------------------===//

namespace {
/// A cell: its text, and for columns of numbers what it is sorted by.
struct Cell {
  std::string text;
  std::optional<double> value;
};

struct Column {
  const char *title;
  bool numeric;
  std::function<Cell(const LayerReport &)> make;
};
} // namespace

static Cell makeNumber(std::optional<double> value, const char *format) {
  Cell cell{"", value};
  if (value)
    llvm::raw_string_ostream(cell.text) << llvm::format(format, *value);
  return cell;
}

static Cell makeGroup(const LayerReport &layer) {
  if (!layer.isQuantized())
    return {};
  if (layer.groupSize < 1)
    return {layer.groupSize ? "row" : "tensor", 1e18};
  return {std::to_string(layer.groupSize), layer.groupSize};
}

static Cell makeNote(const LayerReport &layer) {
  std::string note = layer.reason;
  if (layer.rounding && !layer.rounding->fallback.empty())
    note += "rounded to nearest: " + layer.rounding->fallback;
  if (!layer.sharedWith.empty())
    note += (note.empty() ? "" : "; ") +
            ("same weight as " + layer.sharedWith + ", counted there");
  return {note, {}};
}

/// "12.34", or "12.34 ± 0.56" for several samples.
static Cell makeSpread(const std::optional<MeasuredOutput> &measured,
                       Spread MeasuredOutput::*part, const char *format) {
  if (!measured)
    return {};
  const Spread &spread = (*measured).*part;
  Cell cell = makeNumber(spread.mean, format);
  if (measured->samples > 1)
    cell.text += " \xc2\xb1 " + makeNumber(spread.deviation, format).text;
  return cell;
}

static std::vector<Column> makeColumns(const std::vector<LayerReport> &layers) {
  using Layer = const LayerReport &;
  std::vector<Column> columns = {
      {"Layer", false, [](Layer l) { return Cell{l.name, {}}; }},
      {"Operator", false, [](Layer l) { return Cell{l.operatorType, {}}; }},
      {"Shape", true,
       [](Layer l) { return Cell{formatShape(l.shape), l.numWeights}; }},
      {"Scheme", false, [](Layer l) { return Cell{l.scheme, {}}; }},
      {"Method", false, [](Layer l) { return Cell{l.method, {}}; }},
      {"Group", true, makeGroup},
      {"Codes", false,
       [](Layer l) {
         return Cell{!l.isQuantized() ? ""
                     : l.symmetric    ? "symmetric"
                                      : "asymmetric",
                     {}};
       }},
      {"Bits", true,
       [](Layer l) { return makeNumber(l.getBitsPerWeight(), "%.3f"); }},
      {"Before", true,
       [](Layer l) { return Cell{formatBytes(l.floatBytes), l.floatBytes}; }},
      {"After", true,
       [](Layer l) { return Cell{formatBytes(l.bytes), l.bytes}; }},
      {"SQNR dB", true, [](Layer l) { return makeNumber(l.sqnr, "%.2f"); }},
      {"Cosine", true, [](Layer l) { return makeNumber(l.cosine, "%.6f"); }},
      {"Largest error", true,
       [](Layer l) { return makeNumber(l.maxAbsError, "%.3g"); }}};
  if (llvm::any_of(layers, [](Layer l) { return l.outputError.has_value(); }))
    columns.push_back({"Output dB, weight alone", true, [](Layer l) {
                         Cell cell = makeNumber(l.getOutputSQNR(), "%.2f");
                         if (cell.value && l.outputErrorBasis ==
                                               OutputErrorBasis::MeanSquares)
                           cell.text = "\xe2\x89\x88 " + cell.text;
                         return cell;
                       }});
  if (llvm::any_of(layers, [](Layer l) { return l.rounding.has_value(); })) {
    auto makeFigure = [](std::optional<double> CalibratedRounding::*part) {
      return [part](Layer l) {
        return makeNumber(l.rounding ? (*l.rounding).*part : std::nullopt,
                          "%.4g");
      };
    };
    columns.push_back({"Loss", true, makeFigure(&CalibratedRounding::loss)});
    columns.push_back({"Damping", true, makeFigure(&CalibratedRounding::damp)});
    columns.push_back({"Calibration rows", true, [](Layer l) {
                         return l.rounding
                                    ? Cell{std::to_string(l.rounding->rows),
                                           l.rounding->rows}
                                    : Cell();
                       }});
  }
  if (llvm::any_of(layers, [](Layer l) { return l.measured.has_value(); })) {
    columns.push_back({"Output dB, measured", true, [](Layer l) {
                         return makeSpread(l.measured, &MeasuredOutput::sqnr,
                                           "%.2f");
                       }});
    columns.push_back({"Output cosine", true, [](Layer l) {
                         return makeSpread(l.measured, &MeasuredOutput::cosine,
                                           "%.5f");
                       }});
  }
  columns.push_back({"Note", false, makeNote});
  return columns;
}

/// Which layers have their histograms in the page: those with the least SQNR,
/// so that the page of a large model stays small.
static std::vector<bool>
chooseHistograms(const std::vector<LayerReport> &layers) {
  std::vector<size_t> order;
  for (size_t i = 0; i < layers.size(); ++i)
    if (layers[i].histograms)
      order.push_back(i);
  llvm::stable_sort(order, [&](size_t a, size_t b) {
    return layers[a].sqnr.value_or(maxMeasuredSQNR) <
           layers[b].sqnr.value_or(maxMeasuredSQNR);
  });
  std::vector<bool> chosen(layers.size());
  for (size_t i : llvm::ArrayRef(order).take_front(maxHistogramsInPage))
    chosen[i] = true;
  return chosen;
}

static void writeCell(llvm::raw_ostream &os, const Column &column,
                      const LayerReport &layer) {
  Cell cell = column.make(layer);
  if (!column.numeric) {
    bool isNote = StringRef(column.title) == "Note";
    os << (isNote ? "<td class='note'>" : "<td>") << escapeHTML(cell.text)
       << "</td>";
    return;
  }
  os << "<td class='number' data-value='";
  if (cell.value)
    os << formatv("{0:e8}", *cell.value);
  os << "'>" << cell.text << "</td>";
}

/// Sorted by the largest error, relative to the largest weight.
static void writePictures(llvm::raw_ostream &os, const LayerReport &layer,
                          bool chosen) {
  os << "<td class='number' data-value='";
  if (chosen) {
    const quantizer::WeightHistograms &shown = *layer.histograms;
    os << formatv("{0:e8}'><details><summary title='larger'>",
                  shown.errors.limit / std::max(shown.before.limit, 1e-38));
    writeHistograms(os, shown);
    os << "</summary></details></td>";
  } else {
    os << "'></td>";
  }
}

static void writeTable(llvm::raw_ostream &os,
                       const std::vector<LayerReport> &layers) {
  std::vector<Column> columns = makeColumns(layers);
  std::vector<bool> chosen = chooseHistograms(layers);
  bool hasHistograms = llvm::is_contained(chosen, true);
  os << "<table class='sort'><thead><tr>";
  auto writeTitle = [&](StringRef title, bool numeric) {
    os << formatv("<th scope='col'{0}><button type='button'>{1}</button></th>",
                  numeric ? " class='number'" : "", title);
  };
  // Pictures stand beside the name: they are looked for by it.
  for (const Column &column : columns) {
    writeTitle(column.title, column.numeric);
    if (hasHistograms && &column == &columns.front())
      writeTitle("Weights and errors", true);
  }
  os << "</tr></thead><tbody>\n";
  for (size_t i = 0; i < layers.size(); ++i) {
    os << "<tr>";
    for (const Column &column : columns) {
      writeCell(os, column, layers[i]);
      if (hasHistograms && &column == &columns.front())
        writePictures(os, layers[i], chosen[i]);
    }
    os << "</tr>\n";
  }
  os << "</tbody></table>\n";
}

//===----------------------------------------------------------------------===//
// Page
//===----------------------------------------------------------------------===//

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
              "lowest SQNR: " + escapeHTML(totals.worst->name));
  os << "</div>\n";
}

/// What the pictures show and where the errors of outputs come from.
static void writeExplanation(llvm::raw_ostream &os, const Report &report) {
  auto has = [&](auto predicate) {
    return llvm::any_of(report.layers, predicate);
  };
  os << "<p>SQNR is the signal to noise ratio of the weight: 10 dB more is a "
        "tenth of the squared error.";
  if (has([](const LayerReport &layer) { return layer.outputError; }))
    os << " <b>Output, weight alone</b>: that of the layer's output when only "
          "its own weight is quantized, over the inputs of "
       << escapeHTML(report.calibration)
       << "; \xe2\x89\x88 marks an estimate from the mean squares of the "
          "input channels.";
  if (has([](const LayerReport &layer) { return layer.measured; }))
    os << " <b>Output, measured</b>: that of the layer's output in the "
          "quantized model, the errors of all layers before it included, on "
          "samples of "
       << escapeHTML(report.data)
       << ": mean and standard deviation over the samples.";
  if (has([](const LayerReport &layer) { return layer.histograms; }))
    os << formatv(" <b>Histograms</b>: the weight in float (filled) and "
                  "quantized (line), and the errors; heights are square roots "
                  "of counts. A click makes one larger. At most {0} layers, "
                  "those of least SQNR, have them.",
                  maxHistogramsInPage);
  os << "</p>\n";
}

static void writeOutputs(llvm::raw_ostream &os,
                         const std::vector<OutputReport> &outputs) {
  os << "<h2>Outputs of the model</h2>\n<div class='card'><table class='plain'>"
        "<thead><tr><th>Output</th><th class='number'>SQNR dB</th>"
        "<th class='number'>least</th><th class='number'>Cosine</th>"
        "<th class='number'>least</th><th class='number'>Samples</th></tr>"
        "</thead><tbody>\n";
  auto writeNumber = [&](StringRef text) {
    os << "<td class='number'>" << text << "</td>";
  };
  for (const OutputReport &output : outputs) {
    const MeasuredOutput &found = output.measured;
    os << "<tr><td>" << escapeHTML(output.name) << "</td>";
    writeNumber(makeSpread(found, &MeasuredOutput::sqnr, "%.2f").text);
    writeNumber(makeNumber(found.sqnr.least, "%.2f").text);
    writeNumber(makeSpread(found, &MeasuredOutput::cosine, "%.5f").text);
    writeNumber(makeNumber(found.cosine.least, "%.5f").text);
    writeNumber(std::to_string(found.samples));
    os << "</tr>\n";
  }
  os << "</tbody></table></div>\n";
}

void Report::writeHTML(llvm::raw_ostream &os) const {
  std::string title = escapeHTML(model);
  os << "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
     << "<meta name='viewport' content='width=device-width, "
        "initial-scale=1'>\n"
     << "<title>" << title << " \xe2\x80\x93 quantization report</title>\n"
     << "<style>" << styleSheet << "</style>\n</head>\n<body>\n<main>\n"
     << "<h1>" << title << "</h1>\n<p>Quantization report</p>\n";
  writeTiles(os, getTotals());
  if (!outputs.empty())
    writeOutputs(os, outputs);
  if (choice)
    writeChoiceSection(os, *choice);
  if (layers.empty()) {
    os << "<p>No layer has a weight that can be quantized.</p>\n";
  } else {
    os << "<h2>Per layer</h2>\n";
    writeExplanation(os, *this);
    os << "<div class='card'>\n";
    writeLayerPlot(os, layers);
    os << "</div>\n<h2>Figures</h2>\n<div class='card'>\n";
    writeTable(os, layers);
    os << "</div>\n<script>" << script << "</script>\n";
  }
  os << "</main>\n</body>\n</html>\n";
}
