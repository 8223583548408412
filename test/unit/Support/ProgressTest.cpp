//===- ProgressTest.cpp - How far a long task is --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/Progress.h"
#include "gtest/gtest.h"

using namespace nibble;

namespace {

class ProgressTest : public ::testing::Test {
protected:
  std::string text;
  llvm::raw_string_ostream os{text};
  double now = 100;

  Progress::Clock getClock() {
    return [this] { return now; };
  }
};

TEST_F(ProgressTest, DrawsOverOneLine) {
  Progress progress(os, /*columns=*/80, ProgressMode::Auto, getClock());
  progress.start(4);
  progress.beginStep(1, "import");
  EXPECT_EQ(text, "") << "too early to say anything";
  now += 2;
  progress.beginStep(3, "quantize");
  EXPECT_EQ(text, "\r[######..................]  25 %, 6 s left  quantize"
                  "\033[K");
  text.clear();
  now += 1;
  progress.update(1.0 / 3, "layer.1");
  EXPECT_EQ(text, "\r[############............]  50 %, 3 s left  layer.1"
                  "\033[K");
  text.clear();
  now += 0.05;
  progress.update(0.5, "layer.2");
  EXPECT_EQ(text, "") << "ten times a second at most";
  progress.finish();
  EXPECT_EQ(text, "\r\033[K");
}

TEST_F(ProgressTest, FitsTheTerminal) {
  for (unsigned columns : {1u, 10u, 40u, 47u, 60u, 100u}) {
    Progress progress(os, columns, ProgressMode::Auto, getClock());
    progress.start(1);
    now += 5000;
    text.clear();
    progress.beginStep(1, std::string(300, 'a') + "end\n\033[2J");
    llvm::StringRef line = text;
    ASSERT_TRUE(line.consume_front("\r") && line.consume_back("\033[K"));
    EXPECT_LT(line.size(), columns);
    EXPECT_EQ(line.find('\033'), llvm::StringRef::npos);
    if (columns >= 60)
      EXPECT_TRUE(line.ends_with("aend??[2J")) << line.str();
  }
}

TEST_F(ProgressTest, LinesElsewhere) {
  {
    Progress quiet(os, /*columns=*/0, ProgressMode::Auto, getClock());
    Progress never(os, /*columns=*/80, ProgressMode::Never, getClock());
    for (Progress *progress : {&quiet, &never}) {
      progress->start(1);
      now += 10;
      progress->beginStep(1, "x");
    }
  }
  EXPECT_EQ(text, "");
  Progress always(os, /*columns=*/0, ProgressMode::Always, getClock());
  always.start(100);
  now += 10;
  always.beginStep(10, "a");
  now += 10;
  always.update(0.5, "b");
  always.update(0.6, "c");
  always.finish();
  EXPECT_EQ(text, "  0 %  a\n  5 %, 6 min 20 s left  b\n");
}

TEST_F(ProgressTest, PassesReportToTheCurrentOne) {
  reportProgress(1, 2, "nobody listens");
  Progress progress(os, 0, ProgressMode::Always, getClock());
  progress.start(1);
  progress.beginStep(1, "a");
  {
    Progress::Scope scope(progress);
    now += 2;
    reportProgress(1, 2, "half");
    reportProgress(0, 0, "nothing to do");
  }
  EXPECT_EQ(Progress::getCurrent(), nullptr);
  EXPECT_EQ(text, " 50 %, 2 s left  half\n");
}

} // namespace
