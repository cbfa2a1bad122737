// Atomic operations as locks and counters use them: amo*, and lr/sc in a loop.
#include "kernel.h"

KERNEL(atomics, 25000000);

static uint64_t counter, bits, slot;
static uint32_t small, lock;

static NOINLINE uint64_t compare_and_swap(uint64_t *at, uint64_t value) {
  uint64_t old, failed;
  do {
    __asm__ volatile(
        "lr.d.aqrl %0, (%2)\n"
        "add       %1, %0, %3\n"
        "sc.d.rl   %1, %1, (%2)"
        : "=&r"(old), "=&r"(failed)
        : "r"(at), "r"(value)
        : "memory");
  } while (failed);
  return old;
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  for (ulong n = 0; n < iterations; n++) {
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) {}
    sum += __atomic_fetch_add(&counter, n, __ATOMIC_RELAXED);
    sum ^= __atomic_fetch_or(&bits, 1ul << (n & 63), __ATOMIC_SEQ_CST);
    sum += __atomic_fetch_add(&small, 3, __ATOMIC_ACQ_REL);
    sum ^= compare_and_swap(&slot, n);
    __atomic_fetch_and(&bits, ~(1ul << (n * 7 & 63)), __ATOMIC_RELAXED);
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
  }
  return mix(sum, counter ^ bits ^ small ^ slot);
}
