/** A request to a virtio device and back: descriptors read, data moved, used ring written, interrupt raised and taken. */
import { FakeDisk } from "../../src/vdev/testing.ts";
import { virtioBlk } from "../../src/vdevs/virtio-blk.ts";
import { drive } from "../../test/virtio/driver.ts";
import type { Benchmark } from "../benchmark.ts";
import { race } from "./race.ts";

const SECTOR = 512;
/** VIRTIO 1.3 §5.2.6: VIRTIO_BLK_T_IN, sector 0. */
const READ_FIRST_SECTOR = new Uint8Array(16);

export const virtqueue: Benchmark = {
  name: "virtqueue",
  summary: "a block request of 512 bytes and of 64 KiB through a split virtqueue",
  kind: "parts",

  async run(context) {
    return { rows: [await request(context, SECTOR, "512 bytes"), await request(context, 128 * SECTOR, "64 KiB")] };
  },
};

function request(context: Parameters<Benchmark["run"]>[0], size: number, shown: string) {
  const disk = new FakeDisk(new Uint8Array(256 * SECTOR).fill(1));
  const driver = drive(virtioBlk, { file: "disk" }, { disks: { disk } }).start({ queues: [16] });
  const [ring] = driver.rings;
  const { head } = ring.add([READ_FIRST_SECTOR, size, 1]);
  const roundTrip = () => {
    driver.kick(0);
    driver.interrupt();
    return ring.usedIndex;
  };
  if (roundTrip() !== 1) throw new Error("the device did not serve the benchmark's request");
  const target = new Uint8Array(size);
  return race(
    context,
    `virtio-blk read of ${shown}, kick to interrupt, beside copying it`,
    () => {
      ring.publish(head);
      return roundTrip();
    },
    () => disk.read(0, target),
  );
}
