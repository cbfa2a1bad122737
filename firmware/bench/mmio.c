// The price of a device access: reads of the UART's line status register, then writes of its scratch register.
#include "board.h"

enum { DEFAULT_ITERATIONS = 1000000 };

int bench(const uint8_t *fdt) {
  ulong count = boot_option(fdt, "iterations", DEFAULT_ITERATIONS);
  struct stopwatch start = stopwatch();
  for (ulong i = 0; i < count; i++) (void)*(volatile uint8_t *)UART_LSR;
  struct stopwatch middle = stopwatch();
  for (ulong i = 0; i < count; i++) *(volatile uint8_t *)UART_SCRATCH = (uint8_t)i;
  struct stopwatch end = stopwatch();
  uint8_t last = *(volatile uint8_t *)UART_SCRATCH;

  print_text("mmio\n");
  print_number("iterations", count);
  print_number("read mtime", middle.mtime - start.mtime);
  print_number("write mtime", end.mtime - middle.mtime);
  print_number("instret", end.instret - start.instret);
  if (!count || last == (uint8_t)(count - 1)) return 0;
  print_text("the scratch register lost a write\n");
  return 1;
}
