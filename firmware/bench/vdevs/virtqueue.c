// A driver for one virtqueue of a virtio-mmio device. VIRTIO 1.3 §2.7, §3.1.1 and §4.2
#include "vdevs.h"

enum {
  DEVICE_FEATURES_SEL = 0x14,
  DRIVER_FEATURES = 0x20,
  DRIVER_FEATURES_SEL = 0x24,
  QUEUE_SEL = 0x30,
  QUEUE_SIZE = 0x38,
  QUEUE_READY = 0x44,
  QUEUE_NOTIFY = 0x50,
  STATUS = 0x70,
  QUEUE_DESC = 0x80,
  QUEUE_DRIVER = 0x90,
  QUEUE_DEVICE = 0xa0,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { NEXT = 1, WRITE_ONLY = 2, NO_INTERRUPT = 1, LARGEST = 64 };

static struct {
  struct {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
  } descriptors[LARGEST];
  struct {
    uint16_t flags, index, ring[LARGEST];
  } available;
  _Alignas(4) struct {
    uint16_t flags, index;
    struct {
      uint32_t id, length;
    } ring[LARGEST];
  } used;
} rings __attribute__((aligned(16)));

static void set(ulong base, ulong offset, uint32_t value) { *(volatile uint32_t *)(base + offset) = value; }

static void set_area(ulong base, ulong offset, const void *area) {
  set(base, offset, (uint32_t)(ulong)area);
  set(base, offset + 4, (uint32_t)((ulong)area >> 32));
}

void virtqueue_begin(const struct command *command) {
  ulong base = command->address;
  for (ulong i = 0; i < sizeof rings / 8; i++) ((volatile uint64_t *)&rings)[i] = 0;
  rings.available.flags = NO_INTERRUPT;
  set(base, STATUS, 0);
  set(base, STATUS, ACKNOWLEDGE | DRIVER);
  set(base, DRIVER_FEATURES_SEL, 0);
  set(base, DRIVER_FEATURES, 0);
  set(base, DRIVER_FEATURES_SEL, 1);
  set(base, DRIVER_FEATURES, 1); // VERSION_1
  set(base, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  set(base, QUEUE_SEL, command->queue);
  set(base, QUEUE_SIZE, command->size);
  set_area(base, QUEUE_DESC, &rings.descriptors);
  set_area(base, QUEUE_DRIVER, &rings.available);
  set_area(base, QUEUE_DEVICE, &rings.used);
  set(base, QUEUE_READY, 1);
  set(base, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
  for (uint16_t i = 0; i < 3 && command->chain[i].length; i++) {
    const struct chain *part = &command->chain[i];
    int more = i < 2 && part[1].length;
    rings.descriptors[i].address = part->address;
    rings.descriptors[i].length = part->length;
    rings.descriptors[i].flags = (uint16_t)((more ? NEXT : 0) | (part->writable ? WRITE_ONLY : 0));
    rings.descriptors[i].next = (uint16_t)(i + 1);
  }
}

// Each buffer is used before the next is offered. Counts looks at the used ring that found nothing.
void virtqueue_run(struct command *command) {
  ulong bell = command->address + QUEUE_NOTIFY, moved = 0;
  uint16_t index = 0, mask = (uint16_t)(command->size - 1);
  for (ulong i = 0; i < command->count; i++) {
    rings.available.ring[index & mask] = 0;
    __asm__ volatile("fence w, w" ::: "memory");
    *(volatile uint16_t *)&rings.available.index = ++index;
    __asm__ volatile("fence w, ow" ::: "memory");
    *(volatile uint32_t *)bell = command->queue;
    ulong patience = 100000000;
    while (*(volatile uint16_t *)&rings.used.index != index && --patience) command->sum++;
    if (!patience) return;
    command->done++;
    if (!command->step) continue;
    moved = moved + command->step < command->wrap ? moved + command->step : 0;
    rings.descriptors[0].address = command->chain[0].address + moved;
  }
}

void virtqueue_end(const struct command *command) { set(command->address, STATUS, 0); }
