//===- Progress.cpp - How far a long task is ------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/Progress.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Process.h"
#include <algorithm>
#include <chrono>

using namespace nibble;
using llvm::StringRef;

std::optional<ProgressMode> nibble::symbolizeProgressMode(StringRef name) {
  return llvm::StringSwitch<std::optional<ProgressMode>>(name)
      .Case("auto", ProgressMode::Auto)
      .Case("always", ProgressMode::Always)
      .Case("never", ProgressMode::Never)
      .Default(std::nullopt);
}

static unsigned getTerminalColumns() {
  if (!llvm::sys::Process::StandardErrIsDisplayed())
    return 0;
  unsigned columns = llvm::sys::Process::StandardErrColumns();
  return columns ? columns : 80;
}

static double getSeconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Progress::Progress(ProgressMode mode)
    : Progress(llvm::errs(), getTerminalColumns(), mode, getSeconds) {}

Progress::Progress(llvm::raw_ostream &os, unsigned columns, ProgressMode mode,
                   Clock clock)
    : os(os), columns(columns),
      enabled(mode == ProgressMode::Always ||
              (mode == ProgressMode::Auto && columns > 0)),
      clock(std::move(clock)) {}

Progress::~Progress() { finish(); }

void Progress::start(double weight) {
  startTime = lastDraw = clock();
  totalWeight = std::max(weight, 1e-9);
  doneWeight = stepWeight = fraction = 0;
  label.clear();
}

void Progress::beginStep(double weight, StringRef newLabel) {
  doneWeight += stepWeight;
  stepWeight = weight;
  update(0, newLabel);
}

void Progress::update(double newFraction, StringRef newLabel) {
  fraction = std::clamp(newFraction, 0.0, 1.0);
  if (!enabled)
    return;
  label = newLabel.str();
  // Names from a model must not move the cursor.
  for (char &c : label)
    if (!llvm::isPrint(c))
      c = '?';
  draw();
}

void Progress::finish() {
  doneWeight += stepWeight;
  stepWeight = 0;
  clear();
}

void Progress::clear() {
  if (!isDrawn)
    return;
  os << "\r\033[K";
  os.flush();
  isDrawn = false;
}

/// "less than a minute" is too vague for a bar, a tenth of a second too exact.
static std::string formatDuration(double seconds) {
  int64_t whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60)
    return llvm::formatv("{0} s", std::max<int64_t>(whole, 1));
  if (whole < 3600)
    return llvm::formatv("{0} min {1} s", whole / 60, whole % 60);
  return llvm::formatv("{0} h {1} min", whole / 3600, whole % 3600 / 60);
}

std::string Progress::makeLine() const {
  double done =
      std::clamp((doneWeight + fraction * stepWeight) / totalWeight, 0.0, 1.0);
  std::string end = llvm::formatv("{0,3} %", static_cast<int>(done * 100));
  double elapsed = lastDraw - startTime;
  // The first moments say nothing about the rest.
  if (elapsed >= 1 && done > 0.01)
    end += ", " + formatDuration(elapsed * (1 - done) / done) + " left";
  if (columns == 0)
    return end + "  " + label;
  constexpr unsigned barWidth = 24;
  unsigned filled = static_cast<unsigned>(done * barWidth);
  std::string line = "[" + std::string(filled, '#') +
                     std::string(barWidth - filled, '.') + "] " + end + "  ";
  // The last column stays free: writing to it would scroll. Names differ at
  // their ends.
  unsigned room = columns > line.size() + 1 ? columns - line.size() - 1 : 0;
  if (label.size() <= room)
    return line + label;
  if (room >= 8)
    return line + ".." + label.substr(label.size() - (room - 2));
  return line.substr(0, columns ? columns - 1 : 0);
}

void Progress::draw() {
  double now = clock();
  if (now - lastDraw < (columns ? 0.1 : 1.0))
    return;
  lastDraw = now;
  if (columns) {
    os << '\r' << makeLine() << "\033[K";
    isDrawn = true;
  } else {
    os << makeLine() << '\n';
  }
  os.flush();
}

static thread_local Progress *current = nullptr;

Progress *Progress::getCurrent() { return current; }

Progress::Scope::Scope(Progress &progress) : previous(current) {
  current = &progress;
}

Progress::Scope::~Scope() { current = previous; }

void nibble::reportProgress(uint64_t done, uint64_t total, StringRef label) {
  if (Progress *progress = Progress::getCurrent())
    progress->update(total ? double(done) / total : 0, label);
}
