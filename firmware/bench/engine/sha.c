// SHA-256: long runs of arithmetic without branches.
#include "kernel.h"

KERNEL(sha, 900000);

static uint32_t state[8], constants[64];

static inline uint32_t right(uint32_t value, int by) { return value >> by | value << (32 - by); }

// FIPS 180-4 §6.2.2
static NOINLINE void compress(const uint32_t *block) {
  uint32_t w[64];
  for (int t = 0; t < 16; t++) w[t] = block[t];
  for (int t = 16; t < 64; t++) {
    uint32_t s0 = right(w[t - 15], 7) ^ right(w[t - 15], 18) ^ w[t - 15] >> 3;
    uint32_t s1 = right(w[t - 2], 17) ^ right(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (int t = 0; t < 64; t++) {
    uint32_t t1 = h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) + constants[t] + w[t];
    uint32_t t2 = (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static uint64_t run(ulong iterations) {
  // Not the standard's constants, which are roots of primes: the work is the same with any.
  uint32_t seed = 5, block[16];
  for (int i = 0; i < 64; i++) constants[i] = next_random(&seed) << 8 ^ next_random(&seed);
  for (int i = 0; i < 8; i++) state[i] = constants[i * 7];
  for (int i = 0; i < 16; i++) block[i] = (uint32_t)i;
  for (ulong n = 0; n < iterations; n++) {
    block[n & 15] += (uint32_t)n;
    compress(block);
  }
  return mix((uint64_t)state[0] << 32 | state[3], (uint64_t)state[5] << 32 | state[7]);
}
