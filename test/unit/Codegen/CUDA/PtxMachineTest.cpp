//===- PtxMachineTest.cpp - The interpreter finds what it is to find
//--------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PtxMachine.h"
#include "gtest/gtest.h"

using namespace nibble::test;

namespace {

/// Runs a kernel of one block of 64 threads: %r0 is the thread, %rd0 the
/// buffer of 64 words, %r1 4 * thread.
class Machine {
public:
  alignas(16) uint32_t words[64];
  PtxStatistics statistics;

  std::string run(llvm::StringRef body) {
    std::string text = R"(
.version 8.0
.target sm_80
.extern .shared .align 128 .b8 sh[];
.visible .entry k(
	.param .u64 .ptr .global .align 1 k_param_0
)
{
	.reg .pred 	%p<9>;
	.reg .b32 	%r<9>;
	ld.param.b64 	%rd0, [k_param_0];
	mov.u32 	%r0, %tid.x;
	shl.b32 	%r1, %r0, 2;
	cvt.u64.u32 	%rd1, %r1;
	add.s64 	%rd2, %rd0, %rd1;
)" + body.str() + "\n\tret;\n}\n";
    auto module = PtxModule::parse(text);
    if (!module)
      return llvm::toString(module.takeError());
    PtxMachine machine(std::move(*module));
    machine.lend(words, sizeof(words), true);
    llvm::Error failure = machine.launch("k", {1, 1, 1}, {64, 1, 1}, 1024,
                                         {reinterpret_cast<uint64_t>(words)});
    statistics = machine.statistics;
    return failure ? llvm::toString(std::move(failure)) : "";
  }
};

testing::AssertionResult mentions(const std::string &message,
                                  const char *part) {
  if (message.find(part) != std::string::npos)
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << "the error is: " << message;
}

} // namespace

TEST(PtxMachine, DivergedThreadsMeetAgain) {
  Machine machine;
  EXPECT_EQ(machine.run(R"(
	and.b32 	%r2, %r0, 1;
	setp.eq.s32 	%p1, %r2, 0;
	@%p1 bra 	$L_even;
	add.s32 	%r3, %r0, 100;
	bra.uni 	$L_end;
$L_even:
	mul.lo.s32 	%r3, %r0, 3;
$L_end:
	shfl.sync.bfly.b32 	%r4, %r3, 1, 31, -1;
	st.global.b32 	[%rd2], %r4;)"),
            "");
  for (uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(machine.words[i], i % 2 ? (i - 1) * 3 : i + 1 + 100);
}

TEST(PtxMachine, RacesOfSharedMemory) {
  Machine machine;
  const char *write = "\tst.shared.b32 	[%r1], %r0;\n";
  const char *barrier = "\tbar.sync 	0;\n";
  // Each thread reads what its neighbour has written.
  const char *read = "\txor.b32 	%r2, %r1, 4;\n"
                     "\tld.shared.b32 	%r3, [%r2];\n"
                     "\tst.global.b32 	[%rd2], %r3;\n";
  EXPECT_EQ(machine.run(std::string(write) + barrier + read), "");
  EXPECT_EQ(machine.words[5], 4u);
  EXPECT_TRUE(mentions(machine.run(std::string(write) + read), "barrier"));
  // And a write to what others have read.
  EXPECT_TRUE(mentions(machine.run(std::string(write) + barrier + read + write),
                       "barrier"));
  EXPECT_EQ(machine.run(std::string(write) + barrier + read + barrier + write),
            "");
  EXPECT_TRUE(mentions(machine.run(read), "nothing has written"));
}

TEST(PtxMachine, AsynchronousCopies) {
  Machine machine;
  for (uint32_t &word : machine.words)
    word = 7;
  std::string copy = "\tcp.async.ca.shared.global [%r1], [%rd2], 4;\n"
                     "\tcp.async.commit_group;\n";
  std::string wait = "\tcp.async.wait_group 0;\n";
  std::string barrier = "\tbar.sync 	0;\n";
  std::string own = "\tld.shared.b32 	%r3, [%r1];\n";
  std::string others = "\txor.b32 	%r2, %r1, 4;\n"
                       "\tld.shared.b32 	%r3, [%r2];\n";
  EXPECT_EQ(machine.run(copy + wait + own), "");
  EXPECT_EQ(machine.run(copy + wait + barrier + others), "");
  EXPECT_TRUE(mentions(machine.run(copy + own + wait), "asynchronous copy"));
  EXPECT_TRUE(mentions(machine.run(copy + barrier + own), "asynchronous copy"));
  EXPECT_TRUE(mentions(machine.run(copy + wait + others), "barrier"));
  EXPECT_TRUE(mentions(machine.run(copy), "before its asynchronous copies"));
  // Of two groups the older is there, the younger is not.
  std::string second = "\tadd.s32 	%r4, %r1, 256;\n"
                       "\tcp.async.ca.shared.global [%r4], [%rd2], 4;\n"
                       "\tcp.async.commit_group;\n";
  std::string waitForOne = "\tcp.async.wait_group 1;\n";
  EXPECT_EQ(machine.run(copy + second + waitForOne + own + wait), "");
  EXPECT_TRUE(mentions(machine.run(copy + second + waitForOne +
                                   "\tld.shared.b32 	%r3, [%r4];\n" + wait),
                       "asynchronous copy"));
}

TEST(PtxMachine, AccessesOutsideAndUnaligned) {
  Machine machine;
  EXPECT_TRUE(mentions(machine.run("\tld.global.b32 	%r3, [%rd2+4];\n"),
                       "outside of all buffers"));
  EXPECT_TRUE(mentions(machine.run("\tld.global.b32 	%r3, [%rd0+2];\n"),
                       "not aligned"));
  EXPECT_TRUE(mentions(
      machine.run("\tld.global.v4.b32 	{%r3, %r4, %r5, %r6}, [%rd0+8];\n"),
      "not aligned to 16"));
  EXPECT_TRUE(mentions(machine.run("\tst.shared.b32 	[%r1+1024], %r0;\n"),
                       "shared memory"));
}

TEST(PtxMachine, PartsOfAWarp) {
  Machine machine;
  EXPECT_TRUE(mentions(machine.run(R"(
	setp.lt.s32 	%p1, %r0, 3;
	@%p1 bra 	$L_end;
	shfl.sync.bfly.b32 	%r4, %r0, 1, 31, -1;
	bar.sync 	0;
$L_end:
	bar.sync 	0;)"),
                       "only a part"));
}

TEST(PtxMachine, ConflictsOfBanks) {
  Machine machine;
  EXPECT_EQ(machine.run("\tst.shared.b32 	[%r1], %r0;\n"), "");
  EXPECT_EQ(machine.statistics.sharedPasses, 2);
  EXPECT_TRUE(machine.statistics.conflicts.empty());
  // 8 bytes apart: 16 of the banks, two words of each.
  EXPECT_EQ(machine.run("\tshl.b32 	%r2, %r1, 1;\n"
                        "\tst.shared.b32 	[%r2], %r0;\n"),
            "");
  EXPECT_EQ(machine.statistics.sharedPasses, 4);
  EXPECT_EQ(machine.statistics.conflicts.size(), 1u);
}

TEST(PtxMachine, UnknownInstructionsAreErrors) {
  Machine machine;
  EXPECT_TRUE(
      mentions(machine.run("\tbrev.b32 	%r3, %r0;\n"), "does not know"));
}
