//===- Emulator.c - Blocks of a kernel on the host -*- C -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Linked with kernels that host-kernels.py translated for the host. Blocks run
// one after the other; the threads of a block take turns, each until it waits
// for others at a barrier or a shuffle. What this can't show: the order in
// which real threads touch memory, and copies that are not waited for.
//
//===----------------------------------------------------------------------===//

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { WarpSize = 32, MostThreads = 1024, StackBytes = 128 << 10 };

typedef enum State { Ready, AtWarp, AtBlock, Done } State;

typedef struct Thread {
  ucontext_t context;
  char *stack;
  State state;
  unsigned id[3];
  unsigned number;
  uint32_t exchanged;
} Thread;

typedef void (*Kernel)(void **parameters);

static Thread threads[MostThreads];
static ucontext_t scheduler;
static Thread *current;
static unsigned grid[3], block[3], blockId[3], threadCount;
static Kernel kernel;
static void **arguments;

// Special registers.
#define REGISTER(name, value)                                                  \
  uint32_t emu_##name##_x(void) { return value[0]; }                           \
  uint32_t emu_##name##_y(void) { return value[1]; }                           \
  uint32_t emu_##name##_z(void) { return value[2]; }
REGISTER(tid, current->id)
REGISTER(ntid, block)
REGISTER(ctaid, blockId)
REGISTER(nctaid, grid)
uint32_t emu_laneid(void) { return current->number % WarpSize; }

static void waitAs(State state) {
  current->state = state;
  Thread *self = current;
  swapcontext(&self->context, &scheduler);
}

void emu_barrier(void) { waitAs(AtBlock); }
void emu_warp_barrier(void) { waitAs(AtWarp); }

/// What lane `lane` of this warp gives; all lanes take part.
static uint32_t exchange(uint32_t value, unsigned lane) {
  current->exchanged = value;
  emu_warp_barrier();
  unsigned from = current->number / WarpSize * WarpSize + lane;
  uint32_t result = from < threadCount ? threads[from].exchanged : 0;
  emu_warp_barrier();
  return result;
}
uint32_t emu_shuffle_bfly(uint32_t value, uint32_t mask) {
  return exchange(value, (current->number % WarpSize ^ mask) % WarpSize);
}
uint32_t emu_shuffle_idx(uint32_t value, uint32_t lane) {
  return exchange(value, lane % WarpSize);
}
uint32_t emu_shuffle_down(uint32_t value, uint32_t distance) {
  unsigned lane = current->number % WarpSize;
  return exchange(value, lane + distance < WarpSize ? lane + distance : lane);
}
uint32_t emu_shuffle_up(uint32_t value, uint32_t distance) {
  unsigned lane = current->number % WarpSize;
  return exchange(value, lane >= distance ? lane - distance : lane);
}

void emu_copy_async(void *to, const void *from, uint32_t bytes) {
  memcpy(to, from, bytes);
}

static void enter(void) {
  kernel(arguments);
  current->state = Done;
  swapcontext(&current->context, &scheduler);
}

/// Whether all threads of [begin, end) that are not done wait as `state`, and
/// then they go on.
static int release(unsigned begin, unsigned end, State state) {
  int found = 0;
  for (unsigned i = begin; i != end; ++i) {
    if (threads[i].state == Ready ||
        (threads[i].state != state && threads[i].state != Done))
      return 0;
    found |= threads[i].state == state;
  }
  for (unsigned i = begin; found && i != end; ++i)
    if (threads[i].state == state)
      threads[i].state = Ready;
  return found;
}

