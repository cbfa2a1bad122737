// Memory copied by words and by bytes, from and to changing alignments.
#include "kernel.h"

KERNEL(copy, 20000);

enum { SIZE = 64 << 10 };
static uint64_t source[SIZE / 8 + 16], target[SIZE / 8 + 16];

static NOINLINE void copy_words(uint64_t *to, const uint64_t *from, ulong words) {
  for (; words >= 8; words -= 8, to += 8, from += 8) {
    uint64_t a = from[0], b = from[1], c = from[2], d = from[3], e = from[4], f = from[5], g = from[6], h = from[7];
    to[0] = a, to[1] = b, to[2] = c, to[3] = d, to[4] = e, to[5] = f, to[6] = g, to[7] = h;
  }
  while (words--) *to++ = *from++;
}

static NOINLINE void copy_bytes(uint8_t *to, const uint8_t *from, ulong bytes) {
  while (bytes--) *to++ = *from++;
}

static NOINLINE void fill(uint64_t *to, uint64_t value, ulong words) {
  while (words--) *to++ = value;
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  for (ulong i = 0; i < SIZE / 8 + 16; i++) source[i] = i * 0x0101010101010101u;
  for (ulong n = 0; n < iterations; n++) {
    copy_words(target + n % 16, source + (n >> 4) % 16, SIZE / 8);
    copy_bytes((uint8_t *)source + n % 61, (const uint8_t *)target + n % 127, SIZE / 16);
    fill(target + n % 11, n, SIZE / 16);
    sum = mix(sum, target[n * 7 % (SIZE / 8)] ^ source[n * 13 % (SIZE / 64)]);
  }
  return sum;
}
