// Memory of the host's PCI bus as memory of the guest: what is there already, code that runs from it, and words for whoever
// else has it; beside them registers of the same function. QEMU docs/specs/ivshmem-spec.rst: BAR 2 and BAR 0.
#include "access.h"

enum { BYTES = 0x100000, GREETING = 64 };

void serve_interrupt(void) {}

int trial(ulong hart, const uint8_t *fdt) {
  (void)fdt;
  if (hart) return 0;
  volatile uint32_t *mask = (volatile uint32_t *)(DEVICE + 0x1000000);
  *mask = 5;
  check("registers of the same function", *mask == 5);
  char *shared = (char *)DEVICE;
  check("a greeting is there", shared[0] == 'h' && shared[1] == 'i' && shared[2] == 0);
  uint64_t *words = (uint64_t *)(DEVICE + PAGE);
  ulong count = (BYTES - 2 * PAGE) / sizeof *words;
  for (ulong i = 0; i < count; i++) words[i] = i * 0x9e3779b97f4a7c15u;
  uint64_t sum = 0;
  for (ulong i = 0; i < count; i++) sum = mix(sum, words[i]);
  uint64_t expected = 0;
  for (ulong i = 0; i < count; i++) expected = mix(expected, i * 0x9e3779b97f4a7c15u);
  check("what was written reads back", sum == expected);
  char *last = shared + BYTES - PAGE;
  put_code(last, add(A0, A0, A1));
  put_code(last + 4, ret());
  fence_i();
  check("code runs from it", ((code *)(ulong)last)(40, 2) == 42);
  const char *answer = "the guest was here";
  for (int i = 0; answer[i]; i++) shared[GREETING + i] = answer[i];
  return failures;
}
