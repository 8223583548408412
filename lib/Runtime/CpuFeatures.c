//===- CpuFeatures.c - Does this CPU run the model? -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__)
/// Bits of XCR0: what the operating system saves on a context switch.
enum { StateNONE = 0, StateAVX = 0x6, StateAVX512 = 0xe6, StateAMX = 0x60000 };
enum { RegisterEAX, RegisterEBX, RegisterECX, RegisterEDX };

typedef struct Feature {
  const char *name;
  uint32_t leaf, subleaf;
  uint8_t reg, bit;
  uint32_t state;
} Feature;

static const Feature knownFeatures[] = {
#define CPU_FEATURE(name, leaf, subleaf, reg, bit, state)                      \
  {name, leaf, subleaf, Register##reg, bit, State##state},
#include "nibble/Runtime/CpuFeatures.def"
};

static uint32_t savedState(void) {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1u << 27)))
    return 0;
  __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return eax;
}

static const Feature *findFeature(const char *name) {
  for (size_t i = 0; i != sizeof(knownFeatures) / sizeof(Feature); ++i)
    if (strcmp(knownFeatures[i].name, name) == 0)
      return &knownFeatures[i];
  return NULL; // Newer than this runtime: can't be vouched for.
}

static bool hasFeature(const char *name, uint32_t saved) {
  const Feature *f = findFeature(name);
  uint32_t regs[4];
  return f &&
         __get_cpuid_count(f->leaf, f->subleaf, &regs[0], &regs[1], &regs[2],
                           &regs[3]) &&
         (regs[f->reg] >> f->bit & 1) && (saved & f->state) == f->state;
}

/// Code that uses tiles asks for them first: nibble_rt_has_tiles.
static bool isOptional(const char *name) {
  const Feature *f = findFeature(name);
  return f && f->state == StateAMX;
}

/// Linux gives a process the AMX tile registers on request only: arch_prctl
/// ARCH_REQ_XCOMP_PERM for the state component XTILEDATA. Source: the kernel's
/// Documentation/arch/x86/xstate.rst.
static bool requestTiles(void) {
  enum { ArchReqXcompPerm = 0x1023, XTileData = 18 };
  return syscall(SYS_arch_prctl, ArchReqXcompPerm, XTileData) == 0;
}
#else
static uint32_t savedState(void) { return 0; }
static bool hasFeature(const char *name, uint32_t saved) { return false; }
static bool isOptional(const char *name) { return false; }
static bool requestTiles(void) { return false; }
#endif

int32_t nibble_rt_has_tiles(void) {
  // 0: not known yet. Threads that find out at the same time find the same.
  static _Atomic int32_t state;
  int32_t known = atomic_load_explicit(&state, memory_order_relaxed);
  if (!known) {
    uint32_t saved = savedState();
    bool has = hasFeature("amx-tile", saved) && hasFeature("amx-bf16", saved) &&
               requestTiles();
    known = has ? 1 : -1;
    atomic_store_explicit(&state, known, memory_order_relaxed);
  }
  return known > 0;
}

nibble_status nibbleCheckCpu(const char *model, const char *target,
                             const char *const *features, size_t count,
                             NibbleError *error) {
  char missing[NibbleErrorSize / 2] = "";
  size_t length = 0;
  uint32_t saved = savedState();
  for (size_t i = 0; i != count; ++i) {
    if (isOptional(features[i]) || hasFeature(features[i], saved))
      continue;
    int n = snprintf(missing + length, sizeof(missing) - length, "%s%s",
                     length ? ", " : "", features[i]);
    if (n > 0 && (size_t)n < sizeof(missing) - length)
      length += (size_t)n;
  }
  if (length)
    return nibbleSetError(
        error, NIBBLE_UNSUPPORTED_CPU,
        "model '%s' was compiled for '%s', and this CPU lacks: %s; compile it "
        "with a --march that this CPU has (e.g. --march=native here)",
        model, target, missing);
  return NIBBLE_OK;
}
