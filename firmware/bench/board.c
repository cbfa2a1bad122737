// UART output, counters and boot options for the benchmarks.
#include "board.h"

static void put(char c) {
  while (!(*(volatile uint8_t *)UART_LSR & 0x20)) {}
  *(volatile uint8_t *)UART = (uint8_t)c;
}

void print_text(const char *text) {
  for (; *text; text++) {
    if (*text == '\n') put('\r');
    put(*text);
  }
}

static void print_digits(const char *label, ulong value, ulong base) {
  char digits[24];
  char *at = digits + sizeof digits - 1;
  *at = 0;
  do *--at = "0123456789abcdef"[value % base];
  while (value /= base);
  int column = 0;
  while (label[column]) put(label[column++]);
  do put(' ');
  while (++column < 13);
  print_text(at);
  print_text("\n");
}

void print_number(const char *label, ulong value) { print_digits(label, value, 10); }
void print_hex(const char *label, ulong value) { print_digits(label, value, 16); }

struct stopwatch stopwatch(void) {
  return (struct stopwatch){*(volatile ulong *)MTIME, csr_read("minstret"), csr_read("mcycle")};
}

static uint32_t cell(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

// Looks for any property "bootargs" (only /chosen has one) and in it for name=N.
ulong boot_option(const uint8_t *fdt, const char *name, ulong otherwise) {
  if (!fdt || cell(fdt) != 0xd00dfeed) return otherwise;
  uint32_t at = cell(fdt + 8), end = at + cell(fdt + 36), strings = cell(fdt + 12), size = cell(fdt + 4);
  while (end <= size && at <= end - 4) {
    uint32_t token = cell(fdt + at);
    at += 4;
    if (token == 1) { // FDT_BEGIN_NODE: skip the name
      while (at < end && fdt[at]) at++;
      at = (at + 4) & ~3u;
    } else if (token == 3 && end - at >= 8) { // FDT_PROP
      uint32_t length = cell(fdt + at), string = strings + cell(fdt + at + 4);
      at += 8;
      if (length > end - at || string >= size) return otherwise;
      const char *text = (const char *)fdt + at, *stop = text + length;
      at = (at + length + 3) & ~3u;
      if (!same((const char *)fdt + string, "bootargs")) continue;
      while (text < stop) {
        const char *want = name;
        while (text < stop && *want && *text == *want) text++, want++;
        if (!*want && text < stop && *text == '=') {
          ulong value = 0;
          for (text++; text < stop && *text >= '0' && *text <= '9'; text++) value = value * 10 + (ulong)(*text - '0');
          return value;
        }
        while (text < stop && *text && *text != ' ') text++;
        text++;
      }
    } else if (token != 2 && token != 4) {
      return otherwise;
    }
  }
  return otherwise;
}
