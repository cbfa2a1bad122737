// Long arrays read from end to end: sums, a hash of bytes, a histogram.
#include "kernel.h"

KERNEL(stream, 140);

enum { WORDS = 1 << 18 };
static uint64_t data[WORDS];
static uint32_t histogram[256];

static NOINLINE uint64_t add_up(const uint64_t *at, const uint64_t *end) {
  uint64_t sum = 0;
  for (; at < end; at++) sum += *at;
  return sum;
}

static NOINLINE uint64_t hash_bytes(const uint8_t *at, const uint8_t *end) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (; at < end; at++) hash = (hash ^ *at) * 0x100000001b3u;
  return hash;
}

static NOINLINE uint64_t hash_words(const uint64_t *at, const uint64_t *end) {
  uint64_t lanes[4] = {1, 2, 3, 4};
  for (; at < end; at += 4)
    for (int lane = 0; lane < 4; lane++) {
      uint64_t value = lanes[lane] + at[lane] * 0xc2b2ae3d27d4eb4fu;
      lanes[lane] = (value << 31 | value >> 33) * 0x9e3779b185ebca87u;
    }
  return lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3];
}

static NOINLINE void count(const uint8_t *at, const uint8_t *end) {
  for (; at < end; at++) histogram[*at]++;
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  if (!iterations) return sum;
  for (ulong i = 0; i < WORDS; i++) data[i] = mix(i, i);
  for (ulong n = 0; n < iterations; n++) {
    const uint8_t *bytes = (const uint8_t *)data;
    sum = mix(sum, add_up(data, data + WORDS));
    sum = mix(sum, hash_words(data, data + WORDS));
    sum = mix(sum, hash_bytes(bytes + n, bytes + WORDS));
    count(bytes, bytes + WORDS);
    sum = mix(sum, histogram[n & 255]);
    data[n * 1021 % WORDS] ^= sum;
  }
  return sum;
}
