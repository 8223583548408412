//===- Progress.h - How far a long task is ----------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_PROGRESS_H
#define NIBBLE_SUPPORT_PROGRESS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace nibble {

/// `--progress`: on a terminal, everywhere, nowhere.
enum class ProgressMode { Auto, Always, Never };

std::optional<ProgressMode> symbolizeProgressMode(llvm::StringRef name);

/// A line that says how far a task is, what it works on and how long it still
/// takes. On a terminal the line is drawn over and over, at most ten times a
/// second; elsewhere lines follow each other, at most one a second. Belongs to
/// one thread.
class Progress {
public:
  /// Seconds since some moment.
  using Clock = std::function<double()>;

  /// On standard error.
  explicit Progress(ProgressMode mode);
  /// For tests: `columns` is the width of the terminal, 0 if it is none.
  Progress(llvm::raw_ostream &os, unsigned columns, ProgressMode mode,
           Clock clock);
  ~Progress();

  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  /// Starts a task of steps whose weights add up to `totalWeight`; weights are
  /// proportional to the time that steps are expected to take.
  void start(double totalWeight);
  /// Ends the step before, if any, and starts one.
  void beginStep(double weight, llvm::StringRef label);
  /// How much of the step is done, from 0 to 1, and what comes now.
  void update(double fraction, llvm::StringRef label);
  /// Removes the line.
  void finish();
  /// Removes the line before other output on the same terminal; the next update
  /// draws it again.
  void clear();

  /// The progress that the calling thread reports to, or null.
  static Progress *getCurrent();
  /// Makes a progress the current one, as long as the scope lives.
  class Scope {
  public:
    explicit Scope(Progress &progress);
    ~Scope();

  private:
    Progress *previous;
  };

private:
  void draw();
  std::string makeLine() const;

  llvm::raw_ostream &os;
  unsigned columns;
  bool enabled;
  Clock clock;
  double startTime = 0, lastDraw = 0;
  double totalWeight = 1, doneWeight = 0, stepWeight = 0, fraction = 0;
  std::string label;
  bool isDrawn = false;
};

/// Tells the current progress of this thread, if there is one, that `done` of
/// `total` parts of its step are done and which one comes now. Cheap: for loops
/// of passes.
void reportProgress(uint64_t done, uint64_t total, llvm::StringRef label);

} // namespace nibble

#endif // NIBBLE_SUPPORT_PROGRESS_H
