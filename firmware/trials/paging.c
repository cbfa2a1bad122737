#include "paging.h"

static uint64_t root[512] __attribute__((aligned(4096)));
static uint64_t middle[512] __attribute__((aligned(4096)));
static uint64_t window[512] __attribute__((aligned(4096)));

ulong make_tables(void) {
  root[0] = leaf((void *)0, V | R | W | A | D);
  root[1] = leaf(middle, V);
  root[2] = leaf((void *)0x80000000, RWX);
  middle[0] = leaf(window, V);
  return 8ul << 60 | (ulong)root >> 12;
}

volatile uint64_t *entry(ulong address) { return &window[address >> 12 & 511]; }
volatile uint64_t *large_entry(void) { return &middle[1]; }