static int runBlock(void) {
  for (unsigned i = 0; i != threadCount; ++i) {
    Thread *t = &threads[i];
    if (!t->stack)
      t->stack = malloc(StackBytes);
    getcontext(&t->context);
    t->context.uc_stack.ss_sp = t->stack;
    t->context.uc_stack.ss_size = StackBytes;
    t->context.uc_link = NULL;
    makecontext(&t->context, enter, 0);
    t->state = Ready;
  }
  for (;;) {
    int moved = 0;
    for (unsigned i = 0; i != threadCount; ++i)
      if (threads[i].state == Ready) {
        current = &threads[i];
        swapcontext(&scheduler, &current->context);
        moved = 1;
      }
    for (unsigned i = 0; i < threadCount; i += WarpSize) {
      unsigned end = i + WarpSize < threadCount ? i + WarpSize : threadCount;
      moved |= release(i, end, AtWarp);
    }
    moved |= release(0, threadCount, AtBlock);
    if (!moved)
      break;
  }
  for (unsigned i = 0; i != threadCount; ++i)
    if (threads[i].state != Done)
      return 0; // Some wait for others that never come.
  return 1;
}

/// Run a kernel. `waits`: its threads wait for each other. Returns 0 if they
/// wait in vain.
__attribute__((visibility("default"))) int
emu_launch(Kernel function, int waits, const unsigned *gridSize,
           const unsigned *blockSize, void **parameters) {
  kernel = function;
  arguments = parameters;
  memcpy(grid, gridSize, sizeof(grid));
  memcpy(block, blockSize, sizeof(block));
  threadCount = block[0] * block[1] * block[2];
  if (threadCount > MostThreads)
    return 0;
  for (unsigned i = 0; i != threadCount; ++i) {
    threads[i].number = i;
    threads[i].id[0] = i % block[0];
    threads[i].id[1] = i / block[0] % block[1];
    threads[i].id[2] = i / (block[0] * block[1]);
  }
  for (blockId[2] = 0; blockId[2] != grid[2]; ++blockId[2])
    for (blockId[1] = 0; blockId[1] != grid[1]; ++blockId[1])
      for (blockId[0] = 0; blockId[0] != grid[0]; ++blockId[0]) {
        if (waits) {
          if (!runBlock())
            return 0;
          continue;
        }
        for (unsigned i = 0; i != threadCount; ++i) {
          current = &threads[i];
          kernel(arguments);
        }
      }
  return 1;
}

// Approximations, which are as exact here as floats are.
float emu_ex2(float x) { return exp2f(x); }
float emu_lg2(float x) { return log2f(x); }
float emu_rcp(float x) { return 1 / x; }
float emu_rsqrt(float x) { return 1 / sqrtf(x); }
float emu_sqrt(float x) { return sqrtf(x); }

// The toolkit's library of functions.
#define UNARY(name)                                                            \
  float __nv_##name##f(float x) { return name##f(x); }                         \
  double __nv_##name(double x) { return name(x); }
UNARY(acos)
UNARY(acosh)
UNARY(asin)
UNARY(asinh)
UNARY(atan) UNARY(atanh) UNARY(ceil) UNARY(cos) UNARY(cosh) UNARY(erf)
    UNARY(erfc) UNARY(exp) UNARY(exp2) UNARY(expm1) UNARY(fabs) UNARY(floor)
        UNARY(log) UNARY(log10) UNARY(log1p) UNARY(log2) UNARY(round) UNARY(sin)
            UNARY(sinh) UNARY(sqrt) UNARY(tan)
                UNARY(tanh) float __nv_rintf(float x) {
  return rintf(x);
}
double __nv_rint(double x) { return rint(x); }
float __nv_rsqrtf(float x) { return 1 / sqrtf(x); }
double __nv_rsqrt(double x) { return 1 / sqrt(x); }
float __nv_fmaf(float x, float y, float z) { return fmaf(x, y, z); }
double __nv_fma(double x, double y, double z) { return fma(x, y, z); }
float __nv_powf(float x, float y) { return powf(x, y); }
double __nv_pow(double x, double y) { return pow(x, y); }
float __nv_fmodf(float x, float y) { return fmodf(x, y); }
double __nv_fmod(double x, double y) { return fmod(x, y); }
float __nv_atan2f(float x, float y) { return atan2f(x, y); }
double __nv_atan2(double x, double y) { return atan2(x, y); }
float __nv_copysignf(float x, float y) { return copysignf(x, y); }
double __nv_copysign(double x, double y) { return copysign(x, y); }
