import { expect, test } from "bun:test";
import { assemble } from "../../src/vdev/testing.ts";
import { virtioEmpty } from "../../src/vdevs/virtio-empty.ts";

test("drivers find the transport, and the number of no device", () => {
  const { read } = assemble(virtioEmpty, {});
  expect(read(0x000, 4)).toBe(0x74726976);
  expect(read(0x004, 4)).toBe(2);
  expect(read(0x008, 4)).toBe(0);
});
