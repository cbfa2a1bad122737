// Double precision without fused multiply-add (the build sees to it): planets, with divisions and square roots.
#include "kernel.h"

KERNEL(double, 420000);

enum { BODIES = 5 };
static double x[BODIES][3], v[BODIES][3], mass[BODIES];

static inline double root(double value) {
  double result;
  __asm__("fsqrt.d %0, %1" : "=f"(result) : "f"(value));
  return result;
}

static NOINLINE void advance(double dt) {
  for (int i = 0; i < BODIES; i++)
    for (int j = i + 1; j < BODIES; j++) {
      double d[3], square = 0;
      for (int k = 0; k < 3; k++) {
        d[k] = x[i][k] - x[j][k];
        square += d[k] * d[k];
      }
      double pull = dt / (square * root(square));
      for (int k = 0; k < 3; k++) {
        v[i][k] -= d[k] * mass[j] * pull;
        v[j][k] += d[k] * mass[i] * pull;
      }
    }
  for (int i = 0; i < BODIES; i++)
    for (int k = 0; k < 3; k++) x[i][k] += dt * v[i][k];
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  for (int i = 0; i < BODIES; i++) {
    mass[i] = i ? 0.01 / i : 39.5;
    for (int k = 0; k < 3; k++) {
      x[i][k] = i * (5.0 + k) * (k & 1 ? -1 : 1);
      v[i][k] = i ? (k - 1) * 2.0 / i : 0;
    }
  }
  for (ulong n = 0; n < iterations; n++) {
    advance(0.001);
    if ((n & 255) == 255) sum = mix(sum, bits_of(x[n % BODIES][1]));
  }
  return mix(sum, bits_of(x[1][0]));
}
