// Single precision: a filter (fused multiply-add), then normalised (division, square root, conversions).
#include "kernel.h"

KERNEL(single, 1800);

enum { TAPS = 16, SAMPLES = 1024 };
static float taps[TAPS], input[SAMPLES + TAPS], output[SAMPLES];

static inline float root(float value) {
  float result;
  __asm__("fsqrt.s %0, %1" : "=f"(result) : "f"(value));
  return result;
}

static NOINLINE float filter(void) {
  float power = 0;
  for (int i = 0; i < SAMPLES; i++) {
    float sum = 0;
    for (int k = 0; k < TAPS; k++) sum += input[i + k] * taps[k];
    output[i] = sum;
    power += sum * sum;
  }
  return power;
}

static NOINLINE uint32_t normalise(float power) {
  float scale = root(power / SAMPLES) + 0.001f;
  uint32_t sum = 0;
  for (int i = 0; i < SAMPLES; i++) {
    float value = output[i] / scale;
    value = value > 3.0f ? 3.0f : value < -3.0f ? -3.0f : value;
    input[i] = value - (float)(i & 15) * 0.125f;
    sum = sum * 31 + (uint32_t)(int32_t)(value * 1000.0f);
  }
  return sum;
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  for (int i = 0; i < TAPS; i++) taps[i] = 0.5f / (float)(i + 1) * (i & 1 ? -1.0f : 1.0f);
  for (int i = 0; i < SAMPLES + TAPS; i++) input[i] = (float)(i * 37 % 101) * 0.02f - 1.0f;
  for (ulong n = 0; n < iterations; n++) sum = mix(sum, normalise(filter()));
  return sum;
}
