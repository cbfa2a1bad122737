import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as linux from "../../src/host/linux.ts";
import { addressOf, discard, lay, lift, type MappedRange } from "../../src/host/mapping.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-mapping-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** `(func (export "f") (param i32) (result i32) local.get 0 i32.load)` on an imported memory. */
const LOADER = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, 2, 8, 1, 1, 0x6d, 1, 0x6d, 2, 0, 1, 3, 2, 1, 0],
  ...[7, 5, 1, 1, 0x66, 0, 0, 10, 9, 1, 7, 0, 0x20, 0, 0x28, 2, 0, 0x0b],
);

function memory() {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(LOADER), { m: { m: memory } });
  const range: MappedRange = { buffer: memory.buffer, offset: 65536, length: 8192 };
  return { range, u8: new Uint8Array(memory.buffer), load: instance.exports.f as (at: number) => number };
}

function file(name: string, fill: number): string {
  const path = join(folder, name);
  writeFileSync(path, new Uint8Array(8192).fill(fill));
  return path;
}

describe.if(process.platform === "linux")("mapping", () => {
  test("a shared file: both see each other's bytes, in compiled code as well", () => {
    const { range, u8, load } = memory();
    const path = file("shared", 1);
    u8.fill(9);
    const fd = openSync(path, "r+");
    expect(lay(range, { fd, shared: true, writable: true })).toBe(0);
    closeSync(fd);
    expect([u8[65535], u8[65536], u8[65536 + 8191], u8[65536 + 8192]]).toEqual([9, 1, 1, 9]);
    expect(load(65536)).toBe(0x01010101);
    u8[65537] = 7;
    expect(readFileSync(path)[1]).toBe(7);
    writeFileSync(path, Uint8Array.of(5), { flag: "r+" });
    expect(load(65536)).toBe(0x01010705);
    expect(lift(range)).toBe(0);
    expect([u8[65535], u8[65536], u8[65536 + 8192], load(65536)]).toEqual([9, 0, 9, 0]);
    expect(readFileSync(path)[1]).toBe(7);
  });

  test("a private file: stores stay here, and can be discarded", () => {
    const { range, u8 } = memory();
    const path = file("private", 2);
    const fd = openSync(path, "r");
    expect(lay(range, { fd, shared: false, writable: true })).toBe(0);
    closeSync(fd);
    u8[65536] = 7;
    expect(readFileSync(path)[0]).toBe(2);
    expect(discard(range)).toBe(0);
    expect(u8[65536]).toBe(2);
    lift(range);
  });

  test("part of an object, from a page boundary on", () => {
    const { range, u8 } = memory();
    const fd = linux.memfdCreate("vmrun-test");
    linux.ftruncate(fd, 16384);
    linux.write(
      fd,
      new Uint8Array(16384).map((_, i) => i >> 12),
    );
    expect(lay({ ...range, length: 4096 }, { fd, at: 8192, shared: true, writable: true })).toBe(0);
    expect([u8[65536], u8[65536 + 4096]]).toEqual([2, 0]);
    expect(linux.errnoName(lay(range, { fd, at: 100, shared: true, writable: true }))).toBe("EINVAL");
    expect(u8[65536]).toBe(2);
    lift({ ...range, length: 4096 });
    closeSync(fd);
  });

  test("what may not be mapped leaves the memory as it was", () => {
    const { range, u8 } = memory();
    u8[65536] = 3;
    const fd = openSync(file("readonly", 1), "r");
    expect(linux.errnoName(lay(range, { fd, shared: true, writable: true }))).toBe("EACCES");
    expect(linux.errnoName(lay(range, { fd: 9999, shared: true, writable: true }))).toBe("EBADF");
    expect(u8[65536]).toBe(3);
    closeSync(fd);
  });

  test("nothing is laid outside of a memory", () => {
    const { range } = memory();
    const source = { fd: 0, shared: true, writable: true };
    expect(() => lay({ ...range, length: 1 << 20 }, source)).toThrow("not inside");
    expect(() => lift({ ...range, offset: -4096 })).toThrow("not inside");
    expect(() => discard({ ...range, length: 0 })).toThrow("not inside");
  });

  test("a memory that is dropped with a file in it never comes back as another", () => {
    const path = file("dropped", 0xee);
    const addresses = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const { range, u8 } = memory();
      expect(u8[65536]).toBe(0);
      expect(addresses.has(addressOf(range.buffer, range.offset))).toBe(false);
      addresses.add(addressOf(range.buffer, range.offset));
      const fd = openSync(path, "r");
      lay(range, { fd, shared: false, writable: true });
      closeSync(fd);
      Bun.gc(true);
    }
  });
});
