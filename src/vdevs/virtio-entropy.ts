/** virtio entropy device, VIRTIO 1.3 §5.4: fills the driver's buffers with random bytes. */
import * as v from "valibot";
import { defineVirtio } from "../virtio/device.ts";

const REQUEST_QUEUE = 0;
/** VIRTIO 1.3 §5.4.6.2 lets a device give less than was asked for; a guest must not order gigabytes in one request. */
const ANSWER_MAX = 65536;

export const virtioEntropy = defineVirtio({
  type: "virtio-entropy",
  summary: "virtio entropy device: random bytes from the profile's seed or from the host",
  deviceId: 4,
  options: v.object({
    source: v.pipe(
      v.optional(v.picklist(["seeded", "host"]), "seeded"),
      v.description('"seeded": from the profile\'s seed, the same in every run. "host": from the host.'),
    ),
  }),
  bench: [{ what: "64 random bytes", queue: REQUEST_QUEUE, chain: [{ room: 64 }] }],
  queues: () => [{ name: "requestq", size: 64 }],

  create(port, { source }) {
    const { host } = port;
    const requests = port.queue(REQUEST_QUEUE);
    // Drawing nothing opens the source, and changes nothing in a seeded one.
    if (!host.delayed) host.random(new Uint8Array(0), source);
    return {
      notify() {
        for (let chain = requests.pop(); chain; chain = requests.pop()) {
          while (chain.written < ANSWER_MAX) {
            const room = chain.nextWritable(ANSWER_MAX - chain.written);
            if (room === undefined) break;
            host.random(room, source);
          }
          requests.push(chain);
        }
      },
    };
  },
});
