// Registers: exact widths up to the last byte, halves of pages, and a file that is cut short.
import { afterAll, describe, expect, test } from "bun:test";
import { ftruncateSync } from "node:fs";
import { mapDevice } from "../../src/host/device-access.ts";
import { close, ftruncate, memfdCreate } from "../../src/host/linux.ts";

const fds: number[] = [];
afterAll(() => {
  for (const fd of fds) close(fd);
});
function memory(size: number): number {
  const fd = memfdCreate("test");
  ftruncate(fd, size);
  fds.push(fd);
  return fd;
}

describe("a window", () => {
  test("is read and written in exact widths, without its neighbours", () => {
    const fd = memory(4096);
    const window = mapDevice(fd, 0x100, 0x40, true, "it");
    const bytes = new Uint8Array(window.buffer);
    bytes.fill(0xee);
    window.store(0, 1, 0x11);
    window.store(4, 2, 0x2222);
    window.store(8, 4, 0x9999_9999);
    window.store64(16, 0x0123_4567_89ab_cdefn);
    expect(Buffer.from(bytes.subarray(0x100, 0x118)).toString("hex")).toBe(
      "11eeeeee2222eeee99999999eeeeeeeeefcdab8967452301",
    );
    expect([window.load(0, 1), window.load(4, 2), window.load(8, 4), window.load64(16)]).toEqual([
      ...[0x11, 0x2222, 0x9999_9999],
      0x0123_4567_89ab_cdefn,
    ]);
    window.unmap();
    window.unmap();
  });

  test("gives unsigned values", () => {
    const window = mapDevice(memory(4096), 0, 4096, true, "it");
    for (const value of [0x8000_0000, 0x8000_0001, 0xffff_ffff]) {
      window.store(8, 4, value);
      expect(window.load(8, 4)).toBe(value);
    }
    window.unmap();
  });

  test("takes offsets and values that the compiler keeps as doubles", () => {
    const window = mapDevice(memory(4096), 0, 4096, true, "it");
    const [offset, value] = Float64Array.of(8, 0x9000_0001);
    window.store(offset!, 4, value!);
    expect([window.load(offset!, 4), window.load(0, 4), window.load64(offset!)]).toEqual([
      0x9000_0001,
      0,
      0x9000_0001n,
    ]);
    window.unmap();
  });

  test("ends where its page does: an access there reads no further", () => {
    const fd = memory(8192);
    const window = mapDevice(fd, 0, 4096, true, "it");
    ftruncateSync(fd, 4096);
    expect([window.load(4095, 1), window.load(4094, 2), window.load(4092, 4), window.load64(4088)]).toEqual([
      0,
      0,
      0,
      0n,
    ]);
    expect(window.damaged).toBe(false);
    window.unmap();
  });

  test("whose pages are taken away says so, and the process lives", () => {
    const fd = memory(8192);
    const other = mapDevice(memory(4096), 0, 4096, true, "another");
    const window = mapDevice(fd, 0, 8192, true, "it");
    window.store(4096, 4, 7);
    ftruncateSync(fd, 4096);
    expect(window.load(0, 4)).toBe(0);
    expect(window.damaged).toBe(false);
    window.store(4096, 4, 8);
    expect([window.damaged, other.damaged]).toEqual([true, false]);
    window.unmap();
    other.unmap();
  });

  test("cannot be had of what cannot be mapped", () => {
    expect(() => mapDevice(0xffff, 0, 4096, false, "nothing")).toThrow("nothing cannot be mapped: EBADF");
  });
});
