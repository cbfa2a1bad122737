// The part of QEMU's virt map that the benchmarks use, output, counters, and "name=N" from /chosen/bootargs.
#pragma once

#include <stdint.h>

#define UART 0x10000000ul
#define UART_LSR (UART + 5)
#define UART_SCRATCH (UART + 7)
#define RTC 0x00101000ul
#define RTC_IRQ_ENABLED (RTC + 0x10)
#define PLIC 0x0c000000ul
#define PLIC_CLAIM (PLIC + 0x200004)
#define MTIME 0x0200bff8ul

typedef unsigned long ulong;

#define csr_read(name)                                 \
  ({                                                   \
    ulong value_;                                      \
    __asm__ volatile("csrr %0, " name : "=r"(value_)); \
    value_;                                            \
  })

struct stopwatch {
  ulong mtime, instret, cycle;
};

struct stopwatch stopwatch(void);
void print_text(const char *text);
void print_number(const char *label, ulong value);
void print_hex(const char *label, ulong value);
ulong boot_option(const uint8_t *fdt, const char *name, ulong otherwise);
