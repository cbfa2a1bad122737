// Calls through a table of functions, in an order that nobody can foresee.
#include "kernel.h"

KERNEL(indirect, 18000000);

typedef uint64_t work(uint64_t, uint64_t);

#define WORK(name, value)                                 \
  static NOINLINE uint64_t name(uint64_t a, uint64_t b) { \
    (void)b;                                              \
    return value;                                         \
  }

WORK(plus, a + b)
WORK(minus, a - b)
WORK(xor, a ^ b)
WORK(either, (a | b) + 1)
WORK(rotate, a << 7 | a >> 57)
WORK(times, a * (b | 1))
WORK(shifted, (a >> 3) + (b << 5))
WORK(least, a < b ? a + 11 : b + 13)

static work *const table[] = {plus, minus, xor, either, rotate, times, shifted, least};

static uint64_t run(ulong iterations) {
  uint64_t sum = 1;
  uint32_t seed = 7;
  for (ulong i = 0; i < iterations; i++) {
    uint32_t random = next_random(&seed);
    sum = table[random >> 9 & 7](sum, random);
  }
  return sum;
}
