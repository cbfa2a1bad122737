// Pointers followed through 8 MiB in an order without pattern, and through 32 KiB.
#include "kernel.h"

KERNEL(chase, 10);

struct cell {
  struct cell *next;
  uint64_t number;
};

enum { FAR = 8 << 20, NEAR = 32 << 10, LINE = 64, HOPS = 1 << 18 };
static struct cell cells[FAR / sizeof(struct cell)];

// One cycle through all (Sattolo's shuffle), a cell in each line of the cache.
static struct cell *shuffle(ulong bytes, uint32_t seed) {
  enum { STEP = LINE / sizeof(struct cell) };
  ulong count = bytes / LINE;
  for (ulong i = 0; i < count; i++) cells[i * STEP].number = i;
  for (ulong i = count - 1; i > 0; i--) {
    ulong j = (next_random(&seed) << 8 | next_random(&seed) >> 16) % i;
    uint64_t other = cells[i * STEP].number;
    cells[i * STEP].number = cells[j * STEP].number;
    cells[j * STEP].number = other;
  }
  for (ulong i = 0; i < count; i++) cells[i * STEP].next = &cells[cells[i * STEP].number * STEP];
  return cells;
}

static NOINLINE uint64_t follow(struct cell *at, ulong hops) {
  uint64_t sum = 0;
  while (hops--) {
    sum += at->number;
    at = at->next;
  }
  return sum + at->number;
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  if (!iterations) return sum;
  struct cell *start = shuffle(FAR, 1);
  for (ulong n = 0; n < iterations; n++) sum = mix(sum, follow(start + n % 64 * 4, HOPS));
  start = shuffle(NEAR, 2);
  for (ulong n = 0; n < iterations; n++) sum = mix(sum, follow(start + n % 64 * 4, 16 * HOPS));
  return sum;
}
