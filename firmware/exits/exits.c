// A known number of each kind of exit from every hart, to check whoever counts them. The numbers are those that test/guests/exits.test.ts expects.
#include <stdint.h>

typedef unsigned long ulong;

#define REG(type, address) (*(volatile type *)(address))
#define UART 0x10000000ul
#define RTC 0x101000ul
#define POWER 0x100000ul
#define CLINT 0x2000000ul
#define PLIC 0xc000000ul
#define NOTHING 0x30000000ul
#define TIMES(n) for (int i_ = 0; i_ < (n); i_++)

extern volatile ulong arrived, interrupts;
ulong read_hart(void);

static void bytes(ulong hart) {
  TIMES(100 + (int)hart) (void)REG(uint8_t, UART + 5);
  TIMES(50) REG(uint8_t, UART + 7) = 1;
}

static void divisor(void) {
  REG(uint8_t, UART + 3) = 0x83;
  TIMES(3) REG(uint8_t, UART) = 1;
  TIMES(2) REG(uint8_t, UART + 1) = 0;
  REG(uint8_t, UART + 3) = 3;
}

static void words(ulong hart) {
  TIMES(20) (void)REG(uint32_t, RTC);
  TIMES(7) (void)REG(uint32_t, PLIC + 4 * (hart + 1));
  TIMES(5) REG(uint32_t, PLIC + 4 * (hart + 1)) = 1;
  TIMES(4) (void)REG(uint32_t, CLINT + 4 * hart);
}

static void doubles(ulong hart) {
  TIMES(10) (void)REG(uint64_t, CLINT + 0xbff8);
  TIMES(6) REG(uint64_t, CLINT + 0x4000 + 8 * hart) = -1ul;
}

static void traps(ulong hart) {
  TIMES(3) (void)REG(uint32_t, NOTHING);
  __asm__ volatile("csrw mie, %0" ::"r"(8));
  TIMES(4) {
    ulong before = REG(ulong, &interrupts + hart);
    REG(uint32_t, CLINT + 4 * hart) = 1;
    while (REG(ulong, &interrupts + hart) == before) {}
  }
}

// The handler; interrupts are software's, exceptions those of NOTHING.
void trap(ulong cause) {
  ulong hart = read_hart();
  if ((long)cause < 0) {
    REG(uint32_t, CLINT + 4 * hart) = 0;
    REG(ulong, &interrupts + hart) += 1;
  }
}

void work(ulong hart, ulong harts) {
  bytes(hart);
  words(hart);
  doubles(hart);
  traps(hart);
  if (hart == 0) divisor();
  __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
  if (hart != 0) for (;;) __asm__ volatile("csrw mie, zero; wfi");
  while (arrived < harts) {}
  REG(uint32_t, POWER) = 0x5555;
}
