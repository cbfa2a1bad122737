// Code that is written, run until it is hot, and changed: whole, in parts, under its own feet.
#include "trial.h"

static uint8_t area[64 * PAGE] __attribute__((aligned(4096)));

// A loop of `count` rounds; each adds `step` and does a little more.
static void put_loop(uint8_t *at, int32_t step, int variant) {
  put_code(at, addi(T0, ZERO, 0)), at += 4;
  uint8_t *again = at;
  put_code(at, addi(T0, T0, step)), at += 4;
  if (variant & 1) put_code(at, xori(T0, T0, step * 3 & 1023)), at += 4;
  if (variant & 2) put_code(at, mul(T0, T0, A1)), at += 4;
  put_code(at, addi(A0, A0, -1)), at += 4;
  put_code(at, bnez(A0, (int32_t)(again - at))), at += 4;
  put_code(at, addi(A0, T0, 0)), at += 4;
  put_code(at, ret());
}

static uint64_t rewritten(void) {
  uint64_t sum = 0;
  for (int i = 0; i < 60; i++) {
    put_loop(area + 16, i * 7 % 300 + 1, i);
    fence_i();
    sum = mix(sum, ((code *)(area + 16))((ulong)(i % 5 * 900 + 10), 3));
  }
  return sum;
}

// One instruction of a hot function, patched whole, by halves, and into two short ones.
static uint64_t patched(void) {
  uint64_t sum = 0;
  uint8_t *at = area + PAGE + 6; // not in one word
  put_code(at, addi(A0, A0, 1));
  put_code(at + 4, slli(A1, A1, 1));
  put_code(at + 8, add(A0, A0, A1));
  put_code(at + 12, ret());
  for (int i = 0; i < 64; i++) {
    switch (i % 4) {
      case 0: put_code(at, addi(A0, A0, i)); break;
      case 1: *(volatile uint16_t *)(at + 2) = (uint16_t)(addi(A0, A1, 1000 - i) >> 16); break;
      case 2:
        ((volatile uint16_t *)at)[0] = c_addi(A0, i % 31);
        ((volatile uint16_t *)at)[1] = c_addi(A0, -1 - i % 30);
        break;
      case 3: put_code(at, sub(A0, A0, A1)); break;
    }
    fence_i();
    for (ulong n = 0; n < 1500; n++) sum = mix(sum, ((code *)at)(n, sum & 0xff));
  }
  return sum;
}

// Changes an instruction some way ahead of itself, and runs into it.
static uint64_t ahead(void) {
  uint64_t sum = 0, result;
  for (uint64_t i = 0; i < 4000; i++) {
    uint32_t instruction = addi(A0, A0, (int32_t)(i / 100));
    __asm__ volatile(
        "mv   a0, %2\n"
        "lla  t0, 1f\n"
        "sw   %1, (t0)\n"
        "fence.i\n"
        "addi a0, a0, 5\n"
        ".option push; .option norvc; .balign 4\n"
        "1: nop\n"
        ".option pop\n"
        "xori a0, a0, 0x55\n"
        "mv   %0, a0"
        : "=r"(result)
        : "r"(instruction), "r"(i)
        : "a0", "t0", "memory");
    sum = mix(sum, result);
  }
  return sum;
}

// Data beside hot code: it changes, and the code does not.
static uint64_t beside(void) {
  uint64_t sum = 0;
  uint8_t *at = area + 2 * PAGE + 256;
  volatile uint64_t *data = (uint64_t *)(area + 2 * PAGE + 512);
  put_code(at, addi(A0, A0, 9));
  put_code(at + 4, ret());
  fence_i();
  for (uint64_t n = 0; n < 40000; n++) {
    data[n % 32] += n;
    sum += ((code *)at)(data[n * 5 % 32], 0);
    if (n % 5000 == 4999) {
      put_code(at, addi(A0, A0, (int32_t)(n / 5000)));
      fence_i();
    }
  }
  return sum;
}

// A function that crosses into the next page, where alone it changes.
static uint64_t across(void) {
  uint64_t sum = 0;
  for (int split = 2; split <= 6; split += 2) {
    uint8_t *at = area + 5 * PAGE - 8 - split;
    for (int i = 0; i < 20; i++) {
      put_code(at, addi(A0, A0, split));
      put_code(at + 4, slli(A0, A0, 2));
      put_code(at + 8, addi(A0, A0, i));
      put_code(at + 12, xori(A0, A0, i * 11 + split));
      put_code(at + 16, ret());
      fence_i();
      for (ulong n = 0; n < 1200; n++) sum = mix(sum, ((code *)at)(n, 0));
    }
  }
  return sum;
}

// A compiler in the guest: code laid out one after the other, run hot, its room used again.
static uint64_t compiled(void) {
  uint64_t sum = 0;
  uint32_t seed = 3;
  ulong at = 8 * PAGE;
  for (int i = 0; i < 400; i++) {
    ulong length = 8 + next_random(&seed) % 120;
    if (at + length * 4 + 4 > sizeof area) at = 8 * PAGE + (next_random(&seed) & 14);
    uint8_t *to = area + at;
    for (ulong k = 0; k < length; k++) {
      int rd = next_random(&seed) & 1 ? A0 : A1, rs = next_random(&seed) & 1 ? A0 : A1;
      int32_t value = (int32_t)(next_random(&seed) & 1023);
      switch (next_random(&seed) % 5) {
        case 0: put_code(to + k * 4, addi(rd, rs, value)); break;
        case 1: put_code(to + k * 4, xori(rd, rs, value)); break;
        case 2: put_code(to + k * 4, slli(rd, rs, value & 3)); break;
        case 3: put_code(to + k * 4, add(rd, A0, A1)); break;
        case 4: put_code(to + k * 4, mul(rd, rs, A1)); break;
      }
    }
    put_code(to + length * 4, ret());
    fence_i();
    ulong times = next_random(&seed) % 4 == 0 ? 1500 : 20;
    uint64_t value = (uint64_t)i;
    for (ulong n = 0; n < times; n++) value = ((code *)to)(value, n);
    sum = mix(sum, value);
    at += length * 4 + 4;
  }
  return sum;
}

void on_trap(struct frame *frame, ulong cause, ulong value) {
  print_hex("cause", cause);
  print_hex("at", frame->pc);
  print_hex("value", value);
  for (;;) *(volatile uint32_t *)0x100000 = 0x13333;
}

int trial(ulong hart, const uint8_t *fdt) {
  (void)fdt;
  if (hart) return 0;
  print_hex("rewritten", rewritten());
  print_hex("patched", patched());
  print_hex("ahead", ahead());
  print_hex("beside", beside());
  print_hex("across", across());
  print_hex("compiled", compiled());
  return 0;
}
