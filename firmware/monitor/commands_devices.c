// rtc, rng, blk.
#include "commands.h"
#include "console.h"
#include "fdt.h"
#include "text.h"
#include "virtio.h"

// Days since 1970-01-01 to a civil date. Years begin in March here, so that the leap day is a year's last.
static void print_date(u64 seconds) {
  u64 days = seconds / 86400 + 719468, era = days / 146097, day = days % 146097; // 400 years have 146097 days
  u64 year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  day -= 365 * year + year / 4 - year / 100;
  u64 month = (5 * day + 2) / 153;
  day = day - (153 * month + 2) / 5 + 1;
  month = month < 10 ? month + 3 : month - 9;
  year += era * 400 + (month <= 2);
  seconds %= 86400;
  print("%04lu-%02lu-%02luT%02lu:%02lu:%02lu", year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60);
}

void command_rtc(char **arguments) {
  (void)arguments;
  u64 base, size;
  int node = fdt_find("google,goldfish-rtc", NO_NODE);
  if (node == NO_NODE || !fdt_reg(node, 0, &base, &size)) {
    print("  this board has no goldfish RTC\n");
    return;
  }
  u64 low = read32(base); // TIME_LOW latches TIME_HIGH
  u64 nanoseconds = (u64)read32(base + 4) << 32 | low;
  print("  ");
  print_date(nanoseconds / 1000000000);
  print(".%09luZ\n  %lu ns since 1970\n", nanoseconds % 1000000000, nanoseconds);
}

static u8 buffer[512] __attribute__((aligned(16)));

void command_rng(char **arguments) {
  u64 count = 32, features;
  if (*arguments[1] && (!number(arguments[1], false, &count) || !count || count > 4096)) {
    print("  usage: rng [1..4096 bytes]\n");
    return;
  }
  u64 base = virtio_open(VIRTIO_ENTROPY, &features);
  if (!base) return;
  for (ulong shown = 0; shown < count;) { // a device may give less than it was asked for (§5.4.6)
    struct virtio_part part = {buffer, (u32)(count - shown < sizeof buffer ? count - shown : sizeof buffer), true};
    long got = virtio_request(base, &part, 1);
    if (got <= 0 || got > (long)part.length || console_interrupted()) break;
    hex_dump(shown, buffer, (ulong)got);
    shown += (ulong)got;
  }
  virtio_close(base);
}

void command_blk(char **arguments) {
  static struct {
    u32 type, reserved;
    u64 sector;
  } header;
  static u8 status;
  u64 sector = 0, features;
  if (*arguments[1] && !number(arguments[1], false, &sector)) {
    print("  usage: blk [SECTOR]\n");
    return;
  }
  u64 base = virtio_open(VIRTIO_BLOCK, &features);
  if (!base) return;
  u64 sectors = virtio_config64(base, 0);
  print("  %lu sectors, ", sectors);
  print_size(sectors * 512, 0);
  print(", %s; sector %lu:\n", features >> 5 & 1 ? "read-only" : "read-write", sector); // VIRTIO_BLK_F_RO
  header.sector = sector;
  status = 0xff;
  struct virtio_part parts[3]; // filled by hand: an initializer would be a table of absolute addresses
  parts[0] = (struct virtio_part){&header, sizeof header, false};
  parts[1] = (struct virtio_part){buffer, sizeof buffer, true};
  parts[2] = (struct virtio_part){&status, 1, true};
  if (virtio_request(base, parts, 3) >= 0) {
    if (status) print("  the device reports %s\n", status == 1 ? "an input/output error" : "that it cannot do this");
    else hex_dump(sector * 512, buffer, sizeof buffer);
  }
  virtio_close(base);
}
