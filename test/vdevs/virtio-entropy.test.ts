import { expect, test } from "bun:test";
import { fakeHost } from "../../src/vdev/testing.ts";
import { virtioEntropy } from "../../src/vdevs/virtio-entropy.ts";
import { drive, GuestArea } from "../virtio/driver.ts";

test("fills buffers from the seed, the same in every run", () => {
  const runs = [1, 1, 2].map((seed) => {
    const driver = drive(virtioEntropy, {}, { seed }).start({ queues: [8] });
    const { length, answers } = driver.request(0, [16, 8]);
    expect(length).toBe(24);
    return Buffer.concat(answers).toString("hex");
  });
  const expected = new Uint8Array(24);
  fakeHost({ seed: 1 }).random(expected, "seeded");
  expect(runs[0]).toBe(Buffer.from(expected).toString("hex"));
  expect(runs[1]).toBe(runs[0]);
  expect(runs[2]).not.toBe(runs[0]);
});

test("draws from the host when told to", () => {
  const driver = drive(virtioEntropy, { source: "host" }, { seed: 1 }).start({ queues: [8] });
  const expected = new Uint8Array(8);
  fakeHost({ seed: 1 }).random(expected, "host");
  expect([...driver.request(0, [8]).answers[0]]).toEqual([...expected]);
});

test("opens its source at start, or at the first request when delayed", () => {
  for (const delayed of [false, true]) {
    const draws: number[] = [];
    const host = fakeHost({
      delayed,
      placement: { interrupts: [{ name: "irq", controller: "plic", line: 1, trigger: "level" }] },
    });
    const watched = { ...host, random: (into: Uint8Array) => void draws.push(into.length) };
    virtioEntropy.create(watched, { source: "host" });
    expect(draws).toEqual(delayed ? [] : [0]);
  }
});

test("gives a large request 64 KiB, and a readable buffer nothing", () => {
  const driver = drive(virtioEntropy, {}, {}, new GuestArea(0x40_0000)).start({ queues: [8] });
  const { length, answers } = driver.request(0, [0x1_8000, 0x1_8000]);
  expect(length).toBe(65536);
  expect(answers[0].subarray(65536).every((byte) => byte === 0xee)).toBe(true);
  expect(driver.request(0, [new Uint8Array(4)]).length).toBe(0);
});
