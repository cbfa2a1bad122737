// Environment calls: a trap, a handler that counts, and the way back.
#include "kernel.h"

KERNEL(traps, 2000000);

static volatile uint64_t calls;

static __attribute__((interrupt("machine"), aligned(4))) void handler(void) {
  uint64_t pc;
  __asm__ volatile("csrr %0, mepc" : "=r"(pc));
  calls += pc & 0xfff ? 3 : 1;
  __asm__ volatile("csrw mepc, %0" : : "r"(pc + 4));
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  __asm__ volatile("csrw mtvec, %0" : : "r"(handler));
  for (ulong n = 0; n < iterations; n++) {
    __asm__ volatile("ecall" : : : "memory");
    sum = sum * 5 + calls;
  }
  return sum;
}
