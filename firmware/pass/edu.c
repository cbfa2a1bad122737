// A driver of QEMU's educational PCI device (docs/specs/edu.rst), passed through: registers, interrupt and, with dma=1 among
// the boot arguments, DMA from and to RAM. With iterations=N it only times N reads.
#include "access.h"

enum {
  ID = 0x00,
  LIVENESS = 0x04, // reads as the complement of what was written
  FACTORIAL = 0x08,
  STATUS = 0x20,
  IRQ_STATUS = 0x24,
  IRQ_RAISE = 0x60,
  IRQ_ACK = 0x64,
  DMA_SOURCE = 0x80,
  DMA_TARGET = 0x88,
  DMA_COUNT = 0x90,
  DMA_COMMAND = 0x98,
};
enum { IRQ_WHEN_DONE = 0x80 };                    // STATUS
enum { FACTORIAL_IRQ = 1, DMA_IRQ = 0x100 };      // IRQ_STATUS
enum { RUN = 1, TO_RAM = 2, DMA_IRQ_WHEN_DONE = 4 }; // DMA_COMMAND
// The device's own memory, in its DMA engine's addresses.
enum { BUFFER = 0x40000, BYTES = 1024 };

static uint32_t sent[BYTES / 4], received[BYTES / 4];
static volatile uint32_t reason;

void serve_interrupt(void) {
  reason = read32(IRQ_STATUS);
  write32(IRQ_ACK, reason);
}

static void transfer(uint64_t from, uint64_t to, uint32_t command) {
  ulong before = interrupts;
  write64(DMA_SOURCE, from);
  write64(DMA_TARGET, to);
  write32(DMA_COUNT, BYTES);
  write32(DMA_COMMAND, RUN | DMA_IRQ_WHEN_DONE | command);
  await_interrupts(before + 1);
}

static void try_dma(void) {
  uint32_t seed = 1;
  for (int i = 0; i < BYTES / 4; i++) sent[i] = next_random(&seed);
  transfer((ulong)sent, BUFFER, 0);
  check("DMA from RAM interrupts", reason == DMA_IRQ);
  check("a 64-bit register reads as written", read64(DMA_SOURCE) == (ulong)sent);
  check("its halves do, too", read32(DMA_TARGET) == BUFFER && read32(DMA_TARGET + 4) != BUFFER);
  transfer(BUFFER, (ulong)received, TO_RAM);
  check("DMA to RAM interrupts", reason == DMA_IRQ);
  int same = 1;
  for (int i = 0; i < BYTES / 4; i++) same &= received[i] == sent[i];
  check("DMA brings back what it took", same);
  // Not the guest's RAM, but the host has some at that address.
  transfer(BUFFER, 0x40000000, TO_RAM);
  check("DMA to what is not the guest's ends", reason == DMA_IRQ);
}

static void time_reads(ulong count) {
  ulong start = stopwatch().mtime;
  for (ulong i = 0; i < count; i++) (void)*(volatile uint32_t *)(DEVICE + LIVENESS);
  ulong end = stopwatch().mtime;
  for (ulong i = 0; i < count; i++) *(volatile uint32_t *)(DEVICE + LIVENESS) = (uint32_t)i;
  ulong written = stopwatch().mtime;
  print_number("reads ns", (end - start) * 100 / count);
  print_number("writes ns", (written - end) * 100 / count);
}

int trial(ulong hart, const uint8_t *fdt) {
  if (hart) return 0;
  ulong iterations = boot_option(fdt, "iterations", 0);
  if (iterations) {
    time_reads(iterations);
    return 0;
  }
  check("identification", (read32(ID) & 0xffff) == 0x00ed);
  // As whoever had it before left it.
  write32(STATUS, 0);
  write32(IRQ_ACK, read32(IRQ_STATUS));
  for (uint32_t value = 1; value; value <<= 5) {
    write32(LIVENESS, value);
    check("liveness", read32(LIVENESS) == ~value);
  }
  write32(FACTORIAL, 10);
  while (read32(STATUS) & 1) {}
  check("10!", read32(FACTORIAL) == 3628800);

  enable_interrupt();
  for (uint32_t n = 1; n <= 20; n++) {
    write32(IRQ_RAISE, n << 12);
    await_interrupts(n);
    check("an interrupt that was raised", reason == n << 12);
  }
  write32(STATUS, IRQ_WHEN_DONE);
  write32(FACTORIAL, 12);
  await_interrupts(21);
  check("an interrupt after 12!", reason == FACTORIAL_IRQ && read32(FACTORIAL) == 479001600);
  if (boot_option(fdt, "dma", 0)) try_dma();
  check("no interrupt is left", read32(IRQ_STATUS) == 0 && spurious == 0);
  print_number("interrupts", interrupts);
  print_accesses();
  return failures;
}
