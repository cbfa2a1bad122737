// Long integers: products with both halves, carries, divisions.
#include "kernel.h"

KERNEL(bignum, 350000);

enum { LIMBS = 16 };
typedef uint64_t number[LIMBS];
static number x, y;
static uint64_t product[2 * LIMBS];

static NOINLINE void multiply(void) {
  for (int i = 0; i < 2 * LIMBS; i++) product[i] = 0;
  for (int i = 0; i < LIMBS; i++) {
    uint64_t carry = 0;
    for (int j = 0; j < LIMBS; j++) {
      unsigned __int128 sum = (unsigned __int128)x[i] * y[j] + product[i + j] + carry;
      product[i + j] = (uint64_t)sum;
      carry = (uint64_t)(sum >> 64);
    }
    product[i + LIMBS] = carry;
  }
}

// Divides by 32 bits, limb by half limb; answers the remainder.
static NOINLINE uint64_t divide(uint64_t by) {
  uint64_t rest = 0;
  for (int i = 2 * LIMBS; i--;) {
    uint64_t high = rest << 32 | product[i] >> 32;
    rest = high % by;
    uint64_t low = rest << 32 | (uint32_t)product[i];
    product[i] = high / by << 32 | low / by;
    rest = low % by;
  }
  return rest;
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  for (int i = 0; i < LIMBS; i++) x[i] = mix(i, 3), y[i] = mix(i, 4);
  for (ulong n = 0; n < iterations; n++) {
    multiply();
    sum = mix(sum, divide(1000000007 + (n & 0xff)));
    x[n % LIMBS] ^= product[n % LIMBS];
    y[n % LIMBS] += product[LIMBS + n % LIMBS] | 1;
  }
  return sum;
}
