// Driver side of virtio-mmio (VIRTIO 1.3 §4.2) with a split virtqueue of four descriptors (§2.7).
#include "virtio.h"

#include "console.h"
#include "fdt.h"
#include "interrupts.h"
#include "text.h"

enum {
  MAGIC = 0x000,
  VERSION = 0x004,
  DEVICE_ID = 0x008,
  DEVICE_FEATURES = 0x010,
  DEVICE_FEATURES_SEL = 0x014,
  DRIVER_FEATURES = 0x020,
  DRIVER_FEATURES_SEL = 0x024,
  QUEUE_SEL = 0x030,
  QUEUE_SIZE_MAX = 0x034,
  QUEUE_SIZE = 0x038,
  QUEUE_READY = 0x044,
  QUEUE_NOTIFY = 0x050,
  INTERRUPT_STATUS = 0x060,
  INTERRUPT_ACK = 0x064,
  STATUS = 0x070,
  QUEUE_DESC = 0x080,
  QUEUE_DRIVER = 0x090,
  QUEUE_DEVICE = 0x0a0,
  CONFIG_GENERATION = 0x0fc,
  CONFIG = 0x100,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, FAILED = 128 };
enum { NEXT = 1, WRITE = 2, ENTRIES = 4 };
#define VIRTIO_F_VERSION_1 (1ul << 32)
#define VIRTIO_F_ACCESS_PLATFORM (1ul << 33)

static struct {
  struct {
    u64 address;
    u32 length;
    u16 flags, next;
  } desc[ENTRIES];
  struct {
    u16 flags, index, ring[ENTRIES];
  } avail;
  struct {
    u16 flags, index;
    struct {
      u32 id, length;
    } ring[ENTRIES];
  } used __attribute__((aligned(4)));
} queue __attribute__((aligned(16)));

u32 virtio_identify(u64 base, u32 *version) {
  u32 magic, id;
  if (!try_read32(base + MAGIC, &magic) || magic != 0x74726976) return 0;
  return try_read32(base + VERSION, version) && try_read32(base + DEVICE_ID, &id) ? id : 0;
}

const char *virtio_name(u32 id) {
  static const char names[] =
      "network\0block\0console\0entropy\0balloon\0io memory\0rpmsg\0scsi\0" "9p\0mac80211\0rproc\0caif\0memory\0?\0?\0gpu\0"
      "clock\0input\0vsock\0crypto\0signal\0pstore\0iommu\0mem\0sound\0fs\0pmem\0";
  const char *name = nth(names, id - 1);
  return *name ? name : "?";
}

static void reset(u64 base) {
  u64 start = time_now();
  write32(base + STATUS, 0);
  while (read32(base + STATUS) && !time_passed(start, interrupts.timebase)) {} // §4.2.2.1
}

static void write_address(u64 base, u32 offset, const volatile void *at) {
  write32(base + offset, (u32)(ulong)at);
  write32(base + offset + 4, (u32)((ulong)at >> 32));
}

u64 virtio_open(u32 id, u64 *offered) {
  u64 base = 0, size;
  u32 version = 0;
  for (int node = NO_NODE; (node = fdt_find("virtio,mmio", node)) != NO_NODE; base = 0)
    if (fdt_reg(node, 0, &base, &size) && virtio_identify(base, &version) == id) break;
  if (!base) {
    print("  this board has no virtio %s device on MMIO\n", virtio_name(id));
    return 0;
  }
  print("  virtio %s at 0x%08lx", virtio_name(id), base);
  if (version != 2) {
    print(": legacy transport (version %u); this driver speaks version 2 only\n", version);
    return 0;
  }

  // §3.1.1, in its order
  reset(base);
  write32(base + STATUS, ACKNOWLEDGE);
  write32(base + STATUS, ACKNOWLEDGE | DRIVER);
  write32(base + DEVICE_FEATURES_SEL, 1);
  u64 high = read32(base + DEVICE_FEATURES);
  write32(base + DEVICE_FEATURES_SEL, 0);
  *offered = high << 32 | read32(base + DEVICE_FEATURES);
  u64 accepted = *offered & (VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM);
  write32(base + DRIVER_FEATURES_SEL, 1);
  write32(base + DRIVER_FEATURES, (u32)(accepted >> 32));
  write32(base + DRIVER_FEATURES_SEL, 0);
  write32(base + DRIVER_FEATURES, (u32)accepted);
  write32(base + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  print(", features %lx, accepted %lx\n", *offered, accepted);
  if (!(accepted & VIRTIO_F_VERSION_1) || !(read32(base + STATUS) & FEATURES_OK)) {
    write32(base + STATUS, FAILED);
    print_in(RED, "  the device refuses these features\n");
    return 0;
  }
  write32(base + QUEUE_SEL, 0);
  if (read32(base + QUEUE_READY) || read32(base + QUEUE_SIZE_MAX) < ENTRIES) {
    write32(base + STATUS, FAILED);
    print_in(RED, "  its queue 0 cannot be used\n");
    return 0;
  }
  queue.avail.index = queue.avail.flags = 0;
  queue.used.index = queue.used.flags = 0;
  write32(base + QUEUE_SIZE, ENTRIES);
  write_address(base, QUEUE_DESC, queue.desc);
  write_address(base, QUEUE_DRIVER, &queue.avail);
  write_address(base, QUEUE_DEVICE, &queue.used);
  write32(base + QUEUE_READY, 1);
  write32(base + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
  return base;
}

u64 virtio_config64(u64 base, u32 offset) {
  for (;;) { // §2.5.3: again if the generation moved meanwhile
    u32 generation = read32(base + CONFIG_GENERATION);
    u64 low = read32(base + CONFIG + offset), high = read32(base + CONFIG + offset + 4);
    if (read32(base + CONFIG_GENERATION) == generation || console_interrupted()) return high << 32 | low;
  }
}

long virtio_request(u64 base, const struct virtio_part *parts, u32 count) {
  for (u32 i = 0; i < count; i++) {
    queue.desc[i].address = (u64)parts[i].at;
    queue.desc[i].length = parts[i].length;
    queue.desc[i].flags = (u16)((parts[i].device_writes ? WRITE : 0) | (i + 1 < count ? NEXT : 0));
    queue.desc[i].next = (u16)(i + 1);
  }
  u16 index = queue.avail.index;
  queue.avail.ring[index % ENTRIES] = 0;
  fence(); // the entry before the index (§2.7.13.3)
  *(volatile u16 *)&queue.avail.index = (u16)(index + 1);
  fence();
  write32(base + QUEUE_NOTIFY, 0);

  u64 start = time_now();
  while (*(volatile u16 *)&queue.used.index == index) {
    if (!time_passed(start, interrupts.timebase * 2ul) && !console_interrupted()) continue;
    print_in(RED, "  no answer from the device\n");
    return -1;
  }
  fence();
  write32(base + INTERRUPT_ACK, read32(base + INTERRUPT_STATUS));
  return queue.used.ring[index % ENTRIES].length;
}

void virtio_close(u64 base) { reset(base); }
