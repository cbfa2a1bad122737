// Double precision with fused multiply-add: matrices multiplied, polynomials evaluated.
#include "kernel.h"

KERNEL(fma, 700);

enum { SIZE = 40 };
static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static NOINLINE void multiply(void) {
  for (int i = 0; i < SIZE; i++)
    for (int j = 0; j < SIZE; j++) {
      double sum = 0;
      for (int k = 0; k < SIZE; k++) sum += a[i][k] * b[k][j];
      c[i][j] = sum;
    }
}

static NOINLINE double polynomial(double x) {
  return ((((((x * 0.00019 + 0.0014) * x + 0.0083) * x + 0.0417) * x + 0.1667) * x + 0.5) * x + 1.0) * x + 1.0;
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  for (int i = 0; i < SIZE; i++)
    for (int j = 0; j < SIZE; j++) a[i][j] = 1.0 / (i + j + 1), b[i][j] = (i - j) * 0.37 + 0.01;
  for (ulong n = 0; n < iterations; n++) {
    multiply();
    double total = 0;
    for (int i = 0; i < 4000; i++) total += polynomial(i * 0.0001 + 0.00001 * (double)(n & 1023));
    a[n % SIZE][0] = c[n % SIZE][3] * 0.001;
    sum = mix(sum, bits_of(c[n % SIZE][7]) ^ bits_of(total));
  }
  return sum;
}
