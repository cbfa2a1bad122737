/** A virtio-mmio slot with nothing in it, as boards have them for devices that may come. */
import * as v from "valibot";
import { defineVirtio } from "../virtio/device.ts";

export const virtioEmpty = defineVirtio({
  type: "virtio-empty",
  summary: "virtio-mmio slot without a device",
  // VIRTIO 1.3 §4.2.2: a placeholder, which the driver ignores.
  deviceId: 0,
  options: v.object({}),
  queues: () => [],
  create: () => ({ notify() {} }),
});
