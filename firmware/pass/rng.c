// A driver of a virtio PCI entropy device, passed through: a queue in RAM, interrupts by message, registers of 8, 16 and 32
// bits. VIRTIO 1.3 §4.1.4.3, §2.7, §5.4. Where the structures lie is said in configuration space, which stays the host's:
// these are QEMU's places in BAR 4.
#include "access.h"

enum {
  FEATURES_OF = 0x00,
  FEATURES = 0x04,
  ACCEPTED_OF = 0x08,
  ACCEPTED = 0x0c,
  CONFIG_VECTOR = 0x10,
  QUEUES = 0x12,
  STATUS = 0x14,
  QUEUE = 0x16,
  QUEUE_SIZE = 0x18,
  QUEUE_VECTOR = 0x1a,
  QUEUE_ENABLE = 0x1c,
  QUEUE_NOTIFY = 0x1e,
  DESCRIPTORS = 0x20,
  AVAILABLE = 0x28,
  USED = 0x30,
  NOTIFY = 0x3000,
};
enum { NOTIFY_STRIDE = 4, NO_VECTOR = 0xffff };
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
// Of bits 32 and up: VERSION_1, and that DMA goes through an IOMMU.
enum { VERSION_1 = 1, ACCESS_PLATFORM = 2 };
enum { ENTRIES = 8, BYTES = 64, ROUNDS = 8, DEVICE_WRITES = 2 };

static struct {
  uint64_t at;
  uint32_t length;
  uint16_t flags, next;
} descriptors[ENTRIES] __attribute__((aligned(16)));
static volatile struct {
  uint16_t flags, index, ring[ENTRIES];
} available __attribute__((aligned(2)));
static volatile struct {
  uint16_t flags, index;
  struct {
    uint32_t id, length;
  } ring[ENTRIES];
} used __attribute__((aligned(4)));
static uint8_t buffers[2][BYTES];

// A message says all there is to know.
void serve_interrupt(void) {}

// 64-bit fields are written as two halves. §4.1.3.1
static void write_address(uint32_t at, const volatile void *to) {
  write32(at, (uint32_t)(ulong)to);
  write32(at + 4, (uint32_t)((ulong)to >> 32));
}

static void fence(void) { __asm__ volatile("fence rw, rw" : : : "memory"); }

#define KEPT (*(volatile uint32_t *)0x90000000)
#define POWER (*(volatile uint32_t *)0x100000)
enum { REBOOT = 0x7777 };

int trial(ulong hart, const uint8_t *fdt) {
  if (hart) return 0;
  write8(STATUS, 0);
  while (read8(STATUS)) {}
  write8(STATUS, ACKNOWLEDGE);
  write8(STATUS, ACKNOWLEDGE | DRIVER);
  write32(FEATURES_OF, 1);
  uint32_t features = read32(FEATURES);
  check("it is modern, and behind an IOMMU", (features & 3) == (VERSION_1 | ACCESS_PLATFORM));
  write32(ACCEPTED_OF, 0);
  write32(ACCEPTED, 0);
  write32(ACCEPTED_OF, 1);
  write32(ACCEPTED, VERSION_1 | ACCESS_PLATFORM);
  write8(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  check("it takes the features", read8(STATUS) & FEATURES_OK);
  write16(CONFIG_VECTOR, NO_VECTOR);
  check("one queue", read16(QUEUES) == 1);
  write16(QUEUE, 0);
  check("a queue of some length", read16(QUEUE_SIZE) >= ENTRIES);
  write16(QUEUE_SIZE, ENTRIES);
  write16(QUEUE_VECTOR, 0);
  check("the vector is there", read16(QUEUE_VECTOR) == 0);
  write_address(DESCRIPTORS, descriptors);
  write_address(AVAILABLE, &available);
  write_address(USED, &used);
  uint32_t bell = NOTIFY + NOTIFY_STRIDE * read16(QUEUE_NOTIFY);
  write16(QUEUE_ENABLE, 1);
  enable_interrupt();
  write8(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);

  int grew = 1, differ = 0;
  for (uint16_t round = 0; round < ROUNDS; round++) {
    uint8_t *buffer = buffers[round & 1];
    descriptors[0].at = (ulong)buffer;
    descriptors[0].length = BYTES;
    descriptors[0].flags = DEVICE_WRITES;
    available.ring[round % ENTRIES] = 0;
    fence();
    available.index = (uint16_t)(round + 1);
    fence();
    write16(bell, 0);
    await_interrupts(round + 1ul);
    fence();
    uint32_t length = used.ring[round % ENTRIES].length;
    grew &= used.index == round + 1 && length > 0 && length <= BYTES;
    for (uint32_t i = 0; round > 0 && i < length; i++) differ |= buffer[i] != buffers[~round & 1][i];
  }
  check("each request is answered by DMA, and told by an interrupt", grew);
  check("no two answers are alike", differ);
  // Before the machine ends: nothing may come into its RAM any more.
  write8(STATUS, 0);
  check("it is reset", read8(STATUS) == 0);
  print_number("interrupts", interrupts);
  print_accesses();
  if (boot_option(fdt, "reboot", 0) && !failures && KEPT++ == 0) POWER = REBOOT;
  return failures;
}
