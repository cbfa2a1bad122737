// A kernel: one kind of work, the same code on bare metal and under Linux, and a checksum that proves it.
#pragma once

#include <stdint.h>

typedef unsigned long ulong;

struct kernel {
  const char *name;
  // As many as keep QEMU busy for about 0.7 s.
  ulong iterations;
  // Answers a checksum. None at all must be allowed: it shows what starting costs.
  uint64_t (*run)(ulong iterations);
};

// Defines the kernel of a file.
#define KERNEL(name_, iterations_) \
  static uint64_t run(ulong);      \
  const struct kernel name_##_kernel = {#name_, iterations_, run}

#define NOINLINE __attribute__((noinline))

// Numbers that look random and are the same everywhere.
static inline uint32_t next_random(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

static inline uint64_t mix(uint64_t sum, uint64_t value) {
  sum ^= value;
  return (sum << 13 | sum >> 51) * 0x9e3779b97f4a7c15u;
}

static inline uint64_t bits_of(double value) {
  union {
    double value;
    uint64_t bits;
  } both = {value};
  return both.bits;
}
