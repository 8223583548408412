//===- AtomicFileTest.cpp -------------------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/AtomicFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <csignal>
#include <sys/resource.h>

using namespace nibble;
namespace fs = llvm::sys::fs;

namespace {
class AtomicFileTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(fs::createUniqueDirectory("nibble-atomic", folder));
    path = folder;
    llvm::sys::path::append(path, "out.bin");
  }
  void TearDown() override { fs::remove_directories(folder); }

  /// Number of entries of the folder: temporary files count.
  int countFiles() {
    int count = 0;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; it != end;
         it.increment(error))
      ++count;
    return count;
  }

  llvm::SmallString<128> folder, path;
};
} // namespace

TEST_F(AtomicFileTest, AppearsOnlyWhenCommitted) {
  auto file = AtomicFile::create(path);
  ASSERT_TRUE(static_cast<bool>(file));
  file->os() << "whole";
  EXPECT_FALSE(fs::exists(path));
  ASSERT_FALSE(static_cast<bool>(file->commit()));
  auto buffer = llvm::MemoryBuffer::getFile(path);
  ASSERT_TRUE(static_cast<bool>(buffer));
  EXPECT_EQ((*buffer)->getBuffer(), "whole");
  EXPECT_EQ(countFiles(), 1);
}

TEST_F(AtomicFileTest, LeavesTheOldFileWhenNotCommitted) {
  {
    auto file = AtomicFile::create(path);
    ASSERT_TRUE(static_cast<bool>(file));
    file->os() << "old";
    ASSERT_FALSE(static_cast<bool>(file->commit()));
  }
  {
    auto file = AtomicFile::create(path);
    ASSERT_TRUE(static_cast<bool>(file));
    file->os() << "half of the new o";
  }
  EXPECT_EQ((*llvm::MemoryBuffer::getFile(path))->getBuffer(), "old");
  EXPECT_EQ(countFiles(), 1);
}

TEST_F(AtomicFileTest, NamesThePathThatCannotBeWritten) {
  llvm::sys::path::append(path, "missing", "x");
  auto file = AtomicFile::create(path);
  ASSERT_FALSE(static_cast<bool>(file));
  std::string message = llvm::toString(file.takeError());
  EXPECT_NE(message.find(path.str().str()), std::string::npos) << message;
}

TEST_F(AtomicFileTest, ReportsDataThatDoesNotFit) {
  // A limit on the size of files makes writes fail as a full disk does.
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit limit = {4096, before.rlim_max};
  auto *handler = ::signal(SIGXFSZ, SIG_IGN);
  auto file = AtomicFile::create(path);
  ASSERT_TRUE(static_cast<bool>(file));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  file->os() << std::string(1 << 20, 'x');
  llvm::Error error = file->commit();
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  ASSERT_TRUE(static_cast<bool>(error));
  EXPECT_NE(llvm::toString(std::move(error)).find("File too large"),
            std::string::npos);
  EXPECT_EQ(countFiles(), 0);
}

TEST_F(AtomicFileTest, WritesToDevicesInPlace) {
  if (!fs::exists("/dev/full"))
    GTEST_SKIP() << "no /dev/full here";
  auto file = AtomicFile::create("/dev/null");
  ASSERT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  file->os() << "nothing";
  EXPECT_FALSE(static_cast<bool>(file->commit()));
  EXPECT_FALSE(fs::is_regular_file("/dev/null"));

  auto full = AtomicFile::create("/dev/full");
  ASSERT_TRUE(static_cast<bool>(full)) << llvm::toString(full.takeError());
  full->os() << "nothing";
  EXPECT_EQ(llvm::toString(full->commit()),
            "can't write '/dev/full': No space left on device");
}

TEST_F(AtomicFileTest, FinishedFilesHaveNoNameYet) {
  auto file = AtomicFile::create(path);
  ASSERT_TRUE(static_cast<bool>(file));
  file->os() << "whole";
  ASSERT_FALSE(file->finish());
  EXPECT_FALSE(fs::exists(path));
  ASSERT_FALSE(file->commit());
  auto buffer = llvm::MemoryBuffer::getFile(path);
  ASSERT_TRUE(static_cast<bool>(buffer));
  EXPECT_EQ((*buffer)->getBuffer(), "whole");
}

TEST_F(AtomicFileTest, ChecksWithoutWriting) {
  EXPECT_FALSE(AtomicFile::check(path));
  EXPECT_EQ(countFiles(), 0);
  EXPECT_FALSE(AtomicFile::check("/dev/null"));
  EXPECT_NE(llvm::toString(AtomicFile::check(folder)).find("can't write '"),
            std::string::npos);
  llvm::sys::path::append(path, "inside");
  EXPECT_TRUE(llvm::errorToBool(AtomicFile::check(path)));
}
