// Runs one kernel on QEMU's virt board. `iterations=N` in bootargs says how often.
#include "../board.h"
#include "kernel.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

extern const struct kernel JOIN(THE_KERNEL, _kernel);

int bench(const uint8_t *fdt) {
  const struct kernel *kernel = &JOIN(THE_KERNEL, _kernel);
  ulong iterations = boot_option(fdt, "iterations", kernel->iterations);
  print_text(kernel->name);
  print_text("\n");
  print_number("iterations", iterations);
  print_hex("checksum", kernel->run(iterations));
  return 0;
}
