// Calls and returns, and little else.
#include "kernel.h"

KERNEL(fib, 20);

static NOINLINE uint64_t fib(ulong n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  for (ulong i = 0; i < iterations; i++) sum = mix(sum, fib(29 + (i & 1)));
  return sum;
}
