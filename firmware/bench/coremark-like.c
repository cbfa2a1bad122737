// The CoreMark-like work, timed by the guest's own counters; the checksum proves it.
#include "board.h"
#include "coremark-work.h"

enum { DEFAULT_ITERATIONS = 37000 };

int bench(const uint8_t *fdt) {
  enum { CHECK_ITERATIONS = 16, CHECK_SUM = 0xcde8 };
  ulong iterations = boot_option(fdt, "iterations", DEFAULT_ITERATIONS);
  uint16_t check = coremark_work(CHECK_ITERATIONS);
  struct stopwatch start = stopwatch();
  uint16_t crc = coremark_work(iterations);
  struct stopwatch end = stopwatch();
  print_text("coremark-like\n");
  print_number("iterations", iterations);
  print_hex("checksum", crc);
  print_number("instret", end.instret - start.instret);
  print_number("cycle", end.cycle - start.cycle);
  print_number("mtime", end.mtime - start.mtime);
  if (check == CHECK_SUM) {
    print_text("self-check  ok\n");
    return 0;
  }
  print_hex("self-check FAILED with", check);
  return 1;
}
