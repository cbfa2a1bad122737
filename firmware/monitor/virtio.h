// virtio over MMIO, modern transport: enough of a driver to hand one request to a device and take its answer.
#pragma once

#include "machine.h"

enum { VIRTIO_NETWORK = 1, VIRTIO_BLOCK = 2, VIRTIO_CONSOLE = 3, VIRTIO_ENTROPY = 4 };

struct virtio_part {
  void *at;
  u32 length;
  bool device_writes;
};

// What sits behind a virtio,mmio node. 0: empty slot or no virtio device at all.
u32 virtio_identify(u64 base, u32 *version);
const char *virtio_name(u32 id);

// Finds the first such device and brings it up with one queue; says why if it cannot. Returns its base, or 0.
u64 virtio_open(u32 id, u64 *offered);
u64 virtio_config64(u64 base, u32 offset);
// Waits for the answer; returns the number of bytes written by the device, -1 if none came.
long virtio_request(u64 base, const struct virtio_part *parts, u32 count);
void virtio_close(u64 base);
