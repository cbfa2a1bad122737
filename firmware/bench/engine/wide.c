// Much code, each part of it run seldom: 2000 functions called in rotation, as in an operating system that starts.
#include "kernel.h"

KERNEL(wide, 1000);

static uint64_t table[512];

// The number of a function decides what it is made of.
#define FUNCTION(n)                                              \
  static NOINLINE uint64_t f##n(uint64_t a, uint64_t *at) {      \
    enum { K = 1##n };                                           \
    uint64_t b = at[K % 61], c = a ^ K;                          \
    if (K % 3 == 0) {                                            \
      for (int i = 0; i < 3; i++) c = (c << (K % 17 + 1)) + (b >> (i + K % 5)); \
      at[K % 53] = c;                                            \
    } else if (K % 3 == 1) {                                     \
      if (b & (1ul << K % 31)) c += b * K;                       \
      else c -= at[K % 47] >> 3;                                 \
      at[K % 59] ^= c + a;                                       \
    } else {                                                     \
      uint32_t low = (uint32_t)b + K, high = (uint32_t)(a >> 32); \
      c += low > high ? low - high : (uint64_t)high * low;       \
      if (c & 64) at[K % 43] += c >> 7;                          \
    }                                                            \
    if (K % 2) {                                                 \
      b ^= at[K % 37 + 8] + (c & 0xffff);                        \
      c = (c >> 9 | c << 55) + b;                                \
    }                                                            \
    if (K % 5 < 2 && (int64_t)c < (int64_t)a) c += at[K % 29] * 5; \
    if (K % 7 < 3) {                                             \
      at[64 + K % 97] = b + (uint8_t)c;                          \
      at[64 + K % 89] -= at[64 + K % 83];                        \
    }                                                            \
    return c + (b ^ K);                                          \
  }

#define TEN(what, n) \
  what(n##0) what(n##1) what(n##2) what(n##3) what(n##4) what(n##5) what(n##6) what(n##7) what(n##8) what(n##9)
#define HUNDRED(what, n)                                                                                        \
  TEN(what, n##0) TEN(what, n##1) TEN(what, n##2) TEN(what, n##3) TEN(what, n##4) TEN(what, n##5) TEN(what, n##6) \
  TEN(what, n##7) TEN(what, n##8) TEN(what, n##9)

#define CALL(n) a = f##n(a, at + (a & 127));

#define GROUP(n)          \
  HUNDRED(FUNCTION, n)    \
  static NOINLINE uint64_t g##n(uint64_t a, uint64_t *at) { \
    HUNDRED(CALL, n)      \
    return a;             \
  }

#define CALL_GROUP(n) sum = g##n(sum, table);

#define EACH_GROUP(what)                                                                           \
  what(00) what(01) what(02) what(03) what(04) what(05) what(06) what(07) what(08) what(09)         \
  what(10) what(11) what(12) what(13) what(14) what(15) what(16) what(17) what(18) what(19)

EACH_GROUP(GROUP)

static uint64_t run(ulong iterations) {
  uint64_t sum = 1;
  for (int i = 0; i < 512; i++) table[i] = mix(i, 9);
  for (ulong n = 0; n < iterations; n++) {
    EACH_GROUP(CALL_GROUP)
  }
  return sum;
}
