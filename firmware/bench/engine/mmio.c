// Registers of a device, read and written.
#include "../board.h"
#include "kernel.h"

KERNEL(mmio, 2300000);

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  for (ulong n = 0; n < iterations; n++) {
    *(volatile uint8_t *)UART_SCRATCH = (uint8_t)n;
    sum = sum * 3 + *(volatile uint8_t *)UART_SCRATCH;
    sum += *(volatile uint8_t *)UART_LSR & 0x20; // 0x20: it can take a character
  }
  return sum;
}
