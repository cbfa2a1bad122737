/** A driver that does anything: random register writes, rings and descriptors, from fixed seeds. */
import { expect, test } from "bun:test";
import { FakeDisk } from "../../src/vdev/testing.ts";
import { virtioBlk } from "../../src/vdevs/virtio-blk.ts";
import { virtioConsole } from "../../src/vdevs/virtio-console.ts";
import { virtioEntropy } from "../../src/vdevs/virtio-entropy.ts";
import { CONFIG_BASE, mmioRegisters } from "../../src/virtio/mmio.ts";
import { type Driver, drive, GuestArea, RAM } from "./driver.ts";

const AREA = 0x1_0000;
const STEPS = 4000;

/** mulberry32 */
function chance(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const below = (end: number) => next() % end;
  const pick = <T>(from: readonly T[]): T => from[below(from.length)];
  return { next, below, pick };
}

const devices: Record<string, (area: GuestArea) => Driver> = {
  entropy: (area) => drive(virtioEntropy, {}, {}, area),
  console: (area) =>
    drive(virtioConsole, { host: "stdio", ports: [{ name: "agent", host: "null" }], columns: 80, rows: 25 }, {}, area),
  blk: (area) => drive(virtioBlk, { file: "disk" }, { disks: { disk: new FakeDisk(new Uint8Array(16 * 512)) } }, area),
};

const names = Object.keys(mmioRegisters) as (keyof typeof mmioRegisters)[];

for (const [name, make] of Object.entries(devices)) {
  test.each([1, 2, 3, 4])(`${name}, seed %d`, (seed) => {
    const { next, below, pick } = chance(seed * 7919);
    const area = new GuestArea(AREA);
    let driver = make(area);
    const counts = { served: 0, broken: 0 };
    const anyAddress = () =>
      pick([RAM + below(AREA), RAM + 16 * below(64), RAM + AREA - below(64), below(AREA), next()]);
    const queues = name === "console" ? 6 : 1;
    let used = new Map<number, number>();

    /** A request as it should be. */
    const request = () => {
      const header = new Uint8Array(16);
      header[0] = pick([0, 1, 4, 8, 11, 13, below(16)]);
      header[4] = below(8);
      header[8] = below(17);
      const ring = driver.rings[below(queues)];
      if (!ring || ring.size < 4) return;
      const flags = [1, 3, 2];
      for (let i = 0; i < 3; i++) {
        ring.descriptor(i, {
          address: RAM + 0x8000 + 0x1000 * i,
          length: [16, 512, 1][i],
          flags: flags[i],
          next: i + 1,
        });
      }
      area.memory.write(RAM + 0x8000, header);
      ring.publish(0);
      driver.kick(driver.rings.indexOf(ring));
    };

    const steps: (() => void)[] = [
      request,
      request,
      request,
      request,
      () => driver.assembled.write(below(0x200), pick([1, 2, 4]), pick([0, 1, next()]) & 0xff),
      () => driver.set(pick(names), pick([0, 1, 2, 3, 7, 15, next()])),
      () => driver.assembled.write(CONFIG_BASE + below(0x100), 4, next()),
      () => void driver.assembled.read(below(0x200 - 4), pick([1, 2, 4])),
      () => driver.kick(below(queues + 1)),
      // Rubbish over the rings.
      () => {
        for (let i = below(64); i > 0; i--) area.memory.bytes[below(0x1000)] = next();
      },
      // Descriptors that are nearly right.
      () => {
        const ring = driver.rings[below(queues)];
        for (let i = 0; ring && i < ring.size; i++) {
          const flags = pick([0, 1, 1, 2, 3, 3, 4, below(8)]);
          ring.descriptor(i, {
            address: anyAddress(),
            length: pick([1, 8, 16, 16, 512, 513, 64, next()]),
            flags,
            next: below(ring.size + 1),
          });
        }
      },
      () => {
        const ring = driver.rings[below(queues)];
        for (let i = below(4); ring && i >= 0; i--) ring.publish(below(ring.size));
        driver.kick(below(queues));
      },
      () => driver.host.fakeStream("stdio").send([below(256)]),
      () => driver.host.clock.advance(1),
      () => {
        const state = JSON.parse(JSON.stringify(driver.assembled.vdev.snapshot()));
        const { rings } = driver;
        driver = make(area);
        driver.rings.push(...rings);
        driver.assembled.vdev.restore(state);
      },
      () => driver.assembled.vdev.reset(),
    ];

    const begin = () => {
      area.rewind();
      driver.rings.length = 0;
      driver.start({ queues: Array.from({ length: queues }, () => pick([1, 4, 16])) });
      used = new Map();
    };

    for (let step = 0; step < STEPS; step++) {
      if (step % 25 === 0) begin();
      pick(steps)();
      const status = driver.get("Status");
      // Defined states: only bits that exist, DRIVER_OK only after FEATURES_OK, the wire as the register says.
      expect(status & ~0xcf).toBe(0);
      if (status & 4) expect(status & 8).toBe(8);
      expect(driver.line.level).toBe(driver.get("InterruptStatus") !== 0);
      if (status & 0x40) counts.broken++;
      for (const [index, ring] of driver.rings.entries()) {
        if (ring && ring.usedIndex !== (used.get(index) ?? 0)) counts.served++;
        if (ring) used.set(index, ring.usedIndex);
      }
    }
    // The seeds reach both sides of the checks.
    expect(counts.served).toBeGreaterThan(100);
    expect(counts.broken).toBeGreaterThan(100);
  });
}
