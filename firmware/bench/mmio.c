// The price of a device access: the UART's line status and scratch registers, and interrupts claimed from the PLIC.
#include "board.h"

enum { DEFAULT_ITERATIONS = 1000000, RTC_SOURCE = 11 };

#define REG(at) (*(volatile uint32_t *)(at))

// The RTC's alarm is in the past: its wire follows IRQ_ENABLED from then on.
static void prepare_interrupt(void) {
  REG(RTC + 0x0c) = 0;                  // ALARM_HIGH
  REG(RTC + 0x08) = 1;                  // ALARM_LOW
  REG(PLIC + 4 * RTC_SOURCE) = 1;       // priority
  REG(PLIC + 0x2000) = 1 << RTC_SOURCE; // enabled for M-mode of hart 0
}

int bench(const uint8_t *fdt) {
  ulong count = boot_option(fdt, "iterations", DEFAULT_ITERATIONS);
  prepare_interrupt();
  struct stopwatch start = stopwatch();
  for (ulong i = 0; i < count; i++) (void)*(volatile uint8_t *)UART_LSR;
  struct stopwatch read = stopwatch();
  for (ulong i = 0; i < count; i++) *(volatile uint8_t *)UART_SCRATCH = (uint8_t)i;
  struct stopwatch written = stopwatch();
  ulong claimed = 0;
  for (ulong i = 0; i < count; i++) {
    REG(RTC_IRQ_ENABLED) = 1;
    uint32_t source = REG(PLIC_CLAIM);
    claimed += source == RTC_SOURCE;
    REG(RTC_IRQ_ENABLED) = 0;
    REG(PLIC_CLAIM) = source;
  }
  struct stopwatch served = stopwatch();
  for (ulong i = 0; i < count; i++) (void)REG(PLIC + 4 * RTC_SOURCE);
  struct stopwatch end = stopwatch();
  uint8_t last = *(volatile uint8_t *)UART_SCRATCH;

  print_text("mmio\n");
  print_number("iterations", count);
  print_number("read mtime", read.mtime - start.mtime);
  print_number("write mtime", written.mtime - read.mtime);
  print_number("claim mtime", served.mtime - written.mtime);
  print_number("plain mtime", end.mtime - served.mtime);
  print_number("instret", end.instret - start.instret);
  if (claimed != count) print_text("an interrupt was not there to be claimed\n");
  else if (!count || last == (uint8_t)(count - 1)) return 0;
  else print_text("the scratch register lost a write\n");
  return 1;
}
